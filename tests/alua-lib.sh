# Helpers for the tests of group alua.
# shellcheck shell=bash
#
# LIO provides a disk array with one controller per path.  Each controller reports its ALUA state.

# shellcheck source=tests/lio-lib.sh
. tests/lio-lib.sh

DISK=$LIO/core/rd_mcp_0/disk
# guest-init blocks scsi_dh_alua for all other tests; see tests/vm/guest-init.
NO_ALUA=/run/modprobe.d/no-alua.conf

needs_for_alua() {
	have_module tcm_loop
	have_module scsi_dh_alua
	have_program fio
}

# make_controllers <n> <size>: create n controllers, all optimised, and set PATHS.
make_controllers() {
	local number=$1 size=$2 i

	allow_alua
	start_lio
	defer remove_disk
	mkdir -p "$DISK"
	echo "rd_pages=$(($(mib "$size") << 8))" >"$DISK/control"
	echo a1 >"$DISK/wwn/vpd_unit_serial"
	echo 1 >"$DISK/enable"
	for ((i = 0; i < number; i++)); do
		make_controller "$i"
	done
	find_lio_paths "$number"
}

allow_alua() {
	defer block_alua
	mv "$NO_ALUA" "$NO_ALUA.off"
}

block_alua() {
	remove_module scsi_dh_alua
	mv "$NO_ALUA.off" "$NO_ALUA"
}

make_controller() {
	defer remove_controller "$1"
	mkdir "$DISK/alua/controller$1"
	echo "$(($1 + 1))" >"$DISK/alua/controller$1/tg_pt_gp_id"
	make_port "$1" "$DISK"
	echo "controller$1" >"$(port_of "$1")/lun/lun_0/alua_tg_pt_gp"
}

remove_controller() {
	[[ ! -e $DISK/alua/controller$1 ]] || rmdir "$DISK/alua/controller$1"
}

remove_disk() {
	rmdir "$DISK" "${DISK%/*}"
}

# make_alua_paths <size>: set PATHS to two disks of scsi_debug; the first one is optimised, and the
# other one is active too.  Their states never change, but they can lose commands.
make_alua_paths() {
	local path found=()

	make_paths 3 "$1"
	# scsi_debug derives the state from the number of the host; 2 is standby.
	for path in "${PATHS[@]}"; do
		found[$(host_of "$path") % 3]=$path
	done
	PATHS=("${found[@]:0:2}")
}

# hang_queries <path>: let the path lose each TEST UNIT READY, and wait until one is lost.  Only from
# 6.7 on; see needs_error_injection.
hang_queries() {
	defer end_hang_of_queries "$1"
	echo '0 1 0x0' >"$(injections "$1")"
	wait_for at_least 1 commands_at "$1"
}

# Commands that are lost already end when they time out.
end_hang_of_queries() {
	[[ ! -e $(injections "$1") ]] || echo '- 0 0x0' >"$(injections "$1")" || :
}

# Print the number of commands that the path's device has not answered.  Unlike in_flight, it counts
# commands that are no I/O.
commands_at() {
	cat "/sys/block/$(name_of "$1")/device/device_busy"
}

# ALUA states that a controller can report.
# shellcheck disable=SC2034
{
	OPTIMISED=0
	NON_OPTIMISED=1
	STANDBY=2
	UNAVAILABLE=3
}

# set_access <number of the controller> <state>: change the ALUA state, as a disk array does.
set_access() {
	echo "$2" >"$DISK/alua/controller$1/alua_access_state"
}

# set_access_type <1: implicit|3: implicit and explicit>: set who may change ALUA states, the array
# alone or also the host.
set_access_type() {
	local group
	for group in "$DISK"/alua/controller*; do
		echo "$1" >"$group/alua_access_type"
	done
}

# attached <path>: succeed if the kernel's ALUA handler is attached to this path.
attached() {
	matches alua cat "/sys/block/$(name_of "$1")/device/dh_state"
}

# shown_as <state> <path>: succeed if md/paths shows this state.
shown_as() {
	local state
	state=$(column_of "$2" state)
	echo "$state"
	[[ $state == "$1" ]]
}

# reads_go_to <path>: assert that all reads go to this path.  Call trace_block block_bio_remap
# first.
reads_go_to() {
	local path wanted='' got=''
	wait_for_udev
	echo >/sys/kernel/tracing/trace
	dd if="$MD" of=/dev/null bs=4k count=8 iflag=direct status=none
	for path in "${PATHS[@]}"; do
		if [[ $path == "$1" ]]; then wanted+=' 8'; else wanted+=' 0'; fi
		got+=" $(tries "$path")"
	done
	assert_equal "reads by each path" "$wanted" "$got"
}

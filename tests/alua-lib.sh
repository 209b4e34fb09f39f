# Sourced by the tests of group alua.
# shellcheck shell=bash
#
# A disk array with a controller per path, made of LIO: each controller says whether it
# is the one to use.

LIO=/sys/kernel/config/target
DISK=$LIO/core/rd_mcp_0/disk

needs_for_alua() {
	have_module tcm_loop
	have_module scsi_dh_alua
	have_program fio
}

# make_controllers <n> <size>: PATHS, all of them optimised
make_controllers() {
	local number=$1 size=$2 i

	defer block_alua
	rm -f /run/modprobe.d/no-alua.conf
	modprobe sd_mod
	modprobe tcm_loop
	mountpoint --quiet "${LIO%/*}" || mount -t configfs configfs "${LIO%/*}"
	defer remove_disk
	mkdir -p "$DISK"
	echo "rd_pages=$(($(mib "$size") << 8))" >"$DISK/control"
	echo a1 >"$DISK/wwn/vpd_unit_serial"
	echo 1 >"$DISK/enable"
	for ((i = 0; i < number; i++)); do
		make_controller "$i"
	done
	wait_for at_least "$number" count_lio_disks
	wait_for_udev
	mapfile -t PATHS < <(lio_disks)
}

# As the guest has it, see tests/vm/guest-init.
block_alua() {
	! is_loaded scsi_dh_alua || wait_for run_quietly modprobe --remove scsi_dh_alua
	echo 'install scsi_dh_alua /bin/false' >/run/modprobe.d/no-alua.conf
}

# The folder of a controller's port.
port_of() {
	echo "$LIO/loopback/naa.600140500000000$1/tpgt_1"
}

make_controller() {
	local port
	port=$(port_of "$1")
	defer remove_controller "$1"
	mkdir "$DISK/alua/controller$1"
	echo "$(($1 + 1))" >"$DISK/alua/controller$1/tg_pt_gp_id"
	mkdir -p "$port"
	basename "${port%/*}" >"$port/nexus"
	mkdir "$port/lun/lun_0"
	ln --symbolic "$DISK" "$port/lun/lun_0/disk"
	echo "controller$1" >"$port/lun/lun_0/alua_tg_pt_gp"
}

remove_controller() {
	local port
	port=$(port_of "$1")
	[[ ! -e $port ]] || {
		rm -f "$port/lun/lun_0/disk"
		rmdir "$port/lun/lun_0" "$port" "${port%/*}"
	}
	[[ ! -e $DISK/alua/controller$1 ]] || rmdir "$DISK/alua/controller$1"
}

remove_disk() {
	rmdir "$DISK" "${DISK%/*}"
}

# By adapter, so that PATHS[0] is the first controller's.
lio_disks() {
	local disk
	for disk in /sys/devices/tcm_loop_0/tcm_loop_adapter_*/host*/target*/*/block/*; do
		[[ ! -e $disk ]] || printf '%s /dev/%s\n' "$disk" "${disk##*/}"
	done | sort --version-sort | cut --delimiter=' ' --fields=2
}

count_lio_disks() {
	lio_disks | wc --lines
}

# Without a link nothing gets to the controller.
cut_link() {
	echo offline >"$(port_of "$1")/transport_status"
}

mend_link() {
	echo online >"$(port_of "$1")/transport_status"
}

# What a controller says of itself.
# shellcheck disable=SC2034
{
	OPTIMISED=0
	NON_OPTIMISED=1
	STANDBY=2
	UNAVAILABLE=3
}

# set_access <number of the controller> <state>: as if the array had changed it
set_access() {
	echo "$2" >"$DISK/alua/controller$1/alua_access_state"
}

# tell_of_access <implicit: 1|implicit and explicit: 3>: may a host change it, too?
tell_of_access() {
	local group
	for group in "$DISK"/alua/controller*; do
		echo "$1" >"$group/alua_access_type"
	done
}

# shown_as <state> <path>: in the array's table
shown_as() {
	local state
	state=$(awk -v name="$(name_of "$2")" '$2 == name { print $3 }' "/sys/block/${MD##*/}/md/paths")
	echo "$state"
	[[ $state == "$1" ]]
}

# reads_go_to <path>: all of them, and none to another.  After trace_block
# block_bio_remap.
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

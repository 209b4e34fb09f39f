# Helpers for tests that need SCSI disks made of LIO, each with its own port.
# shellcheck shell=bash

LIO=/sys/kernel/config/target

start_lio() {
	modprobe sd_mod
	modprobe tcm_loop
	mount_configfs
}

# Print the configfs directory of a port.
port_of() {
	echo "$LIO/loopback/naa.600140500000000$1/tpgt_1"
}

# make_port <number> <configfs directory of a LIO disk>: create a port, which appears as a SCSI disk.
make_port() {
	local port
	port=$(port_of "$1")
	defer remove_port "$1"
	mkdir -p "$port"
	basename "${port%/*}" >"$port/nexus"
	mkdir "$port/lun/lun_0"
	ln --symbolic "$2" "$port/lun/lun_0/disk"
}

remove_port() {
	local port
	port=$(port_of "$1")
	[[ ! -e $port ]] || {
		rm -f "$port/lun/lun_0/disk"
		rmdir "$port/lun/lun_0" "$port" "${port%/*}"
	}
}

# make_lio_paths <n> <size>: set PATHS to n SCSI disks with a port each.  They share one store, a file
# in memory, one identity, and a write cache.
make_lio_paths() {
	local disk=$LIO/core/fileio_0/disk port
	start_lio
	modprobe target_core_file
	truncate --size="$(mib "$2")M" "$WORK/store"
	defer remove_lio_store "$disk"
	mkdir -p "$disk"
	echo "fd_dev_name=$WORK/store,fd_dev_size=$(($(mib "$2") << 20)),fd_buffered_io=1" >"$disk/control"
	echo 7 >"$disk/wwn/vpd_unit_serial"
	echo 1 >"$disk/enable"
	echo 1 >"$disk/attrib/emulate_tpu"
	for ((port = 0; port < $1; port++)); do
		make_port "$port" "$disk"
	done
	find_lio_paths "$1"
	assert_equal "number of paths" "$1" "${#PATHS[@]}"
}

# remove_lio_store <configfs directory of a LIO disk>
remove_lio_store() {
	[[ ! -e $1 ]] || rmdir "$1" "${1%/*}"
}

# find_lio_paths <number>: set PATHS, in the order of the ports.
find_lio_paths() {
	wait_for at_least "$1" count_lio_disks
	wait_for_udev
	# shellcheck disable=SC2034
	mapfile -t PATHS < <(lio_disks)
}

lio_disks() {
	local disk
	for disk in /sys/devices/tcm_loop_0/tcm_loop_adapter_*/host*/target*/*/block/*; do
		[[ ! -e $disk ]] || printf '%s /dev/%s\n' "$disk" "${disk##*/}"
	done | sort --version-sort | cut --delimiter=' ' --fields=2
}

count_lio_disks() {
	lio_disks | wc --lines
}

# Take a port's link down: the port then receives no commands.
take_link_down() {
	echo offline >"$(port_of "$1")/transport_status"
}

bring_link_up() {
	echo online >"$(port_of "$1")/transport_status"
}

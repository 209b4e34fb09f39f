# Helpers for tests that need SCSI disks made of LIO, each with its own port.
# shellcheck shell=bash

LIO=/sys/kernel/config/target

start_lio() {
	modprobe sd_mod
	modprobe tcm_loop
	mount_configfs
}

# Print the configfs folder of a port.
port_of() {
	echo "$LIO/loopback/naa.600140500000000$1/tpgt_1"
}

# make_port <number> <configfs folder of a LIO disk>: create a port, which appears as a SCSI disk.
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

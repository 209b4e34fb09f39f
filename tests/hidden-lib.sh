# Helpers for the tests of group paths-hidden; source tests/lib.sh first.
# shellcheck shell=bash

UNWATCH=/run/udev/rules.d/99-unwatch.rules

# Install the package's rules and helpers, and let udev watch disks as it does on other machines.
install_rules() {
	local rules=/run/udev/rules.d
	install_assembly_rules
	ln --symbolic /run/md-multipath/paths /usr/lib/md-multipath/paths
	defer rm "$rules/59-md-multipath-paths.rules"
	cp packaging/md-multipath-paths.rules "$rules/59-md-multipath-paths.rules"
	defer mv "$WORK/${UNWATCH##*/}" "$UNWATCH"
	mv "$UNWATCH" "$WORK"
	control_udevd --reload
}

# trigger <device>...: have udev examine the devices again
trigger() {
	udevadm trigger --settle "$@"
	wait_for_udev
}

# property <device> <name>: print the device's property in udev
property() {
	udevadm info --query=property --property="$2" --value "$1"
}

# Print what udev has noted at a device, in the order of the names.
marks() {
	local name
	for name in MD_MULTIPATH_PATH_OF DM_MULTIPATH_DEVICE_PATH SYSTEMD_READY UDISKS_IGNORE ID_FS_TYPE; do
		property "$1" "$name"
	done | xargs
}

# assert_hidden <array's name> <device>...
assert_hidden() {
	local device
	for device in "${@:2}"; do
		wait_for equals "$1 1 0 1 mpath_member" marks "$device"
	done
}

# assert_shown <type of the contents> <device>...
assert_shown() {
	local device
	for device in "${@:2}"; do
		wait_for equals "$1" marks "$device"
	done
}

# target_of <link in /dev/disk>: print the device's name
target_of() {
	local device
	device=$(readlink --canonicalize-existing "/dev/disk/$1") || return
	echo "${device##*/}"
}

# assert_leads_to <device> <link in /dev/disk>...
assert_leads_to() {
	local link
	for link in "${@:2}"; do
		wait_for equals "$(name_of "$1")" target_of "$link"
	done
}

# uuid_on <device>: print the UUID of its file system
uuid_on() {
	blkid --match-tag UUID --output value --probe "$1"
}

# Deactivate the volume group "volumes", if it is there.
deactivate() {
	lvm vgchange --quiet -an volumes || :
}

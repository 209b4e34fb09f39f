# Helpers for the tests of group badinput.
# shellcheck shell=bash

# assert_last_kernel_line <extended regular expression>: assert on the module's last line in the kernel
# log.
assert_last_kernel_line() {
	assert_match "last kernel log line" "$1" "$(last_kernel_line)"
}

# refuses_array <extended regular expression> <path>...: assert that no array can be built of these
# paths, that the kernel log has the reason, and that nothing is left behind.
refuses_array() {
	local words=$1
	shift

	MD=/dev/md0
	defer stop_array "$MD"
	assert_fails mdadm --build "$MD" --level=multipath --raid-devices=$# "$@"
	assert_last_kernel_line "$words"
	stop_array
}

# refuses_path <extended regular expression> <path> [how to add it]: assert that the running array
# refuses this path, that the kernel log has the reason, and that the array is unchanged.
refuses_path() {
	local before
	before=$(mdstat_line)

	"${3:-add_with_mdadm}" "$2"
	wait_for matches "$1" last_kernel_line
	assert_fails path_state "$2" in_sync
	# Depending on the kernel, md core keeps the device as a spare or drops it.
	mdadm "$MD" --remove "$2" || :
	assert_equal "mdstat" "$before" "$(mdstat_line)"
	read_block
}

add_with_mdadm() {
	mdadm "$MD" --add "$1" || :
}

# Add a path without mdadm's own checks.
add_by_hand() {
	in_md new_dev "$(<"/sys/block/$(name_of "$1")/dev")"
	# Up to 6.6, md core does not choose a slot for a new device.
	in_path "$1" slot 1 || :
}

last_kernel_line() {
	kernel_log | tail -n 1
}

# make_null_disk <name> <configfs attribute=value>...: create a null_blk disk and set DISK to its
# device.
make_null_disk() {
	local name=$1 dir=/sys/kernel/config/nullb/$1 setting
	shift

	is_loaded null_blk || {
		defer remove_module null_blk
		modprobe null_blk nr_devices=0
	}
	mountpoint --quiet /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
	mkdir "$dir"
	defer rmdir "$dir"
	for setting; do
		echo "${setting#*=}" >"$dir/${setting%%=*}"
	done
	echo 1 >"$dir/power"
	wait_for_udev

	# Since 6.11, the device is named after the configfs directory.
	DISK=/dev/$name
	[[ -e $DISK ]] || DISK=/dev/nullb$(<"$dir/index")
}

# Arrays assembled through sysfs, in ways that mdadm does not allow.

# make_bare_array <path>...: create an array that is not started and has no path in a slot.
make_bare_array() {
	local path
	MD=/dev/md0
	defer clear_array
	modprobe multipath
	echo "${MD##*/}" >/sys/module/md_mod/parameters/new_array
	in_md metadata_version none
	in_md level multipath
	in_md raid_disks $#
	for path; do
		in_md new_dev "$(<"/sys/block/$(name_of "$path")/dev")"
		in_path "$path" size 16384
	done
	in_md component_size 16384
}

clear_array() {
	[[ -e /sys/block/${MD##*/}/md ]] || return 0
	# Clearing fails while udev has the array open.
	wait_for_udev
	wait_for run_quietly in_md array_state clear
	wait_for gone "/sys/block/${MD##*/}"
}

# Helpers for the tests of group rest: paths that do no I/O.
# shellcheck shell=bash

# reason_of <path>: print why the path has failed, from md/paths.
reason_of() {
	awk -v name="$(name_of "$1")" '$2 == name { print $4 }' "/sys/block/${MD##*/}/md/paths"
}

# fails_at_rest <path> <reason>: the path fails although nothing uses it, and no other path does.
fails_at_rest() {
	wait_for path_state "$1" faulty
	assert_equal "reason of $1" "$2" "$(reason_of "$1")"
	assert_equal "live paths" $((${#PATHS[@]} - 1)) "$(active_paths "$MD")"
}

# dies_at_rest <path>: it fails, and is reinstated when it works again.
dies_at_rest() {
	pull_path "$1"
	fails_at_rest "$1" probe
	plug_path "$1"
	wait_for reinstated "$1"
	wait_for_udev
}

# lead_to <target>: let the second path, a dm device, lead there.
lead_to() {
	swap_table path1 "0 $(blockdev --getsz "${PATHS[1]}") $1"
}

# trace_commands: trace the SCSI commands until the test ends.
trace_commands() {
	defer stop_tracing_commands
	echo >/sys/kernel/tracing/trace
	echo 1 >/sys/kernel/tracing/events/scsi/scsi_dispatch_cmd_start/enable
}

stop_tracing_commands() {
	echo 0 >/sys/kernel/tracing/events/scsi/scsi_dispatch_cmd_start/enable
}

# commands_to <path> <extended regular expression>: print how many commands like this the path got
# since trace_commands.
commands_to() {
	local address
	address=$(readlink --canonicalize "/sys/block/$(name_of "$1")/device")
	address=${address##*/}
	traced "scsi_dispatch_cmd_start: host_no=${address%%:*} .* cmnd=\\(($2)"
}

# ---------------------------------------------------------------------------
# LUNs that change while nobody uses them; source tests/san-lib.sh too.

# Create another disk in the disk array: a file of random data, which $WORK/other-sum describes.
make_other_disk() {
	local disk=$LIO/core/iblock_9/disk sectors
	sectors=$(blockdev --getsz "$DM_STORE")
	head --bytes=$((sectors * 512)) /dev/urandom >"$WORK/other"
	sha256sum "$WORK/other" >"$WORK/other-sum"
	defer remove_module loop
	modprobe loop
	OTHER=$(losetup --find --show "$WORK/other")
	defer losetup --detach "$OTHER"
	wait_for_udev
	defer remove_other_disk
	mkdir -p "$disk"
	echo "udev_path=$OTHER" >"$disk/control"
	echo 1 >"$disk/enable"
	echo another-disk >"$disk/wwn/vpd_unit_serial"
}

remove_other_disk() {
	local store=$LIO/core/iblock_9
	[[ $(readlink "$(lun_of_wire 2)/disk") != *iblock_9* ]] || remap_lun 2 2
	rmdir "$store/disk" "$store"
}

lun_of_wire() {
	echo "$LIO/iscsi/$IQN$1/tpgt_1/lun/lun_0"
}

# unmap_lun <number of the wire>
unmap_lun() {
	rm "$(lun_of_wire "$1")/disk"
}

# map_lun <number of the wire> <number of the backing store>: 9 is the other disk
map_lun() {
	ln --symbolic "$LIO/core/iblock_$2/disk" "$(lun_of_wire "$1")/disk"
}

remap_lun() {
	unmap_lun "$1"
	map_lun "$@"
}

# Print how many reads and writes the other disk has done.
ios_of_other_disk() {
	ios_in "/sys/block/${OTHER##*/}/stat"
}

# No sector of the other disk has been written, and none read since there were this many I/Os.
other_disk_is_untouched() {
	assert_equal "I/Os of the other disk" "$1" "$(ios_of_other_disk)"
	sync --file-system "$WORK/other"
	sha256sum --check --quiet "$WORK/other-sum"
}

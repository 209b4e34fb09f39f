# Helpers for tests of LUNs that change; source tests/san-lib.sh first.
# shellcheck shell=bash

# ---------------------------------------------------------------------------
# Mapping of the LUNs

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

# use_lun <number>: the LUN's number on each wire, instead of 0
use_lun() {
	LUN=$1
}

lun_of_wire() {
	echo "$LIO/iscsi/$IQN$1/tpgt_1/lun/lun_$LUN"
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
	other_disk_is_unwritten
}

other_disk_is_unwritten() {
	sync --file-system "$WORK/other"
	sha256sum --check --quiet "$WORK/other-sum"
}

# ---------------------------------------------------------------------------
# Changes under load

# needs_for_luns, for requires()
needs_for_luns() {
	needs_for_iscsi
	have_program fio
}

# use_under_load [option of create_array]...: create an array of PATHS with the package's timeouts,
# and do verified I/O over all paths.
use_under_load() {
	install_timeouts
	start_load "$@"
}

# start_load [option of create_array]...: the same without the timeouts.  While LUN 0 is not mapped,
# LIO itself answers reads of the first 32 KiB, so the I/O is beyond.
start_load() {
	create_array "$@" "${PATHS[@]}"
	set_tunable iopolicy round-robin
	start_verified_io randrw libaio --offset=1M
}

# flaps <path>: reads work, so probes reinstate the path, and the next write fails it again.  The
# delay doubles, which one line says, and no failure has more than one line.
flaps() {
	local lines failures
	wait_for 30 path_state "$1" faulty
	assert_equal "reason of $1" failed-over "$(column_of "$1" reason)"
	wait_for 30 at_least 3 column_of "$1" failures
	wait_for path_state "$1" faulty
	wait_for equals 1 lines_about "path $(name_of "$1") is flapping: not reinstated for 2 s"
	lines=$(lines_about "path $(name_of "$1") failed")
	failures=$(column_of "$1" failures)
	((lines >= 1 && lines <= failures)) || fail "expected: 1 to $failures lines" "got:      $lines"
	wait_for_io 200
}

# refused_by_all <text of the errno>: programs get the error of a write, reads work, and no path is
# at fault.
refused_by_all() {
	local before lines
	before=$(failures_and_reinstatements)
	lines=$(lines_about .)
	assert_match "dd's error message" "$1" "$(LC_ALL=C write_block 2>&1 || :)"
	assert_match "dd's error message" "$1" "$(LC_ALL=C write_block 2>&1 || :)"
	read_block
	assert_active_paths "$MD" 2
	assert_equal "failures and reinstatements" "$before" "$(failures_and_reinstatements)"
	assert_equal "lines of the kernel log" "$lines" "$(lines_about .)"
}

# fails_once <path> <extended regular expression for the reason>: the path fails, the other one
# goes on, and one line of the kernel log says so.
fails_once() {
	local line
	line="path $(name_of "$1") failed; I/O continues on 1 of 2 paths"
	wait_for 60 path_state "$1" faulty
	assert_match "reason of $1" "^($2)$" "$(column_of "$1" reason)"
	assert_equal "live paths" 1 "$(active_paths "$MD")"
	wait_for equals 1 lines_about "$line"
	wait_for_io 200
	assert_equal "lines about the failure" 1 "$(lines_about "$line")"
}

# returns_once <path>: the path is reinstated without help, and one line says so.
returns_once() {
	local line
	line="path $(name_of "$1") reinstated; 2 of 2 paths in use"
	wait_for 60 path_state "$1" in_sync
	wait_for equals 1 lines_about "$line"
	assert_active_paths "$MD" 2
	wait_for_io 200
	assert_equal "lines about the reinstatement" 1 "$(lines_about "$line")"
}

# unmap_under_load: unmap the LUN of wire 1, and map it again.
unmap_under_load() {
	make_iscsi_paths 2 32M
	use_under_load
	unmap_lun 1
	fails_once "${PATHS[0]}" 'failed-over|io-error'
	# It stays failed while it is probed.
	last 3
	path_state "${PATHS[0]}" faulty
	map_lun 1 1
	returns_once "${PATHS[0]}"
	finish_verified_io
}

# set_size_of_disk <sectors>: the disk array makes the disk larger or smaller.
set_size_of_disk() {
	resize_path /dev/mapper/path0 "$1"
	resize_path /dev/mapper/path1 "$1"
}

# rescan <path> <sectors>: have the kernel read the path's size.
rescan() {
	echo 1 >"/sys/block/$(name_of "$1")/device/rescan"
	wait_for equals "$2" blockdev --getsz "$1"
}

# Helpers for tests with disks of QEMU, each of which its monitor can make silent; source tests/lib.sh
# first.  tests/vm/boot makes the disks: two with virtio-scsi and two with virtio-blk, all over one
# file.
# shellcheck shell=bash

# needs_for_qemu_disks <virtio_scsi|virtio_blk>, for requires()
needs_for_qemu_disks() {
	have_module "$1"
	# Debug kernels lack it.
	have_module virtio_console
}

# make_qemu_paths <virtio_scsi|virtio_blk>: load the driver and set PATHS to its two disks.
make_qemu_paths() {
	defer remove_module "$1"
	find_monitor
	modprobe sd_mod
	modprobe "$1"
	wait_for equals 2 eval "${1}_disks | wc --lines"
	wait_for_udev
	mapfile -t PATHS < <("${1}_disks")
}

# LUN 0 of each host.
virtio_scsi_disks() {
	disks_at /sys/bus/virtio/devices/*/host*/target*/*:0/block/*
}

virtio_blk_disks() {
	disks_at /sys/bus/virtio/devices/*/block/*
}

# disks_at <directory in sysfs>...: print those that exist as disks, in the order of QEMU's devices
disks_at() {
	local disk
	for disk; do
		[[ ! -e $disk ]] || printf '%s /dev/%s\n' "$disk" "${disk##*/}"
	done | sort --version-sort | cut --delimiter=' ' --fields=2
}

MONITOR=/dev/virtio-ports/monitor

# The driver is a module or built in.  In the latter case, the port is older than udev.
find_monitor() {
	modprobe virtio_console
	udevadm trigger --settle --subsystem-match=virtio-ports
	wait_for there "$MONITOR"
}

# monitor <command>...: to QEMU
monitor() {
	echo "$*" >"$MONITOR"
}

# hang_qemu_disk <virtio_scsi|virtio_blk> <number>: throttle the disk to one byte a second.
hang_qemu_disk() {
	defer release_qemu_disk "$@"
	throttle_qemu_disk "$@" 1
}

release_qemu_disk() {
	throttle_qemu_disk "$@" 0
}

# throttle_qemu_disk <virtio_scsi|virtio_blk> <number> <bytes a second, or 0 for no limit>
throttle_qemu_disk() {
	monitor block_set_io_throttle "$1$2" "$3" 0 0 0 0 0
}

# silent_disk_under_io <virtio_scsi|virtio_blk>: the driver cannot abort I/O, so what is in flight
# waits until the disk responds again.
silent_disk_under_io() {
	local before
	make_qemu_paths "$1"
	create_array "${PATHS[@]}"
	start_verified_io randwrite libaio
	hang_qemu_disk "$1" 0
	wait_for 30 path_state "${PATHS[0]}" faulty
	assert_equal "reason" timeout "$(column_of "${PATHS[0]}" reason)"
	assert_equal "live paths" 1 "$(active_paths "$MD")"
	wait_for equals 1 lines_about "path $(name_of "${PATHS[0]}") failed; I/O continues on 1 of 2 paths"

	before=$(io_count "${PATHS[1]}" reads)
	read_block
	wait_for at_least $((before + 1)) io_count "${PATHS[1]}" reads
	# It stays failed, and its I/O is not sent over the other path.
	last 5
	path_state "${PATHS[0]}" faulty
	wait_for at_least 1 io_count "$MD" in_flight

	release_qemu_disk "$1" 0
	wait_for path_state "${PATHS[0]}" in_sync
	finish_verified_io
	wait_for equals 0 column_of "${PATHS[0]}" in_flight
	assert_active_paths "$MD" 2
	assert_equal "lines about a failure" 1 "$(lines_about ' failed; ')"
}

# Helpers for the tests of group nopath.
# shellcheck shell=bash
#
# While no path works, the array queues its I/O for a limited time.

# queue_io <dd option>...: start one direct I/O that is queued until a path works.  QUEUED is its
# process.
queue_io() {
	defer fail_queued
	dd bs=4k count=1 status=none "$@" &
	QUEUED=$!
	wait_for is_queued "$QUEUED"
}

queue_read() {
	queue_io if="$MD" of=/dev/null iflag=direct
}

# Write the array's first block, like write_block.
queue_write() {
	queue_io if=/dev/zero of="$MD" oflag=direct
}

# is_queued <process>: succeed if its I/O to the array is queued.
is_queued() {
	local file
	for file in "/proc/$1"/fd/*; do
		[[ ! $file -ef $MD ]] || { is_stuck "$1"; return; }
	done
	echo "does not have $MD open"
	return 1
}

# is_stuck <process>: succeed if it is in uninterruptible sleep in the kernel.
is_stuck() {
	local stat
	read -r stat <"/proc/$1/stat"
	echo "$stat"
	[[ ${stat##*) } == D* ]]
}

# finish_queued [status]: assert that the queued I/O completes, by default without an error.
finish_queued() {
	local status=0
	wait_for not_running "$QUEUED"
	wait "$QUEUED" || status=$?
	assert_equal "status of the queued I/O" "${1:-0}" "$status"
}

fail_queued() {
	[[ ! -e /sys/block/${MD##*/}/md/no_path_retry ]] || set_tunable no_path_retry 0
}

pull_all_paths() {
	local path
	for path in "${PATHS[@]}"; do
		pull_path "$path"
	done
}

# Print how many I/Os the array has ever queued because no path worked.
queued_in_all() {
	cat "/sys/block/${MD##*/}/md/io_requeue_no_usable_path_count"
}

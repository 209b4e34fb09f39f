# Helpers for the tests of group nopath.
# shellcheck shell=bash
#
# While no path works, the array queues its I/O for a limited time.

# park_io <dd option>...: start one direct I/O that is queued until a path works.  PARKED is its
# process.
park_io() {
	defer give_up_parked
	dd bs=4k count=1 status=none "$@" &
	PARKED=$!
	wait_for is_parked "$PARKED"
}

park_read() {
	park_io if="$MD" of=/dev/null iflag=direct
}

# is_parked <process>: succeed if its I/O to the array is queued.
is_parked() {
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

# finish_parked [status]: assert that the queued I/O completes, by default without an error.
finish_parked() {
	local status=0
	wait_for not_running "$PARKED"
	wait "$PARKED" || status=$?
	assert_equal "status of the queued I/O" "${1:-0}" "$status"
}

give_up_parked() {
	[[ ! -e /sys/block/${MD##*/}/md/no_path_retry ]] || set_tunable no_path_retry 0
}

pull_all_paths() {
	local path
	for path in "${PATHS[@]}"; do
		pull_path "$path"
	done
}

# Sourced by the tests of group nopath.
# shellcheck shell=bash
#
# An array of which no path works keeps its I/O for a while: it is parked.

# park_io <dd option>...: one direct I/O that waits for a path.  PARKED is its process.
park_io() {
	defer give_up_parked
	dd bs=4k count=1 status=none "$@" &
	PARKED=$!
	wait_for is_parked "$PARKED"
}

park_read() {
	park_io if="$MD" of=/dev/null iflag=direct
}

# is_parked <process>: its I/O to the array is
is_parked() {
	local file
	for file in "/proc/$1"/fd/*; do
		[[ ! $file -ef $MD ]] || { is_stuck "$1"; return; }
	done
	echo "does not have $MD open"
	return 1
}

# In the kernel, uninterruptibly.
is_stuck() {
	local stat
	read -r stat <"/proc/$1/stat"
	echo "$stat"
	[[ ${stat##*) } == D* ]]
}

# finish_parked [status]: it ends now, without an error unless told.
finish_parked() {
	local status=0
	wait_for not_running "$PARKED"
	wait "$PARKED" || status=$?
	assert_equal "status of the parked I/O" "${1:-0}" "$status"
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

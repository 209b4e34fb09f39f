# Helpers for the tests of group reinstate.
# shellcheck shell=bash

# hold_down <path>: under I/O to this path, have it fail again and again until it is held down for
# several seconds.  Then it works again.
hold_down() {
	while :; do
		pull_path "$1"
		wait_for path_state "$1" faulty
		plug_path "$1"
		[[ $(column_of "$1" hold_ms) -lt 6000 ]] || return 0
		wait_for 20 path_state "$1" in_sync
	done
}

# count_lines <extended regular expression>: print the number of this module's log lines that match.
count_lines() {
	kernel_log | grep --count --extended-regexp "$1" || :
}

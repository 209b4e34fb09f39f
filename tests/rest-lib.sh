# Helpers for the tests of group rest: paths that do no I/O.
# shellcheck shell=bash

# fails_at_rest <path> <reason>: the path fails although nothing uses it, and no other path does.
fails_at_rest() {
	wait_for path_state "$1" faulty
	assert_equal "reason of $1" "$2" "$(column_of "$1" reason)"
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
	traced "scsi_dispatch_cmd_start: host_no=$(host_of "$1") .* cmnd=\\(($2)"
}

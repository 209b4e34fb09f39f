# Helpers of the benchmarks' guest parts: readers, and arrays of many LUNs.  Source tests/lib.sh
# first.
# shellcheck shell=bash

# By the readers' name: fio's process, the longest wait in ms, and the number of reads that failed.
# shellcheck disable=SC2034
declare -A PID=() LONGEST=() ERRORS=()

# start_readers <name> <number on each device> <ms between two reads> <device>...: they read the first
# SIZE bytes of the devices until stop_readers
start_readers() {
	local name=$1 number=$2 pause=$3 device before files=() jobs=()
	shift 3
	for device; do
		jobs+=(--name="$device" --filename="$device")
		files+=("/sys/block/$(name_of "$device")/stat")
	done
	before=$(ios_in "${files[@]}")
	fio --direct=1 --rw=randread --bs=4k --size="$SIZE" --ioengine=psync --numjobs="$number" \
		--thread --norandommap --thinktime="${pause}ms" --time_based --runtime=3600 \
		--continue_on_error=all --disk_util=0 --group_reporting --eta=never --output-format=json \
		--output="$WORK/$name.json" --aux-path="$WORK" "${jobs[@]}" &
	PID[$name]=$!
	wait_for 60 at_least $((before + 10 * number * $#)) ios_in "${files[@]}"
}

# stop_readers <name>: set LONGEST and ERRORS.  A reader that could not open its device has an error,
# but no failed reads.
stop_readers() {
	local ended
	kill "${PID[$1]}"
	wait "${PID[$1]}" || :
	read -r LONGEST["$1"] ERRORS["$1"] ended < <(awk -F'[ :,]+' '
	/"lat_ns"/		{ in_lat = 1 }
	in_lat && /"max"/	{ if ($3 > longest) longest = $3; in_lat = 0 }
	/"total_err"/		{ errors += $3 }
	/"error"/ && $3 != 0	{ ended = $3 }
	END			{ printf "%d %d %d\n", longest / 1000000, errors, ended }' "$WORK/$1.json")
	[[ $ended -eq 0 || ${ERRORS[$1]} -gt 0 ]] || fail "a reader of '$1' did not start: fio's error $ended"
}

# Set LUN_PATHS, by LUN, to the devices of scsi_debug, in the order of their hosts.
find_luns() {
	local disk lun
	LUN_PATHS=()
	while read -r disk; do
		lun=${disk%/block/*}
		lun=${lun##*:}
		LUN_PATHS[lun]+="/dev/${disk##*/} "
	done < <(printf '%s\n' /sys/bus/pseudo/devices/adapter*/host*/target*/*/block/* | sort --version-sort)
}

# build_arrays <number> <level> <paths> [mdadm option]...: /dev/md0 and following, of the first paths
# to each LUN of LUN_PATHS.  Write to $WORK/build-times a line for each call of mdadm: real, user and
# system time in seconds.
build_arrays() {
	local TIMEFORMAT='%3R %3U %3S' number=$1 level=$2 slots=$3 lun paths
	shift 3
	: >"$WORK/build-times"
	for ((lun = 0; lun < number; lun++)); do
		read -r -a paths <<<"${LUN_PATHS[lun]}"
		{ time mdadm --quiet --build "/dev/md$lun" --level="$level" --raid-devices="$slots" \
			"$@" "${paths[@]:0:slots}" 2>&3; } 3>&2 2>>"$WORK/build-times"
	done
}

# stop_arrays <number>: stop those that exist, and write to $WORK/stop-times what build_arrays writes to
# build-times.
stop_arrays() {
	local TIMEFORMAT='%3R %3U %3S' lun
	: >"$WORK/stop-times"
	wait_for_udev
	for ((lun = 0; lun < $1; lun++)); do
		[[ -e /sys/block/md$lun/md ]] || continue
		{ time wait_for run_quietly mdadm --stop "/dev/md$lun" 2>&3; } 3>&2 2>>"$WORK/stop-times"
		wait_for gone "/sys/block/md$lun/md"
	done
}

# Print the number of live paths of all arrays.
live_in_arrays() {
	grep --only-matching '\[[0-9]*/[0-9]*\]' /proc/mdstat | awk -F'[]/]' '{ n += $2 } END { print n + 0 }'
}

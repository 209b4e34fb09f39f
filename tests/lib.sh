# Helpers for the tests; every test sources this file.  tests/README.md explains how to write one.
# shellcheck shell=bash
#
# A helper that creates something also registers its undo, so tests have no clean-up code.
# Helpers wait for conditions, never for a fixed time.  Times are in seconds under KVM;
# emulation multiplies them by TIME_SCALE.

# shellcheck disable=SC2034
DESCRIPTION=
# shellcheck disable=SC2034
TIMEOUT=30
# vm: in the virtual machine.  root: on the host, once per kernel, with the kernel's name in
# KERNEL.  host: on the host, once.
# shellcheck disable=SC2034
WHERE=vm
# CPUs of the virtual machine.  Tests for races need two.  Emulated CPUs also wait for each
# other in the emulator, so two CPUs more than double the cost.
# shellcheck disable=SC2034
CPUS=1

TIME_SCALE=${TIME_SCALE:-1}
# tests/one-test sets the directory in which a test leaves its log and its files for the runner.
DIR=${DIR:-$PWD}
SKIP_REASONS=()
UNDO=()
# Targets of the links in /dev/mapper.
declare -A DM_DEVICE=()

requires() {
	:
}

# ---------------------------------------------------------------------------
# Requirements, for requires().  Each missing item becomes a reason for the skip.

have_program() {
	command -v "$1" >/dev/null || SKIP_REASONS+=("no program $1")
}

have_module() {
	modprobe --quiet --dry-run "$1" || SKIP_REASONS+=("no kernel module $1")
}

kernel_older_than() {
	[[ $(printf '%s\n' "$1" "$(uname -r)" | sort --version-sort | tail -n 1) == "$1" ]]
}

# ---------------------------------------------------------------------------
# Results.

# fail <line>...: fail the test; the runner shows these lines.
fail() {
	printf '%s\n' "$@" | tee -a "$DIR/reason"
	exit 1
}

# skip <reason>
skip() {
	printf '%s\n' "$*" >"$DIR/skip"
	exit 77
}

# assert_equal <what> <expected> <got>
assert_equal() {
	[[ $3 == "$2" ]] || fail "expected: $1 = $2" "got:      $3"
}

# assert_match <what> <extended regular expression> <got>
assert_match() {
	[[ $3 =~ $2 ]] || fail "expected: $1 matches $2" "got:      $3"
}

# assert_fails <command>...
assert_fails() {
	! "$@" || fail "expected: '$*' fails" "got:      it succeeds"
}

# wait_for [seconds] <command>...: wait until the command succeeds, 10 s by default.  On timeout,
# fail and show what the command printed.
wait_for() {
	local - limit=10 got began=$SECONDS
	set +x
	if [[ $1 =~ ^[0-9]+$ ]]; then
		limit=$1
		shift
	fi
	limit=$((limit * TIME_SCALE))

	until got=$("$@" 2>&1); do
		((SECONDS - began < limit)) ||
			fail "expected: $*" "got:      $got   (waited $((SECONDS - began)) s)"
		nap
	done
}

# Sleep a tenth of a second.  Starting a program such as sleep is expensive in emulation.
exec {NAP}<> <(:)
nap() {
	read -r -t 0.1 -u "$NAP" _ || :
}

# last <seconds>: sleep.  Only for tests of time itself.
last() {
	last_until $((${EPOCHREALTIME/./} + $1 * 1000000))
}

# last_until <µs since 1970>
last_until() {
	local -
	set +x
	while ((${EPOCHREALTIME/./} < $1)); do
		nap
	done
}

# Predicates for wait_for.  Each prints the value that it compares.

# equals <expected> <command>...
equals() {
	local expected=$1 got
	shift
	got=$("$@") || :
	echo "$got"
	[[ $got == "$expected" ]]
}

# matches <extended regular expression> <command>...
matches() {
	local pattern=$1 got
	shift
	got=$("$@") || :
	echo "$got"
	[[ $got =~ $pattern ]]
}

# at_least <number> <command>...
at_least() {
	local expected=$1 got
	shift
	got=$("$@") || got=0
	echo "$got"
	((got >= expected))
}

gone() {
	[[ ! -e $1 ]] || { echo "$1 is there"; return 1; }
}

there() {
	[[ -e $1 ]] || { echo "no $1"; return 1; }
}

# Print this module's kernel log lines since the test began.
kernel_log() {
	dmesg | awk '/ md-multipath test / { words = "" }
		/md\/multipath/ { words = words $0 "\n" }
		END { printf "%s", words }'
}

# lines_about <extended regular expression>: print the number of the module's log lines.
lines_about() {
	kernel_log | grep --count --extended-regexp "$1" || :
}

# Run a command and print its output only if it fails.
run_quietly() {
	local output
	output=$("$@" 2>&1) || {
		local status=$?
		printf '%s\n' "'$*' ended with $status:" "$output"
		return "$status"
	}
}

# defer <command>...: run a command when the test ends, whatever its result.  The last command
# deferred runs first.
defer() {
	UNDO=("$(printf '%q ' "$@")" "${UNDO[@]}")
}

# Called by tests/one-test.
run_deferred() {
	local command failed=0
	for command in "${UNDO[@]}"; do
		# In a subshell: a helper that fails calls exit.
		(eval "$command") || {
			echo "undo failed: $command" | tee -a "$DIR/reason"
			failed=1
		}
	done
	return "$failed"
}

# ---------------------------------------------------------------------------
# Paths: several block devices that lead to one disk.  PATHS has their names.

# mib <size>: print a size in MiB.  The size is 64M, 1G or a number of MiB.
mib() {
	case $1 in
	*G)	echo $((${1%G} * 1024)) ;;
	*M)	echo "${1%M}" ;;
	*)	echo "$1" ;;
	esac
}

# Install the package's udev rules that add paths and start arrays, and the programs that they call.
install_assembly_rules() {
	local rules=/run/udev/rules.d lib=/usr/lib/md-multipath
	defer control_udevd --reload
	defer rm -r "$lib" "$rules"/{63-md-multipath-before-mdadm,65-md-multipath,66-md-multipath-names}.rules
	mkdir -p "$lib"
	cp packaging/{hidden-paths,path-came,set-timeouts} "$lib"
	cp packaging/md-multipath-before-mdadm.rules "$rules/63-md-multipath-before-mdadm.rules"
	cp packaging/md-multipath.rules "$rules/65-md-multipath.rules"
	cp packaging/md-multipath-names.rules "$rules/66-md-multipath-names.rules"
	control_udevd --reload
}

# ask_udevd <argument of udevadm>...: udevd sometimes closes the connection instead of answering; the next
# attempt then succeeds.
ask_udevd() {
	local try
	for try in 1 2 3; do
		! udevadm "$@" || return 0
		last 1
	done
	return 1
}

# control_udevd <option of udevadm control>: send the message twice.  udevd ignores one that arrives between
# its accept() and its setsockopt(SO_PASSCRED), and udevadm then succeeds.  Both are hardly ever lost.
control_udevd() {
	ask_udevd control "$1" && ask_udevd control "$1"
}

wait_for_udev() {
	# The driver sends uevents 50 ms after the change.
	last_until $((${EPOCHREALTIME/./} + 100000))
	ask_udevd settle --timeout=$((20 * TIME_SCALE)) && return
	echo "udev did not settle, or does not respond" >>"$DIR/reason"
	return 1
}

# mount_on <device or LABEL=...>: mount it on WORK/mnt until the test ends
mount_on() {
	mkdir -p "$WORK/mnt"
	defer unmount
	mount "$1" "$WORK/mnt"
}

# unmount [directory]: WORK/mnt by default
unmount() {
	local dir=${1:-$WORK/mnt}
	! mountpoint --quiet "$dir" || wait_for run_quietly umount "$dir"
}

mount_configfs() {
	mountpoint --quiet /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
}

# Removal can fail for a moment, while udev or a program that is closing still holds a device.  udev must not
# open a disk meanwhile: in 6.1, once the first device of a SCSI driver that is being removed has gone,
# another one can be opened without a reference to the module, and closing it crashes the kernel
# (scsi_device_dev_release() sets the module to NULL).
remove_module() {
	is_loaded "$1" || return 0
	[[ $1 != scsi_debug ]] || wait_for_udev
	wait_for run_quietly modprobe --remove "$1"
}

is_loaded() {
	[[ -d /sys/module/${1//-/_} ]]
}

# Print the file of the kernel's own driver for this level, if any.  Only 6.1 has one.
in_tree_driver() {
	find "/lib/modules/$(uname --kernel-release)/kernel/drivers/md" -name 'multipath.ko*'
}

# Load the kernel's own driver instead of ours.
insert_in_tree() {
	remove_module multipath
	modprobe md_mod
	insmod "$(in_tree_driver)"
}

# make_paths <n> <size> [scsi_debug option=value]...: create n SCSI disks on n hosts.  They share
# one store and one identity.  Where the kernel has no scsi_debug, LIO makes them, without options.
make_paths() {
	if [[ $# -gt 2 ]] || has_scsi_debug; then
		make_debug_paths "$@"
	else
		# shellcheck source=tests/lio-lib.sh
		. tests/lio-lib.sh
		make_lio_paths "$@"
	fi
}

# make_debug_paths <n> <size> [scsi_debug option=value]...: the same, for a test that controls
# scsi_debug
make_debug_paths() {
	local number=$1 size=$2
	shift 2

	has_scsi_debug || skip "this kernel has no scsi_debug"
	is_loaded sd_mod || modprobe sd_mod
	defer remove_module scsi_debug
	modprobe scsi_debug add_host="$number" per_host_store=0 vpd_use_hostno=0 \
		dev_size_mb="$(mib "$size")" delay=0 "$@"
	wait_for at_least "$number" count_scsi_debug_disks
	wait_for_udev
	mapfile -t PATHS < <(scsi_debug_disks)
	assert_equal "number of paths" "$number" "${#PATHS[@]}"
}

# All of Debian's kernels for amd64 have it.
has_scsi_debug() {
	[[ $(uname --machine) == x86_64 ]] || modinfo scsi_debug >/dev/null 2>&1
}

# Print the disks in the order of their adapters, so that PATHS[0] is on the first host.
scsi_debug_disks() {
	local disk
	for disk in /sys/bus/pseudo/devices/adapter*/host*/target*/*/block/*; do
		[[ ! -e $disk ]] || printf '%s /dev/%s\n' "$disk" "${disk##*/}"
	done | sort --version-sort | cut --delimiter=' ' --fields=2
}

count_scsi_debug_disks() {
	scsi_debug_disks | wc --lines
}

# The device under the dm paths.
DM_STORE=/dev/ram0

# make_ram_disks <n> <size>: create /dev/ram0 and following.
make_ram_disks() {
	defer remove_module brd
	modprobe brd rd_nr="$1" rd_size=$(($(mib "$2") * 1024)) max_part=0
	wait_for there "/dev/ram$(($1 - 1))"
}

# make_dm_paths <n> <size>: create n dm-linear devices over one RAM disk, for tests that load
# error tables or hang a path.  They have no unique ID.
make_dm_paths() {
	make_ram_disks 1 "$2"
	DM_STORE=/dev/ram0
	make_dm_paths_over_store "$1"
}

# make_dm_paths_over_store <n>: create n dm-linear devices over DM_STORE.
make_dm_paths_over_store() {
	local i tables=()
	for ((i = 0; i < $1; i++)); do
		tables+=("linear $DM_STORE 0")
	done
	make_dm_targets "${tables[@]}"
}

# make_dm_targets <target>...: create one dm device per target, each as large as DM_STORE.
make_dm_targets() {
	local path sectors target

	sectors=$(blockdev --getsz "$DM_STORE")
	PATHS=()
	for target; do
		path=path${#PATHS[@]}
		defer remove_dm "$path"
		dmsetup create "$path" --table "0 $sectors $target"
		PATHS+=("/dev/mapper/$path")
	done
	wait_for_udev
	for path in "${PATHS[@]}"; do
		DM_DEVICE[$path]=$(readlink --canonicalize "$path")
	done
}

remove_dm() {
	[[ ! -e /dev/mapper/$1 ]] || {
		dmsetup resume --noudevsync "$1"
		wait_for run_quietly dmsetup remove "$1"
	}
}

is_dm() {
	[[ $1 == /dev/mapper/* ]]
}

# Print the kernel's name for a device: sda, dm-0, md0.
name_of() {
	local device=${DM_DEVICE[$1]:-$1}
	[[ ! -L $device ]] || device=$(readlink --canonicalize "$1")
	echo "${device##*/}"
}

# swap_table <dm name> <table>: replace a table under I/O.  Without --nolockfs, freezing a file
# system would write to the path.
swap_table() {
	dmsetup load "$1" --table "$2"
	dmsetup suspend --nolockfs "$1"
	dmsetup resume --noudevsync "$1"
}

# resize_path <dm path> <sectors>: change the size that the kernel reports, as a rescan does.
resize_path() {
	swap_table "${1##*/}" "0 $2 linear $DM_STORE 0"
}

# pull_path <path>: make all I/O to a path fail.
pull_path() {
	if is_dm "$1"; then
		swap_table "${1##*/}" "0 $(blockdev --getsz "$1") error"
	else
		echo offline >"/sys/block/$(name_of "$1")/device/state"
	fi
}

plug_path() {
	if is_dm "$1"; then
		resize_path "$1" "$(blockdev --getsz "$1")"
	else
		echo running >"/sys/block/$(name_of "$1")/device/state"
	fi
}

# break_sectors <dm path> <first> <number>: make I/O to these sectors fail with an I/O error.
break_sectors() {
	local size before=
	size=$(blockdev --getsz "$1")
	[[ $2 -eq 0 ]] || before="0 $2 linear $DM_STORE 0"
	swap_table "${1##*/}" "$before
		$2 $3 error
		$(($2 + $3)) $((size - $2 - $3)) linear $DM_STORE $(($2 + $3))"
}

# hang_path <dm path>: hold all I/O to a path without completing it, until release_path.
hang_path() {
	defer release_path "$1"
	dmsetup suspend --nolockfs --noflush "${1##*/}"
}

release_path() {
	dmsetup resume --noudevsync "${1##*/}"
}

# ---------------------------------------------------------------------------
# Arrays.  MD is the array's device.

# create_array [mdadm option]... <path>...: create MD, by default /dev/md0, with --build.  If the
# first option is --create, use that instead, with metadata METADATA or 1.2.
create_array() {
	local mode=(--build) options=()

	case $1 in
	--build)	shift ;;
	--create)
		shift
		mode=(--create --run --metadata="${METADATA:-1.2}")
		# Since 6.8, md core accepts such superblocks only while the module is loaded.
		modprobe multipath ;;
	esac
	while [[ $1 == -* ]]; do
		options+=("$1")
		shift
	done

	MD=${MD:-/dev/md0}
	defer stop_array "$MD"
	run_quietly mdadm "${mode[0]}" "$MD" --level=multipath --raid-devices=$# \
		"${mode[@]:1}" "${options[@]}" "$@"
	wait_for there "/sys/block/${MD##*/}/md"
	wait_for_udev
}

# A program that opens the device file while the array disappears makes md create an empty array of this
# name: stop that one, too.
is_stopped() {
	local dir=/sys/block/${1##*/}/md
	[[ $(cat "$dir/array_state" 2>&1) != clear ]] || run_quietly mdadm --stop "$1"
	gone "$dir"
}

# Does nothing if the test has already stopped the array.
stop_array() {
	local md=${1:-$MD}
	[[ -e /sys/block/${md##*/}/md ]] || return 0
	wait_for_udev
	wait_for run_quietly mdadm --stop "$md"
	wait_for is_stopped "$md"
}

stop_all_arrays() {
	local md
	for md in /sys/block/md*; do
		[[ ! -e $md ]] || stop_array "/dev/${md##*/}"
	done
}

# Print the array's lines of /proc/mdstat as one line.
mdstat_line() {
	local md=${1:-$MD}
	awk -v name="${md##*/}" '
		$1 == name	{ on = 1 }
		on && NF == 0	{ exit }
		on		{ $1 = $1; printf "%s%s", sep, $0; sep = " " }
	' /proc/mdstat
}

# Print the UUID of an array with superblocks, in the format of mdadm.conf.
uuid_of_array() {
	mdadm --detail --export "$MD" | sed --quiet 's/^MD_UUID=//p'
}

# Print the path that md core writes the superblock through, up to 6.7.  Later kernels write it
# through all paths.
first_in_mdstat() {
	local path
	for path in "${PATHS[@]}"; do
		[[ $(mdstat_line) != *" multipath $(name_of "$path")["* ]] || echo "$path"
	done
}

# Print m of the [n/m] in /proc/mdstat.
active_paths() {
	mdstat_line "$1" | sed --quiet 's/.*\[[0-9]*\/\([0-9]*\)\].*/\1/p'
}

# assert_active_paths <md> <expected>: wait until the array has this number of active paths.
assert_active_paths() {
	wait_for equals "$2" active_paths "$1"
}

# path_state <path> [flag]: print md's flags of a path, such as in_sync,write_mostly.  With a
# flag, succeed only if the path has that flag.
path_state() {
	local state=
	read -r state 2>/dev/null <"/sys/block/${MD##*/}/md/dev-$(name_of "$1")/state" || :
	state=${state:-absent}
	echo "$state"
	[[ $# -eq 1 || ,$state, == *,"$2",* ]]
}

# Print the unique ID of a SCSI disk, as the kernel has cached it: naa.33333330000007d0
id_of() {
	cat "/sys/block/$(name_of "$1")/device/wwid"
}

# Print one column of /sys/block/*/stat, by name.
# io_count <device> <reads|read_sectors|writes|write_sectors|in_flight|...>
io_count() {
	local names=(reads read_merges read_sectors read_ms
		writes write_merges write_sectors write_ms in_flight busy_ms weighted_ms
		discards discard_merges discard_sectors discard_ms flushes flush_ms)
	local values i
	read -r -a values <"/sys/block/$(name_of "$1")/stat"
	for i in "${!names[@]}"; do
		[[ ${names[i]} != "$2" ]] || echo "${values[i]}"
	done
}

# trace_block <event>: trace an event of the block layer until the test ends.
trace_block() {
	defer disable_trace "$1"
	echo >/sys/kernel/tracing/trace
	echo 1 >"/sys/kernel/tracing/events/block/$1/enable"
}

disable_trace() {
	echo 0 >"/sys/kernel/tracing/events/block/$1/enable"
}

# traced <extended regular expression>: print the number of matching trace lines.
traced() {
	grep --count --extended-regexp "$1" /sys/kernel/tracing/trace || :
}

# Print a device's number as in the block layer's trace events: 8,0.
number_of() {
	tr : , <"/sys/block/$(name_of "$1")/dev"
}

# tries <path>: print how many bios the array sent to a path since trace_block block_bio_remap.
tries() {
	traced "block_bio_remap: $(number_of "$1") .* <- \($(number_of "$MD")\)"
}

# columns <name of a path, or all> <column>...: print these columns of md/paths, a line per path.
columns() {
	awk -v path="$1" -v names="${*:2}" '
		NR == 1 {
			for (i = 1; i <= NF; i++)
				at[$i] = i
			number = split(names, name, " ")
			next
		}
		path == "all" || $at["path"] == path {
			for (i = 1; i <= number; i++)
				printf "%s%s", $at[name[i]], i < number ? " " : "\n"
		}
	' "/sys/block/${MD##*/}/md/paths"
}

# column_of <path> <column>: from the path's line in md/paths
column_of() {
	columns "$(name_of "$1")" "$2"
}

# Print how often the array's paths have failed and were reinstated, from md/paths.
failures_and_reinstatements() {
	columns all failures reinstatements | awk '{ f += $1; r += $2 } END { print f + 0, r + 0 }'
}

# Print the number of a path's SCSI host.
host_of() {
	local address
	address=$(readlink --canonicalize "/sys/block/$(name_of "$1")/device")
	address=${address##*/}
	echo "${address%%:*}"
}

# in_md <attribute> <value>: write to one of the array's sysfs files.
in_md() {
	echo "$2" >"/sys/block/${MD##*/}/md/$1"
}

# in_path <path> <attribute> <value>: write to one of a path's sysfs files.
in_path() {
	in_md "dev-$(name_of "$1")/$2" "$3"
}

# set_tunable <name> <value>
set_tunable() {
	in_md "$1" "$2"
}

# prefer_path <path>: send I/O to this path, by making all other paths write-mostly.
prefer_path() {
	local path flag
	for path in "${PATHS[@]}"; do
		flag=writemostly
		[[ $path != "$1" ]] || flag=-writemostly
		in_path "$path" state "$flag"
	done
}

# Prevent reinstatement by probes, for errors that probes do not encounter or that last only
# a moment.
prevent_reinstatement() {
	set_tunable probe_interval 3600
}

# Repair a failed path and reinstate it immediately instead of at the next probe.
reinstate_path() {
	plug_path "$1"
	wait_for reinstated "$1"
}

# While a probe of the path is in flight, a write to reinstate only takes effect if that probe
# fails.
reinstated() {
	path_state "$1" in_sync || { in_md reinstate "$(name_of "$1")" && path_state "$1" in_sync; }
}

# Under I/O, pull each path in turn and reinstate it.
pull_each_path() {
	local path
	for path in "${PATHS[@]}"; do
		prefer_path "$path"
		pull_path "$path"
		wait_for path_state "$path" faulty
		wait_for_io 200
		reinstate_path "$path"
		wait_for_io 200
	done
}

# ---------------------------------------------------------------------------
# Verified I/O.

# read_block [number]: read one block of the array with direct I/O.
read_block() {
	dd if="$MD" of=/dev/null bs=4k skip="${1:-0}" count=1 iflag=direct status=none
}

# Write the array's first block.  The data is zeroes, so an empty disk stays unchanged.
write_block() {
	dd if=/dev/zero of="$MD" bs=4k count=1 oflag=direct status=none
}

# read_nowait <device>: read one block; fail instead of waiting.
read_nowait() {
	fio --name=nowait --filename="$1" --direct=1 --ioengine=pvsync2 --nowait=1 \
		--rw=read --bs=4k --number_ios=1 --size=4k --thread --aux-path="$WORK"
}

# start_verified_io <rw> <engine> [fio option]...: run fio on MD in the background, round after
# round over the first MiB (or --size), until finish_verified_io.  fio reads back and compares
# every block.  Any error stops fio; the next wait_for_io or finish_verified_io then fails.
start_verified_io() {
	local rw=$1 options
	# The rate limit leaves CPU time for the test itself.
	options=(--name=verified --filename="$MD" --direct=1 --ioengine="$2" --iodepth=8 --rate_iops=1000
		--bs=4k --size=1M --verify=crc32c --verify_fatal=1 --verify_state_save=0
		--thread --aux-path="$WORK" "${@:3}")

	rm -f "$WORK/enough"
	defer end_verified_io
	# Verified reads need data to compare with, so write it once.
	[[ $rw != *read ]] || run_quietly fio "${options[@]}" --rw=write --do_verify=0
	verified_rounds "${options[@]}" --rw="$rw" >"$WORK/fio.log" 2>&1 &
	FIO=$!
	wait_for_io 1
}

# fio ends early and reports success despite --loops or --time_based: after one round of verified
# reads, and after some rounds of mixed verified I/O.
verified_rounds() {
	until [[ -e $WORK/enough ]]; do
		fio "$@" --loops=1000000 || stop_was_requested $? || return
	done
}

# fio exits with 128 on a signal, or is killed (143) if it is still starting.  fio's own trigger
# file is not reliable: fio does not always check it.
stop_was_requested() {
	[[ -e $WORK/enough && $1 == @(128|143) ]] || return "$1"
}

stop_fio() {
	touch "$WORK/enough"
	pkill --parent "$FIO" || :
}

# wait_for_io <n>: wait until the paths have received n more I/Os.
wait_for_io() {
	local path files=() before
	for path in "${PATHS[@]}"; do
		files+=("/sys/block/$(name_of "$path")/stat")
	done
	before=$(ios_in "${files[@]}")
	wait_for 30 io_reached $((before + $1)) "${files[@]}"
	is_running "$FIO" || finish_fio
}

# Print the sum of reads and writes in these stat files; a path's file may be missing.  Uses only
# built-ins, because it runs often and fio leaves little CPU time.
ios_in() {
	local file values sum=0
	for file in "$@"; do
		{ read -r -a values <"$file"; } 2>/dev/null || continue
		sum=$((sum + values[0] + values[4]))
	done
	echo "$sum"
}

# io_reached <n> <stat file>...
io_reached() {
	local sum
	sum=$(ios_in "${@:2}")
	echo "$sum"
	! is_running "$FIO" || ((sum >= $1))
}

# finish_verified_io [number of I/Os]: after two more rounds over all blocks (256 writes and 256
# reads each) or this number of I/Os, stop fio.  So data written during a fault is read back
# after it.
finish_verified_io() {
	wait_for_io "${1:-1024}"
	stop_fio
	finish_fio
}

finish_fio() {
	local status=0
	wait "$FIO" || status=$?
	FIO=
	cat "$WORK/fio.log"
	[[ $status -eq 0 && -e $WORK/enough ]] ||
		fail "expected: verified I/O without errors, until stopped" \
			"got:      fio ended with $status" \
			"$(grep -E '^fio:|^verify:|err= *[1-9]' "$WORK/fio.log" | head -n 4)"
}

end_verified_io() {
	[[ -n ${FIO:-} ]] && is_running "$FIO" || return 0
	stop_fio
	wait_for not_running "$FIO"
}

# end_program <process>: end one of our background processes.
end_program() {
	kill "$1" 2>/dev/null || :
	wait_for not_running "$1"
}

is_running() {
	kill -0 "$1" 2>/dev/null
}

not_running() {
	! is_running "$1"
}

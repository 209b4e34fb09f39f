# Sourced by every test: the helpers.  tests/README.md says what a test is.
# shellcheck shell=bash
#
# A helper that makes something also registers its undo, so that a test has no
# clean-up of its own.  Nothing here waits for time: it waits for conditions.
# Seconds are seconds under KVM, and TIME_SCALE times longer under emulation.

# shellcheck disable=SC2034
DESCRIPTION=
# shellcheck disable=SC2034
TIMEOUT=30
# vm: in the virtual machine.  root: on the host, once per kernel (KERNEL names
# it).  host: on the host, once.
# shellcheck disable=SC2034
WHERE=vm
# Of the virtual machine.  Two where races are what is tested: as emulated CPUs wait for
# each other, and not only in their guest, that costs more than twice as much.
# shellcheck disable=SC2034
CPUS=1

TIME_SCALE=${TIME_SCALE:-1}
# Notes for the runner; tests/one-test sets the folder.
FOLDER=${FOLDER:-$PWD}
SKIP_REASONS=()
UNDO=()
# Where the links of /dev/mapper lead.
declare -A DM_DEVICE=()

requires() {
	:
}

# ---------------------------------------------------------------------------
# Requirements, for requires(): what is missing becomes the reason of the skip.

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
# Verdicts.

# fail <line>...: the lines are shown with the verdict.
fail() {
	printf '%s\n' "$@" | tee -a "$FOLDER/reason"
	exit 1
}

# skip <reason>
skip() {
	printf '%s\n' "$*" >"$FOLDER/skip"
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

# wait_for [seconds] <command>...: until the command succeeds.  What it prints is
# shown as what we got when it does not in time (10 s unless told).
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

# A tenth of a second, without a program to start: those are dear in emulation.
exec {NAP}<> <(:)
nap() {
	read -r -t 0.1 -u "$NAP" _ || :
}

# last <seconds>: only where the time is what is tested.
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

# Predicates for wait_for; each prints what it sees.

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

# What the kernel said since the test began, of this module.
kernel_words() {
	dmesg | awk '/ md-multipath test / { words = "" }
		/md\/multipath/ { words = words $0 "\n" }
		END { printf "%s", words }'
}

# Run a command whose output matters only when it fails.
run_quietly() {
	local output
	output=$("$@" 2>&1) || {
		local status=$?
		printf '%s\n' "'$*' ended with $status:" "$output"
		return "$status"
	}
}

# defer <command>...: do it when the test ends, however it ends; last come, first
# served.
defer() {
	UNDO=("$(printf '%q ' "$@")" "${UNDO[@]}")
}

# Called by tests/one-test.
run_deferred() {
	local command failed=0
	for command in "${UNDO[@]}"; do
		# In a subshell of its own, as what fails there calls exit.
		(eval "$command") || {
			echo "undo failed: $command" | tee -a "$FOLDER/reason"
			failed=1
		}
	done
	return "$failed"
}

# ---------------------------------------------------------------------------
# Paths: several block devices that are one disk.  PATHS has their names.

# A size as MiB: 64M, 1G or a number of MiB.
mib() {
	case $1 in
	*G)	echo $((${1%G} * 1024)) ;;
	*M)	echo "${1%M}" ;;
	*)	echo "$1" ;;
	esac
}

# udevd has been seen to hang up on who asks, and to answer the next time.
wait_for_udev() {
	local try
	for try in 1 2 3; do
		! udevadm settle --timeout=$((20 * TIME_SCALE)) || return 0
		last 1
	done
	echo "udev did not settle, or does not answer" >>"$FOLDER/reason"
	return 1
}

mount_configfs() {
	mountpoint --quiet /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
}

# A device that udev or a closing program still holds is free in a moment.
remove_module() {
	! is_loaded "$1" || wait_for run_quietly modprobe --remove "$1"
}

is_loaded() {
	[[ -d /sys/module/${1//-/_} ]]
}

version_of_sources() {
	sed --quiet 's/^#define MP_VERSION[[:space:]]*"\(.*\)"$/\1/p' multipath.c
}

# The kernel's own driver of this level; only 6.1 has one.
in_tree_driver() {
	find "/lib/modules/$(uname --kernel-release)/kernel/drivers/md" -name 'multipath.ko*'
}

# Instead of ours.
insert_in_tree() {
	remove_module multipath
	modprobe md_mod
	insmod "$(in_tree_driver)"
}

# make_paths <n> <size> [scsi_debug option=value]...: n SCSI disks on n hosts over
# one store, with one identity.
make_paths() {
	local number=$1 size=$2
	shift 2

	is_loaded sd_mod || modprobe sd_mod
	defer remove_module scsi_debug
	modprobe scsi_debug add_host="$number" per_host_store=0 vpd_use_hostno=0 \
		dev_size_mb="$(mib "$size")" delay=0 "$@"
	wait_for at_least "$number" count_scsi_debug_disks
	wait_for_udev
	mapfile -t PATHS < <(scsi_debug_disks)
	assert_equal "number of paths" "$number" "${#PATHS[@]}"
}

# By adapter, so that PATHS[0] is on the first host.
scsi_debug_disks() {
	local disk
	for disk in /sys/bus/pseudo/devices/adapter*/host*/target*/*/block/*; do
		[[ ! -e $disk ]] || printf '%s /dev/%s\n' "$disk" "${disk##*/}"
	done | sort --version-sort | cut --delimiter=' ' --fields=2
}

count_scsi_debug_disks() {
	scsi_debug_disks | wc --lines
}

# What dm paths lead to.
DM_STORE=/dev/ram0

# make_ram_disks <n> <size>: /dev/ram0 and on
make_ram_disks() {
	defer remove_module brd
	modprobe brd rd_nr="$1" rd_size=$(($(mib "$2") * 1024)) max_part=0
	wait_for there "/dev/ram$(($1 - 1))"
}

# make_dm_paths <n> <size>: n dm-linear devices over one RAM disk, for error
# tables and for hangs.  They have no identity.
make_dm_paths() {
	make_ram_disks 1 "$2"
	DM_STORE=/dev/ram0
	lay_dm_paths "$1"
}

# lay_dm_paths <n>: n dm-linear devices over DM_STORE, whatever it is.
lay_dm_paths() {
	local i tables=()
	for ((i = 0; i < $1; i++)); do
		tables+=("linear $DM_STORE 0")
	done
	lay_dm_targets "${tables[@]}"
}

# lay_dm_targets <target>...: a device each, of the size of DM_STORE
lay_dm_targets() {
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

# The kernel's name of a device: sda, dm-0, md0.
name_of() {
	local device=${DM_DEVICE[$1]:-$1}
	[[ ! -L $device ]] || device=$(readlink --canonicalize "$1")
	echo "${device##*/}"
}

# swap_table <dm name> <table>: under I/O.  --nolockfs: freezing a file system
# would write to the path.
swap_table() {
	dmsetup load "$1" --table "$2"
	dmsetup suspend --nolockfs "$1"
	dmsetup resume --noudevsync "$1"
}

# resize_path <dm path> <sectors>: what the kernel knows after a rescan
resize_path() {
	swap_table "${1##*/}" "0 $2 linear $DM_STORE 0"
}

# pull_path <path>: every I/O to it fails from now on.
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

# break_sectors <dm path> <first> <number>: I/O to these ends with an I/O error
break_sectors() {
	local size before=
	size=$(blockdev --getsz "$1")
	[[ $2 -eq 0 ]] || before="0 $2 linear $DM_STORE 0"
	swap_table "${1##*/}" "$before
		$2 $3 error
		$(($2 + $3)) $((size - $2 - $3)) linear $DM_STORE $(($2 + $3))"
}

# hang_path <dm path>: I/O to it gets no answer, until release_path.
hang_path() {
	defer release_path "$1"
	dmsetup suspend --nolockfs --noflush "${1##*/}"
}

release_path() {
	dmsetup resume --noudevsync "${1##*/}"
}

# ---------------------------------------------------------------------------
# Arrays.  MD is the array's device.

# create_array [mdadm option]... <path>...: as MD, or as /dev/md0.  --build unless
# --create is the first option; then with METADATA, or 1.2.
create_array() {
	local mode=(--build) options=()

	case $1 in
	--build)	shift ;;
	--create)
		shift
		mode=(--create --run --metadata="${METADATA:-1.2}")
		# From 6.8 on md core has to be told of such superblocks before it sees one.
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

# Also for an array that a test has stopped already.
stop_array() {
	local md=${1:-$MD}
	[[ -e /sys/block/${md##*/}/md ]] || return 0
	wait_for_udev
	wait_for run_quietly mdadm --stop "$md"
	wait_for gone "/sys/block/${md##*/}/md"
}

# The array's lines in /proc/mdstat, on one line.
mdstat_line() {
	local md=${1:-$MD}
	awk -v name="${md##*/}" '
		$1 == name	{ on = 1 }
		on && NF == 0	{ exit }
		on		{ $1 = $1; printf "%s%s", sep, $0; sep = " " }
	' /proc/mdstat
}

# Of one with superblocks, as mdadm.conf has it.
uuid_of_array() {
	mdadm --detail --export "$MD" | sed --quiet 's/^MD_UUID=//p'
}

# The path that md core writes the superblock to, up to 6.7; later it writes to all.
first_in_mdstat() {
	local path
	for path in "${PATHS[@]}"; do
		[[ $(mdstat_line) != *" multipath $(name_of "$path")["* ]] || echo "$path"
	done
}

# The m of [n/m].
active_paths() {
	mdstat_line "$1" | sed --quiet 's/.*\[[0-9]*\/\([0-9]*\)\].*/\1/p'
}

# assert_active_paths <md> <expected>: at once or in a moment.
assert_active_paths() {
	wait_for equals "$2" active_paths "$1"
}

# path_state <path> [flag]: md's flags of a path, as in in_sync,write_mostly; with
# a flag, whether it has that one.
path_state() {
	local state=
	read -r state 2>/dev/null <"/sys/block/${MD##*/}/md/dev-$(name_of "$1")/state" || :
	state=${state:-absent}
	echo "$state"
	[[ $# -eq 1 || ,$state, == *,"$2",* ]]
}

# The id of a SCSI disk, as the kernel knows it: naa.33333330000007d0
id_of() {
	cat "/sys/block/$(name_of "$1")/device/wwid"
}

# A column of /sys/block/*/stat by its name.
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

# trace_block <event>: note what the block layer does, until the test ends.
trace_block() {
	defer disable_trace "$1"
	echo >/sys/kernel/tracing/trace
	echo 1 >"/sys/kernel/tracing/events/block/$1/enable"
}

disable_trace() {
	echo 0 >"/sys/kernel/tracing/events/block/$1/enable"
}

# traced <extended regular expression>: number of notes that match.
traced() {
	grep --count --extended-regexp "$1" /sys/kernel/tracing/trace || :
}

# The number of a device as the block layer's notes have it: 8,0.
number_of() {
	tr : , <"/sys/block/$(name_of "$1")/dev"
}

# tries <path>: how often the array sent it something, since trace_block block_bio_remap
tries() {
	traced "block_bio_remap: $(number_of "$1") .* <- \($(number_of "$MD")\)"
}

# in_md <attribute> <value>: write to one of the array's files in sysfs.
in_md() {
	echo "$2" >"/sys/block/${MD##*/}/md/$1"
}

# in_path <path> <attribute> <value>: to one of a path's files there.
in_path() {
	in_md "dev-$(name_of "$1")/$2" "$3"
}

# set_tunable <name> <value>
set_tunable() {
	in_md "$1" "$2"
}

# prefer_path <path>: all others are write-mostly, so I/O goes to this one.
prefer_path() {
	local path flag
	for path in "${PATHS[@]}"; do
		flag=writemostly
		[[ $path != "$1" ]] || flag=-writemostly
		in_path "$path" state "$flag"
	done
}

# What has failed stays so, until it is brought back: for errors that last a moment,
# or that no probe meets.
keep_failed_paths_out() {
	set_tunable probe_interval 3600
}

# Make a path that has failed work again, without waiting until it is probed.
bring_back() {
	plug_path "$1"
	wait_for reinstated "$1"
}

# A path that is probed at this moment is reinstated only when that has failed.
reinstated() {
	path_state "$1" in_sync || { in_md reinstate "$(name_of "$1")" && path_state "$1" in_sync; }
}

# Pull each path in turn while I/O goes over it, and bring it back.
pull_each_path() {
	local path
	for path in "${PATHS[@]}"; do
		prefer_path "$path"
		pull_path "$path"
		wait_for path_state "$path" faulty
		wait_for_io 200
		bring_back "$path"
		wait_for_io 200
	done
}

# ---------------------------------------------------------------------------
# I/O that knows what it should read.

# read_block [number]: of the array, past the page cache
read_block() {
	dd if="$MD" of=/dev/null bs=4k skip="${1:-0}" count=1 iflag=direct status=none
}

# The array's first block, which was empty
write_block() {
	dd if=/dev/zero of="$MD" bs=4k count=1 oflag=direct status=none
}

# read_nowait <device>: one block, unless the device would have to wait for something
read_nowait() {
	fio --name=nowait --filename="$1" --direct=1 --ioengine=pvsync2 --nowait=1 \
		--rw=read --bs=4k --number_ios=1 --size=4k --thread --aux-path="$WORK"
}

# start_verified_io <rw> <engine> [fio option]...: fio on MD, in the background,
# round after round over the first MiB (or --size), every block read back and
# compared, until finish_verified_io.  Any error ends it, and fails the test there.
start_verified_io() {
	local rw=$1 options
	# The rate leaves some time for the test itself.
	options=(--name=verified --filename="$MD" --direct=1 --ioengine="$2" --iodepth=8 --rate_iops=1000
		--bs=4k --size=1M --verify=crc32c --verify_fatal=1 --verify_state_save=0
		--thread --aux-path="$WORK" "${@:3}")

	rm -f "$WORK/enough"
	defer end_verified_io
	# What reads are compared with has to be written once.
	[[ $rw != *read ]] || run_quietly fio "${options[@]}" --rw=write --do_verify=0
	verified_rounds "${options[@]}" --rw="$rw" >"$WORK/fio.log" 2>&1 &
	FIO=$!
	wait_for_io 1
}

# fio ends early, with success, whatever --loops or --time_based say: after one
# round of verified reads, and after some rounds of both.
verified_rounds() {
	until [[ -e $WORK/enough ]]; do
		fio "$@" --loops=1000000 || was_told_to_end $? || return
	done
}

# A signal ends fio with 128, or kills it while it starts.  It has a trigger file,
# too, but does not always look at it.
was_told_to_end() {
	[[ -e $WORK/enough && $1 == @(128|143) ]] || return "$1"
}

tell_fio_to_end() {
	touch "$WORK/enough"
	pkill --parent "$FIO" || :
}

# wait_for_io <n>: until the paths were given n more I/Os.
wait_for_io() {
	local path files=() before
	for path in "${PATHS[@]}"; do
		files+=("/sys/block/$(name_of "$path")/stat")
	done
	before=$(ios_in "${files[@]}")
	wait_for 30 io_reached $((before + $1)) "${files[@]}"
	is_running "$FIO" || finish_fio
}

# Reads and writes, summed over stat files; a path may be away.  Only built-ins, as
# this is asked often, and fio leaves little time.
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

# Two rounds more over all blocks (256 writes and 256 reads each, or as many I/Os
# as told), then the end: what was written during a fault is read back after it.
finish_verified_io() {
	wait_for_io "${1:-1024}"
	tell_fio_to_end
	finish_fio
}

finish_fio() {
	local status=0
	wait "$FIO" || status=$?
	FIO=
	cat "$WORK/fio.log"
	[[ $status -eq 0 && -e $WORK/enough ]] ||
		fail "expected: verified I/O without an error, until told to end" \
			"got:      fio ended with $status" \
			"$(grep -E '^fio:|^verify:|err= *[1-9]' "$WORK/fio.log" | head -n 4)"
}

end_verified_io() {
	[[ -n ${FIO:-} ]] && is_running "$FIO" || return 0
	tell_fio_to_end
	wait_for not_running "$FIO"
}

# end_program <process>: of ours, in the background
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

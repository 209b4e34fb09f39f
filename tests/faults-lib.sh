# Helpers for the tests of group faults.
# shellcheck shell=bash
#
# The tests send all kinds of I/O to the array at once, each kind to its own area, and inject a
# fault.  A failure names the kind of I/O.

# fio's jobs, in rounds of a few seconds: <kind> <offset> <size> <option>...  The first megabyte is
# only read.
KINDS='
reads		0	512k	rw=randread ioengine=libaio iodepth=4
nowait		0	512k	rw=randread ioengine=io_uring iodepth=4 nowait=1 ignore_error=EAGAIN
readahead	0	1M	rw=read ioengine=psync direct=0 bs=16k
writes		4M	512k	rw=randwrite ioengine=libaio iodepth=8
io_uring	6M	512k	rw=randwrite ioengine=io_uring iodepth=8
osync		8M	256k	rw=randwrite ioengine=psync sync=1
fsync		9M	256k	rw=randwrite ioengine=psync fsync=4
buffered	10M	512k	rw=randwrite ioengine=psync direct=0 fsync=16
large		12M	2M	rw=randwrite ioengine=libaio iodepth=4 bs=512k verify_interval=64k rate_iops=4
'
# fio cannot verify discard and write zeroes, so other programs do, from this offset on.
ZEROED_FROM=$((16 << 20))
ZEROED_SIZE=$((256 << 10))

needs_for_all_io() {
	have_program fio
	have_program blkdiscard
}

# Print fio's job file.  The data written differs in each round, so a block with data from an older
# round fails verification.
all_io_jobs() {
	local kind where size options
	cat <<-END
		[global]
		filename=$MD
		direct=1
		bs=4k
		thread
		verify=crc32c
		verify_interval=4k
		verify_fatal=1
		verify_state_save=0
		randrepeat=0
		rate_iops=100
		exitall_on_error
	END
	while read -r kind where size options; do
		[[ -n $kind ]] || continue
		printf '[%s]\noffset=%s\nsize=%s\n' "$kind" "$where" "$size"
		printf '%s\n' "${options// /$'\n'}"
	done <<<"$KINDS"
}

# start_all_io: send all kinds of I/O in the background, round after round, until finish_all_io.
# An error or a wrong byte stops the I/O, and the next helper that checks it fails the test.
start_all_io() {
	all_io_jobs >"$WORK/jobs"
	head --bytes="$ZEROED_SIZE" /dev/zero >"$WORK/zeroes"
	run_quietly fio --name=fill --filename="$MD" --direct=1 --ioengine=psync --rw=write --bs=64k \
		--size=1M --verify=crc32c --verify_interval=4k --do_verify=0 --thread --aux-path="$WORK"

	rm -f "$WORK/enough"
	: >"$WORK/rounds"
	defer end_all_io
	fio_rounds >"$WORK/fio.log" 2>&1 &
	FIO=$!
	zeroing_rounds >"$WORK/zeroing.log" 2>&1 &
	ZEROING=$!
	wait_for_io 100
}

fio_rounds() {
	until [[ -e $WORK/enough ]]; do
		fio --aux-path="$WORK" "$WORK/jobs" || stop_was_requested $? || return
		echo >>"$WORK/rounds"
	done
}

zeroing_rounds() {
	local discards
	discards=$(<"/sys/block/${MD##*/}/queue/discard_max_bytes")
	set +x
	until [[ -e $WORK/enough ]]; do
		if [[ $discards -gt 0 ]]; then
			zero_by discard || return
		fi
		zero_by zeroout || return
		# Starting all these programs takes most of the machine's CPU time.
		last 1
	done
}

# zero_by <discard|zeroout>: write data, zero it, and check that it reads back as zeroes.
zero_by() {
	local options=(--offset "$ZEROED_FROM" --length "$ZEROED_SIZE")
	[[ $1 == discard ]] || options+=(--zeroout)

	dd if=/dev/urandom of="$MD" bs=64k count=$((ZEROED_SIZE >> 16)) seek=$((ZEROED_FROM >> 16)) \
		oflag=direct iflag=fullblock status=none &&
		blkdiscard "${options[@]}" "$MD" &&
		dd if="$MD" bs=64k count=$((ZEROED_SIZE >> 16)) skip=$((ZEROED_FROM >> 16)) \
			iflag=direct status=none | cmp - "$WORK/zeroes" && return
	echo "$1 failed"
	return 1
}

# Wait until the current round has ended, or fail if there was an error.
wait_for_round() {
	local rounds
	mapfile -t rounds <"$WORK/rounds"
	wait_for 60 round_done $((${#rounds[@]} + 1))
	all_io_runs || collect_all_io
}

# round_done <number>
round_done() {
	local rounds
	mapfile -t rounds <"$WORK/rounds"
	echo "${#rounds[@]} rounds"
	((${#rounds[@]} >= $1)) || ! all_io_runs
}

all_io_runs() {
	is_running "$FIO" && is_running "$ZEROING"
}

# Let some more I/O run and wait for the end of the round, which reads everything back.  Then check
# what must hold after any fault: no error, no wrong data, nothing in flight, and the array stops.
finish_all_io() {
	wait_for_io 300
	collect_all_io
	assert_settled
}

collect_all_io() {
	local status=0

	touch "$WORK/enough"
	wait_for 60 all_io_ended
	wait "$FIO" || status=$?
	cat "$WORK/fio.log" "$WORK/zeroing.log"
	[[ $status -eq 0 ]] || fail "expected: no errors in any kind of I/O" \
		"got:      $(failed_kinds)" "$(grep -E '^fio:|^verify:' "$WORK/fio.log" | head -n 3)"
	wait "$ZEROING" || fail "expected: discard and write zeroes without errors" \
		"got:      $(tail -n 3 "$WORK/zeroing.log")"
	FIO=
	ZEROING=
}

# Print the kinds of I/O that failed in the last round; the first error ends it.
failed_kinds() {
	sed --quiet 's/^\([a-z_]*\): (groupid=.*err= *\([1-9][0-9]*\).*/\1 (error \2)/p' "$WORK/fio.log" | xargs
}

all_io_ended() {
	! is_running "$FIO" && ! is_running "$ZEROING"
}

end_all_io() {
	touch "$WORK/enough"
	[[ -z ${FIO:-} ]] || pkill --parent "$FIO" || :
	[[ -z ${FIO:-} ]] || wait_for not_running "$FIO"
	[[ -z ${ZEROING:-} ]] || wait_for not_running "$ZEROING"
}

# fault_each_path: pull each path in turn under all kinds of I/O.
fault_each_path() {
	local path
	for path in "${PATHS[@]}"; do
		prefer_path "$path"
		pull_path "$path"
		wait_for path_state "$path" faulty
		wait_for_round
		reinstate_path "$path"
	done
	assert_active_paths "$MD" "${#PATHS[@]}"
}

# Assert that no I/O is counted as in flight and that the array can be stopped.
assert_settled() {
	local device
	for device in "$MD" "${PATHS[@]}"; do
		[[ ! -e /sys/block/$(name_of "$device") ]] ||
			wait_for equals 0 io_count "$device" in_flight
	done
	stop_array
}

# scsi_debug <opts|every_nth> <value>: inject faults.  They apply to all disks of scsi_debug.
scsi_debug() {
	echo "$2" >"/sys/bus/pseudo/drivers/scsi_debug/$1"
}

# disable_sd_retries <path>: make sd report errors immediately instead of retrying.
disable_sd_retries() {
	local disk
	for disk in "/sys/block/$(name_of "$1")"/device/scsi_disk/*; do
		echo 0 >"$disk/max_retries"
	done
}

# ---------------------------------------------------------------------------
# Errors of the disk itself, which are the same on each path.

# ends_with <text of the errno> <tries> <tries over the other path> <dd option>...: run dd on the
# array.  Assert that it ends within 5 s, with this number of tries over each of the two paths, and
# fails no path.  Call trace_block block_bio_remap first.
ends_with() {
	local words=$1 tries=$2 others=$3 began=$SECONDS output
	shift 3

	echo >/sys/kernel/tracing/trace
	output=$(LC_ALL=C dd status=none "$@" 2>&1 || :)
	assert_match "dd's error message" "$words" "$output"
	((SECONDS - began <= 5 * TIME_SCALE)) ||
		fail "expected: dd $* ends within 5 s" "got:      $((SECONDS - began)) s"
	assert_equal "tries of dd $*" "$tries" "$(tries "${PATHS[0]}")"
	assert_equal "tries over the other path" "$others" "$(tries "${PATHS[1]}")"
	assert_match "mdstat" '\[2/2\] \[UU\]$' "$(mdstat_line)"
}

# ---------------------------------------------------------------------------
# Superblock writes that the disk refuses.

# Write-protect all disks of scsi_debug, as a disk array does.  The kernel does not query that again.
refuse_writes() {
	defer allow_writes
	echo 1 >/sys/module/scsi_debug/parameters/wp
}

allow_writes() {
	echo 0 >/sys/module/scsi_debug/parameters/wp
}

# write_superblock <path>: have md core write the superblock, because a flag of this path changes.
write_superblock() {
	local flag=writemostly
	! path_state "$1" write_mostly >/dev/null || flag=-writemostly
	in_path "$1" state "$flag"
}

# Print how many paths md core writes the superblock through.
superblock_writers() {
	if kernel_older_than 6.8; then echo 1; else echo "${#PATHS[@]}"; fi
}

# Print the number of superblock writes that have failed since the test began.
failed_superblock_writes() {
	dmesg | awk '/ md-multipath test / { n = 0 } /super_written gets error/ { n++ } END { print n + 0 }'
}

# Print how many paths stay in use after that, as logged.  Paths may share a line.
kept_in_use() {
	kernel_log | awk '
		/ works, but could not write the superblock: it stays in use/ { n++ }
		/ and [0-9]+ more work, but could not write the superblock: they stay in use/ {
			sub(/ more work.*/, "")
			n += $NF + 1
		}
		END { print n + 0 }'
}

# Assert that all paths are live, and that none has failed since it was added.
assert_never_failed() {
	local number=${#PATHS[@]}
	assert_match "mdstat" "\\[$number/$number\\] \\[U+\\]$" "$(mdstat_line)"
	assert_equal "failures and reinstatements" "0 0" \
		"$(failures_and_reinstatements)"
}

# ---------------------------------------------------------------------------
# File systems.

needs_for_file_system() {
	have_program "mkfs.$1"
	have_module "$1"
}

# The trees to copy: files that do not change during the test.
TREES=(/etc /usr/include/asm-generic)
COPIES=2

# copy_trees_under_faults <file system>: copy to the array while its paths fail in turn.
copy_trees_under_faults() {
	local copier path turn=0

	mkdir -p "$WORK/mnt"
	defer unmount
	mount -t "$1" "$MD" "$WORK/mnt"
	copy_trees &
	copier=$!
	while is_running "$copier" || ((turn < 2)); do
		path=${PATHS[turn++ % 2]}
		prefer_path "$path"
		pull_path "$path"
		# The copy may have ended already, so cause I/O here.
		sync --file-system "$WORK/mnt"
		touch "$WORK/mnt/turn$turn"
		sync --file-system "$WORK/mnt"
		wait_for path_state "$path" faulty
		reinstate_path "$path"
	done
	wait "$copier"
	echo "$turn failures"
	sync --file-system "$WORK/mnt"
	unmount
}

copy_trees() {
	local i
	for ((i = 0; i < COPIES; i++)); do
		mkdir "$WORK/mnt/$i" &&
			cp --archive "${TREES[@]}" "$WORK/mnt/$i" &&
			sync --file-system "$WORK/mnt" || return
	done
}

# compare_trees <file system>: compare the copies on the disk with the originals.
compare_trees() {
	local i tree
	mount -t "$1" -o ro "$MD" "$WORK/mnt"
	for ((i = 0; i < COPIES; i++)); do
		for tree in "${TREES[@]}"; do
			run_quietly diff --recursive --no-dereference "$tree" "$WORK/mnt/$i/${tree##*/}"
		done
	done
	unmount
}

# ---------------------------------------------------------------------------
# Errors that scsi_debug injects for a single disk, from 6.7 on.

needs_error_injection() {
	has_scsi_debug || SKIP_REASONS+=("this kernel has no scsi_debug")
	! kernel_older_than 6.7 || SKIP_REASONS+=("scsi_debug of $(uname -r) can't inject errors for a single disk")
}

# inject <path> <opcode> <host byte> <status> <sense key> <asc> <ascq> [-n]: make all commands with
# this opcode, or all commands (0xff), end with this result; with -n only the first n of them.
inject() {
	printf '2 %s %s %s 0 %s %s %s %s\n' "${8:-1}" "${@:2:6}" >"$(injections "$1")"
}

# stop_injecting <path> <opcode>
stop_injecting() {
	[[ ! -e $(injections "$1") ]] || echo "- 2 $2" >"$(injections "$1")"
}

# lose <path> <opcode>: let the disk never complete a command with this opcode
lose() {
	defer stop_losing "$1" "$2"
	echo "0 1 $2" >"$(injections "$1")"
}

# stop_losing <path> <opcode>
stop_losing() {
	[[ ! -e $(injections "$1") ]] || echo "- 0 $2" >"$(injections "$1")" || :
}

injections() {
	local address
	address=$(readlink --canonicalize "/sys/block/$(name_of "$1")/device")
	echo "/sys/kernel/debug/scsi_debug/${address##*/}/error"
}

# ---------------------------------------------------------------------------
# Slow disks

jiffies_a_second() {
	sed --quiet 's/^CONFIG_HZ=//p' "/boot/config-$(uname -r)"
}

# set_delay <jiffies>: per command of scsi_debug, which refuses this while commands are in flight.
set_delay() {
	wait_for 60 run_quietly scsi_debug delay "$1"
}

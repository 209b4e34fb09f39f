# Helpers for the tests superblock/damaged-*, which differ in how arrays are started; source
# tests/lib.sh and tests/superblock-lib.sh first.
# shellcheck shell=bash

# Each test has a function start_array.  It starts an array of PATHS in its way, and may fail.

# Try one of this many variants, beginning with another one in each run.
EACH=1
# Start a good array after this many damaged ones.
GOOD_AFTER=1
RANDOM_VARIANTS=40
DISK_SECTORS=65536

# Where each metadata version has its superblock, in sectors.
declare -A PLACE=([1.2]=8 [1.0]=65520 [0.90]=65408)

# mdadm would wait for udev, which would open each array.
stop_udev() {
	wait_for_udev
	udevadm control --exit
	defer start_udev
	export MDADM_NO_UDEV=1
}

start_udev() {
	/lib/systemd/systemd-udevd --daemon
	wait_for_udev
}

# put_superblock <command>: see tests/damage-superblock; its answer is in VARIANT.
put_superblock() {
	echo "$1" >&"${DAMAGE[1]}"
	read -r VARIANT <&"${DAMAGE[0]}"
}

# Put the names of all arrays in ARRAYS.
find_arrays() {
	local dir
	ARRAYS=()
	for dir in /sys/block/md*/md; do
		[[ ! -d $dir ]] || ARRAYS+=("${dir:11:-3}")
	done
}

# first_word <file>: put it in FIRST.
first_word() {
	FIRST=
	{ read -r FIRST _ <"$1"; } 2>/dev/null || :
}

# is_started <array>
is_started() {
	first_word "/sys/block/$1/md/array_state"
	[[ $FIRST != @(inactive|clear|) ]]
}

# fits <offset> <size>: data of this size lies within the disk and beside the superblock, which is
# one sector long with mdadm's max_dev.  Numbers that are too large for the shell do not fit.
fits() {
	[[ $1 =~ ^[0-9]{1,11}$ && $2 =~ ^[0-9]{1,11}$ ]] || return 1
	(($1 + $2 <= DISK_SECTORS)) || return 1
	(($2 == 0 || $1 + $2 <= PLACE[$METADATA] || $1 > PLACE[$METADATA]))
}

# check_array <array>: whatever its superblock says, it lies within its disk.
check_array() {
	local md=/sys/block/$1 path size
	is_started "$1" || return 0
	first_word "$md/md/level"
	[[ $FIRST == multipath ]] || return 0
	((STARTED += 1))
	first_word "$md/size"
	size=$FIRST

	for path in "$md"/md/rd*; do
		[[ -e $path/offset ]] || continue
		first_word "$path/offset"
		fits "$FIRST" "$size" ||
			fail "expected: an array within its disk, beside its superblock" \
				"got:      $size sectors from $FIRST, with $VARIANT of metadata $METADATA"
	done
	[[ $size == "$GOOD_SIZE" || $size == 0 ]] || dd if="/dev/$1" of=/dev/null bs=512 count=1 skip=$((size - 1)) status=none ||
		fail "expected: the last sector can be read" "got:      an error, with $VARIANT"
}

# Writing clear also works where mdadm gives up because of the array's numbers.  But not again while the
# array is being deleted: md core of 7.3 then takes a reference to its kobject, which has none left.
is_stopped() {
	[[ -e /sys/block/$1/md ]] || return 0
	if [[ $CLEARED != "$1" ]]; then
		echo clear >"/sys/block/$1/md/array_state" || return
		CLEARED=$1
	fi
	[[ ! -e /sys/block/$1/md ]]
}

stop_arrays() {
	local name tries
	find_arrays
	CLEARED=
	for name in "${ARRAYS[@]}"; do
		# wait_for naps for longer than this takes.
		for ((tries = 0; tries < 20; tries++)); do
			! is_stopped "$name" 2>/dev/null || continue 2
			read -r -t 0.01 -u "$NAP" _ || :
		done
		wait_for is_stopped "$name"
	done
	# mdadm's list of arrays, which it keeps up to date only if it stops them itself.
	[[ ! -e /run/mdadm/map ]] || : >/run/mdadm/map
}

# try_mdadm <option>...: with some superblocks mdadm crashes, and with some it runs for minutes.
try_mdadm() {
	timeout --kill-after=1 10 mdadm "$@"
}

start_by_sysfs() {
	local number
	echo "${MD##*/}" >/sys/module/md_mod/parameters/new_array
	in_md metadata_version "$METADATA"
	for number in "${NUMBERS[@]}"; do
		in_md new_dev "$number" || :
	done
	in_md array_state active
}

# An array with an undamaged superblock still starts with all its paths.
check_good_array() {
	put_superblock good
	start_by_sysfs || fail "expected: an undamaged array starts" "got:      an error, after $1"
	first_word "/sys/block/${MD##*/}/md/degraded"
	assert_equal "number of paths that are missing after $1" 0 "$FIRST"
	first_word "/sys/block/${MD##*/}/size"
	assert_equal "size after $1" "${GOOD_SIZE:=$FIRST}" "$FIRST"
	stop_arrays
}

# try_variants <metadata> [names]: start an array of each damaged superblock, or of those with
# matching names.
try_variants() {
	local - name damage GOOD_SIZE=
	METADATA=$1
	run_quietly mdadm --create "$MD" --run --metadata="$METADATA" --level=multipath \
		--raid-devices="${#PATHS[@]}" "${PATHS[@]}"
	stop_arrays
	# md writes through the paths, not through the store's page cache.  Drop what that has of older data.
	dd if="$DM_STORE" iflag=nocache count=0 status=none
	coproc DAMAGE { exec tests/damage-superblock "$DM_STORE" "${PLACE[$METADATA]}" "$SEED" "$RANDOM_VARIANTS" "${@:2}"; }
	damage=$DAMAGE_PID
	defer end_program "$damage"
	set +x
	check_good_array "nothing"
	put_superblock next
	while [[ -n $VARIANT ]]; do
		if ((SEEN++ % EACH != SEED % EACH)); then
			put_superblock next
			continue
		fi
		echo "--- $METADATA $VARIANT"
		start_array 2>&1 || :
		find_arrays
		for name in "${ARRAYS[@]}"; do
			check_array "$name"
		done
		stop_arrays
		((TRIED += 1))
		((TRIED % GOOD_AFTER)) || check_good_array "$VARIANT"
		put_superblock next
	done
	check_good_array "all variants"
	put_superblock end
	wait "$damage"
}

try_all_variants() {
	local path
	SEEN=0
	TRIED=0
	STARTED=0
	SEED=${MP_SEED:-$RANDOM}
	echo "MP_SEED=$SEED"
	MD=/dev/md0
	modprobe multipath
	disable_udev_assembly
	make_dm_paths 2 32M
	for path in "${PATHS[@]}"; do
		NUMBERS+=("$(<"/sys/block/$(name_of "$path")/dev")")
	done
	stop_udev
	defer stop_arrays
	try_variants 1.2
	try_variants 0.90
	# It differs from 1.2 only in where the superblock is.
	try_variants 1.0 '(size|offset)='
	echo "$TRIED variants tried, $STARTED arrays started"
	((TRIED >= 200 && STARTED * EACH >= 50))
}

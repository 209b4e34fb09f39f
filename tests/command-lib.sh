# Helpers for the tests of group command; source tests/lib.sh first.
# shellcheck shell=bash

# run_command <argument>...: run md-multipath.  Set STATUS, OUTPUT and ERRORS.
run_command() {
	STATUS=0
	OUTPUT=$(packaging/md-multipath "$@" 2>"$WORK/errors") || STATUS=$?
	# shellcheck disable=SC2034
	ERRORS=$(<"$WORK/errors")
}

# assert_status <expected> [argument of md-multipath]...
assert_status() {
	local expected=$1
	shift
	run_command "$@"
	assert_equal "status of 'md-multipath $*'" "$expected" "$STATUS"
}

# assert_shown <extended regular expression>: in the last output
assert_shown() {
	assert_match "output" "$1" "$OUTPUT"
}

assert_not_shown() {
	[[ ! $OUTPUT =~ $1 ]] || fail "expected: no '$1' in the output" "got:      $OUTPUT"
}

# commands <build, create or add>: print the commands of mdadm in the last output
commands() {
	sed --quiet "s/^ *\(mdadm .*--$1.*\)/\1/p" <<<"$OUTPUT"
}

# json <perl expression>: print its value for the object $j, which "status --json" prints.  $p is the
# first path of the first array.
json() {
	packaging/md-multipath status --json >"$WORK/json" || :
	perl -MJSON::PP -e '
		local $/;
		open my $file, "<", $ARGV[0] or die;
		my $j = decode_json(<$file>);
		my $p = @{$j->{arrays}} ? $j->{arrays}[0]{paths}[0] : undef;
		my $value = eval $ARGV[1];
		die $@ if $@;
		binmode STDOUT, ":utf8";
		print $value // "null", "\n"' "$WORK/json" "$1"
}

# assert_json <perl expression> <expected>
assert_json() {
	assert_equal "$1" "$2" "$(json "$1")"
}

# name_array <name>: a name in /dev/md, as udev makes it
name_array() {
	mkdir -p /dev/md
	defer rm "/dev/md/$1"
	ln --symbolic --force "../${MD##*/}" "/dev/md/$1"
}

# make_luns <hosts> <disks>: disks with an ID each, which each host sees.  They share one store.
make_luns() {
	has_scsi_debug || skip "this kernel has no scsi_debug"
	modprobe sd_mod
	defer remove_module scsi_debug
	modprobe scsi_debug add_host="$1" max_luns="$2" per_host_store=0 vpd_use_hostno=0 \
		dev_size_mb=32 delay=0
	wait_for at_least $(($1 * $2)) count_scsi_debug_disks
	wait_for_udev
}

# paths_to <LUN>: print its devices, in the order of find.  The disks of two hosts get their names in any
# order, because they are probed at the same time.
paths_to() {
	local disk
	for disk in /sys/bus/pseudo/devices/adapter*/host*/target*/*:"$1"/block/*; do
		echo "/dev/${disk##*/}"
	done | LC_ALL=C sort
}

# make_partition <disk>: the first entry of a DOS partition table, of 16384 sectors from 2048 on
make_partition() {
	printf '\0\0\0\0\203\0\0\0\0\10\0\0\0\100\0\0' |
		dd of="$1" bs=1 seek=446 conv=notrunc status=none
	printf '\125\252' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
	blockdev --rereadpt "$1"
	wait_for there "/sys/class/block/${1##*/}1"
	wait_for_udev
}

# set_file <file below /sys> <line>
set_file() {
	mkdir -p "$ROOT/sys/${1%/*}"
	printf '%s\n' "$2" >"$ROOT/sys/$1"
}

# make_up_array <slots>: md0, without paths, in a made-up sysfs that md-multipath reads from now on
make_up_array() {
	export MD_MULTIPATH_ROOT=$WORK/root
	ROOT=$MD_MULTIPATH_ROOT
	set_file block/md0/size 131072
	set_file block/md0/md/level multipath
	set_file block/md0/md/raid_disks "$1"
	set_file block/md0/md/degraded 0
	set_file block/md0/md/array_state clean
	set_file block/md0/md/paths \
		"slot path state reason error in_flight ios failures reinstatements hold_ms state_s probe_ms"
	NUMBER=0
}

# make_up_path <name> <its device's directory below /sys/devices> <ID> [columns of md/paths]: the next path
# of md0
make_up_path() {
	local dir=$ROOT/sys/devices/$2
	mkdir -p "$dir/block/$1" "$ROOT/sys/block/md0/md/dev-$1"
	ln --symbolic "$dir" "$dir/block/$1/device"
	ln --symbolic "$dir/block/$1" "$ROOT/sys/block/md0/md/dev-$1/block"
	printf '%s\n' "$3" >"$dir/wwid"
	echo "$NUMBER ${1//!//} ${4:-live - 0 0 1 0 0 0 5 -1}" >>"$ROOT/sys/block/md0/md/paths"
	NUMBER=$((NUMBER + 1))
}

# ---------------------------------------------------------------------------
# packaging/examples

METRICS=packaging/examples/md-multipath-metrics

# run_metrics [file]: run md-multipath-metrics, which finds the checkout's md-multipath in PATH
run_metrics() {
	PATH=$PWD/packaging:$PATH "$METRICS" "$@"
}

# assert_metric <metric with its labels> <value> [metrics]: by default in METRICS_TEXT
assert_metric() {
	local line text=${3-$METRICS_TEXT}
	while IFS= read -r line; do
		[[ ${line% *} != "$1" ]] || {
			assert_equal "$1" "$2" "${line##* }"
			return
		}
	done <<<"$text"
	fail "expected: $1 $2" "got:      no such metric" "$text"
}

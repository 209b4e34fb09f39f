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
	modprobe sd_mod
	defer remove_module scsi_debug
	modprobe scsi_debug add_host="$1" max_luns="$2" per_host_store=0 vpd_use_hostno=0 \
		dev_size_mb=32 delay=0
	wait_for at_least $(($1 * $2)) count_scsi_debug_disks
	wait_for_udev
}

# paths_to <LUN>: print its devices
paths_to() {
	local disk
	for disk in /sys/bus/pseudo/devices/adapter*/host*/target*/*:"$1"/block/*; do
		printf '%s /dev/%s\n' "$disk" "${disk##*/}"
	done | sort --version-sort | cut --delimiter=' ' --fields=2
}

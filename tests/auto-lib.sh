# Helpers for the tests of group auto; source tests/lib.sh, tests/command-lib.sh and
# tests/hidden-lib.sh first.
# shellcheck shell=bash

LIB=/usr/lib/md-multipath
CAME=/run/md-multipath/came
WWIDS=/etc/md-multipath.wwids
TABLE=/etc/md-multipath-auto.conf

# Install the rules, the command and its settings.  Start what md-multipath-auto.path does: these
# machines have no systemd.
install_auto() {
	install_rules
	cp packaging/{auto-arrays,auto-settings,md-multipath} "$LIB"
	defer rm -rf /etc/md-multipath.conf "$TABLE" "$WWIDS"
	cp packaging/md-multipath.conf packaging/md-multipath-auto.conf /etc
	defer rm -rf /run/md-multipath
	# Like the journal
	: >"$WORK/journal"
	serve_requests &
	SERVER=$!
	defer end_server
}

serve_requests() {
	local -
	set +x
	until [[ -e $WORK/enough-served ]]; do
		[[ -z $(compgen -G "$CAME/*") ]] || start_arrays
		nap
	done
}

end_server() {
	touch "$WORK/enough-served"
	wait_for not_running "$SERVER"
}

# start_arrays: what md-multipath-auto.service does, one at a time
start_arrays() {
	flock "$WORK/lock" "$LIB/md-multipath" auto start >>"$WORK/journal" 2>&1
}

# auto [argument]...: run md-multipath auto
auto() {
	flock "$WORK/lock" "$LIB/md-multipath" auto "$@"
}

# make_auto_luns <hosts> <disks>
make_auto_luns() {
	make_luns "$@"
	defer stop_all_arrays
}

# turn_on: keep what it prints in OUTPUT
turn_on() {
	OUTPUT=$(auto on 2>&1) || fail "auto on: $OUTPUT"
	echo "$OUTPUT"
}

# assert_logged <extended regular expression>
assert_logged() {
	assert_match "journal" "$1" "$(<"$WORK/journal")"
}

# settled: udev and the service have nothing left to do
settled() {
	wait_for_udev && [[ -z $(compgen -G "$CAME/*") ]] && flock --nonblock "$WORK/lock" true
}

# nothing_happens: no array exists when udev and the service have finished
nothing_happens() {
	wait_for settled
	assert_equal "arrays" "" "$(grep '^md' /proc/mdstat || :)"
}

# find_md <name>: set MD to the array that has this name in /dev/md
find_md() {
	wait_for there "/dev/md/$1"
	# shellcheck disable=SC2034
	MD=$(readlink --canonicalize "/dev/md/$1")
}

# add_hosts <number>: of scsi_debug, each with a path to each LUN
add_hosts() {
	echo "$1" >/sys/bus/pseudo/drivers/scsi_debug/add_host
}

delete_path() {
	echo 1 >"/sys/block/$(name_of "$1")/device/delete"
}

rescan_hosts() {
	local host
	for host in /sys/class/scsi_host/host*/scan; do
		echo '- - -' >"$host"
	done
}

# remembered: print the IDs
remembered() {
	[[ ! -e $WWIDS ]] || cat "$WWIDS"
}

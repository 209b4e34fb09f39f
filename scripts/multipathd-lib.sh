# dm-multipath with multipathd, as a target of the guest parts of the benchmarks; source
# tests/lib.sh first.  TARGET is its device.
# shellcheck shell=bash

# multipathd's defaults, except that it claims each disk with two paths and uses both at once.
start_multipathd() {
	cat >/etc/multipath.conf <<-END
		defaults {
			find_multipaths yes
		}
		overrides {
			path_grouping_policy multibus
			path_selector "queue-length 0"
		}
	END
	allow_multipath_tools
	run_multipathd
	wait_for 60 equals 2 active_in_maps
	# shellcheck disable=SC2034
	TARGET=/dev/$(dmsetup info --columns --noheadings --options blkdevname "$(map_names)")
}

# Use the udev rules of multipath-tools, and scsi_dh_alua, as on any machine.  See tests/vm/guest-init.
allow_multipath_tools() {
	rm -f /run/modprobe.d/no-alua.conf
	find /run/udev/rules.d -type l -delete
	control_udevd --reload
	udevadm trigger --subsystem-match=block --settle
}

run_multipathd() {
	modprobe dm-multipath
	multipathd -d >"$DIR/multipathd.log" 2>&1 &
	# shellcheck disable=SC2034
	MULTIPATHD=$!
}

# Print the names of all maps.
map_names() {
	dmsetup ls --target multipath | sed --quiet 's/\t(.*//p'
}

count_maps() {
	map_names | wc --lines
}

# Print the number of active paths in all maps.
active_in_maps() {
	dmsetup status --target multipath |
		{ grep --only-matching --extended-regexp '[0-9]+:[0-9]+ A' || :; } | wc --lines
}

# multipathd may end before it has answered the command.
end_multipathd() {
	multipathd shutdown || :
	wait_for 60 not_running "$MULTIPATHD"
}

stop_multipathd() {
	end_multipathd
	wait_for_udev
	wait_for remove_maps
}

# Remove the maps that are left.
remove_maps() {
	local maps
	mapfile -t maps < <(map_names)
	[[ ${#maps[@]} -eq 0 ]] || run_quietly dmsetup remove "${maps[@]}"
}

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
	# See tests/vm/guest-init.
	find /run/udev/rules.d -type l -delete
	udevadm control --reload
	udevadm trigger --subsystem-match=block --settle
	modprobe dm-multipath
	multipathd -d >"$FOLDER/multipathd.log" 2>&1 &
	wait_for 60 equals 2 active_in_map
	# shellcheck disable=SC2034
	TARGET=/dev/$(dmsetup info --columns --noheadings --options blkdevname "$(map_name)")
}

map_name() {
	dmsetup ls --target multipath | cut --fields=1
}

# Print the number of active paths.
active_in_map() {
	local name
	name=$(map_name)
	[[ -n $name && $name != "No devices found" ]] || return
	dmsetup status "$name" | grep --only-matching --extended-regexp '[0-9]+:[0-9]+ A' | wc --lines
}

stop_multipathd() {
	multipathd shutdown
	wait
	wait_for run_quietly dmsetup remove "$(map_name)"
}

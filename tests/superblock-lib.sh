# Helpers for the tests of group superblock.
# shellcheck shell=bash

# The module's hooks into md core's superblock code; see compat-superblocks.h.
# shellcheck disable=SC2034
PARAMETERS=/sys/module/multipath/parameters

# Skip if md core supports these superblocks by itself.
needs_superblock_hooks() {
	modinfo --parameters multipath | grep --quiet '^superblocks:' ||
		SKIP_REASONS+=("md core of $(uname --kernel-release) supports superblocks of this level")
}

# Keep udev from assembling arrays on a disk: paths cannot be created over a disk in use.
disable_udev_assembly() {
	defer enable_udev_assembly
	ln --symbolic --force /dev/null /run/udev/rules.d/64-md-raid-assembly.rules
	control_udevd --reload
}

enable_udev_assembly() {
	rm --force /run/udev/rules.d/64-md-raid-assembly.rules
	control_udevd --reload
}

# Print the array's state: clean, read-auto ...
array_state() {
	cat "/sys/block/${MD##*/}/md/array_state"
}

# states_in_superblock <path>: print the states of all paths, such as A.A.  Metadata 0.90 has a
# table of them.
states_in_superblock() {
	mdadm --examine "$1" | awk '
		/Array State/			{ states = $4 }
		/^ +[0-9]+ +[0-9]+ .* removed$/	{ states = states "." }
		/^ +[0-9]+ +[0-9]+ .* active /	{ states = states "A" }
		END				{ print states }'
}

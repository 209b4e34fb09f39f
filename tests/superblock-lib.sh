# Sourced by the tests of group superblock.
# shellcheck shell=bash

# What the module changes in how md core reads superblocks, see compat-superblocks.h.
# shellcheck disable=SC2034
PARAMETERS=/sys/module/multipath/parameters

# Skip where md core needs no help.
needs_help_with_superblocks() {
	modinfo --parameters multipath | grep --quiet '^superblocks:' ||
		SKIP_REASONS+=("md core of $(uname --kernel-release) still knows superblocks of this level")
}

# udev would assemble what it finds on a disk, and paths can't be laid over that.
assemble_nothing() {
	ln --symbolic /dev/null /run/udev/rules.d/64-md-raid-assembly.rules
	udevadm control --reload
	udevadm control --ping
}

# Of the array: clean, read-auto ...
array_state() {
	cat "/sys/block/${MD##*/}/md/array_state"
}

# states_in_superblock <path>: those of all paths, as in A.A; metadata 0.90 has a table
states_in_superblock() {
	mdadm --examine "$1" | awk '
		/Array State/			{ states = $4 }
		/^ +[0-9]+ +[0-9]+ .* removed$/	{ states = states "." }
		/^ +[0-9]+ +[0-9]+ .* active /	{ states = states "A" }
		END				{ print states }'
}

# Sourced by tests of group debug, after tests/lib.sh: kernels that look, memory that is refused.
# shellcheck shell=bash

FAULTS=(/sys/kernel/debug/failslab /sys/kernel/debug/fail_page_alloc)

# One of tests/vm/debug-kernels.
looks_for_mistakes() {
	[[ $(uname -r) == *-@(debug|races) ]] || SKIP_REASONS+=("kernel $(uname -r) does not look for mistakes")
}

can_refuse_memory() {
	[[ -d ${FAULTS[0]} ]] || SKIP_REASONS+=("kernel $(uname -r) refuses no memory")
}

# set_fault <attribute> <value>: for all kinds of allocation
set_fault() {
	local folder
	for folder in "${FAULTS[@]}"; do
		[[ ! -e $folder/$1 ]] || echo "$2" >"$folder/$1"
	done
}

# None is refused any more, and all is as at boot but for what it says of it.
no_faults() {
	set_fault probability 0
	set_fault task-filter N
	for_anyone
	echo N >"${FAULTS[0]}/cache-filter"
	set_fault ignore-gfp-wait Y
}

# Which allocations can be refused, from now on: all.  None is refused yet.
allow_faults() {
	defer no_faults
	# What it says of each would be badness.
	set_fault verbose 0
	set_fault times -1
	set_fault min-order 0
	set_fault ignore-gfp-wait N
}

for_anyone() {
	set_fault require-start 0
	set_fault require-end 0xffffffffffffffff
}

# Only those that our module makes, or that are made for it further down.
only_for_our_module() {
	local start size
	start=$(</sys/module/multipath/sections/.text)
	read -r _ size _ < <(grep '^multipath ' /proc/modules)
	set_fault require-start "$start"
	set_fault require-end "$(printf '%#x' $((start + size)))"
}

# Only records for I/O: 100 % of these can be refused without harm to others.
only_records() {
	defer slab_faults 0
	slab_faults 1
	echo Y >"${FAULTS[0]}/cache-filter"
}

slab_faults() {
	echo "$1" >/sys/kernel/slab/mp_io/failslab
}

# write_without <n> <file> <text>: write it, while the n-th allocation that this
# takes is refused.  ERROR is empty if that went well all the same; REFUSED is empty if there
# were less than n.  Only built-ins between the two, as programs allocate more.
# shellcheck disable=SC2034
write_without() {
	local - nth left
	set +x
	ERROR=
	exec {nth}<>"/proc/$BASHPID/fail-nth"
	exec {file}>"$2"
	echo "$1" >&"$nth"
	echo "$3" >&"$file" || ERROR=yes
	read -r -u "$nth" left
	echo 0 >&"$nth"
	exec {nth}>&- {file}>&-
	REFUSED=
	[[ $left -ne 0 ]] || REFUSED=yes
}

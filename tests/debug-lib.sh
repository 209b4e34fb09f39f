# Helpers for the tests of group debug, for debug kernels and failed allocations; source
# tests/lib.sh first.
# shellcheck shell=bash

FAULTS=(/sys/kernel/debug/failslab /sys/kernel/debug/fail_page_alloc)

# Skip unless the kernel is one of tests/vm/debug-kernels that finds bugs.
needs_debug_kernel() {
	[[ $(uname -r) == *-@(debug|races|rt) ]] || SKIP_REASONS+=("kernel $(uname -r) is not a debug kernel")
}

needs_fault_injection() {
	[[ -d ${FAULTS[0]} ]] || SKIP_REASONS+=("kernel $(uname -r) has no fault injection")
}

# set_fault <attribute> <value>: set it for all kinds of allocation.
set_fault() {
	local dir
	for dir in "${FAULTS[@]}"; do
		[[ ! -e $dir/$1 ]] || echo "$2" >"$dir/$1"
	done
}

# Stop failing allocations and restore the settings of boot time, except for verbose.
reset_faults() {
	set_fault probability 0
	set_fault task-filter N
	reset_stack_filter
	echo N >"${FAULTS[0]}/cache-filter"
	set_fault ignore-gfp-wait Y
}

# Prepare to fail allocations of all kinds.  None fails yet.
prepare_faults() {
	defer reset_faults
	# The runner would report each message as badness.
	set_fault verbose 0
	set_fault times -1
	set_fault min-order 0
	set_fault ignore-gfp-wait N
}

reset_stack_filter() {
	set_fault require-start 0
	set_fault require-end 0xffffffffffffffff
}

# Fail only allocations made by our module or by functions that it calls.
fail_only_our_module() {
	local start size
	start=$(</sys/module/multipath/sections/.text)
	read -r _ size _ < <(grep '^multipath ' /proc/modules)
	set_fault require-start "$start"
	set_fault require-end "$(printf '%#x' $((start + size)))"
}

# Fail only allocations of I/O records.  Even at 100 %, no other code is affected.
fail_only_records() {
	defer slab_faults 0
	slab_faults 1
	echo Y >"${FAULTS[0]}/cache-filter"
}

slab_faults() {
	echo "$1" >/sys/kernel/slab/mp_io/failslab
}

# write_with_failed_allocation <n> <file> <text>: write to a file while its n-th allocation fails.  ERROR
# is empty if the write succeeds anyway; ALLOCATION_FAILED is empty if there are fewer than n allocations.
# Uses only built-ins in between, because programs allocate more.
# shellcheck disable=SC2034
write_with_failed_allocation() {
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
	ALLOCATION_FAILED=
	[[ $left -ne 0 ]] || ALLOCATION_FAILED=yes
}

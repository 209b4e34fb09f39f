# Sourced by the scripts of this folder: where things are, how they talk.
# shellcheck shell=bash

set -u
set -o pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VM_DIR=$TOP/tests/vm
MP_CACHE=${MP_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/md-multipath}
OUT=${MP_OUT:-$TOP/out}

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "${0##*/}: $*"
	exit 1
}

# Run a long step: say what it is, keep its output, say how long it took.
# step <log> <what> <command>...
step() {
	local log=$1 what=$2 began=$SECONDS
	shift 2

	say "  $what ..."
	mkdir -p "${log%/*}"
	if ! "$@" >"$log" 2>&1 </dev/null; then
		say "  $what: failed after $((SECONDS - began)) s; the end of $log:"
		tail -n 15 "$log" >&2
		return 1
	fi
	say "  $what: $((SECONDS - began)) s"
}

# The rows of the kernels file, without comments.
list_kernels() {
	grep -Ev '^[[:space:]]*(#|$)' "$VM_DIR/kernels"
}

kernel_names() {
	list_kernels | awk '{ print $1 }'
}

# kernel_field <name> <column>
kernel_field() {
	list_kernels | awk -v name="$1" -v column="$2" '$1 == name { print $column }'
}

need_kernel() {
	[[ -n $(kernel_field "$1" 1) ]] ||
		die "unknown kernel '$1'; tests/vm/kernels has: $(kernel_names | xargs)"
}

root_of() {
	printf '%s/roots/%s\n' "$MP_CACHE" "$1"
}

# The release of the one kernel that a root has.
release_of() {
	local headers
	headers=$(echo "$(root_of "$1")"/lib/modules/*/build)
	headers=${headers%/build}
	printf '%s\n' "${headers##*/}"
}

# What tests/vm/make-initrd makes: a folder with vmlinux and initrd.
boot_files_of() {
	printf '%s/boot/%s\n' "$MP_CACHE" "$1"
}

# Where tests/vm/build leaves this kernel's module.
module_of() {
	printf '%s/%s/module/multipath.ko\n' "$OUT" "$1"
}

# /dev/kvm may be there and yet unable to run a kernel.
has_kvm() {
	[[ -w /dev/kvm ]] && grep -Eqw 'vmx|svm' /proc/cpuinfo
}

# How many times slower than under KVM things are.
time_scale() {
	if [[ -n ${MP_TIME_SCALE:-} ]]; then
		echo "$MP_TIME_SCALE"
	elif has_kvm; then
		echo 1
	else
		echo 5
	fi
}

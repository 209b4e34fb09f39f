# Shared by the scripts of this directory: paths, messages, kernels, apt.
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

# step <log> <what> <command>...: run a long step, log its output, and print its name and duration.
step() {
	local log=$1 what=$2 began=$SECONDS
	shift 2

	say "  $what ..."
	mkdir -p "${log%/*}"
	if ! "$@" >"$log" 2>&1 </dev/null; then
		say "  $what: failed after $((SECONDS - began)) s; end of $log:"
		tail -n 15 "$log" >&2
		return 1
	fi
	say "  $what: $((SECONDS - began)) s"
}

# Print the rows of the kernels file, without comments.
list_kernels() {
	grep -Ev '^[[:space:]]*(#|$)' "$VM_DIR/kernels"
}

# kernel_names [target] [architecture]: print those that this target of the Makefile tests, by default
# check.
kernel_names() {
	list_kernels | awk -v target="${1:-check}" -v architecture="${2-}" '
		$6 == target && (architecture == "" || $5 == architecture) { print $1 }'
}

# kernel_field <name> <column>
kernel_field() {
	list_kernels | awk -v name="$1" -v column="$2" '$1 == name { print $column }'
}

need_kernel() {
	[[ -n $(kernel_field "$1" 1) ]] ||
		die "unknown kernel '$1'; tests/vm/kernels has: $(list_kernels | awk '{ print $1 }' | xargs)"
}

# The same for kernels that are built here.
list_debug_kernels() {
	grep -Ev '^[[:space:]]*(#|$)' "$VM_DIR/debug-kernels"
}

# debug_kernel_names [target]: print all, or those that this target of the Makefile tests.
debug_kernel_names() {
	list_debug_kernels | awk -v target="${1-}" 'target == "" || $5 == target { print $1 }'
}

# debug_kernel_field <name> <column>
debug_kernel_field() {
	list_debug_kernels | awk -v name="$1" -v column="$2" '$1 == name { print $column }'
}

is_debug_kernel() {
	[[ -n $(debug_kernel_field "$1" 1) ]]
}

# Accept a kernel of either file.
need_any_kernel() {
	is_debug_kernel "$1" || [[ -n $(kernel_field "$1" 1) ]] ||
		die "unknown kernel '$1'; tests/vm/kernels and tests/vm/debug-kernels have: $(
			{ list_kernels; list_debug_kernels; } | awk '{ print $1 }' | xargs)"
}

# Create this kernel's root in the cache if necessary, and what tests/vm/in-root needs beside it.
make_any_root() {
	if is_debug_kernel "$1"; then
		"$VM_DIR/make-debug-root" "$1"
	else
		"$VM_DIR/make-root" "$1" && { runs_natively "$1" || "$VM_DIR/make-cross-tools" "$1"; }
	fi
}

# debian_field <name> <column>: the field of Debian's kernel that a kernel of either file is or is built
# from
debian_field() {
	local base
	base=$(debug_kernel_field "$1" 2)
	kernel_field "${base:-$1}" "$2"
}

flavour_of() {
	debian_field "$1" 4
}

architecture_of() {
	debian_field "$1" 5
}

# Whether this machine runs the programs of a kernel's root without emulation.
runs_natively() {
	[[ $(architecture_of "$1") == @(amd64|i386) ]]
}

root_of() {
	printf '%s/roots/%s\n' "$MP_CACHE" "$1"
}

# Print the directory that tests/vm/make-cross-tools makes.
cross_tools_of() {
	printf '%s/cross-tools/%s\n' "$MP_CACHE" "$1"
}

# Print the release of the single kernel in a root.
release_of() {
	local headers
	headers=$(echo "$(root_of "$1")"/lib/modules/*/build)
	headers=${headers%/build}
	printf '%s\n' "${headers##*/}"
}

# archive_line <deb|deb-src> <suite> [archive]: print a line for sources.list.  The address comes
# from the machine's own apt, which may not have archives other than Debian's.
archive_line() {
	local archive=${3:-Debian} uri
	# shellcheck disable=SC2016
	uri=$(apt-get indextargets --format '$(LABEL)|$(REPO_URI)' |
		awk -F'|' -v label="$archive" '$1 == label { print $2; exit }')
	if [[ -z $uri && $archive == Debian ]]; then
		say "apt has no Debian archive: run 'apt-get update', then try again"
		return 1
	fi
	[[ -z $uri ]] || echo "$1 [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $2 main"
}

# root_apt <directory> <apt-get's arguments>: run the machine's apt-get with a root's sources, from
# <directory>/sources.list.  apt writes only to this directory.
root_apt() {
	local state=$1
	shift
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial" || return
	apt-get \
		-o Dir::Etc::SourceList="$state/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null \
		-o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::State::Lists="$state/lists" \
		-o Dir::State::Status=/dev/null \
		-o Dir::Cache="$state/cache" \
		-o Acquire::Languages=none \
		-o APT::Sandbox::User=root \
		"$@"
}

# has_btf <kernel>: it describes its types, md's among them.
has_btf() {
	grep --quiet ^CONFIG_DEBUG_INFO_BTF=y "$(root_of "$1")/boot/config-$(release_of "$1")"
}

# needs_md_source <kernel>: nothing in the root describes md's types.  The headers of debug kernels without
# BTF have md's source.
needs_md_source() {
	! has_btf "$1" && [[ ! -f $(root_of "$1")/usr/src/linux-headers-$(release_of "$1")/drivers/md/md.h ]]
}

# lay_md_source <kernel> <directory>: fill a directory that is to be laid over the root, so that the headers
# have md's source.
lay_md_source() {
	local source headers
	source=$("$TOP/scripts/kernel-source" "$1") || return
	headers=$2/usr/src/linux-headers-$(release_of "$1")
	mkdir -p "$headers/drivers/md" && cp "$source"/drivers/md/*.[ch] "$headers/drivers/md"
}

# Print the file system by which a kernel's machine uses directories of this one: 9p, which Debian's kernels
# for clouds lack, or virtiofs.
share_type() {
	if grep --quiet '/9pnet_virtio\.ko' "$(root_of "$1")/lib/modules/$(release_of "$1")"/modules.{dep,builtin}; then
		echo 9p
	else
		echo virtiofs
	fi
}

# Print the directory that tests/vm/make-initrd makes, with vmlinux and initrd.
boot_files_of() {
	printf '%s/boot/%s\n' "$MP_CACHE" "$1"
}

# Print the file that tests/vm/build makes for this kernel.
module_of() {
	printf '%s/%s/module/multipath.ko\n' "$OUT" "$1"
}

# Even if /dev/kvm exists, it may be unable to run a kernel.
has_kvm() {
	[[ -w /dev/kvm ]] && grep -Eqw 'vmx|svm' /proc/cpuinfo
}

# How many times longer tests may take on an emulated architecture.  Most programs in its root run by
# emulation, too.
FOREIGN_SLOWNESS=4

# time_scale [kernel]...: print how many times slower than a Debian kernel under KVM the slowest of
# these kernels is.
time_scale() {
	local kernel slowness scale=1 slowest=1
	[[ -z ${MP_TIME_SCALE:-} ]] || { echo "$MP_TIME_SCALE"; return; }

	has_kvm || scale=5
	for kernel; do
		slowness=$(debug_kernel_field "$kernel" 4)
		runs_natively "$kernel" || slowness=$FOREIGN_SLOWNESS
		((${slowness:-1} <= slowest)) || slowest=$slowness
	done
	echo $((scale * slowest))
}

# Helpers for the tests of group build; source tests/lib.sh first.  These tests build the module
# in the root of $KERNEL, each in its own copy of the sources.
# shellcheck shell=bash

# shellcheck source=tests/vm/common.sh
. tests/vm/common.sh

# tests/run reads the declarations without a kernel, with these unset.
KERNEL=${KERNEL-} WORK=${WORK-}

MODULE=$WORK/module		# the copy of the sources; /mnt inside the root
LOG=$WORK/make.log
AS=()				# a command that runs make, such as setpriv
OVER=				# a directory that hides or replaces files of the root
RELEASE=$(release_of "$KERNEL")
KDIR=/lib/modules/$RELEASE/build

copy_sources() {
	mkdir -p "$MODULE"
	(cd "$TOP" && scripts/sources --build | xargs cp --parents --target-directory="$MODULE")
	if needs_md_source "$KERNEL"; then
		OVER=$WORK/over
		lay_md_source "$KERNEL" "$OVER"
	fi
}

in_root() {
	"$VM_DIR/in-root" ${OVER:+--over "$OVER"} "$KERNEL" "$MODULE" "$@"
}

run_make() {
	in_root "${AS[@]}" make KDIR="$KDIR" "$@" >"$LOG" 2>&1 </dev/null
}

make_module() {
	run_make "$@" || fail_with_log "make $* failed"
	[[ -f $MODULE/multipath.ko ]] || fail_with_log "make $* did not produce multipath.ko"
}

# make_stops_with <pattern> [make argument]...: assert that the build stops with exactly one line
# of ours, which matches.
make_stops_with() {
	local pattern=${1//+/[+]} line		# releases have a +
	shift

	! run_make "$@" || fail "make $* succeeded; expected it to stop with: $pattern"
	line=$(grep '^multipath: ' "$LOG") || :
	[[ $(wc --lines <<<"$line") -eq 1 && $line =~ $pattern ]] ||
		fail_with_log "expected: one line with: $pattern" "got:      ${line:-no line that begins with multipath:}"
	[[ ! -e $MODULE/multipath.ko ]] || fail "make $* stopped but produced multipath.ko"
}

fail_with_log() {
	fail "$@" "$(tail --lines=10 "$LOG")"
}

# hide <path in the root>: hide a file, as if its package were not installed.
hide() {
	OVER=$WORK/over
	mkdir -p "$OVER/$(dirname "$1")"
	mknod "$OVER/$1" c 0 0
}

# Hide what has the kernel's types, except for its image in /boot.
hide_types() {
	local file
	for file in "usr/src/linux-headers-$RELEASE/vmlinux" "usr/lib/modules/$RELEASE/vmlinuz"; do
		[[ ! -f $(root_of "$KERNEL")/$file ]] || hide "$file"
	done
}

show_all() {
	rm -rf "$WORK/over"
	OVER=
}

module_field() {
	modinfo --field="$1" "$MODULE/multipath.ko"
}

# assert_no_warning [pattern of the files to check]
assert_no_warning() {
	! grep --ignore-case "${1-}.*warning" "$LOG" >"$WORK/warnings" ||
		fail "compiler warnings:" "$(head --lines=10 "$WORK/warnings")"
}

# Without BTF, the types come from the kernel's own source, and there is nothing to prove.
need_btf() {
	has_btf "$KERNEL" || skip "this kernel has no BTF"
}

have_option() {
	grep --quiet "^$1=y" "$(root_of "$KERNEL")"/boot/config-"$RELEASE"
}

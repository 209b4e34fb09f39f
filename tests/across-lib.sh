# Helpers for tests that use arrays of one kernel on another; source tests/lib.sh and
# tests/vm/common.sh first.  tests/superblock-across is the part in the virtual machine.
# shellcheck shell=bash

# Each test has its own directory, also one that runs for several kernels at the same time.
ACROSS=across${KERNEL:+-$KERNEL}

# in_machine <kernel> <function of tests/superblock-across> [argument]...
in_machine() {
	local kernel=$1 output scale
	shift
	scale=$(time_scale "$kernel")
	output=$(MP_CPUS=1 MP_LIMIT=$((40 * scale)) "$VM_DIR/shell" "$kernel" \
		-c "TIME_SCALE=$scale bash tests/superblock-across /out/$ACROSS $*" 2>&1) ||
		fail "$kernel, $*:" "$output"
	echo "$output"
}

# A machine sees only the directory of its kernel.
prepare_kernel() {
	make_any_root "$1"
	mkdir -p "$OUT/$1"
	flock "$OUT/$1/ready.lock" "$VM_DIR/build" "$1"
	defer rm -rf "$OUT/$1/$ACROSS"
	rm -rf "${OUT:?}/$1/$ACROSS"
	mkdir "$OUT/$1/$ACROSS"
	cp "$WORK/data" "$OUT/$1/$ACROSS/data"
}

# have_arrays_made <kernel> <metadata>...: move the arrays to WORK, as <kernel>-<metadata>.array.
have_arrays_made() {
	in_machine "$1" make_arrays "$@"
	mv "$OUT/$1/$ACROSS/"*.array "$WORK"
}

# have_arrays_used <kernel> <use_arrays|reject_arrays> <array>...: use_arrays changes them.
have_arrays_used() {
	local kernel=$1 function=$2
	shift 2
	cp "${@/#/$WORK/}" "$OUT/$kernel/$ACROSS"
	in_machine "$kernel" "$function"
	mv "$OUT/$kernel/$ACROSS/"*.array "$WORK"
}

# Helpers for the tests of group iopolicy and for scripts/bench-paths-guest.
# shellcheck shell=bash

# reads_of <device>: print the number of reads that it has completed.
reads_of() {
	io_count "$1" reads
}

# read_blocks <number> [fio option]...: read random blocks with direct I/O.
read_blocks() {
	run_quietly fio --name=reads --filename="$MD" --direct=1 --ioengine=libaio --rw=randread --bs=4k \
		--iodepth=16 --number_ios="$1" --size=32M --thread --aux-path="$WORK" "${@:2}"
}

# shares <number>: read this number of blocks and set SHARES to the number of reads on each path.
shares() {
	local path before=() i
	for path in "${PATHS[@]}"; do
		# Two merged reads would count as one.
		echo 2 >"/sys/block/$(name_of "$path")/queue/nomerges"
		before+=("$(reads_of "$path")")
	done
	read_blocks "$@"
	SHARES=()
	for i in "${!PATHS[@]}"; do
		SHARES+=($(($(reads_of "${PATHS[i]}") - before[i])))
	done
	echo "shares: ${SHARES[*]}"
}

# make_delayed_paths <ms>...: create dm-delay devices over one RAM disk, one for each delay.
make_delayed_paths() {
	local ms targets=()
	make_ram_disks 1 32M
	for ms; do
		targets+=("delay $DM_STORE 0 $ms")
	done
	make_dm_targets "${targets[@]}"
}

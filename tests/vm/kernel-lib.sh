# Build kernels from the source of one of tests/vm/kernels, in the root and with the compiler of that
# kernel.  Source tests/vm/common.sh first, and set:
#
# BASE_NAME	the kernel that provides root, compiler and source
# OVER		a directory that is laid over the root, with the tools (by unpack_tools) and the source as
#		usr/src/linux
# BUILD		the directory to build in
# shellcheck shell=bash

# base_apt <directory> <apt-get's arguments>: run root_apt with the root's sources, knowing what is
# installed there.
base_apt() {
	local state=$1 base
	base=$(root_of "$BASE_NAME")
	shift
	mkdir -p "$state" && cp "$base/etc/apt/sources.list" "$state" &&
		root_apt "$state" -o Dir::State::Status="$base/var/lib/dpkg/status" "$@"
}

# unpack_tools <directory for apt> <package>...: unpack these packages, and what they need beyond the root,
# to OVER
unpack_tools() {
	local state=$1 deb
	shift
	mkdir -p "$OVER" &&
		base_apt "$state" update &&
		base_apt "$state" install --download-only --yes --no-install-recommends "$@" ||
		return
	for deb in "$state"/cache/archives/*.deb; do
		dpkg-deb --extract "$deb" "$OVER" || return
	done
}

# Run a command in the root, in /mnt, which is BUILD.
in_base() {
	"$VM_DIR/in-root" --over "$OVER" "$BASE_NAME" "$BUILD" "$@"
}

# Print an option's name, for each line that sets an option.
option_names() {
	sed --quiet 's/^\(# \)\?\(CONFIG_[A-Z0-9_]*\)[ =].*/\2/p'
}

# Print all options of these files.  Those of a later file replace those of an earlier one.
# join_options <file>...
join_options() {
	local options='' file
	for file; do
		options=$(grep --invert-match --word-regexp --file=<(option_names <"$file") <<<"$options"
			cat "$file")
	done
	printf '%s\n' "$options"
}

# Whether .config agrees with a line of the wanted configuration.  An option that is off, and lacks a
# dependency, has no line there.
is_configured() {
	case $1 in
	'# '*)	! grep --quiet "^$(option_names <<<"$1")=" "$BUILD/.config" ;;
	*)	grep --quiet --line-regexp --fixed-strings -e "$1" "$BUILD/.config" ;;
	esac
}

# configure <file> [make argument]...: configure a kernel with these options and no others.  kconfig
# silently drops options that are unknown or lack a dependency: fail if it does.
configure() {
	local wanted=$1 line lost=0
	shift
	cp "$wanted" "$BUILD/wanted.config" &&
		in_base make -C /usr/src/linux O=/mnt KCONFIG_ALLCONFIG=/mnt/wanted.config "$@" allnoconfig ||
		return
	while read -r line; do
		is_configured "$line" || {
			echo "this line of the configuration has no effect: $line"
			lost=1
		}
	done < <(grep -E '^(# )?CONFIG_' "$BUILD/wanted.config")
	return "$lost"
}

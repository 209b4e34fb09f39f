# Helpers for the tests of group package; source tests/lib.sh first.
# These tests build a package in the root of $KERNEL and install it to a copy of that root.
# shellcheck shell=bash

# shellcheck source=tests/vm/common.sh
. tests/vm/common.sh

# tests/run reads the declarations without a kernel, with these unset.
KERNEL=${KERNEL-} WORK=${WORK-}

SOURCE=$WORK/source		# a copy of the sources; /mnt inside the root
SYSTEM=$WORK/system		# the files that differ from the root
LOG=$WORK/log
RELEASE=$(release_of "$KERNEL")
# shellcheck disable=SC2034
VERSION=$(scripts/sources --version)
PACKAGE=md-multipath-dkms

copy_sources() {
	mkdir -p "$SOURCE"
	# shellcheck disable=SC2046  # *.docs can have patterns
	(cd "$TOP" && cp --recursive --parents $(scripts/sources --build) $(cat packaging/debian/*.docs) \
		COPYING scripts packaging "$SOURCE")
}

# in_system <command>...: run it as root in the system that the package is installed to.
in_system() {
	"$VM_DIR/in-root" --into "$SYSTEM" "$KERNEL" "$SOURCE" "$@"
}

# Run a command in the system and log its output; show the end of the log if it fails.
run_in_system() {
	in_system "$@" >"$LOG" 2>&1 </dev/null || fail "'$*' failed:" "$(tail --lines=20 "$LOG")"
	cat "$LOG"
}

# make_package <version>
make_package() {
	sed -i "s/^\(#define MP_VERSION.*\)\".*\"$/\1\"$1\"/" "$SOURCE/multipath.c"
	sed -i "1s/(.*)/($1)/" "$SOURCE/packaging/debian/changelog"
	run_in_system make deb
}

# install_package <version>
install_package() {
	run_in_system dpkg --install "out/deb/${PACKAGE}_$1_all.deb"
}

# apt_install <package>...
apt_install() {
	run_in_system env DEBIAN_FRONTEND=noninteractive apt-get --quiet install --yes "$@"
}

# What our RPM package requires, and Debian has installed by other means.  rpm refuses to install ours if
# it requires more.
REQUIRED="
Name: debian
Version: 1
Release: 1
Summary: What Debian has installed
License: none
BuildArch: noarch
Provides: /bin/bash /bin/sh bpftool dkms kmod openssl xz zstd
%description
%files
"

# install_rpm [package]...: install rpm and other packages.
install_rpm() {
	run_in_system apt-get --quiet --quiet update
	apt_install --no-install-recommends rpm "$@"
	# In Debian 12, this is in the home directory, which commands here do not share.
	in_system sh -c 'mkdir -p /etc/rpm && echo "%_dbpath /var/lib/rpm" >/etc/rpm/macros.dbpath'
	echo "$REQUIRED" >"$SOURCE/debian.spec"
	run_in_system rpmbuild -bb --define "_rpmdir /mnt/out" debian.spec
	run_in_system rpm --install out/noarch/debian-1-1.noarch.rpm
}

# make_rpm <version>
make_rpm() {
	sed -i "s/^\(#define MP_VERSION.*\)\".*\"$/\1\"$1\"/" "$SOURCE/multipath.c"
	run_in_system make rpm
}

# assert_same_lines <what> <expected> <got>: show only the lines that differ.
assert_same_lines() {
	local found
	found=$(diff <(echo "$2") <(echo "$3")) || fail "$1: expected (<) and got (>):" "$found"
}

# Print the file that modprobe would load.
module_file() {
	in_system modinfo --set-version "$RELEASE" --filename multipath 2>/dev/null || :
}

# module_is <version>: assert that modprobe would load the package's module, with this version.
module_is() {
	assert_match "the module's file" "/updates/dkms/multipath\.ko" "$(module_file)"
	assert_equal "its version" "$1" \
		"$(in_system modinfo --set-version "$RELEASE" --field=version multipath)"
}

# ---------------------------------------------------------------------------
# A machine with the package that boots as Debian does, with a disk that persists between boots.

# shellcheck disable=SC2034
DISK=$WORK/disk

# in_machine <number of paths> <init> <command>: boot it with the package and the disk.
in_machine() {
	local words
	# Now, so that nothing about it is among the words.
	"$VM_DIR/make-initrd" "$KERNEL"
	words=$(MP_CPUS=1 MP_OVER=$SYSTEM MP_DISK=$DISK MP_PATHS=$1 MP_INIT=$2 MP_LIMIT=$((80 * TIME_SCALE)) \
		"$VM_DIR/shell" "$KERNEL" -c "$3" 2>&1) ||
		fail "with $1 paths, started by $2:" "$words"
	echo "$words"
}

# The job of tests/vm/initrd-init, as a script for Debian's initramfs.
# shellcheck disable=SC2016
NINE='
nine() {
	mount -t 9p -o "trans=virtio,version=9p2000.L,msize=262144,$1" "$2" "$3"
}

# Wait a limited time until udev has processed a path.
wait_for_path() {
	for try in 1 2 3 4 5 6 7 8 9 10; do
		case $(cat /proc/mdstat) in
		*md[0-9]*) return ;;
		esac
		sleep 1
	done
}

mountroot() {
	modprobe -a 9pnet_virtio 9p overlay
	mkdir -p /lower /over /upper
	nine ro,cache=loose root /lower
	nine ro,cache=loose over /over
	mount -t tmpfs -o mode=755 tmpfs /upper
	mkdir /upper/files /upper/index
	mount -t overlay -o lowerdir=/over:/lower,upperdir=/upper/files,workdir=/upper/index overlay "$rootmnt"
	mkdir -p "$rootmnt/src" "$rootmnt/out"
	nine ro,cache=loose src "$rootmnt/src"
	nine rw out "$rootmnt/out"
	wait_for_path
	cat /proc/mdstat >"$rootmnt/out/mdstat.initramfs"
	mount -t tmpfs tmpfs "$rootmnt/tmp"
}
'

# shellcheck disable=SC2016
make_initramfs() {
	in_system sh -e -c '
		echo "$1" >/etc/initramfs-tools/scripts/nine
		printf "%s\n" 9pnet_virtio 9p overlay virtio_pci >>/etc/initramfs-tools/modules' sh "$NINE"
	run_in_system update-initramfs -c -k "$RELEASE"
}

# in_initramfs_machine <number of paths> <command>: the same, with Debian's initramfs.
in_initramfs_machine() {
	rm -f "$OUT/$KERNEL/mdstat.initramfs"
	MP_INITRD=$SYSTEM/boot/initrd.img-$RELEASE MP_LINE="boot=nine init=/src/tests/vm/guest-init" \
		in_machine "$1" systemd "$2"
}

# Print /proc/mdstat as it was in the initramfs.
in_initramfs() {
	cat "$OUT/$KERNEL/mdstat.initramfs"
}

# Commands that show the machine's state after local-fs.target.
# shellcheck disable=SC2016,SC2034
LOOK='
set -x
cat /proc/mdstat /srv/file
echo no_path_retry $(cat /sys/block/md*/md/no_path_retry)
systemctl --no-pager --failed
systemctl is-active mdmonitor multipathd
journalctl --no-pager --boot --output=cat | grep -E "md/multipath|Activate md arra[y]|Start multipath arra[y]"
'

# ---------------------------------------------------------------------------
# A machine that boots from an initramfs alone, with the root file system on an array

# For dracut's parameter, which initramfs-tools ignore.
ARRAY_UUID=01234567:89abcdef:01234567:89abcdef

# make_root_system [command]...: a root file system whose init prints that it runs, executes these commands
# with busybox's shell, and powers the machine off.
make_root_system() {
	local tree=$WORK/tree
	mkdir -p "$tree"/{bin,sbin,proc,sys,dev,run,tmp,etc,root}
	# systemd in an initramfs changes to nothing else.
	echo NAME=test >"$tree/etc/os-release"
	cp "$(realpath "$(root_of "$KERNEL")/bin/busybox")" "$tree/bin/busybox"
	cat >"$tree/sbin/init" <<-'END'
		#!/bin/busybox sh
		/bin/busybox mount -t proc proc /proc
		exec >/dev/ttyS0 2>&1
		echo "ROOT-IS-UP, after $(/bin/busybox cat /run/md-multipath.rounds 2>/dev/null) rounds"
		/bin/busybox cat /proc/mdstat
		/bin/busybox grep ' / ' /proc/mounts
	END
	printf '%s\n' "$@" 'echo o >/proc/sysrq-trigger' '/bin/busybox sleep 60' >>"$tree/sbin/init"
	chmod +x "$tree/sbin/init"
	"$VM_DIR/in-root" "$KERNEL" "$WORK" mke2fs -q -t ext4 -L on-array -d tree root.img 40M
}

put_on_array() {
	cp "$WORK/root.img" "$OUT/$KERNEL/root-on-array.img"
	defer rm -f "$OUT/$KERNEL/root-on-array.img"
	truncate --size=64M "$DISK"
	MP_CPUS=1 MP_DISK=$DISK MP_PATHS=2 MP_LIMIT=$((60 * TIME_SCALE)) "$VM_DIR/shell" "$KERNEL" -c '
		set -ex
		modprobe --all virtio_scsi sd_mod multipath
		udevadm settle
		mdadm --create /dev/md0 --run --homehost=any --uuid="'"$ARRAY_UUID"'" --level=multipath --raid-devices=2 /dev/sda /dev/sdb
		dd if=/out/root-on-array.img of=/dev/md0 bs=1M oflag=direct
		udevadm settle
		mdadm --stop /dev/md0' || fail "no array for the root file system"
}

# start_from_array <number of paths> [seconds]: set CONSOLE.  The machine has no 9p then, so this is its only
# output.
start_from_array() {
	local dir=$OUT/$KERNEL/root-on-array.vm
	defer rm -rf "$dir"
	rm -rf "$dir"
	mkdir "$dir"
	touch "$dir/job"
	chmod +x "$dir/job"
	MP_CPUS=1 MP_DISK=$DISK MP_PATHS=$1 MP_INITRD=$SYSTEM/boot/initrd.img-$RELEASE \
		MP_LINE="root=LABEL=on-array rd.md.uuid=$ARRAY_UUID" \
		"$VM_DIR/boot" "$KERNEL" "$dir" $((${2:-30} * TIME_SCALE)) </dev/null || :
	CONSOLE=$(<"$dir/console")
	echo "$CONSOLE"
}

# starts_with <number of paths> <expected in the line of init> <expected in mdstat>
starts_with() {
	start_from_array "$1"
	assert_match "the console" "ROOT-IS-UP, $2" "$CONSOLE"
	assert_match "the console" "active (\(auto-read-only\) )?multipath .* $3" "$CONSOLE"
	assert_match "the console" "/dev/md[0-9]+ / ext4" "$CONSOLE"
}

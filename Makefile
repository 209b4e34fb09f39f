# SPDX-License-Identifier: GPL-2.0-or-later
# Targets for users and developers.  Kbuild lists what kbuild compiles.

SHELL := /bin/bash -o pipefail
KDIR ?= /lib/modules/$(shell uname -r)/build
W ?= 1

HEADERS := .build
OBJECTS = $(shell scripts/sources --objects) multipath.o multipath.mod.o
PRODUCTS = $(OBJECTS) $(OBJECTS:%=.%.cmd) $(OBJECTS:%=.%.d) \
	multipath.ko .multipath.ko.cmd multipath.mod .multipath.mod.cmd multipath.mod.c \
	modules.order Module.symvers .modules.order.cmd .Module.symvers.cmd \
	.module-common.o ..module-common.o.cmd

# With W=1, 6.12 checks the kernel-doc comments by a perl script.  It needs a perl module that
# Debian does not install by default.
kernel-doc = $(if $(shell perl -MPod::Usage -e 1 2>&1),cmd_checkdoc=)
kbuild = $(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) W=$(W) $(kernel-doc)

modules-dir = $(INSTALL_MOD_PATH)/lib/modules/$(release)
release = $(shell sed -n 's/^.*UTS_RELEASE "\(.*\)"$$/\1/p' $(KDIR)/include/generated/utsrelease.h 2>/dev/null)

# When the check of md.h fails, print the line that names the remedy last.  The parameters of the module
# tell which branch of compat-superblocks.h was compiled.
modules: headers
	@{ $(kbuild) modules 2>&1 >&3 | tee $(HEADERS)/errors >&2; } 3>&1 || \
		{ ! grep -q MP_SAME $(HEADERS)/errors || grep '^multipath: ' $(HEADERS)/md-layout.h >&2; exit 1; }
	@! grep -q 'parm=superblocks:' multipath.ko || grep -q 'parm=superblocks_missed:' multipath.ko || \
		echo 'multipath: kernel $(release): no superblock support (needs CONFIG_KRETPROBES, and super_1_load() and super_1_validate() in md): mdadm --create and --assemble will fail, use mdadm --build' >&2

# The stamp is newer than the module if the kernel or its headers have changed: rebuild all.
headers:
	@scripts/md-headers $(KDIR) $(HEADERS)
	@[[ '$(CC)' != *clang* ]] || grep -q '^CONFIG_CC_IS_CLANG=y' $(KDIR)/include/config/auto.conf || \
		{ echo 'multipath: kernel $(release): built by gcc with options that clang rejects: omit CC=$(CC)' >&2; exit 1; }
	@[ multipath.ko -nt $(HEADERS)/stamp ] || rm -f $(PRODUCTS)

install: modules
	$(kbuild) INSTALL_MOD_DIR=updates modules_install
	depmod $(addprefix --basedir=,$(INSTALL_MOD_PATH)) $(release)

uninstall:
	rm -f $(modules-dir)/updates/multipath.ko{,.xz,.gz,.zst}
	[ ! -d $(modules-dir)/updates ] || rmdir --ignore-fail-on-non-empty $(modules-dir)/updates
	depmod $(addprefix --basedir=,$(INSTALL_MOD_PATH)) $(release)

clean:
	@rm -rf $(HEADERS) $(PRODUCTS)

deb:
	scripts/make-deb out/deb

rpm:
	scripts/make-rpm out/rpm

dkms: modules
	scripts/install-dkms $(release)

dkms-remove:
	scripts/install-dkms --remove

# Groups that cover the driver's main functions in a quarter of an hour.
ESSENTIAL := meta build lint basic badinput badsector failover hotplug

OTHERS := $(filter-out $(ESSENTIAL) debug vm,$(patsubst tests/%/,%,$(wildcard tests/*/)))

check:
	tests/run $(ESSENTIAL)

check-others:
	tests/run $(if $(KERNEL),-k $(KERNEL)) $(OTHERS)

check-all:
	tests/run

check-debug:
	tests/run -k debug -w vm $(TESTS)

# Tests in which two CPUs access the same data.
RACING := debug/kcsan-active debug/load-and-unload faults/alternate faults/delete-device \
	grow/paths iopolicy/switch-under-faults nopath/many reinstate/at-random reinstate/in-any-order

check-races:
	tests/run -k races $(or $(TESTS),$(RACING))

# Runs the VM tests with md built from a kernel tree that scripts/into-tree has patched.
check-in-tree:
	MP_ALL=1 tests/run $(if $(KERNEL),-k $(KERNEL)) package/into-tree

# Kernels that no other target tests.  A failed test becomes a "no" in the table.
check-kernels:
	-tests/run $(addprefix -k ,$(or $(KERNEL),$(shell . tests/vm/common.sh; \
		kernel_names check-kernels; debug_kernel_names check-kernels))) \
		$(or $(TESTS),$(shell scripts/kernels-table --others-tests))
	scripts/kernels-table --others

# The same for kernels of another architecture.
check-arch:
	@[ -n '$(ARCH)' ] || { echo 'usage: make check-arch ARCH=i386|arm64|s390x|ppc64el' >&2; exit 1; }
	@. tests/vm/common.sh; kernels=$$(kernel_names check-arch '$(ARCH)' | xargs); \
		[ -n "$$kernels" ] || die "no kernel of architecture '$(ARCH)' in tests/vm/kernels"; \
		$(MAKE) check-kernels KERNEL="$$kernels"

check-configs:
	scripts/check-configs $(if $(KERNEL),-k $(KERNEL))

demo:
	tests/vm/demo $(KERNEL)

bench:
	scripts/bench $(if $(KERNEL),-k $(KERNEL))

bench-paths:
	scripts/bench-paths $(if $(KERNEL),-k $(KERNEL))

bench-silence:
	scripts/bench-silence $(if $(KERNEL),-k $(KERNEL))

bench-command:
	scripts/bench-command $(if $(KERNEL),-k $(KERNEL))

bench-scale:
	scripts/bench-scale $(if $(KERNEL),-k $(KERNEL))

plot:
	scripts/plot

bench-profile:
	scripts/bench $(if $(KERNEL),-k $(KERNEL)) --profile

# A failed test is not an error here: it becomes a "no" in the table.
kernels-table:
	-tests/run $$(scripts/kernels-table --tests)
	scripts/kernels-table

lint:
	scripts/lint

help:
	@echo 'make             build multipath.ko for the kernel in KDIR ($(KDIR))'
	@echo 'make install     install multipath.ko into updates/ of that kernel and run depmod (INSTALL_MOD_PATH=)'
	@echo 'make uninstall   remove the installed module'
	@echo 'make deb         build the Debian package md-multipath-dkms in out/deb'
	@echo 'make rpm         build the RPM package md-multipath-dkms in out/rpm'
	@echo 'make dkms        install the driver for DKMS, with its rules and units, on any distribution'
	@echo 'make dkms-remove remove what make dkms has installed'
	@echo 'make clean       remove everything that make built'
	@echo 'make check       run the essential tests in virtual machines, on the main kernels of tests/vm/kernels'
	@echo 'make check-others  run the tests that make check omits (KERNEL=)'
	@echo 'make check-all   run all tests'
	@echo 'make check-debug run the tests on a kernel with KASAN, lockdep and other checks (TESTS=)'
	@echo 'make check-races run the tests in which two CPUs access the same data, on a kernel with KCSAN (TESTS=)'
	@echo 'make check-in-tree  run the tests with md built from a patched kernel tree (KERNEL=)'
	@echo 'make check-kernels  test other kernels, and update docs/kernels.md (KERNEL=, TESTS=)'
	@echo 'make check-arch  the same for another architecture, which may be emulated (ARCH=)'
	@echo 'make check-configs  compile and link the driver with other configurations of the kernel (KERNEL=)'
	@echo 'make demo        show an array that survives a pulled cable (KERNEL=)'
	@echo 'make bench       count the instructions per I/O, compared with other drivers (KERNEL=)'
	@echo 'make bench-profile  count the same per kernel function (KERNEL=)'
	@echo 'make bench-paths measure the I/O policies, compared with other drivers (KERNEL=)'
	@echo 'make bench-silence  measure what happens when a wire of a SAN goes silent, compared with dm-multipath (KERNEL=)'
	@echo 'make bench-command  compare the time of md-multipath with that of multipath -ll (KERNEL=)'
	@echo 'make bench-scale measure threads, memory, checks and the loss of a controller with many LUNs, compared with dm-multipath (KERNEL=)'
	@echo 'make plot        plot I/O rates while paths fail, compared with other drivers: docs/figures/failures.svg'
	@echo 'make kernels-table  test which features work on which kernel, and update docs/kernels.md'
	@echo 'make lint        run all static checks: see scripts/lint'
	@echo
	@echo 'KDIR=<directory>       build for the kernel with this build directory'
	@echo 'INSTALL_MOD_PATH=<directory>  install the module below this directory'
	@echo 'CC=clang               compile with clang; the kernel must be built with clang too'
	@echo 'MD_SOURCE=<directory>  use drivers/md/md.h of this source tree of the same kernel'
	@echo 'KERNEL=<name>          use this kernel of tests/vm/kernels'
	@echo 'ARCH=<name>            i386, arm64, s390x or ppc64el'
	@echo 'TESTS="<test>..."      run only these tests'

.DEFAULT_GOAL := modules
.PHONY: modules headers install uninstall clean deb rpm dkms dkms-remove check check-others check-all check-debug check-races check-in-tree check-kernels check-arch check-configs demo bench bench-paths bench-silence bench-command bench-scale bench-profile plot kernels-table lint help

# SPDX-License-Identifier: GPL-2.0-or-later
# What a developer or user types.  What kbuild compiles, and how, is in Kbuild.

SHELL := /bin/bash -o pipefail
KDIR ?= /lib/modules/$(shell uname -r)/build
W ?= 1

HEADERS := .build
PRODUCTS := *.o multipath.ko multipath.mod multipath.mod.c modules.order Module.symvers .*.o.cmd

# W=1 makes 6.12 read the kernel-doc comments with more perl than Debian installs by itself.
kernel-doc = $(if $(shell perl -MPod::Usage -e 1 2>&1),cmd_checkdoc=)
kbuild = $(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) W=$(W) $(kernel-doc)

modules-folder = $(INSTALL_MOD_PATH)/lib/modules/$(release)
release = $(shell sed -n 's/^.*UTS_RELEASE "\(.*\)"$$/\1/p' $(KDIR)/include/generated/utsrelease.h 2>/dev/null)

# When the proof fails, the line that tells what to do comes last.
modules: headers
	@{ $(kbuild) modules 2>&1 >&3 | tee $(HEADERS)/errors >&2; } 3>&1 || \
		{ ! grep -q MP_SAME $(HEADERS)/errors || grep '^multipath: ' $(HEADERS)/md-layout.h >&2; exit 1; }

# What was built for another kernel, or with other headers, is built again.
headers:
	@scripts/md-headers $(KDIR) $(HEADERS)
	@[[ '$(CC)' != *clang* ]] || grep -q '^CONFIG_CC_IS_CLANG=y' $(KDIR)/include/config/auto.conf || \
		{ echo 'multipath: kernel $(release): built by gcc, with options that clang refuses: leave out CC=$(CC)' >&2; exit 1; }
	@[ multipath.ko -nt $(HEADERS)/stamp ] || rm -f $(PRODUCTS)

install: modules
	$(kbuild) INSTALL_MOD_DIR=updates modules_install
	depmod $(addprefix --basedir=,$(INSTALL_MOD_PATH)) $(release)

uninstall:
	rm -f $(modules-folder)/updates/multipath.ko{,.xz,.gz,.zst}
	[ ! -d $(modules-folder)/updates ] || rmdir --ignore-fail-on-non-empty $(modules-folder)/updates
	depmod $(addprefix --basedir=,$(INSTALL_MOD_PATH)) $(release)

clean:
	@rm -rf $(HEADERS) $(PRODUCTS) .multipath.* .[mM]odule*.cmd ..module*.cmd .module-common.o

deb:
	scripts/make-deb out/deb

# The groups that say in a quarter of an hour whether the driver does what it is for.
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

# Those with two CPUs, which are at the same thing.
RACING := debug/looks-for-races debug/load-and-unload faults/alternate faults/delete-device \
	grow/paths iopolicy/switch-under-faults nopath/many reinstate/at-random reinstate/in-any-order

check-races:
	tests/run -k races $(or $(TESTS),$(RACING))

# With md built from a kernel's source that scripts/into-tree has put the driver into.
check-in-tree:
	MP_ALL=1 tests/run $(if $(KERNEL),-k $(KERNEL)) package/into-tree

demo:
	tests/vm/demo $(KERNEL)

bench:
	scripts/bench $(if $(KERNEL),-k $(KERNEL))

bench-paths:
	scripts/bench-paths $(if $(KERNEL),-k $(KERNEL))

plot:
	scripts/plot

bench-profile:
	scripts/bench $(if $(KERNEL),-k $(KERNEL)) --profile

# A test that fails is a "no" there.
kernels-table:
	-tests/run $$(scripts/kernels-table --tests)
	scripts/kernels-table

lint:
	scripts/lint

help:
	@echo 'make             build multipath.ko (KDIR=$(KDIR))'
	@echo 'make install     put it into updates/ of that kernel (INSTALL_MOD_PATH=) and run depmod'
	@echo 'make uninstall   take it out again'
	@echo 'make deb         build the Debian package of this release, which builds the module by DKMS: out/deb'
	@echo 'make clean       remove all that was built'
	@echo 'make check       build it and test the essentials on all kernels of tests/vm/kernels, in virtual machines'
	@echo 'make check-others  all that make check leaves out (KERNEL=); make check-all: both'
	@echo 'make check-debug the same tests, and some more, on a kernel that looks for our mistakes (TESTS=some)'
	@echo 'make check-races those where CPUs race, on a kernel that looks for accesses which do (TESTS=some)'
	@echo 'make check-in-tree   all that need a virtual machine, with the driver in the kernel'"'"'s source (KERNEL=)'
	@echo 'make demo        watch an array survive a pulled cable (KERNEL=a kernel of tests/vm/kernels)'
	@echo 'make bench       what an I/O costs, in instructions, beside the peers (KERNEL=)'
	@echo 'make bench-profile  the same, by function of the kernel (KERNEL=)'
	@echo 'make bench-paths what the choice of a path is worth, beside the peers (KERNEL=)'
	@echo 'make plot        what who reads sees while paths fail, beside the peers: figures/failures.svg'
	@echo 'make kernels-table  what works on which kernel, into README.md'
	@echo 'make lint        checkpatch, sparse, coccicheck, shellcheck'
	@echo
	@echo 'KDIR=folder      the build folder of the kernel to build for'
	@echo 'CC=clang         the compiler'
	@echo 'MD_SOURCE=folder take drivers/md/md.h from this source tree of the same kernel'

.DEFAULT_GOAL := modules
.PHONY: modules headers install uninstall clean deb check check-others check-all check-debug check-races check-in-tree demo bench bench-paths bench-profile plot kernels-table lint help

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QEMU plugin that counts how often each block of the kernel's code is executed
 * during a number of calls of one kernel function.
 *
 * The guest selects the function by running a program (tests/vm/count-from) whose
 * first instruction is at MARK plus the low half of the function's address.  The
 * plugin skips SKIP calls and then counts during COUNT calls.  The nth time, it
 * writes <directory>/count.<n> with lines
 *
 *	<address> <instructions executed in the block that begins there>
 *
 * Address 0 stands for everything outside the kernel.
 *
 * No Debian package has QEMU's header.  The declarations below are those that all
 * versions of the plugin API have in common.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK		UINT64_C(0x6d0000000000)
#define KERNEL		UINT64_C(0xffffffff00000000)
#define LOW_HALF	UINT64_C(0xffffffff)
#define BUCKETS		(1 << 16)

#ifndef API
#define API		1
#endif

struct qemu_plugin_tb;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
		void (*translated)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
		void (*executed)(unsigned int cpu, void *data), int no_registers, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

#define EXPORT		__attribute__((visibility("default")))
EXPORT int qemu_plugin_version = API;

struct block {
	struct block	*next;
	uint64_t	address;
	uint64_t	length;
	uint64_t	instructions;
};

static struct block *blocks[BUCKETS];
static const char *dir;
static uint64_t skip = 24, count = 128;

static uint64_t function;	/* 0: none selected */
static uint64_t calls;
static bool counting;
static int dumps;

/* A block may be translated more than once, each time with another length. */
static struct block *find_block(uint64_t address, uint64_t length)
{
	struct block **bucket = &blocks[(address >> 1 ^ length) % BUCKETS];
	struct block *block;

	for (block = *bucket; block; block = block->next)
		if (block->address == address && block->length == length)
			return block;

	block = calloc(1, sizeof(*block));
	if (!block)
		abort();
	block->address = address;
	block->length = length;
	block->next = *bucket;
	*bucket = block;
	return block;
}

static void for_each_block(void (*do_this)(struct block *block, FILE *file), FILE *file)
{
	struct block *block;
	int i;

	for (i = 0; i < BUCKETS; i++)
		for (block = blocks[i]; block; block = block->next)
			do_this(block, file);
}

static void clear(struct block *block, FILE *file)
{
	block->instructions = 0;
}

static void print(struct block *block, FILE *file)
{
	uint64_t address = block->address >= KERNEL ? block->address : 0;

	if (block->instructions)
		fprintf(file, "%016" PRIx64 " %" PRIu64 "\n", address, block->instructions);
}

static void dump(void)
{
	char name[4096];
	FILE *file;

	snprintf(name, sizeof(name), "%s/count.%d", dir, ++dumps);
	file = fopen(name, "w");
	if (!file) {
		perror(name);
		exit(1);
	}
	for_each_block(print, file);
	fclose(file);
}

static void function_called(void)
{
	calls++;
	if (calls == skip) {
		for_each_block(clear, NULL);
		counting = true;
	} else if (calls == skip + count) {
		dump();
		counting = false;
		function = 0;
	}
}

static void executed(unsigned int cpu, void *data)
{
	struct block *block = data;

	if (block->address == function && function)
		function_called();
	if (counting)
		block->instructions += block->length;
}

static void marked(unsigned int cpu, void *data)
{
	struct block *block = data;

	function = KERNEL | (block->address & LOW_HALF);
	calls = 0;
	counting = false;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	struct block *block = find_block(address, qemu_plugin_tb_n_insns(tb));
	bool is_mark = (address & ~LOW_HALF) == MARK;

	qemu_plugin_register_vcpu_tb_exec_cb(tb, is_mark ? marked : executed, 0, block);
}

/* Arguments: dir=<directory>. */
EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++)
		if (!strncmp(argv[i], "dir=", 4))
			dir = strdup(argv[i] + 4);
	if (!dir) {
		fprintf(stderr, "count: missing argument dir=\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}

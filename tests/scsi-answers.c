// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The parsers of scsi.c with a simulated device, for libFuzzer
 *
 * badinput/scsi-answers cuts them out of the driver's files into parsers.h.  What they need of
 * the kernel is defined here.  The input consists of
 *
 *	1 byte		flags of the device, and the type of the ID that is looked for
 *	17 bytes	length and ID
 *	for each command:
 *	  1 byte	how it ends: enum ending
 *	  2 bytes	number of bytes that follow, the low one first
 *	  n bytes	its answer, or its sense data
 */
#include <errno.h>
#include <sanitizer/allocator_interface.h>
#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t __be16;
typedef uint32_t u32, __be32;
typedef uint64_t u64, __be64, sector_t;
typedef unsigned int blk_opf_t, blk_mq_req_flags_t, blk_status_t;

#define HZ			250
#define SECTOR_SHIFT		9
#define U32_MAX			UINT32_MAX
#define GFP_NOIO		0
#define RQF_QUIET		1
#define REQ_OP_DRV_IN		34
#define BLK_MQ_REQ_NOWAIT	1
#define BLK_STS_IOERR		10
#define READ_ONCE(x)		(x)
#define min(a, b)		((a) < (b) ? (a) : (b))
#define check_mul_overflow(a, b, result)	__builtin_mul_overflow(a, b, result)
#define be16_to_cpup(p)		__builtin_bswap16(*(p))
#define be32_to_cpup(p)		__builtin_bswap32(*(p))
#define be64_to_cpup(p)		__builtin_bswap64(*(p))
#define ERR_PTR(err)		((void *)(long)(err))
#define PTR_ERR(p)		((long)(p))
#define IS_ERR(p)		((unsigned long)(p) >= -4095UL)
#define symbol_get(symbol)	(&(symbol))
#define symbol_put(symbol)
#define blk_queue_dying(q)	((q)->dying)
#define wait_event_timeout(wq, condition, timeout)	((condition) ? (timeout) : 0)
#define schedule_timeout_uninterruptible(timeout)

/* From SCSI's standards, and from the kernel's enum blk_unique_id. */
enum { INQUIRY = 0x12, READ_CAPACITY = 0x25, SERVICE_ACTION_IN_16 = 0x9e, SAI_READ_CAPACITY_16 = 0x10 };
enum { SAM_STAT_CHECK_CONDITION = 2, RECOVERED_ERROR = 1, NOT_READY = 2, UNIT_ATTENTION = 6, ABORTED_COMMAND = 0xb };
enum { BLK_UID_EUI64 = 2, BLK_UID_NAA = 3 };

struct request_queue { bool dying; int mq_freeze_depth; };
struct scsi_device {
	struct request_queue *request_queue;
	unsigned int no_read_capacity_16:1, try_rc_10_first:1, fix_capacity:1, guess_capacity:1;
};
struct scsi_cmnd { u8 cmnd[32], *sense_buffer; int cmd_len, allowed, result; unsigned int resid_len; };
struct request {
	struct scsi_cmnd command;
	unsigned int rq_flags, timeout, length;
	void *answer;
};

enum ending { GOOD, SENSE, RESIDUAL, NO_RESPONSE, NO_TAG, ENDINGS };

static const u8 *input;
static size_t left;
static u8 *last_answer;

static size_t take(void *into, size_t length)
{
	length = min(length, left);
	memcpy(into, input, length);
	input += length;
	left -= length;
	return length;
}

static void *kmalloc(size_t size, int gfp)
{
	return malloc(size);
}

static void kfree(void *p)
{
	last_answer = NULL;
	free(p);
}

/* Only what the last command has transferred may be read. */
static void allow_all(void)
{
	if (last_answer)
		__asan_unpoison_memory_region(last_answer, __sanitizer_get_allocated_size(last_answer));
}

static struct request *scsi_alloc_request(struct request_queue *q, blk_opf_t opf, blk_mq_req_flags_t flags)
{
	struct request *rq;

	if (left && *input % ENDINGS == NO_TAG) {
		q->dying = input[0] & 0x80;
		input++;
		left--;
		return ERR_PTR(-EWOULDBLOCK);
	}
	allow_all();
	rq = calloc(1, sizeof(*rq));
	rq->command.sense_buffer = calloc(1, 96);
	return rq;
}

static void blk_mq_free_request(struct request *rq)
{
	free(rq->command.sense_buffer);
	free(rq);
}

static struct scsi_cmnd *blk_mq_rq_to_pdu(struct request *rq)
{
	return &rq->command;
}

static int blk_rq_map_kern(struct request *rq, void *answer, unsigned int length, int gfp)
{
	rq->answer = last_answer = answer;
	rq->length = length;
	return 0;
}

static blk_status_t blk_execute_rq(struct request *rq, bool at_head)
{
	u8 head[3] = { NO_RESPONSE };
	size_t length;

	take(head, sizeof(head));
	length = head[1] | head[2] << 8;
	switch (head[0] % ENDINGS) {
	case RESIDUAL:
		take(&rq->command.resid_len, 2);
		/* fall through */
	case GOOD:
		if (rq->length)
			take(rq->answer, min(length, rq->length));
		break;
	case SENSE:
		rq->command.result = SAM_STAT_CHECK_CONDITION;
		take(rq->command.sense_buffer, min(length, 96));
		return BLK_STS_IOERR;
	default:
		return BLK_STS_IOERR;
	}
	if (rq->length)
		__asan_poison_memory_region(rq->answer + rq->length,
					    __sanitizer_get_allocated_size(rq->answer) - rq->length);
	return 0;
}

#include "parsers.h"

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct request_queue q = { .mq_freeze_depth = 0 };
	struct scsi_device sdev = { .request_queue = &q };
	struct mp_disk known = { .sectors = 65536, .block_size = 512 }, now;
	u8 flags = 0;
	int err;

	input = data;
	left = size;
	take(&flags, 1);
	sdev.no_read_capacity_16 = flags;
	sdev.try_rc_10_first = flags >> 1;
	sdev.fix_capacity = flags >> 2;
	sdev.guess_capacity = flags >> 3;
	take(&known.identity.length, 1);
	known.identity.length %= sizeof(known.identity.id) + 1;
	take(known.identity.id, sizeof(known.identity.id));

	/* The first identity, as when a path is added; then as when one is reinstated. */
	if (flags & 0x10)
		mp_query_identity(&sdev, &known.identity, &known.identity,
				  flags & 0x80 ? 0 : MP_QUERY_TIMEOUT);
	else
		known.identity.type = flags >> 5 & 3;
	require(known.identity.length <= sizeof(known.identity.id));
	err = mp_query_disk(&sdev, &known, &now);
	require(err <= 0 && err > -4096);
	require(now.identity.length <= sizeof(now.identity.id));
	require(err || (now.sectors && now.block_size >> SECTOR_SHIFT));
	return 0;
}

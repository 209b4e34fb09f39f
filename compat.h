/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the driver needs and older kernels do not have
 *
 * The .c files are written for the newest kernel and contain no conditions.  Out of tree,
 * this file is included before each of them and gives older kernels the newest names.  The
 * newest kernel's tree does not need it.
 *
 * Everything depends on a HAVE_x, which scripts/features derives from the very headers in
 * use, or on the macro in question.  Nothing depends on a version, because stable updates
 * rename things too.
 */
#ifndef _MULTIPATH_COMPAT_H
#define _MULTIPATH_COMPAT_H

#include <linux/bio.h>
#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/mempool.h>
#include <linux/raid/md_u.h>
#include <linux/seq_file.h>
#include <trace/events/block.h>
#include "md.h"

/* -------- macros and inline functions of md.h, which BTF does not contain -------- */

#ifdef MD_TYPES_FROM_BTF

#ifndef MaxSector
#define MaxSector	(~(sector_t)0)
#endif

#define rdev_for_each(rdev, mddev) \
	list_for_each_entry(rdev, &((mddev)->disks), same_set)

static inline char *mdname(struct mddev *mddev)
{
	return mddev->gendisk ? mddev->gendisk->disk_name : "mdX";
}

#endif /* MD_TYPES_FROM_BTF */

/* -------- md core -------- */

/* Newer than 6.12: personalities and the other parts of md register in the same way. */
#ifndef HAVE_MD_SUBMODULE
#define MP_PERSONALITY_IDENTITY			\
	.name	= "multipath",			\
	.level	= LEVEL_MULTIPATH,		\
	.owner	= THIS_MODULE

#define mp_register(personality_head)	register_md_personality(&multipath_personality)
#define mp_unregister(personality_head)	unregister_md_personality(&multipath_personality)
#else
#define mp_register(personality_head)	register_md_submodule(personality_head)
#define mp_unregister(personality_head)	unregister_md_submodule(personality_head)
#endif

/*
 * 6.8 removed the level from md core; a patched md core has it again.  Otherwise
 * compat-superblocks.h defines these two, for multipath.c alone.
 */
#ifdef LEVEL_MULTIPATH
#define mp_enable_superblocks(err)	(err)
#define mp_disable_superblocks()
#endif

/*
 * Up to 6.7, which has this level too, md core writes superblocks of level -4 to the first
 * rdev only (md_update_sb()).  If that one is Faulty, it writes none.
 */
#ifdef LEVEL_FAULTY
#define mp_sole_superblock_writer(mddev)	\
	list_first_entry_or_null(&(mddev)->disks, struct md_rdev, same_set)
#endif

#define register_md_submodule(personality_head)			\
	mp_enable_superblocks(mp_register(personality_head))
#define unregister_md_submodule(personality_head)		\
	do {							\
		mp_disable_superblocks();			\
		mp_unregister(personality_head);		\
	} while (0)

/* Newer than 6.12, and in 6.12 stable since 6.12.111: recovery_cp was renamed. */
#ifndef HAVE_RESYNC_OFFSET
#define resync_offset	recovery_cp
#endif

/* Inline functions of the newest md.h.  6.1 has one of them, which reads other fields. */
#if defined(MD_TYPES_FROM_BTF) || !defined(HAVE_QUEUE_LIMITS_SET)
static inline bool mp_is_rdev_broken(struct md_rdev *rdev)
{
	return !disk_live(rdev->bdev->bd_disk);
}

#define is_rdev_broken	mp_is_rdev_broken

static inline void mp_trace_remap(struct mddev *mddev, struct bio *bio, sector_t sector)
{
	trace_block_bio_remap(bio, disk_devt(mddev->gendisk), sector);
}

#define mddev_trace_remap	mp_trace_remap
#endif

/* -------- the block layer -------- */

/* 6.8: allocation from the reserve alone.  Here the slab is tried again first. */
#ifndef HAVE_MEMPOOL_PREALLOCATED
static inline void *mempool_alloc_preallocated(mempool_t *pool)
{
	return mempool_alloc(pool, GFP_NOWAIT | __GFP_NOWARN);
}
#endif

/* Newer than 6.12: blk_rq_map_kern() takes the queue from the request. */
#ifndef HAVE_RQ_MAP_KERN_BY_RQ
#define blk_rq_map_kern(rq, buffer, length, gfp)	\
	blk_rq_map_kern((rq)->q, rq, buffer, length, gfp)
#endif

/* Newer than 6.12: the end of a request also gets the batch that it ends with. */
#ifndef HAVE_RQ_END_IO_BATCH
#define mp_query_end(rq, status, batch)		mp_query_end(rq, status)
#endif

/* 6.5: direct I/O is marked.  Here no bio has the flag. */
#ifndef HAVE_BIO_PAGE_PINNED
#define BIO_PAGE_PINNED		BIO_FLAG_LAST
#endif

/*
 * NEXUS was renamed after 6.1.  A status that a kernel lacks is never returned by its
 * drivers.
 */
#ifndef BLK_STS_RESV_CONFLICT
#define BLK_STS_RESV_CONFLICT	BLK_STS_NEXUS
#endif
#ifndef BLK_STS_DURATION_LIMIT
#define BLK_STS_DURATION_LIMIT	((__force blk_status_t)253)
#endif
#ifndef BLK_STS_INVAL
#define BLK_STS_INVAL		((__force blk_status_t)254)
#endif

/* Newer than 6.12: queue limits say whether write-zeroes unmap. */
#ifndef HAVE_WZEROES_UNMAP
#define mp_clear_wzeroes_unmap(limits)	do { } while (0)
#endif

/* Newer than 6.12: stacked devices support atomic writes only with a flag of their own. */
#if defined(HAVE_QUEUE_LIMITS_SET) && !defined(BLK_FEAT_ATOMIC_WRITES)
#define BLK_FEAT_ATOMIC_WRITES	((__force blk_features_t)0)
#endif

/*
 * Since 6.11 limits and features are one struct, stacked in memory and applied at once.  On
 * 6.1 the features are queue flags; here they are kept beside the limits, and so is the
 * limit that multipath.c sets itself.  (6.9 and 6.10 are in between, and not supported.)
 * md_run() of 6.1 handles QUEUE_FLAG_NOWAIT, but nothing does when a path is added later.
 */
#ifndef HAVE_QUEUE_LIMITS_SET

struct mp_queue_limits {
	struct queue_limits	limits;
	unsigned int		features;
	unsigned int		dma_alignment;
};

#define BLK_FEAT_STABLE_WRITES	BIT(0)
#define BLK_FEAT_NOWAIT		BIT(1)
#define BLK_FEAT_ATOMIC_WRITES	0

static inline void md_init_stacking_limits(struct mp_queue_limits *lim)
{
	blk_set_stacking_limits(&lim->limits);
	lim->features = 0;
	lim->dma_alignment = lim->limits.dma_alignment;
}

static inline void queue_limits_stack_bdev(struct mp_queue_limits *lim,
					   struct block_device *bdev,
					   sector_t offset, const char *name)
{
	if (blk_stack_limits(&lim->limits, &bdev_get_queue(bdev)->limits,
			     get_start_sect(bdev) + offset) < 0)
		pr_notice("%s: Warning: Device %pg is misaligned\n", name, bdev);
	lim->dma_alignment = max(lim->dma_alignment, bdev_dma_alignment(bdev));
	if (bdev_stable_writes(bdev))
		lim->features |= BLK_FEAT_STABLE_WRITES;
	if (!bdev_nowait(bdev))
		lim->features &= ~BLK_FEAT_NOWAIT;
}

/* md_integrity_register() and md_integrity_add_rdev() do this on these kernels. */
static inline bool queue_limits_stack_integrity_bdev(struct mp_queue_limits *lim,
						     struct block_device *bdev)
{
	return true;
}

static inline int queue_limits_set(struct request_queue *q, struct mp_queue_limits *lim)
{
	lim->limits.dma_alignment = lim->dma_alignment;
	q->limits = lim->limits;
	if (lim->features & BLK_FEAT_STABLE_WRITES)
		blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, q);
	if (!(lim->features & BLK_FEAT_NOWAIT))
		blk_queue_flag_clear(QUEUE_FLAG_NOWAIT, q);
	disk_update_readahead(q->disk);
	return 0;
}

static inline int mddev_stack_new_rdev(struct mddev *mddev, struct md_rdev *rdev)
{
	struct request_queue *q = mddev->gendisk->queue;
	struct mp_queue_limits lim = {
		.limits		= q->limits,
		.features	= BLK_FEAT_NOWAIT,
		.dma_alignment	= q->limits.dma_alignment,
	};
	int err;

	err = md_integrity_add_rdev(rdev, mddev);
	if (err)
		return err;
	queue_limits_stack_bdev(&lim, rdev->bdev, rdev->data_offset, mdname(mddev));
	return queue_limits_set(q, &lim);
}

static inline void blk_queue_disable_discard(struct request_queue *q)
{
	q->limits.max_discard_sectors = 0;
}

static inline void blk_queue_disable_secure_erase(struct request_queue *q)
{
	q->limits.max_secure_erase_sectors = 0;
}

static inline void blk_queue_disable_write_zeroes(struct request_queue *q)
{
	q->limits.max_write_zeroes_sectors = 0;
}

#define queue_limits	mp_queue_limits

#endif /* HAVE_QUEUE_LIMITS_SET */

#endif

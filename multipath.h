/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Data structures of the md personality "multipath": who may touch what, when.
 *
 * Locks
 *	reconfig_mutex	md core's.  Held by md core around run, free, hot_add_disk,
 *			hot_remove_disk and quiesce.  Never taken here: the error
 *			handler and the completions run in any context.
 *	mp_conf::lock	Leaf, irq-safe.  Guards every change of a path's state
 *			(In_sync, Faulty, the slot's pointer) and what is counted
 *			from it, the gate and the list of parked bios.
 *	RCU		mp_path::rdev may be dereferenced
 *			 1. under rcu_read_lock(), or
 *			 2. by who has the path's in_flight raised (an mp_io does,
 *			    from mp_take_path() to mp_put_path()), or
 *			 3. with reconfig_mutex held.
 *			Who removes a path waits until nobody can choose it, finds
 *			in_flight final, clears the pointer and waits once more: see
 *			multipath_hot_remove_disk().
 */
#ifndef _MULTIPATH_H
#define _MULTIPATH_H

#include <linux/bio.h>
#include <linux/llist.h>
#include <linux/mempool.h>
#include <linux/percpu.h>
#include <linux/raid/md_u.h>
#include <linux/wait.h>

#ifndef LEVEL_MULTIPATH
#define LEVEL_MULTIPATH		(-4)
#endif

/* How md core is told who we are; older kernels have it as flat members. */
#ifndef MP_PERSONALITY_IDENTITY
#define MP_PERSONALITY_IDENTITY						\
	.head = {							\
		.type	= MD_PERSONALITY,				\
		.id	= (enum md_submodule_id)LEVEL_MULTIPATH,	\
		.name	= "multipath",					\
		.owner	= THIS_MODULE,					\
	}
#endif

/* The paths that a bio has tried are the bits of a u64. */
#define MP_MAX_PATHS		64

/* Records kept back per array, so that I/O goes on when memory is short. */
#define MP_RESERVED_IOS		64

/*
 * One slot of the array.  The slots are an array that lives as long as the
 * array runs; paths come and go in them.
 */
struct mp_path {
	struct md_rdev __rcu	*rdev;		/* see RCU above; changed under mp_conf::lock */
	u32			joined;		/* mp_conf::generation of this rdev; lock */
	unsigned int		slot;		/* fixed: the index in mp_conf::paths */
	long __percpu		*in_flight;	/* submit adds, completion takes off, on its CPU */
};

/* What the I/O path reads comes first; nothing on it is written per I/O (R6). */
struct mp_conf {
	unsigned int		gate;		/* lock; >0: no bio may go to a path */
	unsigned int		nr_live;	/* lock; paths in sync; the I/O path peeks */
	u32			generation;	/* lock; paths that ever joined */
	struct mddev		*mddev;		/* fixed */
	struct md_thread __rcu	*retry_thread;	/* set by run(), cleared by free() */

	mempool_t		ios;		/* the reserve of struct mp_io */
	struct llist_head	failed;		/* mp_io; any context adds, the thread empties */

	spinlock_t		lock;		/* leaf; irq-safe */
	struct bio_list		parked;		/* lock; master bios that have no record yet */
	wait_queue_head_t	drained;	/* who shut the gate waits here */

	unsigned int		nr_paths;	/* fixed: mddev->raid_disks at run() */
	struct mp_path		paths[] __counted_by(nr_paths);
};

/*
 * One bio on its way.  It has one owner at a time: the submitter, the lower
 * driver, the list of failed ones, the retry thread; nothing in it needs a lock.
 */
struct mp_io {
	struct bio		*master;	/* the bio that md was given */
	struct mp_conf		*conf;
	struct mp_path		*path;		/* where it is, or was last */
	u64			tried;		/* slots tried in this round (R1) */
	u64			doubted;	/* slots to blame if another path succeeds (R2) */
	u32			generation;	/* mp_conf::generation at the first doubt */
	unsigned long		start_time;	/* jiffies, for iostat */
	blk_status_t		first_error;
	bool			accounted;	/* iostat was on when it began (R7) */
	bool			patient;	/* was sent without our failfast (R3) */
	struct llist_node	node;		/* mp_conf::failed */
	struct bio		clone;		/* what the lower driver gets */
};

#endif

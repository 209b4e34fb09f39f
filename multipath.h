/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data structures of the md personality "multipath", the locks that protect them, and
 * the functions that each file offers the others
 *
 * Locks
 *	reconfig_mutex	md core's.  md core holds it around run, free, hot_add_disk,
 *			hot_remove_disk, check_reshape, resize and quiesce.  This driver
 *			never waits for it, because the error handler and the completions
 *			run in any context.  Only mp_wake_md() takes it, with a trylock.
 *	mp_conf::lock	Leaf, irq-safe.  Protects every change of a path's state (In_sync,
 *			Faulty, the slot's pointer) and the counts derived from it.  Also
 *			protects the array's state, freeze_depth and the list of queued
 *			bios.
 *	mp_arrays_lock	A mutex for run, free and the reboot notifier.
 *	RCU		mp_path::rdev may be dereferenced
 *			 1. under rcu_read_lock() or rcu_read_lock_sched(), or
 *			 2. while the caller counts in the path's in_flight (an mp_io does
 *			    from mp_take_path() to mp_put_path()), or
 *			 3. with reconfig_mutex held, or
 *			 4. with mp_conf::lock held.
 *			multipath_hot_remove_disk() waits until no CPU can choose the path,
 *			finds in_flight final, clears the pointer and waits once more.
 *
 * In the comments on fields, "lock" is mp_conf::lock.  "fixed" means that the field does not
 * change once it is set up.  "peeked" means that others read it without the lock, with
 * READ_ONCE().
 */
#ifndef _MULTIPATH_H
#define _MULTIPATH_H

#include <linux/bio.h>
#include <linux/llist.h>
#include <linux/mempool.h>
#include <linux/percpu.h>
#include <linux/raid/md_u.h>
#include <linux/refcount.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "md.h"

struct scsi_device;

#ifndef LEVEL_MULTIPATH
#define LEVEL_MULTIPATH		(-4)
#endif

/* How a personality identifies itself to md core; older kernels have flat members instead. */
#ifndef MP_PERSONALITY_IDENTITY
#define MP_PERSONALITY_IDENTITY						\
	.head = {							\
		.type	= MD_PERSONALITY,				\
		.id	= (enum md_submodule_id)LEVEL_MULTIPATH,	\
		.name	= "multipath",					\
		.owner	= THIS_MODULE,					\
	}
#endif

/* The only path that md core writes the superblock to; NULL if it writes to all of them. */
#ifndef mp_sole_superblock_writer
static inline struct md_rdev *mp_sole_superblock_writer(struct mddev *mddev)
{
	return NULL;
}
#endif

/*
 * For a queue that does not support write-zeroes: none that unmap either.
 * blk_queue_disable_write_zeroes() leaves that limit, and the block layer refuses any later
 * change of limits of which only this one is set.
 */
#ifndef mp_clear_wzeroes_unmap
#define mp_clear_wzeroes_unmap(limits)	((limits)->max_hw_wzeroes_unmap_sectors = 0)
#endif

/* A u64 has a bit for each path that a bio has tried. */
#define MP_MAX_PATHS		64

/* Records of each kind that an array keeps in reserve, so that I/O continues without memory. */
#define MP_RESERVED_IOS		16

/* What waits in an array at most: bios, and bytes of their data. */
#define MP_MAX_QUEUED		4096
#define MP_MAX_QUEUED_BYTES	(64UL << 20)

/* The defaults and limits of the tunables; mp_conf has their units. */
#define MP_PROBE_INTERVAL	1
#define MP_MAX_PROBE_INTERVAL	3600
#define MP_STALL_TIMEOUT	2000
#define MP_IO_TIMEOUT		8000
#define MP_MAX_STALL_TIMEOUT	3600000
#define MP_CHECK_INTERVAL	10
#define MP_MAX_CHECK_INTERVAL	3600
#define MP_NO_PATH_RETRY	30
#define MP_MAX_NO_PATH_RETRY	1000000

/* The longest interval of stall_work, in jiffies: how long a device can be gone before it fails. */
#define MP_MAX_STALL_INTERVAL	(5 * HZ)

/* How long after its last I/O an array still counts as in use, in jiffies. */
#define MP_USED_TIME		(MP_MAX_STALL_INTERVAL + HZ)

/* How long a path stays suspect at most, in jiffies (R14). */
#define MP_SUSPECT_LIMIT	(5 * HZ)

/* How a bio is sent to the lower driver: see struct mp_io. */
enum mp_kind {
	MP_IN_PLACE,
	MP_CLONED,
	MP_KINDS,
};

/* Which of the best paths a bio goes to.  sysfs has the names. */
enum mp_policy {
	MP_FAILOVER,		/* the first one */
	MP_ROUND_ROBIN,		/* each in turn, separately on each CPU */
	MP_QUEUE_DEPTH,		/* the one with the fewest bios in flight */
	MP_NUMA,		/* the one nearest to the CPU's memory */
	MP_POLICIES,
};

/*
 * What makes a path a worse choice, the most serious last: bits of mp_path::demerits.
 * Bios go to the paths with the lowest number; 0 is a path without any demerit (R13).
 */
enum mp_demerit {
	MP_NON_OPTIMISED,	/* ALUA: another controller is faster */
	MP_STANDBY,		/* write-mostly, set by the administrator: a flag of the rdev */
	MP_UNCONFIRMED,		/* at rest: bios that choose it wait for a check (R17) */
	MP_STALLED,		/* it has I/O in flight and has completed none for a long time */
	MP_INACTIVE,		/* ALUA: this controller does no I/O; or not known yet */
};

/* The rank of a path that is not live or has been tried: worse than any demerit. */
#define MP_UNUSABLE		ULONG_MAX

/*
 * How many bios began and ended at a path on this CPU.  Submission and completion each add
 * one, and the difference of the sums is what is in flight.  Two epochs show whether any of
 * it is old (mp_stall_work()).
 */
struct mp_tally {
	unsigned long		begun[2];
	unsigned long		ended[2];
	unsigned long		not_issued;	/* ended without the device having seen them */
};

/* How a bio is counted at its path. */
#define MP_TICKET_EPOCH		BIT(0)	/* in which epoch */
#define MP_TICKET_DEPTH		BIT(1)	/* also in mp_path::depth */

/* Can the array do I/O? */
enum mp_state {
	MP_WORKING,		/* yes, as far as is known */
	MP_SEARCHING,		/* no live path works: bios are queued, failed paths are probed */
	MP_QUEUEING,		/* no path works: bios are queued until no_path_retry is over */
	MP_GIVEN_UP,		/* no path works and no_path_retry is over: bios fail at once */
};

/* Why a path has failed.  show_reason() and mp_reason_names have the names. */
enum mp_reason {
	MP_NO_REASON,		/* it has not failed, or was Faulty at the start */
	MP_IO_ERROR,		/* an I/O ended with a path error */
	MP_FAILED_OVER,		/* another path did an I/O that failed on this one */
	MP_PROBE_ERROR,		/* a probe failed */
	MP_SUPERBLOCK_ERROR,	/* a superblock write failed, and then a probe */
	MP_GONE,		/* its device has disappeared */
	MP_TIMEOUT,		/* it has completed no I/O for io_timeout */
	MP_WRONG_DISK,		/* it leads to another disk */
	MP_BY_ADMIN,		/* mdadm --fail, or a write to sysfs */
	MP_REASONS,
};

/* Whose fault an error is: see mp_classify(). */
enum mp_class {
	MP_FINAL,		/* the disk's or the caller's: passed up, never retried */
	MP_REFUSED,		/* the disk's or one port's: one other path is tried */
	MP_PATH_ERROR,		/* the path's: the path fails at once, the bio is retried */
	MP_AMBIGUOUS,		/* unknown: the bio is retried, and the result decides */
	MP_BUSY,		/* neither's: the bio is retried */
};

/*
 * A probe is one small read from a path.  retry_work starts it, and its completion hands
 * it back.  For a failed path that responds, the path's
 * query and check_work then check which disk the path leads to.  For a live path that could
 * not write the superblock, check_work checks whether the path reads it.
 */
enum mp_probe_state {
	MP_PROBE_IDLE,		/* retry_work owns it */
	MP_PROBE_SENT,		/* a work item or the path's query owns it, or the lower driver */
	MP_PROBE_OK,		/* back: the path works */
	MP_PROBE_AMBIGUOUS,	/* back: this place of the disk cannot be read */
	MP_PROBE_FAILED,	/* back: the path does not work */
	MP_PROBE_SUPERBLOCK,	/* back: the path reads the array's superblock */
	MP_PROBE_VOID,		/* back: the array was frozen, or the path is gone or not checked */
	MP_PROBE_SAME_DISK,	/* back: the path leads to the same disk as before */
	MP_PROBE_WRONG_DISK,	/* back: the path leads to another disk */
	MP_PROBE_WRONG_SIZE,	/* back: the disk has another size, or is too small */
};

/* What a probe finds out beside, or instead of, what a read of one block shows. */
enum mp_check {
	MP_CHECK_NONE,		/* all, after a read */
	MP_CHECK_ID_FIRST,	/* the ID before a read: the path led to another disk */
	/* Of a live path at rest (R17): */
	MP_CHECK_ID,		/* the ID */
	MP_CHECK_SUPERBLOCK,	/* the superblock */
	MP_CHECK_READ,		/* nothing else */
};

/* The type of an identity that is a UUID; enum blk_unique_id has the others, up to 15. */
#define MP_ID_UUID		16

/* How a device identifies its disk: a designator of SCSI's VPD page 83h, or a UUID. */
struct mp_identity {
	u8			type;		/* 0: none */
	u8			length;
	u8			id[16];
};

/* What a path leads to. */
struct mp_disk {
	struct mp_identity	identity;
	sector_t		sectors;	/* of the whole disk */
	unsigned int		block_size;	/* logical, in bytes */
};

/* What a device says about itself. */
struct mp_answer {
	int			err;		/* 0, or it did not say the rest */
	bool			inactive;	/* its controller does no I/O at present */
	struct mp_disk		disk;
};

/*
 * One slot of the array.  It exists from the moment the array first has that many slots until
 * the array stops.  Paths come and go in it.
 */
struct mp_path {
	struct md_rdev __rcu	*rdev;		/* see RCU above; changed under lock */
	struct mp_tally __percpu *tally;	/* begun less ended is "in_flight" */
	unsigned long		demerits;	/* enum mp_demerit; atomic bits; peeked */
	u8			epoch;		/* for bios that begin; stall_work's; peeked */
	int			node;		/* of the device; NUMA_NO_NODE if unknown */
	atomic_t		depth;		/* bios in flight, with policy queue-depth */
	struct mp_conf		*conf;		/* fixed */
	unsigned int		slot;		/* fixed: the index in mp_conf::paths */
	u32			live_generation; /* lock; generation when it went live; peeked */

	/* The life of a failed path.  lock; peeked. */
	bool			auto_reinstate;	/* a probe may reinstate it (R11) */
	bool			removing;	/* being removed: not probed, not reinstated */
	bool			was_reinstated;	/* at reinstated_at */
	unsigned long		reinstated_at;	/* jiffies */
	unsigned long		failed_at;	/* jiffies */
	unsigned long		probed_at;	/* jiffies; last reinstatement probe, or failure */
	unsigned long		probe_took;	/* jiffies; how long that probe took */
	unsigned long		hold;		/* jiffies that it stays failed at least */
	enum mp_reason		reason;		/* of its last failure */
	unsigned int		failures;	/* since it was added */
	unsigned int		reinstatements;	/* since it was added */
	unsigned long		ios_before;	/* of this slot, when it was added */
	time64_t		since;		/* boot time when it went live or failed */
	blk_status_t		last_error;	/* of a bio or a probe; any context */
	u32			superblock_errors; /* lock; failed superblock writes; peeked */
	/*
	 * How many of them are decided on; peeked.  __mp_set_live() and retry_work write
	 * it.  If one overwrites the other, a path is probed once more.
	 */
	u32			superblock_checked;

	struct mp_disk		disk;		/* when it was added; sectors: lock; peeked */
	struct mp_query		*query;		/* fixed while there is an rdev; NULL: not SCSI */
	struct work_struct	check_work;	/* mp_check_work(); counts in in_flight */
	bool			wrong_disk_logged;	/* check_work's */
	enum mp_probe_state	unreadable_logged;	/* of its superblock; check_work's */

	unsigned long		silent_since;	/* jiffies; stall_work's */
	unsigned long		alone_since;	/* jiffies; the others respond; stall_work's */
	unsigned long		completed;	/* stall_work's */
	unsigned long		completed_at;	/* jiffies; when it last increased; stall_work's */
	bool			aborting;	/* its I/O is requested back; stall_work's */

	/* A path at rest (R17). */
	unsigned long		ios_seen;	/* bios that have completed; stall_work's */
	unsigned long		rested_since;	/* jiffies; I/O, or a check; stall_work's */
	u8			early_checks;	/* since its last I/O; stall_work's */
	u8			rest_checks;	/* how many; stall_work's */
	bool			idle;		/* no I/O since the last look or check; peeked */
	bool			check_due;	/* stall_work sets, retry_work takes */
	bool			confirm_due;	/* likewise; bios prefer it by now */
	bool			awaited;	/* something waits; retry_work's; peeked */
	unsigned long		probes;		/* that have ended; probe_state's owner; peeked */

	/* The ALUA state of the path's target port (R14). */
	struct mp_tracker __rcu	*tracker;	/* NULL: the port has no state; reconfig_mutex */
	bool			has_access;	/* a handler has the state; access_work's; peeked */
	unsigned long		access;		/* demerits by that state; access_work's; peeked */
	enum mp_reason		suspect_reason;	/* lock; MP_NO_REASON: not suspect; peeked */
	unsigned long		suspect_since;	/* lock; jiffies; peeked */

	bool			notified_live;	/* in the last uevent; uevent_work's */
	char			removed[BDEVNAME_SIZE];	/* removed device to notify of; lock */

	/* What retry_work submits waits for the lower driver here, and only here (R9). */
	struct work_struct	submit_work;	/* mp_submit_work() */
	struct llist_head	to_submit;	/* mp_io; retry_work adds, the work takes */
	struct work_struct	probe_work;	/* mp_probe_work() */

	enum mp_probe_state	probe_state;	/* the owner of those below; release, acquire */
	bool			probe_to_submit;	/* retry_work submits it next */
	bool			probe_to_reinstate;	/* the path has failed */
	bool			probe_read_failed;	/* check whether it is inactive */
	bool			probe_superblock;	/* check only its superblock */
	enum mp_check		probe_check;	/* what else it finds out; peeked */
	bool			probe_confirms;	/* bios or the superblock wait for it (R17) */
	bool			probe_repeated;	/* it has failed once (R17) */
	unsigned long		probe_began;	/* jiffies; peeked */
	u32			probe_generation; /* mp_path::live_generation when it started */
	u32			probe_errors;	/* mp_path::superblock_errors at that time */
	unsigned int		probe_place;	/* which place of the disk it reads */
	u8			probe_ticket;	/* for mp_put_path() */
	void			*probe_buffer;	/* fixed while there is an rdev */
	unsigned int		probe_size;	/* of the buffer, in bytes: a block */
	struct bio_vec		probe_vec;
	struct bio		*probe;
};

/*
 * The query of a SCSI device for its identity and size while it is a path.  A device can take
 * minutes to answer.  mp_query_work() in probe.c explains its life.
 */
struct mp_query {
	refcount_t		refs;		/* the path; the work item, if it is queued */
	struct mp_path __rcu	*path;		/* NULL once the device is no path any more */
	struct work_struct	work;		/* mp_query_work() */
	struct scsi_device	*sdev;		/* fixed; referenced */
	/* Owned as mp_path::probe is. */
	struct mp_disk		known;		/* what the device was */
	bool			read_failed;	/* query whether it is inactive */
	bool			id_only;	/* for a path at rest (R17) */
	struct mp_answer	answer;
};

/* Who owns a struct mp_tracker. */
enum mp_tracker_state {
	MP_TRACKER_IDLE,	/* access_work */
	MP_TRACKER_BUSY,	/* attach_work, or the lower driver with a command */
	MP_TRACKER_COMPLETED,	/* access_work: the command has ended */
};

/*
 * What follows the ALUA state of one device while it is a path (R14).  mp_access_work() in
 * scsi.c explains its life.
 */
struct mp_tracker {
	refcount_t		refs;		/* path, work items that are queued, command */
	struct mp_path __rcu	*path;		/* NULL once the device is no path any more */
	struct workqueue_struct	*wq;		/* fixed; access_work is queued here alone */
	struct delayed_work	access_work;	/* mp_access_work() */
	struct work_struct	attach_work;	/* mp_attach_work() */
	enum mp_tracker_state	state;		/* who owns the rest; release, acquire */
	struct scsi_device	*sdev;		/* referenced; NULL when it is released */
	unsigned long		attach_at;	/* jiffies; not before that */
	bool			refreshed;	/* the handler has queried the state once */
	unsigned int		tries;		/* of the query */
	int			result;		/* of the command */
	unsigned long		completed_at;	/* jiffies */
	unsigned long		changed_at;	/* jiffies; of the path's state; access_work's */
	u32			live_generation; /* mp_path::live_generation at the command */
	bool			decides;	/* the path was suspect when it was sent */
};

/* What the kernel log says about an array and its paths.  log.c has the words. */
enum mp_event {
	MP_LOG_FAILED,
	MP_LOG_ADDED,
	MP_LOG_REINSTATED,
	MP_LOG_REINSTATED_HELD,	/* although it is flapping */
	MP_LOG_FLAPPING,	/* for how many seconds it is held down */
	MP_LOG_STALLED,		/* for how many ms it has not responded */
	MP_LOG_ABORTING,	/* the same */
	MP_LOG_RESPONDS,
	MP_LOG_ACCESS,		/* the demerits by its ALUA state */
	MP_LOG_REFUSED,		/* it works, but could not write the superblock */
	MP_LOG_LAST,		/* it should fail, but is the last live path */

	/* Of the array. */
	MP_LOG_NO_PATH,
	MP_LOG_GIVEN_UP,	/* for how many seconds no path has worked */
	MP_LOG_WORKS,		/* the path that works again */
};

/* A line that is about to be printed. */
struct mp_log_line {
	enum mp_event		event;
	unsigned int		number;
	u64			slots;		/* of the paths; 0 for the array as a whole */
	char			name[BDEVNAME_SIZE];	/* of the first path */
};

/* How much may be logged, and what was only counted. */
struct mp_log_budget {
	struct delayed_work	work;		/* logs what was counted */
	int			lines;		/* how many more there may be */
	unsigned int		missed;		/* what was only counted */
	unsigned long		refilled_at;	/* jiffies */
	unsigned long		missed_since;	/* jiffies; the first of it */
	unsigned long		missed_at;	/* jiffies; the last of it */
};

struct mp_log {
	struct mp_log_budget	budget;		/* of this array; events are counted */
	unsigned long		due;		/* jiffies; of the first line */
	unsigned int		nr_lines;
	struct mp_log_line	lines[10];
};

/*
 * What the I/O path reads comes first.  It writes none of it unless I/O fails or waits (R6).
 * The struct fits into 2 KiB, which the slab allocator has a cache for.
 */
struct mp_conf {
	bool			blocked;	/* lock; halted, or too many have failed; peeked */
	bool			halted;		/* lock; frozen, or no path works; peeked */
	unsigned int		nr_live;	/* lock; live paths; peeked */
	u32			generation;	/* lock; how often a path went live; peeked */
	u32			round;		/* lock; how often a path worked again; peeked */
	enum mp_policy		policy;		/* peeked */
	unsigned int		nr_paths;	/* lock; the slots, mddev->raid_disks; peeked */
	u32 __percpu		*last_slot;	/* chosen last on this CPU, by some policies */
	struct mp_path		*paths[MP_MAX_PATHS];	/* by slot; once set, until free() */
	struct mddev		*mddev;		/* fixed */
	struct workqueue_struct	*retry_wq;	/* NULL: retry_work does not run; peeked */

	mempool_t		ios[MP_KINDS];	/* the reserves of struct mp_io */
	struct llist_head	failed;		/* mp_io; any context adds, retry_work takes */

	spinlock_t		lock;		/* leaf; irq-safe */
	unsigned int		freeze_depth;	/* lock; >0: no bio may go to a path; peeked */
	u32			freezes;	/* lock; how often it was frozen; peeked */
	enum mp_state		state;		/* lock; peeked */
	unsigned long		down_since;	/* lock; jiffies at the end of MP_WORKING */
	struct bio_list		queued;		/* lock; master bios that have no record yet */
	atomic_t		nr_failed;	/* bios that have failed and wait for a retry */
	atomic_long_t		failed_bytes;	/* of their data */
	unsigned int		nr_queued;	/* lock; the bios in queued; peeked */
	unsigned long		queued_bytes;	/* lock; of their data; peeked */
	wait_queue_head_t	room;		/* submitters wait here while queued is full */
	wait_queue_head_t	drained;	/* mp_freeze(), multipath_hot_remove_disk() */

	int			no_path_retry;	/* lock; seconds, -1: for ever; peeked */
	unsigned int		probe_interval;	/* seconds; peeked */
	unsigned int		stall_timeout;	/* ms, 0: do not check; peeked */
	unsigned int		io_timeout;	/* ms, 0: do not check; peeked */
	unsigned int		check_interval;	/* seconds, 0: do not check; peeked */
	struct work_struct	retry_work;	/* mp_retry_work() */
	struct delayed_work	retry_later;	/* wakes retry_work; its own */
	unsigned long		used_at;	/* jiffies; last look that saw I/O; peeked */
	struct delayed_work	stall_work;	/* mp_stall_work() */
	struct delayed_work	uevent_work;	/* mp_uevent_work() */
	struct mp_log		log;		/* lock */
	struct delayed_work	slot_work;	/* mp_slot_work() */
	bool			full_logged;	/* no slot is empty; reconfig_mutex */
	bool			md_has_work;	/* any context sets, retry_work takes */
	bool			sb_dirty;	/* a path has changed; as md_has_work; peeked */
	bool			recovery_due;	/* md core may remove or add paths; likewise */
	bool			probe_soon;	/* access_work sets, retry_work takes */
	bool			confirming;	/* bios wait for checks of paths; retry_work's */
	unsigned long		confirming_since;	/* jiffies; retry_work's */
	struct mp_path		*probe_request;	/* any context sets, retry_work takes */
	struct mp_path		*activated;	/* lock; the path activated last */
	unsigned long		activated_at;	/* lock; jiffies */
	atomic64_t		data_sectors;	/* reconfig_mutex; mddev->dev_sectors, whole */

	/* The counters in sysfs; written only when I/O does not go well. */
	atomic64_t		failovers;	/* tries that failed and were retried */
	atomic64_t		requeues;	/* bios queued because no path worked */
	atomic64_t		no_path_failures;	/* bios failed because no path worked */

	/* Only retry_work uses these. */
	struct llist_head	to_verify;	/* mp_io that wait for the next verification */
	struct llist_head	verifying;	/* mp_io that wait for verify_path's probe */
	struct llist_head	paced;		/* mp_io that are retried once a second */
	struct mp_path		*verify_path;	/* its probe decides on those in verifying */
	unsigned long		verify_began;	/* jiffies */
	u32			verify_generation;	/* mp_conf::generation at that time */
	struct mp_path		*down_path;	/* the path whose failure left none working */
	unsigned long		last_probe;	/* jiffies; while no path works */
	bool			shrunk;		/* a path is too small, as logged */
	bool			search_begun;	/* all failed paths are probed once */
	u32			search_freezes;	/* mp_conf::freezes at that time */
	unsigned long		search_since;	/* jiffies at that time */
	unsigned long		next_release;	/* jiffies; of those in paced */

	atomic64_t		superblock_events;	/* of the array's disk, as read last */

	struct list_head	node;		/* in mp_arrays; mp_arrays_lock */
};

/*
 * The record of one bio in the driver's hands.  It has one owner at a time, so nothing in it
 * needs a lock.  The owner is the submitter, the lower driver, the list of failed bios,
 * retry_work, or a path's submit_work.
 *
 * A plain bio is redirected and goes down itself; the record keeps its original fields.  Other
 * bios are cloned.  A bio with BIO_CHAIN would complete with its siblings and carry their
 * errors.  6.1 frees integrity data and the crypt context before our completion runs.
 */
struct mp_io {
	struct bio		*master;	/* the bio that md core passed in */
	struct mp_conf		*conf;
	struct mp_path		*path;		/* where it is, or NULL */

	/* The original fields of a bio that goes down in place. */
	struct block_device	*bdev;
	bio_end_io_t		*end_io;
	void			*private;
	struct bvec_iter	iter;
	blk_opf_t		opf;

	bool			cloned;		/* it is the io of a struct mp_cloned_io */
	bool			accounted;	/* iostat was on when it began (R7) */
	bool			reserved;	/* taken from the reserve, to be returned there */
	bool			no_failfast:1;	/* sent without our failfast (R3) */
	bool			no_wait:1;	/* sent with REQ_NOWAIT of ours (R9) */
	bool			had_no_room:1;	/* its path was full: the next try waits (R9) */
	bool			path_error:1;	/* its last error was a path error (R1) */
	bool			second_round:1;	/* verified, and retried in another round (R1) */
	blk_status_t		error;		/* what it ends with if no path does it */
	u8			ticket;		/* for mp_put_path() */
	u32			round;		/* mp_conf::round of its current round */
	u32			generation;	/* mp_conf::generation at first ambiguous error */
	u64			tried;		/* slots tried in this round (R1) */
	u64			ambiguous;	/* slots at fault if another succeeds (R2, R18) */
	unsigned long		start_time;	/* jiffies, for iostat */
	unsigned long		failed_since;	/* jiffies at its first error */
	struct llist_node	node;		/* in a list of mp_conf, to_submit, or a magazine */
};

struct mp_cloned_io {
	struct mp_io		io;
	struct bio		clone;
};

/* -------- inline helpers that several files use -------- */

static inline bool mp_rdev_live(const struct md_rdev *rdev)
{
	const unsigned long mask = BIT(In_sync) | BIT(Faulty);

	return (READ_ONCE(rdev->flags) & mask) == BIT(In_sync);
}

/* Whether the device of a path or a spare has disappeared. */
static inline bool mp_is_gone(struct md_rdev *rdev)
{
	return is_rdev_broken(rdev) || !bdev_nr_sectors(rdev->bdev);
}

static inline void mp_disable_write_zeroes(struct request_queue *q)
{
	blk_queue_disable_write_zeroes(q);
	mp_clear_wzeroes_unmap(&q->limits);
}

/* The rdev of a slot, for callers with mp_conf::lock, reconfig_mutex or in_flight. */
static inline struct md_rdev *mp_rdev(const struct mp_path *path)
{
	return rcu_dereference_protected(path->rdev, true);
}

/* A snapshot: a path may fail or go live at any time after it. */
static inline bool mp_one_path_left(const struct mp_conf *conf)
{
	return READ_ONCE(conf->nr_live) <= 1;	/* pairs with __mp_count_paths() */
}

/* NULL if the array has no such slot. */
static inline struct mp_path *mp_slot(const struct mp_conf *conf, unsigned int slot)
{
	/* pairs with mp_set_slots() */
	return slot < smp_load_acquire(&conf->nr_paths) ? conf->paths[slot] : NULL;
}

/* All slots, with or without a device.  Their number may change during the loop. */
#define mp_for_each_path(path, conf)						\
	for ((path) = mp_slot(conf, 0); (path); (path) = mp_slot(conf, (path)->slot + 1))

/*
 * All slots that ever were, also those from nr_paths on; mp_set_slots() leaves no gap.
 * The loop's body may free them.
 */
#define mp_for_each_path_made(path, conf)					\
	for (unsigned int __slot = 0;						\
	     __slot < MP_MAX_PATHS && ((path) = (conf)->paths[__slot]); __slot++)

/*
 * Count a bio or a probe in the path's in_flight.  The caller is in an RCU-sched section.
 * Returns the ticket for mp_put_path().
 */
static __always_inline u8 mp_count(const struct mp_conf *conf, struct mp_path *path)
{
	u8 ticket = READ_ONCE(path->epoch);	/* pairs with mp_next_epoch() */

	this_cpu_inc(path->tally->begun[ticket]);
	if (READ_ONCE(conf->policy) == MP_QUEUE_DEPTH) {
		atomic_inc(&path->depth);
		ticket |= MP_TICKET_DEPTH;
	}
	return ticket;
}

static inline bool mp_has_identity(const struct mp_identity *identity)
{
	return identity->type;
}

static inline bool mp_same_identity(const struct mp_identity *a, const struct mp_identity *b)
{
	return a->type == b->type && a->length == b->length &&
	       !memcmp(a->id, b->id, a->length);
}

/* Whether a submitter has to wait before it adds to mp_conf::queued (R5).  A snapshot. */
static inline bool mp_queue_is_full(const struct mp_conf *conf)
{
	unsigned long bytes = atomic_long_read(&conf->failed_bytes);
	unsigned int nr = atomic_read(&conf->nr_failed);

	return READ_ONCE(conf->nr_queued) + nr >= MP_MAX_QUEUED ||
	       READ_ONCE(conf->queued_bytes) + bytes >= MP_MAX_QUEUED_BYTES;
}

/* Whether the failed bios alone are as many as may wait.  A snapshot. */
static inline bool mp_is_crowded(const struct mp_conf *conf)
{
	return atomic_read(&conf->nr_failed) >= MP_MAX_QUEUED ||
	       atomic_long_read(&conf->failed_bytes) >= (long)MP_MAX_QUEUED_BYTES;
}

/*
 * Whether the device has this many sectors after its data_offset.  Both numbers may come
 * from a damaged superblock or from sysfs, so nothing is added to them.
 */
static inline bool mp_has_sectors(const struct md_rdev *rdev, sector_t sectors)
{
	sector_t size = bdev_nr_sectors(rdev->bdev);

	return size >= rdev->data_offset && size - rdev->data_offset >= sectors;
}

/* Whether md core writes a superblock to the array's disk. */
static inline bool mp_has_superblock(const struct mddev *mddev)
{
	return mddev->persistent && !mddev->external;
}

/* Whether this many sectors after data_offset cover any part of the superblock. */
static inline bool mp_covers_superblock(const struct mddev *mddev, const struct md_rdev *rdev,
					sector_t sectors)
{
	sector_t length = DIV_ROUND_UP(rdev->sb_size, SECTOR_SIZE);

	if (!mp_has_superblock(mddev))
		return false;
	if (rdev->sb_start >= rdev->data_offset)
		return rdev->sb_start - rdev->data_offset < sectors;
	return sectors && rdev->data_offset - rdev->sb_start < length;
}

/* The time between two probes of a path that does not work, in jiffies. */
static inline unsigned long mp_probe_interval(const struct mp_conf *conf)
{
	return (unsigned long)READ_ONCE(conf->probe_interval) * HZ;
}

/* How long a path is at rest before it is checked, in jiffies; 0: it is not. */
static inline unsigned long mp_check_interval(const struct mp_conf *conf)
{
	return (unsigned long)READ_ONCE(conf->check_interval) * HZ;
}

/*
 * Whether @period jiffies have passed since @since.  Unlike time_after(), this is also true of
 * what was long ago: with 32 bits and 250 Hz, time_after() is wrong after 100 days, for 100
 * days.  Here only @period itself counts once more each time that the counter has wrapped.
 */
static inline bool mp_is_over(unsigned long since, unsigned long period)
{
	return jiffies - since >= period;
}

/* Whether an array has done I/O lately, or waits for a path: ALUA states matter at once (R14). */
static inline bool mp_is_in_use(const struct mp_conf *conf)
{
	return READ_ONCE(conf->state) != MP_WORKING ||
	       !mp_is_over(READ_ONCE(conf->used_at), MP_USED_TIME);
}

/* The earlier of two times, in jiffies. */
static inline unsigned long mp_earlier(unsigned long a, unsigned long b)
{
	return time_before(a, b) ? a : b;
}

/*
 * What each file offers the others, the lowest file first: a file calls only functions of
 * the blocks above its own.  __mp_x() needs mp_conf::lock held.  Unless a comment says
 * otherwise, a function does not sleep, and takes at most mp_conf::lock.
 */

/* -------- log.c: the lines in the kernel log about paths that come and go -------- */

/**
 * __mp_log() - have an event logged, as far as the array's budget of lines allows it
 * @conf: the array
 * @path: the path; NULL for an event of the array as a whole
 * @event: the event
 * @number: see enum mp_event; 0 for an event without one
 *
 * Paths with the same event at about the same time share a line.
 *
 * Context: any; called with mp_conf::lock held, in the same section as the change itself.  So
 * the lines are in the order of the events.
 */
void __mp_log(struct mp_conf *conf, const struct mp_path *path, enum mp_event event,
	      unsigned int number);

/* The same for a change that needs no lock.  Context: any. */
void mp_log(struct mp_conf *conf, const struct mp_path *path, enum mp_event event,
	    unsigned int number);

void mp_init_log(struct mp_conf *conf);

/* Log what remains.  Nothing calls __mp_log() any more.  Sleeps. */
void mp_end_log(struct mp_conf *conf);

/* The same when no array is left.  Sleeps. */
void mp_end_log_of_all(void);

/* -------- path.c: the state of a path and of the array, slots, uevents -------- */

/**
 * __mp_count_paths() - recount what is derived from the states of the paths
 * @conf: the array
 *
 * Context: any; called with mp_conf::lock held after each change of In_sync, Faulty or
 * nr_paths.
 */
void __mp_count_paths(struct mp_conf *conf);

/**
 * mp_live_sectors() - the size of the disk as the live paths report it now
 * @conf: the array
 *
 * Return: sectors; 0 without a live path.  It differs from mp_path::disk after the disk has
 * grown.
 */
sector_t mp_live_sectors(struct mp_conf *conf);

/* Recompute mp_conf::blocked and halted after a change of freeze_depth or state. */
void __mp_set_blocked(struct mp_conf *conf);

/* Recompute mp_conf::blocked after a change of mp_is_crowded().  Context: any. */
void mp_update_blocked(struct mp_conf *conf);

/**
 * __mp_set_state() - set whether the array can do I/O
 * @conf: the array
 * @state: MP_WORKING starts a new round for all failed bios, unless the array was only
 *	searching (R1); any other state starts the no_path_retry period, if the array was working
 *
 * The callers are here, in probe.c and in retry.c.
 *
 * Context: any; called with mp_conf::lock held.  The caller wakes retry_work, unless it
 * is retry_work.
 */
void __mp_set_state(struct mp_conf *conf, enum mp_state state);

/**
 * __mp_set_failed() - make a path Faulty
 * @path: the path
 * @rdev: its rdev
 * @reason: why; unless it is MP_BY_ADMIN, a probe may reinstate the path (R11)
 *
 * Context: any; called with mp_conf::lock held.  The caller then calls mp_path_changed().
 */
void __mp_set_failed(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason);

/**
 * mp_request_removal() - have md core remove a failed path if its device is gone
 * @path: the path
 *
 * md core does so only when it is told to check.  Until it has done so, the path keeps its slot.
 *
 * Context: any but hard IRQ.  The caller wakes retry_work, or is retry_work.
 *
 * Return: whether the device is gone.
 */
bool mp_request_removal(struct mp_path *path);

/**
 * mp_request_probe() - have retry_work probe a path that may not work
 * @path: the path; a later request for another path replaces one that is pending
 *
 * Context: any.
 */
void mp_request_probe(struct mp_path *path);

/* The sums over all CPUs.  What is still in flight may make them inconsistent. */
struct mp_tally mp_total(const struct mp_path *path);

static inline unsigned long mp_tally_in_flight(const struct mp_tally *total)
{
	return total->begun[0] - total->ended[0] + total->begun[1] - total->ended[1];
}

/*
 * Exact once nothing can be added: after a grace period with the array frozen, or with the
 * path neither live nor probed.
 */
long mp_in_flight(const struct mp_path *path);

/**
 * mp_path_changed() - record and announce that a path failed or was reinstated
 * @conf: the array
 * @rdev: the path's rdev
 *
 * Notifies user space, and has md core write the superblock, as soon as all live paths are
 * confirmed (R17).
 *
 * Context: any; in an RCU section, or with the path's in_flight raised.  multipath_error() has
 * the rdev's nr_pending raised or reconfig_mutex held instead.
 */
void mp_path_changed(struct mp_conf *conf, struct md_rdev *rdev);

/**
 * mp_fail_path() - fail a path after an error
 * @path: the path
 * @rdev: its rdev
 * @reason: why
 *
 * Does nothing if the path is not live.  The last live path stays live (R3), unless it leads to
 * another disk; a probe is requested for it instead.
 *
 * Context: any; in an RCU section, or with the path's in_flight raised.  multipath_error() has
 * the rdev's nr_pending raised or reconfig_mutex held instead.
 */
void mp_fail_path(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason);

/**
 * mp_run_tracker() - run a tracker's access_work after a delay, also if it is queued already
 * @tracker: the tracker
 * @delay: jiffies
 *
 * Context: any; the caller has a reference, or is in an RCU section that protects the path.
 */
void mp_run_tracker(struct mp_tracker *tracker, unsigned long delay);

/**
 * mp_query_access_soon() - query the path's ALUA state now instead of at the next interval
 * @path: the path; does nothing unless a handler knows its state
 *
 * Context: any; in an RCU section, or with the path's in_flight raised.  multipath_error() has
 * the rdev's nr_pending raised or reconfig_mutex held instead.
 */
void mp_query_access_soon(struct mp_path *path);

/**
 * mp_suspect_path() - fail a path, unless its ALUA state explains the error (R14)
 * @path: the path
 * @rdev: its rdev
 * @reason: why
 *
 * A path with a known ALUA state gets no further bio while another path is usable.  That lasts
 * until mp_access_work() has queried the state and decided, or until MP_SUSPECT_LIMIT has
 * passed.  Any other path fails at once.
 *
 * Context: any; in an RCU section, or with the path's in_flight raised.  multipath_error() has
 * the rdev's nr_pending raised or reconfig_mutex held instead.
 */
void mp_suspect_path(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason);

/**
 * mp_set_inactive() - use a path, unless it is inactive or suspect
 * @path: the path
 * @decided: it is not suspect any more
 *
 * Context: process context, in an RCU section.
 */
void mp_set_inactive(struct mp_path *path, bool decided);

/* How long the path may remain suspect, in jiffies; 0: no longer. */
unsigned long mp_suspect_left(const struct mp_path *path);

/**
 * mp_decide_on_suspect() - fail a path that is suspect or gone
 * @path: the path; the last live one does not fail, and is in use again
 * @rdev: its rdev
 * @explained: its ALUA state has explained the error, so it does not fail
 *
 * Context: process context, in an RCU section.
 */
void mp_decide_on_suspect(struct mp_path *path, struct md_rdev *rdev, bool explained);

/* A snapshot: the path may fail or be removed at any time after it. */
bool mp_path_is_live(struct mp_path *path);

/**
 * mp_reinstate_path() - use a failed path again
 * @conf: the array
 * @path: the path, which works and leads to the array's disk
 * @rdev: its rdev
 * @inactive: whether the check has found its controller inactive (R14)
 *
 * Does nothing if the path is being removed or no longer waits for reinstatement.
 *
 * Context: process context, in an RCU section.
 */
void mp_reinstate_path(struct mp_conf *conf, struct mp_path *path, struct md_rdev *rdev,
		       bool inactive);

/* The slot of a device; NULL for a spare. */
struct mp_path *__mp_path_of(struct mp_conf *conf, const struct md_rdev *rdev);

/**
 * mp_fill_slot() - put a path into its slot
 * @conf: the array
 * @path: an empty slot, or a new one after the last; the caller has set mp_path::disk
 * @rdev: the path's rdev; its raid_disk and In_sync are set
 * @in_sync: whether I/O may go to the path from now on
 * @added: log that the path was added
 *
 * If no path worked before, retry_work starts the queued bios.  With a new slot, the
 * caller has md core write the superblock (R19).
 *
 * Context: process context; reconfig_mutex held.
 */
void mp_fill_slot(struct mp_conf *conf, struct mp_path *path, struct md_rdev *rdev,
		  bool in_sync, bool added);

/* How many slots the array can have. */
int mp_max_paths(const struct mddev *mddev);

/**
 * mp_find_slot() - find a slot for a new path
 * @conf: the array
 * @rdev: the path; its raid_disk, if not -1, is the only slot that will do
 *
 * Context: process context; reconfig_mutex held.  Allocates nothing.
 *
 * Return: the slot, preferably the one that the path had before.  If none is empty, the one
 * after the last: mp_fill_slot() adds it (R19).  ERR_PTR(-EAGAIN) if slot_work makes that one
 * first and then has md core try again; ERR_PTR(-EEXIST) if no other slot is possible.
 */
struct mp_path *mp_find_slot(struct mp_conf *conf, const struct md_rdev *rdev);

/**
 * mp_request_spares() - have md core add the spares, if there are any (R19)
 * @conf: the array
 *
 * Context: process context, while retry_work runs.
 */
void mp_request_spares(struct mp_conf *conf);

/* Run retry_work soon, unless it has been stopped.  Context: any. */
void mp_wake_retry_work(struct mp_conf *conf);

/* Send the uevents that are due, soon: paths that change at about the same time share one. */
void mp_send_uevents(struct mp_conf *conf);

/* mp_conf::uevent_work.  Sleeps. */
void mp_uevent_work(struct work_struct *work);

/* -------- policy.c: choosing a path -------- */

/**
 * mp_choose_path() - choose a path by rank and policy (R13)
 * @conf: the array
 * @tried: slots to pass over, a bit for each
 *
 * Context: any; in an RCU or RCU-sched section, which protects the path's rdev.
 *
 * Return: a live path; NULL if none is left, or if bios wait for the check of the best one
 * (R17).
 */
struct mp_path *mp_choose_path(struct mp_conf *conf, u64 tried);

/* A live path, also if bios have to wait for it; NULL if none is left.  Context: as above. */
struct mp_path *mp_any_path(struct mp_conf *conf, u64 tried);

/**
 * mp_is_preferred() - whether bios go to a path, apart from what a check at rest may show
 * @conf: the array
 * @path: the path
 *
 * Context: as mp_choose_path().
 *
 * Return: with policy failover, true for one path; otherwise for all paths of the lowest rank.
 */
bool mp_is_preferred(struct mp_conf *conf, const struct mp_path *path);

/* -------- scsi.c: commands, identity, size and ALUA states of SCSI devices -------- */

/* The SCSI device of a disk; NULL if it is no SCSI disk.  Valid as long as the disk is. */
struct scsi_device *mp_scsi_device(struct block_device *bdev);

/* The timeout of a command to a device that does not have to respond, in jiffies. */
#define MP_QUERY_TIMEOUT	(5 * HZ)

/**
 * mp_query_identity() - query the identity that a device has now
 * @sdev: the device
 * @known: the identity to look for
 * @now: set to @known if the device still has it, else to its first identity; type 0 if none
 * @timeout: of each command, in jiffies; 0: the device's own
 *
 * Context: sleeps: for each try up to half a second for a tag, and MP_QUERY_TIMEOUT for a
 * frozen queue, or with @timeout 0 for as long as it takes to get a request; @timeout for the
 * command; and for SCSI's error recovery after a timeout.  Allocates with GFP_NOIO.
 *
 * Return: 0; -ENOTCONN if the controller does no I/O; -EBUSY if all tags stay in use or the
 * queue stays frozen; -ENODEV if the device is gone; -EIO without a valid response; -ENXIO
 * without scsi_alloc_request(); -ENOMEM.
 */
int mp_query_identity(struct scsi_device *sdev, const struct mp_identity *known,
		      struct mp_identity *now, unsigned int timeout);

/**
 * mp_query_disk() - query identity and size of the disk that a device is now
 * @sdev: the device
 * @known: what it was; what cannot be queried is taken from here
 * @now: set to what it is
 *
 * Context: as mp_query_identity().
 *
 * Return: as mp_query_identity().
 */
int mp_query_disk(struct scsi_device *sdev, const struct mp_disk *known, struct mp_disk *now);

/* The device and its driver's module.  The open disk holds a reference on both.  The put sleeps. */
void mp_get_scsi_device(struct scsi_device *sdev);
void mp_put_scsi_device(struct scsi_device *sdev);

/**
 * mp_is_inactive() - query whether a path cannot be read because its controller is inactive
 * @sdev: its SCSI device
 *
 * Context: sleeps, up to the lower driver's timeout.
 *
 * Return: true if it is.  False also if no handler knows the state, or if the device does not
 * respond.
 */
bool mp_is_inactive(struct scsi_device *sdev);

/**
 * mp_create_tracker() - prepare to follow the ALUA state of a device that becomes a path
 * @path: its slot, still empty
 * @bdev: the device
 *
 * Does nothing if the device has no ALUA state.
 *
 * Context: sleeps; reconfig_mutex held.
 *
 * Return: 0 or -ENOMEM.
 */
int mp_create_tracker(struct mp_path *path, struct block_device *bdev);

/**
 * mp_follow_access() - have the ALUA state of a path queried, because the array is in use
 * @path: the path; does nothing unless a handler knows its state
 * @delay: jiffies until the query, unless one is planned already
 *
 * From then on it is queried once a second, until the array is at rest.
 *
 * Context: any; in an RCU section in which the path has an rdev.
 */
void mp_follow_access(struct mp_path *path, unsigned long delay);

/* Start to follow the ALUA state, if there is one.  The slot is filled; reconfig_mutex held. */
void mp_start_tracker(struct mp_path *path);

/* After the next grace period the path's tracker does not use the path.  reconfig_mutex held. */
void mp_detach_tracker(struct mp_path *path);

/**
 * mp_free_tracker() - let go of the path's tracker, if it has one
 * @path: the path; mp_detach_tracker() and a grace period have passed, or it never started
 *
 * A command that hangs, or a module that loads slowly, keeps the tracker for as long as it
 * takes, and the module (mp_destroy_access_workqueues()).  The array and the path may go.
 *
 * Context: any; reconfig_mutex held.
 */
void mp_free_tracker(struct mp_path *path);

/* The workqueues of the trackers of all arrays.  Return 0 or -ENOMEM.  Sleep. */
int mp_create_access_workqueues(void);
void mp_destroy_access_workqueues(void);

/* -------- query.c: queries of SCSI devices, as structs in memory -------- */

/* Drop a reference.  The last one releases the device.  Sleeps. */
void mp_put_query(struct mp_query *query);

/* After the next grace period the path's query does not use the path.  reconfig_mutex held. */
void mp_detach_query(struct mp_path *path);

/**
 * mp_free_query() - let go of the path's query, if it has one
 * @path: the path; mp_detach_query() and a grace period have passed, or it was never used, and
 *	nothing is in flight
 *
 * A command that hangs keeps the query, the device and this module for as long as it takes.
 *
 * Context: sleeps; reconfig_mutex held.
 */
void mp_free_query(struct mp_path *path);

/* Run a check_work or a query's work, which ends with mp_end_check().  Context: any. */
void mp_queue_check(struct work_struct *work);
void mp_end_check(void);

/* Whether not too many checks are in flight already for one of a path at rest.  A snapshot. */
bool mp_may_check_at_rest(void);

/* Run a mp_reference::work.  Context: any. */
void mp_queue_reference(struct work_struct *work);

/* A query exists from now on, until mp_put_query() frees it. */
void mp_count_query(void);

/* Their workqueues.  Return 0 or -ENOMEM.  Sleep; the second one for queries. */
int mp_create_check_workqueues(void);
void mp_destroy_check_workqueues(void);

/* -------- identity.c: which disk does a path lead to? -------- */

/* What the kernel has cached about the disk since the device was found or rescanned. */
void mp_cached_disk(struct block_device *bdev, struct mp_disk *disk);

/**
 * mp_query_device() - query what a SCSI device is now, for mp_check_disk()
 * @sdev: the device
 * @known: what it was; what cannot be queried is taken from here
 * @read_failed: it cannot be read, so query whether it is inactive
 * @answer: the result
 *
 * Context: sleeps, up to the lower driver's timeout.  Uses neither path nor array.
 */
void mp_query_device(struct scsi_device *sdev, const struct mp_disk *known, bool read_failed,
		     struct mp_answer *answer);

/**
 * mp_query_id() - query the ID of a live SCSI device at rest, for mp_check_id()
 * @sdev: the device
 * @known: what it was
 * @answer: the result
 *
 * Context: as mp_query_device().
 */
void mp_query_id(struct scsi_device *sdev, const struct mp_disk *known, struct mp_answer *answer);

/**
 * mp_check_disk() - check by ID and size that a path still leads to the array's disk (R12)
 * @path: the path; its in_flight is raised
 * @answer: what its device is now
 *
 * Return: MP_PROBE_SAME_DISK; MP_PROBE_WRONG_DISK if it has another ID, or MP_PROBE_WRONG_SIZE
 * if it has another size or no room for the data, both logged once; MP_PROBE_FAILED without an
 * answer, or if the path cannot be read and is not inactive.
 */
enum mp_probe_state mp_check_disk(struct mp_path *path, const struct mp_answer *answer);

/* Whether an answer can tell mp_check_id() which disk the path leads to.  In an RCU section. */
bool mp_has_id_query(const struct mp_path *path);

/**
 * mp_check_id() - check by ID alone that a path leads to the array's disk (R17)
 * @path: the path; its in_flight is raised
 * @answer: its ID now, or the error of mp_query_identity()
 *
 * Return: MP_PROBE_SAME_DISK; MP_PROBE_WRONG_DISK, logged once; MP_PROBE_FAILED without a valid
 * response; MP_PROBE_OK if the path cannot be queried at all, or if its controller is inactive,
 * but MP_PROBE_FAILED if something waits for this check; MP_PROBE_VOID without memory.
 */
enum mp_probe_state mp_check_id(struct mp_path *path, const struct mp_answer *answer);

/**
 * mp_check_identity() - check a device's identity before it becomes a path (R12)
 * @conf: the array
 * @bdev: the device
 * @query: query the device; false: use what the kernel has cached
 *
 * A device without an identity passes, with a line in the log.
 *
 * Context: sleeps, up to the lower driver's timeout, if @query; reconfig_mutex held.
 *
 * Return: 0; -EINVAL if the device leads to another disk, -EIO if it could not be queried,
 * both after a line in the log.
 */
int mp_check_identity(struct mp_conf *conf, struct block_device *bdev, bool query);

/* Whether a path in its slot has the ID of @bdev, as the kernel has cached it. */
bool mp_is_known_disk(struct mp_conf *conf, struct block_device *bdev);

/* Make @rdev a spare that md core does not touch.  Another spare gets its slot, if it has one. */
void mp_leave_out(struct mddev *mddev, struct md_rdev *rdev);

/**
 * mp_leave_out_devices() - leave out devices that cannot be paths when the array starts
 * @mddev: the array; md core has bound its devices
 *
 * These are devices whose slots do not exist, which become spares until the array has started
 * (R19), and devices that are gone, which become Faulty.  A spare takes the slot of a device
 * that is gone.  This comes before mp_check_path(), which looks at the slots of all other
 * devices.
 *
 * Context: process context; reconfig_mutex held.
 */
void mp_leave_out_devices(struct mddev *mddev);

/**
 * mp_check_path() - check that a device can be a path of the array
 * @mddev: the array
 * @rdev: the device
 *
 * Paths to one disk have the same size and block size.
 *
 * Context: process context; reconfig_mutex held.
 *
 * Return: 0; -ENOSPC if it is too small, -EINVAL if it cannot be a path for another reason,
 * each after a line in the log.
 */
int mp_check_path(struct mddev *mddev, struct md_rdev *rdev);

/* -------- queue.c: bios that no path can take now -------- */

/**
 * mp_queue_bio() - keep a bio for retry_work
 * @conf: the array
 * @bio: the bio; it fails instead if it cannot wait
 *
 * Context: make_request.  Waits if the queue is full, until it has room or md core suspends
 * the array (R5).
 *
 * Return: false if the queue was full, and md core has to call make_request again.
 */
bool mp_queue_bio(struct mp_conf *conf, struct bio *bio);

/**
 * mp_take_queued() - take the oldest queued bio
 * @conf: the array
 *
 * Context: retry_work, or multipath_free() after that has stopped.
 *
 * Return: the bio; NULL if none is queued.
 */
struct bio *mp_take_queued(struct mp_conf *conf);

/* Put @bio, which mp_take_queued() has returned, back to the front.  Context as above. */
void mp_put_queued(struct mp_conf *conf, struct bio *bio);

/* A failed bio begins to wait for retry_work.  Context: any; its path is still taken. */
void mp_count_failed(struct mp_io *io);

/* A failed bio does not wait any longer: it is submitted or ended next.  retry_work's. */
void mp_uncount_failed(struct mp_io *io);

/* Wake the submitters that wait for room, if they need not wait any longer (R5). */
void mp_wake_submitters(struct mp_conf *conf);

/* -------- io.c: the life of a bio on the submit and complete path -------- */

/**
 * mp_put_path() - end what mp_count() began
 * @conf: the array
 * @path: the path
 * @ticket: what mp_count() returned
 *
 * Afterwards the caller must not use @path, its rdev or @conf, unless it is in an RCU section
 * of its own.  Once in_flight is 0 and that section has ended, removal frees the rdev, and
 * multipath_free() the rest.
 *
 * Context: any.
 */
void mp_put_path(struct mp_conf *conf, struct mp_path *path, u8 ticket);

/* Allocate the array's reserve of records.  On error, call mp_exit_reserves() too.  Sleeps. */
int mp_init_reserves(struct mp_conf *conf);
void mp_exit_reserves(struct mp_conf *conf);

/**
 * mp_is_at_path() - find out whether a bio belongs to a path
 * @bio: a bio that a lower driver has, or had: it may be freed at any moment
 * @path: the path
 *
 * Context: any.
 *
 * Return: whether @path's lower driver has got the bio from this array.  The result is without
 * meaning if the lower driver has returned the bio in the meantime.
 */
bool mp_is_at_path(const struct bio *bio, const struct mp_path *path);

/* The bio that the lower driver gets: the master itself, or its clone. */
struct bio *mp_lower_bio(struct mp_io *io);

/**
 * mp_prepare() - prepare the lower bio for a try, the first or another one
 * @io: the record
 * @bdev: the path's device
 *
 * Context: any; does not sleep.
 *
 * Return: false if there is no memory for the clone's integrity data or crypt context.
 */
bool mp_prepare(struct mp_io *io, struct block_device *bdev);

/**
 * mp_classify() - find out whose fault an error is (R2)
 * @status: how the lower driver ended a bio; not BLK_STS_OK
 * @opf: the bio's flags
 *
 * Return: MP_FINAL, MP_REFUSED, MP_PATH_ERROR, MP_AMBIGUOUS or MP_BUSY.
 */
enum mp_class mp_classify(blk_status_t status, blk_opf_t opf);

/**
 * mp_finish() - end a bio
 * @io: its record, which is freed; its path, if any, is put
 * @status: how it ends; BLK_STS_OK leaves an error that the master already has
 *
 * @io's array may be gone when this returns.
 *
 * Context: any.
 */
void mp_finish(struct mp_io *io, blk_status_t status);

/* Submit a bio to the path that was taken for it.  Context: may sleep, if REQ_NOWAIT is not set. */
void mp_submit(struct mp_io *io);

/**
 * mp_begin() - allocate a bio's record and take a path for it
 * @conf: the array
 * @bio: the bio
 * @gate: mp_conf::blocked, or halted for a bio that has waited already
 *
 * Context: any; does not sleep (R5).
 *
 * Return: the record, whose path is taken; NULL if the bio has to be queued.
 */
struct mp_io *mp_begin(struct mp_conf *conf, struct bio *bio, const bool *gate);

/**
 * multipath_make_request() - md core's entry for a bio
 * @mddev: the array
 * @bio: the bio; if the return is true, the driver owns it, and it may have completed
 *
 * Context: process context, under md core's active_io.  Does not wait for a path or for
 * memory, but for room in the queue (R5).  Submission may block when the lower driver has
 * no free tag.
 *
 * Return: true, so md core has nothing left to do; false to be called again, as soon as md
 * core does not suspend the array.
 */
bool multipath_make_request(struct mddev *mddev, struct bio *bio);

/**
 * mp_take_retry_path() - take a path for a failed bio
 * @io: its record
 *
 * Context: retry_work.  May set no_failfast, for the last try of the round (R3).
 *
 * Return: the path, counted with @io's ticket; the caller sets io->path.  NULL if the round is
 * over; ERR_PTR(-EBUSY) if bios have to wait.
 */
struct mp_path *mp_take_retry_path(struct mp_io *io);

/**
 * mp_freeze() - stop submission and wait for all I/O in flight
 * @conf: the array
 *
 * Calls nest.  Bios that arrive while the array is frozen are queued.
 *
 * Context: sleeps until the lower drivers have returned all bios and probes.
 */
void mp_freeze(struct mp_conf *conf);
void mp_unfreeze(struct mp_conf *conf);

/*
 * The slabs and magazines of records, for all arrays.  Create returns 0 or -ENOMEM; destroy
 * requires that no array is left.  Both sleep.
 */
int mp_create_caches(void);
void mp_destroy_caches(void);

/* -------- submit.c: bios and probes that retry_work submits -------- */

/**
 * mp_submit_retry() - send a bio to the path that was taken for it (R9)
 * @io: its record
 *
 * If the path has no room for it, it is back in mp_conf::failed, at once or later, and the next
 * try waits for room.
 *
 * Context: retry_work.
 */
void mp_submit_retry(struct mp_io *io);

/* Submit the probes that are due.  retry_work's, outside of RCU sections. */
void mp_submit_probes(struct mp_conf *conf);

/* Submit a path's probe, which may wait for the lower driver.  Context: any. */
void mp_submit_probe_by_work(struct mp_path *path);

/* mp_path::submit_work: submit what is in to_submit.  May wait. */
void mp_submit_work(struct work_struct *work);

/* mp_path::probe_work: submit the path's probe.  May wait. */
void mp_probe_work(struct work_struct *work);

/* The workqueues of all submit_works and probe_works.  Return 0 or -ENOMEM.  Sleep. */
int mp_create_submit_workqueues(void);
void mp_destroy_submit_workqueues(void);

/* -------- superblock.c: the superblock that a path reads -------- */

/**
 * mp_check_superblock() - check that a path reads the superblock of the array's disk (R12)
 * @path: the path; its in_flight is raised; its ID and size are right, or it is live
 *
 * Context: sleeps, up to the lower driver's timeout, and MP_REFERENCE_TIMEOUT for another path.
 *
 * Return: MP_PROBE_SAME_DISK, also without superblocks, and after a line in the log also if
 * the disk cannot read its superblock; MP_PROBE_WRONG_DISK, logged once; MP_PROBE_FAILED if the
 * path does not read it; MP_PROBE_VOID without memory, or if the device is busy.
 */
enum mp_probe_state mp_check_superblock(struct mp_path *path);

/* A path works that could not write the superblock (R18).  retry_work's, under RCU. */
void mp_log_refused_superblock(struct mp_conf *conf, const struct mp_path *path,
			       struct md_rdev *rdev);

/**
 * mp_check_new_superblock() - check the superblock of a device that becomes a path (R12)
 * @conf: the array
 * @rdev: the device
 *
 * Only a device that no ID tells is compared, with a live path, if there is one.
 *
 * Context: as mp_check_superblock(); reconfig_mutex held.
 *
 * Return: 0; -EINVAL if it is a copy, after a line in the log, and @rdev is Faulty; -ENOMEM.
 */
int mp_check_new_superblock(struct mp_conf *conf, struct md_rdev *rdev);

/**
 * mp_leave_out_copies() - leave out copies of the disk when the array starts (R12)
 * @mddev: the array; mp_leave_out_devices() has run
 *
 * These are devices whose superblock differs from the freshest one, unless their ID shows that
 * they are the same disk.  They become Faulty, and spares take their slots.
 *
 * Context: sleeps, up to the lower driver's timeout; reconfig_mutex held.
 */
void mp_leave_out_copies(struct mddev *mddev);

/* -------- check.c: paths at rest -------- */

/**
 * mp_update_rest() - find out whether a path is at rest, and whether to check it (R17)
 * @path: the path
 * @rdev: its rdev
 * @total: its counters
 *
 * Context: stall_work, in an RCU section.
 *
 * Return: whether it has had I/O since the last look.
 */
bool mp_update_rest(struct mp_path *path, const struct md_rdev *rdev,
		    const struct mp_tally *total);

/* Whether a check of a path at rest is in flight.  A snapshot. */
static inline bool mp_is_being_checked(const struct mp_path *path)
{
	/* pairs with mp_mark_sent() */
	return smp_load_acquire(&path->probe_state) == MP_PROBE_SENT &&
	       READ_ONCE(path->probe_check) > MP_CHECK_ID_FIRST;
}

/* How to check a path at rest next.  In an RCU section. */
enum mp_check mp_next_check(const struct mp_path *path);

/* Bios may choose the path without a check. */
static inline void mp_clear_unconfirmed(struct mp_path *path)
{
	WRITE_ONCE(path->awaited, false);
	clear_bit(MP_UNCONFIRMED, &path->demerits);	/* pairs with mp_rank() */
}

/* How many bios of the path in flight are its check.  A query is none. */
static inline unsigned long mp_checks_in_flight(const struct mp_path *path)
{
	return mp_is_being_checked(path) && READ_ONCE(path->probe_check) != MP_CHECK_ID;
}

/* Whether the probe that has ended checked a path at rest.  retry_work's. */
static inline bool mp_was_at_rest(const struct mp_path *path)
{
	return path->probe_check > MP_CHECK_ID_FIRST;
}

/* The path works, with this result: end the wait for it.  retry_work's, under RCU. */
void mp_mark_confirmed(struct mp_path *path, enum mp_probe_state result);

/* -------- stall.c: does a path respond? -------- */

/* mp_conf::stall_work: look for paths that do not respond. */
void mp_stall_work(struct work_struct *work);

/* -------- probe.c: does a path work? -------- */

/* mp_path::check_work: check which disk a path that responds leads to.  Sleeps. */
void mp_check_work(struct work_struct *work);

/* mp_query::work: query a path's device before check_work.  Sleeps. */
void mp_query_work(struct work_struct *work);

/**
 * mp_start_probe() - read one place of a path's disk
 * @path: the path
 * @place: which place, from 0 to MP_PROBE_PLACES - 1
 * @to_reinstate: the path has failed and may be reinstated; false: it is live
 *
 * The result arrives through mp_handle_probe().
 *
 * Context: retry_work.
 *
 * Return: false if the path is gone or not in that state, the array is frozen, or an earlier
 * probe is still in flight.
 */
bool mp_start_probe(struct mp_path *path, unsigned int place, bool to_reinstate);

/**
 * mp_enter_no_path() - stop working: no live path does any I/O (R8)
 * @conf: the array
 * @last: the rdev of the path that does not work; NULL: none may be used, see mp_choose_path()
 *
 * Context: retry_work.
 *
 * Return: false if another live path is active or @last is no longer live; with NULL, if a
 * path may be used.
 */
bool mp_enter_no_path(struct mp_conf *conf, const struct md_rdev *last);

/*
 * While no live path works: probe each failed path once.  If none can be reinstated, no path
 * works (R8, R11).  retry_work's.
 */
void mp_search(struct mp_conf *conf);

/**
 * mp_handle_probe() - act on the result of a path's probe, if it is back
 * @conf: the array
 * @path: the path
 *
 * Context: retry_work.
 *
 * Return: the result; MP_PROBE_IDLE if there is none yet, or if the probe goes on to another
 * place.
 */
enum mp_probe_state mp_handle_probe(struct mp_conf *conf, struct mp_path *path);

/**
 * mp_start_check_at_rest() - start the check of a live path at rest (R17)
 * @path: the path; does nothing if it has a probe in flight
 * @confirms: bios or the superblock wait for it
 *
 * The result arrives through mp_handle_probe().
 *
 * Context: retry_work, in an RCU section.
 */
void mp_start_check_at_rest(struct mp_path *path, bool confirms);

/* Fail the path that did not work as the last one, now that another path works. */
void mp_fail_down_path(struct mp_conf *conf);

/* While no path works: probe all live paths, if they are due (R11).  retry_work's. */
void mp_probe_live_paths(struct mp_conf *conf);

/* The earlier of @until and the time of the next probe, in jiffies. */
unsigned long mp_next_probe(const struct mp_conf *conf, unsigned long until);

/* In how many ms a failed path is to be probed, 0 during a probe; -1 if it is not to be probed. */
int mp_probe_left(const struct mp_path *path);

/* Probe the failed paths that are due (R11).  retry_work's. */
void mp_probe_failed_paths(struct mp_conf *conf);

/* Probe the live paths that could not write the superblock (R18).  retry_work's. */
void mp_probe_suspect_paths(struct mp_conf *conf);

/* -------- confirm.c: the checks of paths at rest (R17) -------- */

/* Check the live paths at rest that are due.  retry_work's. */
void mp_check_paths_at_rest(struct mp_conf *conf);

/* Bios or the superblock wait: check the live paths that are not confirmed.  retry_work's. */
void mp_confirm_paths(struct mp_conf *conf);

/**
 * mp_end_confirmation() - have md core write the superblock, if that is due
 * @conf: the array
 *
 * Context: retry_work.
 *
 * Return: false if something has to wait until all live paths are confirmed.
 */
bool mp_end_confirmation(struct mp_conf *conf);

/* -------- retry.c: failed and queued bios, and retry_work -------- */

/**
 * mp_fail_waiting() - end all failed and queued bios with an I/O error
 * @conf: the array
 *
 * Context: retry_work, or multipath_free() after that has stopped.
 */
void mp_fail_waiting(struct mp_conf *conf);

/* Move all of @list, one of retry_work's own, to mp_conf::failed.  Context as above. */
void mp_move_to_failed(struct mp_conf *conf, struct llist_head *list);

void mp_init_retry_work(struct mp_conf *conf);

/* From here on mp_wake_retry_work() runs retry_work, and from there on no longer.  Stop sleeps. */
void mp_start_retry_work(struct mp_conf *conf);
void mp_stop_retry_work(struct mp_conf *conf);

/* The workqueue of all retry_works.  Return 0 or -ENOMEM.  Sleep. */
int mp_create_retry_workqueue(void);
void mp_destroy_retry_workqueue(void);

/**
 * mp_set_no_path_retry() - set how long bios wait for a path
 * @conf: the array
 * @seconds: 0: fail at once, also what is queued now; -1: wait for ever
 *
 * Context: process context.
 */
void mp_set_no_path_retry(struct mp_conf *conf, int seconds);

/* -------- slots.c: the slots of an array and what paths need, as structs in memory -------- */

/* Free a slot, which nothing uses any more.  Sleeps. */
void mp_free_path(struct mp_path *path);

/**
 * mp_prepare_path() - allocate what a device needs as a path
 * @path: its slot, still empty
 * @bdev: the device
 *
 * Context: sleeps; reconfig_mutex held.
 *
 * Return: 0 or -ENOMEM.
 */
int mp_prepare_path(struct mp_path *path, struct block_device *bdev);

/* mp_conf::slot_work: make the slot that mp_find_slot() lacks.  Sleeps, and allocates. */
void mp_slot_work(struct work_struct *work);

/**
 * mp_set_slots() - set the number of slots
 * @conf: the array
 * @nr: the number, at most MP_MAX_PATHS
 *
 * New slots are empty.  Slots that go are empty too, and keep their struct mp_path until the
 * array stops, because it may still be in use.
 *
 * Context: sleeps; reconfig_mutex held.  Since 6.7 md core has suspended the array if the
 * administrator sets the number, and set noio for its allocations.
 *
 * Return: 0; -ENOMEM, and the number of slots is unchanged.
 */
int mp_set_slots(struct mp_conf *conf, unsigned int nr);

/* -------- sysfs.c: tunables, counters and the table of paths -------- */

/* The files that each array has in /sys/block/mdX/md/. */
extern const struct attribute_group mp_attribute_group;

#endif

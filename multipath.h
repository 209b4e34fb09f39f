/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Data structures of the md personality "multipath": who may touch what, when.
 *
 * Locks
 *	reconfig_mutex	md core's.  Held by md core around run, free, hot_add_disk,
 *			hot_remove_disk, check_reshape, resize and quiesce.  Never
 *			taken here: the error handler and the completions run in any
 *			context.
 *	mp_conf::lock	Leaf, irq-safe.  Guards every change of a path's state
 *			(In_sync, Faulty, the slot's pointer) and what is counted
 *			from it, the array's state, the gate and the list of parked
 *			bios.
 *	mp_arrays_lock	A mutex, for run, free and the reboot notifier.
 *	RCU		mp_path::rdev may be dereferenced
 *			 1. under rcu_read_lock(), or the sched flavour of it, or
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
#include <linux/workqueue.h>
#include "md.h"

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

/* The path that md core writes the superblock to; NULL for all of them. */
#ifndef mp_sole_superblock_writer
static inline struct md_rdev *mp_sole_superblock_writer(struct mddev *mddev)
{
	return NULL;
}
#endif

/* The paths that a bio has tried are the bits of a u64. */
#define MP_MAX_PATHS		64

/* Records of each kind kept back per array, so that I/O goes on when memory is short. */
#define MP_RESERVED_IOS		64

/* How a bio is sent down: see struct mp_io. */
enum mp_kind {
	MP_IN_PLACE,
	MP_CLONED,
	MP_KINDS,
};

/* Which of the best paths does a bio go to?  Names as in sysfs. */
enum mp_policy {
	MP_FAILOVER,		/* the first one */
	MP_ROUND_ROBIN,		/* each in turn, CPU by CPU */
	MP_QUEUE_DEPTH,		/* the one with the fewest bios */
	MP_NUMA,		/* the nearest to the CPU's memory */
	MP_POLICIES,
};

/*
 * What speaks against a path, the worst last: bits of mp_path::demerits.  The best
 * paths are those with the lowest number; 0 is a path that nothing speaks against.
 */
enum mp_demerit {
	MP_NON_OPTIMISED,	/* the disk says: another controller is faster */
	MP_STANDBY,		/* write-mostly, a user says so; a flag of the rdev */
	MP_STALLED,		/* it has had something to answer, and answered nothing for long */
	MP_INACTIVE,		/* the disk says: this controller does no I/O now */
};

/* Worse than any: not live, or tried already. */
#define MP_UNUSABLE		ULONG_MAX

/*
 * How many bios began and ended at a path, on this CPU: submit and completion add
 * one each, and what is in flight is the difference of the sums.  There are two
 * epochs, so that it is known if one is old (mp_stall_work()).
 */
struct mp_tally {
	unsigned long		begun[2];
	unsigned long		ended[2];
	unsigned long		not_issued;	/* of those that ended: the device never saw it */
};

/* How a bio is counted at its path. */
#define MP_TICKET_EPOCH		BIT(0)	/* which of the two */
#define MP_TICKET_DEPTH		BIT(1)	/* in mp_path::depth, too */

/* Is there a path for I/O?  The last live path can leave an array without, or inactive ones. */
enum mp_state {
	MP_WORKING,		/* yes, or nobody knows better yet */
	MP_QUEUEING,		/* no: bios wait for one, until no_path_retry is over */
	MP_GIVEN_UP,		/* no, and it is over: bios fail at once */
};

/* Why a path has failed.  show_reason() and mp_reason_names have the names. */
enum mp_reason {
	MP_NO_REASON,		/* it has not, or nobody knows */
	MP_IO_ERROR,		/* it said itself that it does not reach the disk */
	MP_FAILED_OVER,		/* another path did what it could not */
	MP_PROBE_ERROR,		/* it did not answer to a probe */
	MP_SUPERBLOCK_ERROR,	/* md core could not write a superblock to it */
	MP_BY_ADMIN,		/* mdadm --fail, or in sysfs */
	MP_REASONS,
};

/*
 * A probe is one small read of a path.  The retry thread starts it, the path's
 * work sends it, its completion hands it back.  When a failed path has answered,
 * check_work has a second part: which disk is it?
 */
enum mp_probe_state {
	MP_PROBE_IDLE,		/* the retry thread's */
	MP_PROBE_SENT,		/* a work's, then the lower driver's */
	MP_PROBE_OK,		/* back with the retry thread: the path works */
	MP_PROBE_AMBIGUOUS,	/* back: this place of the disk can't be read */
	MP_PROBE_FAILED,	/* back: the path does not work */
	MP_PROBE_SAME_DISK,	/* back: it leads to the disk that it led to */
	MP_PROBE_WRONG_DISK,	/* back: it leads to another one */
};

/* How a device says which disk it is: a designator of SCSI's VPD page 83h. */
struct mp_identity {
	u8			type;		/* enum blk_unique_id; 0: it does not say */
	u8			length;
	u8			id[16];
};

/* What a path leads to. */
struct mp_disk {
	struct mp_identity	identity;
	sector_t		sectors;	/* of the whole disk */
	unsigned int		block_size;	/* bytes, logical */
};

/*
 * One slot of the array.  It is there from when the array first has so many slots until it
 * stops; paths come and go in it.
 */
struct mp_path {
	struct md_rdev __rcu	*rdev;		/* see RCU above; changed under mp_conf::lock */
	struct mp_tally __percpu *tally;	/* "in_flight" is its difference */
	unsigned long		demerits;	/* enum mp_demerit; atomic bits; peeked */
	u8			epoch;		/* of bios that begin; stall_work's; peeked */
	int			node;		/* of the device; NUMA_NO_NODE if unknown */
	atomic_t		depth;		/* bios in flight, with policy queue-depth */
	struct mp_conf		*conf;		/* fixed */
	unsigned int		slot;		/* fixed: the index in mp_conf::paths */
	u32			joined;		/* mp_conf::generation when it went live; lock */

	/* What becomes of it when it has failed.  lock; peeked. */
	bool			auto_reinstate;		/* it failed by itself, and may come back so */
	bool			removing;	/* a user removes it: no probe, no return */
	bool			was_reinstated;	/* at reinstated_at */
	unsigned long		reinstated_at;	/* jiffies */
	unsigned long		failed_at;	/* jiffies */
	unsigned long		probed_at;	/* jiffies; for its return, or it has just failed */
	unsigned long		probe_took;	/* jiffies, of that one */
	unsigned long		hold;		/* jiffies that it stays out at least */
	enum mp_reason		reason;		/* that it failed for last */
	unsigned int		failures;	/* since it joined, as the next one */
	unsigned int		reinstatements;
	unsigned long		ios_before;	/* mp_ios() when it joined */
	blk_status_t		last_error;	/* of a bio or a probe; any context */

	struct mp_disk		disk;		/* when it joined; sectors: lock; peeked */
	struct work_struct	check_work;	/* asks for the disk of now; has in_flight raised */
	bool			wrong_disk_logged;	/* check_work has said that it is another one */

	unsigned long		silent_since;	/* jiffies; stall_work's */
	unsigned long		completed;	/* stall_work's */

	/* What the disk says of the path (R14). */
	struct delayed_work	access_work;	/* asks it, once a second */
	bool			has_access;	/* it can be asked; access_work's; peeked */
	unsigned long		access;		/* demerits that it gave last; access_work's */
	enum mp_reason		suspect_reason;	/* any context sets, access_work takes */

	bool			notified_live;	/* what user space was told last; uevent_work's */

	/* What the retry thread sends may block here, and only here (R9). */
	struct workqueue_struct	*submit_wq;	/* fixed */
	struct work_struct	submit_work;
	struct llist_head	to_submit;	/* mp_io; the retry thread adds, the work empties */

	enum mp_probe_state	probe_state;	/* who owns the rest; release, acquire */
	bool			probe_to_submit;	/* the retry thread sets, the work clears */
	bool			probe_to_reinstate;	/* of a failed path, to see if it is back */
	bool			probe_read_failed;	/* it read nothing: is it inactive? */
	u32			probe_joined;	/* mp_path::joined when it was started */
	unsigned int		probe_place;	/* which place of the disk it reads */
	u8			probe_ticket;	/* of mp_take_for_probe() */
	struct page		*probe_page;
	struct bio_vec		probe_vec;
	struct bio		*probe;
};

/* What the I/O path reads comes first; nothing on it is written per I/O (R6). */
struct mp_conf {
	bool			blocked;		/* lock; gate shut or no path works; peeked */
	unsigned int		nr_live;	/* lock; paths in sync; peeked */
	u32			generation;	/* lock; paths that ever joined; peeked */
	u32			round;		/* lock; times that a path worked again; peeked */
	enum mp_policy		policy;		/* peeked */
	unsigned int		nr_paths;	/* lock; the slots, mddev->raid_disks; peeked */
	u32 __percpu		*last_slot;		/* the slot chosen last, by some policies */
	struct mp_path		*paths[MP_MAX_PATHS];	/* by slot; once set, until free() */
	struct mddev		*mddev;		/* fixed */
	struct md_thread __rcu	*retry_thread;	/* set by run(), cleared by free() */

	mempool_t		ios[MP_KINDS];	/* the reserves of struct mp_io */
	struct llist_head	failed;		/* mp_io; any context adds, the thread empties */

	spinlock_t		lock;		/* leaf; irq-safe */
	unsigned int		freeze_depth;		/* lock; >0: no bio may go to a path */
	enum mp_state		state;		/* lock; peeked */
	unsigned long		down_since;	/* lock; jiffies at the end of MP_WORKING */
	struct bio_list		queued;		/* lock; master bios that have no record yet */
	wait_queue_head_t	drained;	/* who shut the gate waits here */

	int			no_path_retry;	/* lock; seconds, -1 for ever; peeked */
	unsigned int		probe_interval;	/* seconds; peeked */
	unsigned int		stall_timeout;	/* ms, 0: do not watch; peeked */
	struct delayed_work	stall_work;	/* looks for paths that do not answer */
	struct work_struct	uevent_work;	/* tells user space what became of the paths */
	struct workqueue_struct	*check_wq;	/* fixed; for the paths' check_work */
	bool			md_has_work;	/* any context sets, the retry thread takes */
	struct mp_path		*probe_request;	/* any context sets, the retry thread takes */
	bool			probe_soon;	/* access_work sets, the retry thread takes */
	struct mp_path		*activated;	/* lock; whose controller was, last */
	unsigned long		activated_at;	/* lock; jiffies */

	/* What sysfs counts; written only where I/O does not go well. */
	atomic64_t		failovers;	/* tries that failed, and led to another */
	atomic64_t		requeues;	/* bios that had to wait for a path */
	atomic64_t		no_path_failures;	/* bios that failed as no path worked */

	/* The retry thread's alone. */
	struct llist_head	to_verify;		/* mp_io that wait for the next trial */
	struct llist_head	verifying;	/* mp_io that wait for the witness */
	struct llist_head	paced;		/* mp_io that are retried once a second */
	struct mp_path		*verify_path;	/* the path whose probe decides on them */
	unsigned long		verify_began;	/* jiffies */
	u32			verify_generation;	/* mp_conf::generation at that time */
	struct mp_path		*down_path;		/* that left the array without one */
	unsigned long		last_probe;	/* jiffies; while no path works */
	unsigned long		next_release;	/* jiffies; of those that are paced */

	struct list_head	node;		/* mp_arrays; mp_arrays_lock */
};

/*
 * One bio on its way.  It has one owner at a time: the submitter, the lower
 * driver, the list of failed ones, the retry thread, a path's work; nothing in
 * it needs a lock.
 *
 * A plain bio goes down itself, redirected, and the record keeps what it was.
 * One that has siblings (BIO_CHAIN), integrity data or a crypt context is cloned:
 * it would complete with its siblings and carry their errors, and 6.1 drops the
 * others before our completion runs.
 */
struct mp_io {
	struct bio		*master;	/* the bio that md was given */
	struct mp_conf		*conf;
	struct mp_path		*path;		/* where it is, or was last */

	/* What a bio that goes down in place was. */
	struct block_device	*bdev;
	bio_end_io_t		*end_io;
	void			*private;
	struct bvec_iter	iter;
	blk_opf_t		opf;

	bool			cloned;		/* it is the io of a struct mp_cloned_io */
	bool			accounted;	/* iostat was on when it began (R7) */
	bool			reserved;	/* from the reserve, and goes back there */
	bool			no_failfast;	/* was sent without our failfast (R3) */
	bool			path_error;	/* its last error was a path's (R1) */
	bool			second_round;	/* has had another round after a trial (R1) */
	blk_status_t		error;		/* what it gets if no path does it */
	u8			ticket;		/* MP_TICKET_*, of the path where it is */
	u32			round;		/* mp_conf::round that it is in */
	u32			generation;	/* mp_conf::generation at the first doubt */
	u64			tried;		/* slots tried in this round (R1) */
	u64			ambiguous;	/* slots to blame if another path succeeds (R2) */
	unsigned long		start_time;	/* jiffies, for iostat */
	unsigned long		failed_since;	/* jiffies at its first error */
	struct llist_node	node;		/* a list of mp_conf, to_submit, or the magazine's */
};

struct mp_cloned_io {
	struct mp_io		io;
	struct bio		clone;
};

/* Seconds between two probes of a path, unless probe_interval says otherwise; its limit. */
#define MP_PROBE_INTERVAL	1
#define MP_MAX_PROBE_INTERVAL	3600

/* Milliseconds without an answer after which a path is passed over; stall_timeout's limit. */
#define MP_STALL_TIMEOUT	2000
#define MP_MAX_STALL_TIMEOUT	3600000

/* Seconds that bios wait for a path, unless no_path_retry says otherwise; its limit. */
#define MP_NO_PATH_RETRY	30
#define MP_MAX_NO_PATH_RETRY	1000000

static inline bool mp_rdev_live(const struct md_rdev *rdev)
{
	const unsigned long mask = BIT(In_sync) | BIT(Faulty);

	return (READ_ONCE(rdev->flags) & mask) == BIT(In_sync);
}

/* The rdev of a slot, for who holds mp_conf::lock, reconfig_mutex or in_flight. */
static inline struct md_rdev *mp_rdev(const struct mp_path *path)
{
	return rcu_dereference_protected(path->rdev, true);
}

/* Racy by nature: a path may fail or join at any time after it. */
static inline bool mp_is_last_path(const struct mp_conf *conf)
{
	return READ_ONCE(conf->nr_live) <= 1;	/* pairs with __mp_count_paths() */
}

/* The path of a slot; NULL from the number of slots on. */
static inline struct mp_path *mp_slot(const struct mp_conf *conf, unsigned int slot)
{
	/* pairs with mp_set_slots() */
	return slot < smp_load_acquire(&conf->nr_paths) ? conf->paths[slot] : NULL;
}

/* All slots, also those without a device.  They may become more or fewer meanwhile. */
#define mp_for_each_path(path, conf)						\
	for ((path) = mp_slot(conf, 0); (path); (path) = mp_slot(conf, (path)->slot + 1))

/* With those above nr_paths: mp_set_slots() leaves no gap.  They may be freed on the way. */
#define mp_for_each_path_made(path, conf)					\
	for (unsigned int __slot = 0;						\
	     __slot < MP_MAX_PATHS && ((path) = (conf)->paths[__slot]); __slot++)

/* Count a bio at a path.  Returns the ticket that mp_put_path() needs. */
static __always_inline u8 mp_count(const struct mp_conf *conf, struct mp_path *path)
{
	u8 ticket = READ_ONCE(path->epoch);	/* pairs with mp_check_stalled() */

	this_cpu_inc(path->tally->begun[ticket]);
	if (READ_ONCE(conf->policy) == MP_QUEUE_DEPTH) {
		atomic_inc(&path->depth);
		ticket |= MP_TICKET_DEPTH;
	}
	return ticket;
}

enum mp_class {
	MP_FINAL,		/* the disk's or the caller's: passed up, never retried */
	MP_PATH_ERROR,		/* the path's: it fails at once, the bio goes to another */
	MP_AMBIGUOUS,		/* the bio goes to another, and that one's answer decides */
	MP_BUSY,		/* no one's fault: the bio goes to another */
};

static inline bool mp_has_identity(const struct mp_identity *identity)
{
	return identity->type;
}

static inline bool mp_same_identity(const struct mp_identity *a, const struct mp_identity *b)
{
	return a->type == b->type && a->length == b->length &&
	       !memcmp(a->id, b->id, a->length);
}

/* Jiffies between two probes of a path that does not work. */
static inline unsigned long mp_probe_interval(const struct mp_conf *conf)
{
	return (unsigned long)READ_ONCE(conf->probe_interval) * HZ;
}

/* The earlier of two times, in jiffies. */
static inline unsigned long mp_earlier(unsigned long a, unsigned long b)
{
	return time_before(a, b) ? a : b;
}

/* -------- path.c: the state of a path, and of the array as far as it follows from it; slots; uevents -------- */

void __mp_count_paths(struct mp_conf *conf);
sector_t mp_live_sectors(struct mp_conf *conf);
void __mp_set_blocked(struct mp_conf *conf);
void __mp_set_state(struct mp_conf *conf, enum mp_state state);
void __mp_set_failed(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason);
void mp_request_probe(struct mp_path *path);
struct mp_tally mp_total(const struct mp_path *path);
unsigned long mp_ios(const struct mp_path *path);
long mp_in_flight(const struct mp_path *path);
void mp_path_changed(struct mp_conf *conf, struct md_rdev *rdev);
void mp_log_failed(const struct mp_conf *conf, const struct mp_path *path,
		   const struct md_rdev *rdev);
void mp_fail_path(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason);
void mp_query_access_soon(struct mp_path *path);
void mp_suspect_path(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason);
bool mp_path_is_live(struct mp_path *path);
void mp_reinstate_path(struct mp_conf *conf, struct mp_path *path, struct md_rdev *rdev);
struct mp_path *__mp_path_of(struct mp_conf *conf, const struct md_rdev *rdev);
void mp_fill_slot(struct mp_conf *conf, struct mp_path *path, struct md_rdev *rdev,
		  bool in_sync);
struct mp_path *mp_free_slot(struct mp_conf *conf, const struct md_rdev *rdev);
void mp_uevent_work(struct work_struct *work);

/* -------- policy.c: which path a bio goes to -------- */

struct mp_path *mp_choose_path(struct mp_conf *conf, u64 tried);

/* -------- scsi.c: SCSI: commands, identity, size and access states of a path -------- */

struct scsi_device *mp_scsi_device(struct block_device *bdev);
int mp_query_identity(struct scsi_device *sdev, const struct mp_identity *known,
		      struct mp_identity *now);
int mp_query_disk(struct scsi_device *sdev, const struct mp_disk *known, struct mp_disk *now);
bool mp_is_inactive(struct mp_path *path, struct scsi_device *sdev);
void mp_access_work(struct work_struct *work);

/* -------- identity.c: which disk a path leads to, and whether a device can be a path -------- */

void mp_cached_disk(struct block_device *bdev, struct mp_disk *disk);
enum mp_probe_state mp_check_disk(struct mp_path *path);
int mp_check_identity(struct mp_conf *conf, struct block_device *bdev, bool query);
int mp_check_path(struct mddev *mddev, struct md_rdev *rdev);

/* -------- io.c: the life of a bio: submit, complete, freeze -------- */

void mp_put_path(struct mp_conf *conf, struct mp_path *path, u8 ticket);
int mp_init_reserves(struct mp_conf *conf);
void mp_exit_reserves(struct mp_conf *conf);
struct bio *mp_lower_bio(struct mp_io *io);
bool mp_prepare(struct mp_io *io, struct block_device *bdev);
enum mp_class mp_classify(blk_status_t status, blk_opf_t opf);
void mp_finish(struct mp_io *io, blk_status_t status);
void mp_submit_by_work(struct mp_io *io);
void mp_submit_work(struct work_struct *work);
struct mp_io *mp_begin(struct mp_conf *conf, struct bio *bio);
bool multipath_make_request(struct mddev *mddev, struct bio *bio);
struct mp_path *mp_take_retry_path(struct mp_io *io);
void mp_freeze(struct mp_conf *conf);
void mp_unfreeze(struct mp_conf *conf);
void mp_destroy_caches(void);
int mp_create_caches(void);

/* -------- probe.c: does a path work? -------- */

void mp_check_work(struct work_struct *work);
bool mp_start_probe(struct mp_path *path, unsigned int place, bool to_reinstate);
bool mp_enter_no_path(struct mp_conf *conf, const struct md_rdev *last);
enum mp_probe_state mp_handle_probe(struct mp_conf *conf, struct mp_path *path);
void mp_fail_down_path(struct mp_conf *conf);
void mp_probe_again(struct mp_conf *conf);
unsigned long mp_next_probe(const struct mp_conf *conf, unsigned long until);
void mp_probe_failed_paths(struct mp_conf *conf);
void mp_stall_work(struct work_struct *work);

/* -------- retry.c: failed and waiting bios, and the thread that retries them -------- */

void mp_fail_waiting(struct mp_conf *conf);
void mp_move_to_failed(struct mp_conf *conf, struct llist_head *list);
void mp_retry_thread(struct md_thread *thread);
void mp_set_no_path_retry(struct mp_conf *conf, int seconds);

/* -------- sysfs.c: tunables and counters, in /sys/block/mdX/md/ -------- */

extern const struct attribute_group mp_attribute_group;

#endif

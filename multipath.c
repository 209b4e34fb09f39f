// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * multipath.c: several paths to one disk, as one md array
 *
 * The life of a bio:
 *
 *   md core -> multipath_make_request() -> choose a path -> lower driver
 *	|						       |
 *	| gate shut, no path, no memory			       v
 *	v					     mp_end_io()
 *   parked <---- retry thread ----> another path      |     |
 *			^   |			       |     `-> done
 *			|   `-- all failed: trial      |
 *			`---- failed <-- path error ---'
 *
 * The life of a path:
 *
 *   live (In_sync) --error of I/O, of a superblock write--> failed (Faulty)
 *   failed --a probe succeeds (R11)--> live again
 *   any --mdadm --fail--> failed, until a user reinstates it
 *   failed --mdadm --remove, the device is gone--> out of the array
 *   any device --mdadm --add--> live
 *
 * The life of an array, while it runs:
 *
 *   working --probes of the live paths fail: the last one, or all inactive--> parking
 *   given up <--no_path_retry is over-- parking
 *   given up, parking --a probe succeeds, a path is added--> working
 *
 * The rules that the code refers to:
 *
 * R1. A round tries a bio once on each path, and once more on the last live one
 *     if it was there with failfast only (R3).  When all have failed it, a trial
 *     follows: a probe of a live path.  If the path works, the bio gets its first
 *     error; but if a path error ended the round, it gets another round first, and
 *     more of them, one a second, until no_path_retry seconds have passed since
 *     its first error (one more round only, if its controllers have states: R14).
 *     If the path does not work, it fails, or is inactive, and the bio goes on
 *     without it; when it was the last one, the bio waits (R8), and a new round
 *     begins when a path works again, unless that time has passed.  Rounds and
 *     trials end, so every bio ends.
 * R2. Only path errors cost a path; mp_classify() is the table.  A doubtful
 *     error sends the bio to another path first: if that one succeeds, the
 *     doubted path fails; if all say the same, the trial decides.
 * R3. The last live path is used without failfast of ours, so that the lower
 *     driver's own retries work, and an error never makes it Faulty.  When it
 *     does not work, that is a state of the array: see above.
 * R4. Flush and FUA go down one path with the bio, as any write, and an error
 *     comes back.  md_flush_request() is not used: it loses errors, and sends
 *     a flush down each path to the same disk.
 * R5. REQ_NOWAIT is honoured on submission and cleared on retry.  make_request
 *     never sleeps, neither for a path nor for memory: it runs under md's
 *     active_io, and md waits for that before it adds a path that would help.
 * R6. Nothing on the submit and complete path writes a cache line that all
 *     CPUs share.  Written are: the bio's own lines; its record's two, which come
 *     from a list of the submitting CPU and go to one of the completing CPU, and
 *     the heads of those; a counter of the path, of that CPU; with iostat on, the
 *     array's own counters, of that CPU.  Of struct mp_conf, struct mp_path, the
 *     rdev and the mddev everything is only read.  (md core's active_io is a
 *     percpu_ref.)  So 64 CPUs meet for the first time in the lower driver.  Policy
 *     queue-depth is the exception: how many bios a path has, all CPUs count.
 * R7. md_account_bio() is not used: it pins active_io until the bio completes,
 *     and then a bio that waits for a path keeps md from adding one.
 * R8. When no path works, bios wait for at most no_path_retry seconds, as master
 *     bios or as records that hold no path: nothing that removal or suspend
 *     waits for.  A shut gate waits only for bios that are at a path.  Only the
 *     deadline, no_path_retry = 0, free() and a reboot fail those that wait.
 * R9. Failed bios are retried by a thread of the array's own, never by
 *     mddev->thread: that one writes superblocks, and can sit in the lower
 *     driver's timeout on the very path that died.  The thread never submits:
 *     that can block, so it is the work of each path alone, with a rescuer of
 *     its own.  Retries allocate nothing but for integrity data and crypt
 *     contexts.
 * R10. The error handler and the completions run in any context, so they never
 *     take reconfig_mutex.
 * R11. A path that failed by itself keeps its slot, is probed, and comes back
 *     when it answers and leads to the disk that it led to (R12).  It is probed
 *     once per probe_interval, later after each 60th of the time that it has been
 *     away, but at least once in 30 s: so it is away for little longer than it
 *     has to be, and a path that is dead for good costs little.  One that fails
 *     again within a minute of its return is held out, each time twice as long,
 *     unless no other path works.  What a user has failed (mdadm --fail) no probe
 *     brings back.
 * R12. A path joins only if its disk's id is that of the other paths, and returns,
 *     also as the last one, only if that id, the size, the block size and the
 *     superblock's array are what they were.  When the array runs, they are asked of
 *     the device, as what the kernel knows of it may be from before its failure.  A
 *     device without an id is accepted: a line says that it can't be checked.
 * R13. Bios go to the live paths of the lowest rank, and iopolicy chooses among
 *     those.  A path that the disk calls non-optimised is behind those that it calls
 *     optimised, a standby path (write-mostly) is behind these, one that has had
 *     something to answer for longer than stall_timeout, and has answered nothing, is
 *     behind all of them, and last comes one that the disk calls standby or unavailable.
 * R14. A path whose controller does no I/O now is not failed for it, as long as the
 *     disk says so itself.  When that is true of all live paths, no path works (R8),
 *     and the first one is to be activated.
 *
 * Order.  Nobody may rely on the order of two overlapping writes that are in
 * flight at once; who wants one waits for the first to complete.  The first
 * completes when its last try has ended, and it has one try at a time:
 *
 *	CPU0 application		CPU1 completion, retry thread
 *	write W1
 *					W1 fails on path A
 *					W1 is sent to path B
 *					W1 succeeds on B, completes
 *	write W2, same sectors
 *
 * so W2 is never in flight together with a try of W1, and no try of W1 is left
 * that could come after it.  That is why a bio that hangs at a path is not sent
 * elsewhere before the lower driver has given it back.  It rests on the lower
 * driver: when it gives W1 back, the disk must not write it any more (SCSI
 * aborts the command or resets the path first).  A disk that reports W1 lost on
 * A and writes it late, after W2, has lost W2, and no host can prevent that.
 */

#include <linux/blk-crypto.h>
#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/raid/md_p.h>
#include <linux/reboot.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <scsi/scsi_cmnd.h>
#include <scsi/scsi_device.h>
#include <scsi/scsi_dh.h>
#include <scsi/scsi_host.h>
#include <scsi/scsi_proto.h>
#include "md.h"
#include "multipath.h"

#define CREATE_TRACE_POINTS
#include "multipath_trace.h"

#define MP_VERSION		"0.5.0"

/* Records that each CPU keeps for itself, for all arrays: 8 KiB. */
#define MP_MAGAZINE		64

/* Longer than anything that the retry thread plans. */
#define MP_LONG			(MAX_JIFFY_OFFSET / 2)

/* How often the retry thread looks again while bios wait for memory. */
#define MP_POLL			(HZ / 50 + 1)

/* How often a bio whose path answers to probes only is tried, and how long a trial may hang. */
#define MP_TRIAL_INTERVAL	HZ

/* Seconds between two probes of a path, unless probe_interval says otherwise; its limit. */
#define MP_PROBE_INTERVAL	1
#define MP_MAX_PROBE_INTERVAL	3600

/* A path that is away is probed ever more seldom (R11), but as often as this. */
#define MP_PROBE_AGEING		60
#define MP_PROBE_SELDOM		(30UL * HZ)

/* How long the removal of a path waits for a probe that is at it. */
#define MP_PROBE_GRACE		(HZ / 4)

/* Who fails so soon after its return flaps, and is held out: the first time, at most. */
#define MP_FLAPS_WITHIN		(60 * HZ)
#define MP_MIN_HOLD		(2UL * HZ)
#define MP_MAX_HOLD		(300UL * HZ)

/* Places of the disk that a probe reads before it says that a path does not work. */
#define MP_PROBE_PLACES		3

/* Milliseconds without an answer after which a path is passed over; stall_timeout's limit. */
#define MP_STALL_TIMEOUT	2000
#define MP_MAX_STALL_TIMEOUT	3600000

/* How often in that time somebody looks. */
#define MP_WATCHES		4

/*
 * How often a path's disk is asked whether it is active; ms that its answer takes to be
 * known; how often somebody looks if it can be asked; between two activations.
 */
#define MP_ACCESS_INTERVAL	HZ
#define MP_ACCESS_SETTLE	50
#define MP_ATTACH_INTERVAL	(30 * HZ)
#define MP_ACTIVATE_PAUSE	(5 * HZ)

/* Seconds that bios wait for a path, unless no_path_retry says otherwise; its limit. */
#define MP_NO_PATH_RETRY	30
#define MP_MAX_NO_PATH_RETRY	1000000

static struct kmem_cache *mp_io_cache[MP_KINDS];

/*
 * Records that this CPU has freed and will use again.  The slab would cost four
 * times as many instructions, and as Debian configures it a memset of each.
 */
struct mp_magazine {
	struct llist_node	*first;		/* mp_io::node; interrupts off */
	unsigned int		nr;
};

static DEFINE_PER_CPU(struct mp_magazine, mp_magazines);

/* All arrays, for the reboot notifier. */
static LIST_HEAD(mp_arrays);
static DEFINE_MUTEX(mp_arrays_lock);

/* -------- the state of paths and array -------- */

static bool mp_rdev_live(const struct md_rdev *rdev)
{
	const unsigned long mask = BIT(In_sync) | BIT(Faulty);

	return (READ_ONCE(rdev->flags) & mask) == BIT(In_sync);
}

/* The rdev of a slot, for who holds mp_conf::lock, reconfig_mutex or in_flight. */
static struct md_rdev *mp_rdev(const struct mp_path *path)
{
	return rcu_dereference_protected(path->rdev, true);
}

/* Racy by nature: a path may fail or join at any time after it. */
static bool mp_is_last(const struct mp_conf *conf)
{
	return READ_ONCE(conf->nr_live) <= 1;	/* pairs with __mp_count_paths() */
}

/* The path of a slot; NULL from the number of slots on. */
static struct mp_path *mp_slot(const struct mp_conf *conf, unsigned int slot)
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

/* Everything that is counted from the paths' states is counted here. */
static void __mp_count_paths(struct mp_conf *conf)
{
	struct mp_path *path;
	unsigned int live = 0;

	lockdep_assert_held(&conf->lock);

	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = mp_rdev(path);

		if (rdev && mp_rdev_live(rdev))
			live++;
	}
	/* pairs with mp_is_last() */
	WRITE_ONCE(conf->nr_live, live);
	conf->mddev->degraded = conf->nr_paths - live;
}

/* The size that the disk has over the paths in use: it may have grown. */
static sector_t mp_live_sectors(struct mp_conf *conf)
{
	sector_t sectors = 0;
	struct mp_path *path;

	rcu_read_lock();
	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = rcu_dereference(path->rdev);

		if (rdev && mp_rdev_live(rdev))
			sectors = get_capacity(rdev->bdev->bd_disk);
	}
	rcu_read_unlock();
	return sectors;
}

/* Whether bios go to paths at all depends on two things; the I/O path looks at one. */
static void __mp_set_barred(struct mp_conf *conf)
{
	lockdep_assert_held(&conf->lock);

	/* pairs with mp_take_path(), mp_put_path() */
	WRITE_ONCE(conf->barred, conf->gate || conf->state != MP_WORKING);
}

static void __mp_set_state(struct mp_conf *conf, enum mp_state state)
{
	lockdep_assert_held(&conf->lock);

	if (state == MP_WORKING) {
		WRITE_ONCE(conf->round, conf->round + 1);	/* pairs with mp_retry() */
		schedule_work(&conf->tell_work);		/* what it has put off */
	} else if (conf->state == MP_WORKING) {
		conf->down_since = jiffies;
	}
	WRITE_ONCE(conf->state, state);
	__mp_set_barred(conf);
}

/* A path goes live: what anybody thinks of it from before counts no more. */
static void __mp_set_live(struct mp_path *path, struct md_rdev *rdev)
{
	struct mp_conf *conf = path->conf;

	lockdep_assert_held(&conf->lock);

	WRITE_ONCE(path->heals, false);
	clear_bit(MP_STALLED, &path->demerits);
	WRITE_ONCE(conf->generation, conf->generation + 1);
	WRITE_ONCE(path->joined, conf->generation);	/* pairs with mp_blame_doubted() */
	clear_bit(Faulty, &rdev->flags);
	set_bit(In_sync, &rdev->flags);
	__mp_count_paths(conf);
	if (conf->state != MP_WORKING)
		__mp_set_state(conf, MP_WORKING);
}

/* A path fails.  Unless a user has asked for it, a probe may bring it back (R11). */
static void __mp_set_failed(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason)
{
	struct mp_conf *conf = path->conf;
	unsigned long now = jiffies;

	lockdep_assert_held(&conf->lock);

	clear_bit(In_sync, &rdev->flags);
	set_bit(Faulty, &rdev->flags);
	__mp_count_paths(conf);

	if (!path->has_returned || time_after(now, path->returned_at + MP_FLAPS_WITHIN))
		path->hold = 0;
	else
		path->hold = clamp(path->hold * 2, MP_MIN_HOLD, MP_MAX_HOLD);
	path->failed_at = now;
	path->probed_at = now;
	path->probe_took = 0;
	path->reason = reason;
	/* It may have grown since it joined, as the others have.  pairs with mp_is_same_disk() */
	if (get_capacity(rdev->bdev->bd_disk) == mp_live_sectors(conf))
		WRITE_ONCE(path->disk.sectors, get_capacity(rdev->bdev->bd_disk));
	path->failures++;
	WRITE_ONCE(path->heals, reason != MP_BY_USER);
	trace_path_failed(disk_devt(conf->mddev->gendisk), rdev->bdev->bd_dev, reason,
			  blk_status_to_errno(READ_ONCE(path->last_error)), conf->nr_live);
}

/* Have a path probed: there is reason to think that it does not work.  Any context. */
static void mp_suspect(struct mp_path *path)
{
	WRITE_ONCE(path->conf->suspect, path);	/* pairs with mp_start_trial() */
	md_wakeup_thread(path->conf->retry_thread);
}

/* -------- choosing a path -------- */

/* The lower the better; only the lowest get bios. */
static __always_inline unsigned long mp_rank(const struct mp_path *path, u64 tried)
{
	struct md_rdev *rdev = rcu_dereference_check(path->rdev, rcu_read_lock_sched_held());

	if (!rdev || !mp_rdev_live(rdev) || (tried & BIT_ULL(path->slot)))
		return MP_UNUSABLE;
	/* pairs with mp_watch_path(), mp_set_access() and mp_accuse_path() */
	return READ_ONCE(path->demerits) |
	       (test_bit(WriteMostly, &rdev->flags) ? BIT(MP_STANDBY) : 0);
}

/* The first of the best. */
static struct mp_path *mp_choose_failover(struct mp_conf *conf, u64 tried)
{
	unsigned long rank, lowest = MP_UNUSABLE;
	struct mp_path *path, *best = NULL;

	mp_for_each_path(path, conf) {
		rank = mp_rank(path, tried);
		if (rank < lowest) {
			best = path;
			lowest = rank;
		}
		if (likely(!rank))
			break;
	}
	return best;
}

/* The next of the best after the one that was chosen last on this CPU. */
static struct mp_path *mp_choose_round_robin(struct mp_conf *conf, u64 tried)
{
	unsigned int i, nr = smp_load_acquire(&conf->nr_paths);	/* pairs with mp_set_slots() */
	unsigned int slot = this_cpu_read(*conf->turn);
	unsigned long rank, lowest = MP_UNUSABLE;
	struct mp_path *path, *best = NULL;

	for (i = 0; i < nr; i++) {
		if (++slot >= nr)
			slot = 0;
		path = conf->paths[slot];
		rank = mp_rank(path, tried);
		if (rank < lowest) {
			best = path;
			lowest = rank;
		}
		if (likely(!rank))
			break;
	}
	if (likely(best))
		this_cpu_write(*conf->turn, best->slot);
	return best;
}

/*
 * The one with the fewest bios of the best.  Of several, the one that this CPU has not
 * chosen for longest: always the first one would be the slow one at times, and who
 * waits for its tags leaves the others idle meanwhile.
 */
static struct mp_path *mp_choose_queue_depth(struct mp_conf *conf, u64 tried)
{
	unsigned int i, nr = smp_load_acquire(&conf->nr_paths);	/* pairs with mp_set_slots() */
	unsigned int slot = this_cpu_read(*conf->turn);
	unsigned long rank, lowest = MP_UNUSABLE;
	struct mp_path *path, *best = NULL;
	int depth, least = INT_MAX;

	for (i = 0; i < nr; i++) {
		if (++slot >= nr)
			slot = 0;
		path = conf->paths[slot];
		rank = mp_rank(path, tried);
		if (rank > lowest || rank == MP_UNUSABLE)
			continue;
		depth = atomic_read(&path->depth);
		if (rank < lowest || depth < least) {
			best = path;
			lowest = rank;
			least = depth;
		}
	}
	if (likely(best))
		this_cpu_write(*conf->turn, best->slot);
	return best;
}

/* The nearest of the best to the memory of this CPU; one of an unknown node is far. */
static struct mp_path *mp_choose_numa(struct mp_conf *conf, u64 tried)
{
	unsigned long rank, lowest = MP_UNUSABLE;
	struct mp_path *path, *best = NULL;
	int node, distance, least = INT_MAX;

	mp_for_each_path(path, conf) {
		rank = mp_rank(path, tried);
		if (rank > lowest || rank == MP_UNUSABLE)
			continue;
		node = path->node;
		distance = node == NUMA_NO_NODE ? INT_MAX - 1 :
						  node_distance(numa_node_id(), node);
		if (rank < lowest || distance < least) {
			best = path;
			lowest = rank;
			least = distance;
		}
	}
	return best;
}

/* Its rank is 0, in a few instructions: live, not write-mostly, and without demerits. */
static bool mp_is_faultless(const struct mp_path *path)
{
	const unsigned long mask = BIT(In_sync) | BIT(Faulty) | BIT(WriteMostly);
	struct md_rdev *rdev = rcu_dereference_sched(path->rdev);

	return rdev && (READ_ONCE(rdev->flags) & mask) == BIT(In_sync) &&
	       !READ_ONCE(path->demerits);
}

/* A path of the lowest rank, as the policy wants it.  Slots in @tried are passed over. */
static noinline struct mp_path *mp_choose_path(struct mp_conf *conf, u64 tried)
{
	switch (READ_ONCE(conf->policy)) {
	case MP_ROUND_ROBIN:
		return mp_choose_round_robin(conf, tried);
	case MP_QUEUE_DEPTH:
		return mp_choose_queue_depth(conf, tried);
	case MP_NUMA:
		return mp_choose_numa(conf, tried);
	default:
		return mp_choose_failover(conf, tried);
	}
}

/* Count a bio at a path.  Returns the ticket that mp_put_path() needs. */
static u8 mp_count(const struct mp_conf *conf, struct mp_path *path)
{
	u8 ticket = READ_ONCE(path->epoch);	/* pairs with mp_watch_path() */

	this_cpu_inc(path->tally->begun[ticket]);
	if (READ_ONCE(conf->policy) == MP_QUEUE_DEPTH) {
		atomic_inc(&path->depth);
		ticket |= MP_TICKET_DEPTH;
	}
	return ticket;
}

/*
 * Take a path for a bio: the bio counts as in flight there until mp_put_path(), to
 * which @ticket has to be given.
 *
 * The bar is looked at, the path chosen and the bio counted in one RCU section,
 * so that who shuts the gate or clears the slot has only to wait for a grace
 * period, and from then on the sum of in_flight can but fall:
 *
 *	CPU0 mp_shut_gate()			CPU1 here
 *	gate++, barred				rcu_read_lock_sched()
 *	synchronize_rcu()			barred? no
 *	  waits for CPU1			this_cpu_inc(begun)
 *	sum of in_flight: sees CPU1's bio	rcu_read_unlock_sched()
 *
 * It is the sched flavour of RCU, as it costs two instructions where the other,
 * in a preemptible kernel, costs two calls; synchronize_rcu() waits for both.
 *
 * Returns the path; NULL if none is left; ERR_PTR(-EBUSY) if bios have to wait.
 */
static __always_inline struct mp_path *mp_take_path(struct mp_conf *conf, u64 tried, u8 *ticket)
{
	struct mp_path *path;

	rcu_read_lock_sched();
	if (unlikely(READ_ONCE(conf->barred))) {	/* pairs with __mp_set_barred() */
		path = ERR_PTR(-EBUSY);
	} else {
		/* What nearly all bios of most arrays want. */
		path = conf->paths[0];
		if (unlikely(tried || READ_ONCE(conf->policy) != MP_FAILOVER ||
			     !mp_is_faultless(path)))
			path = mp_choose_path(conf, tried);
		if (likely(path))
			*ticket = mp_count(conf, path);
	}
	rcu_read_unlock_sched();
	return path;
}

/*
 * The same for a probe, which is what goes to a path when no bio does; with
 * @returning to a path that has failed and may come back.
 */
static bool mp_take_for_probe(struct mp_path *path, bool returning)
{
	struct mp_conf *conf = path->conf;
	struct md_rdev *rdev;
	bool taken;

	rcu_read_lock_sched();
	rdev = rcu_dereference_sched(path->rdev);
	taken = rdev && !READ_ONCE(conf->gate) &&
		(returning ? READ_ONCE(path->heals) && !READ_ONCE(path->leaving) :
			     mp_rdev_live(rdev));
	if (taken)
		path->probe_ticket = mp_count(conf, path);
	rcu_read_unlock_sched();
	return taken;
}

/*
 * The bio is no longer at the path.  Nothing of @path, its rdev or @conf may be
 * used after this: removal lets the rdev go when the sum of in_flight is 0, and
 * free() the rest, after the RCU section that covers the wake-up here.
 */
static void mp_put_path(struct mp_conf *conf, struct mp_path *path, u8 ticket)
{
	rcu_read_lock_sched();
	this_cpu_inc(path->tally->ended[ticket & MP_TICKET_EPOCH]);
	if (unlikely(ticket & MP_TICKET_DEPTH))
		atomic_dec(&path->depth);
	if (likely(!READ_ONCE(conf->barred))) {	/* pairs with mp_shut_gate() */
		rcu_read_unlock_sched();
		return;
	}
	/* One section takes over from the other: with PREEMPT_RT a wake-up may sleep. */
	rcu_read_lock();
	rcu_read_unlock_sched();
	wake_up(&conf->drained);
	rcu_read_unlock();
}

/* All that its CPUs have counted. */
static struct mp_tally mp_total(const struct mp_path *path)
{
	struct mp_tally total = { };
	int cpu, epoch;

	for_each_possible_cpu(cpu) {
		const struct mp_tally *tally = per_cpu_ptr(path->tally, cpu);

		for (epoch = 0; epoch < 2; epoch++) {
			total.begun[epoch] += READ_ONCE(tally->begun[epoch]);
			total.ended[epoch] += READ_ONCE(tally->ended[epoch]);
		}
		total.unasked += READ_ONCE(tally->unasked);
	}
	return total;
}

/* Bios that ever began at a slot's paths. */
static unsigned long mp_ios(const struct mp_path *path)
{
	struct mp_tally total = mp_total(path);

	return total.begun[0] + total.begun[1];
}

/* Exact once no bio can be added: after a grace period with gate or slot shut. */
static long mp_in_flight(const struct mp_path *path)
{
	struct mp_tally total = mp_total(path);

	return total.begun[0] - total.ended[0] + total.begun[1] - total.ended[1];
}

static bool mp_is_drained(const struct mp_conf *conf)
{
	const struct mp_path *path;

	mp_for_each_path(path, conf)
		if (mp_in_flight(path))
			return false;
	return true;
}

/* -------- the record of a bio -------- */

static enum mp_kind mp_kind_of(struct bio *bio)
{
	bool alone = !bio_flagged(bio, BIO_CHAIN) && !bio_integrity(bio) &&
		     !bio_has_crypt_ctx(bio);

	return likely(alone) ? MP_IN_PLACE : MP_CLONED;
}

static struct bio *mp_clone_of(struct mp_io *io)
{
	return &container_of(io, struct mp_cloned_io, io)->clone;
}

/* What mp_restore() puts back. */
static void mp_save(struct mp_io *io, struct bio *bio)
{
	io->bdev = bio->bi_bdev;
	io->end_io = bio->bi_end_io;
	io->private = bio->bi_private;
	io->iter = bio->bi_iter;
	io->opf = bio->bi_opf;
}

/* A record from this CPU's magazine, or NULL. */
static struct mp_io *mp_pop_record(void)
{
	struct mp_magazine *magazine;
	struct llist_node *node;
	unsigned long flags;

	local_irq_save(flags);
	magazine = this_cpu_ptr(&mp_magazines);
	node = magazine->first;
	if (likely(node)) {
		magazine->first = node->next;
		magazine->nr--;
	}
	local_irq_restore(flags);
	return likely(node) ? llist_entry(node, struct mp_io, node) : NULL;
}

/* False: this CPU has enough of them. */
static bool mp_push_record(struct mp_io *io)
{
	struct mp_magazine *magazine;
	unsigned long flags;
	bool room;

	local_irq_save(flags);
	magazine = this_cpu_ptr(&mp_magazines);
	room = magazine->nr < MP_MAGAZINE;
	if (likely(room)) {
		io->node.next = magazine->first;
		magazine->first = &io->node;
		magazine->nr++;
	}
	local_irq_restore(flags);
	return room;
}

/* From the slab or from the reserve, never by waiting (R5). */
static noinline struct mp_io *mp_alloc_record(struct mp_conf *conf, enum mp_kind kind)
{
	struct mp_io *io;

	io = kmem_cache_alloc(mp_io_cache[kind], GFP_NOWAIT | __GFP_NOWARN);
	if (likely(io)) {
		io->reserved = false;
		return io;
	}
	io = mempool_alloc_preallocated(&conf->ios[kind]);
	if (io)
		io->reserved = true;
	return io;
}

/*
 * A record for a bio.  A bioset would not do: since 7.0 it leaves its reserve
 * alone when it may not sleep.
 */
static struct mp_io *mp_alloc_io(struct mp_conf *conf, struct bio *master)
{
	enum mp_kind kind = mp_kind_of(master);
	struct mp_io *io = NULL;

	if (likely(kind == MP_IN_PLACE))
		io = mp_pop_record();
	if (unlikely(!io)) {
		io = mp_alloc_record(conf, kind);
		if (!io)
			return NULL;
	}

	io->master = master;
	io->cloned = kind == MP_CLONED;
	io->conf = conf;
	io->path = NULL;
	io->accounted = false;
	io->patient = false;
	io->path_error = false;
	io->second_round = false;
	io->error = BLK_STS_OK;
	io->round = READ_ONCE(conf->round);	/* pairs with __mp_set_state() */
	io->tried = 0;
	io->doubted = 0;
	if (likely(kind == MP_IN_PLACE))
		mp_save(io, master);
	else
		bio_init(mp_clone_of(io), NULL, NULL, 0, 0);
	return io;
}

static void mp_free_io(struct mp_io *io)
{
	enum mp_kind kind = MP_IN_PLACE;

	if (likely(!io->cloned && !io->reserved && mp_push_record(io)))
		return;

	if (io->cloned) {
		bio_uninit(mp_clone_of(io));
		kind = MP_CLONED;
	}
	if (io->reserved)
		mempool_free(io, &io->conf->ios[kind]);
	else
		kmem_cache_free(mp_io_cache[kind], io);
}

/* Returns 0 or -ENOMEM; either way mp_exit_reserves() has to follow. */
static int mp_init_reserves(struct mp_conf *conf)
{
	int kind, err = 0;

	for (kind = 0; kind < MP_KINDS && !err; kind++)
		err = mempool_init_slab_pool(&conf->ios[kind], MP_RESERVED_IOS,
					     mp_io_cache[kind]);
	return err;
}

static void mp_exit_reserves(struct mp_conf *conf)
{
	int kind;

	for (kind = 0; kind < MP_KINDS; kind++)
		mempool_exit(&conf->ios[kind]);
}

/* What the lower driver gets. */
static struct bio *mp_bio_down(struct mp_io *io)
{
	return unlikely(io->cloned) ? mp_clone_of(io) : io->master;
}

/*
 * Make a redirected bio what it was, as if it had never been away.  What lower
 * drivers leave behind: the iterator is advanced, __bi_remaining is 0 after a
 * split, bi_next leads to what the bio was merged with, and flags say what the
 * lower queue did with it.  BIO_TRACE_COMPLETION was taken off there, and makes
 * the completion of the array's own bio visible to blktrace.
 */
static void mp_restore(struct mp_io *io)
{
	const unsigned short theirs = BIT(BIO_QUIET) | BIT(BIO_QOS_THROTTLED) | BIT(BIO_QOS_MERGED);
	struct bio *bio = io->master;

	bio->bi_next = NULL;
	bio->bi_bdev = io->bdev;
	bio->bi_end_io = io->end_io;
	bio->bi_private = io->private;
	bio->bi_iter = io->iter;
	bio->bi_opf = io->opf;
	bio->bi_flags = (bio->bi_flags & ~theirs) | BIT(BIO_TRACE_COMPLETION);
	bio->bi_status = BLK_STS_OK;
	atomic_set(&bio->__bi_remaining, 1);
}

/*
 * Make what goes down ready for a try, also after another one.  False: there is
 * no memory for the clone's integrity data or crypt context.
 */
static bool mp_prepare(struct mp_io *io, struct block_device *bdev)
{
	struct bio *clone = mp_clone_of(io);

	if (likely(!io->cloned)) {
		mp_restore(io);
		return true;
	}
	bio_uninit(clone);
	if (bio_init_clone(bdev, clone, io->master, GFP_NOWAIT | __GFP_NOWARN)) {
		bio_init(clone, NULL, NULL, 0, 0);
		return false;
	}
	return true;
}

/* -------- a bio comes back -------- */

enum mp_class {
	MP_ANSWER,		/* the disk's or the caller's: passed up, never retried */
	MP_PATH_ERROR,		/* the path's: it fails at once, the bio goes to another */
	MP_DOUBTFUL,		/* the bio goes to another, and that one's answer decides */
	MP_BUSY,		/* no one's fault: the bio goes to another */
};

/*
 * R2: whose error is it?  blk_path_error() is no help here: it takes a caller's
 * bad bio (INVAL), a would-block (AGAIN), a command's time limit and a full
 * zone for path errors.
 */
static enum mp_class mp_classify(blk_status_t status, blk_opf_t opf)
{
	switch (status) {
	case BLK_STS_TRANSPORT:
	case BLK_STS_OFFLINE:
		return MP_PATH_ERROR;

	case BLK_STS_NOSPC:
	case BLK_STS_TARGET:
	case BLK_STS_RESV_CONFLICT:
	case BLK_STS_MEDIUM:
	case BLK_STS_PROTECTION:
	case BLK_STS_INVAL:
	case BLK_STS_DURATION_LIMIT:
	case BLK_STS_ZONE_OPEN_RESOURCE:
	case BLK_STS_ZONE_ACTIVE_RESOURCE:
		return MP_ANSWER;

	case BLK_STS_AGAIN:
		return opf & REQ_NOWAIT ? MP_ANSWER : MP_BUSY;

	/*
	 * A path may have stopped to take REQ_NOWAIT since it joined, as a dm device
	 * does with another table.  The retry goes without it.
	 */
	case BLK_STS_NOTSUPP:
		return opf & REQ_NOWAIT ? MP_BUSY : MP_ANSWER;

	case BLK_STS_RESOURCE:
	case BLK_STS_DEV_RESOURCE:
		return MP_BUSY;

	default:		/* IOERR and TIMEOUT, and what is not known yet */
		return MP_DOUBTFUL;
	}
}

/* Not an answer of the device, which has not seen the bio: the kernel gave it back. */
static bool mp_is_unasked(blk_status_t status, blk_opf_t opf)
{
	return status == BLK_STS_AGAIN || status == BLK_STS_RESOURCE ||
	       status == BLK_STS_DEV_RESOURCE ||
	       (status == BLK_STS_NOTSUPP && (opf & REQ_NOWAIT));
}

/*
 * A path failed or came back: have md core write it down, and say so to who waits.
 * md's thread is the retry thread's to wake, see mp_wake_md().  It is not told to
 * look at the paths (MD_RECOVERY_NEEDED), for which it would suspend the array, but
 * when there is one to let go.
 */
static void mp_path_changed(struct mp_conf *conf, struct md_rdev *rdev)
{
	struct mddev *mddev = conf->mddev;

	set_bit(MD_SB_CHANGE_DEVS, &mddev->sb_flags);
	if (is_rdev_broken(rdev))
		set_bit(MD_RECOVERY_NEEDED, &mddev->recovery);
	WRITE_ONCE(conf->md_has_work, true);	/* pairs with mp_wake_md() */
	if (rdev->sysfs_state)
		sysfs_notify_dirent(rdev->sysfs_state);
	md_new_event();
	schedule_work(&conf->tell_work);
	/* A trial may have been about to use it; a probe is to be planned. */
	md_wakeup_thread(conf->retry_thread);
}

static void mp_say_failed(const struct mp_conf *conf, const struct mp_path *path,
			  const struct md_rdev *rdev)
{
	pr_crit("md/multipath:%s: path %pg failed; I/O goes on over %u of %u paths\n",
		mdname(conf->mddev), rdev->bdev, READ_ONCE(conf->nr_live),
		READ_ONCE(conf->nr_paths));
	if (path->heals && path->hold)
		pr_warn("md/multipath:%s: path %pg comes and goes: not used for %lu s while another one works\n",
			mdname(conf->mddev), rdev->bdev, path->hold / HZ);
}

/*
 * Fail a path for an error of I/O, unless it is the last (R3).  Not by way of
 * md_error(): that is how mdadm --fail comes, see multipath_error().
 *
 * Context: any; the caller has the path's in_flight raised, or is in an RCU
 * section.
 */
static void mp_fail_path(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason)
{
	struct mp_conf *conf = path->conf;
	bool failed = false;
	unsigned long flags;

	if (!mp_rdev_live(rdev))
		return;
	if (mp_is_last(conf)) {
		mp_suspect(path);
		return;
	}
	spin_lock_irqsave(&conf->lock, flags);
	if (mp_rdev_live(rdev) && conf->nr_live > 1) {
		__mp_set_failed(path, rdev, reason);
		failed = true;
	}
	spin_unlock_irqrestore(&conf->lock, flags);

	/* Else somebody was faster, or it has become the last: its next error will say so. */
	if (failed) {
		mp_path_changed(conf, rdev);
		mp_say_failed(conf, path, rdev);
	}
}

/*
 * Have the disk be asked of the path now, and not in its time.  Any context, in an RCU
 * section or with in_flight raised: so multipath_free(), which shuts the gate and
 * waits for both, has nobody queue the work after that.
 */
static void mp_ask_soon(struct mp_path *path)
{
	if (READ_ONCE(path->has_access) && !READ_ONCE(path->conf->gate))
		mod_delayed_work(path->conf->checker, &path->access_work, 0);
}

/*
 * Fail a path for what may be its controller's doing (R14): a path that the disk says
 * something of gets no bio, unless no other is left, until the disk has been asked.
 *
 * Context: as mp_fail_path().
 */
static void mp_accuse_path(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason)
{
	if (!READ_ONCE(path->has_access) || mp_is_last(path->conf)) {
		mp_fail_path(path, rdev, reason);
	} else if (mp_rdev_live(rdev)) {
		WRITE_ONCE(path->accused, reason);	/* pairs with mp_access_work() */
		set_bit(MP_INACTIVE, &path->demerits);
		mp_ask_soon(path);
	}
}

/*
 * R2: another path did what these could not, so the error was theirs.  A slot
 * may hold another rdev by now, which joined after the doubt and is innocent.
 */
static void mp_blame_doubted(const struct mp_io *io)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path;

	rcu_read_lock();
	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = rcu_dereference(path->rdev);

		if (!(io->doubted & BIT_ULL(path->slot)) || path == io->path || !rdev)
			continue;
		/* pairs with mp_fill_slot() */
		if ((s32)(READ_ONCE(path->joined) - io->generation) <= 0)
			mp_accuse_path(path, rdev, MP_OUTDONE);
	}
	rcu_read_unlock();
}

static void mp_doubt_path(struct mp_io *io)
{
	if (!io->doubted)
		io->generation = READ_ONCE(io->conf->generation);
	io->doubted |= BIT_ULL(io->path->slot);
}

/*
 * End a bio.  The record goes and the path is let go before the master ends, so
 * that who sees the bio done finds the path idle; @conf may be gone after that.
 *
 * The second bio_endio() of a bio that went down in place can't be spared by
 * calling what it had as bi_end_io: that may be bio_chain_endio(), which only
 * bio_endio() may deal with.
 *
 * A master that md core has split may carry the error of a half that failed
 * before this one: success never overwrites it.
 */
static void mp_finish(struct mp_io *io, blk_status_t status)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path = io->path;
	struct bio *master = io->master;
	u8 ticket = io->ticket;

	if (likely(!io->cloned))
		mp_restore(io);
	if (io->accounted)
		bio_end_io_acct(master, io->start_time);
	mp_free_io(io);
	if (likely(path))
		mp_put_path(conf, path, ticket);

	if (unlikely(status))
		master->bi_status = status;
	bio_endio(master);
}

/* Of the array.  A bio that goes down in place is advanced by now. */
static sector_t mp_first_sector(const struct mp_io *io)
{
	return io->cloned ? io->master->bi_iter.bi_sector : io->iter.bi_sector;
}

static unsigned int mp_nr_sectors(const struct mp_io *io)
{
	return io->cloned ? bio_sectors(io->master) : io->iter.bi_size >> SECTOR_SHIFT;
}

/* Hand a failed bio to the retry thread; it owns the record from here on. */
static void mp_retry_later(struct mp_io *io)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path = io->path;
	u8 ticket = io->ticket;

	atomic64_inc(&conf->failovers);
	trace_bio_retry(disk_devt(conf->mddev->gendisk), mp_rdev(path)->bdev->bd_dev,
			mp_first_sector(io), mp_nr_sectors(io),
			blk_status_to_errno(READ_ONCE(path->last_error)));
	io->path = NULL;
	llist_add(&io->node, &conf->failed);
	md_wakeup_thread(conf->retry_thread);
	mp_put_path(conf, path, ticket);
}

/* The lower driver is done with a bio, the master itself or its clone.  Any context. */
static void mp_end_io(struct bio *bio)
{
	struct mp_io *io = bio->bi_private;
	blk_status_t status = bio->bi_status;

	if (likely(!status)) {
		if (unlikely(io->doubted))
			mp_blame_doubted(io);
		mp_finish(io, BLK_STS_OK);
		return;
	}

	if (!io->error)
		io->failed_since = jiffies;
	WRITE_ONCE(io->path->last_error, status);
	if (mp_is_unasked(status, bio->bi_opf))
		this_cpu_inc(io->path->tally->unasked);

	switch (mp_classify(status, bio->bi_opf)) {
	case MP_ANSWER:
		mp_finish(io, status);
		return;
	case MP_PATH_ERROR:
		io->path_error = true;
		mp_fail_path(io->path, mp_rdev(io->path), MP_IO_ERROR);
		break;
	case MP_DOUBTFUL:
		/* Of a controller that does no I/O, it is no word of the disk (R14). */
		if (test_bit(MP_INACTIVE, &io->path->demerits)) {
			io->path_error = true;
			break;
		}
		/* It may be the disk's, so it says more than a path's error. */
		if (!io->doubted)
			io->error = status;
		io->path_error = false;
		mp_doubt_path(io);
		/* No other path will be asked, so a probe has to find out. */
		if (bio->bi_opf & REQ_RAHEAD)
			mp_suspect(io->path);
		break;
	case MP_BUSY:
		break;
	}
	if (!io->error)
		io->error = status;

	/* Nobody waits for readahead; who needs the data will ask again. */
	if (bio->bi_opf & REQ_RAHEAD)
		mp_finish(io, status);
	else
		mp_retry_later(io);
}

/* -------- a bio goes down -------- */

/*
 * The block layer takes readahead for failfast of all kinds, and warns when it merges such
 * a bio with another, and the bio's own flags say less (blk_rq_set_mixed_merge()).
 */
static inline blk_opf_t mp_failfast(const struct bio *bio)
{
	return bio->bi_opf & REQ_RAHEAD ? REQ_FAILFAST_MASK : REQ_FAILFAST_TRANSPORT;
}

/* Send a bio to the path that was taken for it. */
static void mp_send(struct mp_io *io)
{
	struct md_rdev *rdev = mp_rdev(io->path);
	struct mddev *mddev = io->conf->mddev;
	struct bio *bio = mp_bio_down(io);
	sector_t sector;

	io->tried |= BIT_ULL(io->path->slot);
	if (likely(!io->cloned))
		bio_set_dev(bio, rdev->bdev);
	sector = bio->bi_iter.bi_sector;
	bio->bi_iter.bi_sector = sector + rdev->data_offset;
	bio->bi_end_io = mp_end_io;
	bio->bi_private = io;
	if (unlikely(io->patient || mp_is_last(io->conf)))	/* R3 */
		io->patient = true;
	else
		bio->bi_opf |= mp_failfast(bio);

	mddev_trace_remap(mddev, bio, sector);
	mddev_check_write_zeroes(mddev, bio);
	submit_bio_noacct(bio);
}

/* The same by the path's own work: for the retry thread, which must not block (R9). */
static void mp_send_by_work(struct mp_io *io)
{
	struct mp_path *path = io->path;

	llist_add(&io->node, &path->to_send);
	queue_work(path->sender, &path->send_work);
}

static void mp_send_work(struct work_struct *work)
{
	struct mp_path *path = container_of(work, struct mp_path, send_work);
	struct llist_node *ios;
	struct mp_io *io, *next;
	struct blk_plug plug;

	/* The flag was set before the work was queued. */
	if (path->probe_to_send) {
		path->probe_to_send = false;
		submit_bio_noacct(path->probe);
	}
	ios = llist_reverse_order(llist_del_all(&path->to_send));
	blk_start_plug(&plug);
	llist_for_each_entry_safe(io, next, ios, node)
		mp_send(io);
	blk_finish_plug(&plug);
}

/*
 * Start a bio on its way: a record for it, and a path taken, io->path.  NULL:
 * not now, it has to wait.
 */
static struct mp_io *mp_begin(struct mp_conf *conf, struct bio *bio)
{
	struct mp_path *path;
	struct mp_io *io;
	u8 ticket;

	path = mp_take_path(conf, 0, &ticket);
	if (IS_ERR_OR_NULL(path))
		return NULL;
	io = mp_alloc_io(conf, bio);
	if (unlikely(!io))
		goto out_put_path;
	if (unlikely(io->cloned) && !mp_prepare(io, mp_rdev(path)->bdev))
		goto out_free_io;

	io->path = path;
	io->ticket = ticket;
	/* Asked once: iostat may be switched off while the bio is away. */
	io->accounted = blk_queue_io_stat(conf->mddev->gendisk->queue);
	if (io->accounted)
		io->start_time = bio_start_io_acct(bio);
	return io;

out_free_io:
	mp_free_io(io);
out_put_path:
	this_cpu_inc(path->tally->unasked);
	mp_put_path(conf, path, ticket);
	return NULL;
}

/*
 * Keep a bio for the retry thread, which is woken after it can find the bio.
 * Some can't wait: with REQ_NOWAIT (R5), when the array has given up (R8), and
 * readahead that has no path, as nobody waits for it.
 */
static void mp_park(struct mp_conf *conf, struct bio *bio)
{
	blk_status_t status = BLK_STS_OK;
	unsigned long flags;
	bool waits_for_path;

	spin_lock_irqsave(&conf->lock, flags);
	if (conf->state == MP_GIVEN_UP)
		status = BLK_STS_IOERR;
	else if (bio->bi_opf & REQ_NOWAIT)
		status = BLK_STS_AGAIN;
	else if (conf->state == MP_PARKING && (bio->bi_opf & REQ_RAHEAD))
		status = BLK_STS_IOERR;
	else
		bio_list_add(&conf->parked, bio);
	waits_for_path = conf->state != MP_WORKING;
	spin_unlock_irqrestore(&conf->lock, flags);

	if (waits_for_path)
		atomic64_inc(status ? &conf->refusals : &conf->parkings);
	if (!status) {
		md_wakeup_thread(conf->retry_thread);
		return;
	}
	if (status == BLK_STS_AGAIN)
		bio_set_flag(bio, BIO_QUIET);
	bio->bi_status = status;
	bio_endio(bio);
}

/*
 * The first write ends read-auto, in which md core writes no superblock, and it has to
 * know again what happens to the paths.  md_write_start() would do it too, but also wait
 * for a superblock that says "dirty", which no path ever is.
 *
 * CPU0 (a write)			CPU1 (mdadm --readonly)
 *   sees MD_AUTO_READ
 *					ro = MD_RDONLY
 *   cmpxchg() does nothing
 */
static void mp_leave_read_auto(struct mp_conf *conf)
{
	struct mddev *mddev = conf->mddev;

	if (cmpxchg(&mddev->ro, MD_AUTO_READ, MD_RDWR) != MD_AUTO_READ)
		return;
	set_bit(MD_RECOVERY_NEEDED, &mddev->recovery);	/* for spares, too */
	if (mddev->sysfs_state)
		sysfs_notify_dirent(mddev->sysfs_state);
	WRITE_ONCE(conf->md_has_work, true);	/* pairs with mp_wake_md() */
	md_wakeup_thread(conf->retry_thread);
}

/**
 * multipath_make_request - do a bio
 * @mddev: the array
 * @bio: the bio, which is ours from here on; it may complete before the return
 *
 * Context: process context under md core's active_io.  Never sleeps for a path
 * or for memory (R5); submitting may, as the lower driver's tags run out.
 *
 * Return: true: md core has nothing more to do.
 */
static bool multipath_make_request(struct mddev *mddev, struct bio *bio)
{
	struct mp_conf *conf = mddev->private;
	struct mp_io *io;

	/* A flush of nothing is no write: a read-only mount sends those, too. */
	if (unlikely(READ_ONCE(mddev->ro)) && op_is_write(bio_op(bio)) && bio_sectors(bio))
		mp_leave_read_auto(conf);

	io = mp_begin(conf, bio);
	if (likely(io))
		mp_send(io);
	else
		mp_park(conf, bio);
	return true;
}

/* -------- failed bios -------- */

/* When a path works again, the paths that failed the bio before count no more. */
static void mp_new_round(struct mp_io *io)
{
	io->round = READ_ONCE(io->conf->round);	/* pairs with __mp_set_state() */
	io->tried = 0;
	io->doubted = 0;
	io->patient = false;
	io->path_error = false;
}

/*
 * A path for a failed bio.  When it has tried all that are live, one thing is
 * left (R3): the last live path may have refused it only because it was sent
 * there with failfast, when there still was another.  It goes there once more,
 * patiently, and that ends the round.
 */
static struct mp_path *mp_take_retry_path(struct mp_io *io)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path = mp_take_path(conf, io->tried, &io->ticket);

	if (path || io->patient || !mp_is_last(conf))
		return path;

	path = mp_take_path(conf, 0, &io->ticket);
	if (!IS_ERR_OR_NULL(path))
		io->patient = true;
	return path;
}

/* Has it been tried for as long as no_path_retry allows? */
static bool mp_is_overdue(const struct mp_io *io)
{
	int seconds = READ_ONCE(io->conf->no_path_retry);

	return seconds == 0 ||
	       (seconds > 0 &&
		time_after_eq(jiffies, io->failed_since + (unsigned long)seconds * HZ));
}

/* Send a failed bio to another path, or have it judged.  False: no memory now. */
static bool mp_retry(struct mp_io *io)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path;

	if (io->round != READ_ONCE(conf->round)) {	/* pairs with __mp_set_state() */
		if (mp_is_overdue(io)) {
			mp_finish(io, io->error);
			return true;
		}
		mp_new_round(io);
	}

	path = mp_take_retry_path(io);
	if (!path) {
		llist_add(&io->node, &conf->judged);
		return true;
	}
	if (IS_ERR(path))
		return false;

	if (!mp_prepare(io, mp_rdev(path)->bdev)) {
		this_cpu_inc(path->tally->unasked);
		mp_put_path(conf, path, io->ticket);
		return false;
	}
	/* R5: the path's work can wait. */
	mp_bio_down(io)->bi_opf &= ~REQ_NOWAIT;
	io->path = path;
	mp_send_by_work(io);
	return true;
}

/* Retry all that failed so far.  False: for some there is no memory now. */
static bool mp_retry_failed(struct mp_conf *conf)
{
	struct llist_node *failed = llist_reverse_order(llist_del_all(&conf->failed));
	struct mp_io *io, *next;
	bool all = true;

	llist_for_each_entry_safe(io, next, failed, node) {
		if (!mp_retry(io)) {
			llist_add(&io->node, &conf->failed);
			all = false;
		}
		cond_resched();
	}
	return all;
}

static struct bio *mp_next_parked(struct mp_conf *conf)
{
	struct bio *bio;

	spin_lock_irq(&conf->lock);
	bio = bio_list_pop(&conf->parked);
	spin_unlock_irq(&conf->lock);
	return bio;
}

/* Start the bios that wait, oldest first.  False: for some there is no memory now. */
static bool mp_start_parked(struct mp_conf *conf)
{
	struct mp_io *io;
	struct bio *bio;

	while ((bio = mp_next_parked(conf))) {
		io = mp_begin(conf, bio);
		if (!io) {
			spin_lock_irq(&conf->lock);
			bio_list_add_head(&conf->parked, bio);
			spin_unlock_irq(&conf->lock);
			return false;
		}
		mp_send_by_work(io);
		cond_resched();
	}
	return true;
}

/*
 * End all that waits for a path.  None of it is at one.  What a path said of a
 * bio before matters no more: all get the same error.
 */
static void mp_fail_waiting(struct mp_conf *conf)
{
	struct llist_node *failed = llist_reverse_order(llist_del_all(&conf->failed));
	struct mp_io *io, *next;
	struct bio *bio;

	llist_for_each_entry_safe(io, next, failed, node) {
		atomic64_inc(&conf->refusals);
		mp_finish(io, BLK_STS_IOERR);
		cond_resched();
	}
	while ((bio = mp_next_parked(conf))) {
		atomic64_inc(&conf->refusals);
		bio_io_error(bio);
		cond_resched();
	}
}

/* -------- which disk does a path lead to? -------- */

/* Bytes of VPD page 83h: what any device can be asked for, and the most that we look at. */
#define MP_VPD_SIZE		252
#define MP_MAX_VPD_SIZE		4092

/* The time that the disk has for each question. */
#define MP_ASK_TIMEOUT		(5 * HZ)

/* Seen by who follows a unit attention or two. */
#define MP_ASK_TRIES		3
/* How often a question tries to get in between two freezes of the queue. */
#define MP_THAWS		50

static bool mp_has_identity(const struct mp_identity *identity)
{
	return identity->type;
}

static bool mp_same_identity(const struct mp_identity *a, const struct mp_identity *b)
{
	return a->type == b->type && a->length == b->length &&
	       !memcmp(a->id, b->id, a->length);
}

/* Room for naa.600140500000000000000000000000a1 */
#define MP_IDENTITY_LENGTH	40

/* For a message.  Returns @text. */
static const char *mp_identity_text(const struct mp_identity *identity,
				    char text[MP_IDENTITY_LENGTH])
{
	if (mp_has_identity(identity))
		snprintf(text, MP_IDENTITY_LENGTH, "%s.%*phN",
			 identity->type == BLK_UID_NAA ? "naa" : "eui",
			 identity->length, identity->id);
	else
		strscpy(text, "without an id", MP_IDENTITY_LENGTH);
	return text;
}

/* What the kernel knows of the device's identity, from when it was found. */
static void mp_known_identity(struct block_device *bdev, struct mp_identity *identity)
{
	static const enum blk_unique_id types[] = { BLK_UID_NAA, BLK_UID_EUI64 };
	struct gendisk *disk = bdev->bd_disk;
	int i, length;

	memset(identity, 0, sizeof(*identity));
	if (!disk->fops->get_unique_id)
		return;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		length = disk->fops->get_unique_id(disk, identity->id, types[i]);
		if (length > 0 && length <= sizeof(identity->id)) {
			identity->type = types[i];
			identity->length = length;
			return;
		}
	}
}

static void mp_known_disk(struct block_device *bdev, struct mp_disk *disk)
{
	mp_known_identity(bdev, &disk->identity);
	disk->sectors = get_capacity(bdev->bd_disk);
	disk->block_size = bdev_logical_block_size(bdev);
}

/* The SCSI device under a disk, or NULL.  The disk's parent holds on to it. */
static struct scsi_device *mp_scsi_device(struct block_device *bdev)
{
	struct device *dev = disk_to_dev(bdev->bd_disk)->parent;

	if (!dev || !dev->bus || strcmp(dev->bus->name, "scsi") ||
	    !dev->type || !dev->type->name || strcmp(dev->type->name, "scsi_device"))
		return NULL;
	return to_scsi_device(dev);
}

/*
 * What became of a command: 0; -EAGAIN if the device had something else to say first;
 * -ENOTCONN if the path's controller does no I/O now; -EIO.
 */
static int mp_result_of(const struct scsi_cmnd *command)
{
	const u8 *sense = command->sense_buffer;
	u8 format = sense[0] & 0x7f;
	bool descriptors = format == 0x72;
	u8 key = sense[descriptors ? 1 : 2] & 0xf;
	u8 asc = sense[descriptors ? 2 : 12];
	u8 ascq = sense[descriptors ? 3 : 13];

	if (!command->result)
		return 0;
	if (command->result != SAM_STAT_CHECK_CONDITION || (format & 0x7c) != 0x70)
		return -EIO;
	/* Of an older command. */
	if (format & 1)
		return -EAGAIN;
	/* In transition from one state to another, standby, unavailable. */
	if ((key == NOT_READY || key == UNIT_ATTENTION) && asc == 0x04 &&
	    ascq >= 0x0a && ascq <= 0x0c)
		return -ENOTCONN;
	switch (key) {
	case RECOVERED_ERROR:
		return 0;
	case UNIT_ATTENTION:
	case ABORTED_COMMAND:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

/*
 * Without a wait for a tag, as a path that hangs may have none left for long.  While its
 * controller is scanned the queue is frozen most of the time, as a tag set that is shared
 * freezes all its queues for each address that is tried: that is waited for.
 */
static struct request *
mp_alloc_request(struct request_queue *q,
		 struct request *(*alloc)(struct request_queue *q, blk_opf_t opf,
					  blk_mq_req_flags_t flags))
{
	unsigned long left = MP_ASK_TIMEOUT;
	struct request *rq;
	int tries;

	for (tries = 0; tries < MP_THAWS; tries++) {
		rq = alloc(q, REQ_OP_DRV_IN, BLK_MQ_REQ_NOWAIT);
		if (!IS_ERR(rq) || PTR_ERR(rq) != -EWOULDBLOCK)
			break;
		left = wait_event_timeout(q->mq_freeze_wq, !READ_ONCE(q->mq_freeze_depth), left);
		if (!left)
			break;
	}
	return rq;
}

/*
 * Ask a SCSI device something.  SCSI may be no part of the kernel, so nothing of
 * it is linked; scsi_execute_cmd() is not for symbol_get().  @timeout is in jiffies;
 * 0: the lower driver's.
 *
 * Context: sleeps, up to the timeout for each of MP_ASK_TRIES.
 *
 * Return: 0; -EIO if it does not answer, -ENOTCONN if its controller does no I/O;
 * -EBUSY while all its tags are in use, or its queue is frozen; -ENXIO or -ENOMEM.
 */
static int mp_ask(struct scsi_device *sdev, const u8 *cdb, unsigned int cdb_length,
		  void *answer, unsigned int length, unsigned int timeout)
{
	struct request *(*alloc_request)(struct request_queue *q, blk_opf_t opf,
					 blk_mq_req_flags_t flags);
	struct scsi_cmnd *command;
	struct request *rq;
	int tries, err = -EAGAIN;

	alloc_request = symbol_get(scsi_alloc_request);
	if (!alloc_request)
		return -ENXIO;
	for (tries = 0; err == -EAGAIN && tries < MP_ASK_TRIES; tries++) {
		rq = mp_alloc_request(sdev->request_queue, alloc_request);
		if (IS_ERR(rq)) {
			err = PTR_ERR(rq) == -EWOULDBLOCK ? -EBUSY : PTR_ERR(rq);
			break;
		}
		err = 0;
		if (length) {
			memset(answer, 0, length);
			err = blk_rq_map_kern(rq, answer, length, GFP_NOIO);
		}
		if (!err) {
			command = blk_mq_rq_to_pdu(rq);
			command->allowed = 0;
			command->cmd_len = cdb_length;
			memcpy(command->cmnd, cdb, cdb_length);
			rq->timeout = timeout;
			rq->rq_flags |= RQF_QUIET;
			err = blk_execute_rq(rq, true) ? -EIO : 0;
			if (!err || command->result)
				err = mp_result_of(command);
			/* Some devices send something, and say that it is nothing. */
			if (!err && command->resid_len && command->resid_len <= length)
				memset(answer + length - command->resid_len, 0, command->resid_len);
		}
		blk_mq_free_request(rq);
	}
	symbol_put(scsi_alloc_request);
	return err == -EAGAIN ? -EIO : err;
}

/* VPD page 83h, device identification. */
static int mp_ask_vpd(struct scsi_device *sdev, u8 *page, unsigned int length)
{
	const u8 cdb[] = { INQUIRY, 1, 0x83, length >> 8, length & 0xff, 0 };
	int err = mp_ask(sdev, cdb, sizeof(cdb), page, length, MP_ASK_TIMEOUT);

	return err ?: page[1] == 0x83 ? 0 : -EIO;
}

/*
 * The identity that the device has now: @known if it is among those that it has,
 * else the first one.
 */
static int mp_ask_identity(struct scsi_device *sdev, const struct mp_identity *known,
			   struct mp_identity *now)
{
	struct mp_identity found;
	unsigned int at, end;
	u8 *page;
	int err;

	memset(now, 0, sizeof(*now));
	page = kmalloc(MP_MAX_VPD_SIZE, GFP_NOIO);
	if (!page)
		return -ENOMEM;
	err = mp_ask_vpd(sdev, page, MP_VPD_SIZE);
	end = be16_to_cpup((__be16 *)(page + 2)) + 4;
	if (!err && end > MP_VPD_SIZE) {
		end = min(end, MP_MAX_VPD_SIZE);
		err = mp_ask_vpd(sdev, page, end);
	}
	if (err)
		goto out_free;

	/* Each designator: code set, association and type, reserved, length, itself. */
	for (at = 4; at + 4 <= end && at + 4 + page[at + 3] <= end; at += 4 + page[at + 3]) {
		memset(&found, 0, sizeof(found));
		found.type = page[at + 1] & 0xf;
		found.length = page[at + 3];
		/* Of the logical unit, and no port's. */
		if (page[at + 1] & 0x30 || found.length > sizeof(found.id) ||
		    (found.type != BLK_UID_NAA && found.type != BLK_UID_EUI64))
			continue;
		memcpy(found.id, page + at + 4, found.length);
		if (!mp_has_identity(now) || mp_same_identity(&found, known))
			*now = found;
	}
out_free:
	kfree(page);
	return err;
}

/* The size that the device has now, in sectors, and its block size in bytes. */
static int mp_ask_size(struct scsi_device *sdev, sector_t *sectors, unsigned int *block_size)
{
	static const u8 cdb16[16] = { SERVICE_ACTION_IN_16, SAI_READ_CAPACITY_16, [13] = 32 };
	static const u8 cdb10[10] = { READ_CAPACITY };
	u8 *answer;
	u64 last;
	int err;

	answer = kmalloc(32, GFP_NOIO);
	if (!answer)
		return -ENOMEM;
	err = -EOPNOTSUPP;
	if (!sdev->no_read_capacity_16 && !sdev->try_rc_10_first)
		err = mp_ask(sdev, cdb16, sizeof(cdb16), answer, 32, MP_ASK_TIMEOUT);
	if (!err) {
		last = be64_to_cpup((__be64 *)answer);
		*block_size = be32_to_cpup((__be32 *)(answer + 8));
	} else {
		err = mp_ask(sdev, cdb10, sizeof(cdb10), answer, 8, MP_ASK_TIMEOUT);
		last = be32_to_cpup((__be32 *)answer);
		*block_size = be32_to_cpup((__be32 *)(answer + 4));
	}
	*sectors = (last + 1) * (*block_size >> SECTOR_SHIFT);
	kfree(answer);
	return err ?: *sectors ? 0 : -EIO;
}

/* What the device is now; @known is what it was. */
static int mp_ask_disk(struct scsi_device *sdev, const struct mp_disk *known,
		       struct mp_disk *now)
{
	int err;

	*now = *known;
	if (mp_has_identity(&known->identity)) {
		err = mp_ask_identity(sdev, &known->identity, &now->identity);
		if (err)
			return err;
	}
	/* What these say of their size is not what sd makes of it. */
	if (sdev->fix_capacity || sdev->guess_capacity)
		return 0;
	err = mp_ask_size(sdev, &now->sectors, &now->block_size);
	if (err != -ENOTCONN)
		return err;
	/* An inactive controller may know nothing of the size. */
	now->sectors = known->sectors;
	now->block_size = known->block_size;
	return 0;
}

/* One line says why not, the first time. */
static bool mp_is_same_disk(struct mp_path *path, const struct mp_disk *now)
{
	const char *name = mdname(path->conf->mddev);
	const struct mp_disk *was = &path->disk;
	char id_now[MP_IDENTITY_LENGTH], id_was[MP_IDENTITY_LENGTH];

	if (!mp_same_identity(&now->identity, &was->identity)) {
		if (!path->refused)
			pr_warn("md/multipath:%s: path %pg is not used: it leads to disk %s, and not to %s\n",
				name, mp_rdev(path)->bdev,
				mp_identity_text(&now->identity, id_now),
				mp_identity_text(&was->identity, id_was));
		return false;
	}
	if ((now->sectors != READ_ONCE(was->sectors) &&
	     now->sectors != mp_live_sectors(path->conf)) ||
	    now->block_size != was->block_size) {
		if (!path->refused)
			pr_warn("md/multipath:%s: path %pg is not used: its disk has %llu sectors and blocks of %u bytes, and had %llu and %u\n",
				name, mp_rdev(path)->bdev, now->sectors, now->block_size,
				was->sectors, was->block_size);
		return false;
	}
	return true;
}

/* Does the kernel know that the disk has all of the array?  One line says if not. */
static bool mp_has_room(struct mp_path *path, const struct md_rdev *rdev)
{
	struct mddev *mddev = path->conf->mddev;
	sector_t size = bdev_nr_sectors(rdev->bdev);
	/* md core writes rdev->sectors to the superblock, and believes it at assembly. */
	sector_t needed = max(READ_ONCE(mddev->dev_sectors), READ_ONCE(rdev->sectors));

	if (size >= rdev->data_offset && size - rdev->data_offset >= needed)
		return true;
	if (!path->refused)
		pr_warn("md/multipath:%s: path %pg is not used: it has %llu sectors, and should have %llu after the first %llu: rescan the device, or set the size again\n",
			mdname(mddev), rdev->bdev, size, needed, rdev->data_offset);
	return false;
}

/* Demerits that the disk gives the path now, or a negative error if it does not answer. */
static long mp_ask_access(struct scsi_device *sdev)
{
	static const u8 cdb[6] = { TEST_UNIT_READY };
	/* It has the time that I/O has: who times out at a path in use has its host reset. */
	int err = mp_ask(sdev, cdb, sizeof(cdb), NULL, 0, 0);

	if (err == -ENOTCONN)
		return BIT(MP_INACTIVE);
	if (err)
		return err;
	/* If states have changed, the handler has just been told, and asks for them. */
	msleep(MP_ACCESS_SETTLE);
	switch (READ_ONCE(sdev->access_state) & SCSI_ACCESS_STATE_MASK) {
	case SCSI_ACCESS_STATE_OPTIMAL:
		return 0;
	case SCSI_ACCESS_STATE_ACTIVE:
	case SCSI_ACCESS_STATE_LBA:
		return BIT(MP_NON_OPTIMISED);
	default:
		return BIT(MP_INACTIVE);
	}
}

/* Has it only failed to read as its controller does no I/O? */
static bool mp_is_inactive(struct mp_path *path, struct scsi_device *sdev)
{
	long demerits;

	if (!READ_ONCE(path->has_access))
		return false;
	demerits = mp_ask_access(sdev);
	if (demerits < 0 || !(demerits & BIT(MP_INACTIVE)))
		return false;
	set_bit(MP_INACTIVE, &path->demerits);
	return true;
}

/* Where a superblock has the array's UUID: in one piece, or 0.90 in two. */
static bool mp_is_our_superblock(const struct mddev *mddev, const void *page)
{
	const struct mdp_superblock_1 *sb1 = page;
	const mdp_super_t *sb0 = page;

	if (mddev->major_version)
		return le32_to_cpu(sb1->magic) == MD_SB_MAGIC &&
		       !memcmp(sb1->set_uuid, mddev->uuid, sizeof(mddev->uuid));
	return sb0->md_magic == MD_SB_MAGIC &&
	       !memcmp(&sb0->set_uuid0, mddev->uuid, 4) &&
	       !memcmp(&sb0->set_uuid1, mddev->uuid + 4, 12);
}

static enum mp_probe_state mp_check_superblock(struct mp_path *path, struct md_rdev *rdev)
{
	struct mddev *mddev = path->conf->mddev;
	enum mp_probe_state result = MP_PROBE_SAME_DISK;
	unsigned int length;
	struct page *page;
	struct bio_vec vec;
	struct bio bio;

	if (!mddev->persistent || mddev->external)
		return result;
	page = alloc_page(GFP_NOIO);
	if (!page)
		return MP_PROBE_FAILED;

	bio_init(&bio, rdev->bdev, &vec, 1, REQ_OP_READ | REQ_FAILFAST_MASK);
	length = clamp_t(unsigned int, bdev_logical_block_size(rdev->bdev), 1024, PAGE_SIZE);
	__bio_add_page(&bio, page, length, 0);
	bio.bi_iter.bi_sector = rdev->sb_start;
	if (submit_bio_wait(&bio)) {
		result = MP_PROBE_FAILED;
	} else if (!mp_is_our_superblock(mddev, page_address(page))) {
		if (!path->refused)
			pr_warn("md/multipath:%s: path %pg is not used: its disk has no superblock of this array\n",
				mdname(mddev), rdev->bdev);
		result = MP_PROBE_STRANGER;
	}
	bio_uninit(&bio);
	__free_page(page);
	return result;
}

/*
 * Does a failed path lead to the disk that it led to (R12)?
 *
 * Context: sleeps, up to the lower driver's timeout.  The path's in_flight is raised.
 *
 * Return: MP_PROBE_SAME_DISK; MP_PROBE_STRANGER after a line that says so, which
 * comes once; MP_PROBE_FAILED when the disk did not say, or there was no memory.
 */
static enum mp_probe_state mp_check_disk(struct mp_path *path)
{
	struct md_rdev *rdev = mp_rdev(path);
	struct scsi_device *sdev = mp_scsi_device(rdev->bdev);
	enum mp_probe_state result = MP_PROBE_STRANGER;
	struct mp_disk now;

	if (!sdev)
		mp_known_disk(rdev->bdev, &now);
	else if (mp_ask_disk(sdev, &path->disk, &now))
		return MP_PROBE_FAILED;

	/* It could not be read: for no other reason, and its id has to do. */
	if (path->probe_was_in_vain &&
	    (!sdev || !mp_has_identity(&now.identity) || !mp_is_inactive(path, sdev) ||
	     get_capacity(rdev->bdev->bd_disk) != now.sectors))
		return MP_PROBE_FAILED;
	if (mp_is_same_disk(path, &now) && mp_has_room(path, rdev))
		result = path->probe_was_in_vain ? MP_PROBE_SAME_DISK :
						   mp_check_superblock(path, rdev);
	if (result != MP_PROBE_FAILED)
		path->refused = result == MP_PROBE_STRANGER;
	return result;
}

/* Has the disk of @bdev, as just asked, the id of the paths in their slots? */
static int mp_compare_identity(struct mp_conf *conf, struct block_device *bdev,
			       const struct mp_identity *identity)
{
	char id_new[MP_IDENTITY_LENGTH], id_old[MP_IDENTITY_LENGTH];
	struct mp_path *path;

	mp_for_each_path(path, conf) {
		if (!mp_rdev(path) || !mp_has_identity(&path->disk.identity) ||
		    mp_same_identity(identity, &path->disk.identity))
			continue;
		pr_warn("md/multipath:%s: %pg leads to disk %s, %pg to %s: not paths to one disk\n",
			mdname(conf->mddev), bdev, mp_identity_text(identity, id_new),
			mp_rdev(path)->bdev,
			mp_identity_text(&path->disk.identity, id_old));
		return -EINVAL;
	}
	return 0;
}

/*
 * May a device join, as far as ids can tell?  A running array has the device asked,
 * as it may have been a path before, and the kernel may take it for what it was then.
 *
 * Context: sleeps, up to the lower driver's timeout; reconfig_mutex held.
 *
 * Return: 0; -EINVAL if it leads to another disk, -EIO if it does not say, each after
 * a line.
 */
static int mp_check_identity(struct mp_conf *conf, struct block_device *bdev, bool ask)
{
	struct scsi_device *sdev = mp_scsi_device(bdev);
	struct mp_identity known, now;

	mp_known_identity(bdev, &known);
	if (!mp_has_identity(&known)) {
		pr_info("md/multipath:%s: %pg has no id: that it leads to the array's disk can't be checked\n",
			mdname(conf->mddev), bdev);
		return 0;
	}
	now = known;
	if (ask && sdev && mp_ask_identity(sdev, &known, &now)) {
		pr_warn("md/multipath:%s: %pg does not say which disk it leads to: add it when it does\n",
			mdname(conf->mddev), bdev);
		return -EIO;
	}
	return mp_compare_identity(conf, bdev, &now);
}

/* -------- does a path work? -------- */

/* Jiffies between two probes of a path that does not work. */
static unsigned long mp_probe_interval(const struct mp_conf *conf)
{
	return (unsigned long)READ_ONCE(conf->probe_interval) * HZ;
}

/* The first, the last and the middle block: one of them is no bad sector. */
static sector_t mp_probe_sector(struct mp_path *path, unsigned int place)
{
	struct md_rdev *rdev = mp_rdev(path);
	sector_t block = bdev_logical_block_size(rdev->bdev) >> SECTOR_SHIFT;
	sector_t sectors = READ_ONCE(path->conf->mddev->dev_sectors);
	sector_t at[MP_PROBE_PLACES] = { 0, sectors - block, sectors / 2 };

	return rdev->data_offset + round_down(at[place], block);
}

/* It may fail, or go, at any time after it. */
static bool mp_path_is_live(struct mp_path *path)
{
	struct md_rdev *rdev;
	bool live;

	rcu_read_lock();
	rdev = rcu_dereference(path->rdev);
	live = rdev && mp_rdev_live(rdev);
	rcu_read_unlock();
	return live;
}

/* The live path that bios go to first; it may be gone before it is used. */
static struct mp_path *mp_first_path(struct mp_conf *conf)
{
	struct mp_path *path;

	rcu_read_lock();
	path = mp_choose_path(conf, 0);
	rcu_read_unlock();
	return path;
}

/*
 * Hand a probe back.  Any context.  From the store on, the retry thread may use it
 * again.
 */
static void mp_probe_is_back(struct mp_path *path, enum mp_probe_state result)
{
	struct mp_conf *conf = path->conf;
	u8 ticket = path->probe_ticket;

	smp_store_release(&path->probe_state, result);	/* pairs with mp_hear_probe() */
	md_wakeup_thread(conf->retry_thread);
	rcu_read_lock();
	mp_put_path(conf, path, ticket);
	wake_up(&conf->drained);	/* multipath_hot_remove_disk() may wait for it */
	rcu_read_unlock();
}

static void mp_probe_end(struct bio *bio)
{
	struct mp_path *path = bio->bi_private;
	enum mp_probe_state result;

	switch (bio->bi_status ? mp_classify(bio->bi_status, bio->bi_opf) : MP_ANSWER) {
	case MP_ANSWER:
	case MP_BUSY:
		result = MP_PROBE_OK;
		break;
	case MP_PATH_ERROR:
		result = MP_PROBE_FAILED;
		break;
	case MP_DOUBTFUL:
		result = MP_PROBE_DOUBTFUL;
		break;
	}
	if (bio->bi_status)
		WRITE_ONCE(path->last_error, bio->bi_status);
	bio_uninit(bio);
	mp_probe_is_back(path, result);
}

/*
 * Asking may take long, so it is no work of the sender's (R9).  What little it
 * allocates comes from the memory's reserves, and it has a rescuer: that memory comes
 * free may depend on this path.
 */
static void mp_check_work(struct work_struct *work)
{
	struct mp_path *path = container_of(work, struct mp_path, check_work);
	unsigned int flags = memalloc_noreclaim_save();
	enum mp_probe_state result = mp_check_disk(path);

	memalloc_noreclaim_restore(flags);
	mp_probe_is_back(path, result);
}

/* Have a path say which disk it leads to: one that has answered, or else is inactive. */
static void mp_start_check(struct mp_path *path, bool in_vain)
{
	path->probe_was_in_vain = in_vain;
	if (!mp_take_for_probe(path, path->probe_is_return))
		return;
	WRITE_ONCE(path->probe_state, MP_PROBE_SENT);
	queue_work(path->conf->checker, &path->check_work);
}

/*
 * Have one place of the path read, with all failfast flags.  False: the path is
 * gone, or neither live nor @returning, the gate is shut, or an older probe has
 * not come back.
 */
static bool mp_start_probe(struct mp_path *path, unsigned int place, bool returning)
{
	struct block_device *bdev;

	if (READ_ONCE(path->probe_state) != MP_PROBE_IDLE || !mp_take_for_probe(path, returning))
		return false;

	bdev = mp_rdev(path)->bdev;
	bio_init(path->probe, bdev, &path->probe_vec, 1, REQ_OP_READ | REQ_FAILFAST_MASK);
	__bio_add_page(path->probe, path->probe_page,
		       min_t(unsigned int, bdev_logical_block_size(bdev), PAGE_SIZE), 0);
	path->probe->bi_iter.bi_sector = mp_probe_sector(path, place);
	path->probe->bi_end_io = mp_probe_end;
	path->probe->bi_private = path;
	path->probe_place = place;
	path->probe_is_return = returning;
	path->probe_joined = READ_ONCE(path->joined);
	WRITE_ONCE(path->probe_state, MP_PROBE_SENT);
	path->probe_to_send = true;	/* queue_work() makes it visible to the work */
	queue_work(path->sender, &path->send_work);
	return true;
}

/* Bios on one of the thread's own lists are failed ones again. */
static void mp_fail_again(struct mp_conf *conf, struct llist_head *list)
{
	struct mp_io *io, *next;

	llist_for_each_entry_safe(io, next, llist_del_all(list), node)
		llist_add(&io->node, &conf->failed);
}

static bool mp_can_testify(struct mp_path *path)
{
	return path && mp_path_is_live(path) && READ_ONCE(path->probe_state) == MP_PROBE_IDLE;
}

/*
 * A path to be probed in a trial: the one that somebody suspects, else the one
 * that bios go to, else any whose last probe does not hang.
 */
static struct mp_path *mp_find_witness(struct mp_conf *conf, struct mp_path *suspect)
{
	struct mp_path *path;

	if (mp_can_testify(suspect))
		return suspect;
	path = mp_first_path(conf);
	if (mp_can_testify(path))
		return path;
	mp_for_each_path(path, conf)
		if (mp_can_testify(path))
			return path;
	return NULL;
}

/*
 * Start a trial (R1) when one is wanted.  It can't start while the gate is shut,
 * or while all live paths are at a probe: the thread is woken then.
 */
static void mp_start_trial(struct mp_conf *conf)
{
	struct mp_path *suspect, *path;

	if (conf->witness || (llist_empty(&conf->judged) && !READ_ONCE(conf->suspect)))
		return;

	suspect = xchg(&conf->suspect, NULL);	/* pairs with mp_suspect() */
	path = mp_find_witness(conf, suspect);
	if (path && mp_start_probe(path, 0, false)) {
		conf->witness = path;
		conf->trial_began = jiffies;
		conf->trial_generation = READ_ONCE(conf->generation);
		conf->on_trial.first = llist_del_all(&conf->judged);
	} else {
		cmpxchg(&conf->suspect, NULL, suspect);
	}
}

/*
 * A trial is over without a verdict when its witness has failed, when a path has
 * joined that has not been tried, and when the witness hangs, but another path
 * could speak.  Its bios are failed ones as before.
 */
static void mp_drop_trial(struct mp_conf *conf)
{
	bool hangs = time_after_eq(jiffies, conf->trial_began + MP_TRIAL_INTERVAL);

	if (!conf->witness)
		return;
	if (mp_path_is_live(conf->witness) &&
	    READ_ONCE(conf->generation) == conf->trial_generation &&
	    !(hangs && mp_find_witness(conf, NULL)))
		return;

	conf->witness = NULL;
	mp_fail_again(conf, &conf->on_trial);
	mp_fail_again(conf, &conf->judged);
}

/* Can the disk be asked of any path's state? */
static bool mp_has_access(const struct mp_conf *conf)
{
	struct mp_path *path;

	mp_for_each_path(path, conf)
		if (READ_ONCE(path->has_access))
			return true;
	return false;
}

/*
 * Does a bio get another round, as its errors may not be the disk's?  What a controller
 * refuses in the moment before its state is known looks like the disk's error.
 */
static bool mp_deserves_round(const struct mp_io *io)
{
	if (io->second_round)
		return io->path_error && !mp_is_overdue(io);
	return io->path_error || mp_has_access(io->conf);
}

/* The witness works, so what failed the bios is theirs (R1). */
static void mp_pass_verdict(struct mp_conf *conf)
{
	struct mp_io *io, *next;

	llist_for_each_entry_safe(io, next, llist_del_all(&conf->on_trial), node) {
		if (!mp_deserves_round(io)) {
			mp_finish(io, io->error);
			continue;
		}
		mp_new_round(io);
		if (!io->second_round)
			llist_add(&io->node, &conf->failed);
		else if (llist_add(&io->node, &conf->paced))
			conf->next_release = jiffies + MP_TRIAL_INTERVAL;
		io->second_round = true;
		cond_resched();
	}
}

static void mp_path_works(struct mp_conf *conf, struct mp_path *path, struct md_rdev *rdev)
{
	bool again = false;

	spin_lock_irq(&conf->lock);
	if (conf->state != MP_WORKING && mp_rdev_live(rdev)) {
		__mp_set_state(conf, MP_WORKING);
		again = true;
	}
	spin_unlock_irq(&conf->lock);

	if (conf->down == path)
		conf->down = NULL;
	if (again)
		pr_info_ratelimited("md/multipath:%s: path %pg works again; I/O goes on\n",
				    mdname(conf->mddev), rdev->bdev);
}

/* Does the disk say of all live paths that their controllers are inactive (R14)? */
static bool __mp_none_active(const struct mp_conf *conf)
{
	const struct mp_path *path;

	lockdep_assert_held(&conf->lock);
	mp_for_each_path(path, conf) {
		const struct md_rdev *rdev = mp_rdev(path);

		if (rdev && mp_rdev_live(rdev) && !test_bit(MP_INACTIVE, &path->demerits))
			return false;
	}
	return true;
}

/*
 * @last does not work, or there is no path at all (NULL): so none works (R8).
 * False: @last is not the last live path that is active, or not any more.
 */
static bool mp_no_path(struct mp_conf *conf, const struct md_rdev *last)
{
	bool parking = false;

	spin_lock_irq(&conf->lock);
	if (last ? mp_rdev_live(last) && (conf->nr_live == 1 || __mp_none_active(conf)) :
		   !conf->nr_live) {
		__mp_set_state(conf, MP_PARKING);
		parking = true;
	}
	spin_unlock_irq(&conf->lock);

	if (parking) {
		conf->last_probe = jiffies;
		pr_crit_ratelimited("md/multipath:%s: no path works; I/O waits for one (no_path_retry: %d s)\n",
				    mdname(conf->mddev), READ_ONCE(conf->no_path_retry));
	}
	return parking;
}

/* A path that does not work fails, unless it is the last: then no path works. */
static void mp_path_is_broken(struct mp_conf *conf, struct mp_path *path, struct md_rdev *rdev)
{
	if (READ_ONCE(conf->state) != MP_WORKING || !mp_rdev_live(rdev))
		return;
	if (!mp_no_path(conf, rdev)) {
		mp_accuse_path(path, rdev, MP_PROBE_ERROR);
		return;
	}
	conf->down = path;
	/* It may only have to be activated. */
	mp_ask_soon(path);
}

/* A failed path works, and leads to our disk: use it, if nobody has taken it out. */
static void mp_take_back(struct mp_conf *conf, struct mp_path *path, struct md_rdev *rdev)
{
	bool back = false;

	spin_lock_irq(&conf->lock);
	if (path->heals && !path->leaving) {
		path->has_returned = true;
		path->returned_at = jiffies;
		path->reinstatements++;
		__mp_set_live(path, rdev);
		trace_path_reinstated(disk_devt(conf->mddev->gendisk), rdev->bdev->bd_dev,
				      jiffies_to_msecs(jiffies - path->failed_at),
				      conf->nr_live);
		back = true;
	}
	spin_unlock_irq(&conf->lock);

	if (back) {
		mp_path_changed(conf, rdev);
		mp_ask_soon(path);
		pr_info("md/multipath:%s: path %pg is back; %u of %u paths are in use\n",
			mdname(conf->mddev), rdev->bdev, READ_ONCE(conf->nr_live),
			READ_ONCE(conf->nr_paths));
	}
}

/* What was found out about a path that has failed, and may return. */
static void mp_hear_return(struct mp_conf *conf, struct mp_path *path,
			   struct md_rdev *rdev, enum mp_probe_state result)
{
	/* A controller that is inactive reads nothing, but says what it is (R14). */
	if (result == MP_PROBE_OK)
		mp_start_check(path, false);
	else if (result == MP_PROBE_DOUBTFUL && READ_ONCE(path->has_access))
		mp_start_check(path, true);
	else if (result == MP_PROBE_SAME_DISK)
		mp_take_back(conf, path, rdev);
}

/*
 * A probe is back: what does it say?  Nothing, if the slot holds another rdev by
 * now, or none.
 */
static void mp_believe_probe(struct mp_conf *conf, struct mp_path *path,
			     enum mp_probe_state result)
{
	struct md_rdev *rdev;

	rcu_read_lock();
	rdev = rcu_dereference(path->rdev);
	/* pairs with mp_fill_slot() */
	if (rdev && READ_ONCE(path->joined) == path->probe_joined) {
		if (path->probe_is_return)
			mp_hear_return(conf, path, rdev, result);
		else if (result == MP_PROBE_OK && READ_ONCE(conf->state) != MP_WORKING)
			mp_start_check(path, false);
		else if (result == MP_PROBE_OK || result == MP_PROBE_SAME_DISK)
			mp_path_works(conf, path, rdev);
		else
			mp_path_is_broken(conf, path, rdev);
	}
	rcu_read_unlock();
}

/* What takes long, for the lower driver's timeouts, is not to be done all the time. */
static void mp_note_probe(struct mp_path *path)
{
	struct mp_conf *conf = path->conf;

	spin_lock_irq(&conf->lock);
	path->probe_took = jiffies - path->probed_at;
	path->probed_at = jiffies;
	spin_unlock_irq(&conf->lock);
}

/*
 * Take a probe that is back.  Returns what came of it; MP_PROBE_IDLE if nothing has, as
 * there is none, or it is away, or reads another place of the disk now.
 */
static enum mp_probe_state mp_hear_probe(struct mp_conf *conf, struct mp_path *path)
{
	/* pairs with mp_probe_end() */
	enum mp_probe_state result = smp_load_acquire(&path->probe_state);
	bool more = result == MP_PROBE_DOUBTFUL && path->probe_place + 1 < MP_PROBE_PLACES;

	if (result == MP_PROBE_IDLE || result == MP_PROBE_SENT)
		return MP_PROBE_IDLE;
	WRITE_ONCE(path->probe_state, MP_PROBE_IDLE);
	if (path->probe_is_return)
		mp_note_probe(path);
	if (more && mp_start_probe(path, path->probe_place + 1, path->probe_is_return))
		return MP_PROBE_IDLE;

	if (!more)
		mp_believe_probe(conf, path, result);
	return result;
}

/* A trial is over when its witness has spoken. */
static void mp_end_trial(struct mp_conf *conf, const struct mp_path *path,
			 enum mp_probe_state result)
{
	if (path != conf->witness || result == MP_PROBE_IDLE)
		return;
	conf->witness = NULL;
	if (result == MP_PROBE_OK)
		mp_pass_verdict(conf);
	else
		mp_fail_again(conf, &conf->on_trial);
}

/*
 * The path that was the last one and did not work is one of several again: it
 * fails, as any path that does not work, unless a probe has cleared it.
 */
static void mp_fail_down_path(struct mp_conf *conf)
{
	struct mp_path *path = conf->down;

	if (!path || READ_ONCE(conf->state) != MP_WORKING)
		return;
	conf->down = NULL;
	mp_believe_probe(conf, path, MP_PROBE_FAILED);
}

static bool mp_deadline_is_over(const struct mp_conf *conf)
{
	int seconds = READ_ONCE(conf->no_path_retry);

	return seconds == 0 ||
	       (seconds > 0 &&
		time_after_eq(jiffies, conf->down_since + (unsigned long)seconds * HZ));
}

static void mp_check_deadline(struct mp_conf *conf)
{
	bool over = false;

	spin_lock_irq(&conf->lock);
	if (conf->state == MP_PARKING && mp_deadline_is_over(conf)) {
		__mp_set_state(conf, MP_GIVEN_UP);
		over = true;
	}
	spin_unlock_irq(&conf->lock);

	if (over)
		pr_crit_ratelimited("md/multipath:%s: no path for %lu s: I/O fails until one works\n",
				    mdname(conf->mddev), (jiffies - conf->down_since) / HZ);
}

static void mp_probe_again(struct mp_conf *conf)
{
	struct mp_path *path;

	/* pairs with mp_set_access() */
	if (!xchg(&conf->probe_soon, false) &&
	    time_before(jiffies, conf->last_probe + mp_probe_interval(conf)))
		return;
	conf->last_probe = jiffies;
	mp_for_each_path(path, conf)
		mp_start_probe(path, 0, false);
}

/* No path works: wait for one, or no longer. */
static void mp_wait_for_path(struct mp_conf *conf)
{
	mp_fail_again(conf, &conf->judged);
	mp_fail_again(conf, &conf->paced);
	WRITE_ONCE(conf->suspect, NULL);
	mp_check_deadline(conf);
	if (READ_ONCE(conf->state) == MP_GIVEN_UP)
		mp_fail_waiting(conf);
	mp_probe_again(conf);
}

/* -------- failed paths come back -------- */

/* When a failed path is to be probed next, in jiffies (R11). */
static unsigned long mp_next_return_probe(const struct mp_path *path)
{
	const struct mp_conf *conf = path->conf;
	unsigned long interval = mp_probe_interval(conf);
	unsigned long failed_at = READ_ONCE(path->failed_at);
	unsigned long probed_at = READ_ONCE(path->probed_at);
	unsigned long released_at = failed_at + READ_ONCE(path->hold);
	unsigned long at;

	if (READ_ONCE(conf->state) != MP_WORKING)
		return probed_at + interval;
	at = probed_at + clamp((jiffies - failed_at) / MP_PROBE_AGEING,
			       max(interval, READ_ONCE(path->probe_took)),
			       max3(interval, READ_ONCE(path->probe_took), MP_PROBE_SELDOM));
	return time_before(at, released_at) ? released_at : at;
}

/* md core lets go of a path whose device is gone, but it has to be told to look. */
static bool mp_let_go_of(struct mp_path *path)
{
	struct mddev *mddev = path->conf->mddev;
	struct md_rdev *rdev;
	bool gone;

	rcu_read_lock();
	rdev = rcu_dereference(path->rdev);
	gone = rdev && is_rdev_broken(rdev);
	rcu_read_unlock();
	if (gone) {
		set_bit(MD_RECOVERY_NEEDED, &mddev->recovery);
		WRITE_ONCE(path->conf->md_has_work, true);
	}
	return gone;
}

/* Has it failed, with nobody there to see if it is back?  A probe's end wakes the thread. */
static bool mp_wants_probe(const struct mp_path *path)
{
	return READ_ONCE(path->heals) && READ_ONCE(path->probe_state) == MP_PROBE_IDLE;
}

/* The earlier of two times, in jiffies. */
static unsigned long mp_earlier(unsigned long a, unsigned long b)
{
	return time_before(a, b) ? a : b;
}

/* The earlier of @until and when a failed path is to be probed next, in jiffies. */
static unsigned long mp_next_probe(const struct mp_conf *conf, unsigned long until)
{
	struct mp_path *path;

	mp_for_each_path(path, conf)
		if (mp_wants_probe(path))
			until = mp_earlier(until, mp_next_return_probe(path));
	return until;
}

static void mp_probe_failed_paths(struct mp_conf *conf)
{
	struct mp_path *path;

	mp_for_each_path(path, conf) {
		if (!mp_wants_probe(path) || time_before(jiffies, mp_next_return_probe(path)))
			continue;
		/* Also when it can't be started: the thread is not to ask again at once. */
		spin_lock_irq(&conf->lock);
		path->probed_at = jiffies;
		spin_unlock_irq(&conf->lock);
		if (!mp_let_go_of(path))
			mp_start_probe(path, 0, true);
	}
}

/* -------- the retry thread -------- */

/* A bio whose path works for probes, but not for it, goes there once a second (R1). */
static void mp_release_paced(struct mp_conf *conf)
{
	if (llist_empty(&conf->paced) || time_before(jiffies, conf->next_release))
		return;
	mp_fail_again(conf, &conf->paced);
}

/* Jiffies until the thread has to look by itself, when nobody wakes it before. */
static unsigned long mp_next_look(const struct mp_conf *conf)
{
	enum mp_state state = READ_ONCE(conf->state);
	int seconds = READ_ONCE(conf->no_path_retry);
	unsigned long now = jiffies;
	unsigned long until = now + MP_LONG;

	if (state != MP_WORKING)
		until = mp_earlier(until, conf->last_probe + mp_probe_interval(conf));
	else if (conf->witness || !llist_empty(&conf->paced))
		until = mp_earlier(until, now + MP_TRIAL_INTERVAL);
	if (state == MP_PARKING && seconds >= 0)
		until = mp_earlier(until, conf->down_since + (unsigned long)seconds * HZ);
	until = mp_next_probe(conf, until);

	if (until == now + MP_LONG)
		return MAX_SCHEDULE_TIMEOUT;
	return time_after(until, now) ? until - now : 1;
}

/*
 * Wake mddev->thread, by giving back reconfig_mutex: md_wakeup_thread() would not
 * do, as md core of 6.1 frees that thread while this one still runs, when the array
 * stops.  Who holds the mutex wakes it himself when he is done, or stops the array.
 */
static void mp_wake_md(struct mp_conf *conf)
{
	struct mddev *mddev = conf->mddev;

	/* pairs with mp_path_changed() */
	if (xchg(&conf->md_has_work, false) && mutex_trylock(&mddev->reconfig_mutex))
		mddev_unlock(mddev);
}

/*
 * The array's own thread (R9).  Who has something for it wakes it; only memory
 * comes free without a word, so it looks again while a bio waits for that.
 */
static void mp_retry_thread(struct md_thread *thread)
{
	struct mp_conf *conf = thread->mddev->private;
	bool all = true;
	struct mp_path *path;

	mp_drop_trial(conf);
	mp_for_each_path(path, conf)
		mp_end_trial(conf, path, mp_hear_probe(conf, path));
	mp_fail_down_path(conf);
	if (!READ_ONCE(conf->nr_live) && READ_ONCE(conf->state) == MP_WORKING)
		mp_no_path(conf, NULL);
	mp_probe_failed_paths(conf);
	mp_wake_md(conf);

	if (READ_ONCE(conf->state) != MP_WORKING) {
		mp_wait_for_path(conf);
	} else if (!READ_ONCE(conf->barred)) {
		mp_release_paced(conf);
		all = mp_retry_failed(conf);
		all &= mp_start_parked(conf);
		mp_start_trial(conf);
	}
	thread->timeout = all ? mp_next_look(conf) : MP_POLL;
}

/* mddev->thread: superblocks, and what md core makes of failed paths. */
static void mp_md_thread(struct md_thread *thread)
{
	md_check_recovery(thread->mddev);
}

/* -------- paths that the disk would rather not have used -------- */

/*
 * Most disk arrays with two controllers say which of them a LUN belongs to (SCSI's
 * ALUA), and some refuse I/O over the other.  The kernel's handler for that, scsi_dh_alua,
 * asks for the states of all ports and keeps them in each scsi_device, but only if
 * somebody attaches it, and only when a command is answered with the attention that
 * they have changed; nothing else brings that to a path that has no I/O.  So each path
 * gets a TEST UNIT READY a second, which also tells when it is alive but inactive (R14).
 */

/* scsi_dh_attach() looks if there is a handler, and then attaches one. */
static DEFINE_MUTEX(mp_attach_lock);

/*
 * Does somebody keep the states of this device's ports?  Also after we have asked for
 * it.  SCSI may be no part of the kernel: nothing of it is linked.
 */
static bool mp_attach_handler(struct scsi_device *sdev)
{
	int (*attach)(struct request_queue *q, const char *name);

	if (!scsi_device_tpgs(sdev))
		return false;
	mutex_lock(&mp_attach_lock);
	if (!sdev->handler) {
		attach = symbol_get(scsi_dh_attach);
		if (attach) {
			attach(sdev->request_queue, "alua");
			symbol_put(scsi_dh_attach);
		}
	}
	mutex_unlock(&mp_attach_lock);
	return sdev->handler && !strcmp(sdev->handler->name, "alua");
}

/*
 * Have the disk make this path's controller the active one, as the handler knows how.
 * Not another one right after it, and the same one later still: it may not help.
 */
static void mp_activate(struct mp_path *path, struct scsi_device *sdev)
{
	int (*activate)(struct request_queue *q, activate_complete fn, void *data);
	struct mp_conf *conf = path->conf;
	unsigned long pause;
	bool now;

	spin_lock_irq(&conf->lock);
	pause = conf->activated == path ? 2 * MP_ACTIVATE_PAUSE : MP_ACTIVATE_PAUSE;
	now = !conf->activated || time_after(jiffies, conf->activated_at + pause);
	if (now) {
		conf->activated = path;
		conf->activated_at = jiffies;
	}
	spin_unlock_irq(&conf->lock);
	activate = now ? symbol_get(scsi_dh_activate) : NULL;
	if (!activate)
		return;
	activate(sdev->request_queue, NULL, NULL);
	symbol_put(scsi_dh_activate);
}

/*
 * The SCSI device of a path, or NULL; for mp_put_scsi_device().  The path may be
 * removed meanwhile: nothing waits for who asks.  @joined becomes mp_path::joined.
 */
static struct scsi_device *mp_get_scsi_device(struct mp_path *path, u32 *joined)
{
	struct scsi_device *sdev = NULL;
	struct md_rdev *rdev;

	rcu_read_lock();
	rdev = rcu_dereference(path->rdev);
	if (rdev)
		sdev = mp_scsi_device(rdev->bdev);
	if (sdev) {
		/* The open disk holds on to both until the RCU section ends. */
		__module_get(sdev->host->hostt->module);
		get_device(&sdev->sdev_gendev);
	}
	*joined = READ_ONCE(path->joined);	/* pairs with mp_fill_slot() */
	rcu_read_unlock();
	return sdev;
}

static void mp_put_scsi_device(struct scsi_device *sdev)
{
	struct module *module = sdev->host->hostt->module;

	put_device(&sdev->sdev_gendev);
	module_put(module);
}

static const char *mp_access_name(unsigned long demerits)
{
	if (demerits & BIT(MP_INACTIVE))
		return "inactive";
	return demerits & BIT(MP_NON_OPTIMISED) ? "active, but not optimised" : "active";
}

/* Have bios follow what the disk says.  False: it has said that before. */
static bool mp_set_access(struct mp_path *path, const struct md_rdev *rdev, unsigned long access)
{
	struct mp_conf *conf = path->conf;

	/* pairs with mp_rank() */
	assign_bit(MP_NON_OPTIMISED, &path->demerits, access & BIT(MP_NON_OPTIMISED));
	assign_bit(MP_INACTIVE, &path->demerits, access & BIT(MP_INACTIVE));
	if (access == READ_ONCE(path->access))
		return false;
	WRITE_ONCE(path->access, access);
	pr_info_ratelimited("md/multipath:%s: path %pg is %s, says the disk\n",
			    mdname(conf->mddev), rdev->bdev, mp_access_name(access));
	if (!(access & BIT(MP_INACTIVE)) && READ_ONCE(conf->state) != MP_WORKING) {
		WRITE_ONCE(conf->probe_soon, true);	/* pairs with mp_probe_again() */
		md_wakeup_thread(conf->retry_thread);
	}
	return true;
}

/*
 * What came of asking about a path that is accused of @accused, if of anything.  One
 * that is inactive is not to blame, nor one whose state has changed meanwhile.  If the
 * disk could not be asked (no tag, no memory), the path stays accused until it can.
 */
static void mp_hear_access(struct mp_path *path, struct md_rdev *rdev, long demerits,
			   enum mp_reason accused)
{
	bool innocent = false;

	if (demerits >= 0) {
		innocent = mp_set_access(path, rdev, demerits) || demerits & BIT(MP_INACTIVE);
	} else if (demerits != -EIO) {
		cmpxchg(&path->accused, MP_NO_REASON, accused);
		return;
	}
	if (accused && !innocent)
		mp_fail_path(path, rdev, accused);
	else if (demerits == -EIO && READ_ONCE(path->conf->state) != MP_WORKING)
		mp_fail_path(path, rdev, MP_PROBE_ERROR);
	else if (demerits == -EIO)
		mp_suspect(path);
}

/* Nothing waits for it but free(); what it allocates waits for no I/O. */
static void mp_access_work(struct work_struct *work)
{
	struct mp_path *path = container_of(work, struct mp_path, access_work.work);
	enum mp_reason accused = xchg(&path->accused, MP_NO_REASON);	/* mp_accuse_path() */
	unsigned int flags = memalloc_noio_save();
	struct mp_conf *conf = path->conf;
	struct scsi_device *sdev;
	struct md_rdev *rdev;
	bool is_told;
	long demerits = 0;
	u32 joined;

	sdev = mp_get_scsi_device(path, &joined);
	is_told = sdev && mp_attach_handler(sdev);
	if (is_told && mp_path_is_live(path))
		demerits = mp_ask_access(sdev);

	rcu_read_lock();
	rdev = rcu_dereference(path->rdev);
	if (rdev && READ_ONCE(path->joined) == joined) {
		WRITE_ONCE(path->has_access, is_told);	/* pairs with mp_accuse_path() */
		if (mp_rdev_live(rdev))
			mp_hear_access(path, rdev, demerits, accused);
	}
	rcu_read_unlock();

	if (demerits > 0 && demerits & BIT(MP_INACTIVE) && READ_ONCE(conf->state) != MP_WORKING)
		mp_activate(path, sdev);
	/* The handler's module may not have been there yet; loading it needs no rescuer. */
	if (is_told)
		queue_delayed_work(conf->checker, &path->access_work, MP_ACCESS_INTERVAL);
	else if (sdev && scsi_device_tpgs(sdev))
		queue_delayed_work(system_long_wq, &path->access_work, MP_ATTACH_INTERVAL);
	if (sdev)
		mp_put_scsi_device(sdev);
	memalloc_noio_restore(flags);
}

/* -------- paths that do not answer -------- */

/*
 * What is at a path and gets no answer is seen without a look at any bio.  Bios
 * begin in one epoch; when none of the other epoch is left, the two change places.
 * From then on all of the older epoch are at least as old as that moment, and when
 * stall_timeout has passed, they are not gone, and in all that time the path has given
 * back no bio at all (but for those that the kernel gives back before the device sees them,
 * as with REQ_NOWAIT), it is stalled: new bios go elsewhere, as long as there is another live
 * path.  (Age alone would not do: a disk that works off a long queue lets one wait
 * for seconds, and over another path it would be no faster.)  The path is in use again
 * when those of the older epoch are gone.  Nothing is reported to md, and nothing is
 * retried: those at the path can't be sent again elsewhere, as the device may still
 * write to their pages, or their data to the disk (see Order, at the top).
 *
 * A bio that has read the epoch just before it changes is counted in the older one
 * a moment later; it is taken for older than it is by an interval at most.
 */
static void mp_watch_path(struct mp_path *path, const struct md_rdev *rdev,
			  unsigned long timeout)
{
	unsigned int older = !path->epoch;
	const char *name = mdname(path->conf->mddev);
	bool stalled = test_bit(MP_STALLED, &path->demerits);
	struct mp_tally total = mp_total(path);
	unsigned long answers = total.ended[0] + total.ended[1] - total.unasked;

	/* Less than before: who is counted as unasked is not counted as ended yet. */
	if ((long)(answers - path->answers) > 0) {
		path->answers = answers;
		path->silent_since = jiffies;
	}
	if (total.begun[older] == total.ended[older]) {
		if (!stalled && total.begun[path->epoch] == total.ended[path->epoch])
			return;
		clear_bit(MP_STALLED, &path->demerits);	/* pairs with mp_rank() */
		WRITE_ONCE(path->epoch, older);		/* pairs with mp_count() */
		path->silent_since = jiffies;
		if (stalled && mp_rdev_live(rdev))
			pr_info_ratelimited("md/multipath:%s: path %pg answers again\n",
					    name, rdev->bdev);
	} else if (!stalled && time_after_eq(jiffies, path->silent_since + timeout)) {
		set_bit(MP_STALLED, &path->demerits);	/* pairs with mp_rank() */
		trace_path_stalled(disk_devt(path->conf->mddev->gendisk), rdev->bdev->bd_dev,
				   jiffies_to_msecs(jiffies - path->silent_since));
		if (mp_rdev_live(rdev))
			pr_warn_ratelimited("md/multipath:%s: path %pg has not answered for %u ms: new I/O goes to others, if there are any\n",
					    name, rdev->bdev,
					    jiffies_to_msecs(jiffies - path->silent_since));
	}
}

static void mp_watch_work(struct work_struct *work)
{
	struct mp_conf *conf = container_of(work, struct mp_conf, watch_work.work);
	unsigned long timeout = msecs_to_jiffies(READ_ONCE(conf->stall_timeout));
	struct mp_path *path;

	rcu_read_lock();
	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = rcu_dereference(path->rdev);

		if (rdev && timeout)
			mp_watch_path(path, rdev, timeout);
		else
			clear_bit(MP_STALLED, &path->demerits);	/* pairs with mp_rank() */
	}
	rcu_read_unlock();
	if (timeout)
		queue_delayed_work(system_long_wq, &conf->watch_work, timeout / MP_WATCHES + 1);
}

/* -------- the gate -------- */

/*
 * Let no bio go to a path any more, and wait until none is at one.  After the
 * grace period each CPU that submits sees the gate (mp_take_path()), so the sum
 * of in_flight only falls; and each CPU that completes sees it too
 * (mp_put_path()), so the one that takes the sum to 0 wakes us.
 *
 * It waits as long as a lower driver keeps a bio, that is until its timeout.
 */
static void mp_shut_gate(struct mp_conf *conf)
{
	spin_lock_irq(&conf->lock);
	WRITE_ONCE(conf->gate, conf->gate + 1);	/* pairs with mp_take_for_probe() */
	__mp_set_barred(conf);
	spin_unlock_irq(&conf->lock);

	synchronize_rcu();
	wait_event(conf->drained, mp_is_drained(conf));
}

static void mp_open_gate(struct mp_conf *conf)
{
	spin_lock_irq(&conf->lock);
	WRITE_ONCE(conf->gate, conf->gate - 1);
	__mp_set_barred(conf);
	spin_unlock_irq(&conf->lock);

	md_wakeup_thread(conf->retry_thread);
}

/**
 * multipath_quiesce - stop or resume all I/O to the paths
 * @mddev: the array
 * @quiesce: 1 to shut the gate and wait for the bios at the paths, 0 to open it
 *
 * Bios that come while the gate is shut are parked, those that come with
 * REQ_NOWAIT get EAGAIN.  Calls nest.
 *
 * Context: may sleep, up to the lower drivers' timeout; reconfig_mutex held.
 * Up to 6.6 md core calls it for each suspend (mddev_suspend()), later only
 * when the array stops or becomes read-only, at reboot, and for bitmaps.
 */
static void multipath_quiesce(struct mddev *mddev, int quiesce)
{
	if (quiesce)
		mp_shut_gate(mddev->private);
	else
		mp_open_gate(mddev->private);
}

/* -------- paths come and go -------- */

/* The slot that a device has; NULL for a spare. */
static struct mp_path *__mp_path_of(struct mp_conf *conf, const struct md_rdev *rdev)
{
	struct mp_path *path;

	lockdep_assert_held(&conf->lock);

	mp_for_each_path(path, conf)
		if (mp_rdev(path) == rdev)
			return path;
	return NULL;
}

/*
 * Does a user ask for it, with mdadm --fail or in sysfs?  Our own errors take
 * another way, so the only other one who calls is super_written(), the end of a
 * superblock write.  It has the rdev's nr_pending raised, and runs in an interrupt,
 * in a kernel thread, or in a task that submits bios or flushes its plug: its own,
 * or by chance this one.  A user's call may come while a superblock is written, as
 * the ioctl of mdadm --fail takes no lock, so mddev->pending_writes does not tell.
 */
static bool mp_user_asks(const struct md_rdev *rdev)
{
	if (!atomic_read(&rdev->nr_pending))
		return true;
	return in_task() && !(current->flags & PF_KTHREAD) && !current->bio_list && !current->plug;
}

/**
 * multipath_error - md core's error handler: a path failed
 * @mddev: the array
 * @rdev: the path, or a spare
 *
 * Called through md_error() for a superblock that could not be written, which is
 * an error of the path like any other, and for mdadm --fail, which no probe is to
 * undo.  Not for a path that has failed already: md core sees to that.  The last
 * live path is left alone (R3), and one whose controller is inactive (R14): md core
 * takes such a one for written.
 *
 * Context: any, so no mutex (R10).  Takes mp_conf::lock.
 */
static void multipath_error(struct mddev *mddev, struct md_rdev *rdev)
{
	enum mp_reason reason = mp_user_asks(rdev) ? MP_BY_USER : MP_SUPERBLOCK_ERROR;
	struct mp_conf *conf = mddev->private;
	struct mp_path *path;
	unsigned long flags;
	bool was_live;

	spin_lock_irqsave(&conf->lock, flags);
	path = __mp_path_of(conf, rdev);
	was_live = path && mp_rdev_live(rdev);
	if (was_live && conf->nr_live <= 1) {
		spin_unlock_irqrestore(&conf->lock, flags);
		pr_crit_ratelimited("md/multipath:%s: %pg is the last path: it stays in use\n",
				    mdname(mddev), rdev->bdev);
		mp_suspect(path);
		return;
	}
	if (path && reason != MP_BY_USER && READ_ONCE(path->has_access)) {
		spin_unlock_irqrestore(&conf->lock, flags);
		mp_accuse_path(path, rdev, reason);
		return;
	}
	if (path)
		__mp_set_failed(path, rdev, reason);
	else
		set_bit(Faulty, &rdev->flags);
	spin_unlock_irqrestore(&conf->lock, flags);

	mp_path_changed(conf, rdev);
	if (was_live)
		mp_say_failed(conf, path, rdev);
}

/* The first path of the array other than @rdev, to compare it with. */
static struct md_rdev *mp_other_path(struct mddev *mddev, const struct md_rdev *rdev)
{
	struct md_rdev *other;

	rdev_for_each(other, mddev)
		if (other != rdev && other->raid_disk >= 0 &&
		    !test_bit(Faulty, &other->flags))
			return other;
	return NULL;
}

/*
 * The size of a path, in sectors.  The last one keeps its slot when its device has gone, and
 * a disk that has gone says 0: then it is what it was.
 */
static sector_t mp_size_of_path(struct mddev *mddev, const struct md_rdev *rdev)
{
	struct mp_conf *conf = mddev->private;
	sector_t size = bdev_nr_sectors(rdev->bdev);

	if (!size && conf && rdev->raid_disk >= 0)
		size = READ_ONCE(conf->paths[rdev->raid_disk]->disk.sectors);
	return size;
}

/*
 * Can this device be a path of the array?  One line says why not.  Paths to one
 * disk have its size and its block size, so other ones are another disk's.
 */
static int mp_check_path(struct mddev *mddev, struct md_rdev *rdev)
{
	sector_t size = bdev_nr_sectors(rdev->bdev);
	unsigned int block = bdev_logical_block_size(rdev->bdev);
	struct md_rdev *other = mp_other_path(mddev, rdev);

	if (test_bit(Journal, &rdev->flags) || test_bit(Replacement, &rdev->flags)) {
		pr_warn("md/multipath:%s: %pg: a path can be no journal and no replacement\n",
			mdname(mddev), rdev->bdev);
		return -EINVAL;
	}
	if (bdev_is_zoned(rdev->bdev)) {
		pr_warn("md/multipath:%s: %pg is a zoned device: these are not supported\n",
			mdname(mddev), rdev->bdev);
		return -EINVAL;
	}
	if (size < rdev->data_offset + mddev->dev_sectors) {
		pr_warn("md/multipath:%s: %pg has %llu sectors, the array needs %llu: not a path to its disk\n",
			mdname(mddev), rdev->bdev, size,
			rdev->data_offset + mddev->dev_sectors);
		return -ENOSPC;
	}
	if (other && size != mp_size_of_path(mddev, other)) {
		pr_warn("md/multipath:%s: %pg has %llu sectors, %pg has %llu: not paths to one disk\n",
			mdname(mddev), rdev->bdev, size, other->bdev,
			mp_size_of_path(mddev, other));
		return -EINVAL;
	}
	if (other && rdev->data_offset != other->data_offset) {
		pr_warn("md/multipath:%s: data starts at sector %llu of %pg and at %llu of %pg: not paths to one disk\n",
			mdname(mddev), rdev->data_offset, rdev->bdev,
			other->data_offset, other->bdev);
		return -EINVAL;
	}
	if (block > PAGE_SIZE) {
		pr_warn("md/multipath:%s: %pg has blocks of %u bytes, more than a page: not supported\n",
			mdname(mddev), rdev->bdev, block);
		return -EINVAL;
	}
	if (other && block != bdev_logical_block_size(other->bdev)) {
		pr_warn("md/multipath:%s: %pg has blocks of %u bytes, %pg of %u: not paths to one disk\n",
			mdname(mddev), rdev->bdev, block, other->bdev,
			bdev_logical_block_size(other->bdev));
		return -EINVAL;
	}
	return 0;
}

/*
 * Put a path into a slot; I/O may go to it from here on, if it is in sync.  When
 * none worked before, the bios that wait are the retry thread's to start.
 */
static void mp_fill_slot(struct mp_conf *conf, struct mp_path *path,
			 struct md_rdev *rdev, bool in_sync)
{
	path->node = bdev_get_queue(rdev->bdev)->node;
	path->refused = false;
	path->probe_was_in_vain = false;
	spin_lock_irq(&conf->lock);
	path->has_returned = false;
	path->reason = MP_NO_REASON;
	path->failures = 0;
	path->reinstatements = 0;
	path->ios_before = mp_ios(path);
	WRITE_ONCE(path->last_error, BLK_STS_OK);
	WRITE_ONCE(path->heals, false);
	WRITE_ONCE(path->leaving, false);
	WRITE_ONCE(path->has_access, false);
	WRITE_ONCE(path->access, 0);
	WRITE_ONCE(path->accused, MP_NO_REASON);
	WRITE_ONCE(path->demerits, 0);
	rdev->raid_disk = path->slot;
	clear_bit(In_sync, &rdev->flags);
	rcu_assign_pointer(path->rdev, rdev);
	if (in_sync)
		__mp_set_live(path, rdev);
	else
		__mp_count_paths(conf);
	spin_unlock_irq(&conf->lock);
	md_wakeup_thread(conf->retry_thread);
}

/* The slot that md core asks for, else the one it had, else the first free one. */
static struct mp_path *mp_free_slot(struct mp_conf *conf, const struct md_rdev *rdev)
{
	int wish = rdev->raid_disk >= 0 ? rdev->raid_disk : rdev->saved_raid_disk;
	struct mp_path *path;

	if (wish >= 0) {
		path = mp_slot(conf, wish);
		if (path && !mp_rdev(path))
			return path;
	}
	if (rdev->raid_disk >= 0)
		return NULL;
	mp_for_each_path(path, conf)
		if (!mp_rdev(path))
			return path;
	return NULL;
}

/**
 * multipath_hot_add_disk - take a path into the running array
 * @mddev: the array
 * @rdev: the path; raid_disk is the slot to take, or -1 for any
 *
 * Sets @rdev's raid_disk, In_sync, and sectors where md core left them 0 (it
 * does for arrays without superblock).
 *
 * Context: may sleep; reconfig_mutex held.  I/O may be in flight and may come,
 * as not every caller suspends the array.
 *
 * Return: 0; -EEXIST without a free slot; -EINVAL, -ENOSPC or -ENXIO if the
 * device can't be a path of this array, after one line that says why.
 */
static int multipath_hot_add_disk(struct mddev *mddev, struct md_rdev *rdev)
{
	struct mp_conf *conf = mddev->private;
	struct mp_path *path;
	int err;

	path = mp_free_slot(conf, rdev);
	if (!path)
		return -EEXIST;
	if (test_bit(Faulty, &rdev->flags)) {
		pr_warn("md/multipath:%s: %pg has failed: remove it and add it again\n",
			mdname(mddev), rdev->bdev);
		return -EINVAL;
	}
	err = mp_check_path(mddev, rdev);
	if (err)
		return err;
	err = mp_check_identity(conf, rdev->bdev, true);
	if (err)
		return err;
	err = mddev_stack_new_rdev(mddev, rdev);
	if (err)
		return err;

	if (!rdev->sectors)
		rdev->sectors = bdev_nr_sectors(rdev->bdev) - rdev->data_offset;
	mp_known_disk(rdev->bdev, &path->disk);
	mp_fill_slot(conf, path, rdev, true);
	mod_delayed_work(system_long_wq, &path->access_work, 0);
	schedule_work(&conf->tell_work);
	/* Not every caller does; for md core's thread, which is woken as the mutex is released. */
	set_bit(MD_SB_CHANGE_DEVS, &mddev->sb_flags);
	pr_info("md/multipath:%s: path %pg joined; %u of %u paths are in use\n",
		mdname(mddev), rdev->bdev, READ_ONCE(conf->nr_live), conf->nr_paths);
	return 0;
}

/**
 * multipath_hot_remove_disk - let a failed path go
 * @mddev: the array
 * @rdev: the path
 *
 * md core asks for each Faulty path by itself, from a kernel thread: there only
 * a path whose device is gone is let go.  Any other keeps its slot, for it may
 * come back, until a user asks (mdadm --remove, or a write to sysfs).
 *
 * Context: sleeps for two grace periods, and for MP_PROBE_GRACE while a probe is at
 * the path; reconfig_mutex held.
 *
 * Return: 0; -EBUSY while the path is live or I/O is still at it.  It never
 * waits for that I/O, which may be hung.
 */
static int multipath_hot_remove_disk(struct mddev *mddev, struct md_rdev *rdev)
{
	struct mp_conf *conf = mddev->private;
	struct mp_path *path = conf->paths[rdev->raid_disk];
	bool by_md = current->flags & PF_KTHREAD;

	if (mp_rdev(path) != rdev)
		return 0;
	if (by_md && !is_rdev_broken(rdev))
		return -EBUSY;

	spin_lock_irq(&conf->lock);
	if (mp_rdev_live(rdev)) {
		spin_unlock_irq(&conf->lock);
		return -EBUSY;
	}
	WRITE_ONCE(path->leaving, true);	/* pairs with mp_take_for_probe() */
	spin_unlock_irq(&conf->lock);

	/*
	 * Who chose the path while it was live, or to probe it, has raised
	 * in_flight by the end of the grace period.  Nobody chooses it any more:
	 * the probe of a failed path looks at leaving, as does its return, and
	 * mp_fill_slot() needs reconfig_mutex.  So 0 is final.  The slot is cleared
	 * only then: who is at the path uses it.
	 */
	synchronize_rcu();
	if (READ_ONCE(path->probe_state) != MP_PROBE_IDLE)
		wait_event_timeout(conf->drained, !mp_in_flight(path), MP_PROBE_GRACE);
	if (mp_in_flight(path)) {
		WRITE_ONCE(path->leaving, false);
		if (!by_md)
			pr_warn("md/multipath:%s: I/O is still at path %pg: remove it when that has ended\n",
				mdname(mddev), rdev->bdev);
		return -EBUSY;
	}

	spin_lock_irq(&conf->lock);
	RCU_INIT_POINTER(path->rdev, NULL);
	WRITE_ONCE(path->heals, false);
	spin_unlock_irq(&conf->lock);
	/* mp_blame_doubted() may still be at the rdev, which md core takes apart next. */
	synchronize_rcu();
	/* A spare may take the slot: up to 6.6 md core does not look by itself. */
	set_bit(MD_RECOVERY_NEEDED, &mddev->recovery);
	return 0;
}

/* -------- user space is told -------- */

static void mp_tell(struct mp_conf *conf, const char *name, bool live)
{
	char action[] = "MD_ACTION=PATH_REINSTATED";
	char path[BDEVNAME_SIZE + sizeof("MD_PATH=")], valid[32];
	char *env[] = { action, path, valid, NULL };

	if (!live)
		strscpy(action, "MD_ACTION=PATH_FAILED", sizeof(action));
	snprintf(path, sizeof(path), "MD_PATH=%s", name);
	snprintf(valid, sizeof(valid), "MD_NR_VALID_PATHS=%u", READ_ONCE(conf->nr_live));
	kobject_uevent_env(&disk_to_dev(conf->mddev->gendisk)->kobj, KOBJ_CHANGE, env);
}

/*
 * One change uevent of the array for each path that is live and was not, or the
 * other way round, since the last one: mdadm --monitor would wait for its next
 * look without it.  Not while no path works: who hears it reads the array.
 *
 * Context: a work item, as uevents sleep and allocate.  It runs alone.
 */
static void mp_tell_work(struct work_struct *work)
{
	struct mp_conf *conf = container_of(work, struct mp_conf, tell_work);
	struct mp_path *path;

	mp_for_each_path(path, conf) {
		char name[BDEVNAME_SIZE];
		struct md_rdev *rdev;
		bool live;

		/* __mp_set_state() has us called again. */
		if (READ_ONCE(conf->state) != MP_WORKING)
			return;
		rcu_read_lock();
		rdev = rcu_dereference(path->rdev);
		live = rdev && mp_rdev_live(rdev);
		if (rdev)
			snprintf(name, sizeof(name), "%pg", rdev->bdev);
		rcu_read_unlock();

		if (rdev && live != path->told_live)
			mp_tell(conf, name, live);
		path->told_live = live;
	}
}

/* -------- tunables, in /sys/block/mdX/md/ -------- */

/*
 * Called by md core without reconfig_mutex, which none of these may take:
 * free() waits for them while it is held.
 */

/* Show one value in a file of its own; conf is the array's. */
#define MP_SHOW(name, format, value)						\
static ssize_t name##_show(struct mddev *mddev, char *page)			\
{										\
	const struct mp_conf *conf = mddev->private;				\
										\
	return sysfs_emit(page, format "\n", value);				\
}

MP_SHOW(no_path_retry, "%d", READ_ONCE(conf->no_path_retry))

static void mp_set_no_path_retry(struct mp_conf *conf, int seconds)
{
	spin_lock_irq(&conf->lock);
	WRITE_ONCE(conf->no_path_retry, seconds);
	if (conf->state == MP_GIVEN_UP && !mp_deadline_is_over(conf))
		__mp_set_state(conf, MP_PARKING);
	spin_unlock_irq(&conf->lock);
	md_wakeup_thread(conf->retry_thread);
}

static ssize_t no_path_retry_store(struct mddev *mddev, const char *page, size_t len)
{
	int seconds;

	if (kstrtoint(page, 10, &seconds) || seconds < -1 || seconds > MP_MAX_NO_PATH_RETRY)
		return -EINVAL;
	mp_set_no_path_retry(mddev->private, seconds);
	return len;
}

/* Seconds that I/O waits when no path works: 0 not at all, -1 for ever. */
static struct md_sysfs_entry mp_no_path_retry =
	__ATTR(no_path_retry, 0644, no_path_retry_show, no_path_retry_store);

MP_SHOW(probe_interval, "%u", READ_ONCE(conf->probe_interval))

static ssize_t probe_interval_store(struct mddev *mddev, const char *page, size_t len)
{
	struct mp_conf *conf = mddev->private;
	unsigned int seconds;

	if (kstrtouint(page, 10, &seconds) || !seconds || seconds > MP_MAX_PROBE_INTERVAL)
		return -EINVAL;
	WRITE_ONCE(conf->probe_interval, seconds);
	md_wakeup_thread(conf->retry_thread);
	return len;
}

/* Seconds between two probes of a path that does not work. */
static struct md_sysfs_entry mp_probe_interval_entry =
	__ATTR(probe_interval, 0644, probe_interval_show, probe_interval_store);

/* The slot whose device has this name, as in /proc/mdstat. */
static struct mp_path *__mp_path_named(struct mp_conf *conf, const char *name)
{
	char own[BDEVNAME_SIZE];
	struct mp_path *path;

	lockdep_assert_held(&conf->lock);

	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = mp_rdev(path);

		if (!rdev)
			continue;
		snprintf(own, sizeof(own), "%pg", rdev->bdev);
		if (sysfs_streq(name, own))
			return path;
	}
	return NULL;
}

/* Let a probe bring a path back that a user has failed, or end its hold-down. */
static ssize_t reinstate_store(struct mddev *mddev, const char *page, size_t len)
{
	struct mp_conf *conf = mddev->private;
	struct mp_path *path;

	spin_lock_irq(&conf->lock);
	path = __mp_path_named(conf, page);
	if (path && !mp_rdev_live(mp_rdev(path))) {
		path->hold = 0;
		path->failed_at = jiffies;
		path->probed_at = jiffies - mp_probe_interval(conf);
		WRITE_ONCE(path->heals, true);
	}
	spin_unlock_irq(&conf->lock);
	if (!path)
		return -EINVAL;
	md_wakeup_thread(conf->retry_thread);
	return len;
}

/* The name of a failed path, as in /proc/mdstat. */
static struct md_sysfs_entry mp_reinstate =
	__ATTR(reinstate, 0200, NULL, reinstate_store);

MP_SHOW(stall_timeout, "%u", READ_ONCE(conf->stall_timeout))

static ssize_t stall_timeout_store(struct mddev *mddev, const char *page, size_t len)
{
	struct mp_conf *conf = mddev->private;
	unsigned int ms;

	if (kstrtouint(page, 10, &ms) || ms > MP_MAX_STALL_TIMEOUT)
		return -EINVAL;
	WRITE_ONCE(conf->stall_timeout, ms);
	mod_delayed_work(system_long_wq, &conf->watch_work, 0);
	return len;
}

/* Milliseconds without an answer after which new I/O goes to other paths; 0: never. */
static struct md_sysfs_entry mp_stall_timeout =
	__ATTR(stall_timeout, 0644, stall_timeout_show, stall_timeout_store);

static const char * const mp_policy_names[MP_POLICIES] = {
	[MP_FAILOVER]		= "failover",
	[MP_ROUND_ROBIN]	= "round-robin",
	[MP_QUEUE_DEPTH]	= "queue-depth",
	[MP_NUMA]		= "numa",
};

MP_SHOW(iopolicy, "%s", mp_policy_names[READ_ONCE(conf->policy)])

static ssize_t iopolicy_store(struct mddev *mddev, const char *page, size_t len)
{
	struct mp_conf *conf = mddev->private;
	int policy = sysfs_match_string(mp_policy_names, page);

	if (policy < 0)
		return policy;
	WRITE_ONCE(conf->policy, policy);
	return len;
}

/* Which of the paths that are equally good a bio goes to. */
static struct md_sysfs_entry mp_iopolicy =
	__ATTR(iopolicy, 0644, iopolicy_show, iopolicy_store);

static const char * const mp_reason_names[MP_REASONS] = {
	[MP_NO_REASON]		= "-",
	[MP_IO_ERROR]		= "io-error",
	[MP_OUTDONE]		= "outdone",
	[MP_PROBE_ERROR]	= "probe",
	[MP_SUPERBLOCK_ERROR]	= "superblock",
	[MP_BY_USER]		= "user",
};

/* What a line of paths takes at most. */
#define MP_PATHS_LINE		128

static const char *mp_path_state_name(const struct mp_conf *conf, const struct mp_path *path,
				      const struct md_rdev *rdev)
{
	if (!mp_rdev_live(rdev))
		return "failed";
	if (conf->state != MP_WORKING && conf->nr_live == 1)
		return "down";
	if (path->demerits & BIT(MP_INACTIVE))
		return "inactive";
	if (path->demerits & BIT(MP_STALLED))
		return "stalled";
	return path->demerits & BIT(MP_NON_OPTIMISED) ? "non-optimised" : "live";
}

/* Milliseconds that a failed path still is held out. */
static unsigned int mp_hold_left(const struct mp_path *path)
{
	unsigned long until = path->failed_at + path->hold;

	return path->heals && time_before(jiffies, until) ?
		jiffies_to_msecs(until - jiffies) : 0;
}

static int mp_show_path(const struct mp_conf *conf, const struct mp_path *path,
			const struct md_rdev *rdev, char *page, int at)
{
	return sysfs_emit_at(page, at, "%u %pg %s %s %d %ld %lu %u %u %u\n",
			     path->slot, rdev->bdev, mp_path_state_name(conf, path, rdev),
			     mp_reason_names[path->reason],
			     blk_status_to_errno(READ_ONCE(path->last_error)),
			     mp_in_flight(path), mp_ios(path) - path->ios_before,
			     path->failures, path->reinstatements, mp_hold_left(path));
}

static ssize_t paths_show(struct mddev *mddev, char *page)
{
	struct mp_conf *conf = mddev->private;
	const struct mp_path *path;
	int length;

	length = sysfs_emit(page,
			    "slot path state reason error in_flight ios failures reinstatements hold_ms\n");
	spin_lock_irq(&conf->lock);
	mp_for_each_path(path, conf) {
		const struct md_rdev *rdev = mp_rdev(path);

		if (rdev && length < PAGE_SIZE - MP_PATHS_LINE)
			length += mp_show_path(conf, path, rdev, page, length);
	}
	spin_unlock_irq(&conf->lock);
	return length;
}

/* A line for each path that has a slot; what it counts begins when the path joins. */
static struct md_sysfs_entry mp_paths = __ATTR(paths, 0444, paths_show, NULL);

MP_SHOW(degraded, "%d", READ_ONCE(conf->mddev->degraded))

/* How many of the paths are not live. */
static struct md_sysfs_entry mp_degraded = __ATTR(degraded, 0444, degraded_show, NULL);

#define MP_COUNTER(name, counter)						\
static ssize_t name##_show(struct mddev *mddev, char *page)			\
{										\
	const struct mp_conf *conf = mddev->private;				\
										\
	return sysfs_emit(page, "%lld\n", atomic64_read(&conf->counter));	\
}										\
										\
static struct md_sysfs_entry mp_##name = __ATTR(name, 0444, name##_show, NULL)

/* Since the array was started; named as NVMe's. */
MP_COUNTER(multipath_failover_count, failovers);
MP_COUNTER(io_requeue_no_usable_path_count, parkings);
MP_COUNTER(io_fail_no_available_path_count, refusals);

static struct attribute *mp_attributes[] = {
	&mp_degraded.attr,
	&mp_paths.attr,
	&mp_multipath_failover_count.attr,
	&mp_io_requeue_no_usable_path_count.attr,
	&mp_io_fail_no_available_path_count.attr,
	&mp_iopolicy.attr,
	&mp_stall_timeout.attr,
	&mp_no_path_retry.attr,
	&mp_probe_interval_entry.attr,
	&mp_reinstate.attr,
	NULL
};

static const struct attribute_group mp_attribute_group = {
	.attrs = mp_attributes,
};

/* -------- the array starts and stops -------- */

static void mp_free_path(struct mp_path *path)
{
	if (path->sender)
		destroy_workqueue(path->sender);
	if (path->probe_page)
		__free_page(path->probe_page);
	kfree(path->probe);
	free_percpu(path->tally);
	kfree(path);
}

static struct mp_path *mp_alloc_path(struct mp_conf *conf, unsigned int slot)
{
	struct mp_path *path = kzalloc(sizeof(*path), GFP_KERNEL);

	if (!path)
		return NULL;
	path->conf = conf;
	path->slot = slot;
	init_llist_head(&path->to_send);
	INIT_WORK(&path->send_work, mp_send_work);
	INIT_WORK(&path->check_work, mp_check_work);
	INIT_DELAYED_WORK(&path->access_work, mp_access_work);

	path->tally = alloc_percpu(struct mp_tally);
	path->probe_page = alloc_page(GFP_KERNEL);
	path->probe = kmalloc(sizeof(*path->probe), GFP_KERNEL);
	path->sender = alloc_ordered_workqueue("%s_mp%u", WQ_MEM_RECLAIM,
					       mdname(conf->mddev), slot);
	if (!path->tally || !path->probe_page || !path->probe || !path->sender) {
		mp_free_path(path);
		return NULL;
	}
	return path;
}

/*
 * Have so many slots, the new ones empty.  Those above were empty too, and keep their
 * struct mp_path until the array stops, as somebody may still look at it.
 *
 * Context: may sleep; reconfig_mutex held.  Since 6.7 the array may be suspended, and then
 * allocates as md core does: the rescuer of a workqueue is the one thing without noio.
 *
 * Return: 0; -ENOMEM, and the array has the slots that it had.
 */
static int mp_set_slots(struct mp_conf *conf, unsigned int nr)
{
	unsigned int slot;

	for (slot = 0; slot < nr; slot++) {
		if (!conf->paths[slot])
			conf->paths[slot] = mp_alloc_path(conf, slot);
		if (!conf->paths[slot])
			return -ENOMEM;
	}
	spin_lock_irq(&conf->lock);
	smp_store_release(&conf->nr_paths, nr);		/* pairs with mp_slot() */
	__mp_count_paths(conf);
	spin_unlock_irq(&conf->lock);
	return 0;
}

static void mp_free_conf(struct mp_conf *conf)
{
	struct mp_path *path;

	if (conf->checker)
		destroy_workqueue(conf->checker);
	mp_for_each_path_made(path, conf)
		mp_free_path(path);
	mp_exit_reserves(conf);
	free_percpu(conf->turn);
	kfree(conf);
}

static struct mp_conf *mp_alloc_conf(struct mddev *mddev)
{
	struct mp_conf *conf;

	conf = kzalloc(sizeof(*conf), GFP_KERNEL);
	if (!conf)
		return NULL;

	conf->mddev = mddev;
	conf->no_path_retry = MP_NO_PATH_RETRY;
	conf->probe_interval = MP_PROBE_INTERVAL;
	conf->stall_timeout = MP_STALL_TIMEOUT;
	INIT_DELAYED_WORK(&conf->watch_work, mp_watch_work);
	INIT_WORK(&conf->tell_work, mp_tell_work);
	spin_lock_init(&conf->lock);
	init_llist_head(&conf->failed);
	init_llist_head(&conf->judged);
	init_llist_head(&conf->on_trial);
	init_llist_head(&conf->paced);
	bio_list_init(&conf->parked);
	init_waitqueue_head(&conf->drained);
	INIT_LIST_HEAD(&conf->node);

	conf->turn = alloc_percpu(u32);
	conf->checker = alloc_workqueue("%s_check", WQ_UNBOUND | WQ_MEM_RECLAIM, 0, mdname(mddev));
	if (!conf->turn || !conf->checker)
		goto out_free_conf;
	if (mp_init_reserves(conf))
		goto out_free_conf;
	if (mp_set_slots(conf, mddev->raid_disks))
		goto out_free_conf;
	return conf;

out_free_conf:
	mp_free_conf(conf);
	return NULL;
}

/*
 * Metadata 0.90 has MD_SB_DISKS entries, and md core does not look whether they suffice
 * (super_90_sync()): each slot takes one, and each path that has failed another.  (So does
 * each spare, which no personality can refuse, nor does raid1.)
 */
static int mp_max_paths(const struct mddev *mddev)
{
	if (mddev->persistent && mddev->major_version == 0)
		return MD_SB_DISKS / 2;
	return MP_MAX_PATHS;
}

static int mp_check_number(struct mddev *mddev, int nr)
{
	int max = mp_max_paths(mddev);

	if (nr >= 1 && nr <= max)
		return 0;
	pr_warn("md/multipath:%s: %d paths asked for, 1 to %d are possible\n",
		mdname(mddev), nr, max);
	return -EINVAL;
}

/* Is what md core put together an array of ours?  One line says why not. */
static int mp_check_array(struct mddev *mddev)
{
	int err;

	err = mp_check_number(mddev, mddev->raid_disks);
	if (err)
		return err;
	if (mddev->bitmap_info.file || mddev->bitmap_info.offset) {
		pr_warn("md/multipath:%s: there is no use for a bitmap with one disk: make the array without\n",
			mdname(mddev));
		return -EINVAL;
	}
	return 0;
}

/* Put the paths that md core has gathered into their slots. */
static int mp_collect_paths(struct mddev *mddev, struct mp_conf *conf)
{
	struct md_rdev *rdev;
	int err;

	rdev_for_each(rdev, mddev) {
		int slot = rdev->raid_disk;

		if (slot >= mddev->raid_disks) {
			/* 6.1 numbers all that it finds: this one is a spare. */
			rdev->raid_disk = -1;
			clear_bit(In_sync, &rdev->flags);
		}
		if (rdev->raid_disk < 0)
			continue;
		err = mp_check_path(mddev, rdev);
		if (err)
			return err;
		err = mp_check_identity(conf, rdev->bdev, false);
		if (err)
			return err;
		if (mp_rdev(conf->paths[slot])) {
			pr_warn("md/multipath:%s: %pg wants slot %d, which is taken\n",
				mdname(mddev), rdev->bdev, slot);
			return -EINVAL;
		}
		mp_known_disk(rdev->bdev, &conf->paths[slot]->disk);
		mp_fill_slot(conf, conf->paths[slot], rdev,
			     !test_bit(Faulty, &rdev->flags));
		conf->paths[slot]->told_live = mp_rdev_live(rdev);
	}
	if (!conf->nr_live) {
		pr_warn("md/multipath:%s: no path works: not started\n", mdname(mddev));
		return -ENODEV;
	}
	return 0;
}

/*
 * Stacked by hand: since 6.19 mddev_stack_rdev_limits() writes the block size
 * into the superblock of a new array, which older kernels then refuse.
 */
static int mp_set_limits(struct mddev *mddev)
{
	struct queue_limits lim;
	struct md_rdev *rdev;

	md_init_stacking_limits(&lim);
	lim.features |= BLK_FEAT_NOWAIT | BLK_FEAT_ATOMIC_WRITES;
	rdev_for_each(rdev, mddev) {
		if (rdev->raid_disk < 0)
			continue;
		queue_limits_stack_bdev(&lim, rdev->bdev, rdev->data_offset, mdname(mddev));
		if (!queue_limits_stack_integrity_bdev(&lim, rdev->bdev)) {
			pr_warn("md/multipath:%s: %pg has another integrity profile than the other paths\n",
				mdname(mddev), rdev->bdev);
			return -EINVAL;
		}
	}
	return queue_limits_set(mddev->gendisk->queue, &lim);
}

/* md core stops mddev->thread when run() fails; the retry thread is ours. */
static int mp_start_threads(struct mddev *mddev, struct mp_conf *conf)
{
	struct md_thread *thread;

	thread = md_register_thread(mp_md_thread, mddev, "multipath");
	if (!thread)
		return -ENOMEM;
	rcu_assign_pointer(mddev->thread, thread);

	thread = md_register_thread(mp_retry_thread, mddev, "mp_retry");
	if (!thread)
		return -ENOMEM;
	rcu_assign_pointer(conf->retry_thread, thread);
	return 0;
}

static sector_t multipath_size(struct mddev *mddev, sector_t sectors, int raid_disks)
{
	return sectors ? sectors : mddev->dev_sectors;
}

/**
 * multipath_run - start an array
 * @mddev: the array, its paths bound by md core
 *
 * Context: may sleep; reconfig_mutex held.  mddev->pers is not set yet.
 *
 * Return: 0; -EINVAL or -ENOSPC if the devices can't be one array, -ENODEV if
 * none of them works, each after one line that says why; -ENOMEM.  The array
 * can be put right and started again then.
 */
static int multipath_run(struct mddev *mddev)
{
	struct mp_conf *conf;
	struct mp_path *path;
	int err;

	err = mp_check_array(mddev);
	if (err)
		return err;
	conf = mp_alloc_conf(mddev);
	if (!conf)
		return -ENOMEM;
	mddev->private = conf;

	err = mp_collect_paths(mddev, conf);
	if (err)
		goto out_free_conf;
	err = mp_set_limits(mddev);
	if (err)
		goto out_free_conf;
	err = mp_start_threads(mddev, conf);
	if (err)
		goto out_free_conf;
	err = md_integrity_register(mddev);
	if (err)
		goto out_stop_thread;
	err = sysfs_create_group(&mddev->kobj, &mp_attribute_group);
	if (err)
		goto out_stop_thread;

	mutex_lock(&mp_arrays_lock);
	list_add(&conf->node, &mp_arrays);
	mutex_unlock(&mp_arrays_lock);
	queue_delayed_work(system_long_wq, &conf->watch_work, 0);
	mp_for_each_path(path, conf)
		queue_delayed_work(system_long_wq, &path->access_work, 0);

	/* One disk needs no resync, and md core adds no path before it is done. */
	mddev->resync_offset = MaxSector;
	md_set_array_sectors(mddev, multipath_size(mddev, 0, 0));
	pr_info("md/multipath:%s: active with %u of %u paths\n",
		mdname(mddev), conf->nr_live, conf->nr_paths);
	return 0;

out_stop_thread:
	md_unregister_thread(mddev, &conf->retry_thread);
out_free_conf:
	mddev->private = NULL;
	mp_free_conf(conf);
	return err;
}

/**
 * multipath_free - the array has stopped: leave nothing behind
 * @mddev: the array; md core has stopped mddev->thread, and nobody submits
 * @priv: our struct mp_conf
 *
 * Context: may sleep, up to the lower drivers' timeout; reconfig_mutex held.
 */
static void multipath_free(struct mddev *mddev, void *priv)
{
	struct mp_conf *conf = priv;
	struct mp_path *path;

	/* Nobody sets a tunable any more, or wakes the thread for a reboot. */
	sysfs_remove_group(&mddev->kobj, &mp_attribute_group);
	mutex_lock(&mp_arrays_lock);
	list_del(&conf->node);
	mutex_unlock(&mp_arrays_lock);
	/* No bio and no probe is at a path any more, and none can get there. */
	mp_shut_gate(conf);
	/* It wakes the thread, and with the gate shut nobody queues it: mp_ask_soon(). */
	mp_for_each_path_made(path, conf)
		cancel_delayed_work_sync(&path->access_work);
	/* Nobody takes from the lists but us. */
	md_unregister_thread(mddev, &conf->retry_thread);
	/* No bio is left at all. */
	mp_fail_again(conf, &conf->judged);
	mp_fail_again(conf, &conf->on_trial);
	mp_fail_again(conf, &conf->paced);
	mp_fail_waiting(conf);
	/* The last completion may still be about to wake mp_shut_gate(). */
	synchronize_rcu();
	cancel_delayed_work_sync(&conf->watch_work);
	cancel_work_sync(&conf->tell_work);
	/* The paths' work has nothing to do, and ends here if it still runs. */
	mp_free_conf(conf);
}

/* What a user changes has to be in the superblock.  One line says why it would not be. */
static int mp_check_superblock_writer(struct mddev *mddev)
{
	struct md_rdev *rdev;

	if (!mddev->persistent || mddev->external)
		return 0;
	rdev = mp_sole_superblock_writer(mddev);
	if (!rdev || !test_bit(Faulty, &rdev->flags))
		return 0;
	pr_warn("md/multipath:%s: this kernel writes the superblock only over path %pg, which has failed: remove it first\n",
		mdname(mddev), rdev->bdev);
	return -EBUSY;
}

/**
 * multipath_check_reshape - change the number of slots for paths
 * @mddev: the array; delta_disks is the change that a user asks for
 *
 * Sets raid_disks and delta_disks itself, as nothing has to be moved.  A spare takes
 * a new slot; md core writes the new number to the superblock.
 *
 * Context: may sleep; reconfig_mutex held.  I/O may be in flight and may come, as not
 * every caller suspends the array.
 *
 * Return: 0; -EINVAL for more than mp_max_paths(), and for another layout, chunk size or
 * level; -EBUSY if a slot that would go has a path, or the superblock would not be
 * written, each after a line; -ENOMEM.
 */
static int multipath_check_reshape(struct mddev *mddev)
{
	struct mp_conf *conf = mddev->private;
	unsigned int nr = mddev->raid_disks + mddev->delta_disks;
	struct mp_path *path;
	int err;

	if (mddev->new_level != mddev->level || mddev->new_layout != mddev->layout ||
	    mddev->new_chunk_sectors != mddev->chunk_sectors)
		return -EINVAL;
	err = mp_check_number(mddev, nr);
	if (err)
		return err;
	mp_for_each_path(path, conf) {
		if (path->slot < nr || !mp_rdev(path))
			continue;
		pr_warn("md/multipath:%s: %u paths asked for, but %pg has slot %u: remove it first\n",
			mdname(mddev), nr, mp_rdev(path)->bdev, path->slot);
		return -EBUSY;
	}
	err = mp_check_superblock_writer(mddev);
	if (err)
		return err;
	err = mp_set_slots(conf, nr);
	if (err)
		return err;

	mddev->raid_disks = nr;
	mddev->delta_disks = 0;
	mddev->reshape_backwards = 0;
	/* For md core's thread, which is woken as the mutex is released. */
	set_bit(MD_SB_CHANGE_DEVS, &mddev->sb_flags);
	set_bit(MD_RECOVERY_NEEDED, &mddev->recovery);
	pr_info("md/multipath:%s: %u of %u paths are in use\n",
		mdname(mddev), READ_ONCE(conf->nr_live), nr);
	return 0;
}

/**
 * multipath_resize - change the size of the array, after the disk's has changed
 * @mddev: the array
 * @sectors: its new size, and that of what it uses of the disk
 *
 * md core has seen that each rdev->sectors suffices, and tells user space.
 *
 * Context: may sleep; reconfig_mutex held.  I/O may be in flight and may come.
 *
 * Return: 0; -ENOSPC if the kernel does not know yet of a path that the disk has grown,
 * or if a superblock is where the data would be; -EINVAL if the array was told to show
 * more than that; -EBUSY if the superblock would not be written.  Each after a line.
 */
static int multipath_resize(struct mddev *mddev, sector_t sectors)
{
	struct md_rdev *rdev;
	int err;

	if (mddev->external_size && mddev->array_sectors > sectors) {
		pr_warn("md/multipath:%s: array_size is %llu sectors: set that first, or to default\n",
			mdname(mddev), mddev->array_sectors);
		return -EINVAL;
	}
	rdev_for_each(rdev, mddev) {
		sector_t needed = rdev->data_offset + sectors;

		/* Metadata 1.0, of a spare, which is the same disk: md core moves no spare's. */
		if (mddev->persistent && rdev->sb_start >= rdev->data_offset &&
		    rdev->sb_start < needed) {
			pr_warn("md/multipath:%s: %pg has its superblock at sector %llu, %llu are needed: remove it first\n",
				mdname(mddev), rdev->bdev, rdev->sb_start, needed);
			return -ENOSPC;
		}
		if (rdev->raid_disk < 0 || bdev_nr_sectors(rdev->bdev) >= needed)
			continue;
		pr_warn("md/multipath:%s: %pg has %llu sectors, %llu are needed: rescan the device\n",
			mdname(mddev), rdev->bdev, bdev_nr_sectors(rdev->bdev), needed);
		return -ENOSPC;
	}
	err = mp_check_superblock_writer(mddev);
	if (err)
		return err;
	/* pairs with mp_has_room(), mp_probe_sector() */
	WRITE_ONCE(mddev->dev_sectors, sectors);
	md_set_array_sectors(mddev, sectors);
	return 0;
}

/* The tail of a line in /proc/mdstat, which monitoring tools parse.  No sleep. */
static void multipath_status(struct seq_file *seq, struct mddev *mddev)
{
	struct mp_conf *conf = mddev->private;
	/* One number for both, as readers count the letters.  pairs with mp_set_slots() */
	unsigned int slot, nr = smp_load_acquire(&conf->nr_paths);

	seq_printf(seq, " [%u/%u] [", nr, READ_ONCE(conf->nr_live));
	rcu_read_lock();
	for (slot = 0; slot < nr; slot++) {
		struct md_rdev *rdev = rcu_dereference(conf->paths[slot]->rdev);

		seq_putc(seq, rdev && mp_rdev_live(rdev) ? 'U' : '_');
	}
	rcu_read_unlock();
	seq_putc(seq, ']');
}

static struct md_personality multipath_personality = {
	MP_PERSONALITY_IDENTITY,
	.make_request		= multipath_make_request,
	.run			= multipath_run,
	.free			= multipath_free,
	.status			= multipath_status,
	.error_handler		= multipath_error,
	.hot_add_disk		= multipath_hot_add_disk,
	.hot_remove_disk	= multipath_hot_remove_disk,
	.size			= multipath_size,
	.resize			= multipath_resize,
	.check_reshape		= multipath_check_reshape,
	.quiesce		= multipath_quiesce,
};

/* Nobody will mend a path any more: what waits for one would only hold things up. */
static int mp_reboot(struct notifier_block *notifier, unsigned long event, void *unused)
{
	struct mp_conf *conf;

	mutex_lock(&mp_arrays_lock);
	list_for_each_entry(conf, &mp_arrays, node)
		mp_set_no_path_retry(conf, 0);
	mutex_unlock(&mp_arrays_lock);
	return NOTIFY_DONE;
}

static struct notifier_block mp_reboot_notifier = {
	.notifier_call = mp_reboot,
};

/* No array is left, so nobody pushes or pops. */
static void mp_empty_magazines(void)
{
	struct mp_magazine *magazine;
	struct llist_node *node;
	int cpu;

	for_each_possible_cpu(cpu) {
		magazine = per_cpu_ptr(&mp_magazines, cpu);
		while ((node = magazine->first)) {
			magazine->first = node->next;
			kmem_cache_free(mp_io_cache[MP_IN_PLACE],
					llist_entry(node, struct mp_io, node));
		}
	}
}

static void mp_destroy_caches(void)
{
	int kind;

	mp_empty_magazines();
	for (kind = 0; kind < MP_KINDS; kind++)
		kmem_cache_destroy(mp_io_cache[kind]);
}

static int mp_create_caches(void)
{
	mp_io_cache[MP_IN_PLACE] = KMEM_CACHE(mp_io, 0);
	mp_io_cache[MP_CLONED] = KMEM_CACHE(mp_cloned_io, 0);
	if (mp_io_cache[MP_IN_PLACE] && mp_io_cache[MP_CLONED])
		return 0;
	mp_destroy_caches();
	return -ENOMEM;
}

static int __init multipath_init(void)
{
	int err;

	err = mp_create_caches();
	if (err)
		return err;
	err = register_reboot_notifier(&mp_reboot_notifier);
	if (err)
		goto out_destroy_caches;
	err = register_md_submodule(&multipath_personality.head);
	if (err) {
		pr_err("md/multipath: another driver of level multipath is loaded: unload it first\n");
		goto out_unregister_notifier;
	}
	pr_info("md/multipath: version %s\n", MP_VERSION);
	return 0;

out_unregister_notifier:
	unregister_reboot_notifier(&mp_reboot_notifier);
out_destroy_caches:
	mp_destroy_caches();
	return err;
}

static void __exit multipath_exit(void)
{
	unregister_md_submodule(&multipath_personality.head);
	unregister_reboot_notifier(&mp_reboot_notifier);
	mp_destroy_caches();
}

module_init(multipath_init);
module_exit(multipath_exit);
MODULE_LICENSE("GPL");
MODULE_AUTHOR("The md multipath developers");
MODULE_DESCRIPTION("Several paths to one disk, as one md array");
MODULE_VERSION(MP_VERSION);
MODULE_ALIAS("md-personality-7");
MODULE_ALIAS("md-multipath");
MODULE_ALIAS("md-level--4");

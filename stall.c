// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a path respond?
 *
 * A device, or the way to it, can keep bios and report nothing.  The lower driver returns
 * them after its own timeout, which takes from half a minute to many minutes.  stall_work
 * looks for such paths.
 *
 *    live --no completion for stall_timeout--> stalled --for io_timeout--> failed
 *     ^                                           |                          |
 *     +-- all old bios are back ------------------+                          v
 *     +-- a probe succeeds (R11) ------------------------------- its bios are aborted
 *
 * R15. A path that has bios in flight and has completed none for stall_timeout is stalled:
 * new bios avoid it while another path is live (R13).  When it has completed none for
 * io_timeout, while another live path responded, two things happen:
 *
 *      - The path fails, so that mdadm --monitor and /proc/mdstat report it.
 *      - The lower driver is requested to abort the path's bios.  It may refuse for now, so
 *        this is repeated at each look until they are back.
 *
 * For a path at rest, the check of R17 counts as its I/O.
 *
 * A path whose device has disappeared fails too, also if it is idle (R17).  md core then
 * removes it, so that its slot is free for the device that replaces it.
 *
 * A bio is retried only when it is back (Order, in io.c).  If the lower driver has no
 * requests, as device-mapper has none, the path fails and its bios wait.
 */

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include "md.h"
#include "multipath.h"
#include "trace.h"

/* How often stall_work checks a path within the shorter timeout. */
#define MP_STALL_CHECKS		4

/* How much longer the time between two looks is while the array is at rest. */
#define MP_REST_FACTOR		3

struct mp_abort {
	const struct mp_path	*path;
	struct request_queue	*queue;
};

/*
 * Whether all bios of a request are the path's.  A request can also hold bios of somebody
 * else, who uses the device beside the array: the block layer merges neighbours.
 *
 * The caller has a reference, so the request is not reused.  But it may complete at any
 * moment, and then its bios are freed:
 *
 *	CPU0 here				CPU1 completion
 *	first = rq->bio
 *						rq->bio = the next one, or NULL
 *						ends and frees first
 *	reads first: something else by now
 *	rq->bio != first
 *
 * So the bios are read in a way that cannot fault, and what was read counts only if rq->bio
 * is still the same.  It never returns to an earlier value.  If the request has completed
 * as a whole, the result does not matter: see mp_abort_request().
 */
static bool mp_owns_request(const struct request *rq, const struct mp_path *path)
{
	struct bio *first = READ_ONCE(rq->bio), *bio = first;

	do {
		if (!bio || !mp_is_at_path(bio, path))
			return false;
		if (get_kernel_nofault(bio, &bio->bi_next))
			return false;
	} while (bio);
	/* The reads above come first; pairs with the atomic operations of bio_endio(). */
	smp_rmb();
	return READ_ONCE(rq->bio) == first;
}

/*
 * Abort a request: it times out now.  A request that completes at the same time ends once,
 * because blk_abort_request() only sets its deadline.  The block layer's timeout handler
 * looks at it later, and ignores a request that is not in flight any more:
 *
 *	CPU0 here			CPU1 completion			CPU2 timeout handler
 *	rq->deadline = jiffies
 *					the request has completed
 *									not in flight: ignored
 *	puts its reference
 *					the request is reused
 *					rq->deadline = new
 *									not expired: ignored
 *
 * The reference keeps the request from being reused before its deadline is set.  A request
 * that the handler has taken is decided by the lower driver, as with any timeout.
 *
 * Without REQ_FAILFAST_DEV, SCSI would send a command that has timed out to the same path
 * again (scsi_noretry_cmd()).  While a request is in flight, nobody else writes its flags.
 */
static bool mp_abort_request(struct request *rq, void *data)
{
	const struct mp_abort *abort = data;

	if (rq->q == abort->queue && mp_owns_request(rq, abort->path)) {
		rq->cmd_flags |= REQ_FAILFAST_DEV;
		blk_abort_request(rq);
	}
	return true;
}

/*
 * Request the path's bios back from the lower driver.  Requests that wait in its queue have
 * not been issued; they follow when those in flight are back.  Flushes have requests of
 * their own, which serve everybody, so they wait for the lower driver's timeout.
 *
 * The queue's usage counter keeps the lower driver from freeing its tags: it freezes the
 * queue before that.  If the queue is frozen, it has nothing in flight.
 */
static void mp_abort_bios(const struct mp_path *path, const struct md_rdev *rdev)
{
	struct request_queue *queue = bdev_get_queue(rdev->bdev);
	struct mp_abort abort = { .path = path, .queue = queue };

	if (!queue_is_mq(queue) || !percpu_ref_tryget(&queue->q_usage_counter))
		return;
	blk_mq_tagset_busy_iter(queue->tag_set, mp_abort_request, &abort);
	percpu_ref_put(&queue->q_usage_counter);
}

/* After how long a check at rest is late, in ms. */
static unsigned int mp_late_time(const struct mp_conf *conf)
{
	return min_not_zero(READ_ONCE(conf->stall_timeout) ?: MP_STALL_TIMEOUT,
			    READ_ONCE(conf->io_timeout) / 2);
}

/* Whether the check of a path at rest is in flight, and late.  If so, the path may be silent. */
static bool mp_check_is_late(const struct mp_path *path)
{
	return mp_is_being_checked(path) &&
	       jiffies_to_msecs(jiffies - READ_ONCE(path->probe_began)) >= mp_late_time(path->conf);
}

/* Another live path, which is not known to be silent too; NULL if there is none. */
static struct mp_path *mp_responding_path(const struct mp_path *path)
{
	const unsigned long silent = BIT(MP_STALLED) | BIT(MP_INACTIVE);
	struct mp_path *other;

	mp_for_each_path(other, path->conf) {
		const struct md_rdev *rdev = rcu_dereference(other->rdev);

		if (other != path && rdev && mp_rdev_live(rdev) &&
		    !(READ_ONCE(other->demerits) & silent) && !mp_check_is_late(other))
			return other;
	}
	return NULL;
}

/*
 * If the disk itself pauses, all paths are silent.  Another path shows that only if it has
 * bios in flight, so it gets a probe.
 */
static void mp_set_stalled(struct mp_path *path, const struct md_rdev *rdev, unsigned int silent)
{
	struct mp_path *other = mp_responding_path(path);
	struct mddev *mddev = path->conf->mddev;

	set_bit(MP_STALLED, &path->demerits);	/* pairs with mp_rank() */
	/* A path may no longer be held down. */
	mp_wake_retry_work(path->conf);
	trace_path_stalled(disk_devt(mddev->gendisk), rdev->bdev->bd_dev, silent);
	if (mp_rdev_live(rdev))
		mp_log(path->conf, path, MP_LOG_STALLED, silent);
	if (other)
		mp_request_probe(other);
}

/*
 * The path has completed nothing for a long time.  If it has failed already, for whatever
 * reason, its bios are aborted as well.
 */
static void mp_handle_silent(struct mp_path *path, struct md_rdev *rdev, unsigned int silent)
{
	if (mp_rdev_live(rdev))
		mp_log(path->conf, path, MP_LOG_ABORTING, silent);
	path->aborting = true;
	mp_fail_path(path, rdev, MP_TIMEOUT);
}

/*
 * Whether bios, the probe or the check of a path wait for a kworker, and are not at the path yet.
 * All arrays share the workqueues.  In an RCU section in which the path has an rdev.
 */
static bool mp_waits_for_worker(struct mp_path *path)
{
	struct mp_query *query = READ_ONCE(path->query);

	return work_busy(&path->submit_work) == WORK_BUSY_PENDING ||
	       work_busy(&path->probe_work) == WORK_BUSY_PENDING ||
	       work_busy(&path->check_work) == WORK_BUSY_PENDING ||
	       (query && work_busy(&query->work) == WORK_BUSY_PENDING);
}

static bool mp_has_only_check(const struct mp_path *path, const struct mp_tally *total)
{
	return mp_is_being_checked(path) && mp_tally_in_flight(total) == mp_checks_in_flight(path);
}

/* Whether another live path has completed anything lately. */
static bool mp_any_other_responds(const struct mp_path *path)
{
	unsigned long late = msecs_to_jiffies(mp_late_time(path->conf));
	struct mp_path *other;

	mp_for_each_path(other, path->conf)
		if (other != path && mp_path_is_live(other) &&
		    !mp_is_over(READ_ONCE(other->completed_at), late))
			return true;
	return false;
}

/*
 * The check of a path at rest is in flight.  If it takes long, it may only wait behind the I/O of
 * another path, or the disk itself has paused.  So the path is stalled only if something waits for
 * it, and it is silent only if another path responds.  One gets a probe at each look, to find out.
 */
static void mp_check_rest_responds(struct mp_path *path, struct md_rdev *rdev)
{
	unsigned int io_timeout = READ_ONCE(path->conf->io_timeout);
	struct mp_path *other = mp_responding_path(path);
	unsigned long began = READ_ONCE(path->probe_began);

	if (!mp_check_is_late(path)) {
		path->alone_since = jiffies;
		return;
	}
	/* This may be the first look at the check, long after the last completion. */
	if (mp_is_over(path->alone_since, jiffies - began))
		path->alone_since = began;
	if (READ_ONCE(path->awaited) && !test_bit(MP_STALLED, &path->demerits))
		mp_set_stalled(path, rdev, jiffies_to_msecs(jiffies - began));
	if (other)
		mp_request_probe(other);
	if (!mp_any_other_responds(path))
		path->alone_since = jiffies;
	else if (io_timeout && mp_is_over(path->alone_since, msecs_to_jiffies(io_timeout)))
		mp_fail_path(path, rdev, MP_TIMEOUT);
}

/* All bios of the older epoch are back: new ones begin there, and the other one gets old. */
static void mp_next_epoch(struct mp_path *path, const struct md_rdev *rdev)
{
	bool stalled = test_bit(MP_STALLED, &path->demerits);

	clear_bit(MP_STALLED, &path->demerits);		/* pairs with mp_rank() */
	WRITE_ONCE(path->epoch, !path->epoch);		/* pairs with mp_count() */
	path->silent_since = jiffies;
	path->alone_since = jiffies;
	path->aborting = false;
	if (stalled && mp_rdev_live(rdev))
		mp_log(path->conf, path, MP_LOG_RESPONDS, 0);
}

/*
 * Detect a path that has stopped responding, without a look at any bio.  Bios begin in one
 * epoch.  When the other epoch has no bio left, the two swap.  From then on, all bios of
 * the older epoch are at least as old as the swap.
 *
 * The path is stalled if stall_timeout has passed, the older epoch still has bios, and the
 * path has completed no bio in all that time.  (Bios that the kernel returns before the
 * device sees them do not count, as with REQ_NOWAIT.)  Age alone is not enough: a disk with
 * a long queue takes seconds for a bio, and would be no faster over another path.
 *
 * New bios then avoid the path while another path is live, until the older epoch has no bio
 * left.  No bio is sent elsewhere.  The device may still write to the bios' pages, or write
 * their data to the disk (see Order, in io.c).
 *
 * A bio that reads the epoch just before a swap is counted in the older epoch a moment
 * later. So it seems older than it is, by one interval at most.
 */
static void mp_check_path_responds(struct mp_path *path, struct md_rdev *rdev,
				   const struct mp_tally *total)
{
	const struct mp_conf *conf = path->conf;
	unsigned int stall_timeout = READ_ONCE(conf->stall_timeout);
	unsigned int io_timeout = READ_ONCE(conf->io_timeout);
	bool stalled = test_bit(MP_STALLED, &path->demerits);
	unsigned long completed = total->ended[0] + total->ended[1] - total->not_issued;
	unsigned int older = !path->epoch, silent;

	/*
	 * It can decrease for a moment: a bio is counted in not_issued before it is counted
	 * in ended.
	 */
	if ((long)(completed - path->completed) > 0) {
		path->completed = completed;
		WRITE_ONCE(path->completed_at, jiffies);
		path->silent_since = jiffies;
		path->alone_since = jiffies;
	}
	if (mp_waits_for_worker(path)) {
		path->silent_since = jiffies;
		path->alone_since = jiffies;
	}
	if (mp_rdev_live(rdev) && mp_has_only_check(path, total)) {
		mp_check_rest_responds(path, rdev);
		return;
	}
	if (total->begun[older] == total->ended[older]) {
		if (stalled || total->begun[path->epoch] != total->ended[path->epoch])
			mp_next_epoch(path, rdev);
		return;
	}

	silent = jiffies_to_msecs(jiffies - path->silent_since);
	if (stall_timeout && !stalled && silent >= stall_timeout)
		mp_set_stalled(path, rdev, silent);
	else if (!stall_timeout)
		clear_bit(MP_STALLED, &path->demerits);		/* pairs with mp_rank() */
	/*
	 * When a disk that had paused continues, the paths respond one after the other.  So
	 * only the time counts in which another path responded, and this one did not.
	 */
	if (!mp_responding_path(path))
		path->alone_since = jiffies;
	else if (io_timeout && mp_is_over(path->alone_since, msecs_to_jiffies(io_timeout)))
		mp_handle_silent(path, rdev, silent);
	if (path->aborting && !mp_rdev_live(rdev))
		mp_abort_bios(path, rdev);
}

static unsigned long mp_stall_interval(const struct mp_conf *conf)
{
	unsigned int ms = min_not_zero(READ_ONCE(conf->stall_timeout), READ_ONCE(conf->io_timeout));
	unsigned long timeout = min_not_zero(msecs_to_jiffies(ms), mp_check_interval(conf));

	if (!timeout)
		return MP_MAX_STALL_INTERVAL;
	return min(timeout / MP_STALL_CHECKS + 1, MP_MAX_STALL_INTERVAL);
}

/*
 * When to look again, in jiffies.  An array at rest has fewer looks, and one for each check that
 * becomes due.  So I/O that begins then may be noticed, and found to be stalled, up to
 * MP_REST_FACTOR + 1 intervals later.
 */
static unsigned long mp_next_look(const struct mp_conf *conf)
{
	unsigned long interval = mp_stall_interval(conf), rest = mp_check_interval(conf);
	unsigned long now = jiffies, until;
	struct mp_path *path;

	if (mp_is_in_use(conf))
		return interval;
	/* Many arrays look at the same time, to wake a CPU less often. */
	until = mp_earlier(round_jiffies(now + interval * MP_REST_FACTOR),
			   now + min(interval * (MP_REST_FACTOR + 1), MP_MAX_STALL_INTERVAL));
	mp_for_each_path(path, conf) {
		if (path->aborting || mp_is_being_checked(path))
			return interval;
		if (rest && rcu_access_pointer(path->rdev))
			until = mp_earlier(until, path->rested_since + rest);
	}
	return time_after(until, now) ? until - now : 1;
}

/*
 * No probe is due of a path that the administrator has failed, so none finds its device gone.  With
 * I/O in flight it cannot be removed, and md core would suspend the array in vain.
 */
static void mp_remove_if_unwanted(struct mp_path *path, const struct md_rdev *rdev,
				  const struct mp_tally *total)
{
	if (!mp_rdev_live(rdev) && !READ_ONCE(path->auto_reinstate) &&
	    !mp_tally_in_flight(total) && mp_request_removal(path))
		mp_wake_retry_work(path->conf);
}

/* A path has I/O.  Its array may have been at rest, and other states may have changed since. */
static void mp_note_use(struct mp_conf *conf)
{
	unsigned long delay = mp_is_in_use(conf) ? HZ : 0;
	struct mp_path *path;

	WRITE_ONCE(conf->used_at, jiffies);
	mp_for_each_path(path, conf)
		if (rcu_access_pointer(path->rdev))	/* pairs with mp_free_tracker() */
			mp_follow_access(path, delay);
}

void mp_stall_work(struct work_struct *work)
{
	struct mp_conf *conf = container_of(work, struct mp_conf, stall_work.work);
	struct mp_tally total;
	struct mp_path *path;
	bool used = false;

	rcu_read_lock();
	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = rcu_dereference(path->rdev);

		if (!rdev)
			continue;
		total = mp_total(path);
		mp_check_path_responds(path, rdev, &total);
		if (is_rdev_broken(rdev)) {
			mp_fail_path(path, rdev, MP_GONE);
			mp_remove_if_unwanted(path, rdev, &total);
			path->rested_since = jiffies;
		} else if (mp_update_rest(path, rdev, &total)) {
			used |= mp_rdev_live(rdev);
		}
	}
	if (used)
		mp_note_use(conf);
	rcu_read_unlock();
	queue_delayed_work(system_long_wq, &conf->stall_work, mp_next_look(conf));
}

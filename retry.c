// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Failed and queued bios, and retry_work
 *
 *    failed --mp_retry()--> another path
 *      ^  |
 *      |  `-- all live paths tried --> to_verify --probe of a live path--> verifying
 *      |                                                                    |
 *      +-- the path does not work: it fails, go on without it --------------+
 *      |                                                                    |
 *      +-- it works, and the last error was a path's: another round --------+--> first error
 *      |                                                                    |
 *      `-- once a second --- paced <--- and again a path error -------------'
 *
 *    queued --mp_start_queued()--> its first path
 *
 * R1. A round tries a bio once on each path.  It tries the last live path a second time if
 * the first try there used failfast (R3).  When all have failed, a verification follows: a
 * probe of a live path.
 *
 *      - If the path works, the bio gets its first error, with two exceptions.  If the round
 *        ended with a path error, another round follows at once, then one each second, until
 *        no_path_retry seconds after the bio's first error.  If any path has an ALUA state,
 *        one more round follows after an ambiguous error, and only one (R14).
 *      - If the path does not work, it fails or is inactive, and the bio continues without
 *        it.  If it was the last path, the failed paths are probed (R11).  If one of them
 *        works, the round continues there.  Otherwise the bio waits (R8).  When a path
 *        works again, a new round begins.  If no_path_retry seconds have passed since the
 *        bio's first error, the bio ends with that error instead.
 *
 * Rounds and verifications end, so every bio ends, unless no_path_retry is -1.
 *
 * R8. When no path works, bios wait for at most no_path_retry seconds (-1: for ever), as
 * queued master bios or as records without a path.  Removal and suspend wait for neither;
 * mp_freeze() waits only for bios in flight.  When the queue is full, submitters wait in
 * the same way (R5).  Only the deadline, no_path_retry = 0,
 * multipath_free() and a reboot fail waiting bios.
 */

#include <linux/blkdev.h>
#include "md.h"
#include "multipath.h"

static struct workqueue_struct *mp_retry_wq;

/* How many retry_works run at a time at least, if as many arrays have something to do. */
#define MP_MIN_RETRIES		4U

/* Longer than any delay that retry_work plans. */
#define MP_LONG			(MAX_JIFFY_OFFSET / 2)

/* How often retry_work tries again while bios wait for memory. */
#define MP_POLL			(HZ / 50 + 1)

/* How often retry_work checks for a suspension by md core while the queue is full. */
#define MP_SUSPEND_POLL		(HZ / 20 + 1)

/*
 * How often a paced bio is retried, and after how long another path replaces a verify_path
 * whose probe hangs.
 */
#define MP_VERIFY_INTERVAL	HZ

/* Start a new round: earlier failures of paths no longer count. */
static void mp_new_round(struct mp_io *io)
{
	io->round = READ_ONCE(io->conf->round);	/* pairs with __mp_set_state() */
	io->tried = 0;
	io->ambiguous = 0;
	io->no_failfast = false;
	io->path_error = false;
}

/* Whether the bio has been retried for as long as no_path_retry allows. */
static bool mp_is_overdue(const struct mp_io *io)
{
	int seconds = READ_ONCE(io->conf->no_path_retry);

	return seconds == 0 ||
	       (seconds > 0 && mp_is_over(io->failed_since, (unsigned long)seconds * HZ));
}

/* A bio that has only found no room (R9) has no error yet, but did not succeed either. */
static void mp_end_failed(struct mp_io *io, blk_status_t status)
{
	mp_uncount_failed(io);
	mp_finish(io, status ?: BLK_STS_IOERR);
}

/*
 * Send a failed bio to another path, or have it verified.  Returns false if memory is short
 * or bios have to wait.
 */
static bool mp_retry(struct mp_io *io)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path;

	if (io->round != READ_ONCE(conf->round)) {	/* pairs with __mp_set_state() */
		if (io->error && mp_is_overdue(io)) {
			mp_end_failed(io, io->error);
			return true;
		}
		mp_new_round(io);
	}

	path = mp_take_retry_path(io);
	if (!path) {
		llist_add(&io->node, &conf->to_verify);
		return true;
	}
	if (IS_ERR(path))
		return false;

	if (!mp_prepare(io, mp_rdev(path)->bdev)) {
		this_cpu_inc(path->tally->not_issued);
		mp_put_path(conf, path, io->ticket);
		return false;
	}
	mp_lower_bio(io)->bi_opf &= ~REQ_NOWAIT;	/* R5 */
	io->path = path;
	mp_uncount_failed(io);
	mp_submit_retry(io);
	return true;
}

/* Returns false if memory is short or bios have to wait. */
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

/* Start the queued bios, the oldest first.  Returns false like mp_retry_failed(). */
static bool mp_start_queued(struct mp_conf *conf)
{
	struct mp_io *io;
	struct bio *bio;

	while ((bio = mp_take_queued(conf))) {
		io = mp_begin(conf, bio, &conf->halted);
		if (!io) {
			mp_put_queued(conf, bio);
			return false;
		}
		mp_submit_retry(io);
		cond_resched();
	}
	return true;
}

/*
 * None of these bios is in flight.  Earlier errors do not matter: all end with the same
 * one.
 */
void mp_fail_waiting(struct mp_conf *conf)
{
	struct llist_node *failed = llist_reverse_order(llist_del_all(&conf->failed));
	struct mp_io *io, *next;
	struct bio *bio;

	llist_for_each_entry_safe(io, next, failed, node) {
		atomic64_inc(&conf->no_path_failures);
		mp_end_failed(io, BLK_STS_IOERR);
		cond_resched();
	}
	while ((bio = mp_take_queued(conf))) {
		atomic64_inc(&conf->no_path_failures);
		bio_io_error(bio);
		cond_resched();
	}
}

void mp_move_to_failed(struct mp_conf *conf, struct llist_head *list)
{
	struct mp_io *io, *next;

	llist_for_each_entry_safe(io, next, llist_del_all(list), node)
		llist_add(&io->node, &conf->failed);
}

static bool mp_can_verify(struct mp_path *path)
{
	return path && mp_path_is_live(path) && READ_ONCE(path->probe_state) == MP_PROBE_IDLE;
}

/* The live path that bios go to first.  It may be gone before it is used. */
static struct mp_path *mp_first_path(struct mp_conf *conf)
{
	struct mp_path *path;

	rcu_read_lock();
	path = mp_choose_path(conf, 0);
	rcu_read_unlock();
	return path;
}

/*
 * The path to probe: the requested one, else the one that bios go to, else any without a
 * probe in flight.
 */
static struct mp_path *mp_find_verify_path(struct mp_conf *conf, struct mp_path *probe_request)
{
	struct mp_path *path;

	if (mp_can_verify(probe_request))
		return probe_request;
	path = mp_first_path(conf);
	if (mp_can_verify(path))
		return path;
	mp_for_each_path(path, conf)
		if (mp_can_verify(path))
			return path;
	return NULL;
}

/*
 * Start a verification (R1) if one is needed.  It cannot start while the array is frozen,
 * or while all live paths have a probe in flight.  retry_work is woken when that ends.
 */
static void mp_start_verify(struct mp_conf *conf)
{
	struct mp_path *probe_request, *path;

	if (conf->verify_path || (llist_empty(&conf->to_verify) && !READ_ONCE(conf->probe_request)))
		return;

	probe_request = xchg(&conf->probe_request, NULL);	/* pairs with mp_request_probe() */
	path = mp_find_verify_path(conf, probe_request);
	if (path && mp_start_probe(path, 0, false)) {
		conf->verify_path = path;
		conf->verify_began = jiffies;
		conf->verify_generation = READ_ONCE(conf->generation);
		conf->verifying.first = llist_del_all(&conf->to_verify);
	} else {
		cmpxchg(&conf->probe_request, NULL, probe_request);
	}
}

/*
 * A verification is void if its path has failed, or if a path has gone live that the bios
 * have not tried.  It is also void if the probe hangs and another path can be probed.
 */
static void mp_cancel_verify(struct mp_conf *conf)
{
	bool hangs = time_after_eq(jiffies, conf->verify_began + MP_VERIFY_INTERVAL);

	if (!conf->verify_path)
		return;
	if (mp_path_is_live(conf->verify_path) &&
	    READ_ONCE(conf->generation) == conf->verify_generation &&
	    !(hangs && mp_find_verify_path(conf, NULL)))
		return;

	conf->verify_path = NULL;
	mp_move_to_failed(conf, &conf->verifying);
	mp_move_to_failed(conf, &conf->to_verify);
}

/* Whether the ALUA state of any path is known. */
static bool mp_any_has_access(const struct mp_conf *conf)
{
	struct mp_path *path;

	mp_for_each_path(path, conf)
		if (READ_ONCE(path->has_access))
			return true;
	return false;
}

/*
 * Whether a bio gets another round because its errors may not be the disk's.  An error from
 * a controller that has just become inactive looks like the disk's error until its state is
 * known.
 */
static bool mp_wants_another_round(const struct mp_io *io)
{
	if (io->second_round)
		return io->path_error && !mp_is_overdue(io);
	return io->path_error || mp_any_has_access(io->conf);
}

/* verify_path works, so the bios' errors are not the path's (R1). */
static void mp_finish_verified(struct mp_conf *conf)
{
	struct mp_io *io, *next;

	llist_for_each_entry_safe(io, next, llist_del_all(&conf->verifying), node) {
		if (!mp_wants_another_round(io)) {
			mp_end_failed(io, io->error);
			continue;
		}
		mp_new_round(io);
		if (!io->second_round)
			llist_add(&io->node, &conf->failed);
		else if (llist_add(&io->node, &conf->paced))
			conf->next_release = jiffies + MP_VERIFY_INTERVAL;
		io->second_round = true;
		cond_resched();
	}
}

static void mp_end_verify(struct mp_conf *conf, const struct mp_path *path,
			  enum mp_probe_state result)
{
	if (path != conf->verify_path || result == MP_PROBE_IDLE)
		return;
	conf->verify_path = NULL;
	if (result == MP_PROBE_OK)
		mp_finish_verified(conf);
	else
		mp_move_to_failed(conf, &conf->verifying);
}

static bool mp_deadline_is_over(const struct mp_conf *conf)
{
	int seconds = READ_ONCE(conf->no_path_retry);

	return seconds == 0 ||
	       (seconds > 0 && mp_is_over(conf->down_since, (unsigned long)seconds * HZ));
}

static void mp_check_deadline(struct mp_conf *conf)
{
	spin_lock_irq(&conf->lock);
	if (conf->state == MP_QUEUEING && mp_deadline_is_over(conf)) {
		__mp_set_state(conf, MP_GIVEN_UP);
		__mp_log(conf, NULL, MP_LOG_GIVEN_UP, (jiffies - conf->down_since) / HZ);
	}
	spin_unlock_irq(&conf->lock);
}

/* No path works: wait for one, or fail what waits. */
static void mp_wait_for_path(struct mp_conf *conf)
{
	mp_move_to_failed(conf, &conf->to_verify);
	mp_move_to_failed(conf, &conf->paced);
	WRITE_ONCE(conf->probe_request, NULL);
	mp_check_deadline(conf);
	if (READ_ONCE(conf->state) == MP_GIVEN_UP)
		mp_fail_waiting(conf);
	mp_probe_live_paths(conf);
}

/* Retry, once a second, the bios whose path works for probes but not for them (R1). */
static void mp_release_paced(struct mp_conf *conf)
{
	if (llist_empty(&conf->paced) || time_before(jiffies, conf->next_release))
		return;
	mp_move_to_failed(conf, &conf->paced);
}

/* The time until retry_work has to run although nothing wakes it, in jiffies. */
static unsigned long mp_next_wakeup(const struct mp_conf *conf)
{
	enum mp_state state = READ_ONCE(conf->state);
	int seconds = READ_ONCE(conf->no_path_retry);
	unsigned long now = jiffies;
	unsigned long until = now + MP_LONG;

	if (state == MP_WORKING && (conf->verify_path || !llist_empty(&conf->paced)))
		until = mp_earlier(until, now + MP_VERIFY_INTERVAL);
	if (state == MP_QUEUEING && seconds >= 0)
		until = mp_earlier(until, conf->down_since + (unsigned long)seconds * HZ);
	if (mp_queue_is_full(conf))
		until = mp_earlier(until, now + MP_SUSPEND_POLL);
	until = mp_next_probe(conf, until);

	if (until == now + MP_LONG)
		return MAX_SCHEDULE_TIMEOUT;
	return time_after(until, now) ? until - now : 1;
}

/*
 * Wake mddev->thread by releasing reconfig_mutex.  md_wakeup_thread() is not safe here:
 * when the array stops, md core of 6.1 frees that thread while this work still runs.  If
 * another task holds the mutex, it wakes md's thread on release, or is stopping the array.
 */
static void mp_wake_md(struct mp_conf *conf)
{
	struct mddev *mddev = conf->mddev;

	/* pairs with mp_path_changed() */
	if (xchg(&conf->md_has_work, false) && mutex_trylock(&mddev->reconfig_mutex))
		mddev_unlock(mddev);
}

/*
 * Each event that gives retry_work something to do wakes it.  Two events are not announced, so
 * it polls: memory becomes free, while a bio waits for it; and md core begins to
 * suspend the array, while submitters wait for room (R5).  It also polls while something
 * waits for the check of a path (R17).
 */
static void mp_retry_work(struct work_struct *work)
{
	struct mp_conf *conf = container_of(work, struct mp_conf, retry_work);
	bool all = true, confirmed;
	unsigned long next;
	struct mp_path *path;
	struct blk_plug plug;

	mp_cancel_verify(conf);
	mp_for_each_path(path, conf)
		mp_end_verify(conf, path, mp_handle_probe(conf, path));
	mp_fail_down_path(conf);
	if (!READ_ONCE(conf->nr_live) && READ_ONCE(conf->state) == MP_WORKING)
		mp_enter_no_path(conf, NULL);
	mp_probe_failed_paths(conf);
	mp_probe_suspect_paths(conf);
	mp_search(conf);
	confirmed = mp_end_confirmation(conf);
	mp_wake_md(conf);

	if (READ_ONCE(conf->state) != MP_WORKING) {
		mp_wait_for_path(conf);
	} else if (!READ_ONCE(conf->halted)) {
		mp_release_paced(conf);
		blk_start_plug(&plug);
		all = mp_retry_failed(conf);
		all &= mp_start_queued(conf);
		blk_finish_plug(&plug);
		all &= confirmed;
		mp_start_verify(conf);
		mp_check_paths_at_rest(conf);
		if (all)
			conf->confirming = false;
		else
			mp_confirm_paths(conf);
	}
	mp_submit_probes(conf);
	if (READ_ONCE(conf->blocked) && !mp_is_crowded(conf))
		mp_update_blocked(conf);
	mp_wake_submitters(conf);
	next = all ? mp_next_wakeup(conf) : MP_POLL;
	if (next != MAX_SCHEDULE_TIMEOUT)
		mod_delayed_work(mp_retry_wq, &conf->retry_later, next);
}

static void mp_retry_later_work(struct work_struct *work)
{
	mp_wake_retry_work(container_of(work, struct mp_conf, retry_later.work));
}

void mp_init_retry_work(struct mp_conf *conf)
{
	INIT_WORK(&conf->retry_work, mp_retry_work);
	INIT_DELAYED_WORK(&conf->retry_later, mp_retry_later_work);
}

void mp_start_retry_work(struct mp_conf *conf)
{
	WRITE_ONCE(conf->retry_wq, mp_retry_wq);
	mp_wake_retry_work(conf);
}

/*
 * After the grace period nobody queues it any more:
 *
 *	CPU0 here			CPU1 mp_wake_retry_work()
 *					reads retry_wq
 *	retry_wq = NULL
 *	synchronize_rcu()
 *	  waits for CPU1		queues the work
 *	cancels it
 */
void mp_stop_retry_work(struct mp_conf *conf)
{
	WRITE_ONCE(conf->retry_wq, NULL);
	synchronize_rcu();
	cancel_work_sync(&conf->retry_work);
	cancel_delayed_work_sync(&conf->retry_later);
}

/* They run on any CPU, and no more of them at a time than is useful. */
int mp_create_retry_workqueue(void)
{
	mp_retry_wq = alloc_workqueue("mp_retry", WQ_UNBOUND | WQ_MEM_RECLAIM,
				      max(MP_MIN_RETRIES, num_possible_cpus()));
	return mp_retry_wq ? 0 : -ENOMEM;
}

void mp_destroy_retry_workqueue(void)
{
	destroy_workqueue(mp_retry_wq);
}

void mp_set_no_path_retry(struct mp_conf *conf, int seconds)
{
	spin_lock_irq(&conf->lock);
	WRITE_ONCE(conf->no_path_retry, seconds);
	if (conf->state == MP_GIVEN_UP && !mp_deadline_is_over(conf))
		__mp_set_state(conf, MP_QUEUEING);
	spin_unlock_irq(&conf->lock);
	mp_wake_retry_work(conf);
}

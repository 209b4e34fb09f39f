// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Queued bios: master bios that have no record yet, because no path works, the array is
 * frozen, or there is no memory for a record
 *
 *    multipath_make_request() --mp_queue_bio()--> queued --mp_take_queued()--> retry_work
 *               ^                    |
 *               |                    | full
 *               |                    v
 *            md core <--false-- mp_wait_for_room()
 *
 * The queued bios and the failed ones that wait for a retry are together at most
 * MP_MAX_QUEUED, with MP_MAX_QUEUED_BYTES of data, but for those that were at a path when
 * the limit was reached.  The path's own queue bounds these.
 */

#include <linux/blkdev.h>
#include <linux/percpu-refcount.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>
#include "md.h"
#include "multipath.h"

/* How long a submitter sleeps at most before md core calls it again. */
#define MP_ROOM_TIMEOUT		HZ

/* The memory that a queued bio keeps in use; a discard has a length, but no data. */
static unsigned int mp_data_bytes(struct bio *bio)
{
	return bio_has_data(bio) ? bio->bi_iter.bi_size : 0;
}

/* A bio enters or leaves mp_conf::queued. */
static void __mp_count_queued(struct mp_conf *conf, struct bio *bio, int change)
{
	lockdep_assert_held(&conf->lock);

	/* pairs with mp_queue_is_full() */
	WRITE_ONCE(conf->nr_queued, conf->nr_queued + change);
	WRITE_ONCE(conf->queued_bytes, conf->queued_bytes + change * (long)mp_data_bytes(bio));
}

struct bio *mp_take_queued(struct mp_conf *conf)
{
	struct bio *bio;

	spin_lock_irq(&conf->lock);
	bio = bio_list_pop(&conf->queued);
	if (bio)
		__mp_count_queued(conf, bio, -1);
	spin_unlock_irq(&conf->lock);
	return bio;
}

void mp_put_queued(struct mp_conf *conf, struct bio *bio)
{
	spin_lock_irq(&conf->lock);
	bio_list_add_head(&conf->queued, bio);
	__mp_count_queued(conf, bio, 1);
	spin_unlock_irq(&conf->lock);
}

/* A bio that went down in place has lost its size until mp_prepare() restores it. */
static long mp_failed_bytes(const struct mp_io *io)
{
	blk_opf_t op = (io->cloned ? io->master->bi_opf : io->opf) & REQ_OP_MASK;

	if (op != REQ_OP_READ && op != REQ_OP_WRITE)
		return 0;
	return io->cloned ? io->master->bi_iter.bi_size : io->iter.bi_size;
}

/*
 * Failed bios count towards what may wait, because submission goes on until the array knows
 * that its last path does not work, and as long as a path works for probes alone.
 *
 * retry_work may clear blocked just after it was seen here; the next failed bio sets
 * it again.  Or blocked is set here just after retry_work has looked.  Then
 * mp_hand_over(), which calls this, wakes it once more, and it looks again.
 */
void mp_count_failed(struct mp_io *io)
{
	struct mp_conf *conf = io->conf;

	atomic_inc(&conf->nr_failed);
	atomic_long_add(mp_failed_bytes(io), &conf->failed_bytes);
	if (unlikely(mp_is_crowded(conf) && !READ_ONCE(conf->blocked)))
		mp_update_blocked(conf);
}

void mp_uncount_failed(struct mp_io *io)
{
	atomic_dec(&io->conf->nr_failed);
	atomic_long_sub(mp_failed_bytes(io), &io->conf->failed_bytes);
}

/* Whether a submitter that found the queue full has something better to do than to wait. */
static bool mp_may_submit_again(const struct mp_conf *conf)
{
	return !mp_queue_is_full(conf) || READ_ONCE(conf->state) == MP_GIVEN_UP ||
	       percpu_ref_is_dying(&conf->mddev->active_io);
}

/*
 * Wait, in make_request, until the queue has room.
 *
 * md core kills active_io when it begins to suspend the array, and nothing wakes us for
 * that.  retry_work looks for it while the queue is full, so that one task polls and
 * not each submitter.  The last bio that fills the queue wakes it.
 *
 *	CPU0 mddev_suspend()		CPU1 here		CPU2 retry_work
 *					active_io taken
 *					full: sleeps
 *	kills active_io
 *	waits for 0						dying: wakes CPU1
 *					returns false
 *					active_io dropped
 *	0: adds a path			waits for resume
 *
 * A submitter that comes later finds active_io dead in md core, or dying here, and does not
 * sleep.  In both cases it waits in md core, without active_io, so it does not spin.
 *
 * Direct I/O belongs to the task that submits it, so a task that is killed stops waiting,
 * and mp_queue_bio() fails the bio.  Other bios may carry what is not this task's own: a
 * page of a file or of swap space, or a file system's metadata.  They wait until there is
 * room.  The timeout only keeps the hung-task detector quiet.
 */
static void mp_wait_for_room(struct mp_conf *conf, struct bio *bio)
{
	if (bio_flagged(bio, BIO_PAGE_PINNED))
		wait_event_killable_timeout(conf->room, mp_may_submit_again(conf), MP_ROOM_TIMEOUT);
	else
		wait_event_timeout(conf->room, mp_may_submit_again(conf), MP_ROOM_TIMEOUT);
}

void mp_wake_submitters(struct mp_conf *conf)
{
	/* pairs with mp_wait_for_room() */
	if (wq_has_sleeper(&conf->room) && mp_may_submit_again(conf))
		wake_up(&conf->room);
}

/*
 * Memory reclaim does not wait, because retry_work or a new path may need memory.  It
 * writes pages that exist already, so their number is limited.
 */
static bool mp_has_to_wait_for_room(const struct mp_conf *conf)
{
	return mp_queue_is_full(conf) && !(current->flags & PF_MEMALLOC);
}

static bool mp_is_killed(struct bio *bio)
{
	return bio_flagged(bio, BIO_PAGE_PINNED) && fatal_signal_pending(current);
}

/*
 * Some bios fail instead of being queued: those with REQ_NOWAIT (R5), and all bios once the
 * array has given up (R8).  Readahead without a path fails too, because no program waits
 * for it.
 */
static blk_status_t __mp_check_queueable(const struct mp_conf *conf, const struct bio *bio)
{
	lockdep_assert_held(&conf->lock);

	if (conf->state == MP_GIVEN_UP)
		return BLK_STS_IOERR;
	if (bio->bi_opf & REQ_NOWAIT)
		return BLK_STS_AGAIN;
	if (conf->state == MP_QUEUEING && (bio->bi_opf & REQ_RAHEAD))
		return BLK_STS_IOERR;
	return BLK_STS_OK;
}

static void mp_fail_unqueued(struct bio *bio, blk_status_t status)
{
	if (status == BLK_STS_AGAIN)
		bio_set_flag(bio, BIO_QUIET);
	bio->bi_status = status;
	bio_endio(bio);
}

bool mp_queue_bio(struct mp_conf *conf, struct bio *bio)
{
	bool waits_for_path, full = false;
	unsigned long flags;
	blk_status_t status;

	spin_lock_irqsave(&conf->lock, flags);
	waits_for_path = conf->state != MP_WORKING;
	status = __mp_check_queueable(conf, bio);
	if (!status) {
		full = mp_has_to_wait_for_room(conf);
		if (!full) {
			bio_list_add(&conf->queued, bio);
			__mp_count_queued(conf, bio, 1);
		} else if (mp_is_killed(bio)) {
			status = BLK_STS_IOERR;
		}
	}
	spin_unlock_irqrestore(&conf->lock, flags);

	if (full && !status) {
		mp_wait_for_room(conf, bio);
		return false;
	}
	if (waits_for_path && status != BLK_STS_AGAIN)
		atomic64_inc(status ? &conf->no_path_failures : &conf->requeues);
	/* retry_work is woken only once the bio is on the list. */
	if (status)
		mp_fail_unqueued(bio, status);
	else
		mp_wake_retry_work(conf);
	return true;
}

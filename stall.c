// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a path respond?
 *
 * stall_work looks for paths that keep their bios and report nothing.  R13 avoids them.
 */

#include <linux/blkdev.h>
#include "md.h"
#include "multipath.h"
#include "trace.h"

/* How often stall_work checks a path within stall_timeout. */
#define MP_STALL_CHECKS		4

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
 * left.  md is not informed, and no bio is sent elsewhere.  The device may still write to
 * the bios' pages, or write their data to the disk (see Order, in io.c).
 *
 * A bio that reads the epoch just before a swap is counted in the older epoch a moment
 * later. So it seems older than it is, by one interval at most.
 */
static void mp_check_stalled(struct mp_path *path, const struct md_rdev *rdev,
			     unsigned long timeout)
{
	unsigned int older = !path->epoch;
	const char *name = mdname(path->conf->mddev);
	bool stalled = test_bit(MP_STALLED, &path->demerits);
	struct mp_tally total = mp_total(path);
	unsigned long completed = total.ended[0] + total.ended[1] - total.not_issued;

	/*
	 * It can decrease for a moment: a bio is counted in not_issued before it is counted
	 * in ended.
	 */
	if ((long)(completed - path->completed) > 0) {
		path->completed = completed;
		path->silent_since = jiffies;
	}
	if (total.begun[older] == total.ended[older]) {
		if (!stalled && total.begun[path->epoch] == total.ended[path->epoch])
			return;
		clear_bit(MP_STALLED, &path->demerits);	/* pairs with mp_rank() */
		WRITE_ONCE(path->epoch, older);		/* pairs with mp_count() */
		path->silent_since = jiffies;
		if (stalled && mp_rdev_live(rdev))
			pr_info_ratelimited("md/multipath:%s: path %pg responds again\n",
					    name, rdev->bdev);
	} else if (!stalled && mp_is_over(path->silent_since, timeout)) {
		set_bit(MP_STALLED, &path->demerits);	/* pairs with mp_rank() */
		trace_path_stalled(disk_devt(path->conf->mddev->gendisk), rdev->bdev->bd_dev,
				   jiffies_to_msecs(jiffies - path->silent_since));
		if (mp_rdev_live(rdev))
			pr_warn_ratelimited("md/multipath:%s: path %pg has not responded for %u ms: new I/O avoids it while another path is live\n",
					    name, rdev->bdev,
					    jiffies_to_msecs(jiffies - path->silent_since));
	}
}

void mp_stall_work(struct work_struct *work)
{
	struct mp_conf *conf = container_of(work, struct mp_conf, stall_work.work);
	unsigned long timeout = msecs_to_jiffies(READ_ONCE(conf->stall_timeout));
	struct mp_path *path;

	rcu_read_lock();
	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = rcu_dereference(path->rdev);

		if (rdev && timeout)
			mp_check_stalled(path, rdev, timeout);
		else
			clear_bit(MP_STALLED, &path->demerits);	/* pairs with mp_rank() */
	}
	rcu_read_unlock();
	if (timeout)
		queue_delayed_work(system_long_wq, &conf->stall_work,
				   timeout / MP_STALL_CHECKS + 1);
}

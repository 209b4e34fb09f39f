// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checks of paths at rest: those that are due, and those that something waits for (R17)
 *
 *   check_due	     stall_work: the path has done nothing for check_interval
 *   confirm_due     stall_work: bios prefer the path by now, but do not wait for it
 *   bios	     that have failed or are queued, and can go nowhere else
 *   sb_dirty	     a path has changed: md core writes the superblock to all live paths
 *
 * check.c says what a path at rest is, and what a check does.
 */

#include <linux/blkdev.h>
#include "md.h"
#include "multipath.h"

/* For how long bios wait for the checks of all live paths until none of them works, in jiffies. */
#define MP_CONFIRM_TIME		(5 * HZ)

/* How much later than the last check another one that something waits for may begin, in jiffies. */
#define MP_CONFIRM_PAUSE	(HZ / 10)

/*
 * Something waits for the path.  If its check takes long, stall_work lets bios go to another path.
 * In an RCU section.
 */
static void mp_confirm_path(struct mp_path *path)
{
	if (mp_next_check(path) == MP_CHECK_READ) {
		/* Nothing tells any longer which disk it leads to. */
		mp_clear_unconfirmed(path);
		return;
	}
	WRITE_ONCE(path->awaited, true);
	if (mp_is_over(path->probe_began, MP_CONFIRM_PAUSE))
		mp_start_check_at_rest(path, true);
}

static bool mp_is_unconfirmed(struct mp_path *path)
{
	return test_bit(MP_UNCONFIRMED, &path->demerits) && mp_path_is_live(path);
}

void mp_check_paths_at_rest(struct mp_conf *conf)
{
	struct mp_path *path;
	bool check, confirm;

	rcu_read_lock();
	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = rcu_dereference(path->rdev);

		/* pairs with mp_update_rest() */
		check = READ_ONCE(path->check_due) &&
			READ_ONCE(path->probe_state) == MP_PROBE_IDLE &&
			mp_may_check_at_rest() && xchg(&path->check_due, false);
		confirm = READ_ONCE(path->confirm_due) && xchg(&path->confirm_due, false);
		if (rdev && confirm && mp_is_unconfirmed(path))
			mp_confirm_path(path);
		else if (rdev && check)
			mp_start_check_at_rest(path, false);
	}
	rcu_read_unlock();
}

static bool mp_any_unconfirmed(struct mp_conf *conf)
{
	struct mp_path *path;

	mp_for_each_path(path, conf)
		if (mp_is_unconfirmed(path))
			return true;
	return false;
}

void mp_confirm_paths(struct mp_conf *conf)
{
	struct mp_path *path;
	bool any;

	rcu_read_lock();
	mp_for_each_path(path, conf)
		if (rcu_dereference(path->rdev) && mp_is_unconfirmed(path))
			mp_confirm_path(path);
	any = mp_choose_path(conf, 0);
	rcu_read_unlock();

	if (any || !conf->confirming) {
		conf->confirming = !any;
		conf->confirming_since = jiffies;
	} else if (mp_is_over(conf->confirming_since, MP_CONFIRM_TIME)) {
		conf->confirming = false;
		mp_enter_no_path(conf, NULL);
	}
}

/*
 * When a path has failed or was reinstated, md core writes the superblock to all live paths, also
 * to one at rest that leads to another disk by now.  So such a path is checked before md core is
 * told to.  It also writes the superblock when it removes a path whose device is gone, or uses a
 * spare.  But while no path works, it is told to use a spare at once, which may work.
 *
 * A failure that is announced meanwhile is not missed, because it has set MP_UNCONFIRMED under
 * the lock before:
 *
 *	CPU0 here			CPU1 a path fails
 *					locked: sets MP_UNCONFIRMED, the path fails
 *	locked: sb_dirty?
 *					sb_dirty = true
 *	unconfirmed: waits
 *	else sb_dirty = false,
 *	and md core writes both
 */
bool mp_end_confirmation(struct mp_conf *conf)
{
	bool unconfirmed;

	spin_lock_irq(&conf->lock);
	unconfirmed = mp_any_unconfirmed(conf);
	/* Both pair with mp_path_changed(). */
	if (READ_ONCE(conf->sb_dirty) && !unconfirmed) {
		WRITE_ONCE(conf->sb_dirty, false);
		set_bit(MD_SB_CHANGE_DEVS, &conf->mddev->sb_flags);
		WRITE_ONCE(conf->md_has_work, true);
	}
	if (READ_ONCE(conf->recovery_due) && (!unconfirmed || conf->state != MP_WORKING)) {
		WRITE_ONCE(conf->recovery_due, false);
		set_bit(MD_RECOVERY_NEEDED, &conf->mddev->recovery);
		WRITE_ONCE(conf->md_has_work, true);
	}
	spin_unlock_irq(&conf->lock);
	return !READ_ONCE(conf->sb_dirty) && !READ_ONCE(conf->recovery_due);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paths at rest
 *
 * Most paths of a disk do no I/O most of the time: the second path with policy failover, the
 * paths to a standby controller, all paths of an idle array.  No error shows that such a path
 * is dead, or that its LUN is another disk by now.
 *
 * R17. A live path that has completed no I/O for check_interval is checked, and again after
 * each further check_interval.  If it does not work, or leads to another disk, it fails.  And
 * a path at rest is confirmed before a failover uses it: while the check runs, bios wait.
 * With ALUA, every second regular check queries the state instead of the disk.
 *
 *    in use --a look finds no I/O since the last one, and bios prefer another path--> at rest
 *      ^                                                                                |
 *      +-- it leads to our disk --- checked <--- bios choose it, and wait --------------+
 *                                      |
 *              failed <-- another disk-+
 *
 * What a check is.  It is one command, and has to answer two questions: does the path work,
 * and which disk does it lead to?
 *
 *   SCSI, with an ID	INQUIRY for VPD page 83h.  It goes all the way to the LUN, also to one
 *			behind a standby controller, and is the only command that tells a
 *			snapshot from its origin.  But a LUN may answer it and refuse to read.
 *   ALUA		TEST UNIT READY, every second time (R14).  It shows whether the path works,
 *			and whether states have changed.
 *   superblock		One read of it: see mp_check_superblock().
 *   neither		A probe, as for a failed path.
 *
 * A read alone would not do: a LUN that was mapped in place of ours reads as well.  INQUIRY
 * alone finds a path that cannot read only when it is used, and then its I/O is retried, so
 * nothing is lost.  The kernel compares the identity of an NVMe namespace itself, and removes
 * a namespace that has become another one.
 *
 * When a check is due.  stall_work looks at each path anyway and compares the counters, so a
 * path that does I/O is never checked.  The time of the first check is as random as the end of
 * I/O.  If I/O ends on many paths at once, the second and the third check of each are earlier by
 * up to half an interval, which depends on the number of the array.  So the checks of many arrays
 * are spread, and stay spread.  Paths of one array whose I/O ended at the same time are checked at
 * the same time, so an array at rest wakes a CPU little more often than for one path.
 *
 * Bios that choose a path at rest.  A path at rest has the demerit MP_UNCONFIRMED, unless bios
 * prefer it.  (An array that is idle as a whole does not delay the next bio.)  The demerit is
 * set long before the other path fails, so a failover cannot miss it:
 *
 *	CPU0 stall_work		CPU1 completion		CPU2 submission
 *	B: MP_UNCONFIRMED
 *				path A fails
 *							chooses B: waits
 *
 * mp_choose_path() returns no such path.  A new bio is queued then, and one that is retried
 * stays in the list of failed bios.  retry_work has all such paths checked, and goes on
 * when the first one is confirmed.  While a check takes long, the path is stalled, so that bios
 * choose another one (R15).  Bios cost nothing extra: they always read a path's demerits.
 *
 * With the other policies, all paths of the lowest rank are preferred, and none of them waits.
 * There __mp_set_failed() sets the demerit of those at rest, when another one fails.  So what
 * an array that was idle as a whole does first goes over paths whose last check can be as old
 * as check_interval, and with ALUA twice as old.  (The same is true of the first path with
 * policy failover.)
 *
 * When a path fails or is reinstated, md core writes the superblock to all live paths.  That
 * waits for the checks too: see confirm.c.  Other superblocks do not wait: md core writes them
 * before it calls the driver, or with the array frozen, when the administrator adds or removes a
 * path, or sets the number of slots, the size, or write-mostly.
 *
 * A live path that leads to another disk fails also if it is the last one.  Otherwise md core
 * would write the superblock to the other disk at the next change.  Without an ID, nothing tells
 * another disk from ours with an overwritten superblock, and both stop the array.
 *
 * A query of the ID is an object of its own, see mp_query_work().  It does not count as in flight,
 * so neither removal of the path nor --stop waits for it.
 */

#include <linux/blkdev.h>
#include <linux/hash.h>
#include "md.h"
#include "multipath.h"

/* How many checks after the last I/O are early, so that those of all arrays are spread. */
#define MP_EARLY_CHECKS		2

/* By how much they are earlier than those of other arrays, in jiffies. */
static unsigned long mp_check_phase(const struct mp_conf *conf, unsigned long interval)
{
	dev_t md = disk_devt(conf->mddev->gendisk);

	return (u64)(interval / MP_EARLY_CHECKS) * hash_32(md, 8) >> 8;
}

/* An inactive controller may refuse to read. */
static bool mp_can_read_superblock(const struct mp_path *path)
{
	return mp_has_superblock(path->conf->mddev) && !test_bit(MP_INACTIVE, &path->demerits);
}

enum mp_check mp_next_check(const struct mp_path *path)
{
	if (mp_has_id_query(path))
		return MP_CHECK_ID;
	return mp_can_read_superblock(path) ? MP_CHECK_SUPERBLOCK : MP_CHECK_READ;
}

/* A path that has I/O in flight is not at rest: mp_check_path_responds() looks at it. */
static bool mp_has_io(struct mp_path *path, const struct mp_tally *total)
{
	unsigned long ios = total->ended[0] + total->ended[1];

	smp_rmb();	/* pairs with mp_return_probe() */
	ios -= READ_ONCE(path->probes);
	/* It can decrease for a moment, like mp_path::completed. */
	if ((long)(ios - path->ios_seen) > 0) {
		path->ios_seen = ios;
		return true;
	}
	return mp_tally_in_flight(total) != mp_checks_in_flight(path);
}

/* Bios that wait for the path, or for another one, go on. */
static void mp_leave_rest(struct mp_path *path)
{
	WRITE_ONCE(path->idle, false);
	if (!test_bit(MP_UNCONFIRMED, &path->demerits))
		return;
	mp_clear_unconfirmed(path);
	mp_wake_retry_work(path->conf);
}

/*
 * A path can become a preferred one while another one of its rank does all I/O, as after a change
 * of its ALUA state.  Then no bio chooses it, and waits for its check.
 */
static void mp_mark_at_rest(struct mp_path *path)
{
	struct mp_conf *conf = path->conf;
	bool preferred = mp_is_preferred(conf, path);

	/* While md core waits (mp_end_confirmation()), a path that was checked stays confirmed. */
	if (mp_next_check(path) != MP_CHECK_READ && !READ_ONCE(conf->sb_dirty) &&
	    !READ_ONCE(conf->recovery_due)) {
		WRITE_ONCE(path->idle, true);	/* pairs with __mp_set_failed() */
		if (!preferred)
			set_bit(MP_UNCONFIRMED, &path->demerits);	/* pairs with mp_rank() */
	}
	if (preferred && test_bit(MP_UNCONFIRMED, &path->demerits)) {
		/* pairs with mp_check_paths_at_rest() */
		WRITE_ONCE(path->confirm_due, true);
		mp_wake_retry_work(conf);
	}
}

/*
 * Whether this check is a query of the ALUA state instead of one of the ID.  If the state of one
 * path has changed, those of all paths are queried.
 */
static bool mp_is_turn_of_access(struct mp_path *path)
{
	const struct mp_tracker *tracker = rcu_dereference(path->tracker);

	return (path->slot + path->rest_checks++) % 2 && tracker && READ_ONCE(path->has_access) &&
	       READ_ONCE(tracker->state) == MP_TRACKER_IDLE;
}

bool mp_update_rest(struct mp_path *path, const struct md_rdev *rdev,
		    const struct mp_tally *total)
{
	struct mp_conf *conf = path->conf;
	unsigned long interval = mp_check_interval(conf);
	bool has_io = mp_has_io(path, total);

	if (!interval)
		mp_leave_rest(path);
	if (has_io || !interval || !mp_rdev_live(rdev)) {
		WRITE_ONCE(path->idle, false);
		WRITE_ONCE(path->check_due, false);
		path->rested_since = jiffies;
		path->early_checks = 0;
		return has_io;
	}
	mp_mark_at_rest(path);
	if (!mp_is_over(path->rested_since, interval))
		return false;
	path->rested_since = jiffies;
	if (path->early_checks < MP_EARLY_CHECKS) {
		path->early_checks++;
		path->rested_since -= mp_check_phase(conf, interval);
	}
	if (mp_is_turn_of_access(path)) {
		mp_query_access_soon(path);
		return false;
	}
	/* pairs with mp_check_paths_at_rest() */
	WRITE_ONCE(path->check_due, true);
	mp_wake_retry_work(conf);
	return false;
}

/*
 * Bios may go to a path at rest again, if they wait for that: a check that is only due leaves
 * the path as it is.  A path that works again after none did was checked as a whole.
 */
void mp_mark_confirmed(struct mp_path *path, enum mp_probe_state result)
{
	if (mp_was_at_rest(path) ? !path->probe_confirms : result != MP_PROBE_SAME_DISK)
		return;
	WRITE_ONCE(path->idle, false);	/* pairs with __mp_set_failed() */
	mp_clear_unconfirmed(path);
}

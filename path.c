// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * path.c: the state of a path, and of the array as far as it follows from it; slots; uevents
 */

#include <linux/blkdev.h>
#include <linux/kobject.h>
#include <linux/sysfs.h>
#include "md.h"
#include "multipath.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Who fails so soon after its return flaps, and is held out: the first time, at most. */
#define MP_FLAPS_WITHIN		(60 * HZ)
#define MP_MIN_HOLD		(2UL * HZ)
#define MP_MAX_HOLD		(300UL * HZ)

/* Everything that is counted from the paths' states is counted here. */
void __mp_count_paths(struct mp_conf *conf)
{
	struct mp_path *path;
	unsigned int live = 0;

	lockdep_assert_held(&conf->lock);

	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = mp_rdev(path);

		if (rdev && mp_rdev_live(rdev))
			live++;
	}
	/* pairs with mp_is_last_path() */
	WRITE_ONCE(conf->nr_live, live);
	conf->mddev->degraded = conf->nr_paths - live;
}

/* The size that the disk has over the paths in use: it may have grown. */
sector_t mp_live_sectors(struct mp_conf *conf)
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
void __mp_set_blocked(struct mp_conf *conf)
{
	lockdep_assert_held(&conf->lock);

	/* pairs with mp_take_path(), mp_put_path() */
	WRITE_ONCE(conf->blocked, conf->freeze_depth || conf->state != MP_WORKING);
}

void __mp_set_state(struct mp_conf *conf, enum mp_state state)
{
	lockdep_assert_held(&conf->lock);

	if (state == MP_WORKING) {
		WRITE_ONCE(conf->round, conf->round + 1);	/* pairs with mp_retry() */
		schedule_work(&conf->uevent_work);		/* what it has put off */
	} else if (conf->state == MP_WORKING) {
		conf->down_since = jiffies;
	}
	WRITE_ONCE(conf->state, state);
	__mp_set_blocked(conf);
}

/* A path goes live: what anybody thinks of it from before counts no more. */
static void __mp_set_live(struct mp_path *path, struct md_rdev *rdev)
{
	struct mp_conf *conf = path->conf;

	lockdep_assert_held(&conf->lock);

	WRITE_ONCE(path->auto_reinstate, false);
	clear_bit(MP_STALLED, &path->demerits);
	WRITE_ONCE(conf->generation, conf->generation + 1);
	WRITE_ONCE(path->joined, conf->generation);	/* pairs with mp_suspect_ambiguous_paths() */
	clear_bit(Faulty, &rdev->flags);
	set_bit(In_sync, &rdev->flags);
	__mp_count_paths(conf);
	if (conf->state != MP_WORKING)
		__mp_set_state(conf, MP_WORKING);
}

/* A path fails.  Unless a user has asked for it, a probe may bring it back (R11). */
void __mp_set_failed(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason)
{
	struct mp_conf *conf = path->conf;
	unsigned long now = jiffies;

	lockdep_assert_held(&conf->lock);

	clear_bit(In_sync, &rdev->flags);
	set_bit(Faulty, &rdev->flags);
	__mp_count_paths(conf);

	if (!path->was_reinstated || time_after(now, path->reinstated_at + MP_FLAPS_WITHIN))
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
	WRITE_ONCE(path->auto_reinstate, reason != MP_BY_ADMIN);
	trace_path_failed(disk_devt(conf->mddev->gendisk), rdev->bdev->bd_dev, reason,
			  blk_status_to_errno(READ_ONCE(path->last_error)), conf->nr_live);
}

/* Have a path probed: there is reason to think that it does not work.  Any context. */
void mp_request_probe(struct mp_path *path)
{
	WRITE_ONCE(path->conf->probe_request, path);	/* pairs with mp_start_verify() */
	md_wakeup_thread(path->conf->retry_thread);
}

/* All that its CPUs have counted. */
struct mp_tally mp_total(const struct mp_path *path)
{
	struct mp_tally total = { };
	int cpu, epoch;

	for_each_possible_cpu(cpu) {
		const struct mp_tally *tally = per_cpu_ptr(path->tally, cpu);

		for (epoch = 0; epoch < 2; epoch++) {
			total.begun[epoch] += READ_ONCE(tally->begun[epoch]);
			total.ended[epoch] += READ_ONCE(tally->ended[epoch]);
		}
		total.not_issued += READ_ONCE(tally->not_issued);
	}
	return total;
}

/* Bios that ever began at a slot's paths. */
unsigned long mp_ios(const struct mp_path *path)
{
	struct mp_tally total = mp_total(path);

	return total.begun[0] + total.begun[1];
}

/* Exact once no bio can be added: after a grace period with gate or slot shut. */
long mp_in_flight(const struct mp_path *path)
{
	struct mp_tally total = mp_total(path);

	return total.begun[0] - total.ended[0] + total.begun[1] - total.ended[1];
}

/*
 * A path failed or came back: have md core write it down, and say so to who waits.
 * md's thread is the retry thread's to wake, see mp_wake_md().  It is not told to
 * look at the paths (MD_RECOVERY_NEEDED), for which it would suspend the array, but
 * when there is one to let go.
 */
void mp_path_changed(struct mp_conf *conf, struct md_rdev *rdev)
{
	struct mddev *mddev = conf->mddev;

	set_bit(MD_SB_CHANGE_DEVS, &mddev->sb_flags);
	if (is_rdev_broken(rdev))
		set_bit(MD_RECOVERY_NEEDED, &mddev->recovery);
	WRITE_ONCE(conf->md_has_work, true);	/* pairs with mp_wake_md() */
	if (rdev->sysfs_state)
		sysfs_notify_dirent(rdev->sysfs_state);
	md_new_event();
	schedule_work(&conf->uevent_work);
	/* A trial may have been about to use it; a probe is to be planned. */
	md_wakeup_thread(conf->retry_thread);
}

void mp_log_failed(const struct mp_conf *conf, const struct mp_path *path,
			  const struct md_rdev *rdev)
{
	pr_crit("md/multipath:%s: path %pg failed; I/O continues on %u of %u paths\n",
		mdname(conf->mddev), rdev->bdev, READ_ONCE(conf->nr_live),
		READ_ONCE(conf->nr_paths));
	if (path->auto_reinstate && path->hold)
		pr_warn("md/multipath:%s: path %pg is flapping: not reinstated for %lu s while another path works\n",
			mdname(conf->mddev), rdev->bdev, path->hold / HZ);
}

/*
 * Fail a path for an error of I/O, unless it is the last (R3).  Not by way of
 * md_error(): that is how mdadm --fail comes, see multipath_error().
 *
 * Context: any; the caller has the path's in_flight raised, or is in an RCU
 * section.
 */
void mp_fail_path(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason)
{
	struct mp_conf *conf = path->conf;
	bool failed = false;
	unsigned long flags;

	if (!mp_rdev_live(rdev))
		return;
	if (mp_is_last_path(conf)) {
		mp_request_probe(path);
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
		mp_log_failed(conf, path, rdev);
	}
}

/*
 * Have the disk be asked of the path now, and not in its time.  Any context, in an RCU
 * section or with in_flight raised: so multipath_free(), which shuts the gate and
 * waits for both, has nobody queue the work after that.
 */
void mp_query_access_soon(struct mp_path *path)
{
	if (READ_ONCE(path->has_access) && !READ_ONCE(path->conf->freeze_depth))
		mod_delayed_work(path->conf->check_wq, &path->access_work, 0);
}

/*
 * Fail a path for what may be its controller's doing (R14): a path that the disk says
 * something of gets no bio, unless no other is left, until the disk has been asked.
 *
 * Context: as mp_fail_path().
 */
void mp_suspect_path(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason)
{
	if (!READ_ONCE(path->has_access) || mp_is_last_path(path->conf)) {
		mp_fail_path(path, rdev, reason);
	} else if (mp_rdev_live(rdev)) {
		WRITE_ONCE(path->suspect_reason, reason);	/* pairs with mp_access_work() */
		set_bit(MP_INACTIVE, &path->demerits);
		mp_query_access_soon(path);
	}
}

/* It may fail, or go, at any time after it. */
bool mp_path_is_live(struct mp_path *path)
{
	struct md_rdev *rdev;
	bool live;

	rcu_read_lock();
	rdev = rcu_dereference(path->rdev);
	live = rdev && mp_rdev_live(rdev);
	rcu_read_unlock();
	return live;
}

/* A failed path works, and leads to our disk: use it, if nobody has taken it out. */
void mp_reinstate_path(struct mp_conf *conf, struct mp_path *path, struct md_rdev *rdev)
{
	bool back = false;

	spin_lock_irq(&conf->lock);
	if (path->auto_reinstate && !path->removing) {
		path->was_reinstated = true;
		path->reinstated_at = jiffies;
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
		mp_query_access_soon(path);
		pr_info("md/multipath:%s: path %pg reinstated; %u of %u paths in use\n",
			mdname(conf->mddev), rdev->bdev, READ_ONCE(conf->nr_live),
			READ_ONCE(conf->nr_paths));
	}
}

/* The slot that a device has; NULL for a spare. */
struct mp_path *__mp_path_of(struct mp_conf *conf, const struct md_rdev *rdev)
{
	struct mp_path *path;

	lockdep_assert_held(&conf->lock);

	mp_for_each_path(path, conf)
		if (mp_rdev(path) == rdev)
			return path;
	return NULL;
}

/*
 * Put a path into a slot; I/O may go to it from here on, if it is in sync.  When
 * none worked before, the bios that wait are the retry thread's to start.
 */
void mp_fill_slot(struct mp_conf *conf, struct mp_path *path,
			 struct md_rdev *rdev, bool in_sync)
{
	path->node = bdev_get_queue(rdev->bdev)->node;
	path->wrong_disk_logged = false;
	path->probe_read_failed = false;
	spin_lock_irq(&conf->lock);
	path->was_reinstated = false;
	path->reason = MP_NO_REASON;
	path->failures = 0;
	path->reinstatements = 0;
	path->ios_before = mp_ios(path);
	WRITE_ONCE(path->last_error, BLK_STS_OK);
	WRITE_ONCE(path->auto_reinstate, false);
	WRITE_ONCE(path->removing, false);
	WRITE_ONCE(path->has_access, false);
	WRITE_ONCE(path->access, 0);
	WRITE_ONCE(path->suspect_reason, MP_NO_REASON);
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
struct mp_path *mp_free_slot(struct mp_conf *conf, const struct md_rdev *rdev)
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

static void mp_send_uevent(struct mp_conf *conf, const char *name, bool live)
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
void mp_uevent_work(struct work_struct *work)
{
	struct mp_conf *conf = container_of(work, struct mp_conf, uevent_work);
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

		if (rdev && live != path->notified_live)
			mp_send_uevent(conf, name, live);
		path->notified_live = live;
	}
}

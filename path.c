// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The state of a path and of the array, slots, uevents
 *
 *   live (In_sync) --error of I/O or of a probe--> failed (Faulty)
 *   live --error of a superblock write--> probed
 *   live --mdadm --fail--> failed, until the administrator reinstates it
 *   failed --a probe succeeds (R11, R12)--> live
 *   failed --mdadm --remove, or its device is gone--> out of the array
 *   a device --mdadm --add--> live
 *
 * md core ignores --fail for a path that has already failed: a probe may still reinstate it.
 *
 * A path goes live or fails only here, under mp_conf::lock, and __mp_count_paths()
 * follows each of them.  The last live path does not fail: if it does not work, that is a
 * state of the array (R3, R8).  But it fails if it leads to another disk (R17): md core would
 * write the superblock there.
 *
 * R10. The error handler and the completions run in any context, so nothing that they call
 * sleeps or takes reconfig_mutex.
 *
 * R19. A path that is added is used.  If no slot is empty, the array gets another one, up to
 * mp_max_paths(), and md core writes the new number to the superblock.  So a spare remains
 * only beyond that limit, or when multipath_hot_add_disk() refuses it.  md core tries a
 * refused one again when no path works.  The superblock may still have the old number: an
 * array that finds more paths when it starts adds them likewise.  Only the administrator
 * takes slots away (multipath_check_reshape()).
 */

#include <linux/badblocks.h>
#include <linux/blkdev.h>
#include <linux/kobject.h>
#include <linux/raid/md_p.h>
#include <linux/rculist.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>
#include "md.h"
#include "multipath.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/*
 * A path that fails again within MP_FLAPS_WITHIN jiffies after it was reinstated is
 * flapping. It is held down for MP_MIN_HOLD the first time, and twice as long each further
 * time, up to MP_MAX_HOLD (R11).
 */
#define MP_FLAPS_WITHIN		(60 * HZ)
#define MP_MIN_HOLD		(2UL * HZ)
#define MP_MAX_HOLD		(300UL * HZ)

/* How long a uevent waits for other paths that change, in jiffies, and its room for names. */
#define MP_UEVENT_DELAY		(HZ / 20 + 1)
#define MP_UEVENT_NAMES		256

/* In an RCU section, so that mp_stop_retry_work() can wait for those who may still queue it. */
void mp_wake_retry_work(struct mp_conf *conf)
{
	struct workqueue_struct *wq;

	rcu_read_lock();
	wq = READ_ONCE(conf->retry_wq);		/* pairs with mp_stop_retry_work() */
	if (wq)
		queue_work(wq, &conf->retry_work);
	rcu_read_unlock();
}

void mp_send_uevents(struct mp_conf *conf)
{
	schedule_delayed_work(&conf->uevent_work, MP_UEVENT_DELAY);
}

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
	/* pairs with mp_one_path_left() */
	WRITE_ONCE(conf->nr_live, live);
	conf->mddev->degraded = conf->nr_paths - live;
}

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

/* The I/O path reads one flag instead of two conditions. */
void __mp_set_blocked(struct mp_conf *conf)
{
	lockdep_assert_held(&conf->lock);

	/* pairs with mp_take_path(), mp_put_path() */
	WRITE_ONCE(conf->halted, conf->freeze_depth || conf->state != MP_WORKING);
	WRITE_ONCE(conf->blocked, conf->halted || mp_is_crowded(conf));
}

void mp_update_blocked(struct mp_conf *conf)
{
	unsigned long flags;

	spin_lock_irqsave(&conf->lock, flags);
	__mp_set_blocked(conf);
	spin_unlock_irqrestore(&conf->lock, flags);
}

void __mp_set_state(struct mp_conf *conf, enum mp_state state)
{
	lockdep_assert_held(&conf->lock);

	if (state == MP_WORKING) {
		/* The array has found a path in time, so its bios go on as if it had been live. */
		if (conf->state != MP_SEARCHING)
			WRITE_ONCE(conf->round, conf->round + 1);	/* pairs with mp_retry() */
		mp_send_uevents(conf);	/* those that waited for a path */
	} else if (conf->state == MP_WORKING) {
		conf->down_since = jiffies;
	}
	WRITE_ONCE(conf->state, state);
	__mp_set_blocked(conf);
}

/*
 * A path goes live.  Nothing that was known or suspected of it before counts any more: the
 * caller has just found out whether it is @inactive, and its ALUA state is queried next.
 * (MP_NON_OPTIMISED stays until then.  It is a preference, and never keeps a path unused.)
 * An access state that was queried before is void, because live_generation changes.
 */
static void __mp_set_live(struct mp_path *path, struct md_rdev *rdev, bool inactive)
{
	struct mp_conf *conf = path->conf;

	lockdep_assert_held(&conf->lock);

	WRITE_ONCE(path->auto_reinstate, false);
	clear_bit(MP_STALLED, &path->demerits);
	mp_clear_unconfirmed(path);
	WRITE_ONCE(path->suspect_reason, MP_NO_REASON);
	WRITE_ONCE(path->superblock_checked, path->superblock_errors);
	assign_bit(MP_INACTIVE, &path->demerits, inactive);
	WRITE_ONCE(conf->generation, conf->generation + 1);
	/* pairs with mp_suspect_ambiguous_paths(), mp_handle_result() */
	WRITE_ONCE(path->live_generation, conf->generation);
	path->since = ktime_get_boottime_seconds();
	clear_bit(Faulty, &rdev->flags);
	set_bit(In_sync, &rdev->flags);
	__mp_count_paths(conf);
	if (conf->state != MP_WORKING)
		__mp_set_state(conf, MP_WORKING);
}

static void __mp_log_failed(struct mp_path *path)
{
	__mp_log(path->conf, path, MP_LOG_FAILED, 0);
	if (path->auto_reinstate && path->hold)
		__mp_log(path->conf, path, MP_LOG_FLAPPING, path->hold / HZ);
}

/* A path changes, so bios may choose another one now: one at rest is checked first (R17). */
static void __mp_unconfirm_others(struct mp_path *path)
{
	struct mp_path *other;

	lockdep_assert_held(&path->conf->lock);

	mp_for_each_path(other, path->conf)
		if (other != path && READ_ONCE(other->idle))
			set_bit(MP_UNCONFIRMED, &other->demerits);
	/* Before the path changes; pairs with mp_rank() */
	smp_mb__after_atomic();
}

void __mp_set_failed(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason)
{
	struct mp_conf *conf = path->conf;
	sector_t sectors = get_capacity(rdev->bdev->bd_disk);
	unsigned long now = jiffies;
	bool was_live;

	lockdep_assert_held(&conf->lock);

	was_live = mp_rdev_live(rdev);
	if (was_live)
		__mp_unconfirm_others(path);
	clear_bit(In_sync, &rdev->flags);
	set_bit(Faulty, &rdev->flags);
	__mp_count_paths(conf);

	if (!path->was_reinstated || mp_is_over(path->reinstated_at, MP_FLAPS_WITHIN))
		path->hold = 0;
	else
		path->hold = clamp(path->hold * 2, MP_MIN_HOLD, MP_MAX_HOLD);
	path->failed_at = now;
	path->probed_at = now;
	path->probe_took = 0;
	if (was_live)
		path->since = ktime_get_boottime_seconds();
	path->reason = reason;
	/*
	 * The disk may have grown since the path was added.  Then the live paths report the
	 * same size.  A smaller size, or 0, may be that of a controller that starts: the disk
	 * then has its size again when the path returns.  pairs with mp_has_same_size()
	 */
	if (sectors > path->disk.sectors && sectors == mp_live_sectors(conf))
		WRITE_ONCE(path->disk.sectors, sectors);
	path->failures++;
	WRITE_ONCE(path->auto_reinstate, reason != MP_BY_ADMIN);
	trace_path_failed(disk_devt(conf->mddev->gendisk), rdev->bdev->bd_dev, reason,
			  blk_status_to_errno(READ_ONCE(path->last_error)), conf->nr_live);
	if (was_live)
		__mp_log_failed(path);
}

void mp_request_probe(struct mp_path *path)
{
	WRITE_ONCE(path->conf->probe_request, path);	/* pairs with mp_start_verify() */
	mp_wake_retry_work(path->conf);
}

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

/* The number of bios and probes that ever began in this slot. */
static unsigned long mp_ios(const struct mp_path *path)
{
	struct mp_tally total = mp_total(path);

	return total.begun[0] + total.begun[1];
}

long mp_in_flight(const struct mp_path *path)
{
	struct mp_tally total = mp_total(path);

	return mp_tally_in_flight(&total);
}

/*
 * retry_work wakes md's thread: see mp_wake_md().  Removal is requested only if there is
 * a path to remove, because md core suspends the array to handle it.
 */
void mp_path_changed(struct mp_conf *conf, struct md_rdev *rdev)
{
	if (is_rdev_broken(rdev))
		WRITE_ONCE(conf->recovery_due, true);
	WRITE_ONCE(conf->sb_dirty, true);	/* pairs with mp_end_confirmation() */
	if (rdev->sysfs_state)
		sysfs_notify_dirent(rdev->sysfs_state);
	md_new_event();
	mp_send_uevents(conf);
	/*
	 * retry_work may be about to verify with this path, and it schedules the next
	 * probe.
	 */
	mp_wake_retry_work(conf);
}

bool mp_request_removal(struct mp_path *path)
{
	struct md_rdev *rdev;
	bool gone;

	rcu_read_lock();
	rdev = rcu_dereference(path->rdev);
	gone = rdev && is_rdev_broken(rdev);
	rcu_read_unlock();
	if (gone)
		WRITE_ONCE(path->conf->recovery_due, true);
	return gone;
}

/* Not through md_error(): that is how mdadm --fail arrives, see multipath_error(). */
void mp_fail_path(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason)
{
	struct mp_conf *conf = path->conf;
	bool failed = false;
	unsigned long flags;

	if (!mp_rdev_live(rdev))
		return;
	if (mp_one_path_left(conf) && reason != MP_WRONG_DISK) {
		mp_request_probe(path);
		return;
	}
	spin_lock_irqsave(&conf->lock, flags);
	if (mp_rdev_live(rdev) && (conf->nr_live > 1 || reason == MP_WRONG_DISK)) {
		__mp_set_failed(path, rdev, reason);
		failed = true;
	}
	spin_unlock_irqrestore(&conf->lock, flags);

	/*
	 * Otherwise another CPU has failed the path, or it has become the last one.  Its
	 * next error is then handled as such.
	 */
	if (failed)
		mp_path_changed(conf, rdev);
}

/*
 * A work item that is queued has a reference.  If it was queued already it has one, and the
 * new one goes.  That one is never the last, because the caller's protects the tracker.
 */
void mp_run_tracker(struct mp_tracker *tracker, unsigned long delay)
{
	refcount_inc(&tracker->refs);
	if (mod_delayed_work(tracker->wq, &tracker->access_work, delay))
		refcount_dec(&tracker->refs);
}

void mp_query_access_soon(struct mp_path *path)
{
	struct mp_tracker *tracker;

	rcu_read_lock();
	tracker = rcu_dereference(path->tracker);
	if (tracker && READ_ONCE(path->has_access))
		mp_run_tracker(tracker, 0);
	rcu_read_unlock();
}

/*
 * Under the lock, so that a suspicion and a reinstatement are in an order.  Otherwise a
 * reinstated path could keep half of a suspicion:
 *
 *	CPU0 here			CPU1
 *	the path is live
 *					the path fails, and is reinstated
 *					clears MP_INACTIVE
 *	sets MP_INACTIVE
 */
static bool mp_set_suspect(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason)
{
	struct mp_conf *conf = path->conf;
	unsigned long flags;
	bool suspect;

	spin_lock_irqsave(&conf->lock, flags);
	suspect = READ_ONCE(path->has_access) && mp_rdev_live(rdev) && conf->nr_live > 1;
	if (suspect && !path->suspect_reason) {
		WRITE_ONCE(path->suspect_since, jiffies);
		WRITE_ONCE(path->suspect_reason, reason);	/* pairs with mp_start_query() */
	}
	if (suspect)
		set_bit(MP_INACTIVE, &path->demerits);
	spin_unlock_irqrestore(&conf->lock, flags);
	return suspect;
}

void mp_suspect_path(struct mp_path *path, struct md_rdev *rdev, enum mp_reason reason)
{
	if (mp_set_suspect(path, rdev, reason))
		mp_query_access_soon(path);
	else
		mp_fail_path(path, rdev, reason);
}

void mp_set_inactive(struct mp_path *path, bool decided)
{
	struct mp_conf *conf = path->conf;
	bool was, inactive;

	/* pairs with mp_set_suspect() */
	spin_lock_irq(&conf->lock);
	if (decided)
		WRITE_ONCE(path->suspect_reason, MP_NO_REASON);
	was = test_bit(MP_INACTIVE, &path->demerits);
	inactive = path->suspect_reason || (path->access & BIT(MP_INACTIVE));
	assign_bit(MP_INACTIVE, &path->demerits, inactive);	/* pairs with mp_rank() */
	spin_unlock_irq(&conf->lock);

	if (was && !inactive && READ_ONCE(conf->state) != MP_WORKING) {
		WRITE_ONCE(conf->probe_soon, true);	/* pairs with mp_probe_live_paths() */
		mp_wake_retry_work(conf);
	}
}

unsigned long mp_suspect_left(const struct mp_path *path)
{
	unsigned long until = READ_ONCE(path->suspect_since) + MP_SUSPECT_LIMIT;

	return time_before(jiffies, until) ? until - jiffies : 0;
}

void mp_decide_on_suspect(struct mp_path *path, struct md_rdev *rdev, bool explained)
{
	enum mp_reason reason = READ_ONCE(path->suspect_reason);

	if (!explained)
		mp_fail_path(path, rdev, reason ? reason : MP_PROBE_ERROR);
	mp_set_inactive(path, true);
}

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

void mp_reinstate_path(struct mp_conf *conf, struct mp_path *path, struct md_rdev *rdev,
		       bool inactive)
{
	bool back = false, held;

	spin_lock_irq(&conf->lock);
	if (path->auto_reinstate && !path->removing) {
		held = !mp_is_over(path->failed_at, path->hold);
		path->was_reinstated = true;
		path->reinstated_at = jiffies;
		path->reinstatements++;
		/* md core writes the superblock to all of them. */
		__mp_unconfirm_others(path);
		__mp_set_live(path, rdev, inactive);
		trace_path_reinstated(disk_devt(conf->mddev->gendisk), rdev->bdev->bd_dev,
				      jiffies_to_msecs(jiffies - path->failed_at),
				      conf->nr_live);
		__mp_log(conf, path, held ? MP_LOG_REINSTATED_HELD : MP_LOG_REINSTATED, 0);
		back = true;
	}
	spin_unlock_irq(&conf->lock);

	if (back) {
		mp_path_changed(conf, rdev);
		mp_query_access_soon(path);
	}
}

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
 * Bad blocks are the disk's, so md core keeps no list of them for a path.  Otherwise a write to
 * unacknowledged_bad_blocks and one to state would arrive at the error handler as mdadm --fail
 * does, and a list that does not fit into the superblock as a failed write of it.
 */
static void mp_disable_bad_blocks(struct md_rdev *rdev)
{
	struct badblocks *list = &rdev->badblocks;

	write_seqlock_irq(&list->lock);
	list->shift = -1;
	list->count = 0;
	list->changed = 0;
	list->unacked_exist = 0;
	write_sequnlock_irq(&list->lock);
}

void mp_fill_slot(struct mp_conf *conf, struct mp_path *path, struct md_rdev *rdev,
		  bool in_sync, bool added)
{
	/* The slot is empty, so nothing is added to the sums over all CPUs. */
	unsigned long ios = mp_ios(path);

	path->node = bdev_get_queue(rdev->bdev)->node;
	path->wrong_disk_logged = false;
	path->unreadable_logged = MP_PROBE_IDLE;
	path->probe_read_failed = false;
	path->rested_since = jiffies;
	path->early_checks = 0;
	path->idle = false;
	mp_disable_bad_blocks(rdev);
	spin_lock_irq(&conf->lock);
	path->was_reinstated = false;
	path->reason = MP_NO_REASON;
	path->failures = 0;
	path->reinstatements = 0;
	path->ios_before = ios;
	path->since = ktime_get_boottime_seconds();
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
	if (path->slot >= conf->nr_paths) {
		conf->mddev->raid_disks = path->slot + 1;
		smp_store_release(&conf->nr_paths, path->slot + 1);	/* pairs with mp_slot() */
	}
	if (in_sync)
		__mp_set_live(path, rdev, false);
	else
		__mp_count_paths(conf);
	if (added)
		__mp_log(conf, path, MP_LOG_ADDED, 0);
	spin_unlock_irq(&conf->lock);
	mp_wake_retry_work(conf);
}

/*
 * Metadata 0.90 has MD_SB_DISKS entries, and super_90_sync() does not check its index.
 * Each slot takes one entry, and each failed path another.  (So does each spare, which no
 * personality can refuse; raid1 has the same problem.)
 */
int mp_max_paths(const struct mddev *mddev)
{
	if (mddev->persistent && mddev->major_version == 0)
		return MD_SB_DISKS / 2;
	return MP_MAX_PATHS;
}

/*
 * The slot after the last one (R19).  Its struct may exist, from before the number of slots
 * was reduced, or because slot_work has made it.
 */
static struct mp_path *mp_next_slot(struct mp_conf *conf, const struct md_rdev *rdev)
{
	unsigned int nr = conf->nr_paths;
	struct mp_path *path;

	if (nr >= mp_max_paths(conf->mddev)) {
		if (!conf->full_logged)
			pr_warn("md/multipath:%s: %pg is not used: the array has %u paths, and more are not supported\n",
				mdname(conf->mddev), rdev->bdev, nr);
		conf->full_logged = true;
		return ERR_PTR(-EEXIST);
	}
	path = READ_ONCE(conf->paths[nr]);	/* pairs with mp_make_slot() */
	if (path)
		return path;
	queue_delayed_work(system_long_wq, &conf->slot_work, 0);
	return ERR_PTR(-EAGAIN);
}

struct mp_path *mp_find_slot(struct mp_conf *conf, const struct md_rdev *rdev)
{
	int wish = rdev->raid_disk >= 0 ? rdev->raid_disk : rdev->saved_raid_disk;
	struct mp_path *path;

	if (wish >= 0) {
		path = mp_slot(conf, wish);
		if (path && !mp_rdev(path))
			return path;
	}
	if (rdev->raid_disk >= 0)
		return ERR_PTR(-EEXIST);
	mp_for_each_path(path, conf) {
		if (mp_rdev(path))
			continue;
		conf->full_logged = false;
		return path;
	}
	return mp_next_slot(conf, rdev);
}

static bool mp_has_spare(struct mddev *mddev)
{
	struct md_rdev *rdev;
	bool found = false;

	rcu_read_lock();
	list_for_each_entry_rcu(rdev, &mddev->disks, same_set)
		if (READ_ONCE(rdev->raid_disk) < 0 && !test_bit(Faulty, &rdev->flags))
			found = true;
	rcu_read_unlock();
	return found;
}

void mp_request_spares(struct mp_conf *conf)
{
	if (!mp_has_spare(conf->mddev))
		return;
	WRITE_ONCE(conf->recovery_due, true);	/* pairs with mp_end_confirmation() */
	mp_wake_retry_work(conf);
}

static void mp_send_uevent(struct mp_conf *conf, const char *event, const char *names)
{
	char action[sizeof("MD_ACTION=PATH_REINSTATED")];
	char paths[MP_UEVENT_NAMES + sizeof("MD_PATH=")], valid[32];
	char *env[] = { action, paths, valid, NULL };

	snprintf(action, sizeof(action), "MD_ACTION=%s", event);
	snprintf(paths, sizeof(paths), "MD_PATH=%s", names);
	snprintf(valid, sizeof(valid), "MD_NR_VALID_PATHS=%u", READ_ONCE(conf->nr_live));
	kobject_uevent_env(&disk_to_dev(conf->mddev->gendisk)->kobj, KOBJ_CHANGE, env);
}

/*
 * Notify that a path has left the slot.  The udev rules that hide paths look at all hidden
 * devices of the array then, so an event that a later one replaces does no harm.
 */
static void mp_notify_removed(struct mp_conf *conf, struct mp_path *path)
{
	char name[BDEVNAME_SIZE];

	spin_lock_irq(&conf->lock);
	strscpy(name, path->removed, sizeof(name));
	path->removed[0] = '\0';
	spin_unlock_irq(&conf->lock);

	if (!name[0])
		return;
	/* Another path may be in the slot by now. */
	path->notified_live = false;
	mp_send_uevent(conf, "PATH_REMOVED", name);
}

/*
 * Notify of all paths that went live since the last uevent, or that failed.  Returns true if their
 * names have no room in one uevent, and the others need another one.
 */
static bool mp_notify_changed(struct mp_conf *conf, bool live)
{
	char names[MP_UEVENT_NAMES] = "", name[BDEVNAME_SIZE];
	struct mp_path *path;
	bool more = false;
	int length = 0;

	rcu_read_lock();
	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = rcu_dereference(path->rdev);

		if (!rdev) {
			path->notified_live = false;
			continue;
		}
		if (mp_rdev_live(rdev) != live || path->notified_live == live)
			continue;
		snprintf(name, sizeof(name), "%pg", rdev->bdev);
		more = length + strlen(name) + 2 > sizeof(names);
		if (more)
			break;
		length += scnprintf(names + length, sizeof(names) - length, "%s%s",
				    length ? " " : "", name);
		path->notified_live = live;
	}
	rcu_read_unlock();

	if (length)
		mp_send_uevent(conf, live ? "PATH_REINSTATED" : "PATH_FAILED", names);
	return more;
}

/*
 * Send change uevents of the array for the paths that went live, failed or were removed since
 * the last one.  Without them, mdadm --monitor notices only at its next poll.  No uevent is sent
 * while no path works, because its receivers read the array and would block.  A work item, since
 * uevents sleep and allocate; it never runs concurrently with itself.
 */
void mp_uevent_work(struct work_struct *work)
{
	struct mp_conf *conf = container_of(work, struct mp_conf, uevent_work.work);
	struct mp_path *path;

	/* __mp_set_state() queues this work again. */
	if (READ_ONCE(conf->state) != MP_WORKING)
		return;
	/* The slot may be gone, too. */
	mp_for_each_path_made(path, conf)
		mp_notify_removed(conf, path);
	while (mp_notify_changed(conf, false))
		;
	while (mp_notify_changed(conf, true))
		;
}

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

#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/raid/md_p.h>
#include <linux/rculist.h>
#include <linux/reboot.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include "md.h"
#include "multipath.h"

#define MP_VERSION		"0.5.0"

/* How long the removal of a path waits for a probe that is at it. */
#define MP_PROBE_GRACE		(HZ / 4)

/* All arrays, for the reboot notifier. */
static LIST_HEAD(mp_arrays);

static DEFINE_MUTEX(mp_arrays_lock);

/* mddev->thread: superblocks, and what md core makes of failed paths. */
static void mp_md_thread(struct md_thread *thread)
{
	md_check_recovery(thread->mddev);
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
		mp_freeze(mddev->private);
	else
		mp_unfreeze(mddev->private);
}

/*
 * Does a user ask for it, with mdadm --fail or in sysfs?  Our own errors take
 * another way, so the only other one who calls is super_written(), the end of a
 * superblock write.  It has the rdev's nr_pending raised, and runs in an interrupt,
 * in a kernel thread, or in a task that submits bios or flushes its plug: its own,
 * or by chance this one.  A user's call may come while a superblock is written, as
 * the ioctl of mdadm --fail takes no lock, so mddev->pending_writes does not tell.
 */
static bool mp_failed_by_admin(const struct md_rdev *rdev)
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
	enum mp_reason reason = mp_failed_by_admin(rdev) ? MP_BY_ADMIN : MP_SUPERBLOCK_ERROR;
	struct mp_conf *conf = mddev->private;
	struct mp_path *path;
	unsigned long flags;
	bool was_live;

	spin_lock_irqsave(&conf->lock, flags);
	path = __mp_path_of(conf, rdev);
	was_live = path && mp_rdev_live(rdev);
	if (was_live && conf->nr_live <= 1) {
		spin_unlock_irqrestore(&conf->lock, flags);
		pr_crit_ratelimited("md/multipath:%s: %pg is the last live path: it stays in use\n",
				    mdname(mddev), rdev->bdev);
		mp_request_probe(path);
		return;
	}
	if (path && reason != MP_BY_ADMIN && READ_ONCE(path->has_access)) {
		spin_unlock_irqrestore(&conf->lock, flags);
		mp_suspect_path(path, rdev, reason);
		return;
	}
	if (path)
		__mp_set_failed(path, rdev, reason);
	else
		set_bit(Faulty, &rdev->flags);
	spin_unlock_irqrestore(&conf->lock, flags);

	mp_path_changed(conf, rdev);
	if (was_live)
		mp_log_failed(conf, path, rdev);
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
		pr_warn("md/multipath:%s: %pg is faulty: remove it and add it again\n",
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
	mp_cached_disk(rdev->bdev, &path->disk);
	mp_fill_slot(conf, path, rdev, true);
	mod_delayed_work(system_long_wq, &path->access_work, 0);
	schedule_work(&conf->uevent_work);
	/* Not every caller does; for md core's thread, which is woken as the mutex is released. */
	set_bit(MD_SB_CHANGE_DEVS, &mddev->sb_flags);
	pr_info("md/multipath:%s: path %pg added; %u of %u paths in use\n",
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
	WRITE_ONCE(path->removing, true);	/* pairs with mp_take_for_probe() */
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
		WRITE_ONCE(path->removing, false);
		if (!by_md)
			pr_warn("md/multipath:%s: path %pg still has I/O in flight: remove it when that I/O has completed\n",
				mdname(mddev), rdev->bdev);
		return -EBUSY;
	}

	spin_lock_irq(&conf->lock);
	RCU_INIT_POINTER(path->rdev, NULL);
	WRITE_ONCE(path->auto_reinstate, false);
	spin_unlock_irq(&conf->lock);
	/* mp_suspect_ambiguous_paths() may still be at the rdev, which md core takes apart next. */
	synchronize_rcu();
	/* A spare may take the slot: up to 6.6 md core does not look by itself. */
	set_bit(MD_RECOVERY_NEEDED, &mddev->recovery);
	return 0;
}

static void mp_free_path(struct mp_path *path)
{
	if (path->submit_wq)
		destroy_workqueue(path->submit_wq);
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
	init_llist_head(&path->to_submit);
	INIT_WORK(&path->submit_work, mp_submit_work);
	INIT_WORK(&path->check_work, mp_check_work);
	INIT_DELAYED_WORK(&path->access_work, mp_access_work);

	path->tally = alloc_percpu(struct mp_tally);
	path->probe_page = alloc_page(GFP_KERNEL);
	path->probe = kmalloc(sizeof(*path->probe), GFP_KERNEL);
	path->submit_wq = alloc_ordered_workqueue("%s_mp%u", WQ_MEM_RECLAIM,
						  mdname(conf->mddev), slot);
	if (!path->tally || !path->probe_page || !path->probe || !path->submit_wq) {
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

	if (conf->check_wq)
		destroy_workqueue(conf->check_wq);
	mp_for_each_path_made(path, conf)
		mp_free_path(path);
	mp_exit_reserves(conf);
	free_percpu(conf->last_slot);
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
	INIT_DELAYED_WORK(&conf->stall_work, mp_stall_work);
	INIT_WORK(&conf->uevent_work, mp_uevent_work);
	spin_lock_init(&conf->lock);
	init_llist_head(&conf->failed);
	init_llist_head(&conf->to_verify);
	init_llist_head(&conf->verifying);
	init_llist_head(&conf->paced);
	bio_list_init(&conf->queued);
	init_waitqueue_head(&conf->drained);
	INIT_LIST_HEAD(&conf->node);

	conf->last_slot = alloc_percpu(u32);
	conf->check_wq = alloc_workqueue("%s_check", WQ_UNBOUND | WQ_MEM_RECLAIM, 0, mdname(mddev));
	if (!conf->last_slot || !conf->check_wq)
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
	pr_warn("md/multipath:%s: %d paths requested, 1 to %d are supported\n",
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
		pr_warn("md/multipath:%s: bitmaps are not supported: create the array without one\n",
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
			pr_warn("md/multipath:%s: %pg wants slot %d, which is already in use\n",
				mdname(mddev), rdev->bdev, slot);
			return -EINVAL;
		}
		mp_cached_disk(rdev->bdev, &conf->paths[slot]->disk);
		mp_fill_slot(conf, conf->paths[slot], rdev,
			     !test_bit(Faulty, &rdev->flags));
		conf->paths[slot]->notified_live = mp_rdev_live(rdev);
	}
	if (!conf->nr_live) {
		pr_warn("md/multipath:%s: no path works: array not started\n", mdname(mddev));
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
			pr_warn("md/multipath:%s: %pg has a different integrity profile from the other paths\n",
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
	queue_delayed_work(system_long_wq, &conf->stall_work, 0);
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
	mp_freeze(conf);
	/* It wakes the thread, and with the gate shut nobody queues it: mp_query_access_soon(). */
	mp_for_each_path_made(path, conf)
		cancel_delayed_work_sync(&path->access_work);
	/* Nobody takes from the lists but us. */
	md_unregister_thread(mddev, &conf->retry_thread);
	/* No bio is left at all. */
	mp_move_to_failed(conf, &conf->to_verify);
	mp_move_to_failed(conf, &conf->verifying);
	mp_move_to_failed(conf, &conf->paced);
	mp_fail_waiting(conf);
	/* The last completion may still be about to wake mp_freeze(). */
	synchronize_rcu();
	cancel_delayed_work_sync(&conf->stall_work);
	cancel_work_sync(&conf->uevent_work);
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
	pr_warn("md/multipath:%s: this kernel writes the superblock only through path %pg, which has failed: remove that path first\n",
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
		pr_warn("md/multipath:%s: %u paths requested, but %pg is in slot %u: remove it first\n",
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
	pr_info("md/multipath:%s: %u of %u paths in use\n",
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
		pr_warn("md/multipath:%s: array_size is set to %llu sectors: change it first, or write default to it\n",
			mdname(mddev), mddev->array_sectors);
		return -EINVAL;
	}
	rdev_for_each(rdev, mddev) {
		sector_t needed = rdev->data_offset + sectors;

		/* Metadata 1.0, of a spare, which is the same disk: md core moves no spare's. */
		if (mddev->persistent && rdev->sb_start >= rdev->data_offset &&
		    rdev->sb_start < needed) {
			pr_warn("md/multipath:%s: %pg has its superblock at sector %llu, within the new size of %llu sectors: remove it first\n",
				mdname(mddev), rdev->bdev, rdev->sb_start, needed);
			return -ENOSPC;
		}
		if (rdev->raid_disk < 0 || bdev_nr_sectors(rdev->bdev) >= needed)
			continue;
		pr_warn("md/multipath:%s: %pg has %llu sectors but needs %llu: rescan the device\n",
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
		pr_err("md/multipath: another driver for level multipath is loaded: unload it first\n");
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

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Several paths to one disk, as one md array
 *
 * The files, callers first; calls go downwards in this list only, and multipath.h describes
 * what each file offers the others:
 *
 *   this file     the personality: what md core calls, start and stop of an array
 *   sysfs.c       tunables, counters and the table of paths
 *   slots.c       the slots of an array and what paths need, as structs in memory
 *   retry.c       failed and queued bios, and retry_work
 *   confirm.c     the checks of paths at rest
 *   probe.c       does a path work?
 *   stall.c       does a path respond?
 *   check.c       is a path at rest, and where does it lead?
 *   superblock.c  the superblock that a path reads
 *   submit.c      bios and probes that retry_work submits
 *   io.c          the life of a bio on the submit and complete path
 *   queue.c       queued bios, and submitters that wait for room
 *   identity.c    which disk does a path lead to?
 *   query.c       queries of SCSI devices, as structs in memory
 *   scsi.c        commands, identity, size and ALUA states of SCSI devices
 *   policy.c      choosing a path
 *   path.c        the state of a path and of the array, slots, uevents
 *   log.c         the lines in the kernel log about paths that come and go
 *
 * The life of a bio (io.c, queue.c, retry.c):
 *
 *   md core -> multipath_make_request() -> choose a path -> lower driver
 *	|						       |
 *	| frozen, no path, no memory			       v
 *	v					     mp_end_io()
 *   queued <---- retry_work ----> another path	    |     |
 *			^   |			    |     `-> done
 *			|   `-- all failed: verify  |
 *			`---- failed <-- path error-'
 *
 * The life of a path (path.c, probe.c):
 *
 *   live (In_sync) --error of I/O or of a probe--> failed (Faulty)
 *   live --error of a superblock write--> probed
 *   live --a check at rest fails (R17)--> failed
 *   live --mdadm --fail--> failed, until the administrator reinstates it
 *   failed --a probe succeeds (R11, R12)--> live
 *   failed --mdadm --remove, or its device is gone--> out of the array
 *   a device --mdadm --add--> live
 *
 * The life of a running array (probe.c, retry.c):
 *
 *   working --a probe of the last path fails, all are inactive, or none is live--> searching
 *   given up, queueing, searching --a probe succeeds, or a path is added--> working
 *   queueing --no_path_retry is over--> given up
 *   searching --no failed path works--> queueing
 *   given up --no_path_retry is raised--> queueing
 *
 * The rules, with the file that has each one's full text:
 *
 *   R1   retry.c     A round tries a bio once on each path.  If all fail, it is verified.
 *   R2   io.c        Only path errors cost a path.
 *   R3   io.c        The last live path is used without our failfast, and I/O never fails it.
 *   R4   io.c        Flush and FUA go down one path, like any write.
 *   R5   io.c        REQ_NOWAIT is honoured; submission waits only for room in the queue.
 *   R6   io.c        The I/O path writes no cache line that all CPUs share.
 *   R7   io.c        md_account_bio() is not used: a bio does not pin active_io.
 *   R8   retry.c     Without a path, bios wait for at most no_path_retry seconds.
 *   R9   submit.c    retry_work retries bios, and waits for no path.
 *   R10  path.c      The error handler and the completions run in any context.
 *   R11  probe.c     A path that failed by itself is probed and reinstated.
 *   R12  identity.c  A path leads to the array's disk when it is added or reinstated.
 *   R13  policy.c    Bios go to the live paths of the lowest rank.
 *   R14  scsi.c      An inactive path has not failed.
 *   R15  stall.c     A path that completes no I/O is avoided, then failed, and its I/O aborted.
 *   R17  check.c     A path at rest is checked: regularly, and before it is used again.
 *   R18  io.c        A refusal that may be one port's alone is confirmed over another path.
 *        probe.c     A failed superblock write costs no path.
 *   R19  path.c      A path that is added is used: the array gets a slot for it.
 *        io.c        Order: a bio has one try at a time.
 */

#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/reboot.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include "md.h"
#include "multipath.h"

#define MP_VERSION		"0.6.0"

/* How long the removal of a path waits for a probe in flight. */
#define MP_PROBE_GRACE		(HZ / 4)

/*
 * All arrays, for the reboot notifier.  mp_arrays_lock protects the list; run, free and the
 * notifier take it.
 */
static LIST_HEAD(mp_arrays);
static DEFINE_MUTEX(mp_arrays_lock);

/* mddev->thread: writes superblocks, and handles failed paths for md core. */
static void mp_md_thread(struct md_thread *thread)
{
	md_check_recovery(thread->mddev);
}

/**
 * multipath_quiesce() - stop or resume all I/O to the paths
 * @mddev: the array
 * @quiesce: 1: freeze the array and wait for the I/O in flight; 0: unfreeze it
 *
 * Bios that arrive while the array is frozen are queued; those with REQ_NOWAIT get EAGAIN.
 * Calls nest.
 *
 * Context: sleeps, up to the lower drivers' timeout; reconfig_mutex held.  Up to 6.6 md
 * core calls it for each suspend (mddev_suspend()).  Later kernels call it only when the
 * array stops or becomes read-only, at reboot, and for bitmaps.
 */
static void multipath_quiesce(struct mddev *mddev, int quiesce)
{
	if (quiesce)
		mp_freeze(mddev->private);
	else
		mp_unfreeze(mddev->private);
}

/*
 * Whether the administrator fails the path, with mdadm --fail or through sysfs.  Our own
 * errors do not come this way, so the only other caller is super_written(), at the end of a
 * superblock write.  It has raised the rdev's nr_pending.  It runs in an interrupt, in a
 * kernel thread, or in a task that submits bios or flushes its plug, possibly this very
 * task.  mddev->pending_writes does not help: the ioctl of mdadm --fail takes no lock, so
 * it may run while a superblock is written.
 *
 * One case looks like the administrator and is not: a task that executes a passthrough request, or
 * changes the queue, may dispatch the write of another, and end it if the device has just gone
 * offline.  It is rare, and the administrator then has to reinstate the path.
 */
static bool mp_failed_by_admin(const struct md_rdev *rdev)
{
	if (!atomic_read(&rdev->nr_pending))
		return true;
	return in_task() && !(current->flags & PF_KTHREAD) && !current->bio_list && !current->plug;
}

/**
 * multipath_error() - md core's error handler: a path failed
 * @mddev: the array
 * @rdev: the path, or a spare
 *
 * md_error() calls it for mdadm --fail, after which no probe may reinstate the path, and
 * after a failed superblock write, with no word about the error.  md core does not call it
 * for a path that has already failed.
 *
 * The last live path stays live (R3).  After a superblock error, a path stays live until a
 * probe shows that it does not work (R18).  Meanwhile md core takes the superblock as
 * written: it repeats a write only if MD_SB_CHANGE_DEVS or MD_SB_CHANGE_CLEAN is set, or
 * with MD_FAILFAST_SUPPORTED, which this personality does not set.
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
	if (was_live && reason == MP_SUPERBLOCK_ERROR) {
		WRITE_ONCE(path->superblock_errors, path->superblock_errors + 1);
		spin_unlock_irqrestore(&conf->lock, flags);
		/* pairs with mp_probe_suspect_paths() */
		mp_wake_retry_work(conf);
		return;
	}
	if (was_live && conf->nr_live <= 1) {
		__mp_log(conf, path, MP_LOG_LAST, 0);
		spin_unlock_irqrestore(&conf->lock, flags);
		mp_request_probe(path);
		return;
	}
	if (path)
		__mp_set_failed(path, rdev, reason);
	else
		set_bit(Faulty, &rdev->flags);
	spin_unlock_irqrestore(&conf->lock, flags);

	mp_path_changed(conf, rdev);
}

/**
 * multipath_hot_add_disk() - add a path to the running array
 * @mddev: the array
 * @rdev: the path; its raid_disk is the slot to take, or -1 for any
 *
 * Sets @rdev's raid_disk and In_sync, and its sectors if md core left them 0, as it does
 * for arrays without superblock.  May set the array's raid_disks (R19).
 *
 * Context: sleeps; reconfig_mutex held.  I/O may be in flight and may arrive, because not
 * every caller suspends the array.
 *
 * Return: 0; -EEXIST without a free slot; -EAGAIN if md core is to try again; -EINVAL,
 * -ENOSPC, -EIO or -ENXIO if the device cannot be a path of this array, after a line in the
 * log; -ENOMEM.
 */
static int multipath_hot_add_disk(struct mddev *mddev, struct md_rdev *rdev)
{
	struct mp_conf *conf = mddev->private;
	struct mp_path *path;
	int err;

	path = mp_find_slot(conf, rdev);
	if (IS_ERR(path))
		return PTR_ERR(path);
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
	err = mp_check_new_superblock(conf, rdev);
	if (err)
		return err;
	/* The device may have refused them since its driver set the limits. */
	if (!bdev_write_zeroes_sectors(rdev->bdev))
		mp_disable_write_zeroes(mddev->gendisk->queue);
	err = mddev_stack_new_rdev(mddev, rdev);
	if (err)
		return err;

	if (!rdev->sectors)
		rdev->sectors = bdev_nr_sectors(rdev->bdev) - rdev->data_offset;
	err = mp_prepare_path(path, rdev->bdev);
	if (err)
		return err;
	mp_cached_disk(rdev->bdev, &path->disk);
	mp_fill_slot(conf, path, rdev, true, true);
	mp_start_tracker(path);
	mp_send_uevents(conf);
	/* Not every caller sets this.  md's thread is woken when the mutex is released. */
	set_bit(MD_SB_CHANGE_DEVS, &mddev->sb_flags);
	return 0;
}

/**
 * multipath_hot_remove_disk() - remove a failed path
 * @mddev: the array
 * @rdev: the path
 *
 * md core calls it from a kernel thread for each Faulty path.  Then only a path whose
 * device is gone is removed.  Any other path keeps its slot, because it may be reinstated,
 * until the administrator removes it (mdadm --remove, or a write to sysfs).
 *
 * Context: sleeps for two grace periods, and up to MP_PROBE_GRACE for a probe in flight;
 * reconfig_mutex held.
 *
 * uevent_work sends the event about the removal later.
 *
 * Return: 0; -EBUSY while the path is live or has I/O in flight.  It never waits for that
 * I/O, which may hang.
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
	WRITE_ONCE(path->removing, true);	/* pairs with mp_may_probe() */
	spin_unlock_irq(&conf->lock);

	/*
	 * Anything that chose the path while it was live, or to probe it, has raised
	 * in_flight by the end of the grace period.  Nothing chooses it any more: probe and
	 * reinstatement check removing, and mp_fill_slot() needs reconfig_mutex.  So 0 is
	 * final.  The slot is cleared only after that, because I/O in flight uses it.  A
	 * query does not count in in_flight; mp_detach_query() takes the path from it.
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
	snprintf(path->removed, sizeof(path->removed), "%pg", rdev->bdev);
	spin_unlock_irq(&conf->lock);
	mp_detach_tracker(path);
	mp_detach_query(path);
	/*
	 * mp_suspect_ambiguous_paths(), mp_access_work() and mp_query_work() may still use
	 * the rdev, which md core frees next.
	 */
	synchronize_rcu();
	mp_free_tracker(path);
	mp_free_query(path);
	mp_send_uevents(conf);
	/* A spare may take the slot.  Up to 6.6 md core does not check by itself. */
	set_bit(MD_RECOVERY_NEEDED, &mddev->recovery);
	return 0;
}

static void mp_free_conf(struct mp_conf *conf)
{
	struct mp_path *path;

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
	atomic64_set(&conf->data_sectors, mddev->dev_sectors);
	conf->no_path_retry = MP_NO_PATH_RETRY;
	conf->probe_interval = MP_PROBE_INTERVAL;
	conf->stall_timeout = MP_STALL_TIMEOUT;
	conf->io_timeout = MP_IO_TIMEOUT;
	conf->check_interval = MP_CHECK_INTERVAL;
	conf->used_at = jiffies;
	mp_init_retry_work(conf);
	INIT_DELAYED_WORK(&conf->stall_work, mp_stall_work);
	INIT_DELAYED_WORK(&conf->slot_work, mp_slot_work);
	INIT_DELAYED_WORK(&conf->uevent_work, mp_uevent_work);
	mp_init_log(conf);
	spin_lock_init(&conf->lock);
	init_llist_head(&conf->failed);
	init_llist_head(&conf->to_verify);
	init_llist_head(&conf->verifying);
	init_llist_head(&conf->paced);
	bio_list_init(&conf->queued);
	init_waitqueue_head(&conf->room);
	init_waitqueue_head(&conf->drained);
	INIT_LIST_HEAD(&conf->node);

	conf->last_slot = alloc_percpu(u32);
	if (!conf->last_slot)
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

static int mp_check_number(struct mddev *mddev, int nr)
{
	int max = mp_max_paths(mddev);

	if (nr >= 1 && nr <= max)
		return 0;
	pr_warn("md/multipath:%s: %d paths requested, 1 to %d are supported\n",
		mdname(mddev), nr, max);
	return -EINVAL;
}

/* Whether the array that md core has assembled can be a multipath array; logs if not. */
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

	mp_leave_out_devices(mddev);
	mp_leave_out_copies(mddev);
	rdev_for_each(rdev, mddev) {
		struct mp_path *path;

		if (rdev->raid_disk < 0)
			continue;
		path = conf->paths[rdev->raid_disk];
		err = mp_check_path(mddev, rdev);
		if (err)
			return err;
		err = mp_check_identity(conf, rdev->bdev, false);
		if (err)
			return err;
		if (mp_rdev(path)) {
			pr_warn("md/multipath:%s: %pg wants slot %d, which is already in use\n",
				mdname(mddev), rdev->bdev, rdev->raid_disk);
			return -EINVAL;
		}
		err = mp_prepare_path(path, rdev->bdev);
		if (err)
			return err;
		mp_cached_disk(rdev->bdev, &path->disk);
		mp_fill_slot(conf, path, rdev, !test_bit(Faulty, &rdev->flags), false);
		path->notified_live = mp_rdev_live(rdev);
	}
	if (!conf->nr_live) {
		pr_warn("md/multipath:%s: no path works: array not started\n", mdname(mddev));
		return -ENODEV;
	}
	return 0;
}

/*
 * Limits are stacked here.  Since 6.19 mddev_stack_rdev_limits() writes the block size into
 * a new array's superblock, and older kernels then refuse the array.
 *
 * Buffers go to a path as they are, so the array is as strict about their alignment as its
 * strictest path.  By default it would begin with 511, as the drivers need that copy or
 * checksum sectors.  A path that is added later can make the array stricter.  A bio that was
 * accepted before that may still be sent to the new path; on kernels newer than 6.12 it
 * then ends with EINVAL.
 */
static int mp_set_limits(struct mddev *mddev)
{
	struct queue_limits lim;
	struct md_rdev *rdev;

	md_init_stacking_limits(&lim);
	lim.dma_alignment = 0;
	lim.features |= BLK_FEAT_NOWAIT | BLK_FEAT_ATOMIC_WRITES;
	rdev_for_each(rdev, mddev) {
		if (rdev->raid_disk < 0)
			continue;
		queue_limits_stack_bdev(&lim, rdev->bdev, rdev->data_offset, mdname(mddev));
		if (!bdev_write_zeroes_sectors(rdev->bdev))
			mp_clear_wzeroes_unmap(&lim);
		if (!queue_limits_stack_integrity_bdev(&lim, rdev->bdev)) {
			pr_warn("md/multipath:%s: %pg has a different integrity profile from the other paths\n",
				mdname(mddev), rdev->bdev);
			return -EINVAL;
		}
	}
	return queue_limits_set(mddev->gendisk->queue, &lim);
}

/* md core stops it if run() fails. */
static int mp_start_md_thread(struct mddev *mddev)
{
	struct md_thread *thread = md_register_thread(mp_md_thread, mddev, "multipath");

	if (!thread)
		return -ENOMEM;
	rcu_assign_pointer(mddev->thread, thread);
	return 0;
}

static sector_t multipath_size(struct mddev *mddev, sector_t sectors, int raid_disks)
{
	return sectors ? sectors : mddev->dev_sectors;
}

/**
 * multipath_run() - start an array
 * @mddev: the array; md core has bound its paths
 *
 * Context: sleeps; reconfig_mutex held.  mddev->pers is not set yet.
 *
 * Return: 0; -EINVAL or -ENOSPC if the devices do not form one array, -ENODEV if none of
 * them works, each after a line in the log; -ENOMEM.  After an error the array can be
 * corrected and started again.
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
	err = mp_start_md_thread(mddev);
	if (err)
		goto out_free_conf;
	err = md_integrity_register(mddev);
	if (err)
		goto out_free_conf;
	err = sysfs_create_group(&mddev->kobj, &mp_attribute_group);
	if (err)
		goto out_free_conf;

	mutex_lock(&mp_arrays_lock);
	list_add(&conf->node, &mp_arrays);
	mutex_unlock(&mp_arrays_lock);
	mp_start_retry_work(conf);
	queue_delayed_work(system_long_wq, &conf->stall_work, 0);
	mp_for_each_path(path, conf)
		mp_start_tracker(path);

	/* One disk needs no resync, and md core adds no path before a resync is done. */
	mddev->resync_offset = MaxSector;
	md_set_array_sectors(mddev, multipath_size(mddev, 0, 0));
	pr_info("md/multipath:%s: active with %u of %u paths\n",
		mdname(mddev), conf->nr_live, conf->nr_paths);
	return 0;

out_free_conf:
	mddev->private = NULL;
	mp_free_conf(conf);
	return err;
}

/**
 * multipath_free() - stop an array
 * @mddev: the array; md core has stopped mddev->thread, and nothing submits bios
 * @priv: its struct mp_conf
 *
 * Waits for bios and probes that are at a path, and for slot_work, which allocates memory.
 *
 * Context: sleeps, up to the lower drivers' timeout; reconfig_mutex held.
 */
static void multipath_free(struct mddev *mddev, void *priv)
{
	struct mp_conf *conf = priv;
	struct mp_path *path;

	/* Nothing changes a tunable any more, or wakes retry_work for a reboot. */
	sysfs_remove_group(&mddev->kobj, &mp_attribute_group);
	mutex_lock(&mp_arrays_lock);
	list_del(&conf->node);
	mutex_unlock(&mp_arrays_lock);
	/* Only hot_add_disk, which needs reconfig_mutex, and the work itself queue it. */
	cancel_delayed_work_sync(&conf->slot_work);
	/*
	 * No access_work and no query uses the array after the grace period of mp_freeze(),
	 * so none wakes retry_work below.  This does not wait for their commands.
	 */
	mp_for_each_path_made(path, conf) {
		mp_detach_tracker(path);
		mp_detach_query(path);
	}
	/* No bio and no probe is in flight any more, and none can be submitted. */
	mp_freeze(conf);
	/* It wakes retry_work, too. */
	cancel_delayed_work_sync(&conf->stall_work);
	/* Nothing else takes from the lists any more. */
	mp_stop_retry_work(conf);
	/* No bio is left. */
	mp_move_to_failed(conf, &conf->to_verify);
	mp_move_to_failed(conf, &conf->verifying);
	mp_move_to_failed(conf, &conf->paced);
	mp_fail_waiting(conf);
	/* The last completion may still be about to wake mp_freeze(). */
	synchronize_rcu();
	/* A path that has just been removed is hidden until its uevent. */
	flush_delayed_work(&conf->uevent_work);
	mp_end_log(conf);
	/*
	 * submit_work has nothing left to do; this waits until it has ended.  check_work and
	 * mp_reference_work() may still be about to return, but they use nothing of the array
	 * since the grace period.
	 */
	mp_free_conf(conf);
}

/* The administrator's change must reach the superblock; logs if it would not. */
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
 * multipath_check_reshape() - change the number of slots
 * @mddev: the array; delta_disks is the requested change
 *
 * Sets raid_disks and resets delta_disks itself, because no data has to be moved.  A spare
 * takes a new slot.  md core writes the new number to the superblock.
 *
 * Context: sleeps; reconfig_mutex held.  I/O may be in flight and may arrive, because not
 * every caller suspends the array.
 *
 * Return: 0; -EINVAL for more than mp_max_paths(), and for another layout, chunk size or
 * level; -EBUSY if a slot to be dropped has a path, or if the superblock would not be
 * written, each after a line in the log; -ENOMEM.
 */
static int multipath_check_reshape(struct mddev *mddev)
{
	struct mp_conf *conf = mddev->private;
	unsigned int nr = mddev->raid_disks + mddev->delta_disks;
	struct mp_path *path;
	int err;

	if (mddev->new_level != mddev->level || mddev->new_layout != mddev->layout ||
	    mddev->new_chunk_sectors != mddev->chunk_sectors) {
		pr_warn("md/multipath:%s: level %d, layout %d and chunk size %d KiB requested: only the number of paths can be changed\n",
			mdname(mddev), mddev->new_level, mddev->new_layout,
			mddev->new_chunk_sectors / 2);
		return -EINVAL;
	}
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
	/* For md's thread, which is woken when the mutex is released. */
	set_bit(MD_SB_CHANGE_DEVS, &mddev->sb_flags);
	set_bit(MD_RECOVERY_NEEDED, &mddev->recovery);
	pr_info("md/multipath:%s: %u of %u paths in use\n",
		mdname(mddev), READ_ONCE(conf->nr_live), nr);
	return 0;
}

/**
 * multipath_resize() - set the size of the array, usually after the disk has grown
 * @mddev: the array
 * @sectors: the new size of the array, which is also what it uses of the disk
 *
 * md core has checked that each rdev->sectors suffices, and notifies user space.
 *
 * Context: sleeps; reconfig_mutex held.  I/O may be in flight and may arrive.
 *
 * Return: 0; -ENOSPC if a path's new size is not known to the kernel yet, or if a
 * superblock lies where data would be; -EINVAL if array_size was set to more than the new
 * size; -EBUSY if the superblock would not be written.  Each after a line in the log.
 */
static int multipath_resize(struct mddev *mddev, sector_t sectors)
{
	struct mp_conf *conf = mddev->private;
	struct md_rdev *rdev;
	int err;

	if (mddev->external_size && mddev->array_sectors > sectors) {
		pr_warn("md/multipath:%s: array_size is set to %llu sectors: change it first, or write default to it\n",
			mdname(mddev), mddev->array_sectors);
		return -EINVAL;
	}
	rdev_for_each(rdev, mddev) {
		/*
		 * A spare's superblock, with metadata 1.0.  It is the same disk, and md
		 * core does not move it.
		 */
		if (mp_covers_superblock(mddev, rdev, sectors)) {
			pr_warn("md/multipath:%s: %pg has its superblock at sector %llu, but data needs %llu sectors from sector %llu on: remove it first\n",
				mdname(mddev), rdev->bdev, rdev->sb_start, sectors,
				rdev->data_offset);
			return -ENOSPC;
		}
		if (rdev->raid_disk < 0 || mp_has_sectors(rdev, sectors))
			continue;
		pr_warn("md/multipath:%s: %pg has %llu sectors, but data needs %llu sectors from sector %llu on: rescan the device\n",
			mdname(mddev), rdev->bdev, bdev_nr_sectors(rdev->bdev), sectors,
			rdev->data_offset);
		return -ENOSPC;
	}
	err = mp_check_superblock_writer(mddev);
	if (err)
		return err;
	mddev->dev_sectors = sectors;
	/* pairs with mp_has_room(), mp_probe_sector(), mp_check_shrunk() */
	atomic64_set(&conf->data_sectors, sectors);
	md_set_array_sectors(mddev, sectors);
	return 0;
}

/*
 * The end of the array's line in /proc/mdstat, which monitoring tools parse.  Does not
 * sleep.
 */
static void multipath_status(struct seq_file *seq, struct mddev *mddev)
{
	struct mp_conf *conf = mddev->private;
	/* One number for both, as tools count the letters.  pairs with mp_set_slots() */
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

/* No path will be repaired any more, so bios that wait for one would only delay the reboot. */
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
	err = mp_create_access_workqueues();
	if (err)
		goto out_destroy_caches;
	err = mp_create_check_workqueues();
	if (err)
		goto out_destroy_access_workqueues;
	err = mp_create_submit_workqueues();
	if (err)
		goto out_destroy_check_workqueues;
	err = mp_create_retry_workqueue();
	if (err)
		goto out_destroy_submit_workqueues;
	err = register_reboot_notifier(&mp_reboot_notifier);
	if (err)
		goto out_destroy_retry_workqueue;
	err = register_md_submodule(&multipath_personality.head);
	if (err) {
		pr_err("md/multipath: another driver for level multipath is loaded: unload it first\n");
		goto out_unregister_notifier;
	}
	pr_info("md/multipath: version %s\n", MP_VERSION);
	return 0;

out_unregister_notifier:
	unregister_reboot_notifier(&mp_reboot_notifier);
out_destroy_retry_workqueue:
	mp_destroy_retry_workqueue();
out_destroy_submit_workqueues:
	mp_destroy_submit_workqueues();
out_destroy_check_workqueues:
	mp_destroy_check_workqueues();
out_destroy_access_workqueues:
	mp_destroy_access_workqueues();
out_destroy_caches:
	mp_destroy_caches();
	return err;
}

static void __exit multipath_exit(void)
{
	unregister_md_submodule(&multipath_personality.head);
	unregister_reboot_notifier(&mp_reboot_notifier);
	mp_destroy_retry_workqueue();
	mp_destroy_submit_workqueues();
	mp_destroy_check_workqueues();
	mp_destroy_access_workqueues();
	mp_destroy_caches();
	mp_end_log_of_all();
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

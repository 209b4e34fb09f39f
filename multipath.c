// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * multipath.c: several paths to one disk, as one md array
 *
 * The life of a bio:
 *
 *   md core -> multipath_make_request() -> choose a path -> lower driver
 *	|						       |
 *	| gate shut, no memory				       v
 *	v					     mp_end_io()
 *   parked <---- retry thread ----> another path      |     |
 *			^			       |     `-> done
 *			`---- failed <-- path error ---'
 *
 * The life of a path:
 *
 *   live (In_sync) --path error, mdadm --fail--> failed (Faulty)
 *   failed --mdadm --remove, the device is gone--> out of the array
 *   any device --mdadm --add--> live
 *
 * The rules that the code refers to:
 *
 * R1. A round tries a bio once on each path, and once more on the last live one
 *     if it was there with failfast only (R3).  Rounds end, so every bio ends.
 *     When all paths have failed it, it gets its first error.
 * R2. Only path errors cost a path; mp_classify() is the table.  A doubtful
 *     error sends the bio to another path first: if that one succeeds, the
 *     doubted path fails; if all say the same, none is blamed.
 * R3. The last live path is used without failfast of ours, so that the lower
 *     driver's own retries work, and an error never makes it Faulty.
 * R4. Flush and FUA go down one path with the bio, as any write, and an error
 *     comes back.  md_flush_request() is not used: it loses errors, and sends
 *     a flush down each path to the same disk.
 * R5. REQ_NOWAIT is honoured on submission and cleared on retry.  make_request
 *     never sleeps, neither for a path nor for memory: it runs under md's
 *     active_io, and md waits for that before it adds a path that would help.
 * R6. Nothing on the submit and complete path writes a cache line that all
 *     CPUs share.
 * R7. md_account_bio() is not used: it pins active_io until the bio completes,
 *     and then a bio that waits for a path keeps md from adding one.
 * R8. Bios that wait are master bios or failed records; they hold nothing that
 *     removal or suspend waits for.  A shut gate waits only for bios that are
 *     at a path.
 * R9. Failed bios are retried by a thread of the array's own, never by
 *     mddev->thread: that one writes superblocks, and can sit in the lower
 *     driver's timeout on the very path that died.  Retries allocate nothing
 *     but for integrity data and crypt contexts.  It is one thread for all
 *     paths: one that hangs with all its tags used up holds up the retries.
 * R10. The error handler and the completions run in any context, so they never
 *     take reconfig_mutex.
 */

#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include "md.h"
#include "multipath.h"

#define MP_VERSION		"0.1.0"

/* How often the retry thread looks again while bios wait. */
#define MP_POLL			(HZ / 50 + 1)

static struct kmem_cache *mp_io_cache;

/* -------- the state of a path -------- */

static bool mp_rdev_live(const struct md_rdev *rdev)
{
	return test_bit(In_sync, &rdev->flags) && !test_bit(Faulty, &rdev->flags);
}

/* The rdev of a slot, for who holds mp_conf::lock, reconfig_mutex or in_flight. */
static struct md_rdev *mp_rdev(const struct mp_path *path)
{
	return rcu_dereference_protected(path->rdev, true);
}

/* Racy by nature: a path may fail or join at any time after it. */
static bool mp_is_last(const struct mp_conf *conf)
{
	return READ_ONCE(conf->nr_live) <= 1;	/* pairs with __mp_count_paths() */
}

/* Everything that is counted from the paths' states is counted here. */
static void __mp_count_paths(struct mp_conf *conf)
{
	unsigned int slot, live = 0;

	lockdep_assert_held(&conf->lock);

	for (slot = 0; slot < conf->nr_paths; slot++) {
		struct md_rdev *rdev = mp_rdev(&conf->paths[slot]);

		if (rdev && mp_rdev_live(rdev))
			live++;
	}
	/* pairs with mp_is_last() */
	WRITE_ONCE(conf->nr_live, live);
	conf->mddev->degraded = conf->nr_paths - live;
}

/* -------- choosing a path -------- */

/*
 * The first path in sync that is not write-mostly, else the first in sync.
 * Slots in @tried are passed over.
 */
static struct mp_path *mp_choose_path(struct mp_conf *conf, u64 tried)
{
	struct mp_path *standby = NULL;
	unsigned int slot;

	for (slot = 0; slot < conf->nr_paths; slot++) {
		struct mp_path *path = &conf->paths[slot];
		struct md_rdev *rdev = rcu_dereference(path->rdev);

		if (!rdev || !mp_rdev_live(rdev) || (tried & BIT_ULL(slot)))
			continue;
		if (likely(!test_bit(WriteMostly, &rdev->flags)))
			return path;
		if (!standby)
			standby = path;
	}
	return standby;
}

/*
 * Take a path for a bio: the bio counts as in flight there until mp_put_path().
 *
 * The gate is looked at, the path chosen and the bio counted in one RCU section,
 * so that who shuts the gate or clears the slot has only to wait for a grace
 * period, and from then on the sum of in_flight can but fall:
 *
 *	CPU0 mp_shut_gate()			CPU1 here
 *	gate++					rcu_read_lock()
 *	synchronize_rcu()			gate? no
 *	  waits for CPU1			this_cpu_inc(in_flight)
 *	sum of in_flight: sees CPU1's bio	rcu_read_unlock()
 *
 * Returns the path; NULL if none is left; ERR_PTR(-EBUSY) if the gate is shut.
 */
static struct mp_path *mp_take_path(struct mp_conf *conf, u64 tried)
{
	struct mp_path *path;

	rcu_read_lock();
	if (unlikely(READ_ONCE(conf->gate))) {	/* pairs with mp_shut_gate() */
		path = ERR_PTR(-EBUSY);
	} else {
		path = mp_choose_path(conf, tried);
		if (likely(path))
			this_cpu_inc(*path->in_flight);
	}
	rcu_read_unlock();
	return path;
}

/*
 * The bio is no longer at the path.  Nothing of @path, its rdev or @conf may be
 * used after this: removal lets the rdev go when the sum of in_flight is 0, and
 * free() the rest, after the RCU section that covers the wake-up here.
 */
static void mp_put_path(struct mp_conf *conf, struct mp_path *path)
{
	rcu_read_lock();
	this_cpu_dec(*path->in_flight);
	if (unlikely(READ_ONCE(conf->gate)))	/* pairs with mp_shut_gate() */
		wake_up(&conf->drained);
	rcu_read_unlock();
}

/* Exact once no bio can be added: after a grace period with gate or slot shut. */
static long mp_in_flight(const struct mp_path *path)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(path->in_flight, cpu));
	return sum;
}

static bool mp_is_drained(const struct mp_conf *conf)
{
	unsigned int slot;

	for (slot = 0; slot < conf->nr_paths; slot++)
		if (mp_in_flight(&conf->paths[slot]))
			return false;
	return true;
}

/* -------- a bio comes back -------- */

enum mp_class {
	MP_ANSWER,		/* the disk's or the caller's: passed up, never retried */
	MP_PATH_ERROR,		/* the path's: it fails at once, the bio goes to another */
	MP_DOUBTFUL,		/* the bio goes to another, and that one's answer decides */
	MP_BUSY,		/* no one's fault: the bio goes to another */
};

/*
 * R2: whose error is it?  blk_path_error() is no help here: it takes a caller's
 * bad bio (INVAL), a would-block (AGAIN), a command's time limit and a full
 * zone for path errors.
 */
static enum mp_class mp_classify(blk_status_t status, blk_opf_t opf)
{
	switch (status) {
	case BLK_STS_TRANSPORT:
	case BLK_STS_OFFLINE:
		return MP_PATH_ERROR;

	case BLK_STS_NOTSUPP:
	case BLK_STS_NOSPC:
	case BLK_STS_TARGET:
	case BLK_STS_RESV_CONFLICT:
	case BLK_STS_MEDIUM:
	case BLK_STS_PROTECTION:
	case BLK_STS_INVAL:
	case BLK_STS_DURATION_LIMIT:
	case BLK_STS_ZONE_OPEN_RESOURCE:
	case BLK_STS_ZONE_ACTIVE_RESOURCE:
		return MP_ANSWER;

	case BLK_STS_AGAIN:
		return opf & REQ_NOWAIT ? MP_ANSWER : MP_BUSY;

	case BLK_STS_RESOURCE:
	case BLK_STS_DEV_RESOURCE:
		return MP_BUSY;

	default:		/* IOERR and TIMEOUT, and what is not known yet */
		return MP_DOUBTFUL;
	}
}

/*
 * Fail a path for an error of I/O.  The last one is spared here already, and
 * not only in multipath_error(), because md_error() would wake md's thread for
 * each bio that fails on it.
 */
static void mp_fail_path(struct mp_conf *conf, struct md_rdev *rdev)
{
	if (!mp_rdev_live(rdev))
		return;
	if (mp_is_last(conf))
		pr_crit_ratelimited("md/multipath:%s: I/O error on %pg, the last path: it stays in use\n",
				    mdname(conf->mddev), rdev->bdev);
	else
		md_error(conf->mddev, rdev);
}

/*
 * R2: another path did what these could not, so the error was theirs.  A slot
 * may hold another rdev by now, which joined after the doubt and is innocent.
 */
static void mp_blame_doubted(const struct mp_io *io)
{
	struct mp_conf *conf = io->conf;
	unsigned int slot;

	rcu_read_lock();
	for (slot = 0; slot < conf->nr_paths; slot++) {
		struct mp_path *path = &conf->paths[slot];
		struct md_rdev *rdev = rcu_dereference(path->rdev);

		if (!(io->doubted & BIT_ULL(slot)) || path == io->path || !rdev)
			continue;
		/* pairs with multipath_hot_add_disk() */
		if ((s32)(READ_ONCE(path->joined) - io->generation) <= 0)
			mp_fail_path(conf, rdev);
	}
	rcu_read_unlock();
}

static void mp_doubt_path(struct mp_io *io)
{
	if (!io->doubted)
		io->generation = READ_ONCE(io->conf->generation);
	io->doubted |= BIT_ULL(io->path->slot);
}

/*
 * End a bio.  The record goes and the path is let go before the master ends, so
 * that who sees the bio done finds the path idle; @conf may be gone after that.
 *
 * A master that md core has split may carry the error of a half that failed
 * before this one: success never overwrites it.
 */
static void mp_finish(struct mp_io *io, blk_status_t status)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path = io->path;
	struct bio *master = io->master;

	if (io->accounted)
		bio_end_io_acct(master, io->start_time);
	bio_uninit(&io->clone);
	mempool_free(io, &conf->ios);
	if (likely(path))
		mp_put_path(conf, path);

	if (unlikely(status))
		master->bi_status = status;
	bio_endio(master);
}

/* Hand a failed bio to the retry thread; it owns the record from here on. */
static void mp_retry_later(struct mp_io *io, blk_status_t status)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path = io->path;

	if (!io->first_error)
		io->first_error = status;
	io->path = NULL;
	llist_add(&io->node, &conf->failed);
	md_wakeup_thread(conf->retry_thread);
	mp_put_path(conf, path);
}

/* The lower driver is done with a clone.  Any context. */
static void mp_end_io(struct bio *clone)
{
	struct mp_io *io = container_of(clone, struct mp_io, clone);
	blk_status_t status = clone->bi_status;

	if (likely(!status)) {
		if (unlikely(io->doubted))
			mp_blame_doubted(io);
		mp_finish(io, BLK_STS_OK);
		return;
	}

	switch (mp_classify(status, clone->bi_opf)) {
	case MP_ANSWER:
		mp_finish(io, status);
		return;
	case MP_PATH_ERROR:
		mp_fail_path(io->conf, mp_rdev(io->path));
		break;
	case MP_DOUBTFUL:
		mp_doubt_path(io);
		break;
	case MP_BUSY:
		break;
	}

	/* Nobody waits for readahead; who needs the data will ask again. */
	if (clone->bi_opf & REQ_RAHEAD)
		mp_finish(io, status);
	else
		mp_retry_later(io, status);
}

/* -------- a bio goes down -------- */

/*
 * A record for a bio, from the slab or from the reserve, never by waiting (R5).
 * bio_alloc_clone() would not do: since 7.0 it leaves its reserve alone when it
 * may not sleep.
 */
static struct mp_io *mp_alloc_io(struct mp_conf *conf, struct bio *master)
{
	struct mp_io *io;

	io = kmem_cache_alloc(mp_io_cache, GFP_NOWAIT | __GFP_NOWARN);
	if (unlikely(!io))
		io = mempool_alloc_preallocated(&conf->ios);
	if (unlikely(!io))
		return NULL;

	io->master = master;
	io->conf = conf;
	io->path = NULL;
	io->tried = 0;
	io->doubted = 0;
	io->first_error = BLK_STS_OK;
	io->accounted = false;
	io->patient = false;
	return io;
}

/* Made anew for each path; only integrity data or a crypt context can make it fail. */
static bool mp_clone_for(struct mp_io *io, const struct mp_path *path)
{
	return !bio_init_clone(mp_rdev(path)->bdev, &io->clone, io->master,
			       GFP_NOWAIT | __GFP_NOWARN);
}

/* Send a bio to a path that was taken for it. */
static void mp_send(struct mp_io *io, struct mp_path *path)
{
	struct md_rdev *rdev = mp_rdev(path);
	struct mddev *mddev = io->conf->mddev;
	struct bio *clone = &io->clone;

	io->path = path;
	io->tried |= BIT_ULL(path->slot);

	clone->bi_iter.bi_sector += rdev->data_offset;
	clone->bi_end_io = mp_end_io;
	if (unlikely(io->patient || mp_is_last(io->conf)))	/* R3 */
		io->patient = true;
	else
		clone->bi_opf |= REQ_FAILFAST_TRANSPORT;

	mddev_trace_remap(mddev, clone, io->master->bi_iter.bi_sector);
	mddev_check_write_zeroes(mddev, clone);
	submit_bio_noacct(clone);
}

/* Start a bio on its way.  False: not now, it has to wait. */
static bool mp_start(struct mp_conf *conf, struct bio *bio)
{
	struct mp_path *path;
	struct mp_io *io;

	path = mp_take_path(conf, 0);
	if (IS_ERR(path))
		return false;
	if (unlikely(!path)) {
		bio_io_error(bio);
		return true;
	}

	io = mp_alloc_io(conf, bio);
	if (unlikely(!io))
		goto out_put_path;
	if (unlikely(!mp_clone_for(io, path)))
		goto out_free_io;

	/* Asked once: iostat may be switched off while the bio is away. */
	if (blk_queue_io_stat(conf->mddev->gendisk->queue)) {
		io->accounted = true;
		io->start_time = bio_start_io_acct(bio);
	}
	mp_send(io, path);
	return true;

out_free_io:
	mempool_free(io, &conf->ios);
out_put_path:
	mp_put_path(conf, path);
	return false;
}

/* Keep a bio for the retry thread, which is woken after it can find the bio. */
static void mp_park(struct mp_conf *conf, struct bio *bio)
{
	unsigned long flags;

	if (bio->bi_opf & REQ_NOWAIT) {		/* R5 */
		bio_wouldblock_error(bio);
		return;
	}
	spin_lock_irqsave(&conf->lock, flags);
	bio_list_add(&conf->parked, bio);
	spin_unlock_irqrestore(&conf->lock, flags);
	md_wakeup_thread(conf->retry_thread);
}

static bool multipath_make_request(struct mddev *mddev, struct bio *bio)
{
	struct mp_conf *conf = mddev->private;

	if (unlikely(!mp_start(conf, bio)))
		mp_park(conf, bio);
	return true;
}

/* -------- the retry thread -------- */

/*
 * A path for a failed bio.  When it has tried all that are live, one thing is
 * left (R3): the last live path may have refused it only because it was sent
 * there with failfast, when there still was another.  It goes there once more,
 * patiently, and that ends the round.
 */
static struct mp_path *mp_take_retry_path(struct mp_io *io)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path = mp_take_path(conf, io->tried);

	if (path || io->patient || !mp_is_last(conf))
		return path;

	return mp_take_path(conf, 0);
}

/* Send a failed bio to another path, or end it.  False: not now. */
static bool mp_retry(struct mp_io *io)
{
	struct mp_path *path = mp_take_retry_path(io);

	if (IS_ERR(path))
		return false;
	if (!path) {
		mp_finish(io, io->first_error);
		return true;
	}

	bio_uninit(&io->clone);
	if (!mp_clone_for(io, path)) {
		mp_put_path(io->conf, path);
		return false;
	}
	io->clone.bi_opf &= ~REQ_NOWAIT;	/* R5: this thread can wait */
	if (io->tried & BIT_ULL(path->slot))
		io->patient = true;
	mp_send(io, path);
	return true;
}

/* Retry all that failed so far.  False: some have to wait. */
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
	}
	return all;
}

static struct bio *mp_next_parked(struct mp_conf *conf)
{
	struct bio *bio;

	spin_lock_irq(&conf->lock);
	bio = bio_list_pop(&conf->parked);
	spin_unlock_irq(&conf->lock);
	return bio;
}

/* Start the bios that wait, oldest first.  False: some have to wait longer. */
static bool mp_start_parked(struct mp_conf *conf)
{
	struct bio *bio;

	while ((bio = mp_next_parked(conf))) {
		if (!mp_start(conf, bio)) {
			spin_lock_irq(&conf->lock);
			bio_list_add_head(&conf->parked, bio);
			spin_unlock_irq(&conf->lock);
			return false;
		}
	}
	return true;
}

/*
 * The array's own thread (R9).  Bios wait for the gate or for memory.  Nobody
 * tells when there is memory, so it looks again while any bio waits.
 */
static void mp_retry_thread(struct md_thread *thread)
{
	struct mp_conf *conf = thread->mddev->private;
	bool retried = mp_retry_failed(conf);
	bool started = mp_start_parked(conf);

	thread->timeout = retried && started ? MAX_SCHEDULE_TIMEOUT : MP_POLL;
}

/* mddev->thread: superblocks, and what md core makes of failed paths. */
static void mp_md_thread(struct md_thread *thread)
{
	md_check_recovery(thread->mddev);
}

/* -------- the gate -------- */

/*
 * Let no bio go to a path any more, and wait until none is at one.  After the
 * grace period each CPU that submits sees the gate (mp_take_path()), so the sum
 * of in_flight only falls; and each CPU that completes sees it too
 * (mp_put_path()), so the one that takes the sum to 0 wakes us.
 *
 * It waits as long as a lower driver keeps a bio, that is until its timeout.
 */
static void mp_shut_gate(struct mp_conf *conf)
{
	spin_lock_irq(&conf->lock);
	WRITE_ONCE(conf->gate, conf->gate + 1);
	spin_unlock_irq(&conf->lock);

	synchronize_rcu();
	wait_event(conf->drained, mp_is_drained(conf));
}

static void mp_open_gate(struct mp_conf *conf)
{
	spin_lock_irq(&conf->lock);
	WRITE_ONCE(conf->gate, conf->gate - 1);
	spin_unlock_irq(&conf->lock);

	md_wakeup_thread(conf->retry_thread);
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
		mp_shut_gate(mddev->private);
	else
		mp_open_gate(mddev->private);
}

/* -------- paths come and go -------- */

/**
 * multipath_error - md core's error handler: a path failed
 * @mddev: the array
 * @rdev: the path, or a spare
 *
 * Called through md_error() for an error of I/O, for a superblock that could
 * not be written, and for mdadm --fail.  The last live path is left alone (R3).
 *
 * Context: any, so no mutex (R10).  Takes mp_conf::lock.
 */
static void multipath_error(struct mddev *mddev, struct md_rdev *rdev)
{
	struct mp_conf *conf = mddev->private;
	unsigned int left;
	unsigned long flags;
	bool was_live;

	spin_lock_irqsave(&conf->lock, flags);
	was_live = mp_rdev_live(rdev);
	if (was_live && conf->nr_live <= 1) {
		spin_unlock_irqrestore(&conf->lock, flags);
		pr_crit_ratelimited("md/multipath:%s: %pg is the last path: it stays in use\n",
				    mdname(mddev), rdev->bdev);
		return;
	}
	clear_bit(In_sync, &rdev->flags);
	set_bit(Faulty, &rdev->flags);
	__mp_count_paths(conf);
	left = conf->nr_live;
	spin_unlock_irqrestore(&conf->lock, flags);

	set_bit(MD_SB_CHANGE_DEVS, &mddev->sb_flags);
	if (was_live)
		pr_crit("md/multipath:%s: path %pg failed; I/O goes on over %u of %u paths\n",
			mdname(mddev), rdev->bdev, left, conf->nr_paths);
}

/* The first path of the array other than @rdev, to compare it with. */
static struct md_rdev *mp_other_path(struct mddev *mddev, const struct md_rdev *rdev)
{
	struct md_rdev *other;

	rdev_for_each(other, mddev)
		if (other != rdev && other->raid_disk >= 0 &&
		    !test_bit(Faulty, &other->flags))
			return other;
	return NULL;
}

/*
 * Can this device be a path of the array?  One line says why not.  Paths to one
 * disk have its size and its block size, so other ones are another disk's.
 */
static int mp_check_path(struct mddev *mddev, struct md_rdev *rdev)
{
	sector_t size = bdev_nr_sectors(rdev->bdev);
	unsigned int block = bdev_logical_block_size(rdev->bdev);
	struct md_rdev *other = mp_other_path(mddev, rdev);

	if (test_bit(Journal, &rdev->flags) || test_bit(Replacement, &rdev->flags)) {
		pr_warn("md/multipath:%s: %pg: a path can be no journal and no replacement\n",
			mdname(mddev), rdev->bdev);
		return -EINVAL;
	}
	if (bdev_is_zoned(rdev->bdev)) {
		pr_warn("md/multipath:%s: %pg is a zoned device: these are not supported\n",
			mdname(mddev), rdev->bdev);
		return -EINVAL;
	}
	if (size < rdev->data_offset + mddev->dev_sectors) {
		pr_warn("md/multipath:%s: %pg has %llu sectors, the array needs %llu: not a path to its disk\n",
			mdname(mddev), rdev->bdev, size,
			rdev->data_offset + mddev->dev_sectors);
		return -ENOSPC;
	}
	if (other && size != bdev_nr_sectors(other->bdev)) {
		pr_warn("md/multipath:%s: %pg has %llu sectors, %pg has %llu: not paths to one disk\n",
			mdname(mddev), rdev->bdev, size, other->bdev,
			bdev_nr_sectors(other->bdev));
		return -EINVAL;
	}
	if (other && rdev->data_offset != other->data_offset) {
		pr_warn("md/multipath:%s: data starts at sector %llu of %pg and at %llu of %pg: not paths to one disk\n",
			mdname(mddev), rdev->data_offset, rdev->bdev,
			other->data_offset, other->bdev);
		return -EINVAL;
	}
	if (block > PAGE_SIZE) {
		pr_warn("md/multipath:%s: %pg has blocks of %u bytes, more than a page: not supported\n",
			mdname(mddev), rdev->bdev, block);
		return -EINVAL;
	}
	if (other && block != bdev_logical_block_size(other->bdev)) {
		pr_warn("md/multipath:%s: %pg has blocks of %u bytes, %pg of %u: not paths to one disk\n",
			mdname(mddev), rdev->bdev, block, other->bdev,
			bdev_logical_block_size(other->bdev));
		return -EINVAL;
	}
	return 0;
}

/* Put a path into a slot; I/O may go to it from here on, if it is in sync. */
static void mp_fill_slot(struct mp_conf *conf, struct mp_path *path,
			 struct md_rdev *rdev, bool in_sync)
{
	spin_lock_irq(&conf->lock);
	WRITE_ONCE(conf->generation, conf->generation + 1);
	WRITE_ONCE(path->joined, conf->generation);	/* pairs with mp_blame_doubted() */
	rdev->raid_disk = path->slot;
	assign_bit(In_sync, &rdev->flags, in_sync);
	rcu_assign_pointer(path->rdev, rdev);
	__mp_count_paths(conf);
	spin_unlock_irq(&conf->lock);
}

/* The slot that md core asks for, else the one it had, else the first free one. */
static struct mp_path *mp_free_slot(struct mp_conf *conf, const struct md_rdev *rdev)
{
	int wish = rdev->raid_disk >= 0 ? rdev->raid_disk : rdev->saved_raid_disk;
	unsigned int slot;

	if (wish >= 0 && wish < conf->nr_paths && !mp_rdev(&conf->paths[wish]))
		return &conf->paths[wish];
	if (rdev->raid_disk >= 0)
		return NULL;
	for (slot = 0; slot < conf->nr_paths; slot++)
		if (!mp_rdev(&conf->paths[slot]))
			return &conf->paths[slot];
	return NULL;
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
		pr_warn("md/multipath:%s: %pg has failed: remove it and add it again\n",
			mdname(mddev), rdev->bdev);
		return -EINVAL;
	}
	err = mp_check_path(mddev, rdev);
	if (err)
		return err;
	err = mddev_stack_new_rdev(mddev, rdev);
	if (err)
		return err;

	if (!rdev->sectors)
		rdev->sectors = bdev_nr_sectors(rdev->bdev) - rdev->data_offset;
	mp_fill_slot(conf, path, rdev, true);
	pr_info("md/multipath:%s: path %pg joined; %u of %u paths are in use\n",
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
 * Context: sleeps for two grace periods; reconfig_mutex held.
 *
 * Return: 0; -EBUSY while the path is live or I/O is still at it.  It never
 * waits for that I/O, which may be hung.
 */
static int multipath_hot_remove_disk(struct mddev *mddev, struct md_rdev *rdev)
{
	struct mp_conf *conf = mddev->private;
	struct mp_path *path = &conf->paths[rdev->raid_disk];
	bool by_md = current->flags & PF_KTHREAD;

	if (mp_rdev(path) != rdev)
		return 0;
	if (by_md && !is_rdev_broken(rdev))
		return -EBUSY;

	if (mp_rdev_live(rdev))
		return -EBUSY;

	/*
	 * Who chose the path while it was live has raised in_flight by the end
	 * of the grace period, and nobody chooses it any more, as only
	 * mp_fill_slot() makes it live again, under reconfig_mutex.  So 0 is
	 * final.  The slot is cleared only then: who is at the path uses it.
	 */
	synchronize_rcu();
	if (mp_in_flight(path)) {
		if (!by_md)
			pr_warn("md/multipath:%s: I/O is still at path %pg: remove it when that has ended\n",
				mdname(mddev), rdev->bdev);
		return -EBUSY;
	}

	spin_lock_irq(&conf->lock);
	RCU_INIT_POINTER(path->rdev, NULL);
	spin_unlock_irq(&conf->lock);
	/* mp_blame_doubted() may still be at the rdev, which md core takes apart next. */
	synchronize_rcu();
	/* A spare may take the slot: up to 6.6 md core does not look by itself. */
	set_bit(MD_RECOVERY_NEEDED, &mddev->recovery);
	return 0;
}

/* -------- the array starts and stops -------- */

static void mp_free_conf(struct mp_conf *conf)
{
	unsigned int slot;

	for (slot = 0; slot < conf->nr_paths; slot++)
		free_percpu(conf->paths[slot].in_flight);
	mempool_exit(&conf->ios);
	kfree(conf);
}

static struct mp_conf *mp_alloc_conf(struct mddev *mddev)
{
	struct mp_conf *conf;
	unsigned int slot;

	conf = kzalloc(struct_size(conf, paths, mddev->raid_disks), GFP_KERNEL);
	if (!conf)
		return NULL;

	conf->nr_paths = mddev->raid_disks;
	conf->mddev = mddev;
	spin_lock_init(&conf->lock);
	init_llist_head(&conf->failed);
	bio_list_init(&conf->parked);
	init_waitqueue_head(&conf->drained);

	if (mempool_init_slab_pool(&conf->ios, MP_RESERVED_IOS, mp_io_cache))
		goto out_free_conf;
	for (slot = 0; slot < conf->nr_paths; slot++) {
		conf->paths[slot].slot = slot;
		conf->paths[slot].in_flight = alloc_percpu(long);
		if (!conf->paths[slot].in_flight)
			goto out_free_conf;
	}
	return conf;

out_free_conf:
	mp_free_conf(conf);
	return NULL;
}

/* Is what md core put together an array of ours?  One line says why not. */
static int mp_check_array(struct mddev *mddev)
{
	if (mddev->raid_disks < 1 || mddev->raid_disks > MP_MAX_PATHS) {
		pr_warn("md/multipath:%s: %d paths asked for, 1 to %d are possible\n",
			mdname(mddev), mddev->raid_disks, MP_MAX_PATHS);
		return -EINVAL;
	}
	if (mddev->bitmap_info.file || mddev->bitmap_info.offset) {
		pr_warn("md/multipath:%s: there is no use for a bitmap with one disk: make the array without\n",
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
		if (mp_rdev(&conf->paths[slot])) {
			pr_warn("md/multipath:%s: %pg wants slot %d, which is taken\n",
				mdname(mddev), rdev->bdev, slot);
			return -EINVAL;
		}
		mp_fill_slot(conf, &conf->paths[slot], rdev,
			     !test_bit(Faulty, &rdev->flags));
	}
	if (!conf->nr_live) {
		pr_warn("md/multipath:%s: no path works: not started\n", mdname(mddev));
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
			pr_warn("md/multipath:%s: %pg has another integrity profile than the other paths\n",
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

/* End all that still waits.  No path is held, and no thread runs. */
static void mp_fail_waiting(struct mp_conf *conf)
{
	struct mp_io *io, *next;
	struct bio *bio;

	llist_for_each_entry_safe(io, next, llist_del_all(&conf->failed), node)
		mp_finish(io, io->first_error);
	while ((bio = mp_next_parked(conf)))
		bio_io_error(bio);
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

	/* No bio is at a path any more, and none can get there. */
	mp_shut_gate(conf);
	/* Nobody takes from the lists but us. */
	md_unregister_thread(mddev, &conf->retry_thread);
	/* No bio is left at all. */
	mp_fail_waiting(conf);
	/* The last completion may still be about to wake mp_shut_gate(). */
	synchronize_rcu();
	mp_free_conf(conf);
}

/* The tail of a line in /proc/mdstat, which monitoring tools parse.  No sleep. */
static void multipath_status(struct seq_file *seq, struct mddev *mddev)
{
	struct mp_conf *conf = mddev->private;
	unsigned int slot;

	seq_printf(seq, " [%u/%u] [", conf->nr_paths, READ_ONCE(conf->nr_live));
	rcu_read_lock();
	for (slot = 0; slot < conf->nr_paths; slot++) {
		struct md_rdev *rdev = rcu_dereference(conf->paths[slot].rdev);

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
	.quiesce		= multipath_quiesce,
};

static int __init multipath_init(void)
{
	int err;

	mp_io_cache = KMEM_CACHE(mp_io, 0);
	if (!mp_io_cache)
		return -ENOMEM;
	err = register_md_submodule(&multipath_personality.head);
	if (err) {
		pr_err("md/multipath: another driver of level multipath is loaded: unload it first\n");
		kmem_cache_destroy(mp_io_cache);
		return err;
	}
	pr_info("md/multipath: version %s\n", MP_VERSION);
	return 0;
}

static void __exit multipath_exit(void)
{
	unregister_md_submodule(&multipath_personality.head);
	kmem_cache_destroy(mp_io_cache);
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

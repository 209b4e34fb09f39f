// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a path work?
 *
 * retry_work starts a probe, a small read with all failfast flags, and submits it as it
 * submits bios (R9).  If the first block cannot be read, the next place is tried: a
 * bad sector is not a broken path.  If the path is known not to work, only the next probe
 * reads that place, because the kernel logs each read that fails, and no flag of a bio
 * prevents that.  A failed path that responds, and any path that responds while none works,
 * is then checked: does it lead to the same disk?  mp_query_work() queries a SCSI device, and
 * mp_check_work() compares.  The result goes back to retry_work.  The checks of paths at
 * rest go the same way, but need less (R17, check.c).
 *
 * R11. A path that failed by itself keeps its slot and is probed.  It is reinstated when it
 * responds and leads to the same disk (R12).  At first it is probed once per
 * probe_interval, later at intervals of 1/60 of the time since it failed.  That interval is
 * at most 30 s, unless probe_interval or the probe itself takes longer.  So the path stays
 * failed little longer than necessary, and a dead path costs little.
 *
 * While no path works, the time since then takes the place of the time since the failure,
 * and the interval is at most 5 s, unless probe_interval is longer.  All I/O waits for the
 * end of an outage, or fails until then.  So it ends at most 5 s late, and in the first two
 * minutes at most 2 s late.  But it may also last for days, in which each probe of each path
 * may be a line in the kernel log.
 *
 * A path that fails again within a minute after it was reinstated is held down, each time
 * twice as long, up to five minutes.  It is not held down while no other path works, or
 * while all live paths are stalled or inactive.  A path that the administrator failed
 * (mdadm --fail) is not probed before its name is written to md/reinstate.
 *
 * When the last live path does not work, all failed paths are probed at once, whatever
 * their intervals and hold-downs are.  The array is without a path only if that finds none,
 * or takes longer than MP_SEARCH_TIME.  Until then bios wait, also if no_path_retry is 0.
 *
 * R18, for superblocks.  A failed superblock write costs no path: the disk may have
 * refused it, and md core does not pass on the error.  The path is probed, and stays live
 * if it responds and still reads the superblock.  That is what mp_check_work() requires
 * before it reinstates a path, too.  So no path fails for a reason that does not keep it
 * from returning, only to write the superblock once more.
 *
 * An inactive path cannot write, and is queried anyway (R14).
 */

#include <linux/blkdev.h>
#include <linux/sched/mm.h>
#include "md.h"
#include "multipath.h"

/*
 * A failed path is probed at intervals of 1/MP_PROBE_AGEING of the time since it failed
 * (R11). The interval is at most MP_PROBE_SELDOM, unless probe_interval or the probe takes
 * longer.
 */
#define MP_PROBE_AGEING		60
#define MP_PROBE_SELDOM		(30UL * HZ)

/* The same while no path works, where MP_PROBE_AGEING applies to the length of that time. */
#define MP_PROBE_SELDOM_DOWN	(5UL * HZ)

/* How many places of the disk a probe reads before the path counts as not working. */
#define MP_PROBE_PLACES		3

/* How long bios wait at most for the probes of all failed paths (R11), in jiffies. */
#define MP_SEARCH_TIME		HZ

/*
 * In an RCU-sched section.  Probes also run while no path works.  So this checks
 * freeze_depth (pairs with mp_freeze()), not blocked.
 *
 * Returns false if the array is frozen, or the path is gone or not live.  With
 * @to_reinstate, the path must be waiting for reinstatement instead, and must not be
 * removing (pairs with multipath_hot_remove_disk()).
 */
static bool mp_may_probe(const struct mp_path *path, bool to_reinstate)
{
	struct md_rdev *rdev = rcu_dereference_sched(path->rdev);

	if (!rdev || READ_ONCE(path->conf->freeze_depth))
		return false;
	if (to_reinstate)
		return READ_ONCE(path->auto_reinstate) && !READ_ONCE(path->removing);
	return mp_rdev_live(rdev);
}

/* Count a probe in the path's in_flight, in one RCU section like mp_take_path(). */
static bool mp_take_for_probe(struct mp_path *path, bool to_reinstate)
{
	bool taken;

	rcu_read_lock_sched();
	taken = mp_may_probe(path, to_reinstate);
	if (taken)
		path->probe_ticket = mp_count(path->conf, path);
	rcu_read_unlock_sched();
	return taken;
}

/* The first, the last and the middle block: one bad sector must not fail the path. */
static sector_t mp_probe_sector(struct mp_path *path, unsigned int place)
{
	struct md_rdev *rdev = mp_rdev(path);
	sector_t block = bdev_logical_block_size(rdev->bdev) >> SECTOR_SHIFT;
	sector_t sectors = atomic64_read(&path->conf->data_sectors);
	/* The array may be smaller than a block. */
	sector_t at[MP_PROBE_PLACES] = { 0, max(sectors, block) - block, sectors / 2 };

	return rdev->data_offset + round_down(at[place], block);
}

/* Hand a probe back.  Any context.  retry_work may reuse the probe after the store. */
static void mp_return_probe(struct mp_path *path, enum mp_probe_state result)
{
	struct mp_conf *conf = path->conf;
	u8 ticket = path->probe_ticket;

	WRITE_ONCE(path->probes, path->probes + 1);
	/* Before it counts as ended, or it looks like I/O; pairs with mp_has_io() */
	smp_wmb();
	smp_store_release(&path->probe_state, result);	/* pairs with mp_handle_probe() */
	mp_wake_retry_work(conf);
	rcu_read_lock();
	mp_put_path(conf, path, ticket);
	wake_up(&conf->drained);	/* for multipath_hot_remove_disk() */
	rcu_read_unlock();
}

/* The path is taken, and its probe_place is set. */
static void mp_init_probe(struct mp_path *path, bio_end_io_t *end_io)
{
	struct block_device *bdev = mp_rdev(path)->bdev;
	struct bio *probe = path->probe;

	bio_init(probe, bdev, &path->probe_vec, 1, REQ_OP_READ | REQ_FAILFAST_MASK);
	__bio_add_page(probe, virt_to_page(path->probe_buffer), path->probe_size,
		       offset_in_page(path->probe_buffer));
	probe->bi_iter.bi_sector = mp_probe_sector(path, path->probe_place);
	probe->bi_end_io = end_io;
	probe->bi_private = path;
}

static void mp_probe_end(struct bio *bio)
{
	struct mp_path *path = bio->bi_private;
	enum mp_probe_state result;

	/* The path had no room for a probe that does not wait (R9). */
	if (bio->bi_opf & REQ_NOWAIT &&
	    (bio->bi_status == BLK_STS_AGAIN || bio->bi_status == BLK_STS_NOTSUPP)) {
		bio_uninit(bio);
		mp_init_probe(path, mp_probe_end);
		mp_submit_probe_by_work(path);
		return;
	}
	switch (bio->bi_status ? mp_classify(bio->bi_status, bio->bi_opf) : MP_FINAL) {
	case MP_FINAL:
	case MP_REFUSED:
	case MP_BUSY:
		result = MP_PROBE_OK;
		break;
	case MP_PATH_ERROR:
		result = MP_PROBE_FAILED;
		break;
	case MP_AMBIGUOUS:
		result = MP_PROBE_AMBIGUOUS;
		break;
	}
	if (bio->bi_status)
		WRITE_ONCE(path->last_error, bio->bi_status);
	bio_uninit(bio);
	mp_return_probe(path, result);
}

static enum mp_probe_state mp_check_responding_path(struct mp_path *path)
{
	enum mp_probe_state result = MP_PROBE_SAME_DISK;
	struct mp_answer cached = { };

	if (!path->query)
		mp_cached_disk(mp_rdev(path)->bdev, &cached.disk);
	if (!path->probe_superblock)
		result = mp_check_disk(path, path->query ? &path->query->answer : &cached);
	/* A path that cannot be read is inactive, and its ID alone identifies it. */
	if (result == MP_PROBE_SAME_DISK && !path->probe_read_failed)
		result = mp_check_superblock(path);
	return result;
}

/*
 * Queries and reads of the superblock can take long, so they are not part of submit_work
 * (R9).  They allocate from the memory reserves, and their workqueue has a rescuer: this path may
 * be the one that is needed to free memory.
 */
void mp_check_work(struct work_struct *work)
{
	struct mp_path *path = container_of(work, struct mp_path, check_work);
	unsigned int flags = memalloc_noreclaim_save();
	enum mp_probe_state result;

	switch (path->probe_check) {
	case MP_CHECK_ID_FIRST:
	case MP_CHECK_ID:
		result = mp_check_id(path, &path->query->answer);
		break;
	case MP_CHECK_SUPERBLOCK:
		result = mp_check_superblock(path);
		break;
	default:
		result = mp_check_responding_path(path);
	}
	if (result == MP_PROBE_WRONG_DISK || result == MP_PROBE_WRONG_SIZE)
		path->wrong_disk_logged = true;
	/* With the right ID, the size or the superblock may still be wrong, as logged. */
	else if (result == MP_PROBE_SAME_DISK && path->probe_check != MP_CHECK_ID_FIRST)
		path->wrong_disk_logged = false;
	if (result == MP_PROBE_SAME_DISK && path->probe_superblock)
		result = MP_PROBE_SUPERBLOCK;
	memalloc_noreclaim_restore(flags);
	mp_end_check();
	mp_return_probe(path, result);
}

/* The device has answered, or has not.  In an RCU section. */
static void mp_hand_over_query(struct mp_path *path)
{
	struct mp_conf *conf = path->conf;

	if (mp_take_for_probe(path, path->probe_to_reinstate)) {
		mp_queue_check(&path->check_work);
		return;
	}
	smp_store_release(&path->probe_state, MP_PROBE_VOID);	/* pairs with mp_handle_probe() */
	mp_wake_retry_work(conf);
}

/*
 * mp_query::work: query a path's device before check_work.
 *
 * A device that does not answer keeps a command for its timeout, and then for SCSI's error
 * recovery.  Removal of the path and --stop do not wait for that:
 *
 *	in_flight	does not count a query.  The check_work that follows it does count.
 *	References	The path has one on the query, and the queued or running work another.
 *			The last one to go releases the device and frees the query.
 *	The path	is used only in an RCU section, if query->path is not NULL.  When the
 *			path is removed or the array stops, mp_detach_query() clears that, and
 *			after a grace period the query uses neither the path nor the array.
 *	The probe	(probe_state and what it protects) is the query's until it has ended.
 *			If the path has been removed, mp_free_query() ends it instead.
 *	This module	rmmod waits for the queries: mp_destroy_check_workqueues().
 *
 *	CPU0 --stop			CPU1 this work		CPU2 lower driver
 *					sends a command		hangs
 *	query->path = NULL
 *	synchronize_rcu()
 *	frees the array
 *								the command times out
 *					path is NULL:
 *					releases the device
 *					frees the query
 */
void mp_query_work(struct work_struct *work)
{
	struct mp_query *query = container_of(work, struct mp_query, work);
	unsigned int flags = memalloc_noreclaim_save();
	struct mp_path *path;

	if (query->id_only)
		mp_query_id(query->sdev, &query->known, &query->answer);
	else
		mp_query_device(query->sdev, &query->known, query->read_failed, &query->answer);
	rcu_read_lock();
	path = rcu_dereference(query->path);
	if (path)
		mp_hand_over_query(path);
	rcu_read_unlock();
	memalloc_noreclaim_restore(flags);
	mp_end_check();
	mp_put_query(query);
}

static void mp_mark_sent(struct mp_path *path, enum mp_check check)
{
	WRITE_ONCE(path->probe_check, check);
	WRITE_ONCE(path->probe_began, jiffies);
	/* pairs with mp_is_being_checked() */
	smp_store_release(&path->probe_state, MP_PROBE_SENT);
}

/* Queue check_work, unless the path may not be probed. */
static void mp_start_check_work(struct mp_path *path, enum mp_check check)
{
	if (!mp_take_for_probe(path, path->probe_to_reinstate))
		return;
	mp_mark_sent(path, check);
	mp_queue_check(&path->check_work);
}

/*
 * Query the path's device, and then queue check_work.  The caller's RCU section makes removal
 * wait until probe_state shows the query.  So mp_free_query() sees it.
 */
static void mp_start_query_work(struct mp_path *path, struct mp_query *query, enum mp_check check)
{
	bool may;

	rcu_read_lock_sched();
	may = mp_may_probe(path, path->probe_to_reinstate);
	rcu_read_unlock_sched();
	if (!may)
		return;
	query->known.identity = path->disk.identity;
	query->known.sectors = READ_ONCE(path->disk.sectors);
	query->known.block_size = path->disk.block_size;
	query->read_failed = path->probe_read_failed;
	query->id_only = check != MP_CHECK_NONE;
	mp_mark_sent(path, check);
	refcount_inc(&query->refs);
	mp_queue_check(&query->work);
}

/*
 * Check which disk a path leads to: one that responds, or one that may be inactive.  While
 * the array works, nothing but the superblock is checked of a live path, because it may have
 * no tag free for a query.  In an RCU section.
 */
static void mp_start_check(struct mp_path *path, bool read_failed)
{
	path->probe_read_failed = read_failed;
	path->probe_superblock = !path->probe_to_reinstate &&
				 READ_ONCE(path->conf->state) == MP_WORKING;
	if (path->query && !path->probe_superblock)
		mp_start_query_work(path, path->query, MP_CHECK_NONE);
	else
		mp_start_check_work(path, MP_CHECK_NONE);
}

static bool mp_start_read(struct mp_path *path, unsigned int place, bool to_reinstate,
			  enum mp_check check)
{
	if (READ_ONCE(path->probe_state) != MP_PROBE_IDLE || !mp_take_for_probe(path, to_reinstate))
		return false;

	path->probe_place = place;
	mp_init_probe(path, mp_probe_end);
	path->probe_to_reinstate = to_reinstate;
	path->probe_generation = READ_ONCE(path->live_generation);
	path->probe_errors = READ_ONCE(path->superblock_errors);
	mp_mark_sent(path, check);
	path->probe_to_submit = true;
	return true;
}

bool mp_start_probe(struct mp_path *path, unsigned int place, bool to_reinstate)
{
	return mp_start_read(path, place, to_reinstate, MP_CHECK_NONE);
}

/*
 * Read a path that does not work.  If it led to another disk, query its ID before that: nothing
 * of the other disk is read again and again.
 */
static void mp_start_next_probe(struct mp_path *path, unsigned int place, bool to_reinstate)
{
	/* Without an rdev, the path's query may be freed. */
	if (READ_ONCE(path->probe_state) != MP_PROBE_IDLE || !rcu_dereference(path->rdev))
		return;
	if (!path->wrong_disk_logged || !mp_has_id_query(path)) {
		mp_start_probe(path, place, to_reinstate);
		return;
	}
	path->probe_place = place;
	path->probe_to_reinstate = to_reinstate;
	path->probe_superblock = false;
	path->probe_generation = READ_ONCE(path->live_generation);
	mp_start_query_work(path, path->query, MP_CHECK_ID_FIRST);
}

static void mp_repeat_check_at_rest(struct mp_path *path, enum mp_check check)
{
	if (check == MP_CHECK_READ) {
		mp_start_read(path, 0, false, check);
		return;
	}
	path->probe_to_reinstate = false;
	path->probe_read_failed = false;
	path->probe_superblock = false;
	path->probe_generation = READ_ONCE(path->live_generation);
	/* It does not tell whether the path can write the superblock (R18). */
	path->probe_errors = READ_ONCE(path->superblock_checked);
	if (check == MP_CHECK_ID)
		mp_start_query_work(path, path->query, check);
	else
		mp_start_check_work(path, check);
}

void mp_start_check_at_rest(struct mp_path *path, bool confirms)
{
	if (READ_ONCE(path->probe_state) != MP_PROBE_IDLE)
		return;
	path->probe_confirms = confirms;
	path->probe_repeated = false;
	mp_repeat_check_at_rest(path, mp_next_check(path));
}

static void mp_handle_working_path(struct mp_conf *conf, struct mp_path *path,
				   struct md_rdev *rdev)
{
	spin_lock_irq(&conf->lock);
	if (conf->state != MP_WORKING && mp_rdev_live(rdev)) {
		__mp_set_state(conf, MP_WORKING);
		__mp_log(conf, path, MP_LOG_WORKS, 0);
	}
	spin_unlock_irq(&conf->lock);

	if (conf->down_path == path)
		conf->down_path = NULL;
}

/* Whether the controllers of all live paths are inactive (R14). */
static bool __mp_none_active(const struct mp_conf *conf)
{
	const struct mp_path *path;

	lockdep_assert_held(&conf->lock);
	mp_for_each_path(path, conf) {
		const struct md_rdev *rdev = mp_rdev(path);

		if (rdev && mp_rdev_live(rdev) && !test_bit(MP_INACTIVE, &path->demerits))
			return false;
	}
	return true;
}

bool mp_enter_no_path(struct mp_conf *conf, const struct md_rdev *last)
{
	bool entered = false;

	spin_lock_irq(&conf->lock);
	rcu_read_lock();
	if (last ? mp_rdev_live(last) && (conf->nr_live == 1 || __mp_none_active(conf)) :
		   !mp_choose_path(conf, 0)) {
		__mp_set_state(conf, MP_SEARCHING);
		entered = true;
	}
	rcu_read_unlock();
	spin_unlock_irq(&conf->lock);

	if (entered) {
		conf->last_probe = jiffies;
		conf->search_begun = false;
		mp_request_spares(conf);
	}
	return entered;
}

/*
 * A live path does not work: it fails, unless no other path is left.  An ALUA state can explain
 * an error, but not that a path leads to another disk.
 */
static void mp_handle_broken_path(struct mp_conf *conf, struct mp_path *path,
				  struct md_rdev *rdev, enum mp_reason reason)
{
	if (reason == MP_WRONG_DISK) {
		mp_fail_path(path, rdev, reason);
		return;
	}
	if (READ_ONCE(conf->state) != MP_WORKING || !mp_rdev_live(rdev))
		return;
	if (!mp_enter_no_path(conf, rdev)) {
		mp_suspect_path(path, rdev, reason);
		return;
	}
	conf->down_path = path;
	/* The path may only have to be activated. */
	mp_query_access_soon(path);
}

/* Act on the result for a failed path that may be reinstated. */
static void mp_apply_reinstate_probe(struct mp_conf *conf, struct mp_path *path,
				     struct md_rdev *rdev, enum mp_probe_state result)
{
	/* An inactive controller cannot read, but can be queried (R14). */
	if (result == MP_PROBE_OK)
		mp_start_check(path, false);
	else if (result == MP_PROBE_AMBIGUOUS && READ_ONCE(path->has_access))
		mp_start_check(path, true);
	else if (result == MP_PROBE_SAME_DISK)
		mp_reinstate_path(conf, path, rdev, path->probe_read_failed);
}

/*
 * Whether a probe of a live path, which has responded, needs a check: while no path works,
 * it is checked like a failed one.  Otherwise only if a superblock write had failed.
 */
static bool mp_needs_check(const struct mp_path *path, enum mp_probe_state result, bool suspect)
{
	bool working = READ_ONCE(path->conf->state) == MP_WORKING;

	return (result == MP_PROBE_OK && (suspect || !working)) ||
	       (result == MP_PROBE_SUPERBLOCK && !working);
}

/* Why a live path fails that has returned a bad result. */
static enum mp_reason mp_broken_reason(enum mp_probe_state result, bool suspect)
{
	if (result == MP_PROBE_WRONG_DISK)
		return MP_WRONG_DISK;
	return suspect ? MP_SUPERBLOCK_ERROR : MP_PROBE_ERROR;
}

/* One command that is lost on its way must not fail a path. */
static bool mp_is_first_failure(struct mp_path *path, enum mp_probe_state result)
{
	bool repeated = path->probe_repeated;

	/* mp_fail_down_path() comes here as well, while a check may be in flight. */
	if (result != MP_PROBE_FAILED || !mp_was_at_rest(path) ||
	    READ_ONCE(path->probe_state) != MP_PROBE_IDLE)
		return false;
	path->probe_repeated = true;
	return !repeated;
}

/*
 * Act on the result for a live path.  While no path works, a path must have passed more than the
 * check of a path at rest.
 */
static void mp_apply_live_probe(struct mp_conf *conf, struct mp_path *path,
				struct md_rdev *rdev, enum mp_probe_state result)
{
	/* Only by errors from before the probe: a later one needs another probe. */
	bool suspect = (s32)(path->probe_errors - READ_ONCE(path->superblock_checked)) > 0;

	if (result != MP_PROBE_WRONG_DISK && mp_was_at_rest(path) &&
	    READ_ONCE(conf->state) != MP_WORKING)
		return;
	if (mp_is_first_failure(path, result)) {
		mp_repeat_check_at_rest(path, path->probe_check);
		return;
	}
	if (mp_needs_check(path, result, suspect)) {
		mp_start_check(path, false);
		return;
	}
	if (suspect)
		WRITE_ONCE(path->superblock_checked, path->probe_errors);
	if (result == MP_PROBE_OK || result == MP_PROBE_SUPERBLOCK ||
	    result == MP_PROBE_SAME_DISK) {
		mp_mark_confirmed(path, result);
		mp_handle_working_path(conf, path, rdev);
		if (suspect)
			mp_log_refused_superblock(conf, path, rdev);
	} else if (mp_was_at_rest(path) && path->probe_confirms && !mp_one_path_left(conf)) {
		/* Something waits for it, and other paths are left: no ALUA state excuses it. */
		mp_fail_path(path, rdev, mp_broken_reason(result, suspect));
	} else {
		mp_handle_broken_path(conf, path, rdev, mp_broken_reason(result, suspect));
	}
}

/* Act on a result.  It is void if the slot is empty by now, or holds another rdev. */
static void mp_apply_probe_result(struct mp_conf *conf, struct mp_path *path,
				  enum mp_probe_state result)
{
	struct md_rdev *rdev;

	rcu_read_lock();
	rdev = rcu_dereference(path->rdev);
	/* pairs with mp_fill_slot() */
	if (rdev && READ_ONCE(path->live_generation) == path->probe_generation) {
		if (path->probe_to_reinstate)
			mp_apply_reinstate_probe(conf, path, rdev, result);
		else
			mp_apply_live_probe(conf, path, rdev, result);
	}
	rcu_read_unlock();
}

/* A probe that takes long, up to the lower driver's timeout, is not repeated at once. */
static void mp_note_probe(struct mp_path *path)
{
	struct mp_conf *conf = path->conf;

	spin_lock_irq(&conf->lock);
	path->probe_took = jiffies - path->probed_at;
	path->probed_at = jiffies;
	spin_unlock_irq(&conf->lock);
}

/*
 * I/O beyond the end of a disk that was shrunk fails on all paths, so no path is at fault, and
 * a probe of each may succeed.  Or it fails because all that it reads lies beyond the end.
 * Log it once, until all paths have their size again.
 */
static void mp_check_shrunk(struct mp_conf *conf)
{
	sector_t needed = atomic64_read(&conf->data_sectors);
	bool shrunk = false;
	struct mp_path *path;

	rcu_read_lock();
	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = rcu_dereference(path->rdev);

		if (!rdev || is_rdev_broken(rdev) || mp_has_sectors(rdev, needed) ||
		    (!mp_rdev_live(rdev) && !READ_ONCE(path->auto_reinstate)))
			continue;
		if (!shrunk && !conf->shrunk)
			pr_crit("md/multipath:%s: path %pg has only %llu sectors now, but data needs %llu sectors from sector %llu on: I/O beyond its end fails until the disk has its size again\n",
				mdname(conf->mddev), rdev->bdev, bdev_nr_sectors(rdev->bdev),
				needed, rdev->data_offset);
		shrunk = true;
	}
	rcu_read_unlock();
	conf->shrunk = shrunk;
}

/* Whether the path did not work before its probe, and nothing depends on the result at once. */
static bool mp_is_known_broken(const struct mp_path *path)
{
	enum mp_state state = READ_ONCE(path->conf->state);

	if (state == MP_SEARCHING)
		return false;
	return path->probe_to_reinstate || state != MP_WORKING;
}

/* The result of the query before a read, see mp_start_next_probe(). */
static enum mp_probe_state mp_handle_id_first(struct mp_conf *conf, struct mp_path *path,
					      enum mp_probe_state result)
{
	bool may_read = result == MP_PROBE_SAME_DISK || result == MP_PROBE_OK;

	if (path->probe_to_reinstate)
		mp_note_probe(path);
	if (result == MP_PROBE_WRONG_DISK)
		mp_apply_probe_result(conf, path, result);
	if (may_read && mp_start_probe(path, path->probe_place, path->probe_to_reinstate))
		return MP_PROBE_IDLE;
	return MP_PROBE_VOID;
}

enum mp_probe_state mp_handle_probe(struct mp_conf *conf, struct mp_path *path)
{
	/* pairs with mp_probe_end() */
	enum mp_probe_state result = smp_load_acquire(&path->probe_state);
	enum mp_check check = path->probe_check;
	bool more = false;

	if (result == MP_PROBE_IDLE || result == MP_PROBE_SENT)
		return MP_PROBE_IDLE;
	WRITE_ONCE(path->probe_state, MP_PROBE_IDLE);
	if (check == MP_CHECK_ID_FIRST)
		return mp_handle_id_first(conf, path, result);
	if (result == MP_PROBE_AMBIGUOUS) {
		path->probe_place = (path->probe_place + 1) % MP_PROBE_PLACES;
		more = path->probe_place && !mp_is_known_broken(path);
	}
	mp_check_shrunk(conf);
	if (path->probe_to_reinstate)
		mp_note_probe(path);
	if (more && mp_start_read(path, path->probe_place, path->probe_to_reinstate, check))
		return MP_PROBE_IDLE;

	if (!more && result != MP_PROBE_VOID)
		mp_apply_probe_result(conf, path, result);
	return result;
}

/* The path is one of several again, so it fails, unless a probe has shown that it works. */
void mp_fail_down_path(struct mp_conf *conf)
{
	struct mp_path *path = conf->down_path;

	if (!path || READ_ONCE(conf->state) != MP_WORKING)
		return;
	conf->down_path = NULL;
	mp_apply_probe_result(conf, path, MP_PROBE_FAILED);
}

/* The interval of the probes of all paths while none works, in jiffies (R11). */
static unsigned long mp_down_interval(const struct mp_conf *conf)
{
	unsigned long interval = mp_probe_interval(conf);

	return clamp((jiffies - conf->down_since) / MP_PROBE_AGEING, interval,
		     max(interval, MP_PROBE_SELDOM_DOWN));
}

void mp_probe_live_paths(struct mp_conf *conf)
{
	struct mp_path *path;

	/* pairs with mp_set_access() */
	if (!xchg(&conf->probe_soon, false) &&
	    time_before(jiffies, conf->last_probe + mp_down_interval(conf)))
		return;
	conf->last_probe = jiffies;
	rcu_read_lock();
	mp_for_each_path(path, conf)
		mp_start_next_probe(path, path->probe_place, false);
	rcu_read_unlock();
}

/* Whether a live path completes I/O, as far as is known: only then another one is held down. */
static bool mp_any_path_responds(const struct mp_conf *conf)
{
	const unsigned long silent = BIT(MP_STALLED) | BIT(MP_INACTIVE);
	struct mp_path *path;

	mp_for_each_path(path, conf)
		if (mp_path_is_live(path) && !(READ_ONCE(path->demerits) & silent))
			return true;
	return false;
}

/* When a failed path is to be probed next, in jiffies (R11). */
static unsigned long mp_next_reinstate_probe(const struct mp_path *path)
{
	const struct mp_conf *conf = path->conf;
	unsigned long interval = mp_probe_interval(conf);
	unsigned long failed_at = READ_ONCE(path->failed_at);
	unsigned long probed_at = READ_ONCE(path->probed_at);
	unsigned long hold = READ_ONCE(path->hold);
	unsigned long at;

	if (READ_ONCE(conf->state) != MP_WORKING)
		return probed_at + mp_down_interval(conf);
	at = probed_at + clamp((jiffies - failed_at) / MP_PROBE_AGEING,
			       max(interval, READ_ONCE(path->probe_took)),
			       max3(interval, READ_ONCE(path->probe_took), MP_PROBE_SELDOM));
	if (mp_is_over(failed_at, hold) || !time_before(at, failed_at + hold) ||
	    !mp_any_path_responds(conf))
		return at;
	return failed_at + hold;
}

/*
 * Whether a failed path may be reinstated and has no probe in flight, whose end wakes
 * retry_work.
 */
static bool mp_wants_probe(const struct mp_path *path)
{
	return READ_ONCE(path->auto_reinstate) && READ_ONCE(path->probe_state) == MP_PROBE_IDLE;
}

int mp_probe_left(const struct mp_path *path)
{
	unsigned long now = jiffies, at = mp_next_reinstate_probe(path);

	if (!READ_ONCE(path->auto_reinstate))
		return -1;
	return mp_wants_probe(path) && time_before(now, at) ? jiffies_to_msecs(at - now) : 0;
}

unsigned long mp_next_probe(const struct mp_conf *conf, unsigned long until)
{
	struct mp_path *path;

	if (READ_ONCE(conf->state) != MP_WORKING)
		until = mp_earlier(until, conf->last_probe + mp_down_interval(conf));
	if (READ_ONCE(conf->state) == MP_SEARCHING && conf->search_begun &&
	    !READ_ONCE(conf->freeze_depth))
		until = mp_earlier(until, conf->search_since + MP_SEARCH_TIME);
	mp_for_each_path(path, conf)
		if (mp_wants_probe(path))
			until = mp_earlier(until, mp_next_reinstate_probe(path));
	return until;
}

static void mp_probe_failed_path(struct mp_path *path)
{
	struct mp_conf *conf = path->conf;
	bool searching = READ_ONCE(conf->state) == MP_SEARCHING;

	/*
	 * Set this even if the probe cannot be started: retry_work must not try again at
	 * once.
	 */
	spin_lock_irq(&conf->lock);
	path->probed_at = jiffies;
	spin_unlock_irq(&conf->lock);
	if (mp_request_removal(path))
		return;
	rcu_read_lock();
	mp_start_next_probe(path, searching ? 0 : path->probe_place, true);
	rcu_read_unlock();
}

void mp_probe_failed_paths(struct mp_conf *conf)
{
	struct mp_path *path;

	mp_for_each_path(path, conf)
		if (mp_wants_probe(path) && !time_before(jiffies, mp_next_reinstate_probe(path)))
			mp_probe_failed_path(path);
}

/*
 * A probe that cannot start leaves the path suspect: the end of the freeze, or of the probe
 * in flight, wakes retry_work.  An inactive path is not suspect any more (R14).  While no path
 * works, mp_probe_live_paths() probes all of them.
 */
void mp_probe_suspect_paths(struct mp_conf *conf)
{
	struct mp_path *path;
	u32 errors;

	if (READ_ONCE(conf->state) != MP_WORKING)
		return;
	mp_for_each_path(path, conf) {
		errors = READ_ONCE(path->superblock_errors);	/* pairs with multipath_error() */
		if (errors == READ_ONCE(path->superblock_checked))
			continue;
		if (test_bit(MP_INACTIVE, &path->demerits))
			WRITE_ONCE(path->superblock_checked, errors);
		else
			mp_start_probe(path, 0, false);
	}
}

/*
 * When a step of a probe ends, retry_work starts the next step, another place or the check
 * of the disk, before it comes here.
 */
static bool mp_any_reinstate_probe(const struct mp_conf *conf)
{
	const struct mp_path *path;

	mp_for_each_path(path, conf)
		if (READ_ONCE(path->auto_reinstate) &&
		    READ_ONCE(path->probe_state) != MP_PROBE_IDLE)
			return true;
	return false;
}

static void mp_end_search(struct mp_conf *conf)
{
	spin_lock_irq(&conf->lock);
	if (conf->state == MP_SEARCHING) {
		__mp_set_state(conf, MP_QUEUEING);
		__mp_log(conf, NULL, MP_LOG_NO_PATH, 0);
	}
	spin_unlock_irq(&conf->lock);
}

/*
 * No probe can start while the array is frozen; retry_work is woken when that ends.  A freeze
 * makes the results of probes void, so after it the search begins again:
 *
 *	CPU0 mp_freeze()		CPU1 a query ends	CPU2 here
 *	freezes++, freeze_depth++
 *					frozen: void
 *	mp_unfreeze()
 *								no probe is left, but
 *								freezes has changed
 */
void mp_search(struct mp_conf *conf)
{
	u32 freezes = READ_ONCE(conf->freezes);		/* pairs with mp_freeze() */
	struct mp_path *path;

	if (READ_ONCE(conf->state) != MP_SEARCHING || READ_ONCE(conf->freeze_depth))
		return;
	if (!conf->search_begun || conf->search_freezes != freezes) {
		conf->search_begun = true;
		conf->search_freezes = freezes;
		conf->search_since = jiffies;
		mp_for_each_path(path, conf)
			if (mp_wants_probe(path))
				mp_probe_failed_path(path);
	}
	if (!mp_any_reinstate_probe(conf) || mp_is_over(conf->search_since, MP_SEARCH_TIME))
		mp_end_search(conf);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The superblock that a path reads
 *
 * A copy of the disk, such as a snapshot, has the array's superblock, too.  So the UUID in
 * it does not tell the disk from a copy.  An ID does.  For a disk without one, all bytes of
 * the superblock decide: all paths to one disk read the same, and md core changes them on
 * the array's disk alone.  (Until it does, a copy looks like the disk.)
 *
 *	the array starts	Compare the superblocks that md core has read.  The one with
 *				the most events is the disk's, and so are those that equal it.
 *	a path is added,	Read the superblock over this path and over a live one, and
 *	or reinstated		compare.
 *
 * md core may write the superblock at the same time.  So a difference counts only if the
 * live path reads the same before and after the other one, see mp_compare_reads().
 */

#include <linux/blkdev.h>
#include <linux/raid/md_p.h>
#include <linux/slab.h>
#include "md.h"
#include "multipath.h"

/* md core reads this much, too; the superblock may be smaller. */
#define MP_SUPERBLOCK_SIZE	4096

/* How long a comparison waits for the live path, which may hang. */
#define MP_REFERENCE_TIMEOUT	(2 * HZ)

/* How often a comparison starts again because md core has written the superblock. */
#define MP_COMPARE_TRIES	5

/* The result of a comparison. */
enum mp_likeness {
	MP_UNKNOWN,		/* there is nothing to compare with */
	MP_ALIKE,
	MP_DIFFERENT,
};

/*
 * A read over a live path.  A work item does it, so that the reader can stop waiting for it.
 * Whoever of the two ends last frees it.
 */
struct mp_reference {
	struct work_struct	work;
	refcount_t		refs;		/* the reader, the work item */
	struct completion	done;
	struct mp_path		*path;		/* counts as in flight until the read ends */
	u8			ticket;		/* for mp_put_path() */
	blk_status_t		status;
	struct page		*page;
};

static u64 mp_superblock_events(const struct mddev *mddev, struct page *page)
{
	const struct mdp_superblock_1 *sb1 = page_address(page);

	if (mddev->major_version)
		return le64_to_cpu(sb1->events);
	return md_event(page_address(page));
}

static bool mp_same_superblock(const struct md_rdev *rdev, struct page *a, struct page *b)
{
	return !memcmp(page_address(a), page_address(b),
		       min_t(unsigned int, rdev->sb_size, MP_SUPERBLOCK_SIZE));
}

/* A superblock has the array's UUID in one piece, or with metadata 0.90 in two. */
static bool mp_is_our_superblock(const struct mddev *mddev, struct page *page)
{
	const struct mdp_superblock_1 *sb1 = page_address(page);
	const mdp_super_t *sb0 = page_address(page);

	if (mddev->major_version)
		return le32_to_cpu(sb1->magic) == MD_SB_MAGIC &&
		       !memcmp(sb1->set_uuid, mddev->uuid, sizeof(mddev->uuid));
	return sb0->md_magic == MD_SB_MAGIC &&
	       !memcmp(&sb0->set_uuid0, mddev->uuid, 4) &&
	       !memcmp(&sb0->set_uuid1, mddev->uuid + 4, 12);
}

/* Sleeps, up to the lower driver's timeout. */
static blk_status_t mp_read_superblock(const struct md_rdev *rdev, struct page *page)
{
	unsigned int length = clamp_t(unsigned int, bdev_logical_block_size(rdev->bdev),
				      MP_SUPERBLOCK_SIZE, PAGE_SIZE);
	struct bio_vec vec;
	struct bio bio;

	bio_init(&bio, rdev->bdev, &vec, 1, REQ_OP_READ | REQ_FAILFAST_MASK);
	__bio_add_page(&bio, page, length, 0);
	bio.bi_iter.bi_sector = rdev->sb_start;
	submit_bio_wait(&bio);
	bio_uninit(&bio);
	return bio.bi_status;
}

static void mp_put_reference(struct mp_reference *reference)
{
	if (!refcount_dec_and_test(&reference->refs))
		return;
	__free_page(reference->page);
	kfree(reference);
}

/* mp_reference::work.  After mp_put_path() the path and the array may go. */
static void mp_reference_work(struct work_struct *work)
{
	struct mp_reference *reference = container_of(work, struct mp_reference, work);
	struct mp_conf *conf = reference->path->conf;

	reference->status = mp_read_superblock(mp_rdev(reference->path), reference->page);
	complete(&reference->done);
	rcu_read_lock();
	mp_put_path(conf, reference->path, reference->ticket);
	wake_up(&conf->drained);	/* for multipath_hot_remove_disk() */
	rcu_read_unlock();
	mp_put_reference(reference);
}

/*
 * Take a live path other than @path, in one RCU section like mp_take_path().  While no path
 * works, there is none to compare with.
 */
static bool mp_take_reference(struct mp_conf *conf, const struct mp_path *path,
			      struct mp_reference *reference)
{
	u64 tried = path ? BIT_ULL(path->slot) : 0;

	rcu_read_lock_sched();
	reference->path = NULL;
	if (!READ_ONCE(conf->halted))	/* pairs with __mp_set_blocked() */
		reference->path = mp_choose_path(conf, tried) ?: mp_any_path(conf, tried);
	if (reference->path)
		reference->ticket = mp_count(conf, reference->path);
	rcu_read_unlock_sched();
	return reference->path;
}

static struct mp_reference *mp_alloc_reference(void)
{
	struct mp_reference *reference = kzalloc(sizeof(*reference), GFP_NOIO);

	if (!reference)
		return NULL;
	INIT_WORK(&reference->work, mp_reference_work);
	refcount_set(&reference->refs, 1);
	init_completion(&reference->done);
	reference->page = alloc_page(GFP_NOIO);
	if (reference->page)
		return reference;
	kfree(reference);
	return NULL;
}

/*
 * Read the superblock into @page over a live path other than @path, if there is one.  Waits
 * for MP_REFERENCE_TIMEOUT at most: a live path that hangs must not keep another path out.
 */
static bool mp_read_reference(struct mp_conf *conf, const struct mp_path *path, struct page *page)
{
	struct mp_reference *reference = mp_alloc_reference();
	bool valid = false;

	if (!reference)
		return false;
	if (mp_take_reference(conf, path, reference)) {
		refcount_inc(&reference->refs);
		mp_queue_reference(&reference->work);
		valid = wait_for_completion_timeout(&reference->done, MP_REFERENCE_TIMEOUT) &&
			!reference->status;
	}
	if (valid)
		copy_page(page_address(page), page_address(reference->page));
	mp_put_reference(reference);
	return valid;
}

/*
 * Compare what @rdev reads with what a live path other than @path reads:
 *
 *	CPU0 here				CPU1 md core
 *	reads over rdev
 *						writes the superblock
 *	reads over the live path: differs
 *	reads over rdev again
 *	reads over the live path again
 *
 * If the live path has read the same twice, the difference is one of the disks.  The events
 * increase with each write, so the superblock does not return to what it was.
 *
 * @own has what @rdev has just read; afterwards, what it has read last.
 */
static enum mp_likeness mp_compare_reads(struct mp_conf *conf, const struct mp_path *path,
					 const struct md_rdev *rdev, struct page *own)
{
	struct page *before = alloc_page(GFP_NOIO), *now = alloc_page(GFP_NOIO);
	enum mp_likeness likeness = MP_UNKNOWN;
	int tries;

	for (tries = 0; before && now && tries < MP_COMPARE_TRIES; tries++) {
		if (!mp_read_reference(conf, path, now))
			break;
		if (mp_same_superblock(rdev, own, now))
			likeness = MP_ALIKE;
		else if (tries && mp_same_superblock(rdev, before, now))
			likeness = MP_DIFFERENT;
		if (likeness != MP_UNKNOWN)
			break;
		swap(before, now);
		if (mp_read_superblock(rdev, own))
			break;
	}
	if (before)
		__free_page(before);
	if (now)
		__free_page(now);
	return likeness;
}

/*
 * Whether this check has queried the device for its ID.  What the kernel has cached may be from
 * before the failure: the NVMe driver, for example, compares IDs some time after it has
 * connected again.
 */
static bool mp_id_was_queried(const struct mp_path *path)
{
	return path->query && !path->probe_superblock && path->probe_check == MP_CHECK_NONE &&
	       mp_has_identity(&path->disk.identity);
}

/*
 * Whether the path leads to the array's disk and not to a copy; logs if not.  @own has at least
 * @expected events if it is the array's disk.
 *
 * For a path at rest, the number of events is enough if it is the last that md core has written.
 * A copy made after that differs in nothing until the next one.
 */
static enum mp_probe_state mp_check_copy(struct mp_path *path, const struct md_rdev *rdev,
					 struct page *own, u64 expected)
{
	struct mp_conf *conf = path->conf;
	enum mp_likeness likeness = MP_ALIKE;
	u64 events = mp_superblock_events(conf->mddev, own);

	if (path->probe_check == MP_CHECK_SUPERBLOCK && events == READ_ONCE(conf->mddev->events))
		return MP_PROBE_SAME_DISK;
	if (!mp_id_was_queried(path))
		likeness = mp_compare_reads(conf, path, rdev, own);
	events = mp_superblock_events(conf->mddev, own);
	if (likeness == MP_DIFFERENT || (likeness == MP_UNKNOWN && events < expected)) {
		if (!path->wrong_disk_logged)
			pr_warn("md/multipath:%s: path %pg is not used: its superblock (%llu events) is not that of the array's disk: a copy\n",
				mdname(conf->mddev), rdev->bdev, events);
		return MP_PROBE_WRONG_DISK;
	}
	atomic64_set(&conf->superblock_events, events);
	return MP_PROBE_SAME_DISK;
}

static void mp_log_unreadable(struct mp_path *path, const struct md_rdev *rdev,
			      blk_status_t status, enum mp_probe_state result)
{
	const char *name = mdname(path->conf->mddev), *reason;

	if (path->unreadable_logged == result)
		return;
	path->unreadable_logged = result;
	if (!mp_has_identity(&path->disk.identity))
		reason = "no path reads it and its size is that of the array's disk";
	else if (path->probe_superblock)
		reason = "the error is the disk's";
	else
		reason = "its ID is that of the array's disk";
	if (result == MP_PROBE_SAME_DISK)
		pr_warn("md/multipath:%s: path %pg cannot read the superblock (error %d): used, because %s\n",
			name, rdev->bdev, blk_status_to_errno(status), reason);
	else
		pr_warn("md/multipath:%s: path %pg is not used: it cannot read the superblock (error %d), and another path can\n",
			name, rdev->bdev, blk_status_to_errno(status));
}

/*
 * The path cannot read the superblock.  ID and size are right, or the path is live, and a bad
 * sector is no reason to keep the path out.  But if the error may be the path's, or there is no
 * ID, no other path may be able to read the superblock.
 */
static enum mp_probe_state mp_handle_unreadable(struct mp_path *path, const struct md_rdev *rdev,
						blk_status_t status, struct page *page)
{
	enum mp_class class = mp_classify(status, REQ_OP_READ);
	enum mp_probe_state result = MP_PROBE_SAME_DISK;

	if (class == MP_BUSY)
		return MP_PROBE_VOID;
	if (class == MP_PATH_ERROR || status == BLK_STS_TIMEOUT)
		return MP_PROBE_FAILED;
	if ((class != MP_FINAL || !mp_has_identity(&path->disk.identity)) &&
	    mp_read_reference(path->conf, path, page))
		result = MP_PROBE_FAILED;
	mp_log_unreadable(path, rdev, status, result);
	return result;
}

static enum mp_probe_state mp_refuse_superblock(struct mp_path *path, const struct md_rdev *rdev)
{
	if (!path->wrong_disk_logged)
		pr_warn("md/multipath:%s: path %pg is not used: its disk does not have this array's superblock\n",
			mdname(path->conf->mddev), rdev->bdev);
	return MP_PROBE_WRONG_DISK;
}

enum mp_probe_state mp_check_superblock(struct mp_path *path)
{
	struct mddev *mddev = path->conf->mddev;
	struct md_rdev *rdev = mp_rdev(path);
	enum mp_probe_state result;
	blk_status_t status;
	struct page *page;
	u64 expected;

	if (!mp_has_superblock(mddev))
		return MP_PROBE_SAME_DISK;
	page = alloc_page(GFP_NOIO);
	if (!page)
		return MP_PROBE_VOID;
	/* Before the read: another check may note newer events while this one waits. */
	expected = atomic64_read(&path->conf->superblock_events);
	status = mp_read_superblock(rdev, page);
	if (status)
		result = mp_handle_unreadable(path, rdev, status, page);
	else if (!mp_is_our_superblock(mddev, page))
		result = mp_refuse_superblock(path, rdev);
	else
		result = mp_check_copy(path, rdev, page, expected);
	if (!status)
		path->unreadable_logged = MP_PROBE_IDLE;
	__free_page(page);
	return result;
}

/*
 * The path works, so it was the disk that has refused the superblock write.  Log it once,
 * until md core writes a superblock over this path: only then super_written() clears
 * LastDev, which means that a failed write has not failed the device.
 */
void mp_log_refused_superblock(struct mp_conf *conf, const struct mp_path *path,
			       struct md_rdev *rdev)
{
	spin_lock_irq(&conf->lock);
	if (mp_rdev_live(rdev) && !test_and_set_bit(LastDev, &rdev->flags))
		__mp_log(conf, path, MP_LOG_REFUSED, 0);
	spin_unlock_irq(&conf->lock);
}

int mp_check_new_superblock(struct mp_conf *conf, struct md_rdev *rdev)
{
	enum mp_likeness likeness = MP_UNKNOWN;
	struct page *page;

	if (!mp_has_superblock(conf->mddev))
		return 0;
	page = alloc_page(GFP_NOIO);
	if (!page)
		return -ENOMEM;
	if (!mp_read_superblock(rdev, page)) {
		if (!mp_is_known_disk(conf, rdev->bdev))
			likeness = mp_compare_reads(conf, NULL, rdev, page);
		if (likeness != MP_DIFFERENT)
			atomic64_set(&conf->superblock_events,
				     mp_superblock_events(conf->mddev, page));
	}
	__free_page(page);
	if (likeness != MP_DIFFERENT)
		return 0;
	pr_warn("md/multipath:%s: %pg is not added: its superblock is not that of the array's disk: a copy\n",
		mdname(conf->mddev), rdev->bdev);
	/* So md core neither tries again nor writes a current superblock to it. */
	set_bit(Faulty, &rdev->flags);
	return -EINVAL;
}

/* The device with the most events, and of several the first one, as md core has chosen it. */
static struct md_rdev *mp_freshest(struct mddev *mddev)
{
	struct md_rdev *rdev, *freshest = NULL;

	rdev_for_each(rdev, mddev) {
		if (!rdev->sb_loaded || test_bit(Faulty, &rdev->flags) || mp_is_gone(rdev))
			continue;
		if (!freshest || mp_superblock_events(mddev, rdev->sb_page) >
				 mp_superblock_events(mddev, freshest->sb_page))
			freshest = rdev;
	}
	return freshest;
}

/* Read both again: md core may have read one of them long before the other. */
static bool mp_still_differ(const struct md_rdev *a, const struct md_rdev *b)
{
	struct page *page_a = alloc_page(GFP_KERNEL), *page_b = alloc_page(GFP_KERNEL);
	bool differ = true;

	if (page_a && page_b && !mp_read_superblock(a, page_a) && !mp_read_superblock(b, page_b))
		differ = !mp_same_superblock(a, page_a, page_b);
	if (page_a)
		__free_page(page_a);
	if (page_b)
		__free_page(page_b);
	return differ;
}

/* Whether a device of an array that starts leads to another disk than the freshest one. */
static bool mp_is_copy(struct md_rdev *rdev, struct md_rdev *freshest)
{
	struct mp_disk disk, array;

	if (!rdev->sb_loaded || mp_same_superblock(rdev, rdev->sb_page, freshest->sb_page))
		return false;
	mp_cached_disk(rdev->bdev, &disk);
	mp_cached_disk(freshest->bdev, &array);
	if (mp_has_identity(&disk.identity) && mp_same_identity(&disk.identity, &array.identity))
		return false;
	return mp_still_differ(rdev, freshest);
}

static void mp_leave_out_copy(struct mddev *mddev, struct md_rdev *rdev,
			      const struct md_rdev *freshest)
{
	pr_warn("md/multipath:%s: %pg is left out: its superblock (%llu events) is not that of the array's disk (%pg, %llu events): a copy\n",
		mdname(mddev), rdev->bdev, mp_superblock_events(mddev, rdev->sb_page),
		freshest->bdev, mp_superblock_events(mddev, freshest->sb_page));
	mp_leave_out(mddev, rdev);
}

/* Of the spares, or of the devices in slots. */
static void mp_leave_out_copies_of(struct mddev *mddev, struct md_rdev *freshest, bool spares)
{
	struct md_rdev *rdev;
	bool is_spare;

	rdev_for_each(rdev, mddev) {
		is_spare = rdev->raid_disk < 0;
		if (is_spare == spares && !test_bit(Faulty, &rdev->flags) &&
		    mp_is_copy(rdev, freshest))
			mp_leave_out_copy(mddev, rdev, freshest);
	}
}

void mp_leave_out_copies(struct mddev *mddev)
{
	struct mp_conf *conf = mddev->private;
	struct md_rdev *freshest;

	freshest = mp_has_superblock(mddev) ? mp_freshest(mddev) : NULL;
	if (!freshest)
		return;
	atomic64_set(&conf->superblock_events,
		     mp_superblock_events(mddev, freshest->sb_page));
	/* The spares first, as they get the slots of the others. */
	mp_leave_out_copies_of(mddev, freshest, true);
	mp_leave_out_copies_of(mddev, freshest, false);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bios and probes that retry_work submits
 *
 *    retry_work --does not wait--> lower driver
 *      ^     |                          |
 *      |     | may wait                 | no room
 *      |     v                          |
 *      |  submit_work --> lower driver  |
 *      +--------------------------------+
 *
 * R9. The array's retry_work retries failed bios.  md's thread does not, because it writes
 * superblocks, and can wait for the lower driver's timeout on the very path that failed.  A
 * submission waits while the lower driver has no free tag or its queue is frozen, on a path that
 * hangs for minutes.  Retries to other paths do not wait with it, also when memory is short:
 *
 *      - retry_work submits with REQ_NOWAIT.  If there is no room, the bio comes back with
 *        BLK_STS_AGAIN, and only then submit_work submits it, and waits.  The path has one
 *        such work item, so it keeps one kworker waiting, however many bios follow.
 *      - retry_work does not submit what may wait in spite of REQ_NOWAIT (mp_may_wait()); that
 *        goes to submit_work at once.
 *      - What retry_work submits does not count as I/O of the submitter's cgroup, whose limits
 *        would make it wait, nor as writeback, which the block layer throttles (blk-wbt.c).
 *
 * So retry_work never waits, and one workqueue with one rescuer serves all arrays.
 *
 * submit_work runs on another workqueue of all arrays.  It runs up to WQ_MAX_ACTIVE of them at a
 * time.  If memory is too short for another kworker, its rescuer runs them one after the other.
 * So when that many paths hang with all their tags in use, or one of them while memory is short,
 * two kinds of bios wait for the lower driver's timeout too: those that had to wait anyway, and
 * those for drivers that may wait.  Such a path is not silent (stall.c).
 *
 * Probes are submitted in the same way.  Those that wait have a workqueue of their own: while a
 * controller hangs, each of its failed paths is probed.
 *
 * Retries allocate only integrity data and crypt contexts.
 */

#include <linux/blk-crypto.h>
#include <linux/blk-integrity.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include "md.h"
#include "multipath.h"

static struct workqueue_struct *mp_submit_wq, *mp_probe_wq;

/*
 * The queue's usage counter keeps the driver from freeing its tags: it freezes the queue before
 * that.
 */
static bool mp_driver_may_sleep(struct request_queue *q)
{
	bool may;

	if (!queue_is_mq(q) || !percpu_ref_tryget(&q->q_usage_counter))
		return true;
	may = q->tag_set->flags & BLK_MQ_F_BLOCKING;
	percpu_ref_put(&q->q_usage_counter);
	return may;
}

/*
 * Whether a submission may wait although it has REQ_NOWAIT:
 *
 *      - A driver without requests, such as device-mapper, may wait for memory for its clones.
 *      - A driver with BLK_MQ_F_BLOCKING may sleep when it gets a request.
 *      - Other operations than reads and writes may need memory to be split, and discards are
 *        throttled as writeback, whatever their flags are.
 *      - Integrity data and crypt contexts may need memory.
 */
static bool mp_may_wait(struct block_device *bdev, struct bio *bio)
{
	enum req_op op = bio_op(bio);

	return !bdev_nowait(bdev) || mp_driver_may_sleep(bdev_get_queue(bdev)) ||
	       (op != REQ_OP_READ && op != REQ_OP_WRITE) || bdev_get_integrity(bdev) ||
	       bio_integrity(bio) || bio_has_crypt_ctx(bio);
}

/* Make it direct I/O of the root cgroup. */
static void mp_unthrottle(struct bio *bio, struct block_device *bdev)
{
	if (bio_op(bio) == REQ_OP_WRITE)
		bio->bi_opf |= REQ_SYNC | REQ_IDLE;
	bio_uninit(bio);
	bio_set_dev(bio, bdev);
}

void mp_submit_retry(struct mp_io *io)
{
	struct block_device *bdev = mp_rdev(io->path)->bdev;
	struct mp_path *path = io->path;
	struct bio *bio = mp_lower_bio(io);

	io->no_wait = !io->had_no_room && !mp_may_wait(bdev, bio);
	io->had_no_room = false;
	if (!io->no_wait) {
		llist_add(&io->node, &path->to_submit);
		queue_work(mp_submit_wq, &path->submit_work);
		return;
	}
	mp_unthrottle(bio, bdev);
	bio->bi_opf |= REQ_NOWAIT;
	mp_submit(io);
}

void mp_submit_probe_by_work(struct mp_path *path)
{
	queue_work(mp_probe_wq, &path->probe_work);
}

void mp_probe_work(struct work_struct *work)
{
	submit_bio_noacct(container_of(work, struct mp_path, probe_work)->probe);
}

static void mp_submit_probe(struct mp_path *path)
{
	struct bio *probe = path->probe;
	struct block_device *bdev = probe->bi_bdev;

	if (bio_end_sector(probe) > bdev_nr_sectors(bdev)) {
		/* The block layer would log each probe of a disk that has lost its size. */
		bio_io_error(probe);
	} else if (bdev_logical_block_size(bdev) > path->probe_size) {
		/* Another block size: the path responds, and the check that follows says so. */
		probe->bi_status = BLK_STS_INVAL;
		bio_endio(probe);
	} else if (mp_may_wait(bdev, probe)) {
		mp_submit_probe_by_work(path);
	} else {
		probe->bi_opf |= REQ_NOWAIT;
		submit_bio_noacct(probe);
	}
}

void mp_submit_probes(struct mp_conf *conf)
{
	struct mp_path *path;

	mp_for_each_path(path, conf) {
		if (!path->probe_to_submit)
			continue;
		path->probe_to_submit = false;
		mp_submit_probe(path);
	}
}

void mp_submit_work(struct work_struct *work)
{
	struct mp_path *path = container_of(work, struct mp_path, submit_work);
	struct llist_node *ios;
	struct mp_io *io, *next;
	struct blk_plug plug;

	ios = llist_reverse_order(llist_del_all(&path->to_submit));
	blk_start_plug(&plug);
	llist_for_each_entry_safe(io, next, ios, node)
		mp_submit(io);
	blk_finish_plug(&plug);
}

int mp_create_submit_workqueues(void)
{
	mp_submit_wq = alloc_workqueue("mp_submit", WQ_UNBOUND | WQ_MEM_RECLAIM, WQ_MAX_ACTIVE);
	mp_probe_wq = alloc_workqueue("mp_probe", WQ_UNBOUND | WQ_MEM_RECLAIM, WQ_MAX_ACTIVE);
	if (mp_submit_wq && mp_probe_wq)
		return 0;
	mp_destroy_submit_workqueues();
	return -ENOMEM;
}

void mp_destroy_submit_workqueues(void)
{
	if (mp_submit_wq)
		destroy_workqueue(mp_submit_wq);
	if (mp_probe_wq)
		destroy_workqueue(mp_probe_wq);
}

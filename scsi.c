// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Commands, identity, size and ALUA states of SCSI devices
 *
 * SCSI may be a module, or not part of the kernel, so nothing of it is linked: its
 * functions are called through symbol_get().
 *
 * R14. A path whose controller does no I/O at present does not fail for that reason, as
 * long as the controller itself reports its state.  If that is true of all live paths, no
 * path works (R8), and the first one is activated.
 *
 * Most disk arrays with two controllers report which controller serves a LUN best (ALUA),
 * and some refuse I/O over the other one.  The kernel's handler, scsi_dh_alua, queries the
 * states of all ports and keeps them in each scsi_device.  But it does so only if it is
 * attached, and only when a command returns the unit attention for changed states.  A path
 * without I/O never sees that.  So mp_access_work() has the handler attached and sends each
 * path a TEST UNIT READY.  The sense data also shows that a path is alive but inactive.  While
 * the array is in use, that is once a second; at rest, it is every second check of R17.
 *
 * A path that is suspect is not used while another path works.  That ends after
 * MP_SUSPECT_LIMIT at the latest: a path that could not be queried in that time has failed,
 * and R11 applies to it.  A path whose device is gone fails without delay.
 */

#include <linux/blk-mq.h>
#include <linux/atomic.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <scsi/scsi_cmnd.h>
#include <scsi/scsi_device.h>
#include <scsi/scsi_dh.h>
#include <scsi/scsi_host.h>
#include <scsi/scsi_proto.h>
#include "md.h"
#include "multipath.h"

/* How often a path's ALUA state is queried while the array is in use, in jiffies. */
#define MP_ACCESS_INTERVAL	HZ

/* The handler knows a changed state after this time, in ms. */
#define MP_ACCESS_SETTLE	50

/* How often a path without a handler is checked for one, in jiffies. */
#define MP_ATTACH_INTERVAL	(30 * HZ)

/* The time between two queries of a suspect path that could not be sent, in jiffies. */
#define MP_SUSPECT_RETRY	(HZ / 10 + 1)

/* The time between two activations, in jiffies. */
#define MP_ACTIVATE_PAUSE	(5 * HZ)

/* Bytes of VPD page 83h: what each device supports, and the most that is read. */
#define MP_VPD_SIZE		252
#define MP_MAX_VPD_SIZE		4092

/* More than one try, as a device may first return a unit attention or two. */
#define MP_QUERY_TRIES		3

/* How often a query retries when the queue has been frozen again, or all tags are in use. */
#define MP_REQUEST_TRIES	50

/* How long it waits before the next try if the queue is not frozen, in jiffies */
#define MP_REQUEST_PAUSE	(HZ / 100 + 1)

struct scsi_device *mp_scsi_device(struct block_device *bdev)
{
	struct device *dev = disk_to_dev(bdev->bd_disk)->parent;

	if (!dev || !dev->bus || strcmp(dev->bus->name, "scsi") ||
	    !dev->type || !dev->type->name || strcmp(dev->type->name, "scsi_device"))
		return NULL;
	return to_scsi_device(dev);
}

void mp_get_scsi_device(struct scsi_device *sdev)
{
	__module_get(sdev->host->hostt->module);
	get_device(&sdev->sdev_gendev);
}

void mp_put_scsi_device(struct scsi_device *sdev)
{
	struct module *module = sdev->host->hostt->module;

	put_device(&sdev->sdev_gendev);
	module_put(module);
}

/*
 * The result of a command: 0; -EAGAIN after a unit attention, an aborted command or a
 * deferred error; -ENOTCONN if the path's controller does no I/O at present; -EIO.
 */
static int mp_command_result(const struct scsi_cmnd *command)
{
	const u8 *sense = command->sense_buffer;
	u8 format = sense[0] & 0x7f;
	bool descriptors = format == 0x72;
	u8 key = sense[descriptors ? 1 : 2] & 0xf;
	u8 asc = sense[descriptors ? 2 : 12];
	u8 ascq = sense[descriptors ? 3 : 13];

	if (!command->result)
		return 0;
	if (command->result != SAM_STAT_CHECK_CONDITION || (format & 0x7c) != 0x70)
		return -EIO;
	/* A deferred error, of an earlier command. */
	if (format & 1)
		return -EAGAIN;
	/* In ALUA transition, standby, or unavailable. */
	if ((key == NOT_READY || key == UNIT_ATTENTION) && asc == 0x04 &&
	    ascq >= 0x0a && ascq <= 0x0c)
		return -ENOTCONN;
	switch (key) {
	case RECOVERED_ERROR:
		return 0;
	case UNIT_ATTENTION:
	case ABORTED_COMMAND:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

/*
 * The result of an allocation without waiting.  -EWOULDBLOCK means that all tags are in use
 * or that the queue is frozen, but also that the device is gone.
 */
static int mp_alloc_error(struct request_queue *q, int err)
{
	if (err != -EWOULDBLOCK)
		return err;
	return blk_queue_dying(q) ? -ENODEV : -EBUSY;
}

/*
 * Without @wait, give up after half a second if no tag becomes free: a path that hangs, or another
 * LUN of its host, may keep all tags for a long time, and the array may be suspended meanwhile.  A
 * frozen queue is waited for longer, for MP_QUERY_TIMEOUT.  During a scan of the SCSI host, each
 * address that is tried freezes all queues that share its tag set.  So the queue is frozen most of
 * the time, and may be frozen again before the request is allocated.
 */
static struct request *
mp_alloc_request(struct request_queue *q,
		 struct request *(*alloc)(struct request_queue *q, blk_opf_t opf,
					  blk_mq_req_flags_t flags),
		 bool wait)
{
	unsigned long left = MP_QUERY_TIMEOUT;
	struct request *rq;
	int tries;

	if (wait)
		return alloc(q, REQ_OP_DRV_IN, 0);
	for (tries = 0; tries < MP_REQUEST_TRIES; tries++) {
		rq = alloc(q, REQ_OP_DRV_IN, BLK_MQ_REQ_NOWAIT);
		if (!IS_ERR(rq) || PTR_ERR(rq) != -EWOULDBLOCK)
			break;
		if (!READ_ONCE(q->mq_freeze_depth))
			schedule_timeout_uninterruptible(MP_REQUEST_PAUSE);
		left = wait_event_timeout(q->mq_freeze_wq,
					  !READ_ONCE(q->mq_freeze_depth) || blk_queue_dying(q),
					  left);
		if (!left || blk_queue_dying(q))
			break;
	}
	return rq;
}

/* The CDB goes in, and our result comes out. */
static void mp_fill_command(struct request *rq, const u8 *cdb, unsigned int cdb_length)
{
	struct scsi_cmnd *command = blk_mq_rq_to_pdu(rq);

	command->allowed = 0;
	command->cmd_len = cdb_length;
	memcpy(command->cmnd, cdb, cdb_length);
	rq->rq_flags |= RQF_QUIET;
}

static int mp_request_result(struct request *rq, blk_status_t status)
{
	const struct scsi_cmnd *command = blk_mq_rq_to_pdu(rq);

	return status && !command->result ? -EIO : mp_command_result(command);
}

/*
 * Execute a SCSI command.  scsi_execute_cmd() would do, but symbol_get() finds only
 * EXPORT_SYMBOL_GPL functions.  @timeout is in jiffies; 0: the lower driver's, and wait for a
 * request.
 *
 * Context and results as mp_query_identity(), with @timeout.
 */
static int mp_scsi_command(struct scsi_device *sdev, const u8 *cdb, unsigned int cdb_length,
			   void *answer, unsigned int length, unsigned int timeout)
{
	struct request *(*alloc_request)(struct request_queue *q, blk_opf_t opf,
					 blk_mq_req_flags_t flags);
	struct scsi_cmnd *command;
	struct request *rq;
	int tries, err = -EAGAIN;

	alloc_request = symbol_get(scsi_alloc_request);
	if (!alloc_request)
		return -ENXIO;
	for (tries = 0; err == -EAGAIN && tries < MP_QUERY_TRIES; tries++) {
		rq = mp_alloc_request(sdev->request_queue, alloc_request, !timeout);
		if (IS_ERR(rq)) {
			err = mp_alloc_error(sdev->request_queue, PTR_ERR(rq));
			break;
		}
		err = 0;
		if (length) {
			memset(answer, 0, length);
			err = blk_rq_map_kern(rq, answer, length, GFP_NOIO);
		}
		if (!err) {
			command = blk_mq_rq_to_pdu(rq);
			mp_fill_command(rq, cdb, cdb_length);
			rq->timeout = timeout;
			err = mp_request_result(rq, blk_execute_rq(rq, true));
			/*
			 * Some devices transfer data that their residual count declares
			 * invalid.
			 */
			if (!err && command->resid_len && command->resid_len <= length)
				memset(answer + length - command->resid_len, 0, command->resid_len);
		}
		blk_mq_free_request(rq);
	}
	symbol_put(scsi_alloc_request);
	return err == -EAGAIN ? -EIO : err;
}

static int mp_query_vpd(struct scsi_device *sdev, u8 *page, unsigned int length,
			unsigned int timeout)
{
	const u8 cdb[] = { INQUIRY, 1, 0x83, length >> 8, length & 0xff, 0 };
	int err = mp_scsi_command(sdev, cdb, sizeof(cdb), page, length, timeout);

	return err ?: page[1] == 0x83 ? 0 : -EIO;
}

int mp_query_identity(struct scsi_device *sdev, const struct mp_identity *known,
		      struct mp_identity *now, unsigned int timeout)
{
	struct mp_identity found;
	unsigned int at, end;
	u8 *page;
	int err;

	memset(now, 0, sizeof(*now));
	page = kmalloc(MP_MAX_VPD_SIZE, GFP_NOIO);
	if (!page)
		return -ENOMEM;
	err = mp_query_vpd(sdev, page, MP_VPD_SIZE, timeout);
	end = be16_to_cpup((__be16 *)(page + 2)) + 4;
	if (!err && end > MP_VPD_SIZE) {
		end = min(end, MP_MAX_VPD_SIZE);
		err = mp_query_vpd(sdev, page, end, timeout);
	}
	if (err)
		goto out_free;

	/* Each designator: code set, association and type, reserved, length, the id itself. */
	for (at = 4; at + 4 <= end && at + 4 + page[at + 3] <= end; at += 4 + page[at + 3]) {
		memset(&found, 0, sizeof(found));
		found.type = page[at + 1] & 0xf;
		found.length = page[at + 3];
		/* Only designators of the logical unit, not of a port. */
		if (page[at + 1] & 0x30 || found.length > sizeof(found.id) ||
		    (found.type != BLK_UID_NAA && found.type != BLK_UID_EUI64))
			continue;
		memcpy(found.id, page + at + 4, found.length);
		if (!mp_has_identity(now) || mp_same_identity(&found, known))
			*now = found;
	}
out_free:
	kfree(page);
	return err;
}

static int mp_read_capacity_10(struct scsi_device *sdev, u8 *answer, u64 *last,
			       unsigned int *block_size)
{
	static const u8 cdb[10] = { READ_CAPACITY };
	int err = mp_scsi_command(sdev, cdb, sizeof(cdb), answer, 8, MP_QUERY_TIMEOUT);

	if (err)
		return err;
	*last = be32_to_cpup((__be32 *)answer);
	*block_size = be32_to_cpup((__be32 *)(answer + 4));
	return 0;
}

static int mp_read_capacity_16(struct scsi_device *sdev, u8 *answer, u64 *last,
			       unsigned int *block_size)
{
	static const u8 cdb[16] = { SERVICE_ACTION_IN_16, SAI_READ_CAPACITY_16, [13] = 32 };
	int err;

	if (sdev->no_read_capacity_16)
		return -EOPNOTSUPP;
	err = mp_scsi_command(sdev, cdb, sizeof(cdb), answer, 32, MP_QUERY_TIMEOUT);
	if (err)
		return err;
	*last = be64_to_cpup((__be64 *)answer);
	*block_size = be32_to_cpup((__be32 *)(answer + 8));
	return 0;
}

/* Query the disk's size in sectors and its block size in bytes. */
static int mp_query_capacity(struct scsi_device *sdev, sector_t *sectors,
			     unsigned int *block_size)
{
	u8 *answer;
	u64 last;
	int err;

	answer = kmalloc(32, GFP_NOIO);
	if (!answer)
		return -ENOMEM;
	err = -EOPNOTSUPP;
	if (!sdev->try_rc_10_first)
		err = mp_read_capacity_16(sdev, answer, &last, block_size);
	if (err) {
		err = mp_read_capacity_10(sdev, answer, &last, block_size);
		/*
		 * The disk is larger than the command can tell.  If the longer one fails,
		 * sd takes this number for the size, too.
		 */
		if (!err && last == U32_MAX)
			mp_read_capacity_16(sdev, answer, &last, block_size);
	}
	kfree(answer);
	if (err)
		return err;
	/* No disk has 2^64 blocks, or 2^64 sectors. */
	if (check_mul_overflow(last + 1, (u64)(*block_size >> SECTOR_SHIFT), sectors))
		return -EIO;
	return *sectors ? 0 : -EIO;
}

int mp_query_disk(struct scsi_device *sdev, const struct mp_disk *known, struct mp_disk *now)
{
	int err;

	*now = *known;
	if (mp_has_identity(&known->identity)) {
		err = mp_query_identity(sdev, &known->identity, &now->identity,
					MP_QUERY_TIMEOUT);
		if (err)
			return err;
	}
	/*
	 * sd corrects the size that these devices report, so a queried size would not
	 * match.
	 */
	if (sdev->fix_capacity || sdev->guess_capacity)
		return 0;
	err = mp_query_capacity(sdev, &now->sectors, &now->block_size);
	if (err != -ENOTCONN)
		return err;
	/* An inactive controller may not know the size. */
	now->sectors = known->sectors;
	now->block_size = known->block_size;
	return 0;
}

static const u8 mp_test_unit_ready[6] = { TEST_UNIT_READY };

/* The demerits by the state that the handler knows. */
static unsigned long mp_handler_access(const struct scsi_device *sdev)
{
	switch (READ_ONCE(sdev->access_state) & SCSI_ACCESS_STATE_MASK) {
	case SCSI_ACCESS_STATE_OPTIMAL:
		return 0;
	case SCSI_ACCESS_STATE_ACTIVE:
	case SCSI_ACCESS_STATE_LBA:
		return BIT(MP_NON_OPTIMISED);
	default:
		return BIT(MP_INACTIVE);
	}
}

/*
 * Whether scsi_dh_alua tracks the device's access state.  Once attached, a handler and its
 * module stay until the last reference on the device goes.
 */
static bool mp_has_handler(const struct scsi_device *sdev)
{
	const struct scsi_device_handler *handler = READ_ONCE(sdev->handler);

	return handler && !strcmp(handler->name, "alua");
}

bool mp_is_inactive(struct scsi_device *sdev)
{
	int err;

	if (!mp_has_handler(sdev))
		return false;
	/* With the timeout of I/O: a timeout resets the host, which also has I/O in flight. */
	err = mp_scsi_command(sdev, mp_test_unit_ready, sizeof(mp_test_unit_ready), NULL, 0, 0);
	if (err)
		return err == -ENOTCONN;
	/* If states have changed, the handler has just been notified, and queries them. */
	msleep(MP_ACCESS_SETTLE);
	return mp_handler_access(sdev) & BIT(MP_INACTIVE);
}

/* -------- trackers: see mp_access_work() -------- */

/* With a rescuer: a query can be what makes a path usable.  Nothing on it waits. */
static struct workqueue_struct *mp_access_wq;

/*
 * scsi_dh_attach() is not atomic: it checks for a handler, and then attaches one.  An
 * ordered workqueue has one run at a time, without a lock.  It loads the handler's module,
 * which needs user space and can take for ever, so no I/O and no stop may wait for it.
 */
static struct workqueue_struct *mp_attach_wq;

/* The trackers that exist, for mp_destroy_access_workqueues(). */
static atomic_t mp_trackers = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(mp_no_trackers);

/* The caller is in an RCU section, or in a work item: rmmod waits for both. */
static void mp_put_tracker(struct mp_tracker *tracker)
{
	if (!refcount_dec_and_test(&tracker->refs))
		return;
	kfree(tracker);
	if (atomic_dec_and_test(&mp_trackers))
		wake_up(&mp_no_trackers);
}

/* Run access_work after @delay, or earlier if it is queued already. */
static void mp_run_tracker_later(struct mp_tracker *tracker, unsigned long delay)
{
	refcount_inc(&tracker->refs);
	if (!queue_delayed_work(tracker->wq, &tracker->access_work, delay))
		mp_put_tracker(tracker);
}

void mp_follow_access(struct mp_path *path, unsigned long delay)
{
	struct mp_tracker *tracker = rcu_dereference(path->tracker);

	if (tracker && READ_ONCE(path->has_access))
		mp_run_tracker_later(tracker, delay);
}

/*
 * Have the handler query the state, once, as after a rescan of the device.  By itself it
 * does so only when a command returns the unit attention that states have changed: the query
 * that it queues while it is attached is lost, because the device's handler_data is not set
 * yet (seen in 6.12 and 7.3).  Does not wait for the query.
 */
static void mp_refresh_handler(struct mp_tracker *tracker)
{
	const struct scsi_device_handler *handler = READ_ONCE(tracker->sdev->handler);

	if (tracker->refreshed)
		return;
	tracker->refreshed = true;
	if (handler->rescan)
		handler->rescan(tracker->sdev);
}

/* mp_tracker::attach_work.  Does not touch the path. */
static void mp_attach_work(struct work_struct *work)
{
	struct mp_tracker *tracker = container_of(work, struct mp_tracker, attach_work);
	struct scsi_device *sdev = tracker->sdev;
	int (*attach)(struct request_queue *q, const char *name);

	attach = READ_ONCE(sdev->handler) ? NULL : symbol_get(scsi_dh_attach);
	if (attach) {
		attach(sdev->request_queue, "alua");
		symbol_put(scsi_dh_attach);
	}
	tracker->attach_at = jiffies + MP_ATTACH_INTERVAL;
	tracker->changed_at = jiffies;
	smp_store_release(&tracker->state, MP_TRACKER_IDLE);	/* pairs with mp_access_work() */
	mp_run_tracker(tracker, 0);
	mp_put_tracker(tracker);
}

/* The handler's module may not have been available the last time. */
static void mp_start_attach(struct mp_tracker *tracker)
{
	if (time_before(jiffies, tracker->attach_at)) {
		mp_run_tracker_later(tracker, tracker->attach_at - jiffies);
		return;
	}
	refcount_inc(&tracker->refs);
	WRITE_ONCE(tracker->state, MP_TRACKER_BUSY);
	queue_work(mp_attach_wq, &tracker->attach_work);
}

/* The end of a query.  Any context. */
static enum rq_end_io_ret mp_query_end(struct request *rq, blk_status_t status,
				       const struct io_comp_batch *batch)
{
	struct mp_tracker *tracker = rq->end_io_data;

	rcu_read_lock();
	tracker->result = mp_request_result(rq, status);
	tracker->completed_at = jiffies;
	/* pairs with mp_access_work() */
	smp_store_release(&tracker->state, MP_TRACKER_COMPLETED);
	mp_run_tracker(tracker, msecs_to_jiffies(MP_ACCESS_SETTLE));
	mp_put_tracker(tracker);
	rcu_read_unlock();
	return RQ_END_IO_FREE;
}

/* Send a TEST UNIT READY, for mp_query_end().  Does not wait for a tag. */
static int mp_send_query(struct mp_tracker *tracker)
{
	struct request *(*alloc_request)(struct request_queue *q, blk_opf_t opf,
					 blk_mq_req_flags_t flags);
	struct request_queue *q = tracker->sdev->request_queue;
	struct request *rq;

	alloc_request = symbol_get(scsi_alloc_request);
	if (!alloc_request)
		return -ENXIO;
	rq = alloc_request(q, REQ_OP_DRV_IN, BLK_MQ_REQ_NOWAIT);
	symbol_put(scsi_alloc_request);
	if (IS_ERR(rq))
		return mp_alloc_error(q, PTR_ERR(rq));

	mp_fill_command(rq, mp_test_unit_ready, sizeof(mp_test_unit_ready));
	/* With the timeout of I/O: a timeout resets the host, which also has I/O in flight. */
	rq->timeout = 0;
	rq->end_io = mp_query_end;
	rq->end_io_data = tracker;
	refcount_inc(&tracker->refs);
	WRITE_ONCE(tracker->state, MP_TRACKER_BUSY);
	blk_execute_rq_nowait(rq, true);
	return 0;
}

/*
 * Two activations are at least MP_ACTIVATE_PAUSE apart, and twice that for the same path,
 * because it may not help.
 */
static bool mp_may_activate(struct mp_path *path)
{
	struct mp_conf *conf = path->conf;
	unsigned long pause;
	bool now;

	spin_lock_irq(&conf->lock);
	pause = conf->activated == path ? 2 * MP_ACTIVATE_PAUSE : MP_ACTIVATE_PAUSE;
	now = !conf->activated || mp_is_over(conf->activated_at, pause);
	if (now) {
		conf->activated = path;
		conf->activated_at = jiffies;
	}
	spin_unlock_irq(&conf->lock);
	return now;
}

/* Have the handler activate the path's controller. */
static void mp_activate(struct scsi_device *sdev)
{
	int (*activate)(struct request_queue *q, activate_complete fn, void *data);

	activate = symbol_get(scsi_dh_activate);
	if (!activate)
		return;
	activate(sdev->request_queue, NULL, NULL);
	symbol_put(scsi_dh_activate);
}

/* Have bios follow the path's ALUA state.  Returns false if the state is unchanged. */
static bool mp_set_access(struct mp_path *path, unsigned long access)
{
	bool changed = access != path->access;

	WRITE_ONCE(path->access, access);
	/* pairs with mp_rank() */
	assign_bit(MP_NON_OPTIMISED, &path->demerits, access & BIT(MP_NON_OPTIMISED));
	mp_set_inactive(path, false);
	if (changed)
		mp_log(path->conf, path, MP_LOG_ACCESS, access);
	return changed;
}

/* A state has changed, so those of other paths may have changed too. */
static void mp_query_all_states(struct mp_conf *conf)
{
	struct mp_path *path;

	mp_for_each_path(path, conf)
		if (rcu_access_pointer(path->rdev))	/* pairs with mp_free_tracker() */
			mp_query_access_soon(path);
}

/*
 * Act on the result of a query: demerits, or a negative error.  @decides: the path was
 * suspect when the query was sent.  It does not fail if it is inactive, or if its state has
 * just changed.  A query that could not be sent, for want of a tag, decides nothing.
 */
static void mp_apply_access(struct mp_path *path, struct md_rdev *rdev, long result, bool decides)
{
	bool changed = result >= 0 && mp_set_access(path, result);
	bool explained = changed || (result > 0 && result & BIT(MP_INACTIVE));

	if (changed)
		mp_query_all_states(path->conf);

	if (result == -ENODEV || is_rdev_broken(rdev)) {
		mp_decide_on_suspect(path, rdev, false);
	} else if (READ_ONCE(path->suspect_reason)) {
		if ((decides && (result >= 0 || result == -EIO)) || !mp_suspect_left(path))
			mp_decide_on_suspect(path, rdev, explained);
	} else if (result == -EIO) {
		if (READ_ONCE(path->conf->state) != MP_WORKING)
			mp_fail_path(path, rdev, MP_PROBE_ERROR);
		else
			mp_request_probe(path);
	}
}

/* In how many jiffies the path is to be queried next; -1 if stall_work says when. */
static long mp_next_query(const struct mp_tracker *tracker, const struct mp_path *path, long result)
{
	if (READ_ONCE(path->suspect_reason))
		return result < 0 ? MP_SUSPECT_RETRY : 0;
	if (mp_is_in_use(path->conf) || !mp_is_over(tracker->changed_at, MP_USED_TIME))
		return MP_ACCESS_INTERVAL;
	return -1;
}

/* The rdev, if the tracker's path is live.  In an RCU section. */
static struct md_rdev *mp_tracked_rdev(const struct mp_tracker *tracker, struct mp_path **path)
{
	struct md_rdev *rdev;

	*path = rcu_dereference(tracker->path);
	rdev = *path ? rcu_dereference((*path)->rdev) : NULL;
	return rdev && mp_rdev_live(rdev) ? rdev : NULL;
}

/* A result from before the path was reinstated is void. */
static void mp_handle_result(struct mp_tracker *tracker, long result)
{
	bool activate = false, live = false;
	long next = 0;
	struct md_rdev *rdev;
	struct mp_path *path;

	rcu_read_lock();
	rdev = mp_tracked_rdev(tracker, &path);
	/* pairs with __mp_set_live() */
	if (rdev && READ_ONCE(path->live_generation) == tracker->live_generation) {
		if (result >= 0 && result != path->access)
			tracker->changed_at = jiffies;
		mp_apply_access(path, rdev, result, tracker->decides);
		next = mp_next_query(tracker, path, result);
		activate = result > 0 && (result & BIT(MP_INACTIVE)) &&
			   READ_ONCE(path->conf->state) != MP_WORKING && mp_may_activate(path);
	}
	live = rdev && mp_rdev_live(rdev);
	rcu_read_unlock();

	if (activate)
		mp_activate(tracker->sdev);
	tracker->tries = 0;
	/* mp_reinstate_path() starts with a failed path again. */
	if (live && next >= 0)
		mp_run_tracker_later(tracker, next);
}

static void mp_start_query(struct mp_tracker *tracker)
{
	bool has_handler = mp_has_handler(tracker->sdev);
	struct md_rdev *rdev;
	struct mp_path *path;
	int err;

	rcu_read_lock();
	rdev = mp_tracked_rdev(tracker, &path);
	if (path) {
		WRITE_ONCE(path->has_access, has_handler);	/* pairs with mp_set_suspect() */
		if (tracker->live_generation != READ_ONCE(path->live_generation))
			tracker->changed_at = jiffies;
		tracker->live_generation = READ_ONCE(path->live_generation);
		tracker->decides = READ_ONCE(path->suspect_reason);	/* likewise */
	}
	rcu_read_unlock();

	if (path && !has_handler)
		mp_start_attach(tracker);
	if (!rdev || !has_handler)
		return;
	mp_refresh_handler(tracker);
	err = mp_send_query(tracker);
	if (err)
		mp_handle_result(tracker, err);
	else if (tracker->decides)
		mp_run_tracker_later(tracker, MP_SUSPECT_LIMIT);
}

static void mp_end_query(struct mp_tracker *tracker)
{
	unsigned long settled = tracker->completed_at + msecs_to_jiffies(MP_ACCESS_SETTLE);
	int result = tracker->result;

	/* If states have changed, the handler has just been notified, and queries them. */
	if (time_before(jiffies, settled)) {
		mp_run_tracker_later(tracker, settled - jiffies);
		return;
	}
	WRITE_ONCE(tracker->state, MP_TRACKER_IDLE);
	if (result == -EAGAIN && ++tracker->tries < MP_QUERY_TRIES)
		mp_start_query(tracker);
	else if (!result)
		mp_handle_result(tracker, mp_handler_access(tracker->sdev));
	else if (result == -ENOTCONN)
		mp_handle_result(tracker, BIT(MP_INACTIVE));
	else
		mp_handle_result(tracker, -EIO);
}

/* A path may become suspect, or its device go, while a command hangs. */
static void mp_check_suspect(struct mp_tracker *tracker)
{
	struct md_rdev *rdev;
	struct mp_path *path;

	rcu_read_lock();
	rdev = mp_tracked_rdev(tracker, &path);
	if (rdev && READ_ONCE(path->suspect_reason)) {
		if (is_rdev_broken(rdev) || !mp_suspect_left(path))
			mp_decide_on_suspect(path, rdev, false);
		else
			mp_run_tracker_later(tracker, mp_suspect_left(path));
	}
	rcu_read_unlock();
}

static void mp_release_scsi_device(struct mp_tracker *tracker)
{
	if (tracker->sdev)
		mp_put_scsi_device(tracker->sdev);
	tracker->sdev = NULL;
}

/*
 * mp_tracker::access_work: one step in following a path's ALUA state.
 *
 * A command to a path that hangs can take minutes, and so can the load of the handler's
 * module.  Removal of the path and --stop wait for neither.  So this work never waits, a
 * command ends in mp_query_end(), attach_work loads, and the tracker outlives the path:
 *
 *	Who runs it	mp_access_wq is the only workqueue that it is ever queued on, so it
 *			does not run concurrently with itself.  mp_create_tracker()'s caller
 *			starts it, and then it runs itself every second while the path is
 *			live and the array in use.  stall_work runs it when the array is in
 *			use again, and for a check at rest.  mp_query_access_soon(),
 *			mp_query_end() and mp_attach_work() run it earlier.  Nobody cancels it.
 *	References	The path, a queued access_work or attach_work, and a command have one
 *			each.  The last one to go frees the tracker.
 *	The path	is used only in an RCU section, if tracker->path is not NULL.  When
 *			the path is removed or the array stops, mp_detach_tracker() clears
 *			that, and after a grace period nothing of the tracker uses the path,
 *			its rdev or the array, nor does it wake retry_work.  A command that
 *			hangs uses the tracker alone.
 *	The device	The tracker refers to it, and to its driver's module.  The run that
 *			mp_free_tracker() starts releases both.  If the tracker is busy then,
 *			its end starts another run, which does.
 *	This module	rmmod waits for the trackers: mp_destroy_access_workqueues().
 *
 *	CPU0 --stop			CPU1 this work		CPU2 lower driver
 *					sends a command		hangs
 *	tracker->path = NULL
 *	synchronize_rcu()
 *	frees the array
 *	runs this work			busy: does nothing
 *								mp_query_end()
 *					path is NULL:
 *					releases the device
 *					frees the tracker
 *
 * Its allocations do not start I/O.
 */
static void mp_access_work(struct work_struct *work)
{
	struct mp_tracker *tracker = container_of(work, struct mp_tracker, access_work.work);
	/* pairs with mp_query_end(), mp_attach_work() */
	enum mp_tracker_state state = smp_load_acquire(&tracker->state);
	bool has_path = rcu_access_pointer(tracker->path);
	unsigned int flags = memalloc_noio_save();

	if (state == MP_TRACKER_BUSY)
		mp_check_suspect(tracker);
	else if (!has_path)
		mp_release_scsi_device(tracker);
	else if (state == MP_TRACKER_COMPLETED)
		mp_end_query(tracker);
	else
		mp_start_query(tracker);
	memalloc_noio_restore(flags);
	mp_put_tracker(tracker);
}

int mp_create_tracker(struct mp_path *path, struct block_device *bdev)
{
	struct scsi_device *sdev = mp_scsi_device(bdev);
	struct mp_tracker *tracker;

	if (!sdev || !scsi_device_tpgs(sdev))
		return 0;
	tracker = kzalloc(sizeof(*tracker), GFP_KERNEL);
	if (!tracker)
		return -ENOMEM;
	refcount_set(&tracker->refs, 1);
	RCU_INIT_POINTER(tracker->path, path);
	tracker->wq = mp_access_wq;
	INIT_DELAYED_WORK(&tracker->access_work, mp_access_work);
	INIT_WORK(&tracker->attach_work, mp_attach_work);
	tracker->state = MP_TRACKER_IDLE;
	tracker->attach_at = jiffies;
	tracker->changed_at = jiffies;
	mp_get_scsi_device(sdev);
	tracker->sdev = sdev;
	atomic_inc(&mp_trackers);
	rcu_assign_pointer(path->tracker, tracker);
	return 0;
}

static struct mp_tracker *mp_tracker_of(const struct mp_path *path)
{
	return rcu_dereference_protected(path->tracker, true);
}

void mp_start_tracker(struct mp_path *path)
{
	if (mp_tracker_of(path))
		mp_run_tracker(mp_tracker_of(path), 0);
}

void mp_detach_tracker(struct mp_path *path)
{
	if (mp_tracker_of(path))
		RCU_INIT_POINTER(mp_tracker_of(path)->path, NULL);
}

/*
 * Nobody runs the tracker any more but its own command and attach_work: whoever calls
 * mp_query_access_soon() or mp_follow_access() has seen an rdev in the same RCU section, and there
 * is none.
 */
void mp_free_tracker(struct mp_path *path)
{
	struct mp_tracker *tracker = mp_tracker_of(path);

	if (!tracker)
		return;
	mp_detach_tracker(path);
	RCU_INIT_POINTER(path->tracker, NULL);
	mp_run_tracker(tracker, 0);
	rcu_read_lock();
	mp_put_tracker(tracker);
	rcu_read_unlock();
}

int mp_create_access_workqueues(void)
{
	mp_access_wq = alloc_workqueue("mp_access", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	mp_attach_wq = alloc_ordered_workqueue("mp_attach", 0);
	if (mp_access_wq && mp_attach_wq)
		return 0;
	mp_destroy_access_workqueues();
	return -ENOMEM;
}

/*
 * No array is left, but a command may still hang, or a module load.  Their trackers end with
 * them.  The work items that drop the last references return before their workqueues go,
 * and rmmod itself waits for mp_query_end(), which is an RCU section.
 */
void mp_destroy_access_workqueues(void)
{
	wait_event_idle(mp_no_trackers, !atomic_read(&mp_trackers));
	if (mp_attach_wq)
		destroy_workqueue(mp_attach_wq);
	if (mp_access_wq)
		destroy_workqueue(mp_access_wq);
}

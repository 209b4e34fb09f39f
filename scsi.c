// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Commands, identity, size and access states of SCSI devices
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
 * attached, and only when a command returns the unit attention that states have changed,
 * which a path without I/O never sees.  So mp_access_work() attaches the handler, and sends
 * each path a TEST UNIT READY once a second, whose sense data also tells that a path is
 * alive but inactive.
 */

#include <linux/blk-mq.h>
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

/* How often a path's access state is queried, in jiffies. */
#define MP_ACCESS_INTERVAL	HZ

/* The handler knows a changed state after this time, in ms. */
#define MP_ACCESS_SETTLE	50

/* How often a path without a handler is checked for one, in jiffies. */
#define MP_ATTACH_INTERVAL	(30 * HZ)

/* The time between two activations, in jiffies. */
#define MP_ACTIVATE_PAUSE	(5 * HZ)

/* Bytes of VPD page 83h: what each device supports, and the most that is read. */
#define MP_VPD_SIZE		252
#define MP_MAX_VPD_SIZE		4092

/* The timeout of each query. */
#define MP_QUERY_TIMEOUT	(5 * HZ)

/* More than one try, as a device may first return a unit attention or two. */
#define MP_QUERY_TRIES		3

/* How many times a query waits for the queue to be unfrozen. */
#define MP_FREEZE_WAITS		50

struct scsi_device *mp_scsi_device(struct block_device *bdev)
{
	struct device *dev = disk_to_dev(bdev->bd_disk)->parent;

	if (!dev || !dev->bus || strcmp(dev->bus->name, "scsi") ||
	    !dev->type || !dev->type->name || strcmp(dev->type->name, "scsi_device"))
		return NULL;
	return to_scsi_device(dev);
}

/*
 * The result of a command: 0; -EAGAIN after a unit attention or a deferred error; -ENOTCONN
 * if the path's controller does no I/O at present; -EIO.
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
 * Does not wait for a tag, as a path that hangs may not free one for a long time.  It does
 * wait for the queue to be unfrozen: while a controller is scanned, each address that is
 * tried freezes all queues that share its tag set.
 */
static struct request *
mp_alloc_request(struct request_queue *q,
		 struct request *(*alloc)(struct request_queue *q, blk_opf_t opf,
					  blk_mq_req_flags_t flags))
{
	unsigned long left = MP_QUERY_TIMEOUT;
	struct request *rq;
	int tries;

	for (tries = 0; tries < MP_FREEZE_WAITS; tries++) {
		rq = alloc(q, REQ_OP_DRV_IN, BLK_MQ_REQ_NOWAIT);
		if (!IS_ERR(rq) || PTR_ERR(rq) != -EWOULDBLOCK)
			break;
		left = wait_event_timeout(q->mq_freeze_wq, !READ_ONCE(q->mq_freeze_depth), left);
		if (!left)
			break;
	}
	return rq;
}

/*
 * Execute a SCSI command.  scsi_execute_cmd() would do, but symbol_get() takes only
 * functions that are exported to GPL modules alone.  @timeout is in jiffies; 0: the lower
 * driver's.
 *
 * Context: sleeps, up to the timeout for each of MP_QUERY_TRIES.
 *
 * Return: 0; -ENOTCONN if the controller does no I/O; -EBUSY if all tags are in use or the
 * queue stays frozen; -EIO without a valid response; -ENXIO; -ENOMEM.
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
		rq = mp_alloc_request(sdev->request_queue, alloc_request);
		if (IS_ERR(rq)) {
			err = PTR_ERR(rq) == -EWOULDBLOCK ? -EBUSY : PTR_ERR(rq);
			break;
		}
		err = 0;
		if (length) {
			memset(answer, 0, length);
			err = blk_rq_map_kern(rq, answer, length, GFP_NOIO);
		}
		if (!err) {
			command = blk_mq_rq_to_pdu(rq);
			command->allowed = 0;
			command->cmd_len = cdb_length;
			memcpy(command->cmnd, cdb, cdb_length);
			rq->timeout = timeout;
			rq->rq_flags |= RQF_QUIET;
			err = blk_execute_rq(rq, true) ? -EIO : 0;
			if (!err || command->result)
				err = mp_command_result(command);
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

static int mp_query_vpd(struct scsi_device *sdev, u8 *page, unsigned int length)
{
	const u8 cdb[] = { INQUIRY, 1, 0x83, length >> 8, length & 0xff, 0 };
	int err = mp_scsi_command(sdev, cdb, sizeof(cdb), page, length, MP_QUERY_TIMEOUT);

	return err ?: page[1] == 0x83 ? 0 : -EIO;
}

int mp_query_identity(struct scsi_device *sdev, const struct mp_identity *known,
		      struct mp_identity *now)
{
	struct mp_identity found;
	unsigned int at, end;
	u8 *page;
	int err;

	memset(now, 0, sizeof(*now));
	page = kmalloc(MP_MAX_VPD_SIZE, GFP_NOIO);
	if (!page)
		return -ENOMEM;
	err = mp_query_vpd(sdev, page, MP_VPD_SIZE);
	end = be16_to_cpup((__be16 *)(page + 2)) + 4;
	if (!err && end > MP_VPD_SIZE) {
		end = min(end, MP_MAX_VPD_SIZE);
		err = mp_query_vpd(sdev, page, end);
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

/* In sectors, and in bytes. */
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
		err = mp_query_identity(sdev, &known->identity, &now->identity);
		if (err)
			return err;
	}
	/* sd corrects the size that these devices report. */
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

/* Returns the demerits by the path's ALUA state, or a negative error. */
static long mp_query_access_state(struct scsi_device *sdev)
{
	static const u8 cdb[6] = { TEST_UNIT_READY };
	/* With the timeout of I/O: a timeout resets the host, which also has I/O in flight. */
	int err = mp_scsi_command(sdev, cdb, sizeof(cdb), NULL, 0, 0);

	if (err == -ENOTCONN)
		return BIT(MP_INACTIVE);
	if (err)
		return err;
	/* If states have changed, the handler has just been notified, and queries them. */
	msleep(MP_ACCESS_SETTLE);
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

bool mp_is_inactive(struct mp_path *path, struct scsi_device *sdev)
{
	long demerits;

	if (!READ_ONCE(path->has_access))
		return false;
	demerits = mp_query_access_state(sdev);
	if (demerits < 0 || !(demerits & BIT(MP_INACTIVE)))
		return false;
	set_bit(MP_INACTIVE, &path->demerits);
	return true;
}

/* scsi_dh_attach() is not atomic: it checks for a handler, and then attaches one. */
static DEFINE_MUTEX(mp_attach_lock);

/* Whether scsi_dh_alua tracks the device's access state; attaches it if necessary. */
static bool mp_attach_handler(struct scsi_device *sdev)
{
	int (*attach)(struct request_queue *q, const char *name);

	if (!scsi_device_tpgs(sdev))
		return false;
	mutex_lock(&mp_attach_lock);
	if (!sdev->handler) {
		attach = symbol_get(scsi_dh_attach);
		if (attach) {
			attach(sdev->request_queue, "alua");
			symbol_put(scsi_dh_attach);
		}
	}
	mutex_unlock(&mp_attach_lock);
	return sdev->handler && !strcmp(sdev->handler->name, "alua");
}

/*
 * Have the handler activate the path's controller.  Two activations are at least
 * MP_ACTIVATE_PAUSE apart, and twice that for the same path, because it may not help.
 */
static void mp_activate(struct mp_path *path, struct scsi_device *sdev)
{
	int (*activate)(struct request_queue *q, activate_complete fn, void *data);
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
	activate = now ? symbol_get(scsi_dh_activate) : NULL;
	if (!activate)
		return;
	activate(sdev->request_queue, NULL, NULL);
	symbol_put(scsi_dh_activate);
}

/*
 * Returns the path's SCSI device for mp_put_scsi_device(), or NULL, and mp_path::joined.
 * Removal of the path does not wait for the caller.
 */
static struct scsi_device *mp_get_scsi_device(struct mp_path *path, u32 *joined)
{
	struct scsi_device *sdev = NULL;
	struct md_rdev *rdev;

	rcu_read_lock();
	rdev = rcu_dereference(path->rdev);
	if (rdev)
		sdev = mp_scsi_device(rdev->bdev);
	if (sdev) {
		/* The open disk holds a reference on both until the RCU section ends. */
		__module_get(sdev->host->hostt->module);
		get_device(&sdev->sdev_gendev);
	}
	*joined = READ_ONCE(path->joined);	/* pairs with mp_fill_slot() */
	rcu_read_unlock();
	return sdev;
}

static void mp_put_scsi_device(struct scsi_device *sdev)
{
	struct module *module = sdev->host->hostt->module;

	put_device(&sdev->sdev_gendev);
	module_put(module);
}

static const char *mp_access_name(unsigned long demerits)
{
	if (demerits & BIT(MP_INACTIVE))
		return "standby or unavailable";
	return demerits & BIT(MP_NON_OPTIMISED) ? "active/non-optimised" : "active/optimised";
}

/* Have bios follow the path's access state.  Returns false if the state is unchanged. */
static bool mp_set_access(struct mp_path *path, const struct md_rdev *rdev, unsigned long access)
{
	struct mp_conf *conf = path->conf;

	/* pairs with mp_rank() */
	assign_bit(MP_NON_OPTIMISED, &path->demerits, access & BIT(MP_NON_OPTIMISED));
	assign_bit(MP_INACTIVE, &path->demerits, access & BIT(MP_INACTIVE));
	if (access == READ_ONCE(path->access))
		return false;
	WRITE_ONCE(path->access, access);
	pr_info_ratelimited("md/multipath:%s: path %pg: target port is in ALUA state %s\n",
			    mdname(conf->mddev), rdev->bdev, mp_access_name(access));
	if (!(access & BIT(MP_INACTIVE)) && READ_ONCE(conf->state) != MP_WORKING) {
		WRITE_ONCE(conf->probe_soon, true);	/* pairs with mp_probe_again() */
		md_wakeup_thread(conf->retry_thread);
	}
	return true;
}

/*
 * Decide on a suspect path, if it is one (@suspect_reason).  It does not fail if it is
 * inactive, or if its state has just changed.  If the state could not be queried for want
 * of a tag or memory, the path stays suspect until it can.
 */
static void mp_apply_access(struct mp_path *path, struct md_rdev *rdev, long demerits,
			    enum mp_reason suspect_reason)
{
	bool explained = false;

	if (demerits >= 0) {
		explained = mp_set_access(path, rdev, demerits) || demerits & BIT(MP_INACTIVE);
	} else if (demerits != -EIO) {
		cmpxchg(&path->suspect_reason, MP_NO_REASON, suspect_reason);
		return;
	}
	if (suspect_reason && !explained)
		mp_fail_path(path, rdev, suspect_reason);
	else if (demerits == -EIO && READ_ONCE(path->conf->state) != MP_WORKING)
		mp_fail_path(path, rdev, MP_PROBE_ERROR);
	else if (demerits == -EIO)
		mp_request_probe(path);
}

/* Only multipath_free() waits for this work.  Its allocations do not start I/O. */
void mp_access_work(struct work_struct *work)
{
	struct mp_path *path = container_of(work, struct mp_path, access_work.work);
	/* pairs with mp_suspect_path() */
	enum mp_reason suspect_reason = xchg(&path->suspect_reason, MP_NO_REASON);
	unsigned int flags = memalloc_noio_save();
	struct mp_conf *conf = path->conf;
	struct scsi_device *sdev;
	struct md_rdev *rdev;
	bool has_handler;
	long demerits = 0;
	u32 joined;

	sdev = mp_get_scsi_device(path, &joined);
	has_handler = sdev && mp_attach_handler(sdev);
	if (has_handler && mp_path_is_live(path))
		demerits = mp_query_access_state(sdev);

	rcu_read_lock();
	rdev = rcu_dereference(path->rdev);
	if (rdev && READ_ONCE(path->joined) == joined) {
		WRITE_ONCE(path->has_access, has_handler);	/* pairs with mp_suspect_path() */
		if (mp_rdev_live(rdev))
			mp_apply_access(path, rdev, demerits, suspect_reason);
	}
	rcu_read_unlock();

	if (demerits > 0 && demerits & BIT(MP_INACTIVE) && READ_ONCE(conf->state) != MP_WORKING)
		mp_activate(path, sdev);
	/* The handler's module may not have been available.  Loading it needs no rescuer. */
	if (has_handler)
		queue_delayed_work(conf->check_wq, &path->access_work, MP_ACCESS_INTERVAL);
	else if (sdev && scsi_device_tpgs(sdev))
		queue_delayed_work(system_long_wq, &path->access_work, MP_ATTACH_INTERVAL);
	if (sdev)
		mp_put_scsi_device(sdev);
	memalloc_noio_restore(flags);
}


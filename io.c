// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a bio on the submit and complete path
 *
 *    md core -> multipath_make_request() -> mp_begin(): record and path -> mp_submit()
 *                    |                                                         |
 *                    | frozen, no path, no memory                         lower driver
 *                    v                                                         |
 *             mp_queue_bio() -> queued; if that is full, wait                  v
 *                                                                         mp_end_io()
 *                                                                          |       |
 *                        retry.c <- mp_queue_failed() <- path, ambiguous or        v
 *                                                       busy error         mp_finish()
 *
 * Nothing else runs for each bio, except mp_choose_path() when the first path will not do.
 *
 * R2. Only path errors cost a path; mp_classify() is the table.  After an ambiguous error,
 * the bio goes to another path.  If that path succeeds, the first one is at fault and
 * fails.  If all paths return the error, a verification decides (R1).
 *
 * R3. The last live path is used without our failfast flags, so that the lower driver's own
 * retries work, and an error never makes it Faulty.  If it does not work, that is a state
 * of the array (R8).  Only a check that finds another disk makes it Faulty (R17).
 *
 * R4. Flush and FUA go down one path with the bio, like any write, and an error is passed
 * up. md_flush_request() is not used: it loses errors, and sends a flush down each path to
 * the same disk.
 *
 * R5. REQ_NOWAIT is honoured on submission and cleared on a retry.  make_request never
 * waits for a path or for memory.  It runs under md's active_io, and md waits for active_io
 * before it adds a path that would help.  It does wait for room in the queue, as for a tag
 * of a disk: otherwise any program could fill the memory with bios.  It stops waiting when
 * md core suspends the array, and returns false.  md core then drops active_io, waits until
 * the array is resumed, and calls again.  See mp_wait_for_room() in queue.c.
 *
 * R6. The submit and complete path writes no cache line that all CPUs share.  It writes
 *
 *      - the bio's own cache lines;
 *      - the two cache lines of its record, which comes from a list of the submitting CPU;
 *      - the heads of that list and of the completing CPU's list, to which the record goes;
 *      - a counter of the path for this CPU;
 *      - with policies round-robin and queue-depth, last_slot of this CPU;
 *      - with iostat on, the array's counters for this CPU.
 *
 * Everything else in struct mp_conf, struct mp_path, the rdev and the mddev is only read.
 * (md core's active_io is a percpu_ref.)  So 64 CPUs first contend in the lower driver.
 * Policy queue-depth is the exception: all CPUs write a path's depth.
 *
 * R7. md_account_bio() is not used.  It pins active_io until the bio completes, so a bio
 * that waits for a path would keep md from adding one.
 *
 * R18. A port of the disk may refuse what another port does: because it is write-protected,
 * because the LUN is not mapped there, or because a reservation does not cover it.  So
 * after BLK_STS_TARGET, BLK_STS_PROTECTION or BLK_STS_RESV_CONFLICT the bio is tried over
 * one other path.  If that succeeds, the first path is at fault, as after an ambiguous
 * error (R2).  If that path refuses too, the error is passed up, and no path is at fault.
 * If one refuses and another returns an ambiguous error, a probe decides whether the latter
 * works: the bio can end with the refusal, and then no verification follows (R1).
 *
 * A node that a cluster has fenced therefore sees its reservation conflict after at most
 * one more try.  That try is no way around the fence: once all keys of the node are
 * removed, each of its paths refuses.  Every operation of a bio is idempotent, so the
 * second try does no harm, even if the first one had an effect.
 *
 * Order.  Nobody may rely on the order of two overlapping writes that are in flight at the
 * same time.  A program that needs an order waits for the first write to complete.  That
 * happens after the last try of the first write has ended, and a bio has one try at a time:
 *
 *	CPU0 program			CPU1 completion, retry_work
 *	write W1
 *					W1 fails on path A
 *					W1 is sent to path B
 *					W1 succeeds on B, completes
 *	write W2, same sectors
 *
 * So W2 is never in flight together with a try of W1, and no try of W1 can arrive after W2.
 * This is why a bio that hangs on a path is not sent to another path before the lower
 * driver has returned it.  This order relies on the lower driver: once it has returned W1, the disk
 * must not write W1 any more.  (SCSI aborts the command or resets the path first.)  If a
 * disk reports W1 as lost on A and writes it after W2, then W2 is lost, and no host can
 * prevent that.
 */

#include <linux/blk-crypto.h>
#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "md.h"
#include "multipath.h"
#include "trace.h"

/* Records that each CPU keeps, for all arrays together: 8 KiB. */
#define MP_MAGAZINE		64

static struct kmem_cache *mp_io_cache[MP_KINDS];

/*
 * Records that this CPU has freed and will use again.  The slab would cost four times as
 * many instructions, and with Debian's configuration a memset each time.
 */
struct mp_magazine {
	struct llist_node	*first;		/* mp_io::node; interrupts off */
	unsigned int		nr;
};

static DEFINE_PER_CPU(struct mp_magazine, mp_magazines);

/* Whether the path's rank is 0, in a few instructions: live, not write-mostly, no demerits. */
static bool mp_has_best_rank(const struct mp_path *path)
{
	const unsigned long mask = BIT(In_sync) | BIT(Faulty) | BIT(WriteMostly);
	struct md_rdev *rdev = rcu_dereference_sched(path->rdev);

	return rdev && (READ_ONCE(rdev->flags) & mask) == BIT(In_sync) &&
	       !READ_ONCE(path->demerits);
}

/*
 * Take a path for a bio: the bio counts as in flight there until mp_put_path() gets
 * @ticket.
 *
 * The check of blocked, the choice of a path and the count are one RCU section.  So a CPU
 * that freezes the array or clears a slot only waits for a grace period.  From then on the
 * sum of in_flight can only fall:
 *
 *	CPU0 mp_freeze()			CPU1 here
 *	freeze_depth++, blocked			rcu_read_lock_sched()
 *	synchronize_rcu()			blocked? no
 *	  waits for CPU1			this_cpu_inc(begun)
 *	sum of in_flight: sees CPU1's bio	rcu_read_unlock_sched()
 *
 * The sched flavour of RCU costs two instructions.  The other flavour costs two calls in a
 * preemptible kernel.  synchronize_rcu() waits for both.
 *
 * @gate is blocked for new bios.  It is halted for those that have waited already, so that
 * they are not held up by their own number.  Freezing sets both.
 *
 * Returns the path; NULL if none is left; ERR_PTR(-EBUSY) if bios have to wait.
 */
static __always_inline struct mp_path *mp_take_path(struct mp_conf *conf, u64 tried, u8 *ticket,
						    const bool *gate)
{
	struct mp_path *path;

	rcu_read_lock_sched();
	if (unlikely(READ_ONCE(*gate))) {	/* pairs with __mp_set_blocked() */
		path = ERR_PTR(-EBUSY);
	} else {
		/* Most bios of most arrays go this way. */
		path = conf->paths[0];
		if (unlikely(tried || READ_ONCE(conf->policy) != MP_FAILOVER ||
			     !mp_has_best_rank(path)))
			path = mp_choose_path(conf, tried);
		if (likely(path))
			*ticket = mp_count(conf, path);
	}
	rcu_read_unlock_sched();
	return path;
}

void mp_put_path(struct mp_conf *conf, struct mp_path *path, u8 ticket)
{
	rcu_read_lock_sched();
	this_cpu_inc(path->tally->ended[ticket & MP_TICKET_EPOCH]);
	if (unlikely(ticket & MP_TICKET_DEPTH))
		atomic_dec(&path->depth);
	if (likely(!READ_ONCE(conf->blocked))) {	/* pairs with mp_freeze() */
		rcu_read_unlock_sched();
		return;
	}
	/*
	 * The RCU section begins before the sched section ends, so multipath_free() cannot
	 * free @conf in between.  The sched section must end before the wake-up, which may
	 * sleep with PREEMPT_RT.
	 */
	rcu_read_lock();
	rcu_read_unlock_sched();
	wake_up(&conf->drained);
	rcu_read_unlock();
}

static bool mp_is_drained(const struct mp_conf *conf)
{
	const struct mp_path *path;

	mp_for_each_path(path, conf)
		if (mp_in_flight(path))
			return false;
	return true;
}

static enum mp_kind mp_kind_of(struct bio *bio)
{
	bool alone = !bio_flagged(bio, BIO_CHAIN) && !bio_integrity(bio) &&
		     !bio_has_crypt_ctx(bio);

	return likely(alone) ? MP_IN_PLACE : MP_CLONED;
}

static struct bio *mp_clone_of(struct mp_io *io)
{
	return &container_of(io, struct mp_cloned_io, io)->clone;
}

static void mp_save(struct mp_io *io, struct bio *bio)
{
	io->bdev = bio->bi_bdev;
	io->end_io = bio->bi_end_io;
	io->private = bio->bi_private;
	io->iter = bio->bi_iter;
	io->opf = bio->bi_opf;
}

static struct mp_io *mp_pop_record(void)
{
	struct mp_magazine *magazine;
	struct llist_node *node;
	unsigned long flags;

	local_irq_save(flags);
	magazine = this_cpu_ptr(&mp_magazines);
	node = magazine->first;
	if (likely(node)) {
		magazine->first = node->next;
		magazine->nr--;
	}
	local_irq_restore(flags);
	return likely(node) ? llist_entry(node, struct mp_io, node) : NULL;
}

/* Returns false if this CPU has enough records. */
static bool mp_push_record(struct mp_io *io)
{
	struct mp_magazine *magazine;
	unsigned long flags;
	bool room;

	local_irq_save(flags);
	magazine = this_cpu_ptr(&mp_magazines);
	room = magazine->nr < MP_MAGAZINE;
	if (likely(room)) {
		io->node.next = magazine->first;
		magazine->first = &io->node;
		magazine->nr++;
	}
	local_irq_restore(flags);
	return room;
}

/* From the slab or from the reserve, without waiting (R5). */
static noinline struct mp_io *mp_alloc_record(struct mp_conf *conf, enum mp_kind kind)
{
	struct mp_io *io;

	io = kmem_cache_alloc(mp_io_cache[kind], GFP_NOWAIT | __GFP_NOWARN);
	if (likely(io)) {
		io->reserved = false;
		return io;
	}
	io = mempool_alloc_preallocated(&conf->ios[kind]);
	if (io)
		io->reserved = true;
	return io;
}

/*
 * Allocate a record for a bio.  A bioset does not work here: since 7.0 it does not use its
 * reserve when it may not sleep.
 */
static struct mp_io *mp_alloc_io(struct mp_conf *conf, struct bio *master)
{
	enum mp_kind kind = mp_kind_of(master);
	struct mp_io *io = NULL;

	if (likely(kind == MP_IN_PLACE))
		io = mp_pop_record();
	if (unlikely(!io)) {
		io = mp_alloc_record(conf, kind);
		if (!io)
			return NULL;
	}

	io->master = master;
	io->cloned = kind == MP_CLONED;
	io->conf = conf;
	io->path = NULL;
	io->accounted = false;
	io->no_failfast = false;
	io->no_wait = false;
	io->had_no_room = false;
	io->path_error = false;
	io->second_round = false;
	io->error = BLK_STS_OK;
	io->round = READ_ONCE(conf->round);	/* pairs with __mp_set_state() */
	io->tried = 0;
	io->ambiguous = 0;
	if (likely(kind == MP_IN_PLACE))
		mp_save(io, master);
	else
		bio_init(mp_clone_of(io), NULL, NULL, 0, 0);
	return io;
}

static void mp_free_io(struct mp_io *io)
{
	enum mp_kind kind = MP_IN_PLACE;

	if (likely(!io->cloned && !io->reserved && mp_push_record(io)))
		return;

	if (io->cloned) {
		bio_uninit(mp_clone_of(io));
		kind = MP_CLONED;
	}
	if (io->reserved)
		mempool_free(io, &io->conf->ios[kind]);
	else
		kmem_cache_free(mp_io_cache[kind], io);
}

int mp_init_reserves(struct mp_conf *conf)
{
	int kind, err = 0;

	for (kind = 0; kind < MP_KINDS && !err; kind++)
		err = mempool_init_slab_pool(&conf->ios[kind], MP_RESERVED_IOS,
					     mp_io_cache[kind]);
	return err;
}

void mp_exit_reserves(struct mp_conf *conf)
{
	int kind;

	for (kind = 0; kind < MP_KINDS; kind++)
		mempool_exit(&conf->ios[kind]);
}

struct bio *mp_lower_bio(struct mp_io *io)
{
	return unlikely(io->cloned) ? mp_clone_of(io) : io->master;
}

/*
 * Restore a redirected bio, as if it had never been sent down.  The lower driver advances
 * the iterator and sets flags of its own queue.  After a split it leaves 0 in
 * __bi_remaining, after a merge a bi_next to the merged bios.  It has also cleared
 * BIO_TRACE_COMPLETION, which makes the completion of the array's own bio visible to
 * blktrace.
 */
static void mp_restore(struct mp_io *io)
{
	const unsigned short theirs = BIT(BIO_QUIET) | BIT(BIO_QOS_THROTTLED) | BIT(BIO_QOS_MERGED);
	struct bio *bio = io->master;

	bio->bi_next = NULL;
	bio->bi_bdev = io->bdev;
	bio->bi_end_io = io->end_io;
	bio->bi_private = io->private;
	bio->bi_iter = io->iter;
	bio->bi_opf = io->opf;
	bio->bi_flags = (bio->bi_flags & ~theirs) | BIT(BIO_TRACE_COMPLETION);
	bio->bi_status = BLK_STS_OK;
	atomic_set(&bio->__bi_remaining, 1);
}

bool mp_prepare(struct mp_io *io, struct block_device *bdev)
{
	struct bio *clone = mp_clone_of(io);

	if (likely(!io->cloned)) {
		mp_restore(io);
		return true;
	}
	bio_uninit(clone);
	if (bio_init_clone(bdev, clone, io->master, GFP_NOWAIT | __GFP_NOWARN)) {
		bio_init(clone, NULL, NULL, 0, 0);
		return false;
	}
	return true;
}

/*
 * R2.  blk_path_error() does not help here.  It counts as path errors: a caller's bad bio
 * (INVAL), a would-block (AGAIN), a command's time limit and a full zone.
 */
enum mp_class mp_classify(blk_status_t status, blk_opf_t opf)
{
	switch (status) {
	case BLK_STS_TRANSPORT:
	case BLK_STS_OFFLINE:
		return MP_PATH_ERROR;

	case BLK_STS_TARGET:
	case BLK_STS_PROTECTION:
	case BLK_STS_RESV_CONFLICT:
		return MP_REFUSED;

	case BLK_STS_NOSPC:
	case BLK_STS_MEDIUM:
	case BLK_STS_INVAL:
	case BLK_STS_DURATION_LIMIT:
	case BLK_STS_ZONE_OPEN_RESOURCE:
	case BLK_STS_ZONE_ACTIVE_RESOURCE:
		return MP_FINAL;

	case BLK_STS_AGAIN:
		return opf & REQ_NOWAIT ? MP_FINAL : MP_BUSY;

	/*
	 * The path may have stopped supporting REQ_NOWAIT since it was added, as a dm
	 * device does with another table.  The retry goes without the flag, also to the
	 * same path, and this error is not what the bio ends with if that fails.
	 */
	case BLK_STS_NOTSUPP:
		return opf & REQ_NOWAIT ? MP_BUSY : MP_FINAL;

	case BLK_STS_RESOURCE:
	case BLK_STS_DEV_RESOURCE:
		return MP_BUSY;

	default:		/* IOERR, TIMEOUT, and unknown ones */
		return MP_AMBIGUOUS;
	}
}

/* The kernel returned the bio before the device saw it, so it is no response of the device. */
static bool mp_not_issued(blk_status_t status, blk_opf_t opf)
{
	return status == BLK_STS_AGAIN || status == BLK_STS_RESOURCE ||
	       status == BLK_STS_DEV_RESOURCE ||
	       (status == BLK_STS_NOTSUPP && (opf & REQ_NOWAIT));
}

/*
 * R2: the path that just succeeded did what the others could not, so the error was theirs.
 * By now a slot may hold another rdev, added after the error, which is not at fault.
 */
static void mp_suspect_ambiguous_paths(const struct mp_io *io)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path;

	rcu_read_lock();
	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = rcu_dereference(path->rdev);

		if (!(io->ambiguous & BIT_ULL(path->slot)) || path == io->path || !rdev)
			continue;
		/* pairs with mp_fill_slot() */
		if ((s32)(READ_ONCE(path->live_generation) - io->generation) <= 0)
			mp_suspect_path(path, rdev, MP_FAILED_OVER);
	}
	rcu_read_unlock();
}

static void mp_note_ambiguous(struct mp_io *io)
{
	if (!io->ambiguous)
		io->generation = READ_ONCE(io->conf->generation);
	io->ambiguous |= BIT_ULL(io->path->slot);
}

/*
 * The record is freed and the path put before the master ends, so that a program that sees
 * the bio complete finds the path idle.
 *
 * A bio that went down in place needs this second bio_endio().  Its saved bi_end_io cannot
 * be called instead: it may be bio_chain_endio(), which only bio_endio() may handle.
 *
 * If md core split the master, it may carry the error of another part that failed earlier:
 * success never overwrites that error.
 */
void mp_finish(struct mp_io *io, blk_status_t status)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path = io->path;
	struct bio *master = io->master;
	u8 ticket = io->ticket;

	if (likely(!io->cloned))
		mp_restore(io);
	if (io->accounted)
		bio_end_io_acct(master, io->start_time);
	mp_free_io(io);
	if (likely(path))
		mp_put_path(conf, path, ticket);

	if (unlikely(status))
		master->bi_status = status;
	bio_endio(master);
}

/*
 * The bio's first sector in the array.  The iterator of a bio that went down in place has
 * been advanced by now.
 */
static sector_t mp_first_sector(const struct mp_io *io)
{
	return io->cloned ? io->master->bi_iter.bi_sector : io->iter.bi_sector;
}

static unsigned int mp_nr_sectors(const struct mp_io *io)
{
	return io->cloned ? bio_sectors(io->master) : io->iter.bi_size >> SECTOR_SHIFT;
}

/* Hand a bio to retry_work, which owns the record from now on. */
static void mp_hand_over(struct mp_io *io)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path = io->path;
	u8 ticket = io->ticket;

	io->path = NULL;
	mp_count_failed(io);
	llist_add(&io->node, &conf->failed);
	mp_wake_retry_work(conf);
	mp_put_path(conf, path, ticket);
}

static void mp_queue_failed(struct mp_io *io, blk_status_t status)
{
	struct mp_conf *conf = io->conf;

	atomic64_inc(&conf->failovers);
	trace_bio_retry(disk_devt(conf->mddev->gendisk), mp_rdev(io->path)->bdev->bd_dev,
			mp_first_sector(io), mp_nr_sectors(io), blk_status_to_errno(status));
	mp_hand_over(io);
}

/* The path has not tried the bio, because it had no room for one that does not wait (R9). */
static void mp_submit_later(struct mp_io *io)
{
	io->tried &= ~BIT_ULL(io->path->slot);
	io->had_no_room = true;
	mp_hand_over(io);
}

/*
 * R18: another path has refused the bio before, or none is left to try.  The number of live
 * paths would not tell, because this path may have failed by now:
 *
 *	CPU0 completion of W1, then	CPU1 completion of W2
 *	W1 refused on path A
 *	W1 succeeds on path B
 *	A fails, B is the last path
 *					W2 refused on path A
 *					B is left: W2 is retried
 */
static bool mp_is_confirmed(const struct mp_io *io)
{
	bool left;

	if (mp_classify(io->error, 0) == MP_REFUSED)
		return true;
	rcu_read_lock();
	left = mp_any_path(io->conf, io->tried);
	rcu_read_unlock();
	return !left;
}

/* A try has failed: end the bio, or hand it to retry_work. */
static void mp_handle_error(struct mp_io *io, blk_status_t status, blk_opf_t opf)
{
	switch (mp_classify(status, opf)) {
	case MP_FINAL:
		mp_finish(io, status);
		return;
	case MP_REFUSED:
		/* The earlier error was ambiguous (R18).  Other such paths: with the next bio. */
		if (io->ambiguous && mp_classify(io->error, 0) != MP_REFUSED)
			mp_request_probe(io->conf->paths[__ffs64(io->ambiguous)]);
		if (mp_is_confirmed(io)) {
			mp_finish(io, status);
			return;
		}
		/* It takes precedence over all other errors.  mp_is_confirmed() reads it. */
		io->error = status;
		io->path_error = false;
		mp_note_ambiguous(io);
		break;
	case MP_PATH_ERROR:
		io->path_error = true;
		mp_fail_path(io->path, mp_rdev(io->path), MP_IO_ERROR);
		break;
	case MP_AMBIGUOUS:
		/* From an inactive controller, the error says nothing about the disk (R14). */
		if (test_bit(MP_INACTIVE, &io->path->demerits)) {
			io->path_error = true;
			break;
		}
		/* It may be the disk's error, so it takes precedence over a path error. */
		if (!io->ambiguous)
			io->error = status;
		io->path_error = false;
		mp_note_ambiguous(io);
		/* No other path will be tried, or one has refused the bio (R18). */
		if (opf & REQ_RAHEAD || mp_classify(io->error, 0) == MP_REFUSED)
			mp_request_probe(io->path);
		break;
	case MP_BUSY:
		/* The retry goes without REQ_NOWAIT, so this path may take it. */
		if (status == BLK_STS_NOTSUPP) {
			io->tried &= ~BIT_ULL(io->path->slot);
			status = BLK_STS_IOERR;
		}
		break;
	}
	if (!io->error)
		io->error = status;

	/* No program waits for readahead: a reader that needs the data reads it again. */
	if (opf & REQ_RAHEAD)
		mp_finish(io, status);
	else
		mp_queue_failed(io, status);
}

/*
 * Whether the path does not support the bio's operation any more.  A disk may refuse one
 * that it advertises.  Its driver then sets the path's limit to 0 before the bio ends, and
 * here the array's limit follows, also before the bio ends.  So callers see that the
 * operation is not supported, and fall back to another one.
 *
 * Somebody may set the array's limits at the same time and restore the old one.  Then the
 * next refusal corrects it.
 */
static bool mp_is_unsupported(const struct mp_io *io, const struct bio *bio)
{
	struct request_queue *q = io->conf->mddev->gendisk->queue;
	struct block_device *bdev = mp_rdev(io->path)->bdev;

	if (bio->bi_status != BLK_STS_TARGET && bio->bi_status != BLK_STS_NOTSUPP)
		return false;
	if (bio_op(bio) == REQ_OP_WRITE_ZEROES && !bdev_write_zeroes_sectors(bdev))
		mp_disable_write_zeroes(q);
	else if (bio_op(bio) == REQ_OP_DISCARD && !bdev_max_discard_sectors(bdev))
		blk_queue_disable_discard(q);
	else if (bio_op(bio) == REQ_OP_SECURE_ERASE && !bdev_max_secure_erase_sectors(bdev))
		blk_queue_disable_secure_erase(q);
	else
		return false;
	return true;
}

/*
 * md/paths shows the last error of the path.  A bio that was not issued, and an operation
 * that is not supported, say nothing about it.
 */
static void mp_note_error(struct mp_io *io, blk_status_t status, blk_opf_t opf)
{
	if (!io->error)
		io->failed_since = jiffies;
	if (mp_not_issued(status, opf))
		this_cpu_inc(io->path->tally->not_issued);
	else if (status != BLK_STS_NOTSUPP)
		WRITE_ONCE(io->path->last_error, status);
}

/* The lower driver has completed a bio: the master itself or its clone.  Any context. */
static void mp_end_io(struct bio *bio)
{
	struct mp_io *io = bio->bi_private;
	blk_status_t status = bio->bi_status;
	blk_opf_t opf = bio->bi_opf;

	if (unlikely(status)) {
		if (mp_is_unsupported(io, bio))
			status = BLK_STS_NOTSUPP;
		mp_note_error(io, status, opf);
		if (io->no_wait && mp_not_issued(status, opf))
			mp_submit_later(io);
		else
			mp_handle_error(io, status, opf);
		return;
	}
	if (unlikely(io->ambiguous))
		mp_suspect_ambiguous_paths(io);
	mp_finish(io, BLK_STS_OK);
}

bool mp_is_at_path(const struct bio *bio, const struct mp_path *path)
{
	bio_end_io_t *end_io;
	struct mp_path *at;
	struct mp_io *io;

	return !get_kernel_nofault(end_io, &bio->bi_end_io) && end_io == mp_end_io &&
	       !get_kernel_nofault(io, (struct mp_io **)&bio->bi_private) &&
	       !get_kernel_nofault(at, &io->path) && at == path;
}

/*
 * The block layer treats readahead as having all failfast flags.  It warns if it merges
 * such a bio with another one and the flags differ (blk_rq_set_mixed_merge()).
 */
static inline blk_opf_t mp_failfast(const struct bio *bio)
{
	return bio->bi_opf & REQ_RAHEAD ? REQ_FAILFAST_MASK : REQ_FAILFAST_TRANSPORT;
}

void mp_submit(struct mp_io *io)
{
	struct md_rdev *rdev = mp_rdev(io->path);
	struct mddev *mddev = io->conf->mddev;
	struct bio *bio = mp_lower_bio(io);
	sector_t sector;

	io->tried |= BIT_ULL(io->path->slot);
	if (likely(!io->cloned))
		bio_set_dev(bio, rdev->bdev);
	sector = bio->bi_iter.bi_sector;
	bio->bi_iter.bi_sector = sector + rdev->data_offset;
	bio->bi_end_io = mp_end_io;
	bio->bi_private = io;
	if (unlikely(io->no_failfast || mp_one_path_left(io->conf)))	/* R3 */
		io->no_failfast = true;
	else
		bio->bi_opf |= mp_failfast(bio);

	mddev_trace_remap(mddev, bio, sector);
	submit_bio_noacct(bio);
}

struct mp_io *mp_begin(struct mp_conf *conf, struct bio *bio, const bool *gate)
{
	struct mp_path *path;
	struct mp_io *io;
	u8 ticket;

	path = mp_take_path(conf, 0, &ticket, gate);
	if (IS_ERR_OR_NULL(path))
		return NULL;
	io = mp_alloc_io(conf, bio);
	if (unlikely(!io))
		goto out_put_path;
	if (unlikely(io->cloned) && !mp_prepare(io, mp_rdev(path)->bdev))
		goto out_free_io;

	io->path = path;
	io->ticket = ticket;
	/* Read once: iostat may be switched off while the bio is in flight. */
	io->accounted = blk_queue_io_stat(conf->mddev->gendisk->queue);
	if (io->accounted)
		io->start_time = bio_start_io_acct(bio);
	return io;

out_free_io:
	mp_free_io(io);
out_put_path:
	this_cpu_inc(path->tally->not_issued);
	mp_put_path(conf, path, ticket);
	return NULL;
}

/*
 * The first write ends read-auto, a state in which md core writes no superblock, so that md
 * core records path failures again.  md_write_start() would do that too, but it would also
 * wait for a superblock that marks the array dirty, which this level never needs.
 *
 *	CPU0 a write			CPU1 mdadm --readonly
 *	sees MD_AUTO_READ
 *					ro = MD_RDONLY
 *	cmpxchg() does nothing
 */
static void mp_leave_read_auto(struct mp_conf *conf)
{
	struct mddev *mddev = conf->mddev;

	if (cmpxchg(&mddev->ro, MD_AUTO_READ, MD_RDWR) != MD_AUTO_READ)
		return;
	set_bit(MD_RECOVERY_NEEDED, &mddev->recovery);	/* adds spares */
	if (mddev->sysfs_state)
		sysfs_notify_dirent(mddev->sysfs_state);
	WRITE_ONCE(conf->md_has_work, true);	/* pairs with mp_wake_md() */
	mp_wake_retry_work(conf);
}

bool multipath_make_request(struct mddev *mddev, struct bio *bio)
{
	struct mp_conf *conf = mddev->private;
	struct mp_io *io;

	/* An empty flush is no write: a read-only mount sends them too. */
	if (unlikely(READ_ONCE(mddev->ro)) && op_is_write(bio_op(bio)) && bio_sectors(bio))
		mp_leave_read_auto(conf);

	io = mp_begin(conf, bio, &conf->blocked);
	if (unlikely(!io))
		return mp_queue_bio(conf, bio);
	mp_submit(io);
	return true;
}

/*
 * After all live paths have been tried, one try may be left (R3).  The last live path may
 * have failed the bio only because of failfast, used while another path was still live.
 * The bio goes there once more without failfast, and that ends the round.
 */
struct mp_path *mp_take_retry_path(struct mp_io *io)
{
	struct mp_conf *conf = io->conf;
	struct mp_path *path = mp_take_path(conf, io->tried, &io->ticket, &conf->halted);
	bool left;

	if (path)
		return path;
	/* It has to be checked first (R17), or has just gone live. */
	rcu_read_lock();
	left = mp_any_path(conf, io->tried);
	rcu_read_unlock();
	if (left)
		return ERR_PTR(-EBUSY);
	if (io->no_failfast || !mp_one_path_left(conf))
		return NULL;

	path = mp_take_path(conf, 0, &io->ticket, &conf->halted);
	if (!IS_ERR_OR_NULL(path))
		io->no_failfast = true;
	return path ?: ERR_PTR(-EBUSY);
}

/*
 * After the grace period, each CPU that submits sees that the array is frozen
 * (mp_take_path()), so the sum of in_flight only falls.  Each CPU that completes sees it
 * too (mp_put_path()), so the CPU that brings the sum to 0 wakes this one.
 */
void mp_freeze(struct mp_conf *conf)
{
	spin_lock_irq(&conf->lock);
	WRITE_ONCE(conf->freezes, conf->freezes + 1);		/* pairs with mp_search() */
	/* pairs with mp_may_probe(); whoever sees it, or its result, also sees freezes */
	smp_store_release(&conf->freeze_depth, conf->freeze_depth + 1);
	__mp_set_blocked(conf);
	spin_unlock_irq(&conf->lock);

	synchronize_rcu();
	wait_event(conf->drained, mp_is_drained(conf));
}

void mp_unfreeze(struct mp_conf *conf)
{
	spin_lock_irq(&conf->lock);
	WRITE_ONCE(conf->freeze_depth, conf->freeze_depth - 1);
	__mp_set_blocked(conf);
	spin_unlock_irq(&conf->lock);

	mp_wake_retry_work(conf);
}

/* No array is left, so nothing else uses the magazines. */
static void mp_empty_magazines(void)
{
	struct mp_magazine *magazine;
	struct llist_node *node;
	int cpu;

	for_each_possible_cpu(cpu) {
		magazine = per_cpu_ptr(&mp_magazines, cpu);
		while ((node = magazine->first)) {
			magazine->first = node->next;
			kmem_cache_free(mp_io_cache[MP_IN_PLACE],
					llist_entry(node, struct mp_io, node));
		}
	}
}

void mp_destroy_caches(void)
{
	int kind;

	mp_empty_magazines();
	for (kind = 0; kind < MP_KINDS; kind++)
		kmem_cache_destroy(mp_io_cache[kind]);
}

int mp_create_caches(void)
{
	/* R6: two cache lines. */
	BUILD_BUG_ON(sizeof(struct mp_io) > 128);

	mp_io_cache[MP_IN_PLACE] = KMEM_CACHE(mp_io, 0);
	mp_io_cache[MP_CLONED] = KMEM_CACHE(mp_cloned_io, 0);
	if (mp_io_cache[MP_IN_PLACE] && mp_io_cache[MP_CLONED])
		return 0;
	mp_destroy_caches();
	return -ENOMEM;
}

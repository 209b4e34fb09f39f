// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Queries of SCSI devices, and their workqueues, as structs in memory
 *
 * mp_query_work() in probe.c explains the life of a query.  Query and workqueue may outlive the
 * path and the array.
 */

#include <linux/slab.h>
#include "md.h"
#include "multipath.h"

/*
 * Ends the checkers.  The last reference may be a query's, which runs on the workqueue that
 * goes.
 */
static struct workqueue_struct *mp_checker_wq;

/* The checkers that exist, for mp_destroy_checker_workqueue(). */
static atomic_t mp_checkers = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(mp_no_checkers);

/* No query is left, so this only waits until the last work item has returned. */
static void mp_end_checker(struct work_struct *work)
{
	struct mp_checker *checker = container_of(work, struct mp_checker, end_work);

	destroy_workqueue(checker->wq);
	kfree(checker);
	if (atomic_dec_and_test(&mp_checkers))
		wake_up(&mp_no_checkers);
}

static void mp_put_checker(struct mp_checker *checker)
{
	if (refcount_dec_and_test(&checker->refs))
		queue_work(mp_checker_wq, &checker->end_work);
}

struct mp_checker *mp_alloc_checker(const struct mddev *mddev)
{
	struct mp_checker *checker = kzalloc(sizeof(*checker), GFP_KERNEL);

	if (!checker)
		return NULL;
	refcount_set(&checker->refs, 1);
	INIT_WORK(&checker->end_work, mp_end_checker);
	checker->wq = alloc_workqueue("%s_check", WQ_UNBOUND | WQ_MEM_RECLAIM, 0,
				      mdname((struct mddev *)mddev));
	if (!checker->wq) {
		kfree(checker);
		return NULL;
	}
	atomic_inc(&mp_checkers);
	return checker;
}

void mp_free_checker(struct mp_checker *checker)
{
	if (checker)
		mp_put_checker(checker);
}

int mp_create_checker_workqueue(void)
{
	mp_checker_wq = alloc_workqueue("mp_checker", WQ_UNBOUND, 0);
	return mp_checker_wq ? 0 : -ENOMEM;
}

/* No array is left, but a query may still hang.  This is no hung task, so the wait is idle. */
void mp_destroy_checker_workqueue(void)
{
	wait_event_idle(mp_no_checkers, !atomic_read(&mp_checkers));
	destroy_workqueue(mp_checker_wq);
}

void mp_put_query(struct mp_query *query)
{
	if (!refcount_dec_and_test(&query->refs))
		return;
	mp_put_scsi_device(query->sdev);
	mp_put_checker(query->checker);
	kfree(query);
}

void mp_detach_query(struct mp_path *path)
{
	if (path->query)
		RCU_INIT_POINTER(path->query->path, NULL);
}

void mp_free_query(struct mp_path *path)
{
	struct mp_query *query = path->query;

	if (!query)
		return;
	path->query = NULL;
	mp_put_query(query);
	/* Nothing is in flight, so the probe was the query's. */
	if (READ_ONCE(path->probe_state) == MP_PROBE_SENT) {
		/* as mp_hand_over_query() */
		smp_store_release(&path->probe_state, MP_PROBE_VOID);
		md_wakeup_thread(path->conf->retry_thread);
	}
}

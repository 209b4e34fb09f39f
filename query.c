// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Queries of SCSI devices, as structs in memory, and the workqueues that checks run on
 *
 * mp_query_work() in probe.c explains the life of a query, which may outlive the path and the
 * array.
 */

#include <linux/slab.h>
#include "md.h"
#include "multipath.h"

/*
 * Checks and queries of all arrays, and the reads over another path that some checks wait for.
 * Some wait up to a lower driver's timeout.  If memory is too short for another kworker, the
 * rescuer runs them one after the other.
 */
static struct workqueue_struct *mp_check_wq, *mp_reference_wq;

/*
 * The checks and queries that are queued or run.  A workqueue runs up to WQ_MAX_ACTIVE at a time.
 * If a controller hangs, those of paths at rest leave half of that to those that bios wait for.
 */
static atomic_t mp_checks = ATOMIC_INIT(0);

/* The queries that exist, for mp_destroy_check_workqueues(). */
static atomic_t mp_queries = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(mp_no_queries);

void mp_queue_check(struct work_struct *work)
{
	atomic_inc(&mp_checks);
	queue_work(mp_check_wq, work);
}

void mp_end_check(void)
{
	atomic_dec(&mp_checks);
}

bool mp_may_check_at_rest(void)
{
	return atomic_read(&mp_checks) < WQ_MAX_ACTIVE / 2;
}

void mp_queue_reference(struct work_struct *work)
{
	queue_work(mp_reference_wq, work);
}

int mp_create_check_workqueues(void)
{
	mp_check_wq = alloc_workqueue("mp_check", WQ_UNBOUND | WQ_MEM_RECLAIM, WQ_MAX_ACTIVE);
	mp_reference_wq = alloc_workqueue("mp_reference", WQ_UNBOUND | WQ_MEM_RECLAIM,
					  WQ_MAX_ACTIVE);
	if (mp_check_wq && mp_reference_wq)
		return 0;
	mp_destroy_check_workqueues();
	return -ENOMEM;
}

/*
 * No array is left, but a query may still hang.  This is no hung task, so the wait is idle.  Then
 * this only waits until the last work item has returned.
 */
void mp_destroy_check_workqueues(void)
{
	wait_event_idle(mp_no_queries, !atomic_read(&mp_queries));
	if (mp_check_wq)
		destroy_workqueue(mp_check_wq);
	if (mp_reference_wq)
		destroy_workqueue(mp_reference_wq);
}

void mp_count_query(void)
{
	atomic_inc(&mp_queries);
}

void mp_put_query(struct mp_query *query)
{
	if (!refcount_dec_and_test(&query->refs))
		return;
	mp_put_scsi_device(query->sdev);
	kfree(query);
	if (atomic_dec_and_test(&mp_queries))
		wake_up(&mp_no_queries);
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
		mp_wake_retry_work(path->conf);
	}
}

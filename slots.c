// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The slots of an array and what a path in one needs, as structs in memory
 *
 * A slot exists from the moment the array first has that many slots until the array stops.
 * Paths come and go in it (path.c).
 */

#include <linux/percpu.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "md.h"
#include "multipath.h"

void mp_free_path(struct mp_path *path)
{
	mp_free_tracker(path);
	mp_free_query(path);
	/* They have nothing left to do, but may still be about to return. */
	cancel_work_sync(&path->submit_work);
	cancel_work_sync(&path->probe_work);
	kfree(path->probe_buffer);
	kfree(path->probe);
	free_percpu(path->tally);
	kfree(path);
}

static struct mp_path *mp_alloc_path(struct mp_conf *conf, unsigned int slot)
{
	struct mp_path *path = kzalloc(sizeof(*path), GFP_KERNEL);

	if (!path)
		return NULL;
	path->conf = conf;
	path->slot = slot;
	init_llist_head(&path->to_submit);
	INIT_WORK(&path->submit_work, mp_submit_work);
	INIT_WORK(&path->probe_work, mp_probe_work);
	INIT_WORK(&path->check_work, mp_check_work);

	path->tally = alloc_percpu(struct mp_tally);
	path->probe = kmalloc(sizeof(*path->probe), GFP_KERNEL);
	if (!path->tally || !path->probe) {
		mp_free_path(path);
		return NULL;
	}
	return path;
}

/* What the path's probes read into: one block. */
static int mp_make_probe_buffer(struct mp_path *path, struct block_device *bdev)
{
	unsigned int size = min_t(unsigned int, bdev_logical_block_size(bdev), PAGE_SIZE);

	if (path->probe_size == size)
		return 0;
	kfree(path->probe_buffer);
	path->probe_buffer = kmalloc(size, GFP_KERNEL);
	path->probe_size = path->probe_buffer ? size : 0;
	return path->probe_buffer ? 0 : -ENOMEM;
}

/* Prepare to query a device.  Does nothing if it is no SCSI device. */
static int mp_create_query(struct mp_path *path, struct block_device *bdev)
{
	struct scsi_device *sdev = mp_scsi_device(bdev);
	struct mp_query *query;

	if (!sdev)
		return 0;
	query = kzalloc(sizeof(*query), GFP_KERNEL);
	if (!query)
		return -ENOMEM;
	refcount_set(&query->refs, 1);
	RCU_INIT_POINTER(query->path, path);
	INIT_WORK(&query->work, mp_query_work);
	mp_get_scsi_device(sdev);
	query->sdev = sdev;
	path->query = query;
	mp_count_query();
	return 0;
}

int mp_prepare_path(struct mp_path *path, struct block_device *bdev)
{
	int err = mp_make_probe_buffer(path, bdev) ?: mp_create_query(path, bdev);

	if (err)
		return err;
	err = mp_create_tracker(path, bdev);
	if (err)
		mp_free_query(path);
	return err;
}

/* Make the struct of a slot, unless it exists.  Returns 0 or -ENOMEM. */
static int mp_make_slot(struct mp_conf *conf, unsigned int slot)
{
	struct mp_path *path;

	if (slot >= MP_MAX_PATHS || READ_ONCE(conf->paths[slot]))
		return 0;
	path = mp_alloc_path(conf, slot);
	if (!path)
		return -ENOMEM;
	/* slot_work and mp_set_slots() may both make it.  pairs with mp_next_slot() */
	if (cmpxchg(&conf->paths[slot], NULL, path))
		mp_free_path(path);
	return 0;
}

/*
 * mp_conf::slot_work: make the slot that mp_find_slot() lacks, and have md core add the path.
 *
 * Since 6.7 md core suspends the array while it adds paths.  A new slot has per-CPU memory.
 * Whoever allocates that holds a mutex meanwhile, and may have to write to this very array to free
 * memory:
 *
 *	CPU0 md core			CPU1 alloc_percpu() for somebody else
 *					locks pcpu_alloc_mutex
 *	suspends the array
 *	waits for the mutex
 *					waits for writes to the array
 *
 * So hot_add_disk makes no slot, and this work holds nothing that I/O waits for.
 */
void mp_slot_work(struct work_struct *work)
{
	struct mp_conf *conf = container_of(work, struct mp_conf, slot_work.work);
	unsigned int flags = memalloc_noio_save();
	int err = mp_make_slot(conf, READ_ONCE(conf->nr_paths));

	memalloc_noio_restore(flags);
	if (err)
		queue_delayed_work(system_long_wq, &conf->slot_work, HZ);
	else
		mp_request_spares(conf);
}

int mp_set_slots(struct mp_conf *conf, unsigned int nr)
{
	unsigned int slot;
	int err;

	for (slot = 0; slot < nr; slot++) {
		err = mp_make_slot(conf, slot);
		if (err)
			return err;
	}
	spin_lock_irq(&conf->lock);
	smp_store_release(&conf->nr_paths, nr);		/* pairs with mp_slot() */
	__mp_count_paths(conf);
	spin_unlock_irq(&conf->lock);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * policy.c: which path a bio goes to
 */

#include <linux/blkdev.h>
#include <linux/topology.h>
#include "md.h"
#include "multipath.h"

/* The lower the better; only the lowest get bios. */
static __always_inline unsigned long mp_rank(const struct mp_path *path, u64 tried)
{
	struct md_rdev *rdev = rcu_dereference_check(path->rdev, rcu_read_lock_sched_held());

	if (!rdev || !mp_rdev_live(rdev) || (tried & BIT_ULL(path->slot)))
		return MP_UNUSABLE;
	/* pairs with mp_check_stalled(), mp_set_access() and mp_suspect_path() */
	return READ_ONCE(path->demerits) |
	       (test_bit(WriteMostly, &rdev->flags) ? BIT(MP_STANDBY) : 0);
}

/* The first of the best. */
static struct mp_path *mp_choose_failover(struct mp_conf *conf, u64 tried)
{
	unsigned long rank, lowest = MP_UNUSABLE;
	struct mp_path *path, *best = NULL;

	mp_for_each_path(path, conf) {
		rank = mp_rank(path, tried);
		if (rank < lowest) {
			best = path;
			lowest = rank;
		}
		if (likely(!rank))
			break;
	}
	return best;
}

/* The next of the best after the one that was chosen last on this CPU. */
static struct mp_path *mp_choose_round_robin(struct mp_conf *conf, u64 tried)
{
	unsigned int i, nr = smp_load_acquire(&conf->nr_paths);	/* pairs with mp_set_slots() */
	unsigned int slot = this_cpu_read(*conf->last_slot);
	unsigned long rank, lowest = MP_UNUSABLE;
	struct mp_path *path, *best = NULL;

	for (i = 0; i < nr; i++) {
		if (++slot >= nr)
			slot = 0;
		path = conf->paths[slot];
		rank = mp_rank(path, tried);
		if (rank < lowest) {
			best = path;
			lowest = rank;
		}
		if (likely(!rank))
			break;
	}
	if (likely(best))
		this_cpu_write(*conf->last_slot, best->slot);
	return best;
}

/*
 * The one with the fewest bios of the best.  Of several, the one that this CPU has not
 * chosen for longest: always the first one would be the slow one at times, and who
 * waits for its tags leaves the others idle meanwhile.
 */
static struct mp_path *mp_choose_queue_depth(struct mp_conf *conf, u64 tried)
{
	unsigned int i, nr = smp_load_acquire(&conf->nr_paths);	/* pairs with mp_set_slots() */
	unsigned int slot = this_cpu_read(*conf->last_slot);
	unsigned long rank, lowest = MP_UNUSABLE;
	struct mp_path *path, *best = NULL;
	int depth, least = INT_MAX;

	for (i = 0; i < nr; i++) {
		if (++slot >= nr)
			slot = 0;
		path = conf->paths[slot];
		rank = mp_rank(path, tried);
		if (rank > lowest || rank == MP_UNUSABLE)
			continue;
		depth = atomic_read(&path->depth);
		if (rank < lowest || depth < least) {
			best = path;
			lowest = rank;
			least = depth;
		}
	}
	if (likely(best))
		this_cpu_write(*conf->last_slot, best->slot);
	return best;
}

/* The nearest of the best to the memory of this CPU; one of an unknown node is far. */
static struct mp_path *mp_choose_numa(struct mp_conf *conf, u64 tried)
{
	unsigned long rank, lowest = MP_UNUSABLE;
	struct mp_path *path, *best = NULL;
	int node, distance, least = INT_MAX;

	mp_for_each_path(path, conf) {
		rank = mp_rank(path, tried);
		if (rank > lowest || rank == MP_UNUSABLE)
			continue;
		node = path->node;
		distance = node == NUMA_NO_NODE ? INT_MAX - 1 :
						  node_distance(numa_node_id(), node);
		if (rank < lowest || distance < least) {
			best = path;
			lowest = rank;
			least = distance;
		}
	}
	return best;
}

/* A path of the lowest rank, as the policy wants it.  Slots in @tried are passed over. */
struct mp_path *mp_choose_path(struct mp_conf *conf, u64 tried)
{
	switch (READ_ONCE(conf->policy)) {
	case MP_ROUND_ROBIN:
		return mp_choose_round_robin(conf, tried);
	case MP_QUEUE_DEPTH:
		return mp_choose_queue_depth(conf, tried);
	case MP_NUMA:
		return mp_choose_numa(conf, tried);
	default:
		return mp_choose_failover(conf, tried);
	}
}

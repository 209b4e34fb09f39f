// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Choosing a path
 *
 * R13. Bios go to the live paths of the lowest rank, and iopolicy chooses among those.  In
 * the order of increasing rank:
 *
 *   1. paths whose target port is in ALUA state active/optimized, or has no ALUA state;
 *   2. paths in state active/non-optimized or lba-dependent;
 *   3. standby paths, which the administrator has set to write-mostly;
 *   4. stalled paths, which have had I/O in flight for longer than stall_timeout and have
 *      completed none in that time;
 *   5. inactive paths, in any other ALUA state or suspect until they have been queried (R14).
 *
 * Of these, paths in use come before paths at rest: see R17, in check.c.  If the best path is
 * at rest, bios wait until it is checked.
 *
 * A rank is a bit mask.  The most serious property decides first, then the next one.
 * mp_take_path() in io.c handles the most frequent case inline: policy failover, and a
 * first path of rank 0.
 */

#include <linux/blkdev.h>
#include <linux/topology.h>
#include "md.h"
#include "multipath.h"

/* The rank of a path: only paths of the lowest rank get bios. */
static __always_inline unsigned long mp_rank(const struct mp_path *path, u64 tried)
{
	struct md_rdev *rdev = rcu_dereference_check(path->rdev, rcu_read_lock_sched_held());

	if (!rdev || (tried & BIT_ULL(path->slot)))
		return MP_UNUSABLE;
	if (!mp_rdev_live(rdev)) {
		smp_rmb();	/* before other paths' demerits; pairs with __mp_set_failed() */
		return MP_UNUSABLE;
	}
	/* pairs with mp_set_stalled(), mp_set_access(), mp_suspect_path(), mp_update_rest() */
	return READ_ONCE(path->demerits) |
	       (test_bit(WriteMostly, &rdev->flags) ? BIT(MP_STANDBY) : 0);
}

/* Bios wait for the check of a path at rest (R17).  A path of rank 0 is not at rest. */
static struct mp_path *mp_if_confirmed(struct mp_path *best, unsigned long rank)
{
	return rank & BIT(MP_UNCONFIRMED) ? NULL : best;
}

/* The first of the best paths. */
static struct mp_path *mp_choose_failover(struct mp_conf *conf, u64 tried)
{
	unsigned long rank, lowest = MP_UNUSABLE;
	struct mp_path *path, *best = NULL;

	mp_for_each_path(path, conf) {
		rank = mp_rank(path, tried);
		if (likely(!rank))
			return path;
		if (rank < lowest) {
			best = path;
			lowest = rank;
		}
	}
	return mp_if_confirmed(best, lowest);
}

/* The best path that follows the one chosen last on this CPU. */
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
		if (likely(!rank)) {
			this_cpu_write(*conf->last_slot, slot);
			return path;
		}
		if (rank < lowest) {
			best = path;
			lowest = rank;
		}
	}
	if (best)
		this_cpu_write(*conf->last_slot, best->slot);
	return mp_if_confirmed(best, lowest);
}

/*
 * The best path with the fewest bios in flight.  Among equals, the one that this CPU has
 * not chosen for the longest time.  If the first one always won, it would sometimes be the
 * slow one.  Submitters waiting for its tags would then leave the other paths idle.
 */
static struct mp_path *mp_choose_queue_depth(struct mp_conf *conf, u64 tried)
{
	unsigned int i, nr = smp_load_acquire(&conf->nr_paths);	/* pairs with mp_set_slots() */
	unsigned int slot = this_cpu_read(*conf->last_slot);
	unsigned long rank, lowest = MP_UNUSABLE - 1;
	struct mp_path *path, *best = NULL;
	int depth, least = INT_MAX;

	for (i = 0; i < nr; i++) {
		if (++slot >= nr)
			slot = 0;
		path = conf->paths[slot];
		rank = mp_rank(path, tried);
		if (rank > lowest)
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
	return mp_if_confirmed(best, lowest);
}

/* The best path nearest to this CPU's memory.  An unknown node counts as farthest. */
static struct mp_path *mp_choose_numa(struct mp_conf *conf, u64 tried)
{
	unsigned long rank, lowest = MP_UNUSABLE - 1;
	struct mp_path *path, *best = NULL;
	int node, distance, least = INT_MAX;

	mp_for_each_path(path, conf) {
		rank = mp_rank(path, tried);
		if (rank > lowest)
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
	return mp_if_confirmed(best, lowest);
}

noinline struct mp_path *mp_choose_path(struct mp_conf *conf, u64 tried)
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

struct mp_path *mp_any_path(struct mp_conf *conf, u64 tried)
{
	struct mp_path *path;

	mp_for_each_path(path, conf)
		if (mp_rank(path, tried) != MP_UNUSABLE)
			return path;
	return NULL;
}

bool mp_is_preferred(struct mp_conf *conf, const struct mp_path *path)
{
	unsigned long rank, own = MP_UNUSABLE, lowest = MP_UNUSABLE;
	const struct mp_path *other, *first = NULL;

	mp_for_each_path(other, conf) {
		/* MP_UNUSABLE is still higher than any other rank. */
		rank = mp_rank(other, 0) & ~BIT(MP_UNCONFIRMED);
		if (other == path)
			own = rank;
		if (rank < lowest) {
			first = other;
			lowest = rank;
		}
	}
	return READ_ONCE(conf->policy) == MP_FAILOVER ? path == first : own == lowest;
}

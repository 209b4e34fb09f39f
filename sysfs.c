// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tunables, counters and the table of paths, in /sys/block/mdX/md/
 *
 * md core calls these functions without reconfig_mutex.  They must not take it, because
 * multipath_free() waits for them with the mutex held.
 */

#include <linux/blkdev.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>
#include "md.h"
#include "multipath.h"

/* A file that shows one value, an expression of conf. */
#define MP_SHOW(name, format, value)						\
static ssize_t name##_show(struct mddev *mddev, char *page)			\
{										\
	const struct mp_conf *conf = mddev->private;				\
										\
	return sysfs_emit(page, format "\n", value);				\
}

MP_SHOW(no_path_retry, "%d", READ_ONCE(conf->no_path_retry))

static ssize_t no_path_retry_store(struct mddev *mddev, const char *page, size_t len)
{
	int seconds;

	if (kstrtoint(page, 10, &seconds) || seconds < -1 || seconds > MP_MAX_NO_PATH_RETRY)
		return -EINVAL;
	mp_set_no_path_retry(mddev->private, seconds);
	return len;
}

/* Seconds that I/O is queued when no path works; 0: it fails at once; -1: for ever. */
static struct md_sysfs_entry mp_no_path_retry =
	__ATTR(no_path_retry, 0644, no_path_retry_show, no_path_retry_store);

MP_SHOW(probe_interval, "%u", READ_ONCE(conf->probe_interval))

static ssize_t probe_interval_store(struct mddev *mddev, const char *page, size_t len)
{
	struct mp_conf *conf = mddev->private;
	unsigned int seconds;

	if (kstrtouint(page, 10, &seconds) || !seconds || seconds > MP_MAX_PROBE_INTERVAL)
		return -EINVAL;
	WRITE_ONCE(conf->probe_interval, seconds);
	mp_wake_retry_work(conf);
	return len;
}

/* Seconds between two probes of a path that does not work. */
static struct md_sysfs_entry mp_probe_interval_entry =
	__ATTR(probe_interval, 0644, probe_interval_show, probe_interval_store);

/* The slot whose device has this name, as in /proc/mdstat. */
static struct mp_path *__mp_path_named(struct mp_conf *conf, const char *name)
{
	char own[BDEVNAME_SIZE];
	struct mp_path *path;

	lockdep_assert_held(&conf->lock);

	mp_for_each_path(path, conf) {
		struct md_rdev *rdev = mp_rdev(path);

		if (!rdev)
			continue;
		snprintf(own, sizeof(own), "%pg", rdev->bdev);
		if (sysfs_streq(name, own))
			return path;
	}
	return NULL;
}

/* Let a probe reinstate a path that the administrator failed, or end its hold-down. */
static ssize_t reinstate_store(struct mddev *mddev, const char *page, size_t len)
{
	struct mp_conf *conf = mddev->private;
	struct mp_path *path;

	spin_lock_irq(&conf->lock);
	path = __mp_path_named(conf, page);
	if (path && !mp_rdev_live(mp_rdev(path))) {
		path->hold = 0;
		path->failed_at = jiffies;
		path->probed_at = jiffies - mp_probe_interval(conf);
		path->probe_took = 0;
		WRITE_ONCE(path->auto_reinstate, true);
	}
	spin_unlock_irq(&conf->lock);
	if (!path)
		return -EINVAL;
	mp_wake_retry_work(conf);
	return len;
}

/* Write the name of a failed path, as in /proc/mdstat. */
static struct md_sysfs_entry mp_reinstate =
	__ATTR(reinstate, 0200, NULL, reinstate_store);

MP_SHOW(stall_timeout, "%u", READ_ONCE(conf->stall_timeout))

/* Set a timeout of stall_work, in ms. */
static ssize_t mp_store_timeout(struct mp_conf *conf, unsigned int *timeout, const char *page,
				size_t len)
{
	unsigned int ms;

	if (kstrtouint(page, 10, &ms) || ms > MP_MAX_STALL_TIMEOUT)
		return -EINVAL;
	WRITE_ONCE(*timeout, ms);
	mod_delayed_work(system_long_wq, &conf->stall_work, 0);
	return len;
}

static ssize_t stall_timeout_store(struct mddev *mddev, const char *page, size_t len)
{
	struct mp_conf *conf = mddev->private;

	return mp_store_timeout(conf, &conf->stall_timeout, page, len);
}

/* Milliseconds without a response after which new I/O avoids a path; 0: never. */
static struct md_sysfs_entry mp_stall_timeout =
	__ATTR(stall_timeout, 0644, stall_timeout_show, stall_timeout_store);

MP_SHOW(io_timeout, "%u", READ_ONCE(conf->io_timeout))

static ssize_t io_timeout_store(struct mddev *mddev, const char *page, size_t len)
{
	struct mp_conf *conf = mddev->private;

	return mp_store_timeout(conf, &conf->io_timeout, page, len);
}

/* Milliseconds without a response after which a path fails and its I/O is aborted; 0: never. */
static struct md_sysfs_entry mp_io_timeout =
	__ATTR(io_timeout, 0644, io_timeout_show, io_timeout_store);

MP_SHOW(check_interval, "%u", READ_ONCE(conf->check_interval))

static ssize_t check_interval_store(struct mddev *mddev, const char *page, size_t len)
{
	struct mp_conf *conf = mddev->private;
	unsigned int seconds;

	if (kstrtouint(page, 10, &seconds) || seconds > MP_MAX_CHECK_INTERVAL)
		return -EINVAL;
	WRITE_ONCE(conf->check_interval, seconds);
	mod_delayed_work(system_long_wq, &conf->stall_work, 0);
	return len;
}

/* Seconds without I/O after which a live path is checked; 0: never. */
static struct md_sysfs_entry mp_check_interval_entry =
	__ATTR(check_interval, 0644, check_interval_show, check_interval_store);

static const char * const mp_policy_names[MP_POLICIES] = {
	[MP_FAILOVER]		= "failover",
	[MP_ROUND_ROBIN]	= "round-robin",
	[MP_QUEUE_DEPTH]	= "queue-depth",
	[MP_NUMA]		= "numa",
};

MP_SHOW(iopolicy, "%s", mp_policy_names[READ_ONCE(conf->policy)])

static ssize_t iopolicy_store(struct mddev *mddev, const char *page, size_t len)
{
	struct mp_conf *conf = mddev->private;
	int policy = sysfs_match_string(mp_policy_names, page);

	if (policy < 0)
		return policy;
	WRITE_ONCE(conf->policy, policy);
	/* Paths at rest that bios prefer now are checked first (R17). */
	mod_delayed_work(system_long_wq, &conf->stall_work, 0);
	return len;
}

/* Which of the best paths a bio goes to. */
static struct md_sysfs_entry mp_iopolicy =
	__ATTR(iopolicy, 0644, iopolicy_show, iopolicy_store);

static const char * const mp_reason_names[MP_REASONS] = {
	[MP_NO_REASON]		= "-",
	[MP_IO_ERROR]		= "io-error",
	[MP_FAILED_OVER]	= "failed-over",
	[MP_PROBE_ERROR]	= "probe",
	[MP_SUPERBLOCK_ERROR]	= "superblock",
	[MP_GONE]		= "gone",
	[MP_TIMEOUT]		= "timeout",
	[MP_WRONG_DISK]		= "wrong-disk",
	[MP_BY_ADMIN]		= "user",
};

/* The longest line of the table of paths, in bytes. */
#define MP_PATHS_LINE		160

static const char *mp_path_state_name(const struct mp_conf *conf, const struct mp_path *path,
				      const struct md_rdev *rdev)
{
	if (!mp_rdev_live(rdev))
		return "failed";
	if (conf->state != MP_WORKING && conf->nr_live == 1)
		return "down";
	if (path->demerits & BIT(MP_INACTIVE))
		return "inactive";
	if (path->demerits & BIT(MP_STALLED))
		return "stalled";
	return path->demerits & BIT(MP_NON_OPTIMISED) ? "non-optimised" : "live";
}

/* How long a failed path is still held down, in ms. */
static unsigned int mp_hold_left(const struct mp_path *path)
{
	unsigned long since = jiffies - path->failed_at;

	return path->auto_reinstate && since < path->hold ?
		jiffies_to_msecs(path->hold - since) : 0;
}

/*
 * The sums over all CPUs are taken without the lock, because interrupts are off while it is
 * held.  The slot cannot get another device in between: its removal waits for RCU sections.
 */
static int mp_show_path(struct mp_conf *conf, struct mp_path *path, char *page, int at)
{
	const struct md_rdev *rdev;
	struct mp_tally total;
	unsigned long begun;
	int length = 0;

	rcu_read_lock();
	rdev = rcu_dereference(path->rdev);
	if (rdev) {
		total = mp_total(path);
		begun = total.begun[0] + total.begun[1];
		spin_lock_irq(&conf->lock);
		length = sysfs_emit_at(page, at, "%u %pg %s %s %d %ld %lu %u %u %u %lld %d\n",
				       path->slot, rdev->bdev,
				       mp_path_state_name(conf, path, rdev),
				       mp_reason_names[path->reason],
				       blk_status_to_errno(READ_ONCE(path->last_error)),
				       (long)(begun - total.ended[0] - total.ended[1]),
				       begun - path->ios_before, path->failures,
				       path->reinstatements, mp_hold_left(path),
				       ktime_get_boottime_seconds() - path->since,
				       mp_probe_left(path));
		spin_unlock_irq(&conf->lock);
	}
	rcu_read_unlock();
	return length;
}

static ssize_t paths_show(struct mddev *mddev, char *page)
{
	struct mp_conf *conf = mddev->private;
	struct mp_path *path;
	int length;

	length = sysfs_emit(page,
			    "slot path state reason error in_flight ios failures reinstatements hold_ms state_s probe_ms\n");
	mp_for_each_path(path, conf)
		if (length < PAGE_SIZE - MP_PATHS_LINE)
			length += mp_show_path(conf, path, page, length);
	return length;
}

/* One line for each path in a slot; its counters start when the path is added. */
static struct md_sysfs_entry mp_paths = __ATTR(paths, 0444, paths_show, NULL);

MP_SHOW(degraded, "%d", READ_ONCE(conf->mddev->degraded))

/* How many slots have no live path. */
static struct md_sysfs_entry mp_degraded = __ATTR(degraded, 0444, degraded_show, NULL);

#define MP_COUNTER(name, counter)						\
static ssize_t name##_show(struct mddev *mddev, char *page)			\
{										\
	const struct mp_conf *conf = mddev->private;				\
										\
	return sysfs_emit(page, "%lld\n", atomic64_read(&conf->counter));	\
}										\
										\
static struct md_sysfs_entry mp_##name = __ATTR(name, 0444, name##_show, NULL)

/* Since the start of the array.  NVMe has the same names. */
MP_COUNTER(multipath_failover_count, failovers);
MP_COUNTER(io_requeue_no_usable_path_count, requeues);
MP_COUNTER(io_fail_no_available_path_count, no_path_failures);

static struct attribute *mp_attributes[] = {
	&mp_degraded.attr,
	&mp_paths.attr,
	&mp_multipath_failover_count.attr,
	&mp_io_requeue_no_usable_path_count.attr,
	&mp_io_fail_no_available_path_count.attr,
	&mp_iopolicy.attr,
	&mp_stall_timeout.attr,
	&mp_io_timeout.attr,
	&mp_check_interval_entry.attr,
	&mp_no_path_retry.attr,
	&mp_probe_interval_entry.attr,
	&mp_reinstate.attr,
	NULL
};

const struct attribute_group mp_attribute_group = {
	.attrs = mp_attributes,
};

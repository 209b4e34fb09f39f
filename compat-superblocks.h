/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Superblocks of an array whose disks are all the same one.
 *
 * A superblock says which of the array's disks it is on: its number, and the role of
 * that number.  The paths to one disk all read the same superblock, so md core must
 * number them itself.  Since 6.8 it does not: the second path would have the number of
 * the first, and is refused with EBUSY (bind_rdev_to_array() in drivers/md/md.c), long
 * before a personality is asked.
 *
 * So what md core read (super_1_load()) and what it made of it (super_1_validate()) is
 * corrected as these two return: they are called through pointers, so no compiler
 * makes them inline, and kretprobes find them by name.  Nothing is changed unless the
 * superblock says level -4, nor what is right already.
 *
 * Metadata 1.x only: super_90_validate() would take the number -1 of a path that is
 * added for an index.
 */
#ifndef _MULTIPATH_COMPAT_SUPERBLOCKS_H
#define _MULTIPATH_COMPAT_SUPERBLOCKS_H

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/raid/md_p.h>
#include "md.h"

static bool mp_superblocks = true;
module_param_named(superblocks, mp_superblocks, bool, 0444);
MODULE_PARM_DESC(superblocks, "let md core take arrays with superblocks (metadata 1.x)");

/* Else the arguments are not what is written below, or can't be had. */
#if defined(HAVE_SUPER_1_LOAD) && defined(HAVE_SUPER_1_VALIDATE) && \
	defined(CONFIG_KRETPROBES) && defined(CONFIG_HAVE_FUNCTION_ARG_ACCESS_API)

/* How many calls of each may be under way at once; they sleep, while they read. */
#define MP_CALLS	64

static atomic_t mp_superblocks_changed = ATOMIC_INIT(0);

static int mp_show_changed(char *page, const struct kernel_param *param)
{
	return sysfs_emit(page, "%d\n", atomic_read(&mp_superblocks_changed));
}

static const struct kernel_param_ops mp_changed_ops = { .get = mp_show_changed };
module_param_cb(superblocks_changed, &mp_changed_ops, NULL, 0444);
MODULE_PARM_DESC(superblocks_changed, "how often that was needed");

/* Does the superblock that was read from this path belong to an array of paths? */
static bool mp_is_of_paths(const struct md_rdev *rdev)
{
	const struct mdp_superblock_1 *sb = page_address(rdev->sb_page);

	return sb->level == cpu_to_le32(-4);
}

static u64 mp_events(const struct md_rdev *rdev)
{
	const struct mdp_superblock_1 *sb = page_address(rdev->sb_page);

	return le64_to_cpu(sb->events);
}

/* int super_1_load(struct md_rdev *rdev, struct md_rdev *refdev, int minor_version) */
struct mp_load {
	struct md_rdev	*rdev;
	struct md_rdev	*refdev;
	int		desc_nr;	/* that md core gave it; -1: none yet */
};

static int mp_load_begins(struct kretprobe_instance *call, struct pt_regs *regs)
{
	struct mp_load *load = (struct mp_load *)call->data;

	load->rdev = (struct md_rdev *)regs_get_kernel_argument(regs, 0);
	load->refdev = (struct md_rdev *)regs_get_kernel_argument(regs, 1);
	load->desc_nr = load->rdev->desc_nr;
	return 0;
}

/*
 * Keep the number: bind_rdev_to_array() gives one to who has none.  A spare's superblock
 * is not asked when one is newer; a path is no spare, whatever the number's role.
 */
static int mp_load_ends(struct kretprobe_instance *call, struct pt_regs *regs)
{
	const struct mp_load *load = (struct mp_load *)call->data;
	int ret = regs_return_value(regs);
	bool is_newer;

	if (ret < 0 || !mp_is_of_paths(load->rdev))
		return 0;
	is_newer = !load->refdev || mp_events(load->rdev) > mp_events(load->refdev);
	if (load->rdev->desc_nr != load->desc_nr || ret != is_newer)
		atomic_inc(&mp_superblocks_changed);
	load->rdev->desc_nr = load->desc_nr;
	regs_set_return_value(regs, is_newer);
	return 0;
}

/*
 * int super_1_validate(struct mddev *mddev, struct md_rdev *freshest,
 *			struct md_rdev *rdev)
 */
struct mp_validate {
	struct mddev	*mddev;
	struct md_rdev	*rdev;
};

static int mp_validate_begins(struct kretprobe_instance *call, struct pt_regs *regs)
{
	struct mp_validate *validate = (struct mp_validate *)call->data;

	validate->mddev = (struct mddev *)regs_get_kernel_argument(regs, 0);
	validate->rdev = (struct md_rdev *)regs_get_kernel_argument(regs, 2);
	return 0;
}

/*
 * While an array is put together each of its paths is live, in the slots from 0 on, in
 * the order of their numbers; md core makes spares of those that are too many.  Who is
 * added later gets its slot by multipath_hot_add_disk().  The caller holds
 * mddev->reconfig_mutex, which the list wants.
 */
static int mp_validate_ends(struct kretprobe_instance *call, struct pt_regs *regs)
{
	const struct mp_validate *validate = (struct mp_validate *)call->data;
	struct md_rdev *rdev = validate->rdev, *other;
	int slot = 0;

	if (regs_return_value(regs) || validate->mddev->pers ||
	    rdev->mddev != validate->mddev || !mp_is_of_paths(rdev))
		return 0;
	rdev_for_each(other, validate->mddev)
		slot += other->desc_nr < rdev->desc_nr;
	if (rdev->raid_disk != slot || !test_bit(In_sync, &rdev->flags) ||
	    test_bit(Faulty, &rdev->flags))
		atomic_inc(&mp_superblocks_changed);
	rdev->raid_disk = slot;
	rdev->saved_raid_disk = -1;
	set_bit(In_sync, &rdev->flags);
	clear_bit(Faulty, &rdev->flags);
	return 0;
}

static struct kretprobe mp_load_probe = {
	.kp.symbol_name	= "md_mod:super_1_load",
	.entry_handler	= mp_load_begins,
	.handler	= mp_load_ends,
	.data_size	= sizeof(struct mp_load),
	.maxactive	= MP_CALLS,
};

static struct kretprobe mp_validate_probe = {
	.kp.symbol_name	= "md_mod:super_1_validate",
	.entry_handler	= mp_validate_begins,
	.handler	= mp_validate_ends,
	.data_size	= sizeof(struct mp_validate),
	.maxactive	= MP_CALLS,
};

static struct kretprobe *mp_probes[] = { &mp_load_probe, &mp_validate_probe };

/* Calls that ended as md core has it, as there were too many at once. */
static int mp_show_missed(char *page, const struct kernel_param *param)
{
	return sysfs_emit(page, "%d\n", mp_load_probe.nmissed + mp_validate_probe.nmissed);
}

static const struct kernel_param_ops mp_missed_ops = { .get = mp_show_missed };
module_param_cb(superblocks_missed, &mp_missed_ops, NULL, 0444);
MODULE_PARM_DESC(superblocks_missed, "how often that failed; such an array has to be assembled again");

static int mp_probe_superblocks(void)
{
	return register_kretprobes(mp_probes, ARRAY_SIZE(mp_probes));
}

static void mp_unprobe_superblocks(void)
{
	unregister_kretprobes(mp_probes, ARRAY_SIZE(mp_probes));
}

#else

static inline int mp_probe_superblocks(void)
{
	return -EOPNOTSUPP;
}

static inline void mp_unprobe_superblocks(void)
{
}

#endif

static bool mp_superblocks_work;

/**
 * mp_take_superblocks() - have md core take arrays with superblocks of our level
 * @err: of the registration of the personality, after which this is called
 *
 * Without them --build still works, so a failure is said, and is none of the module's.
 *
 * Context: sleeps.
 * Return: @err.
 */
static int __init mp_take_superblocks(int err)
{
	int failure = -ECANCELED;

	if (err)
		return err;
	if (mp_superblocks)
		failure = mp_probe_superblocks();
	mp_superblocks_work = !failure;
	if (failure == -ECANCELED)
		pr_info("md/multipath: superblocks are turned off: use mdadm --build\n");
	else if (failure)
		pr_warn("md/multipath: no superblocks on this kernel (error %d): mdadm --create and --assemble will fail, use mdadm --build\n",
			failure);
	return 0;
}

static void mp_leave_superblocks(void)
{
	if (mp_superblocks_work)
		mp_unprobe_superblocks();
}

#endif

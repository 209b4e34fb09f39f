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
 * superblock says level -4, and then it becomes what 6.1's md core would have made.
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

/* Without this the kernel would call NULL for who gives it a value. */
static int mp_set_nothing(const char *value, const struct kernel_param *param)
{
	return -EPERM;
}

static int mp_show_changed(char *page, const struct kernel_param *param)
{
	return sysfs_emit(page, "%d\n", atomic_read(&mp_superblocks_changed));
}

module_param_call(superblocks_changed, mp_set_nothing, mp_show_changed, NULL, 0444);
MODULE_PARM_DESC(superblocks_changed, "how often md core's reading of one was changed (to be read only)");

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
 * Keep the number: bind_rdev_to_array() gives one to who has none.  md core passes over
 * the superblocks of spares when it looks for the newest; a path is no spare, whatever
 * the role of the number that it has read.
 */
static int mp_load_ends(struct kretprobe_instance *call, struct pt_regs *regs)
{
	const struct mp_load *load = (struct mp_load *)call->data;
	int ret = (int)regs_return_value(regs);
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
	bool		is_first;	/* from which md core takes what the array is */
};

static int mp_validate_begins(struct kretprobe_instance *call, struct pt_regs *regs)
{
	struct mp_validate *validate = (struct mp_validate *)call->data;

	validate->mddev = (struct mddev *)regs_get_kernel_argument(regs, 0);
	validate->rdev = (struct md_rdev *)regs_get_kernel_argument(regs, 2);
	validate->is_first = !validate->mddev->raid_disks;
	return 0;
}

/*
 * While an array is put together each of its paths is live, in the slots from 0 on in the
 * order of the array's list; md core makes spares of those that are too many.  For all
 * but the first path, errors are about the number's role, or its age, and so are none.
 * The flags that one path had when the superblock was written are not all paths'.
 * Who is added later gets its slot by multipath_hot_add_disk().
 */
static int mp_validate_ends(struct kretprobe_instance *call, struct pt_regs *regs)
{
	const unsigned long of_one = BIT(WriteMostly) | BIT(FailFast) | BIT(Journal) |
				     BIT(Replacement) | BIT(Faulty) | BIT(In_sync);
	const struct mp_validate *validate = (struct mp_validate *)call->data;
	struct md_rdev *rdev = validate->rdev, *other;
	int err = (int)regs_return_value(regs);
	int slot = 0;

	if ((err && validate->is_first) || validate->mddev->pers ||
	    rdev->mddev != validate->mddev || !mp_is_of_paths(rdev))
		return 0;
	lockdep_assert_held(&validate->mddev->reconfig_mutex);
	rdev_for_each(other, validate->mddev) {
		if (other == rdev)
			break;
		slot++;
	}
	if (err || rdev->raid_disk != slot || rdev->desc_nr != slot ||
	    (rdev->flags & of_one) != BIT(In_sync))
		atomic_inc(&mp_superblocks_changed);
	rdev->raid_disk = slot;
	rdev->desc_nr = slot;
	rdev->saved_raid_disk = -1;
	set_mask_bits(&rdev->flags, of_one, BIT(In_sync));
	regs_set_return_value(regs, 0);
	return 0;
}

#if IS_MODULE(CONFIG_BLK_DEV_MD)
#define MP_OF_MD	"md_mod:"
#else
#define MP_OF_MD	""
#endif

static struct kretprobe mp_load_probe = {
	.kp.symbol_name	= MP_OF_MD "super_1_load",
	.entry_handler	= mp_load_begins,
	.handler	= mp_load_ends,
	.data_size	= sizeof(struct mp_load),
	.maxactive	= MP_CALLS,
};

static struct kretprobe mp_validate_probe = {
	.kp.symbol_name	= MP_OF_MD "super_1_validate",
	.entry_handler	= mp_validate_begins,
	.handler	= mp_validate_ends,
	.data_size	= sizeof(struct mp_validate),
	.maxactive	= MP_CALLS,
};

static struct kretprobe *mp_probes[] = { &mp_load_probe, &mp_validate_probe };

static int mp_show_missed(char *page, const struct kernel_param *param)
{
	return sysfs_emit(page, "%d\n", mp_load_probe.nmissed + mp_validate_probe.nmissed);
}

module_param_call(superblocks_missed, mp_set_nothing, mp_show_missed, NULL, 0444);
MODULE_PARM_DESC(superblocks_missed, "how often it was not, as too many were being read at once: assemble such an array again (to be read only)");

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
	int failure;

	if (err)
		return err;
	if (!mp_superblocks) {
		pr_info("md/multipath: superblocks are turned off: use mdadm --build\n");
		return 0;
	}
	failure = mp_probe_superblocks();
	mp_superblocks = !failure;
	if (failure)
		pr_warn("md/multipath: no superblocks on this kernel (error %d): mdadm --create and --assemble will fail, use mdadm --build\n",
			failure);
	return 0;
}

static void mp_leave_superblocks(void)
{
	if (mp_superblocks)
		mp_unprobe_superblocks();
}

#endif

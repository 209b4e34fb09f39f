/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Superblocks of level -4 where md core does not know the level
 *
 * A superblock states which of the array's disks it is on: its number, and the role of that
 * number.  All paths to one disk read the same superblock, so md core must number them
 * itself.  Since 6.8 it does not.  The second path has the number of the first, and
 * bind_rdev_to_array() in drivers/md/md.c refuses it with EBUSY, long before the
 * personality is involved.
 *
 * So kretprobes correct what md core reads (super_1_load(), super_90_load()) and what it
 * derives from that (super_1_validate(), super_90_validate()), as these functions return.
 * They are called through pointers, so no compiler makes them inline, and kretprobes find
 * them by name.  Only superblocks of level -4 are affected, and the result is what 6.1's md
 * core would have produced.
 */
#ifndef _MULTIPATH_COMPAT_SUPERBLOCKS_H
#define _MULTIPATH_COMPAT_SUPERBLOCKS_H

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/raid/md_p.h>
#include <linux/raid/md_u.h>
#include "md.h"

#ifndef LEVEL_MULTIPATH

static bool mp_superblocks = true;
module_param_named(superblocks, mp_superblocks, bool, 0444);
MODULE_PARM_DESC(superblocks, "accept arrays with superblocks");

/*
 * Without these features, the functions have other arguments, or the arguments cannot be
 * read.
 */
#if defined(HAVE_SUPER_1_LOAD) && defined(HAVE_SUPER_1_VALIDATE) && \
	defined(CONFIG_KRETPROBES) && defined(CONFIG_HAVE_FUNCTION_ARG_ACCESS_API)

/*
 * How many calls of each function may be in progress at once; they sleep while they read.  At
 * boot, udev runs up to 16 programs and two more for each CPU.
 */
#define MP_MIN_CALLS	64
#define MP_MAX_READERS	(16 + 2 * (int)num_possible_cpus())

static atomic_t mp_superblocks_changed = ATOMIC_INIT(0);

/* Without a setter, the kernel would call NULL for a write. */
static int mp_refuse_write(const char *value, const struct kernel_param *param)
{
	return -EPERM;
}

static int mp_show_changed(char *page, const struct kernel_param *param)
{
	return sysfs_emit(page, "%d\n", atomic_read(&mp_superblocks_changed));
}

module_param_call(superblocks_changed, mp_refuse_write, mp_show_changed, NULL, 0444);
MODULE_PARM_DESC(superblocks_changed, "number of superblock reads that were corrected (read-only)");

/* Metadata 1.x is little-endian, 0.90 has the CPU's byte order; both have the version here. */
static bool mp_is_metadata_1(const struct md_rdev *rdev)
{
	const struct mdp_superblock_1 *sb = page_address(rdev->sb_page);

	return sb->major_version == cpu_to_le32(1);
}

/* Whether the superblock read from this path belongs to an array of level -4. */
static bool mp_is_multipath_superblock(const struct md_rdev *rdev)
{
	const void *sb = page_address(rdev->sb_page);

	if (mp_is_metadata_1(rdev))
		return ((const struct mdp_superblock_1 *)sb)->level == cpu_to_le32(-4);
	return ((const mdp_super_t *)sb)->level == (u32)-4;
}

static u64 mp_events(const struct md_rdev *rdev)
{
	void *sb = page_address(rdev->sb_page);

	if (mp_is_metadata_1(rdev))
		return le64_to_cpu(((struct mdp_superblock_1 *)sb)->events);
	return md_event(sb);
}

/*
 * int super_1_load(struct md_rdev *rdev, struct md_rdev *refdev, int minor_version),
 * and super_90_load() likewise
 */
struct mp_load {
	struct md_rdev	*rdev;
	struct md_rdev	*refdev;
	int		desc_nr;	/* given by md core before; -1: none */
};

static int mp_load_entry(struct kretprobe_instance *call, struct pt_regs *regs)
{
	struct mp_load *load = (struct mp_load *)call->data;

	load->rdev = (struct md_rdev *)regs_get_kernel_argument(regs, 0);
	load->refdev = (struct md_rdev *)regs_get_kernel_argument(regs, 1);
	load->desc_nr = load->rdev->desc_nr;
	return 0;
}

static int mp_missed(void);

/*
 * A missed path keeps the number that it read, and so is refused, or takes another's
 * number.
 */
static void mp_log_missed(void)
{
	static atomic_t logged = ATOMIC_INIT(0);
	int missed = mp_missed();

	if (atomic_xchg(&logged, missed) != missed)
		pr_warn("md/multipath: missed %d superblock reads because too many ran at once: stop arrays that lack a path and assemble them again\n",
			missed);
}

/*
 * Keep the number: bind_rdev_to_array() gives one to a path that has none.  md core ignores
 * the superblocks of spares when it looks for the newest one.  A path is no spare, whatever
 * the role of the number that it read.
 */
static int mp_load_return(struct kretprobe_instance *call, struct pt_regs *regs)
{
	const struct mp_load *load = (struct mp_load *)call->data;
	int ret = (int)regs_return_value(regs);
	bool is_newer;

	if (ret < 0 || !mp_is_multipath_superblock(load->rdev))
		return 0;
	mp_log_missed();
	is_newer = !load->refdev || mp_events(load->rdev) > mp_events(load->refdev);
	if (load->rdev->desc_nr != load->desc_nr || ret != is_newer)
		atomic_inc(&mp_superblocks_changed);
	load->rdev->desc_nr = load->desc_nr;
	regs_set_return_value(regs, is_newer);
	return 0;
}

/*
 * int super_1_validate(struct mddev *mddev, struct md_rdev *freshest,
 *		     struct md_rdev *rdev), and super_90_validate() likewise
 */
struct mp_validate {
	struct mddev	*mddev;
	struct md_rdev	*rdev;
	int		desc_nr;
	bool		is_first;	/* md core initialises the array from it */
};

/*
 * super_90_validate() uses the number as an index without a check.  It is -1 for a path
 * that is added, and can exceed the table in the superblock.
 */
static int mp_validate_entry(struct kretprobe_instance *call, struct pt_regs *regs)
{
	struct mp_validate *validate = (struct mp_validate *)call->data;
	struct md_rdev *rdev = (struct md_rdev *)regs_get_kernel_argument(regs, 2);

	validate->mddev = (struct mddev *)regs_get_kernel_argument(regs, 0);
	validate->rdev = rdev;
	validate->desc_nr = rdev->desc_nr;
	validate->is_first = !validate->mddev->raid_disks;
	if (mp_is_multipath_superblock(rdev) && !mp_is_metadata_1(rdev) &&
	    (rdev->desc_nr < 0 || rdev->desc_nr >= MD_SB_DISKS))
		rdev->desc_nr = 0;
	return 0;
}

/* The rdev's place in the array's list. */
static int mp_slot_in_list(const struct mddev *mddev, const struct md_rdev *rdev)
{
	const struct md_rdev *other;
	int slot = 0;

	rdev_for_each(other, mddev) {
		if (other == rdev)
			break;
		slot++;
	}
	return slot;
}

/*
 * While an array is assembled, all its paths are live, in slots from 0 in the order of the
 * array's list.  md core makes spares of any that are too many.  Errors for paths after the
 * first concern the number's role or age, so they are ignored.  The flags in the superblock
 * were those of one path.  A path that is added later has no number and no role:
 * multipath_hot_add_disk() gives it a slot.
 */
static int mp_validate_return(struct kretprobe_instance *call, struct pt_regs *regs)
{
	const unsigned long of_one = BIT(WriteMostly) | BIT(FailFast) | BIT(Journal) |
				     BIT(Replacement) | BIT(Faulty) | BIT(In_sync);
	const struct mp_validate *validate = (struct mp_validate *)call->data;
	struct mddev *mddev = validate->mddev;
	struct md_rdev *rdev = validate->rdev;
	int err = (int)regs_return_value(regs);
	unsigned long flags = 0;
	int slot = -1;

	if (!mp_is_multipath_superblock(rdev))
		return 0;
	rdev->desc_nr = validate->desc_nr;
	if (err && (validate->is_first || mddev->pers))
		return 0;
	if (!mddev->pers) {
		lockdep_assert_held(&mddev->reconfig_mutex);
		slot = mp_slot_in_list(mddev, rdev);
		flags = BIT(In_sync);
	}
	if (err || rdev->raid_disk != slot || (rdev->flags & of_one) != flags ||
	    (slot >= 0 && rdev->desc_nr != slot))
		atomic_inc(&mp_superblocks_changed);
	if (slot >= 0)
		rdev->desc_nr = slot;
	rdev->raid_disk = slot;
	rdev->saved_raid_disk = -1;
	set_mask_bits(&rdev->flags, of_one, flags);
	regs_set_return_value(regs, 0);
	return 0;
}

#if IS_MODULE(CONFIG_BLK_DEV_MD)
#define MP_OF_MD	"md_mod:"
#else
#define MP_OF_MD	""
#endif

/* MP_KRETPROBE(<function of md core>, <load or validate>) */
#define MP_KRETPROBE(function, what) (&(struct kretprobe) {	\
	.kp.symbol_name	= MP_OF_MD #function,			\
	.entry_handler	= mp_##what##_entry,			\
	.handler	= mp_##what##_return,			\
	.data_size	= sizeof(struct mp_##what),		\
})

static struct kretprobe *mp_probes[] = {
	MP_KRETPROBE(super_1_load, load),
	MP_KRETPROBE(super_1_validate, validate),
#if defined(HAVE_SUPER_90_LOAD) && defined(HAVE_SUPER_90_VALIDATE)
	MP_KRETPROBE(super_90_load, load),
	MP_KRETPROBE(super_90_validate, validate),
#endif
};

static int mp_missed(void)
{
	int i, missed = 0;

	for (i = 0; i < ARRAY_SIZE(mp_probes); i++)
		missed += mp_probes[i]->nmissed;
	return missed;
}

static int mp_show_missed(char *page, const struct kernel_param *param)
{
	return sysfs_emit(page, "%d\n", mp_missed());
}

module_param_call(superblocks_missed, mp_refuse_write, mp_show_missed, NULL, 0444);
MODULE_PARM_DESC(superblocks_missed, "number of superblock reads that were missed because too many ran at once: stop and assemble such arrays again (read-only)");

static int mp_probe_superblocks(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(mp_probes); i++)
		mp_probes[i]->maxactive = max(MP_MIN_CALLS, MP_MAX_READERS);
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
 * mp_enable_superblocks() - have md core accept superblocks of level -4
 * @err: the result of the registration of the personality, which comes first
 *
 * Without them --build still works, so a failure is logged and not returned.
 *
 * Context: sleeps.
 * Return: @err.
 */
static int __init mp_enable_superblocks(int err)
{
	int failure;

	if (err)
		return err;
	if (!mp_superblocks) {
		pr_info("md/multipath: superblock support is disabled: use mdadm --build\n");
		return 0;
	}
	failure = mp_probe_superblocks();
	mp_superblocks = !failure;
	if (failure)
		pr_warn("md/multipath: no superblock support on this kernel (error %d): mdadm --create and --assemble will fail, use mdadm --build\n",
			failure);
	return 0;
}

static void mp_disable_superblocks(void)
{
	if (mp_superblocks)
		mp_unprobe_superblocks();
}

#endif /* LEVEL_MULTIPATH */

#endif

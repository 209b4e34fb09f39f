// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which disk does a path lead to?
 *
 * R12. A path is added only if its disk has the identity of the other paths.  A failed path
 * is reinstated only if identity, size, block size and the superblock's array are
 * unchanged.  The last live path counts as working again on the same conditions.  In a
 * running array the device is queried, because the kernel's cache may be from before the
 * failure.
 *
 * An identity is a NAA or EUI-64 designator, or the UUID of an NVMe namespace.  Only SCSI
 * devices can be queried for it.  For all others the kernel's cache counts: the NVMe driver
 * removes a namespace whose identity has changed, but not before I/O reaches it.
 *
 * If a device has no identity, or cannot be queried, its superblock must be the one that the
 * other paths read: see superblock.c.  If it has no identity, and the array no superblock, the
 * device is accepted, and the log says that it cannot be checked.
 *
 * A disk that cannot read its superblock keeps no path out.  Then identity and size decide.
 */

#include <linux/blkdev.h>
#include <linux/kernel.h>
#include <linux/sysfs.h>
#include <linux/uuid.h>
#include "md.h"
#include "multipath.h"

/* Room for uuid.11111111-2222-3333-4444-555555555555 */
#define MP_IDENTITY_LENGTH	44

/* For a message.  Returns @text. */
static const char *mp_identity_text(const struct mp_identity *identity,
				    char text[MP_IDENTITY_LENGTH])
{
	if (identity->type == MP_ID_UUID)
		snprintf(text, MP_IDENTITY_LENGTH, "uuid.%pU", identity->id);
	else if (mp_has_identity(identity))
		snprintf(text, MP_IDENTITY_LENGTH, "%s.%*phN",
			 identity->type == BLK_UID_NAA ? "naa" : "eui",
			 identity->length, identity->id);
	else
		strscpy(text, "(no unique ID)", MP_IDENTITY_LENGTH);
	return text;
}

/* The attribute wwid of the disk itself; NULL if it has none. */
static struct attribute *mp_wwid_attribute(const struct device *dev)
{
	const struct attribute_group *const *group;
	struct attribute **attr;

	for (group = dev->groups; group && *group; group++)
		for (attr = (*group)->attrs; !(*group)->name && attr && *attr; attr++)
			if (!strcmp((*attr)->name, "wwid"))
				return *attr;
	return NULL;
}

/* Returns false also for other identities: "nvme." stays the same if the disk is replaced. */
static bool mp_parse_wwid(const char *wwid, struct mp_identity *identity)
{
	int i;

	if (str_has_prefix(wwid, "uuid.")) {
		identity->type = MP_ID_UUID;
		identity->length = UUID_SIZE;
		return !uuid_parse(wwid + strlen("uuid."), (uuid_t *)identity->id);
	}
	if (!str_has_prefix(wwid, "eui."))
		return false;
	wwid += strlen("eui.");
	identity->type = BLK_UID_EUI64;
	identity->length = strspn(wwid, "0123456789abcdef") / 2;
	if (identity->length != 8 && identity->length != sizeof(identity->id))
		return false;
	for (i = 0; i < identity->length; i++)
		if (sscanf(wwid + 2 * i, "%2hhx", &identity->id[i]) != 1)
			return false;
	return true;
}

/*
 * The kernel does not offer a module the UUID of an NVMe namespace, and on 6.1 no identity
 * of it at all.  sysfs has it, in the attribute wwid.  What shows it there reads what is
 * valid as long as the disk is open.
 */
static void mp_wwid_identity(struct gendisk *disk, struct mp_identity *identity)
{
	static char text[PAGE_SIZE] __aligned(PAGE_SIZE);	/* sysfs_emit() requires a page */
	static DEFINE_MUTEX(lock);
	struct device *dev = disk_to_dev(disk);
	struct attribute *wwid = mp_wwid_attribute(dev);

	if (!wwid)
		return;
	mutex_lock(&lock);
	if (dev->kobj.ktype->sysfs_ops->show(&dev->kobj, wwid, text) <= 0 ||
	    !mp_parse_wwid(text, identity))
		memset(identity, 0, sizeof(*identity));
	mutex_unlock(&lock);
}

static void mp_cached_identity(struct block_device *bdev, struct mp_identity *identity)
{
	static const enum blk_unique_id types[] = { BLK_UID_NAA, BLK_UID_EUI64 };
	struct gendisk *disk = bdev->bd_disk;
	int i, length;

	memset(identity, 0, sizeof(*identity));
	for (i = 0; disk->fops->get_unique_id && i < ARRAY_SIZE(types); i++) {
		length = disk->fops->get_unique_id(disk, identity->id, types[i]);
		if (length > 0 && length <= sizeof(identity->id)) {
			identity->type = types[i];
			identity->length = length;
			return;
		}
	}
	mp_wwid_identity(disk, identity);
}

void mp_cached_disk(struct block_device *bdev, struct mp_disk *disk)
{
	mp_cached_identity(bdev, &disk->identity);
	disk->sectors = get_capacity(bdev->bd_disk);
	disk->block_size = bdev_logical_block_size(bdev);
}

/* Logs the reason for false, unless logged since the path last passed. */
static bool mp_has_same_id(struct mp_path *path, const struct mp_identity *now)
{
	const struct mp_identity *was = &path->disk.identity;
	char id_now[MP_IDENTITY_LENGTH], id_was[MP_IDENTITY_LENGTH];

	if (mp_same_identity(now, was))
		return true;
	if (!path->wrong_disk_logged)
		pr_warn("md/multipath:%s: path %pg is not used: it leads to disk %s instead of %s\n",
			mdname(path->conf->mddev), mp_rdev(path)->bdev,
			mp_identity_text(now, id_now), mp_identity_text(was, id_was));
	return false;
}

/* Logs likewise. */
static bool mp_has_same_size(struct mp_path *path, const struct mp_disk *now)
{
	const char *name = mdname(path->conf->mddev);
	const struct mp_disk *was = &path->disk;

	if ((now->sectors != READ_ONCE(was->sectors) &&
	     now->sectors != mp_live_sectors(path->conf)) ||
	    now->block_size != was->block_size) {
		if (!path->wrong_disk_logged)
			pr_warn("md/multipath:%s: path %pg is not used: its disk has %llu sectors and %u-byte blocks, expected %llu sectors and %u-byte blocks\n",
				name, mp_rdev(path)->bdev, now->sectors, now->block_size,
				was->sectors, was->block_size);
		return false;
	}
	return true;
}

/*
 * Whether the disk is large enough for the array, as far as the kernel knows.  Logs
 * likewise.
 */
static bool mp_has_room(struct mp_path *path, const struct md_rdev *rdev)
{
	struct mddev *mddev = path->conf->mddev;
	/*
	 * md core writes rdev->sectors to the superblock and relies on it at assembly.  On 32
	 * bits, a read while sysfs changes it may mix both values.  At worst, one probe
	 * refuses the path, or accepts one with room for the data but not for rdev->sectors.
	 */
	sector_t data_sectors = atomic64_read(&path->conf->data_sectors);
	sector_t needed = max(data_sectors, READ_ONCE(rdev->sectors));

	if (mp_has_sectors(rdev, needed))
		return true;
	if (!path->wrong_disk_logged)
		pr_warn("md/multipath:%s: path %pg is not used: it has %llu sectors, but data needs %llu sectors from sector %llu on: rescan the device, or set the array's size again\n",
			mdname(mddev), rdev->bdev, bdev_nr_sectors(rdev->bdev), needed,
			rdev->data_offset);
	return false;
}

void mp_query_device(struct scsi_device *sdev, const struct mp_disk *known, bool read_failed,
		     struct mp_answer *answer)
{
	answer->err = mp_query_disk(sdev, known, &answer->disk);
	answer->inactive = read_failed && !answer->err && mp_is_inactive(sdev);
}

/*
 * Of a slow device, a timeout shorter than its own would start error recovery for nothing.  Nobody
 * waits for the query itself, so it may wait for a tag, or until the device is resumed.
 */
void mp_query_id(struct scsi_device *sdev, const struct mp_disk *known, struct mp_answer *answer)
{
	answer->err = mp_query_identity(sdev, &known->identity, &answer->disk.identity, 0);
}

bool mp_has_id_query(const struct mp_path *path)
{
	return mp_has_identity(&path->disk.identity) && path->query;
}

enum mp_probe_state mp_check_disk(struct mp_path *path, const struct mp_answer *answer)
{
	struct md_rdev *rdev = mp_rdev(path);
	const struct mp_disk *now = &answer->disk;

	if (answer->err)
		return MP_PROBE_FAILED;
	/*
	 * A path that cannot be read must be inactive, and is then identified by its id
	 * alone.
	 */
	if (path->probe_read_failed &&
	    (!answer->inactive || !mp_has_identity(&now->identity) ||
	     get_capacity(rdev->bdev->bd_disk) != now->sectors))
		return MP_PROBE_FAILED;
	/* A controller that starts may answer before it knows its LUNs. */
	if (mp_has_id_query(path) && !mp_has_identity(&now->identity))
		return MP_PROBE_FAILED;
	if (!mp_has_same_id(path, &now->identity))
		return MP_PROBE_WRONG_DISK;
	if (!mp_has_same_size(path, now) || !mp_has_room(path, rdev))
		return MP_PROBE_WRONG_SIZE;
	return MP_PROBE_SAME_DISK;
}

/* The size does not matter here: a disk that grows has the new size on one path first. */
enum mp_probe_state mp_check_id(struct mp_path *path, const struct mp_answer *answer)
{
	switch (answer->err) {
	case 0:
		/* as in mp_check_disk() */
		if (!mp_has_identity(&answer->disk.identity))
			return MP_PROBE_FAILED;
		return mp_has_same_id(path, &answer->disk.identity) ? MP_PROBE_SAME_DISK :
								      MP_PROBE_WRONG_DISK;
	case -ENOMEM:
		return MP_PROBE_VOID;
	case -ENOTCONN:
	case -ENXIO:
		/* Not if something waits to be told which disk it is. */
		return path->probe_check == MP_CHECK_ID && path->probe_confirms ?
		       MP_PROBE_FAILED : MP_PROBE_OK;
	default:
		return MP_PROBE_FAILED;
	}
}

/* Whether the disk of @bdev has the identity of the paths in their slots. */
static int mp_compare_identity(struct mp_conf *conf, struct block_device *bdev,
			       const struct mp_identity *identity)
{
	char id_new[MP_IDENTITY_LENGTH], id_old[MP_IDENTITY_LENGTH];
	struct mp_path *path;

	mp_for_each_path(path, conf) {
		if (!mp_rdev(path) || !mp_has_identity(&path->disk.identity) ||
		    mp_same_identity(identity, &path->disk.identity))
			continue;
		pr_warn("md/multipath:%s: %pg leads to disk %s but %pg leads to %s: not paths to the same disk\n",
			mdname(conf->mddev), bdev, mp_identity_text(identity, id_new),
			mp_rdev(path)->bdev,
			mp_identity_text(&path->disk.identity, id_old));
		return -EINVAL;
	}
	return 0;
}

/* The kernel's cache may describe what the device was when it was a path before. */
int mp_check_identity(struct mp_conf *conf, struct block_device *bdev, bool query)
{
	struct scsi_device *sdev = mp_scsi_device(bdev);
	struct mp_identity known, now;

	mp_cached_identity(bdev, &known);
	if (!mp_has_identity(&known)) {
		pr_info("md/multipath:%s: %pg has no unique ID: %s\n", mdname(conf->mddev), bdev,
			mp_has_superblock(conf->mddev) ?
			"md only compares its superblock with that of the other paths" :
			"accepted, but md cannot check that it leads to the array's disk");
		return 0;
	}
	now = known;
	if (query && sdev && mp_query_identity(sdev, &known, &now, MP_QUERY_TIMEOUT)) {
		pr_warn("md/multipath:%s: %pg does not respond to the identity query: not added; try again when it responds\n",
			mdname(conf->mddev), bdev);
		return -EIO;
	}
	return mp_compare_identity(conf, bdev, &now);
}

bool mp_is_known_disk(struct mp_conf *conf, struct block_device *bdev)
{
	struct mp_identity identity;
	struct mp_path *path;

	mp_cached_identity(bdev, &identity);
	if (!mp_has_identity(&identity))
		return false;
	mp_for_each_path(path, conf)
		if (mp_rdev(path) && mp_same_identity(&identity, &path->disk.identity))
			return true;
	return false;
}

/* The first other path of the array, for comparison. */
static struct md_rdev *mp_other_path(struct mddev *mddev, const struct md_rdev *rdev)
{
	struct md_rdev *other;

	rdev_for_each(other, mddev)
		if (other != rdev && other->raid_disk >= 0 &&
		    !test_bit(Faulty, &other->flags))
			return other;
	return NULL;
}

/*
 * The size of a path in sectors.  The last path keeps its slot when its device is gone.
 * Such a device reports 0, so the last known size is used; 0 if there is none.
 */
static sector_t mp_path_sectors(struct mddev *mddev, const struct md_rdev *rdev)
{
	const struct mp_path *path = mp_slot(mddev->private, rdev->raid_disk);
	sector_t size = bdev_nr_sectors(rdev->bdev);

	if (!size && path)
		size = READ_ONCE(path->disk.sectors);
	return size;
}

/*
 * md core adds up these numbers, which come from a superblock or from sysfs, without a check
 * for overflow.  Logs the reason for an error.
 */
static int mp_check_room(struct mddev *mddev, const struct md_rdev *rdev)
{
	if (!mp_has_sectors(rdev, mddev->dev_sectors)) {
		pr_warn("md/multipath:%s: %pg has %llu sectors, but data needs %llu sectors from sector %llu on: not a path to the array's disk\n",
			mdname(mddev), rdev->bdev, bdev_nr_sectors(rdev->bdev),
			mddev->dev_sectors, rdev->data_offset);
		return -ENOSPC;
	}
	if (mp_covers_superblock(mddev, rdev, mddev->dev_sectors)) {
		pr_warn("md/multipath:%s: %pg has its superblock at sector %llu, but data needs %llu sectors from sector %llu on: not used\n",
			mdname(mddev), rdev->bdev, rdev->sb_start, mddev->dev_sectors,
			rdev->data_offset);
		return -EINVAL;
	}
	return 0;
}

/* Whether the device is as the other paths are.  Logs the reason for an error. */
static int mp_compare_paths(struct mddev *mddev, const struct md_rdev *rdev)
{
	sector_t size = bdev_nr_sectors(rdev->bdev), other_size;
	unsigned int block = bdev_logical_block_size(rdev->bdev);
	const struct md_rdev *other = mp_other_path(mddev, rdev);

	if (!other)
		return 0;
	other_size = mp_path_sectors(mddev, other);
	if (other_size && size != other_size) {
		pr_warn("md/multipath:%s: %pg has %llu sectors but %pg has %llu: not paths to the same disk\n",
			mdname(mddev), rdev->bdev, size, other->bdev, other_size);
		return -EINVAL;
	}
	if (rdev->data_offset != other->data_offset) {
		pr_warn("md/multipath:%s: data starts at sector %llu on %pg but at sector %llu on %pg: not paths to the same disk\n",
			mdname(mddev), rdev->data_offset, rdev->bdev,
			other->data_offset, other->bdev);
		return -EINVAL;
	}
	if (block != bdev_logical_block_size(other->bdev)) {
		pr_warn("md/multipath:%s: %pg has %u-byte blocks but %pg has %u-byte blocks: not paths to the same disk\n",
			mdname(mddev), rdev->bdev, block, other->bdev,
			bdev_logical_block_size(other->bdev));
		return -EINVAL;
	}
	return 0;
}

int mp_check_path(struct mddev *mddev, struct md_rdev *rdev)
{
	unsigned int block = bdev_logical_block_size(rdev->bdev);
	int err;

	if (test_bit(Journal, &rdev->flags) || test_bit(Replacement, &rdev->flags)) {
		pr_warn("md/multipath:%s: %pg is a journal or replacement device: not supported\n",
			mdname(mddev), rdev->bdev);
		return -EINVAL;
	}
	if (bdev_is_zoned(rdev->bdev)) {
		pr_warn("md/multipath:%s: %pg is a zoned device: not supported\n",
			mdname(mddev), rdev->bdev);
		return -EINVAL;
	}
	if (block > PAGE_SIZE) {
		pr_warn("md/multipath:%s: %pg has %u-byte blocks, larger than a page: not supported\n",
			mdname(mddev), rdev->bdev, block);
		return -EINVAL;
	}
	err = mp_check_room(mddev, rdev);
	if (err)
		return err;
	return mp_compare_paths(mddev, rdev);
}

static void mp_make_spare(struct md_rdev *rdev)
{
	rdev->raid_disk = -1;
	clear_bit(In_sync, &rdev->flags);
}

/* Give @slot to a spare, if there is one. */
static void mp_fill_from_spares(struct mddev *mddev, int slot)
{
	const unsigned long unfit = BIT(Faulty) | BIT(Journal) | BIT(Replacement);
	struct md_rdev *rdev;

	rdev_for_each(rdev, mddev) {
		if (rdev->raid_disk >= 0 || READ_ONCE(rdev->flags) & unfit || mp_is_gone(rdev))
			continue;
		rdev->raid_disk = slot;
		return;
	}
}

void mp_leave_out(struct mddev *mddev, struct md_rdev *rdev)
{
	int slot = rdev->raid_disk;

	mp_make_spare(rdev);
	/* md core then writes no superblock to it. */
	set_bit(Faulty, &rdev->flags);
	if (slot >= 0)
		mp_fill_from_spares(mddev, slot);
}

void mp_leave_out_devices(struct mddev *mddev)
{
	struct md_rdev *rdev;

	/* 6.1 numbers all devices that it finds: these are spares. */
	rdev_for_each(rdev, mddev)
		if (rdev->raid_disk >= mddev->raid_disks)
			mp_make_spare(rdev);

	rdev_for_each(rdev, mddev) {
		if (rdev->raid_disk < 0 || test_bit(Faulty, &rdev->flags) || !mp_is_gone(rdev))
			continue;
		pr_warn("md/multipath:%s: %pg is gone: array started without it\n",
			mdname(mddev), rdev->bdev);
		mp_leave_out(mddev, rdev);
	}
}

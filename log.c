// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lines in the kernel log about paths that come and go
 *
 * A controller that fails takes all its paths with it, and a bad cable can make a path fail
 * many times a minute.  So these lines are not printed at once, but put into a short list:
 *
 *   event --> same as one in the list, of another path: "path sda and 7 more failed"
 *	 `-> another line, if the budget allows it --log_work, after MP_LOG_SOON--> kernel log
 *	 `-> otherwise counted --log_work, when it is quiet--> "path events not logged: 34"
 *
 * The budget is MP_LOG_BURST lines, and each MP_LOG_REFILL adds one, so an array logs ten
 * lines a minute on average, however many paths it has.  The last of them are for events of
 * the array: that no path works, that its I/O fails, that it works again, and that it uses a
 * flapping path.  Once an event was only counted, the events of paths after it are too, until
 * a line has said how many there were.  It comes after MP_LOG_QUIET without such an event, at
 * the latest after MP_LOG_SILENCE.  The counters in sysfs and the trace events are always
 * exact.
 *
 * A controller can be one of hundreds of arrays.  So lines about paths have a second budget, of
 * all arrays together: MP_LOG_ALL_BURST, and each MP_LOG_ALL_REFILL one more.  What it does not
 * allow is counted, until a line says how many there were, in the same way.
 *
 * A line says how many paths are in use when it is printed.  Lines are printed in the order
 * of their events.
 *
 * Other messages need no limit, because each is logged once until its cause has changed, or
 * once per command of the administrator.
 */

#include <linux/bitops.h>
#include <linux/blkdev.h>
#include "md.h"
#include "multipath.h"

#define MP_LOG_BURST		10
#define MP_LOG_REFILL		(6 * HZ)

/* The same for the lines about paths of all arrays together. */
#define MP_LOG_ALL_BURST	20
#define MP_LOG_ALL_REFILL	(2 * HZ)

/* What the lines about paths leave of the budget, and what those that only explain leave. */
#define MP_LOG_FOR_ARRAY	3
#define MP_LOG_FOR_PATHS	6

/*
 * How long a line waits for other paths with the same event.  Nothing else waits for it.  ALUA
 * states are queried once a second.
 */
#define MP_LOG_SOON		(HZ / 20)
#define MP_LOG_LATER		HZ

/* When the number of events that were not logged is logged. */
#define MP_LOG_QUIET		(10 * HZ)
#define MP_LOG_SILENCE		(60 * HZ)

/* Room for "sda and 63 more", and for more digits than the compiler can rule out. */
#define MP_LOG_WHO		(BDEVNAME_SIZE + sizeof(" and 4294967295 more"))

static void mp_log_all_work(struct work_struct *work);

/* The budget of all arrays; lines are counted.  Protected by mp_log_lock. */
static struct mp_log_budget mp_log_all = {
	.work		= __DELAYED_WORK_INITIALIZER(mp_log_all.work, mp_log_all_work, 0),
	.lines		= MP_LOG_ALL_BURST,
	.refilled_at	= INITIAL_JIFFIES,
};

static DEFINE_SPINLOCK(mp_log_lock);

static bool mp_is_about_array(enum mp_event event)
{
	return event == MP_LOG_NO_PATH || event == MP_LOG_GIVEN_UP || event == MP_LOG_WORKS;
}

/* Whether the line only explains one that follows, or one that it follows. */
static bool mp_is_explanation(enum mp_event event)
{
	return event == MP_LOG_FLAPPING || event == MP_LOG_ABORTING;
}

/* Whether several paths with this event share a line although their numbers differ. */
static bool mp_is_about_time(enum mp_event event)
{
	return event == MP_LOG_STALLED || event == MP_LOG_ABORTING;
}

static unsigned long mp_log_delay(enum mp_event event)
{
	if (mp_is_about_array(event))
		return 0;
	return event == MP_LOG_ACCESS ? MP_LOG_LATER : MP_LOG_SOON;
}

/* These three need the lock of the budget. */

/* Up to @burst lines, and one more each @refill jiffies. */
static void __mp_refill(struct mp_log_budget *budget, int burst, unsigned long refill)
{
	unsigned long lines = (jiffies - budget->refilled_at) / refill;

	budget->refilled_at += lines * refill;
	budget->lines = min_t(long, budget->lines + min_t(long, lines, burst + 1), burst);
}

static void __mp_miss(struct mp_log_budget *budget)
{
	budget->missed_at = jiffies;
	if (budget->missed++)
		return;
	budget->missed_since = jiffies;
	/* If the work is planned already, it plans itself again. */
	queue_delayed_work(system_long_wq, &budget->work, MP_LOG_QUIET);
}

/* How much to report as not logged; 0: nothing, or later. */
static unsigned int __mp_take_missed(struct mp_log_budget *budget, bool now)
{
	unsigned int missed = budget->missed;
	unsigned long due = mp_earlier(budget->missed_at + MP_LOG_QUIET,
				       budget->missed_since + MP_LOG_SILENCE);

	if (missed && !now && time_before(jiffies, due)) {
		queue_delayed_work(system_long_wq, &budget->work, due - jiffies);
		return 0;
	}
	budget->missed = 0;
	return missed;
}

/*
 * Whether the budget has a line for this event.  Once events were missed, a new line about paths
 * has to wait until their number is logged.
 */
static bool __mp_may_log(struct mp_log *log, enum mp_event event)
{
	const struct mp_log_budget *budget = &log->budget;

	__mp_refill(&log->budget, MP_LOG_BURST, MP_LOG_REFILL);
	if (log->nr_lines == ARRAY_SIZE(log->lines))
		return false;
	/* A held path is reinstated only when no other one works, which concerns the array. */
	if (mp_is_about_array(event) || event == MP_LOG_REINSTATED_HELD)
		return budget->lines > 0;
	if (budget->missed)
		return false;
	return budget->lines > (mp_is_explanation(event) ? MP_LOG_FOR_PATHS : MP_LOG_FOR_ARRAY);
}

/*
 * The line in the list that this event of this path can share.  Not one before another line
 * about this path or the array, because their order would change.
 */
static struct mp_log_line *__mp_find_line(struct mp_log *log, u64 slot, enum mp_event event,
					  unsigned int number)
{
	unsigned int i;

	for (i = log->nr_lines; slot && i--;) {
		struct mp_log_line *line = &log->lines[i];

		if (line->event == event && (line->number == number || mp_is_about_time(event)))
			return line;
		if (line->slots & slot || mp_is_about_array(line->event))
			break;
	}
	return NULL;
}

static struct mp_log_line *__mp_add_line(struct mp_log *log, const struct mp_path *path,
					 enum mp_event event, unsigned int number)
{
	struct mp_log_line *line = &log->lines[log->nr_lines];
	unsigned long delay = mp_log_delay(event);

	log->budget.lines--;
	line->event = event;
	line->number = number;
	line->slots = 0;
	if (path)
		snprintf(line->name, sizeof(line->name), "%pg", mp_rdev(path)->bdev);
	/* The work may be planned for later. */
	if (!log->nr_lines || time_before(jiffies + delay, log->due)) {
		log->due = jiffies + delay;
		mod_delayed_work(system_long_wq, &log->budget.work, delay);
	}
	log->nr_lines++;
	return line;
}

void __mp_log(struct mp_conf *conf, const struct mp_path *path, enum mp_event event,
	      unsigned int number)
{
	u64 slot = path ? BIT_ULL(path->slot) : 0;
	struct mp_log *log = &conf->log;
	struct mp_log_line *line;

	lockdep_assert_held(&conf->lock);

	/* The path may have been removed before the caller took the lock. */
	if (path && !mp_rdev(path))
		return;
	line = __mp_find_line(log, slot, event, number);
	if (!line && __mp_may_log(log, event))
		line = __mp_add_line(log, path, event, number);
	if (line)
		line->slots |= slot;
	else if (!mp_is_explanation(event))
		__mp_miss(&log->budget);
}

void mp_log(struct mp_conf *conf, const struct mp_path *path, enum mp_event event,
	    unsigned int number)
{
	unsigned long flags;

	spin_lock_irqsave(&conf->lock, flags);
	__mp_log(conf, path, event, number);
	spin_unlock_irqrestore(&conf->lock, flags);
}

static const char *mp_access_name(unsigned int demerits)
{
	if (demerits & BIT(MP_INACTIVE))
		return "standby, unavailable, offline or transitioning";
	return demerits & BIT(MP_NON_OPTIMISED) ? "active/non-optimized or lba-dependent" :
						 "active/optimized";
}

static void mp_print_array_line(const struct mp_conf *conf, const struct mp_log_line *line)
{
	const char *md = mdname(conf->mddev);

	if (line->event == MP_LOG_NO_PATH)
		pr_crit("md/multipath:%s: no path works; I/O is queued (no_path_retry: %d s)\n",
			md, READ_ONCE(conf->no_path_retry));
	else if (line->event == MP_LOG_GIVEN_UP)
		pr_crit("md/multipath:%s: no path for %u s: failing I/O until a path works\n",
			md, line->number);
	else
		pr_info("md/multipath:%s: path %s works again; I/O resumes\n", md, line->name);
}

/* How paths come and go. */
static void mp_print_path_line(const struct mp_conf *conf, const struct mp_log_line *line,
			       const char *who)
{
	unsigned int live = READ_ONCE(conf->nr_live), nr = READ_ONCE(conf->nr_paths);
	const char *md = mdname(conf->mddev);

	if (line->event == MP_LOG_FAILED && !live)
		pr_crit("md/multipath:%s: path %s failed; no other path is left\n", md, who);
	else if (line->event == MP_LOG_FAILED)
		pr_crit("md/multipath:%s: path %s failed; I/O continues on %u of %u paths\n",
			md, who, live, nr);
	else if (line->event == MP_LOG_REINSTATED_HELD)
		pr_warn("md/multipath:%s: path %s reinstated although it is flapping: no other path works\n",
			md, who);
	else
		pr_info("md/multipath:%s: path %s %s; %u of %u paths in use\n", md, who,
			line->event == MP_LOG_ADDED ? "added" : "reinstated", live, nr);
}

/* The condition of paths. */
static void mp_print_condition_line(const struct mp_conf *conf, const struct mp_log_line *line,
				    const char *who, bool several)
{
	const char *md = mdname(conf->mddev);
	const char *have = several ? "have" : "has";

	switch (line->event) {
	case MP_LOG_FLAPPING:
		pr_warn("md/multipath:%s: path %s %s flapping: not reinstated for %u s while another path works\n",
			md, who, several ? "are" : "is", line->number);
		break;
	case MP_LOG_STALLED:
		pr_warn("md/multipath:%s: path %s %s not responded for %u ms: new I/O avoids %s while another path is live\n",
			md, who, have, line->number, several ? "them" : "it");
		break;
	case MP_LOG_ABORTING:
		pr_warn("md/multipath:%s: path %s %s not responded for %u ms: aborting %s I/O\n",
			md, who, have, line->number, several ? "their" : "its");
		break;
	case MP_LOG_RESPONDS:
		pr_info("md/multipath:%s: path %s %s again\n",
			md, who, several ? "respond" : "responds");
		break;
	case MP_LOG_REFUSED:
		pr_warn("md/multipath:%s: path %s %s, but could not write the superblock: %s in use, and the superblock may be out of date\n",
			md, who, several ? "work" : "works", several ? "they stay" : "it stays");
		break;
	case MP_LOG_ACCESS:
		pr_info("md/multipath:%s: path %s: target port is in ALUA state %s\n",
			md, who, mp_access_name(line->number));
		break;
	default:
		pr_crit("md/multipath:%s: %s is the last live path: it stays in use\n", md, who);
	}
}

static void mp_print_line(const struct mp_conf *conf, const struct mp_log_line *line)
{
	unsigned int paths = hweight64(line->slots);
	char who[MP_LOG_WHO];

	if (paths > 1)
		snprintf(who, sizeof(who), "%s and %u more", line->name, paths - 1);
	else
		strscpy(who, line->name, sizeof(who));

	if (mp_is_about_array(line->event))
		mp_print_array_line(conf, line);
	else if (line->event <= MP_LOG_REINSTATED_HELD)
		mp_print_path_line(conf, line, who);
	else
		mp_print_condition_line(conf, line, who, paths > 1);
}

/* Whether the budget of all arrays has a line; if not, count the line. */
static bool mp_may_print(void)
{
	bool may;

	spin_lock_irq(&mp_log_lock);
	__mp_refill(&mp_log_all, MP_LOG_ALL_BURST, MP_LOG_ALL_REFILL);
	may = mp_log_all.lines > 0 && !mp_log_all.missed;
	if (may)
		mp_log_all.lines--;
	else
		__mp_miss(&mp_log_all);
	spin_unlock_irq(&mp_log_lock);
	return may;
}

static void mp_print_missed_lines(bool now)
{
	unsigned int missed;

	spin_lock_irq(&mp_log_lock);
	missed = __mp_take_missed(&mp_log_all, now);
	spin_unlock_irq(&mp_log_lock);
	if (missed)
		pr_warn("md/multipath: lines about paths not logged: %u; /proc/mdstat shows the paths of all arrays\n",
			missed);
}

static void mp_log_all_work(struct work_struct *work)
{
	mp_print_missed_lines(false);
}

static bool mp_take_line(struct mp_conf *conf, struct mp_log_line *line)
{
	struct mp_log *log = &conf->log;
	bool taken;

	spin_lock_irq(&conf->lock);
	taken = log->nr_lines;
	if (taken) {
		*line = log->lines[0];
		log->nr_lines--;
		memmove(&log->lines[0], &log->lines[1], log->nr_lines * sizeof(*line));
	}
	spin_unlock_irq(&conf->lock);
	return taken;
}

/* How many events of this array to report as not logged; the line counts. */
static unsigned int mp_take_missed(struct mp_conf *conf, bool now)
{
	struct mp_log_budget *budget = &conf->log.budget;
	unsigned int missed;

	spin_lock_irq(&conf->lock);
	missed = __mp_take_missed(budget, now);
	if (missed) {
		__mp_refill(budget, MP_LOG_BURST, MP_LOG_REFILL);
		budget->lines--;
	}
	spin_unlock_irq(&conf->lock);
	return missed;
}

static void mp_write_log(struct mp_conf *conf, bool now)
{
	struct mp_log_line line;
	unsigned int missed;
	enum mp_state state;

	while (mp_take_line(conf, &line))
		if (mp_is_about_array(line.event) || mp_may_print())
			mp_print_line(conf, &line);

	missed = mp_take_missed(conf, now);
	if (!missed || !mp_may_print())
		return;
	state = READ_ONCE(conf->state);
	if (state == MP_QUEUEING || state == MP_GIVEN_UP)
		pr_crit("md/multipath:%s: path events not logged: %u; no path works\n",
			mdname(conf->mddev), missed);
	else
		pr_warn("md/multipath:%s: path events not logged: %u; %u of %u paths in use\n",
			mdname(conf->mddev), missed, READ_ONCE(conf->nr_live),
			READ_ONCE(conf->nr_paths));
}

static void mp_log_work(struct work_struct *work)
{
	mp_write_log(container_of(work, struct mp_conf, log.budget.work.work), false);
}

void mp_init_log(struct mp_conf *conf)
{
	struct mp_log_budget *budget = &conf->log.budget;

	INIT_DELAYED_WORK(&budget->work, mp_log_work);
	budget->lines = MP_LOG_BURST;
	budget->refilled_at = jiffies;
}

void mp_end_log(struct mp_conf *conf)
{
	cancel_delayed_work_sync(&conf->log.budget.work);
	mp_write_log(conf, true);
}

void mp_end_log_of_all(void)
{
	cancel_delayed_work_sync(&mp_log_all.work);
	mp_print_missed_lines(true);
}

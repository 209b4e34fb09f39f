/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace events for the states of paths and for retried bios.  Each redirection of
 * a bio is also a block_bio_remap event.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM md_multipath

#if !defined(_MULTIPATH_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _MULTIPATH_TRACE_H

#include <linux/blkdev.h>
#include <linux/tracepoint.h>
#include "multipath.h"

/* enum mp_reason, which user space knows by number otherwise. */
TRACE_DEFINE_ENUM(MP_IO_ERROR);
TRACE_DEFINE_ENUM(MP_FAILED_OVER);
TRACE_DEFINE_ENUM(MP_PROBE_ERROR);
TRACE_DEFINE_ENUM(MP_SUPERBLOCK_ERROR);
TRACE_DEFINE_ENUM(MP_GONE);
TRACE_DEFINE_ENUM(MP_TIMEOUT);
TRACE_DEFINE_ENUM(MP_WRONG_DISK);
TRACE_DEFINE_ENUM(MP_BY_ADMIN);

#define show_reason(reason)				\
	__print_symbolic(reason,			\
		{ MP_IO_ERROR,		"io-error" },	\
		{ MP_FAILED_OVER,	"failed-over" }, \
		{ MP_PROBE_ERROR,	"probe" },	\
		{ MP_SUPERBLOCK_ERROR,	"superblock" },	\
		{ MP_GONE,		"gone" },	\
		{ MP_TIMEOUT,		"timeout" },	\
		{ MP_WRONG_DISK,	"wrong-disk" },	\
		{ MP_BY_ADMIN,		"user" })

TRACE_EVENT(path_failed,

	TP_PROTO(dev_t array, dev_t path, unsigned int reason, int error, unsigned int live),

	TP_ARGS(array, path, reason, error, live),

	TP_STRUCT__entry(
		__field(dev_t, array)
		__field(dev_t, path)
		__field(unsigned int, reason)
		__field(int, error)
		__field(unsigned int, live)
	),

	TP_fast_assign(
		__entry->array = array;
		__entry->path = path;
		__entry->reason = reason;
		__entry->error = error;
		__entry->live = live;
	),

	TP_printk("%d,%d path %d,%d reason %s error %d live %u",
		  MAJOR(__entry->array), MINOR(__entry->array),
		  MAJOR(__entry->path), MINOR(__entry->path),
		  show_reason(__entry->reason), __entry->error, __entry->live)
);

TRACE_EVENT(path_reinstated,

	TP_PROTO(dev_t array, dev_t path, unsigned int away, unsigned int live),

	TP_ARGS(array, path, away, live),

	TP_STRUCT__entry(
		__field(dev_t, array)
		__field(dev_t, path)
		__field(unsigned int, away)
		__field(unsigned int, live)
	),

	TP_fast_assign(
		__entry->array = array;
		__entry->path = path;
		__entry->away = away;
		__entry->live = live;
	),

	TP_printk("%d,%d path %d,%d away %u ms live %u",
		  MAJOR(__entry->array), MINOR(__entry->array),
		  MAJOR(__entry->path), MINOR(__entry->path),
		  __entry->away, __entry->live)
);

TRACE_EVENT(path_stalled,

	TP_PROTO(dev_t array, dev_t path, unsigned int waited),

	TP_ARGS(array, path, waited),

	TP_STRUCT__entry(
		__field(dev_t, array)
		__field(dev_t, path)
		__field(unsigned int, waited)
	),

	TP_fast_assign(
		__entry->array = array;
		__entry->path = path;
		__entry->waited = waited;
	),

	TP_printk("%d,%d path %d,%d waited %u ms",
		  MAJOR(__entry->array), MINOR(__entry->array),
		  MAJOR(__entry->path), MINOR(__entry->path), __entry->waited)
);

TRACE_EVENT(bio_retry,

	TP_PROTO(dev_t array, dev_t path, sector_t sector, unsigned int sectors, int error),

	TP_ARGS(array, path, sector, sectors, error),

	TP_STRUCT__entry(
		__field(dev_t, array)
		__field(dev_t, path)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
		__field(int, error)
	),

	TP_fast_assign(
		__entry->array = array;
		__entry->path = path;
		__entry->sector = sector;
		__entry->sectors = sectors;
		__entry->error = error;
	),

	TP_printk("%d,%d path %d,%d %llu + %u error %d",
		  MAJOR(__entry->array), MINOR(__entry->array),
		  MAJOR(__entry->path), MINOR(__entry->path),
		  (unsigned long long)__entry->sector, __entry->sectors, __entry->error)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>

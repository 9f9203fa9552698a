/* Times as text, and intervals as configurations write them. */
#ifndef BASE_TIMEFMT_H
#define BASE_TIMEFMT_H

#include "base/str.h"
#include <time.h>

/* "2026-01-31 23:59:59", with ".mmm" and " +0100" if asked for; utc selects UTC for local time. */
struct str time_log(struct pool *pool, struct timespec ts, bool millis, bool zone, bool utc);

/* RFC 5322 3.3 date, "Sat, 31 Jan 2026 23:59:59 +0100". */
struct str time_rfc5322(struct pool *pool, time_t t, bool utc);

/* strftime into the pool; utc selects UTC for local time. */
struct str time_strftime(struct pool *pool, const char *fmt, time_t t, bool utc);

/* Seconds of an interval such as 1w2d3h4m5s; -1 if it is not one. */
int64_t time_interval(struct str s);

/* An interval as configurations write it, 90061 -> "1d1h1m1s"; 0 -> "0s". */
struct str time_interval_text(struct pool *pool, int64_t seconds);

/* Seconds (with fraction) between two instants as log lines write them: "3s", "0.123s" with millis. */
struct str time_used(struct pool *pool, struct timespec from, struct timespec to, bool millis);

/* The wall clock now, and a clock that never jumps (milliseconds), for deadlines. */
struct timespec time_now(void);
int64_t time_monotonic_ms(void);

#endif

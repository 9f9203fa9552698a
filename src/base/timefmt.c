/*
 * Times as text (timefmt.h). Local time is that of the TZ environment variable, which the
 * configuration's `timezone` sets once at start. Results live in the pool; the only failure is an
 * interval that is not one (-1).
 */
#include "base/base.h"

#include <stdio.h>

static void broken_down(time_t t, bool utc, struct tm *tm)
{
    if (utc) {
        gmtime_r(&t, tm);
    } else {
        localtime_r(&t, tm);
    }
}

struct str time_strftime(struct pool *pool, const char *fmt, time_t t, bool utc)
{
    struct tm tm;
    char text[256];
    broken_down(t, utc, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t n = strftime(text, sizeof text, fmt, &tm);
#pragma GCC diagnostic pop
    return str_dup(pool, str_n(text, n));
}

struct str time_log(struct pool *pool, struct timespec ts, bool millis, bool zone, bool utc)
{
    struct str date = time_strftime(pool, "%Y-%m-%d %H:%M:%S", ts.tv_sec, utc);
    struct str fraction = STR(""), offset = STR("");
    if (millis) {
        fraction = str_fmt(pool, ".%03ld", ts.tv_nsec / 1000000);
    }
    if (zone) {
        offset = time_strftime(pool, " %z", ts.tv_sec, utc);
    }
    return STR_CAT(pool, date, fraction, offset);
}

struct str time_rfc5322(struct pool *pool, time_t t, bool utc)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    char text[64];
    broken_down(t, utc, &tm);
    long off = tm.tm_gmtoff / 60, abs_off = off < 0 ? -off : off;
    int n = snprintf(text, sizeof text, "%s, %02d %s %d %02d:%02d:%02d %c%02ld%02ld",
                     days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
                     tm.tm_min, tm.tm_sec, off < 0 ? '-' : '+', abs_off / 60, abs_off % 60);
    return str_dup(pool, str_n(text, (size_t)n));
}

static const struct {
    char letter;
    int64_t seconds;
} units[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

int64_t time_interval(struct str s)
{
    int64_t total = 0;
    if (str_empty(s)) {
        return -1;
    }
    while (s.len) {
        uint32_t n = 0;
        uint64_t value;
        while (n < s.len && s.p[n] >= '0' && s.p[n] <= '9') {
            n++;
        }
        if (n == s.len || !str_to_u64(str_sub(s, 0, n), 10, &value) || value > INT32_MAX) {
            return -1;
        }
        char letter = s.p[n];
        size_t u = 0;
        while (u < ARRAY_LEN(units) && units[u].letter != letter) {
            u++;
        }
        if (u == ARRAY_LEN(units)) {
            return -1;
        }
        total += (int64_t)value * units[u].seconds;
        s = str_from(s, n + 1);
    }
    return total;
}

struct str time_interval_text(struct pool *pool, int64_t seconds)
{
    struct buf b;
    buf_init(&b, pool, 64);
    if (seconds < 0) {
        buf_addc(&b, '-');
        seconds = -seconds;
    }
    if (seconds == 0) {
        buf_addz(&b, "0s");
    }
    for (size_t u = 0; u < ARRAY_LEN(units); u++) {
        if (seconds >= units[u].seconds) {
            buf_addf(&b, "%lld%c", (long long)(seconds / units[u].seconds), units[u].letter);
            seconds %= units[u].seconds;
        }
    }
    b.tainted = false;
    return buf_str(&b);
}

struct str time_used(struct pool *pool, struct timespec from, struct timespec to, bool millis)
{
    int64_t ms = (to.tv_sec - from.tv_sec) * INT64_C(1000) + (to.tv_nsec - from.tv_nsec) / 1000000;
    if (ms < 0) {
        ms = 0;
    }
    if (!millis) {
        return time_interval_text(pool, ms / 1000);
    }
    if (ms >= 60000) {
        struct str whole = time_interval_text(pool, ms / 1000);
        return str_fmt(pool, "%.*s.%03lds", (int)whole.len - 1, whole.p, (long)(ms % 1000));
    }
    return str_fmt(pool, "%ld.%03lds", (long)(ms / 1000), (long)(ms % 1000));
}

struct timespec time_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts;
}

int64_t time_monotonic_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

/*
 * Message ids: seconds, process and sub-second part in base 62. The form is that of Exim 4.97 and
 * later (6-11-4), or with message_id_compat = 4.96 the older one (6-6-2). Ids sort by time.
 *
 * State of the process: the last instant used, so that no id is given twice.
 */
#include "mail/mail.h"

#include <unistd.h>

enum { LONG_LEN = 23, SHORT_LEN = 16 };

static struct {
    int64_t last_unit;
} state;

static bool form_ok(struct str s, size_t pid, size_t fraction)
{
    size_t len = 6 + 1 + pid + 1 + fraction;
    uint64_t n;
    return s.len == len && s.p[6] == '-' && s.p[7 + pid] == '-' &&
           base62_get(str_sub(s, 0, 6), &n) && base62_get(str_sub(s, 7, pid), &n) &&
           base62_get(str_from(s, 8 + pid), &n);
}

bool message_id_valid(struct str s)
{
    return form_ok(s, 11, 4) || form_ok(s, 6, 2);
}

/* The host's number makes ids unique among hosts that share a name; it takes its part of the
 * fraction's range. */
static uint64_t fraction(const struct core_settings *s, int64_t unit, int64_t per_second)
{
    uint64_t part = (uint64_t)(unit % per_second);
    return s->localhost_number > 0 ? (uint64_t)s->localhost_number * (uint64_t)per_second + part
                                   : part;
}

struct str message_id_new(struct pool *pool, const struct config *conf, struct timespec *when)
{
    const struct core_settings *s = core_settings(conf);
    bool compat = str_is(s->message_id_compat, "4.96");
    int64_t per_second = !compat ? 1000000 : s->localhost_number > 0 ? 200 : 2000;
    int64_t unit = when->tv_sec * per_second + when->tv_nsec / (1000000000 / per_second);
    if (unit <= state.last_unit) {
        unit = state.last_unit + 1;
    }
    state.last_unit = unit;
    size_t pid_width = compat ? 6 : 11, len = compat ? SHORT_LEN : LONG_LEN;
    char *id = pool_alloc(pool, len + 1);
    base62_put(id, 6, (uint64_t)(unit / per_second));
    id[6] = '-';
    base62_put(id + 7, pid_width, (uint64_t)getpid());
    id[7 + pid_width] = '-';
    base62_put(id + 8 + pid_width, compat ? 2 : 4, fraction(s, unit, per_second));
    id[len] = '\0';
    return str_n(id, len);
}

time_t message_id_time(struct str id)
{
    uint64_t t;
    return base62_get(str_sub(id, 0, 6), &t) ? (time_t)t : 0;
}

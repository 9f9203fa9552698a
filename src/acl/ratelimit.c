/*
 * The `ratelimit` condition: how fast a client (or whatever the key stands for) sends, as an
 * average that forgets with time constant p.
 *
 * The rate after an interval i since the last event of size n is
 *     rate * e^(-i/p) + n * (1 - e^(-i/p)) * p / i,
 * which for regular events is their number per period and for a burst counts each one. Records live
 * in the hints database "ratelimit"; without it nothing is limited. A record is the time and the
 * rate, followed, with unique=, by the hashes of the events seen in the period.
 */
#include "acl/internal.h"

#include <math.h>

enum mode { MODE_UNSET, MODE_LEAKY, MODE_STRICT, MODE_READONLY };
enum per { PER_UNSET, PER_MAIL, PER_CONN, PER_BYTE, PER_CMD, PER_RCPT, PER_ADDR };

struct limit {
    struct str text_limit, text_period, key, unique, error;
    double limit, count;
    int64_t period;
    enum mode mode;
    enum per per;
    bool count_set, limit_wrong;
};

/* As it is stored; hashes follow. */
struct record {
    double when, rate;
    double epoch; /* since when the hashes are collected */
};

struct update {
    const struct limit *l;
    double now, rate;
    bool over, wrote;
    bool found; /* there was a record */
};

static const struct {
    const char *name;
    enum per per;
    unsigned allowed; /* phases in which it may update */
} pers[] = {
    {"per_conn", PER_CONN, ACL_ALL & ~(unsigned)(ACL_NOTSMTP | ACL_NOTSMTP_START)},
    {"per_mail", PER_MAIL,
     ACL_MAIL | ACL_RCPT | ACL_PREDATA | ACL_MIME | ACL_DATA | ACL_NOTSMTP | ACL_DKIM | ACL_PRDR},
    {"per_byte", PER_BYTE,
     ACL_MAIL | ACL_RCPT | ACL_PREDATA | ACL_MIME | ACL_DATA | ACL_NOTSMTP | ACL_DKIM | ACL_PRDR},
    {"per_rcpt", PER_RCPT,
     ACL_RCPT | ACL_PREDATA | ACL_MIME | ACL_DATA | ACL_DKIM | ACL_PRDR | ACL_NOTSMTP},
    {"per_addr", PER_ADDR, ACL_RCPT},
    {"per_cmd", PER_CMD, ACL_ALL},
};

/* ---- parsing ---- */

static bool wrong(struct pool *pool, struct limit *l, const char *what, struct str text)
{
    l->error = str_fmt(pool, "error in arguments to \"ratelimit\" condition: %s%s%.*s%s", what,
                       str_unset(text) ? "" : " (", STR_ARG(text), str_unset(text) ? "" : ")");
    return false;
}

static bool parse_number(struct str s, double *out)
{
    char buf[64], *end;
    if (s.len == 0 || s.len >= sizeof buf) {
        return false;
    }
    memcpy(buf, s.p, s.len);
    buf[s.len] = '\0';
    *out = strtod(buf, &end);
    switch (*end) {
    case 'K':
    case 'k': *out *= 1024; break;
    case 'M':
    case 'm': *out *= 1024.0 * 1024; break;
    case 'G':
    case 'g': *out *= 1024.0 * 1024 * 1024; break;
    case '\0': return end != buf && *out >= 0;
    default: return false;
    }
    return end[1] == '\0' && end != buf && *out >= 0;
}

static bool set_mode(struct pool *pool, struct limit *l, enum mode m)
{
    if (l->mode != MODE_UNSET) {
        return wrong(pool, l, "conflicting options for ratelimit update mode", STR_NONE);
    }
    l->mode = m;
    return true;
}

/* One option; *known is false for what must be the key. */
static bool parse_option(struct pool *pool, struct limit *l, struct str opt, bool *known)
{
    *known = true;
    for (size_t i = 0; i < ARRAY_LEN(pers); i++) {
        if (str_isi(opt, pers[i].name)) {
            if (l->per != PER_UNSET) {
                return wrong(pool, l, "conflicting options for ratelimit per_*", STR_NONE);
            }
            l->per = pers[i].per;
            return true;
        }
    }
    if (str_isi(opt, "strict")) {
        return set_mode(pool, l, MODE_STRICT);
    }
    if (str_isi(opt, "leaky")) {
        return set_mode(pool, l, MODE_LEAKY);
    }
    if (str_isi(opt, "readonly") || str_isi(opt, "noupdate")) {
        return set_mode(pool, l, MODE_READONLY);
    }
    if (str_startsi(opt, "count=")) {
        l->count_set = parse_number(str_from(opt, 6), &l->count);
        return l->count_set
                   ? true
                   : wrong(pool, l, "\"count\" option has invalid value", str_from(opt, 6));
    }
    if (str_startsi(opt, "unique=")) {
        l->unique = str_from(opt, 7);
        return true;
    }
    *known = false;
    return true;
}

static bool parse(struct pool *pool, struct str arg, struct limit *l)
{
    struct str rest = arg, opt;
    *l = (struct limit){.count = 1, .key = STR_NONE, .unique = STR_NONE};
    if (!str_next(&rest, '/', &opt) || !parse_number(str_trim(opt), &l->limit)) {
        return wrong(pool, l,
                     str_fmt(pool, "\"%.*s\" is not a positive number", STR_ARG(str_trim(opt))).p,
                     STR_NONE);
    }
    l->text_limit = str_trim(opt);
    if (!str_next(&rest, '/', &opt) || (l->period = time_interval(str_trim(opt))) <= 0) {
        return wrong(pool, l, "sender rate period not set, or not a time", STR_NONE);
    }
    l->text_period = str_trim(opt);
    while (!str_empty(rest)) {
        struct str whole = rest;
        bool known;
        str_next(&rest, '/', &opt);
        if (!parse_option(pool, l, str_trim(opt), &known)) {
            return false;
        }
        if (!known) {
            /* All else is the key, which may hold slashes between what are no options. */
            l->key =
                str_unset(l->key) ? str_trim(opt) : STR_CAT(pool, l->key, STR("/"), str_trim(opt));
        }
        (void)whole;
    }
    return true;
}

bool acl_ratelimit_check(struct opt_reader *r, struct str text)
{
    struct limit l;
    return parse(r->pool, text, &l) ? true : opt_error(r, "%.*s", STR_ARG(l.error));
}

/* ---- the database ---- */

static uint64_t hash(struct str s)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (uint32_t i = 0; i < s.len; i++) {
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    }
    return h;
}

static double new_rate(const struct limit *l, const struct record *old, double now, double count)
{
    double interval = now - old->when;
    if (interval < 1e-3) {
        interval = 1e-3; /* a burst: no division by zero, and what a burst counts stays finite */
    }
    double i_over_p = interval / (double)l->period;
    double a = exp(-i_over_p);
    return (1 - a) * count / i_over_p + a * old->rate;
}

static bool seen_before(const struct limit *l, struct str old, const struct record *rec, double now)
{
    if (now - rec->epoch > (double)l->period) {
        return false;
    }
    uint64_t h = hash(l->unique), got;
    for (size_t at = sizeof *rec; at + sizeof got <= old.len; at += sizeof got) {
        memcpy(&got, old.p + at, sizeof got);
        if (got == h) {
            return true;
        }
    }
    return false;
}

/* The record with the event's hash behind those of the same period. */
static struct str with_hash(struct pool *pool, const struct limit *l, struct record *rec,
                            struct str old, double now)
{
    struct str hashes = STR("");
    if (old.len > sizeof *rec && now - rec->epoch <= (double)l->period) {
        hashes = str_from(old, sizeof *rec);
    } else {
        rec->epoch = now;
    }
    uint64_t h = hash(l->unique);
    return STR_CAT(pool, str_n((char *)rec, sizeof *rec), hashes, str_n((char *)&h, sizeof h));
}

static struct str update(void *closure, struct pool *pool, struct str old)
{
    struct update *u = closure;
    const struct limit *l = u->l;
    struct record rec;
    bool have = !str_unset(old) && old.len >= sizeof rec;
    bool unique = !str_unset(l->unique);
    u->found = have;
    if (have) {
        memcpy(&rec, old.p, sizeof rec);
    } else {
        rec = (struct record){.when = u->now, .rate = 0, .epoch = u->now};
    }
    bool event = l->mode != MODE_READONLY && !(unique && have && seen_before(l, old, &rec, u->now));
    double count = event ? l->count : 0;
    u->rate = have ? new_rate(l, &rec, u->now, count) : l->mode == MODE_READONLY ? 0 : l->count;
    u->over = u->rate >= l->limit;
    if (l->mode == MODE_READONLY || (l->mode == MODE_LEAKY && u->over && have)) {
        return old;
    }
    rec.when = u->now;
    rec.rate = u->rate;
    if (unique && event) {
        return str_dup(pool, with_hash(pool, l, &rec, old, u->now));
    }
    struct str tail = unique && have ? str_from(old, sizeof rec) : STR("");
    return STR_CAT(pool, str_n((char *)&rec, sizeof rec), tail);
}

/* ---- the condition ---- */

static const char *per_name(enum per p)
{
    for (size_t i = 0; i < ARRAY_LEN(pers); i++) {
        if (pers[i].per == p) {
            return pers[i].name;
        }
    }
    return "per_mail";
}

/* Fills in what the options leave open. False for options that do not fit the phase. */
static bool settle(struct acl_job *j, struct limit *l)
{
    struct pool *pool = j->x->pool;
    if (l->per == PER_UNSET) {
        l->per = PER_MAIL;
    }
    for (size_t i = 0; i < ARRAY_LEN(pers); i++) {
        if (pers[i].per == l->per && !(pers[i].allowed & j->where)) {
            if (l->mode != MODE_UNSET && l->mode != MODE_READONLY) {
                return wrong(pool, l, "cannot update in this ACL", str_c(acl_where_name(j->where)));
            }
            l->mode = MODE_READONLY;
        }
    }
    if (l->mode == MODE_UNSET) {
        l->mode = MODE_LEAKY;
    }
    if (l->per == PER_ADDR && str_unset(l->unique) && j->x->addr) {
        l->unique = j->x->addr->address;
    }
    if (l->per == PER_ADDR) { /* per_rcpt that counts each address once */
        l->per = PER_RCPT;
    }
    if (!l->count_set && l->per == PER_BYTE) {
        l->count = j->x->msg->size > 0 ? (double)j->x->msg->size : 0;
    } else if (!l->count_set && l->per == PER_RCPT && j->where != ACL_RCPT) {
        l->count = (double)j->x->msg->recipient_count;
    }
    if (str_unset(l->key)) {
        l->key = str_empty(j->x->sess->host_address) ? STR("") : j->x->sess->host_address;
    }
    return true;
}

static struct str record_key(struct pool *pool, const struct limit *l)
{
    return str_fmt(pool, "%lld/%s%s/%.*s", (long long)l->period, per_name(l->per),
                   str_unset(l->unique) ? "" : "/unique", STR_ARG(l->key));
}

static void publish(struct acl_job *j, const struct limit *l, double rate)
{
    struct pool *pool = j->x->msg->pool;
    j->note->sender_rate = str_fmt(pool, "%.1f", rate);
    j->note->sender_rate.tainted = false;
    j->note->sender_rate_limit = str_dup(pool, l->text_limit);
    j->note->sender_rate_period = str_dup(pool, l->text_period);
}

/* The results of conditions that were computed already and must not count twice. */
static struct strvec *done_list(struct acl_job *j, const struct limit *l)
{
    switch (l->per) {
    case PER_CONN: return &j->x->sess->rates_done;
    case PER_MAIL:
    case PER_BYTE: return &j->note->rates_mail;
    case PER_RCPT: return j->where == ACL_RCPT ? &j->note->rates_cmd : &j->note->rates_mail;
    default: return &j->note->rates_cmd;
    }
}

/* A result from this message, command or connection; key and rate stand side by side. */
static bool known(const struct strvec *v, struct str key, double *rate)
{
    for (size_t i = 0; i + 1 < v->n; i += 2) {
        if (str_eq(v->v[i], key)) {
            memcpy(rate, v->v[i + 1].p, sizeof *rate);
            return true;
        }
    }
    return false;
}

static void trace_update(const struct update *u)
{
    const char *why = u->l->mode == MODE_READONLY ? "not updated: readonly mode"
                      : u->l->mode == MODE_LEAKY && u->over
                          ? "not updated: over the limit, but leaky"
                          : "updated";
    if (u->found) {
        trace_write_in("ratelimit found key in database");
    } else {
        trace_write_in("ratelimit creating new rate data block");
        trace_write_in("ratelimit initializing new key's rate data");
    }
    trace_write_in("ratelimit db %s", why);
    trace_write_in("ratelimit computed rate %.1f", u->rate);
}

enum acl_test acl_ratelimit(struct acl_job *j, const struct acl_line *line, struct str arg)
{
    (void)line;
    struct limit l;
    struct pool *pool = j->x->pool;
    if (!parse(pool, arg, &l) || !settle(j, &l)) {
        j->log = l.error;
        return TEST_ERROR;
    }
    struct strvec *done = done_list(j, &l);
    struct str key = record_key(pool, &l);
    struct str memo = STR_CAT(pool, key, str_unset(l.unique) ? STR("") : l.unique);
    double rate;
    TRACE_IN(TR_acl | TR_bh, "ratelimit condition count=%.0f %.1f/%.*s/%s%s/%.*s",
             l.mode == MODE_READONLY ? 0 : l.count, l.limit, STR_ARG(l.text_period),
             per_name(l.per), str_unset(l.unique) ? "" : "/unique", STR_ARG(l.key));
    if (known(done, memo, &rate)) {
        TRACE_IN(TR_acl | TR_bh, "ratelimit found pre-computed rate %.1f", rate);
        publish(j, &l, rate);
        return rate >= l.limit ? TEST_OK : TEST_FAIL;
    }
    struct timespec now = time_now();
    struct update u = {.l = &l, .now = (double)now.tv_sec + (double)now.tv_nsec / 1e9};
    struct hints *db = hints_open(j->x->conf, "ratelimit");
    if (!db || !hints_update(db, pool, key, update, &u)) {
        j->log = STR("ratelimit database not available");
        return TEST_DEFER;
    }
    if (trace_on(TR_acl | TR_bh)) {
        trace_update(&u);
    }
    publish(j, &l, u.rate);
    if (l.mode != MODE_READONLY) {
        struct pool *kept = done->pool;
        strvec_push(done, str_dup(kept, memo));
        strvec_push(done, str_dup(kept, str_n((char *)&u.rate, sizeof u.rate)));
    }
    return u.over ? TEST_OK : TEST_FAIL;
}

/* ---- for those who list the database ---- */

struct str ratelimit_hint_show(struct pool *pool, struct str key, struct str data)
{
    struct record rec;
    if (data.len < sizeof rec) {
        return STR_NONE;
    }
    memcpy(&rec, data.p, sizeof rec);
    struct str when = time_strftime(pool, "%d-%b-%Y %H:%M:%S", (time_t)rec.when, false);
    return str_fmt(pool, "%.*s.%06d rate: %10.3f key: %.*s\n", STR_ARG(when),
                   (int)((rec.when - (double)(time_t)rec.when) * 1e6), rec.rate, STR_ARG(key));
}

int64_t ratelimit_hint_last(struct str data)
{
    struct record rec;
    if (data.len < sizeof rec) {
        return 0;
    }
    memcpy(&rec, data.p, sizeof rec);
    return (int64_t)rec.when;
}

/*
 * The callout cache: a record per domain (does it take mail, random local parts, postmaster) and one
 * per address (with the sender, where that was not empty), in the hints database "callout".
 *
 * A hint and no more: without the database every callout is made. A record is one line of numbers,
 * a time before each fact.
 */
#include "acl/callout.h"

#include <inttypes.h>
#include <stdio.h>

struct domain_record {
    int64_t when, random_when, postmaster_when;
    int result, random, postmaster;
};

static bool read_domain(struct pool *pool, struct str data, struct domain_record *r)
{
    *r = (struct domain_record){0};
    return sscanf(str_cstr(pool, data), "%" SCNd64 " %d %" SCNd64 " %d %" SCNd64 " %d", &r->when,
                  &r->result, &r->random_when, &r->random, &r->postmaster_when,
                  &r->postmaster) == 6;
}

static bool get_domain(struct hints *db, struct pool *pool, struct str domain,
                       struct domain_record *r)
{
    struct str data;
    *r = (struct domain_record){0};
    return hints_get(db, pool, domain, &data) && read_domain(pool, data, r);
}

static struct str address_key(struct pool *pool, const struct address *a, struct str mailfrom)
{
    return str_empty(mailfrom) ? a->address
                               : STR_CAT(pool, a->address, STR("/<"), mailfrom, STR(">"));
}

static bool fresh(int64_t when, int fact, int positive, int negative)
{
    bool bad = fact == CALLOUT_NO || fact == CALLOUT_REJECTS || fact == CALLOUT_REJECTS_NULL;
    return fact != CALLOUT_UNKNOWN && time(NULL) - when <= (bad ? negative : positive);
}

static enum verify_result failed(struct ectx *x, struct address *a, bool is_sender, const char *why,
                                 const char *text)
{
    struct acl_message *note = acl_note(x->msg);
    *(is_sender ? &note->sender_verify_failure : &note->recipient_verify_failure) = str_c(why);
    a->message = a->user_message = str_c(text);
    return VERIFY_FAIL;
}

/* What the domain's record says. True if that decides. */
static bool domain_decides(struct ectx *x, struct address *a, bool is_sender,
                           const struct callout *c, struct str mailfrom,
                           const struct callout_known *k, enum verify_result *rc)
{
    static const char reused[] = "(result of an earlier callout reused).";
    if (k->domain == CALLOUT_REJECTS ||
        (k->domain == CALLOUT_REJECTS_NULL && str_empty(mailfrom))) {
        acl_note(x->msg)->null_sender_fail = true;
        *rc = failed(x, a, is_sender, "mail", reused);
        return true;
    }
    if (c->random && k->random == CALLOUT_YES) {
        *rc = VERIFY_OK;
        return true;
    }
    if (c->postmaster && k->postmaster == CALLOUT_NO) {
        acl_note(x->msg)->pm_fail = true;
        *rc = failed(x, a, is_sender, "postmaster", reused);
        return true;
    }
    return false;
}

bool callout_cached(struct ectx *x, struct address *a, bool is_sender, const struct callout *c,
                    struct str mailfrom, struct callout_known *known, enum verify_result *rc)
{
    const struct acl_settings *set = acl_settings(x->conf);
    struct domain_record r;
    struct str data;
    *known = (struct callout_known){0};
    struct hints *db = c->no_cache ? NULL : hints_open(x->conf, "callout");
    if (!db) {
        return false;
    }
    if (get_domain(db, x->pool, a->domain, &r)) {
        int pos = set->callout_domain_positive_expire, neg = set->callout_domain_negative_expire;
        known->domain =
            fresh(r.when, r.result, pos, neg) ? (enum callout_fact)r.result : CALLOUT_UNKNOWN;
        known->random = fresh(r.random_when, r.random, pos, pos) ? (enum callout_fact)r.random
                                                                 : CALLOUT_UNKNOWN;
        known->postmaster = fresh(r.postmaster_when, r.postmaster, pos, neg)
                                ? (enum callout_fact)r.postmaster
                                : CALLOUT_UNKNOWN;
    }
    if (domain_decides(x, a, is_sender, c, mailfrom, known, rc)) {
        return true;
    }
    int64_t when;
    int fact;
    if (!hints_get(db, x->pool, address_key(x->pool, a, mailfrom), &data) ||
        sscanf(str_cstr(x->pool, data), "%" SCNd64 " %d", &when, &fact) != 2 ||
        !fresh(when, fact, set->callout_positive_expire, set->callout_negative_expire)) {
        return false;
    }
    if (fact == CALLOUT_NO) {
        *rc =
            failed(x, a, is_sender, "recipient", "Previous (cached) callout verification failure");
        return true;
    }
    *rc = VERIFY_OK;
    return !c->postmaster || known->postmaster == CALLOUT_YES;
}

struct finding {
    struct pool *pool;
    const struct address *a;
    struct str mailfrom;
    const struct callout_known *k;
};

/* Together: somebody else may find out another fact of the same domain at the same time. */
static bool note_finding(void *closure, struct hints *db)
{
    const struct finding *f = closure;
    const struct callout_known *k = f->k;
    struct domain_record r;
    int64_t now = time(NULL);
    get_domain(db, f->pool, f->a->domain, &r);
    if (k->domain != CALLOUT_UNKNOWN) {
        r.when = now;
        r.result = k->domain;
    }
    if (k->random != CALLOUT_UNKNOWN) {
        r.random_when = now;
        r.random = k->random;
    }
    if (k->postmaster != CALLOUT_UNKNOWN) {
        r.postmaster_when = now;
        r.postmaster = k->postmaster;
    }
    struct str domain = str_fmt(f->pool, "%" PRId64 " %d %" PRId64 " %d %" PRId64 " %d", r.when,
                                r.result, r.random_when, r.random, r.postmaster_when, r.postmaster);
    return hints_put(db, f->a->domain, domain) &&
           (k->address == CALLOUT_UNKNOWN ||
            hints_put(db, address_key(f->pool, f->a, f->mailfrom),
                      str_fmt(f->pool, "%" PRId64 " %d", now, k->address)));
}

void callout_remember(struct ectx *x, const struct address *a, const struct callout *c,
                      struct str mailfrom, const struct callout_known *k)
{
    struct finding f = {.pool = x->pool, .a = a, .mailfrom = mailfrom, .k = k};
    struct hints *db = c->no_cache ? NULL : hints_open(x->conf, "callout");
    if (db) {
        hints_together(db, note_finding, &f);
    }
}

/* ---- for those who list the cache ---- */

static const char *fact_word(int fact)
{
    static const char *const words[] = {
        [CALLOUT_UNKNOWN] = "unknown", [CALLOUT_YES] = "yes",
        [CALLOUT_NO] = "no",           [CALLOUT_ACCEPTS] = "accept",
        [CALLOUT_REJECTS] = "reject",  [CALLOUT_REJECTS_NULL] = "reject_mfnull",
    };
    return fact >= 0 && (size_t)fact < ARRAY_LEN(words) ? words[fact] : "unknown";
}

static struct str when_text(struct pool *pool, int64_t when)
{
    return time_strftime(pool, "%d-%b-%Y %H:%M:%S", (time_t)when, false);
}

struct str callout_hint_show(struct pool *pool, struct str key, struct str data)
{
    struct domain_record r;
    struct buf b;
    int64_t when;
    int fact;
    if (str_chr(key, '@') >= 0) {
        if (sscanf(str_cstr(pool, data), "%" SCNd64 " %d", &when, &fact) != 2) {
            return STR_NONE;
        }
        return str_fmt(pool, "%.*s %.*s callout=%s\n", STR_ARG(when_text(pool, when)), STR_ARG(key),
                       fact == CALLOUT_NO ? "reject" : "accept");
    }
    if (!read_domain(pool, data, &r)) {
        return STR_NONE;
    }
    buf_init(&b, pool, 1024 + key.len);
    buf_addf(&b, "%.*s %.*s callout=%s", STR_ARG(when_text(pool, r.when)), STR_ARG(key),
             fact_word(r.result));
    if (r.postmaster_when) {
        buf_addf(&b, " postmaster=%s (%.*s)", r.postmaster == CALLOUT_NO ? "reject" : "accept",
                 STR_ARG(when_text(pool, r.postmaster_when)));
    }
    if (r.random_when) {
        buf_addf(&b, " random=%s (%.*s)", r.random == CALLOUT_NO ? "reject" : "accept",
                 STR_ARG(when_text(pool, r.random_when)));
    }
    buf_addc(&b, '\n');
    return buf_str(&b);
}

int64_t callout_hint_last(struct str data)
{
    int64_t last = 0, n;
    struct str word;
    /* times stand at the even places */
    for (int i = 0; str_next(&data, ' ', &word); i++) {
        last = i % 2 == 0 && str_to_i64(word, &n) && n > last ? n : last;
    }
    return last;
}

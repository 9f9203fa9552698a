/*
 * Messages that wait for a host, in hints databases "wait-TRANSPORT": a message that could not be
 * delivered because of the host is noted under the host's name, and when a later delivery has a
 * connection to that host, what waits is sent over the same one.
 *
 * A record holds at most 50 ids. A full one moves to "HOST:n", and the record begins anew with the
 * next n. Ids are taken from the end, and are gone from the record once they are taken: whoever
 * cannot deliver the message notes it again. Hints may be wrong: a message that has gone is
 * dropped, one that another process has in hand, or that is frozen, is passed over.
 *
 * A delivery that nothing waits for costs one look for the database's file, or, once it is open, a
 * read of shared memory.
 */
#include "queue/internal.h"

enum {
    IDS_MAX = 50,        /* in a record */
    NAME_CUT = 200,      /* of a host's or a transport's name */
    PASSED_OVER_MAX = 10 /* messages that do not fit a connection, before it is given up */
};

/* A record: when it was last written, how many records were filled before it, ids. */
struct wait_record {
    int64_t written, sequence;
    size_t n;
    struct str ids[IDS_MAX];
};

/* ---- records as text: "1 TIME SEQUENCE ID ID …" ---- */

static bool decode(struct str text, struct wait_record *r)
{
    int64_t head[3];
    struct str word;
    *r = (struct wait_record){0};
    for (size_t i = 0; i < ARRAY_LEN(head); i++) {
        if (!str_next(&text, ' ', &word) || !str_to_i64(word, &head[i])) {
            return false;
        }
    }
    while (r->n < IDS_MAX && str_next(&text, ' ', &word)) {
        if (!message_id_valid(word)) {
            return false;
        }
        word.tainted = false; /* it is of our own making, and nothing but an id */
        r->ids[r->n++] = word;
    }
    r->written = head[1];
    r->sequence = head[2];
    return head[0] == 1 && r->sequence >= 0;
}

static struct str encode(struct pool *pool, const struct wait_record *r)
{
    struct str s = str_fmt(pool, "1 %lld %lld", (long long)time(NULL), (long long)r->sequence);
    for (size_t i = 0; i < r->n; i++) {
        s = STR_CAT(pool, s, STR(" "), r->ids[i]);
    }
    return s;
}

static bool has_id(const struct wait_record *r, struct str id)
{
    for (size_t i = 0; i < r->n; i++) {
        if (str_eq(r->ids[i], id)) {
            return true;
        }
    }
    return false;
}

/* As exim_dumpdb writes it. */
static struct str show_hint(struct pool *pool, struct str key, struct str data)
{
    struct wait_record r;
    if (!decode(data, &r)) {
        return STR_NONE;
    }
    struct str s = STR_CAT(pool, key, STR(" "));
    for (size_t i = 0; i < r.n; i++) {
        s = STR_CAT(pool, s, r.ids[i], STR(" "));
    }
    return STR_CAT(pool, s, STR("\n"));
}

static int64_t last_hint(struct str data)
{
    struct wait_record r;
    return decode(data, &r) ? r.written : 0;
}

const struct hint_kind queue_hints[] = {
    {"retry", retry_show_hint, retry_last_hint},
    {"wait-", show_hint, last_hint},
    {0},
};

/* ---- the database ---- */

/* The database of a transport; NULL if it cannot be had, or is not there and not to be made. */
static struct hints *database(const struct config *conf, struct pool *pool, struct str transport,
                              bool make)
{
    const char *name = str_cstr(pool, STR_CAT(pool, STR("wait-"), str_sub(transport, 0, NAME_CUT)));
    return make || hints_present(conf, name) ? hints_open(conf, name) : NULL;
}

static struct str host_key(struct str host)
{
    return str_sub(host, 0, host.len < NAME_CUT ? host.len : NAME_CUT);
}

static struct str overflow_key(struct pool *pool, struct str host, int64_t n)
{
    return str_fmt(pool, "%.*s:%lld", STR_ARG(host_key(host)), (long long)n);
}

/* ---- noting ---- */

struct note {
    struct pool *pool;
    struct str host;
    struct str id, full; /* full: the record that has to move */
    int64_t sequence;    /* of that one */
};

static struct str add_id(void *closure, struct pool *pool, struct str old)
{
    struct note *n = closure;
    struct wait_record r;
    n->full = STR_NONE;
    if (str_unset(old) || !decode(old, &r)) {
        r = (struct wait_record){0};
    }
    if (has_id(&r, n->id)) {
        return old;
    }
    if (r.n == IDS_MAX) {
        n->full = old;
        n->sequence = r.sequence++;
        r.n = 0;
    }
    r.ids[r.n++] = n->id;
    return encode(pool, &r);
}

/* Together: a full record must not be lost on its way to its new place, nor be looked for in vain. */
static bool note_one(void *closure, struct hints *h)
{
    struct note *n = closure;
    return hints_update(h, n->pool, host_key(n->host), add_id, n) &&
           (str_unset(n->full) ||
            hints_put(h, overflow_key(n->pool, n->host, n->sequence), n->full));
}

/* True if the message is in one of the host's records. */
static bool is_noted(struct hints *h, struct pool *pool, struct str host, struct str id)
{
    struct str data;
    struct wait_record r;
    bool found = false;
    if (!hints_get(h, pool, host_key(host), &data) || !decode(data, &r)) {
        return false;
    }
    found = has_id(&r, id);
    for (int64_t i = r.sequence - 1; i >= 0 && !found; i--) {
        struct wait_record more;
        found = hints_get(h, pool, overflow_key(pool, host, i), &data) && decode(data, &more) &&
                has_id(&more, id);
    }
    return found;
}

/* False if the transport sends one message a connection: there is no use in noting any. */
static bool takes_several(const struct transport *t)
{
    const struct option *row = opt_find(t->driver->options, STR("connection_max_messages"));
    return row && row->type == OPT_INT &&
           *(const int *)(const void *)((const char *)t->opts + row->offset) != 1;
}

void waiting_note(struct job *j, const struct transport *t, const struct host *hosts)
{
    struct hints *h = NULL;
    const struct host *before = NULL;
    if (j->m->dont_deliver || !takes_several(t)) {
        return;
    }
    for (; hosts; before = hosts, hosts = hosts->next) {
        if (str_empty(hosts->name) || (before && str_eqi(before->name, hosts->name))) {
            continue;
        }
        h = h ? h : database(j->conf, j->pool, t->name, true);
        if (!h || is_noted(h, j->pool, hosts->name, j->m->id)) {
            continue;
        }
        struct note n = {.pool = j->pool, .host = hosts->name, .id = j->m->id};
        hints_together(h, note_one, &n);
    }
}

/* ---- the hooks ---- */

bool waiting_others(struct delivery *d, const struct host *host)
{
    struct job *j = d->owner;
    struct wait_record r;
    struct str data;
    if (!takes_several(d->transport)) {
        return false;
    }
    struct hints *h = database(j->conf, j->pool, d->transport->name, false);
    if (!h || !hints_get(h, j->pool, host_key(host->name), &data) || !decode(data, &r)) {
        return false;
    }
    return r.sequence > 0 || r.n > (has_id(&r, j->m->id) ? 1u : 0u);
}

void waiting_noted(struct delivery *d, const struct host *hosts)
{
    waiting_note(d->owner, d->transport, hosts);
}

/* ---- following ---- */

/* One connection's search for what may follow. */
struct search {
    const struct config *conf;
    struct pool *pool;
    struct str host;
    const struct strvec *tried;
    struct str found; /* unset: none */
    int64_t sequence; /* of the record looked at */
    bool emptied;
};

static struct str take_id(void *closure, struct pool *pool, struct str old)
{
    struct search *s = closure;
    struct wait_record r;
    s->found = STR_NONE;
    s->sequence = 0;
    s->emptied = true;
    if (str_unset(old) || !decode(old, &r)) {
        return STR_NONE;
    }
    size_t i = r.n;
    s->sequence = r.sequence;
    while (i-- > 0 && str_unset(s->found)) {
        bool before = strvec_has(s->tried, r.ids[i]), exists = spool_exists(s->conf, r.ids[i]);
        if (before && exists) {
            continue;
        }
        s->found = exists ? r.ids[i] : STR_NONE;
        memmove(&r.ids[i], &r.ids[i + 1], (r.n - i - 1) * sizeof r.ids[0]);
        r.n--;
    }
    s->emptied = r.n == 0;
    return s->emptied ? STR_NONE : encode(pool, &r);
}

/* Makes the youngest full record the host's own; false if there is none. */
static bool unfold(struct hints *h, struct pool *pool, struct str host, int64_t sequence)
{
    while (sequence-- > 0) {
        struct str key = overflow_key(pool, host, sequence), data;
        struct wait_record r;
        bool any = hints_get(h, pool, key, &data) && decode(data, &r);
        hints_del(h, key);
        if (any) {
            r.sequence = sequence;
            return hints_put(h, host_key(host), encode(pool, &r));
        }
    }
    return false;
}

/*
 * Searches the records from the end, removing those it empties. All of it together: a message noted
 * meanwhile goes into the record that is left, and not into one that is about to be written over.
 */
static bool take_from_records(void *closure, struct hints *h)
{
    struct search *s = closure;
    struct str data;
    do {
        if (!hints_get(h, s->pool, host_key(s->host), &data) ||
            !hints_update(h, s->pool, host_key(s->host), take_id, s)) {
            return true;
        }
    } while (s->emptied && unfold(h, s->pool, s->host, s->sequence) && str_unset(s->found));
    return true;
}

/* Takes the next message that waits for a host out of the record; unset if there is none. */
static struct str take_next(const struct config *conf, struct pool *pool,
                            const struct smtp_kept *to, const struct strvec *tried)
{
    struct search s = {.conf = conf, .pool = pool, .host = to->host, .tried = tried};
    struct hints *h = database(conf, pool, to->transport, false);
    struct str data;
    if (!h || !hints_get(h, pool, host_key(to->host), &data)) { /* the usual case takes no lock */
        return STR_NONE;
    }
    return hints_together(h, take_from_records, &s) ? s.found : STR_NONE;
}

void waiting_follow(const struct config *conf, struct str id, unsigned flags)
{
    struct smtp_kept to;
    int passed_over = 0;
    struct pool *pool = smtp_kept(&to) ? pool_new("waiting messages") : NULL;
    struct strvec tried = {.pool = pool};
    if (pool) {
        strvec_push(&tried, str_dup(pool, id));
    }
    while (passed_over < PASSED_OVER_MAX && smtp_kept(&to) && !queue_told_to_end()) {
        struct str next = take_next(conf, pool, &to, &tried);
        if (str_unset(next)) {
            break;
        }
        strvec_push(&tried, next);
        enum deliver_result result = queue_continue(conf, next, flags & DELIVER_QUEUE_RUN);
        passed_over += result == DELIVERED_NOT_ATTEMPTED;
    }
    pool_free(&pool);
}

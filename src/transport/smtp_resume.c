/*
 * TLS sessions of the smtp transport: kept in the hints database "tls" under a digest of all that
 * decided them, so that another configuration, another verification or another server begins
 * anew. A record that is too old or cannot be read is deleted when it is met. Nothing here is needed
 * for a delivery: what fails costs a full handshake.
 */
#include "transport/internal.h"
#include "transport/smtp.h"

struct resume {
    struct ectx *x; /* while the connection is opened; not afterwards */
    const struct config *conf;
    struct pool *pool;
    const struct etext *extract; /* NULL: nothing tells nodes apart */
    struct str host, address, key;
    int port;
};

/* What the server says of which node it is. */
static struct str balancer(struct resume *r, struct str ehlo)
{
    struct str out = STR("");
    if (!r->extract) {
        return STR("never-LB"); /* nothing was said yet */
    }
    struct scope *before = scope_set_numeric(r->x, NULL, 0);
    scope_set(r->x, STR("item"), ehlo);
    if (!expand_option(r->x, r->extract, &out)) {
        out = STR("");
    }
    scope_restore(r->x, before);
    return out;
}

/* Deletes what cannot be used, but not what another process has put in its place. */
static struct str drop_same(void *closure, struct pool *pool, struct str old)
{
    const struct str *seen = closure;
    (void)pool;
    return str_eq(old, *seen) ? STR_NONE : old;
}

static void recall(void *closure, struct tls_side *side, struct str ehlo)
{
    struct resume *r = closure;
    struct hints *db = hints_open(r->conf, "tls");
    struct str record;
    r->key = tls_session_key(r->pool, side, r->host, r->address, r->port, balancer(r, ehlo));
    side->resume = true;
    if (!db || !hints_get(db, r->pool, r->key, &record)) {
        return;
    }
    if (tls_session_usable(r->pool, record, side)) {
        side->session = record;
    } else {
        hints_update(db, r->pool, r->key, drop_same, &record);
    }
}

/* Whatever was wrong: the next handshake is to be a full one. */
static void forget(void *closure)
{
    struct resume *r = closure;
    struct hints *db = str_unset(r->key) ? NULL : hints_open(r->conf, "tls");
    if (db) {
        hints_del(db, r->key);
    }
}

static void keep(void *closure, const struct tls_facts *facts)
{
    struct resume *r = closure;
    struct str record;
    struct hints *db = str_unset(r->key) ? NULL : hints_open(r->conf, "tls");
    if (db && tls_session_record(r->pool, facts, &record)) {
        hints_put(db, r->key, record);
    }
}

void smtp_resume(struct ectx *x, struct pool *pool, const struct smtp_options *o, bool on_connect,
                 struct smtp_client_opts *co)
{
    const struct host *h = co->host;
    if (str_unset(o->tls_resumption_hosts.text) ||
        match_host(x, &o->tls_resumption_hosts, h->name, h->address, NULL) != MATCH_YES) {
        return;
    }
    struct resume *r = POOL_NEW(pool, struct resume);
    *r = (struct resume){.x = x,
                         .conf = x->conf,
                         .pool = pool,
                         .extract = on_connect ? NULL : &o->host_name_extract,
                         .host = str_dup(pool, h->name),
                         .address = str_dup(pool, h->address),
                         .port = co->port};
    co->sessions = (struct smtp_sessions){recall, forget, keep, r};
}

/* ---- for those who list the database ---- */

static struct str show_hint(struct pool *pool, struct str key, struct str data)
{
    struct str text = tls_session_text(pool, data);
    return str_unset(text) ? text : STR_CAT(pool, key, STR(" "), text, STR("\n"));
}

const struct hint_kind transport_hints[] = {{"tls", show_hint, tls_session_time}, {0}};

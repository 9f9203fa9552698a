/*
 * What an address gets from the router that takes it: the address for bounces, headers to add and
 * remove, the transport, the identity and directories a local delivery runs with.
 *
 * Expansion order is the documented one: errors_to, headers_add, headers_remove, transport.
 */
#include "route/internal.h"

#include <grp.h>
#include <pwd.h>

/* ---- errors_to ---- */

/* Whether an address would be accepted, asked with an empty sender. */
static bool verifies(struct route_job *job, struct str address)
{
    struct ectx x = *job->x;
    struct message m = {.pool = x.pool, .sender = STR(""), .sender_set = true};
    struct route_job inner = {.x = &x, .why = ROUTE_VERIFY_RECIPIENT};
    x.msg = &m;
    x.verifying = true;
    if (x.depth++ > 20) {
        return false;
    }
    struct address *a = route_new_address(&x, mail_qualify(x.pool, x.conf, address, false));
    enum route_result result = route_address(&inner, a);
    for (int n = 0; result == ROUTE_REROUTED && inner.generated && n < 50; n++) {
        if (inner.generated->next) {
            return true; /* several children: a list is good enough */
        }
        a = inner.generated;
        inner.generated = NULL;
        result = route_address(&inner, a);
    }
    return result == ROUTE_OK || result == ROUTE_DISCARD || result == ROUTE_REROUTED;
}

static bool own_errors_to(struct route_job *job, const struct router *r, struct address *a)
{
    struct ectx *x = job->x;
    struct str s;
    if (str_unset(r->errors_to.text)) {
        return true;
    }
    if (!expand_option(x, &r->errors_to, &s)) {
        if (x->forced_fail) {
            return true;
        }
        a->message = str_fmt(x->pool, "%.*s router failed to expand \"%.*s\": %.*s",
                             STR_ARG(r->name), STR_ARG(r->errors_to.text), STR_ARG(x->error));
        return false;
    }
    s = str_trim(s);
    if (str_is(s, "<>")) {
        s = STR("");
    }
    if (str_empty(s)) {
        a->errors_to = s;
        a->errors_to_empty = true;
    } else if (job->why != ROUTE_DELIVER || verifies(job, s)) {
        a->errors_to = s;
        a->errors_to_empty = false;
    }
    return true;
}

/* ---- headers ---- */

static bool own_headers_add(struct ectx *x, const struct router *r, struct address *a)
{
    struct str s;
    for (size_t i = 0; i < r->headers_add.n; i++) {
        if (!expand_option(x, &r->headers_add.v[i], &s)) {
            if (x->forced_fail) {
                continue;
            }
            a->message =
                str_fmt(x->pool, "%.*s router failed to expand add_headers item \"%.*s\": %.*s",
                        STR_ARG(r->name), STR_ARG(r->headers_add.v[i].text), STR_ARG(x->error));
            return false;
        }
        s = str_rtrim(s);
        if (!str_empty(s)) {
            a->extra_headers = STR_CAT(x->pool, a->extra_headers, s, STR("\n"));
        }
    }
    return true;
}

static bool own_headers_remove(struct ectx *x, const struct router *r, struct address *a)
{
    struct str s;
    for (size_t i = 0; i < r->headers_remove.n; i++) {
        if (!expand_option(x, &r->headers_remove.v[i], &s)) {
            if (x->forced_fail) {
                continue;
            }
            a->message =
                str_fmt(x->pool, "%.*s router failed to expand remove_headers item \"%.*s\": %.*s",
                        STR_ARG(r->name), STR_ARG(r->headers_remove.v[i].text), STR_ARG(x->error));
            return false;
        }
        struct str item;
        int sep = 0;
        while (net_list_next(x->pool, &s, &sep, &item)) {
            if (!str_empty(item)) {
                strvec_push(&a->remove_headers, item);
            }
        }
    }
    return true;
}

bool route_own_settings(struct route_job *job, const struct router *r, struct address *a)
{
    return own_errors_to(job, r, a) && own_headers_add(job->x, r, a) &&
           own_headers_remove(job->x, r, a);
}

/* ---- identity ---- */

bool route_find_user(struct ectx *x, const struct idopt *o, uint32_t *uid, uint32_t *gid,
                     bool *gid_known)
{
    struct str s;
    uint64_t n;
    *gid_known = false;
    if (str_unset(o->text.text)) {
        *uid = o->id;
        return true;
    }
    if (!expand_option(x, &o->text, &s)) {
        return false;
    }
    s = str_trim(s);
    if (str_to_u64(s, 10, &n) && n < UINT32_MAX) {
        *uid = (uint32_t)n;
        return true;
    }
    const struct passwd *pw = find_user(x->conf, x->pool, s);
    if (!pw) {
        x->error = str_fmt(x->pool, "Failed to find user \"%.*s\" from expanded string \"%.*s\"",
                           STR_ARG(s), STR_ARG(o->text.text));
        return false;
    }
    *uid = pw->pw_uid;
    *gid = pw->pw_gid;
    *gid_known = true;
    return true;
}

bool route_find_group(struct ectx *x, const struct idopt *o, uint32_t *gid)
{
    struct str s;
    uint64_t n;
    if (str_unset(o->text.text)) {
        *gid = o->id;
        return true;
    }
    if (!expand_option(x, &o->text, &s)) {
        return false;
    }
    s = str_trim(s);
    if (str_to_u64(s, 10, &n) && n < UINT32_MAX) {
        *gid = (uint32_t)n;
        return true;
    }
    const struct group *gr = str_empty(s) ? NULL : getgrnam(str_cstr(x->pool, s));
    if (!gr) {
        x->error = str_fmt(x->pool, "Failed to find group \"%.*s\" from expanded string \"%.*s\"",
                           STR_ARG(s), STR_ARG(o->text.text));
        return false;
    }
    *gid = gr->gr_gid;
    return true;
}

void route_own_directories(const struct router *r, struct address *a)
{
    if (a->local_user_known) {
        a->home = a->local_user_home;
    }
    a->home_option =
        str_unset(r->transport_home_directory.text) ? NULL : &r->transport_home_directory;
    a->cwd_option = str_unset(r->current_directory.text) ? NULL : &r->current_directory;
}

/* The user or group of a router could not be found: logged, and the address waits. */
static bool no_identity(struct route_job *job, const struct router *r, struct address *a,
                        const struct idopt *o, const char *what)
{
    struct ectx *x = job->x;
    a->message =
        str_starts(x->error, "Failed to find")
            ? str_fmt(x->pool, "%.*s for the %.*s router", STR_ARG(x->error), STR_ARG(r->name))
            : str_fmt(x->pool, "Failed to expand %s string \"%.*s\" for the %.*s router: %.*s",
                      what, STR_ARG(o->text.text), STR_ARG(r->name), STR_ARG(x->error));
    if (job->why == ROUTE_DELIVER) {
        log_msg(LOG_MAIN | LOG_PANIC, x->msg, "%.*s", STR_ARG(a->message));
    }
    return false;
}

bool route_own_identity(struct route_job *job, const struct router *r, struct address *a)
{
    struct ectx *x = job->x;
    bool known = false;
    a->initgroups = r->initgroups;
    a->log_as_local = r->log_as_local;
    a->uid_set = a->gid_set = false;
    if (a->local_user_known) {
        a->uid = a->local_user_uid;
        a->gid = a->local_user_gid;
        a->uid_set = a->gid_set = true;
    }
    if (r->user.set) {
        if (!route_find_user(x, &r->user, &a->uid, &a->gid, &known)) {
            return no_identity(job, r, a, &r->user, "user");
        }
        a->uid_set = true;
        a->gid_set = known;
        if (r->user_gid_known) {
            a->gid = r->user_gid;
            a->gid_set = true;
        }
    }
    if (r->group.set) {
        if (!route_find_group(x, &r->group, &a->gid)) {
            return no_identity(job, r, a, &r->group, "group");
        }
        a->gid_set = true;
    }
    return true;
}

/* ---- transport ---- */

const struct transport *route_find_transport(const struct config *conf, struct str name)
{
    for (const struct transport *t = conf->transports; t; t = t->next) {
        if (str_eq(t->name, name)) {
            return t;
        }
    }
    return NULL;
}

const struct transport *route_transport(struct route_job *job, const struct router *r,
                                        struct address *a, bool *ok)
{
    struct ectx *x = job->x;
    struct str name;
    *ok = true;
    if (r->transport || str_unset(r->transport_text.text)) {
        return r->transport;
    }
    *ok = false;
    if (!expand_option(x, &r->transport_text, &name)) {
        a->message = str_fmt(x->pool, "failed to expand transport \"%.*s\" in %.*s router: %.*s",
                             STR_ARG(r->transport_text.text), STR_ARG(r->name), STR_ARG(x->error));
        return NULL;
    }
    if (name.tainted) {
        log_msg(LOG_MAIN | LOG_PANIC, x->msg,
                "attempt to use tainted value '%.*s' from '%.*s' for transport", STR_ARG(name),
                STR_ARG(r->transport_text.text));
        a->message = STR("internal configuration error");
        return NULL;
    }
    const struct transport *t = route_find_transport(x->conf, name);
    if (!t) {
        a->message = str_fmt(x->pool, "transport \"%.*s\" not found in %.*s router", STR_ARG(name),
                             STR_ARG(r->name));
        log_msg(LOG_PANIC, x->msg, "%.*s", STR_ARG(a->message));
        return NULL;
    }
    *ok = true;
    return t;
}

static struct str or_null(struct str s)
{
    return str_unset(s) ? STR("NULL") : s;
}

static void trace_queued(const struct address *a)
{
    struct str errors = or_null(a->errors_to), domain = or_null(a->domain_data),
               local_part = or_null(a->local_part_data);
    TRACE(TR_deliver | TR_route,
          "queued for %.*s transport: local_part = %.*s\ndomain = %.*s\n  errors_to=%.*s\n"
          "  domain_data=%.*s local_part_data=%.*s",
          STR_ARG(a->transport ? a->transport->name : STR("<unset>")), STR_ARG(a->local_part),
          STR_ARG(a->domain), STR_ARG(errors), STR_ARG(domain), STR_ARG(local_part));
}

enum route_result route_accept(struct route_job *job, const struct router *r, struct address *a,
                               const struct transport *transport)
{
    bool ok = true;
    if (!route_own_settings(job, r, a)) {
        return route_defer(a, ERRNO_UNKNOWNERROR, a->message);
    }
    if (!transport) {
        transport = route_transport(job, r, a, &ok);
    }
    if (!ok && !route_verifying(job)) {
        return route_defer(a, ERRNO_BADTRANSPORT, a->message);
    }
    if (!route_own_identity(job, r, a)) {
        return route_defer(a, ERRNO_UNKNOWNERROR, a->message);
    }
    if (!route_verifying(job)) {
        route_own_directories(r, a);
    }
    a->transport = transport;
    a->dsn_lasthop = r->dsn_lasthop;
    if (!a->fallback_hosts && !str_unset(r->fallback_text)) {
        a->fallback_hosts = route_host_list(job->x->pool, r->fallback_text, false);
    }
    trace_queued(a);
    return ROUTE_OK;
}

enum route_result route_change_domain(struct route_job *job, const struct router *r,
                                      struct address *a, struct str domain, bool rewrite)
{
    struct ectx *x = job->x;
    struct str old = a->domain;
    ptrdiff_t at = mailbox_at(a->address);
    struct str lp = at < 0 ? a->address : str_sub(a->address, 0, (size_t)at);
    struct address *child = route_child(x, a, STR_CAT(x->pool, lp, STR("@"), domain));
    if (rewrite && x->msg && job->why == ROUTE_DELIVER) {
        TRACE(TR_route | TR_rewrite, "headers with domain %.*s are rewritten to %.*s", STR_ARG(old),
              STR_ARG(domain));
        route_rewrite_domain(x, old, domain);
    }
    child->start_router = r->redirect_router;
    child->next = job->generated;
    job->generated = child;
    return ROUTE_REROUTED;
}

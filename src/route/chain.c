/*
 * The router chain: an address is offered to each router in turn until one takes it.
 *
 * An address that is taken, fails or defers is put on one of the job's lists, its message and errno
 * say why; children go on the generated list. All of it lives in the context's pool.
 */
#include "route/internal.h"

void route_append(struct address **list, struct address *a)
{
    while (*list) {
        list = &(*list)->next;
    }
    a->next = NULL;
    *list = a;
}

bool route_verifying(const struct route_job *job)
{
    return job->why == ROUTE_VERIFY_RECIPIENT || job->why == ROUTE_VERIFY_SENDER;
}

enum route_result route_defer(struct address *a, int basic_errno, struct str message)
{
    a->basic_errno = basic_errno;
    a->message = message;
    return ROUTE_DEFER;
}

enum route_result route_fail(struct address *a, struct str message)
{
    a->message = message;
    return ROUTE_FAIL;
}

struct str route_expand_error(struct ectx *x, const char *what, const struct etext *e)
{
    return str_fmt(x->pool, "failed to expand \"%.*s\" for %s: %.*s", STR_ARG(e->text), what,
                   STR_ARG(x->error));
}

/* ---- address structures ---- */

/* The local part as variables show it: RFC 5321 quoting undone. */
static struct str unquoted(struct pool *pool, struct str lp)
{
    if (lp.len < 2 || lp.p[0] != '"' || lp.p[lp.len - 1] != '"') {
        return lp;
    }
    struct buf b;
    buf_init(&b, pool, lp.len);
    b.tainted = lp.tainted;
    for (uint32_t i = 1; i + 1 < lp.len; i++) {
        i += lp.p[i] == '\\' && i + 2 < lp.len;
        buf_addc(&b, lp.p[i]);
    }
    return buf_str(&b);
}

/* The structure with its parts; tainted as the text is. */
static struct address *make_address(struct ectx *x, struct str address)
{
    struct address *a = POOL_NEW(x->pool, struct address);
    ptrdiff_t at = mailbox_at(address);
    struct str lp = at < 0 ? address : str_sub(address, 0, (size_t)at);
    struct str domain = at < 0 ? STR("") : str_from(address, (size_t)at + 1);
    a->cc_local_part = str_dup(x->pool, unquoted(x->pool, lp));
    a->local_part = str_lower(x->pool, a->cc_local_part);
    a->domain = str_lower(x->pool, domain);
    a->address = str_dup(x->pool, address);
    a->unique = STR_CAT(x->pool, lp, STR("@"), a->domain);
    a->vars.pool = x->pool;
    a->remove_headers.pool = x->pool;
    a->more_errno = 0;
    return a;
}

struct address *route_new_address(struct ectx *x, struct str address)
{
    return make_address(x, str_taint(address));
}

static void copy_vars(struct vars *to, const struct vars *from)
{
    for (struct map_entry *e = from->map ? map_first(from->map) : NULL; e; e = e->next) {
        vars_set(to, e->key, *(struct str *)e->value);
    }
}

/* How many ancestors have the same address: such children need names of their own. */
static int homonyms(const struct address *a)
{
    int n = 0;
    for (const struct address *p = a->parent; p; p = p->parent) {
        n += str_eqi(p->address, a->address);
    }
    return n;
}

struct address *route_child(struct ectx *x, struct address *parent, struct str address)
{
    struct address *a = make_address(x, address);
    a->parent = parent;
    a->address_data = parent->address_data;
    a->errors_to = parent->errors_to;
    a->errors_to_empty = parent->errors_to_empty;
    a->extra_headers = parent->extra_headers;
    for (size_t i = 0; i < parent->remove_headers.n; i++) {
        strvec_push(&a->remove_headers, parent->remove_headers.v[i]);
    }
    a->dsn_flags = parent->dsn_flags;
    a->dsn_orcpt = parent->dsn_orcpt;
    a->hide_child = parent->hide_child;
    copy_vars(&a->vars, &parent->vars);
    int same = homonyms(a);
    if (same) {
        a->unique = STR_CAT(x->pool, str_fmt(x->pool, "\\%d\\", same), a->unique);
    }
    parent->child_count++;
    return a;
}

/* ---- the chain ---- */

/* A router does not see an address that it made from the same address, or (no_repeat) from any. */
static bool loops(const struct router *r, const struct address *a)
{
    for (const struct address *p = a->parent; p; p = p->parent) {
        if (p->router == r && (r->no_repeat || str_eqi(p->address, a->address))) {
            return true;
        }
    }
    return false;
}

/* A boolean that is expanded; false with the address deferred. */
static bool truth(struct ectx *x, const struct router *r, const struct etext *e, const char *name,
                  bool dflt, struct address *a, bool *out)
{
    struct str s;
    *out = dflt;
    if (!e->tree) {
        return str_unset(e->text) || expand_truth(e->text, out);
    }
    if (!expand_option(x, e, &s)) {
        if (x->forced_fail) {
            return true;
        }
        a->message = str_fmt(x->pool, "failed to expand \"%.*s\" in %.*s router: %.*s",
                             STR_ARG(e->text), STR_ARG(r->name), STR_ARG(x->error));
        return false;
    }
    if (str_isi(s, "true") || str_isi(s, "yes") || str_isi(s, "false") || str_isi(s, "no")) {
        *out = s.p[0] == 't' || s.p[0] == 'T' || s.p[0] == 'y' || s.p[0] == 'Y';
        return true;
    }
    a->message = str_fmt(x->pool,
                         "\"%.*s\" is not a valid value for the \"%s\" option in the "
                         "%.*s router",
                         STR_ARG(s), name, STR_ARG(r->name));
    return false;
}

/* The variables of `set`; forced failure leaves one out. False with a->message. */
static bool set_variables(struct route_job *job, const struct router *r, struct address *a)
{
    struct ectx *x = job->x;
    struct str value;
    for (size_t i = 0; i < r->set.n; i++) {
        if (expand_option(x, &r->set.v[i], &value)) {
            vars_set(&a->vars, r->set_names[i], value);
            TRACE(TR_route, "set %.*s = '%.*s'", STR_ARG(r->set_names[i]), STR_ARG(value));
        } else if (!x->forced_fail) {
            a->message = str_fmt(x->pool, "expansion of \"%.*s\" failed in %.*s router: %.*s",
                                 STR_ARG(r->set.v[i].text), STR_ARG(r->name), STR_ARG(x->error));
            return false;
        }
    }
    return true;
}

/* What a driver said, other than that it routed the address. */
static void trace_refusal(const struct router *r, const struct address *a, enum route_result result)
{
    if (!trace_on(TR_route | TR_bh)) {
        return;
    }
    switch (result) {
    case ROUTE_DECLINE:
        trace_write("%.*s router declined for %.*s", STR_ARG(r->name), STR_ARG(a->address));
        break;
    case ROUTE_PASS:
        trace_write("%.*s router passed for %.*s", STR_ARG(r->name), STR_ARG(a->address));
        break;
    case ROUTE_FAIL: trace_write("%.*s router forced address failure", STR_ARG(r->name)); break;
    case ROUTE_DEFER:
    case ROUTE_ERROR:
        trace_write("%.*s router: defer for %.*s\n  message: %.*s", STR_ARG(r->name),
                    STR_ARG(a->address),
                    STR_ARG(str_unset(a->message) ? STR("<none>") : a->message));
        break;
    default: break;
    }
}

/* The end of a routing that worked. */
static void trace_routed(const struct route_job *job, const struct router *r,
                         const struct address *a, bool unseen)
{
    if (!trace_on(TR_route | TR_bh)) {
        return;
    }
    trace_write("routed by %.*s router%s", STR_ARG(r->name), unseen ? " (unseen)" : "");
    if (!trace_on(TR_route)) {
        return;
    }
    trace_write("  envelope to: %.*s\n  transport: %.*s", STR_ARG(a->address),
                STR_ARG(a->transport ? a->transport->name : STR("<none>")));
    for (const struct host *h = a->hosts; h; h = h->next) {
        struct str mx = h->mx >= 0 ? str_fmt(job->x->pool, " MX=%d", h->mx) : STR("");
        trace_write("  host %.*s [%.*s]%.*s", STR_ARG(h->name), STR_ARG(h->address), STR_ARG(mx));
    }
}

/* address_data, then the driver. */
static enum route_result run_driver(struct route_job *job, const struct router *r,
                                    struct address *a)
{
    struct ectx *x = job->x;
    struct str data;
    if (!set_variables(job, r, a)) {
        return route_defer(a, ERRNO_UNKNOWNERROR, a->message);
    }
    if (!str_unset(r->address_data.text)) {
        TRACE(TR_route, "processing address_data");
        if (expand_option(x, &r->address_data, &data)) {
            a->address_data = data;
        } else if (x->forced_fail) {
            TRACE(TR_route,
                  "forced failure in expansion of \"%.*s\" (address_data): decline action taken",
                  STR_ARG(r->address_data.text));
            return ROUTE_DECLINE;
        } else {
            return route_defer(a, ERRNO_UNKNOWNERROR,
                               str_fmt(x->pool, "expansion of \"%.*s\" failed in %.*s router: %.*s",
                                       STR_ARG(r->address_data.text), STR_ARG(r->name),
                                       STR_ARG(x->error)));
        }
    }
    TRACE(TR_route | TR_bh, "calling %.*s router", STR_ARG(r->name));
    if (!r->driver->no_transport) {
        TRACE(TR_route, "%.*s router called for %.*s\n  domain = %.*s", STR_ARG(r->name),
              STR_ARG(a->address), STR_ARG(a->domain));
    }
    enum route_result result = r->driver->route(job, r, a);
    trace_refusal(r, a, result);
    return result;
}

/* The verdict when no router is left: a message set on the way, what the last one says, or ours. */
static enum route_result out_of_routers(struct route_job *job, const struct router *last,
                                        struct address *a)
{
    struct ectx *x = job->x;
    struct str text = STR("Unrouteable address");
    if (str_unset(a->message)) {
        if (last && !str_unset(last->cannot_route_message.text) &&
            !expand_option(x, &last->cannot_route_message, &text)) {
            text = STR("Unrouteable address");
            if (!x->forced_fail) {
                log_msg(LOG_MAIN | LOG_PANIC, x->msg,
                        "failed to expand cannot_route_message in %.*s router: %.*s",
                        STR_ARG(last->name), STR_ARG(x->error));
            }
        }
        a->message = a->user_message = text;
    }
    a->router = NULL; /* no router is to blame, and no log line names one */
    return ROUTE_FAIL;
}

/* A copy of the address that goes on to the next router, a sister of the one handled here. */
static void clone_unseen(struct route_job *job, const struct router *r, struct address *a,
                         struct str address_data)
{
    struct address *copy = route_child(job->x, a->parent, a->address);
    copy->cc_local_part = a->cc_local_part;
    copy->address_data = address_data;
    copy->extra_headers = STR_NONE;
    copy->remove_headers = (struct strvec){.pool = job->x->pool};
    copy->start_router = r->next;
    copy->unseen_child = true;
    copy->next = job->generated;
    job->generated = copy;
}

static void note_result(struct route_job *job, enum route_result result, struct address *a)
{
    if (result == ROUTE_OK) {
        route_append(a->transport && !a->transport->local ? &job->remote : &job->local, a);
    } else if (result == ROUTE_FAIL) {
        a->outcome = ADDR_FAIL;
        route_append(&job->failed, a);
    } else if (result == ROUTE_DEFER || result == ROUTE_ERROR) {
        a->outcome = ADDR_DEFER;
        route_append(&job->deferred, a);
    } else if (result == ROUTE_DISCARD) {
        a->outcome = ADDR_DISCARD;
        route_append(&job->succeeded, a);
    }
}

/* same_domain_copy_routing: gives the waiting addresses of the domain the same transport and hosts. */
static void share_routing(struct route_job *job, const struct address *a)
{
    struct address **p = &job->waiting;
    if (!a->transport || a->transport->local || !str_empty(a->extra_headers) ||
        a->remove_headers.n) {
        return;
    }
    while (*p) {
        struct address *w = *p;
        if (!str_eqi(w->domain, a->domain) || w->start_router || w->outcome != ADDR_PENDING) {
            p = &w->next;
            continue;
        }
        *p = w->next;
        w->router = a->router;
        w->transport = a->transport;
        w->hosts = a->hosts;
        w->fallback_hosts = a->fallback_hosts;
        w->errors_to = a->errors_to;
        w->errors_to_empty = a->errors_to_empty;
        w->domain_data = a->domain_data;
        w->uid = a->uid;
        w->gid = a->gid;
        w->uid_set = a->uid_set;
        w->gid_set = a->gid_set;
        route_append(&job->remote, w);
    }
}

/* The address as the router is to see it. */
static void prepare(struct route_job *job, const struct router *r, struct address *a)
{
    a->router = r;
    a->local_part =
        r->caseful_local_part ? a->cc_local_part : str_lower(job->x->pool, a->cc_local_part);
    job->x->addr = a;
    job->x->router = r;
}

/* Which router to offer the address to after this one's answer; NULL ends the chain. */
static const struct router *next_router(struct route_job *job, const struct router *r,
                                        enum route_result *result, struct address *a)
{
    bool more;
    if (*result == ROUTE_PASS ||
        (*result == ROUTE_DEFER && r->pass_on_timeout && a->basic_errno == ERRNO_DNSDEFER)) {
        *result = ROUTE_PASS;
        return r->pass_router ? r->pass_router : r->next;
    }
    if (*result != ROUTE_DECLINE) {
        return NULL;
    }
    if (!truth(job->x, r, &r->more, "more", true, a, &more)) {
        *result = ROUTE_DEFER;
        return NULL;
    }
    if (!more) {
        TRACE(TR_route, "\"more\" is false: skipping remaining routers");
    }
    return more ? r->next : NULL;
}

/* fail_verify: whatever the router makes of the address, short of failure, is one. */
static bool must_not_verify(const struct route_job *job, const struct router *r,
                            enum route_result result)
{
    if (result != ROUTE_OK && result != ROUTE_REROUTED && result != ROUTE_DISCARD) {
        return false;
    }
    return route_verifying(job) &&
           (job->why == ROUTE_VERIFY_SENDER ? r->fail_verify_sender : r->fail_verify_recipient);
}

/* Runs one router whose preconditions hold. */
static enum route_result run_router(struct route_job *job, const struct router *r,
                                    struct address *a)
{
    bool unseen;
    if (!truth(job->x, r, &r->unseen, "unseen", false, a, &unseen)) {
        return ROUTE_DEFER;
    }
    struct address *routed = a;
    if (unseen && !route_verifying(job)) {
        /* the address itself becomes the parent of the copy that is handled here */
        routed = route_child(job->x, a, a->address);
        routed->local_part = a->local_part;
        routed->cc_local_part = a->cc_local_part;
        routed->prefix = a->prefix;
        routed->suffix = a->suffix;
        routed->prefix_v = a->prefix_v;
        routed->suffix_v = a->suffix_v;
        routed->domain_data = a->domain_data;
        routed->local_part_data = a->local_part_data;
        routed->home = a->home;
        routed->local_user_known = a->local_user_known;
        routed->local_user_uid = a->local_user_uid;
        routed->local_user_gid = a->local_user_gid;
        routed->local_user_home = a->local_user_home;
        routed->router = r;
        routed->unique = STR_CAT(job->x->pool, STR("\\"), r->name, STR("\\"), a->unique);
        job->x->addr = routed;
    }
    enum route_result result = run_driver(job, r, routed);
    bool done = result == ROUTE_OK || result == ROUTE_REROUTED || result == ROUTE_DISCARD;
    if (done && !must_not_verify(job, r, result)) {
        trace_routed(job, r, routed, unseen);
    }
    if (routed == a) {
        return result;
    }
    job->x->addr = a;
    if (result == ROUTE_DECLINE || result == ROUTE_PASS) {
        a->address_data = routed->address_data;
        copy_vars(&a->vars, &routed->vars);
        a->child_count--;
        return result;
    }
    note_result(job, result, routed);
    clone_unseen(job, r, routed, routed->address_data);
    TRACE(TR_route, "\"unseen\" set: replicated %.*s", STR_ARG(a->address));
    return ROUTE_REROUTED;
}

/* user%domain at a domain of percent_hack_domains: a child user@domain takes its place. */
static bool percent_hack(struct route_job *job, struct address *a)
{
    struct ectx *x = job->x;
    const struct etext *list = &route_settings(x->conf)->percent_hack_domains;
    struct str lp = a->cc_local_part, domain = a->domain;
    ptrdiff_t at;
    x->addr = a;
    while (!str_unset(list->text) && (at = str_rchr(lp, '%')) >= 0 &&
           match_domain(x, list, domain, NULL) == MATCH_YES) {
        domain = str_from(lp, (size_t)at + 1);
        lp = str_sub(lp, 0, (size_t)at);
    }
    if (lp.len == a->cc_local_part.len) {
        return false;
    }
    struct address *child = route_child(x, a, STR_CAT(x->pool, lp, STR("@"), domain));
    child->next = job->generated;
    job->generated = child;
    return true;
}

enum route_result route_address(struct route_job *job, struct address *a)
{
    struct ectx *x = job->x;
    const struct router *r = a->start_router ? a->start_router : x->conf->routers, *last = NULL;
    enum route_result result = ROUTE_DECLINE;
    if (a->kind != AK_NORMAL && a->transport) {
        note_result(job, ROUTE_OK, a); /* a pipe or file of a redirection: nothing to route */
        return ROUTE_OK;
    }
    if (percent_hack(job, a)) {
        return ROUTE_REROUTED;
    }
    if (a->unseen_child && !a->start_router) {
        r = NULL; /* it went on behind the last router */
    }
    TRACE(TR_route | TR_bh, ">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>\nrouting %.*s",
          STR_ARG(a->address));
    while (r) {
        if (loops(r, a)) {
            r = r->next;
            continue;
        }
        last = r;
        prepare(job, r, a);
        TRACE(TR_route, "--------> %.*s router <--------\nlocal_part=%.*s domain=%.*s",
              STR_ARG(r->name), STR_ARG(a->local_part), STR_ARG(a->domain));
        enum precondition p = route_preconditions(job, r, a);
        if (p == PRE_SKIP) {
            r = r->next;
            continue;
        }
        result = p == PRE_DEFER ? ROUTE_DEFER : run_router(job, r, a);
        r = next_router(job, r, &result, a);
    }
    if (result == ROUTE_DECLINE || result == ROUTE_PASS) {
        TRACE(TR_route | TR_bh, "no more routers");
        result = out_of_routers(job, last, a);
    } else if (must_not_verify(job, last, result)) {
        a->message = STR_CAT(x->pool, last->name, STR(" router forced verify failure"));
        job->generated = NULL;
        result = ROUTE_FAIL;
    }
    x->router = NULL;
    note_result(job, result, a);
    if (result == ROUTE_OK && a->share_routing && job->why == ROUTE_DELIVER) {
        share_routing(job, a);
    }
    return result;
}

/*
 * Local deliveries: addresses that may share a call are put together, each call runs under the
 * identity its transport and address ask for, and a shadow transport follows a success.
 *
 * A delivered address is journalled as soon as the transport returns, before anything is logged.
 */
#include "queue/internal.h"

void queue_cannot_call(struct job *j, struct address *list, int why, struct str message)
{
    log_msg(LOG_MAIN | LOG_PANIC, j->m, "%.*s", STR_ARG(message));
    for (struct address *a = list; a; a = a->next) {
        a->outcome = ADDR_DEFER;
        a->basic_errno = why;
        a->message = message;
    }
}

/* Defers the addresses because the user or group of their transport could not be found. */
static bool no_id(struct job *j, struct delivery *d, const struct idopt *o, bool group)
{
    const char *what = group ? "group" : "user";
    struct str name = d->transport->name, error = j->x.error;
    struct str text =
        str_starts(error, "Failed to find")
            ? str_fmt(j->pool, "%.*s for the %.*s transport", STR_ARG(error), STR_ARG(name))
            : str_fmt(j->pool, "Failed to expand %s string \"%.*s\" for the %.*s transport: %.*s",
                      what, STR_ARG(o->text.text), STR_ARG(name), STR_ARG(error));
    queue_cannot_call(j, d->addrs, group ? ERRNO_GIDFAIL : ERRNO_UIDFAIL, text);
    return false;
}

static bool listed(const struct idlist *l, uint32_t id)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->ids[i] == id) {
            return true;
        }
    }
    return false;
}

/* Root, unless we are root for want of another user, and never_users may not be delivered as. */
static bool user_allowed(struct job *j, const struct delivery *d, bool explicit_user)
{
    const char *list = NULL;
    if (d->uid == 0 && explicit_user) {
        list = "fixed_never_users";
    } else if (listed(&core_settings(j->conf)->never_users, d->uid)) {
        list = "never_users";
    }
    if (!list) {
        return true;
    }
    struct str text = str_fmt(j->pool, "User %u set for %.*s transport is on the %s list", d->uid,
                              STR_ARG(d->transport->name), list);
    queue_cannot_call(j, d->addrs, ERRNO_UIDFAIL, text);
    return false;
}

/* With deliver_drop_privilege nobody but ourselves can be delivered as. */
static bool within_reach(struct job *j, struct delivery *d)
{
    uint32_t uid = priv_work_uid(j->conf), gid = priv_work_gid(j->conf);
    if (!core_settings(j->conf)->deliver_drop_privilege || (d->uid == uid && d->gid == gid)) {
        return true;
    }
    log_msg(
        LOG_MAIN | LOG_PANIC, j->m,
        "unable to set gid=%u or uid=%u (euid=%u): local delivery to %.*s <%.*s> transport=%.*s",
        d->gid, d->uid, uid, STR_ARG(d->addrs->local_part), STR_ARG(d->addrs->address),
        STR_ARG(d->transport->name));
    for (struct address *a = d->addrs; a; a = a->next) {
        a->outcome = ADDR_DEFER;
        a->basic_errno = -1;
    }
    queue_freeze(j, STR(""));
    return false;
}

/* Who the delivery runs as: the transport's user and group, the address's, or our own. */
static bool find_identity(struct job *j, struct delivery *d)
{
    const struct transport *t = d->transport;
    const struct address *a = d->addrs;
    bool explicit_user = t->user.set || a->uid_set, gid_known = false;
    d->uid = priv_work_uid(j->conf);
    d->gid = priv_work_gid(j->conf);
    if (t->user.set) {
        if (!route_find_user(&j->x, &t->user, &d->uid, &d->gid, &gid_known)) {
            return no_id(j, d, &t->user, false);
        }
        if (t->user_gid_known) {
            d->gid = t->user_gid;
            gid_known = true;
        }
    } else if (t->pipe_as_creator) {
        d->uid = j->m->originator_uid;
    } else if (a->uid_set) {
        d->uid = a->uid;
    }
    if (t->group.set) {
        if (!route_find_group(&j->x, &t->group, &d->gid)) {
            return no_id(j, d, &t->group, true);
        }
    } else if (a->gid_set && !gid_known) {
        d->gid = a->gid;
    } else if (t->pipe_as_creator && !t->user.set) {
        d->gid = j->m->originator_gid;
    } else if (explicit_user && !gid_known) {
        queue_cannot_call(
            j, d->addrs, ERRNO_GIDFAIL,
            str_fmt(j->pool, "User set without group for %.*s transport", STR_ARG(t->name)));
        return false;
    }
    return user_allowed(j, d, explicit_user) && within_reach(j, d);
}

/* One of home and current directory, expanded; false after deferring the addresses. */
static bool directory(struct job *j, struct delivery *d, const struct etext *option,
                      const char *what, struct str *out)
{
    struct str s, name = d->transport->name;
    if (!expand_option(&j->x, option, &s)) {
        queue_cannot_call(j, d->addrs, ERRNO_EXPANDFAIL,
                          str_fmt(j->pool,
                                  "%s directory \"%.*s\" failed to expand for %.*s transport: %.*s",
                                  what, STR_ARG(option->text), STR_ARG(name), STR_ARG(j->x.error)));
        return false;
    }
    if (!str_starts(s, "/")) {
        queue_cannot_call(j, d->addrs, ERRNO_NOTABSOLUTE,
                          str_fmt(j->pool,
                                  "%s directory path \"%.*s\" is not absolute for %.*s transport",
                                  what, STR_ARG(s), STR_ARG(name)));
        return false;
    }
    *out = s;
    return true;
}

/* Where the delivery is at home and where it works: by the transport, else by the router. */
static bool find_directories(struct job *j, struct delivery *d)
{
    const struct transport *t = d->transport;
    const struct address *a = d->addrs;
    const struct etext *home =
        str_unset(t->home_directory.text) ? a->home_option : &t->home_directory;
    const struct etext *cwd =
        str_unset(t->current_directory.text) ? a->cwd_option : &t->current_directory;
    d->home = a->home;
    if (home && !directory(j, d, home, "home", &d->home)) {
        return false;
    }
    d->cwd = str_empty(d->home) ? STR("/") : d->home;
    return !cwd || directory(j, d, cwd, "current", &d->cwd);
}

/* The same text, or none. */
static bool same_option(const struct etext *a, const struct etext *b)
{
    return a == b || (a && b && str_eq(a->text, b->text));
}

static struct address *copy_list(struct job *j, const struct address *list)
{
    struct address *first = NULL, **tail = &first;
    for (; list; list = list->next) {
        struct address *a = POOL_NEW(j->pool, struct address);
        *a = *list;
        a->outcome = ADDR_PENDING;
        a->message = a->confirmation = STR_NONE;
        a->basic_errno = a->more_errno = 0;
        *tail = a;
        tail = &a->next;
    }
    *tail = NULL;
    return first;
}

/* shadow_condition: anything but the four words for no; one that cannot be expanded says no. */
static bool shadow_wanted(struct job *j, const struct transport *t)
{
    const struct etext *e = &t->shadow_condition;
    struct str s;
    if (str_unset(e->text)) {
        return true;
    }
    if (!expand_option(&j->x, e, &s)) {
        if (!j->x.forced_fail) {
            log_msg(LOG_MAIN | LOG_PANIC, j->m,
                    "failed to expand condition \"%.*s\" for %.*s transport: %.*s",
                    STR_ARG(e->text), STR_ARG(t->name), STR_ARG(j->x.error));
        }
        return false;
    }
    return !str_empty(s) && !str_is(s, "0") && !str_isi(s, "no") && !str_isi(s, "false");
}

/* Delivers a copy through the shadow transport; its fate is only noted in the log. */
static void shadow(struct job *j, const struct delivery *d)
{
    const struct transport *t = d->transport;
    const struct transport *other = t->shadow;
    if (!other || !shadow_wanted(j, t)) {
        return;
    }
    struct delivery s = *d;
    s.transport = other;
    s.addrs = copy_list(j, d->addrs);
    s.hooks = NULL;
    for (struct address *a = s.addrs; a; a = a->next) {
        a->transport = other;
    }
    j->x.dlv = &s;
    if (find_identity(j, &s) && find_directories(j, &s)) {
        hand_local(&j->x, &s);
    }
    const struct address *result = s.addrs;
    for (struct address *a = d->addrs; a && result; a = a->next, result = result->next) {
        struct str why = result->message.p         ? result->message
                         : result->basic_errno > 0 ? str_c(strerror(result->basic_errno))
                                                   : STR("unknown error");
        a->note->shadow = result->outcome == ADDR_OK ? STR_CAT(j->pool, STR(" ST="), other->name)
                                                     : STR_CAT(j->pool, STR(" ST="), other->name,
                                                               STR(" ("), why, STR(")"));
    }
}

static void call(struct job *j, struct delivery *d)
{
    struct address *a = d->addrs;
    struct timespec start = time_now();
    j->x.addr = a;
    j->x.dlv = d;
    if (find_identity(j, d) && find_directories(j, d)) {
        hand_local(&j->x, d);
    }
    struct timespec end = time_now();
    bool all_well = true;
    for (; a; a = a->next) {
        a->tried = start;
        a->ended = end;
        if (a->outcome == ADDR_OK || a->outcome == ADDR_DISCARD) {
            a->outcome = ADDR_OK;
            queue_journal(j, a);
        } else {
            all_well = false;
        }
        if (a->basic_errno == ERRNO_QUOTA && str_unset(a->user_message)) {
            a->user_message = STR("mailbox is full");
        }
    }
    if (all_well) {
        shadow(j, d);
    }
    j->x.dlv = NULL;
}

/* Delivers one batch and ends its addresses. */
static void deliver_batch(struct job *j, struct address *batch)
{
    struct delivery d;
    queue_prepare(j, &d, batch->transport, batch);
    if (queue_return_path(j, batch, &d.return_path)) {
        for (struct address *a = batch; a; a = a->next) {
            queue_note(j, a)->return_path = d.return_path;
        }
        j->m->return_path = d.return_path;
        call(j, &d);
    }
    bool first = true;
    for (struct address *a = batch, *next; a; a = next) {
        next = a->next;
        if (a->outcome == ADDR_OK) {
            a->note->additional = !first;
            first = false;
        }
        queue_finish(j, a, STAGE_TRANSPORT);
    }
    j->x.addr = NULL;
}

/* True if an expandable option of the transport uses a variable whose name begins so. */
static bool depends_on(const struct option *rows, const void *base, const char *variable)
{
    for (const struct option *row = rows; row && row->type != OPT_END; row++) {
        if (row->type == OPT_EXPAND) {
            const struct etext *e = (const void *)((const char *)base + row->offset);
            if (str_find(e->text, str_c(variable)) >= 0) {
                return true;
            }
        }
    }
    return false;
}

static bool transport_uses(const struct transport *t, const char *variable)
{
    return depends_on(transport_options, t, variable) ||
           depends_on(t->driver->options, t->opts, variable);
}

static bool same_headers(const struct address *a, const struct address *b)
{
    if (!str_eq(a->extra_headers, b->extra_headers) || a->remove_headers.n != b->remove_headers.n) {
        return false;
    }
    for (size_t i = 0; i < a->remove_headers.n; i++) {
        if (!str_eqi(a->remove_headers.v[i], b->remove_headers.v[i])) {
            return false;
        }
    }
    return true;
}

static struct str batch_id(struct job *j, struct address *a)
{
    struct str id = STR_NONE;
    j->x.addr = a;
    return expand_option(&j->x, &a->transport->batch_id, &id) ? id : a->unique;
}

/* What must agree for two addresses to share a call. */
static bool may_share(struct job *j, struct address *a, struct address *b, bool same_domain)
{
    if (a->transport != b->transport || a->kind != b->kind || a->uid_set != b->uid_set ||
        a->gid_set != b->gid_set || (a->uid_set && a->uid != b->uid) ||
        (a->gid_set && a->gid != b->gid) || a->initgroups != b->initgroups ||
        (a->kind != AK_NORMAL && !str_eq(a->address, b->address)) ||
        (same_domain && !str_eq(a->domain, b->domain)) || !str_eq(a->home, b->home) ||
        !same_option(a->home_option, b->home_option) ||
        !same_option(a->cwd_option, b->cwd_option) || !str_eq(a->errors_to, b->errors_to) ||
        a->errors_to_empty != b->errors_to_empty || !same_headers(a, b)) {
        return false;
    }
    return str_unset(a->transport->batch_id.text) || str_eq(batch_id(j, a), batch_id(j, b));
}

/* Takes the first address off j->local, and those that may go with it. */
static struct address *take_batch(struct job *j)
{
    struct address *first = j->local, **tail = &first->next;
    struct address *rest = first->next, *kept = NULL, **kept_tail = &kept;
    const struct transport *t = first->transport;
    int room = t && t->batch_max > 1 && !transport_uses(t, "$local_part") &&
                       !transport_uses(t, "${local_part")
                   ? t->batch_max - 1
                   : 0;
    bool same_domain = room && transport_uses(t, "$domain");
    for (struct address *a = rest; a && room; a = rest) {
        rest = a->next;
        bool join = may_share(j, first, a, same_domain) && queue_size_allowed(j, a) &&
                    retry_may_deliver(j, a);
        struct address ***end = join ? &tail : &kept_tail;
        room -= join;
        **end = a;
        *end = &a->next;
    }
    *tail = NULL;
    *kept_tail = rest;
    j->local = kept ? kept : rest;
    return first;
}

bool queue_bypass(struct job *j, struct address *a)
{
    static const struct transport none = {.name = STR_INIT("**bypassed**"), .local = true};
    if (!j->m->dont_deliver && (a->kind != AK_FILE || !str_is(a->address, "/dev/null"))) {
        return false;
    }
    a->outcome = ADDR_OK;
    if (!j->m->dont_deliver) {
        a->transport = &none;
    }
    queue_finish(j, a, STAGE_TRANSPORT);
    return true;
}

void queue_deliver_local(struct job *j)
{
    while (j->local) {
        struct address *a = j->local, *next = a->next;
        if (queue_bypass(j, a)) {
            j->local = next;
        } else if (!a->transport) {
            j->local = next;
            a->outcome = ADDR_DEFER;
            a->basic_errno = ERRNO_BADTRANSPORT;
            a->message = STR("No transport set by router");
            queue_finish(j, a, STAGE_ROUTER);
        } else if (!queue_size_allowed(j, a) || !retry_may_deliver(j, a)) {
            j->local = next;
            queue_finish(j, a, STAGE_TRANSPORT);
        } else {
            deliver_batch(j, take_batch(j));
        }
    }
}

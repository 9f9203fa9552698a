/*
 * Remote deliveries: addresses for the same transport and hosts go in one call. The transport tells
 * through hooks which hosts failed (retry.c) and which recipients were accepted; these are
 * journalled before the peer hears anything else.
 */
#include "queue/internal.h"

/* A recipient was accepted by the peer for good. */
static void delivered(struct delivery *d, struct address *a)
{
    struct job *j = d->owner;
    struct queue_note *n = queue_note(j, a);
    a->ended = time_now();
    n->sending_ip = d->sending_ip;
    n->sending_port = d->sending_port;
    queue_journal(j, a);
}

static const struct delivery_hooks hooks = {
    .host_check = retry_host_check,
    .host_failed = retry_host_failed,
    .host_worked = retry_host_worked,
    .others_wait = waiting_others,
    .waits = waiting_noted,
    .delivered = delivered,
    .submit = report_submit,
};

void queue_prepare(struct job *j, struct delivery *d, const struct transport *t,
                   struct address *addrs)
{
    *d = (struct delivery){
        .pool = j->pool,
        .msg = j->m,
        .addrs = addrs,
        .transport = t,
        .uid = priv_work_uid(j->conf),
        .gid = priv_work_gid(j->conf),
        .hooks = &hooks,
        .owner = j,
    };
}

bool queue_return_path(struct job *j, struct address *a, struct str *out)
{
    struct str path = a->errors_to_empty         ? STR("")
                      : !str_unset(a->errors_to) ? a->errors_to
                                                 : j->m->sender;
    j->m->return_path = path;
    *out = path;
    if (!a->transport || str_unset(a->transport->return_path.text)) {
        return true;
    }
    j->x.addr = a;
    if (expand_option(&j->x, &a->transport->return_path, out)) {
        return true;
    }
    *out = path;
    if (j->x.forced_fail) {
        return true;
    }
    queue_cannot_call(j, a, ERRNO_EXPANDFAIL,
                      str_fmt(j->pool,
                              "Failed to expand return path \"%.*s\" in %.*s transport: %.*s",
                              STR_ARG(a->transport->return_path.text), STR_ARG(a->transport->name),
                              STR_ARG(j->x.error)));
    return false;
}

bool queue_size_allowed(struct job *j, struct address *a)
{
    const struct transport *t = a->transport;
    struct str text;
    int64_t limit = 0;
    if (str_unset(t->message_size_limit.text) || str_is(t->message_size_limit.text, "0")) {
        return true;
    }
    j->x.addr = a;
    if (!expand_option(&j->x, &t->message_size_limit, &text) ||
        !expand_number(&j->x, text, &limit)) {
        a->outcome = ADDR_DEFER;
        a->basic_errno = ERRNO_UNKNOWNERROR;
        a->message = str_fmt(j->pool, "failed to expand message_size_limit in %.*s transport: %.*s",
                             STR_ARG(t->name), STR_ARG(j->x.error));
        return false;
    }
    if (limit <= 0 || j->m->size <= limit) {
        return true;
    }
    a->outcome = ADDR_FAIL;
    a->message = str_fmt(j->pool, "message is too big (transport limit = %lld)", (long long)limit);
    return false;
}

static bool same_hosts(const struct host *a, const struct host *b)
{
    for (; a && b; a = a->next, b = b->next) {
        if (a == b) {
            return true;
        }
        if (!str_eqi(a->name, b->name) || !str_eq(a->address, b->address) || a->port != b->port ||
            (a->mx != b->mx && a->mx != MX_NONE && b->mx != MX_NONE)) {
            return false;
        }
    }
    return !a && !b;
}

static bool same_removed(const struct address *a, const struct address *b)
{
    if (a->remove_headers.n != b->remove_headers.n) {
        return false;
    }
    for (size_t i = 0; i < a->remove_headers.n; i++) {
        if (!str_eqi(a->remove_headers.v[i], b->remove_headers.v[i])) {
            return false;
        }
    }
    return true;
}

/* What must agree for two addresses to go to a host together. */
static bool may_share(const struct address *a, const struct address *b)
{
    return a->transport == b->transport && same_hosts(a->hosts, b->hosts) &&
           str_eq(a->errors_to, b->errors_to) && a->errors_to_empty == b->errors_to_empty &&
           str_eq(a->extra_headers, b->extra_headers) && same_removed(a, b) &&
           a->uid_set == b->uid_set && a->uid == b->uid && a->gid == b->gid;
}

/* A number that is an option of the transport's driver; a large one if it is unset or unknown. */
static int limit_of(const struct transport *t, const char *option)
{
    const struct option *row = opt_find(t->driver->options, str_c(option));
    if (!row || row->type != OPT_INT) {
        return INT32_MAX;
    }
    int n = *(const int *)(const void *)((const char *)t->opts + row->offset);
    return n > 0 ? n : INT32_MAX;
}

/*
 * How many addresses one process delivers of `total`: as many as go in a transaction, or so many
 * that all processes have something to do, over one connection.
 */
static int share(const struct transport *t, int total, int processes)
{
    int64_t once = limit_of(t, "max_rcpt"), all = processes > 1 ? total / processes : 1;
    int64_t most = once * limit_of(t, "connection_max_messages");
    return (int)(once == 1 || once >= all ? once : all < most ? all : most);
}

/* DANE may be used with a host, whose certificate may then be known by the domain's name. */
static bool one_domain(struct job *j, const struct address *a)
{
    struct ectx x;
    ectx_init(&x, j->conf, j->pool);
    x.msg = j->m;
    for (const struct host *h = a->hosts; h; h = h->next) {
        if (smtp_tls_wants_dane(&x, a->transport, h)) {
            return true;
        }
    }
    return false;
}

/* Takes the first remote address and those that go with it, at most `room`. */
static struct address *take_group(struct job *j, int room)
{
    struct address *first = j->remote, **tail = &first->next;
    struct address *kept = NULL, **kept_tail = &kept;
    room--;
    bool several = true;
    j->x.addr = first;
    expand_bool_option(&j->x, &first->transport->multi_domain, true, &several);
    bool alone = !several || one_domain(j, first);
    for (struct address *a = first->next, *next; a; a = next) {
        next = a->next;
        bool join =
            room > 0 && may_share(first, a) && (!alone || str_eqi(first->domain, a->domain));
        struct address ***end = join ? &tail : &kept_tail;
        room -= join;
        **end = a;
        *end = &a->next;
    }
    *tail = *kept_tail = NULL;
    j->remote = kept;
    return first;
}

/* Puts a deferred address with fallback hosts back in line, once. */
static bool fall_back(struct job *j, struct address *a)
{
    if (a->outcome != ADDR_DEFER || !a->fallback_hosts) {
        return false;
    }
    a->hosts = a->fallback_hosts;
    a->fallback_hosts = NULL;
    a->outcome = ADDR_PENDING;
    a->basic_errno = a->more_errno = 0;
    a->message = STR_NONE;
    a->host_used = NULL;
    queue_put(&j->fallback, a);
    return true;
}

struct address *remote_cut(struct address *list, struct address **rest)
{
    struct address *last = list;
    for (int n = limit_of(list->transport, "max_rcpt"); n > 1 && last->next; n--) {
        last = last->next;
    }
    *rest = last->next;
    last->next = NULL;
    return list;
}

void remote_finish(struct job *j, struct address *group)
{
    bool first = true;
    for (struct address *a = group, *next; a; a = next) {
        next = a->next;
        if (queue_note(j, a)->left_alone) {
            queue_put(&j->deferred, a);
            continue;
        }
        if (a->outcome == ADDR_OK) {
            queue_journal(j, a);
            queue_note(j, a)->additional = !first;
            first = false;
        }
        if (!fall_back(j, a)) {
            queue_finish(j, a, STAGE_TRANSPORT);
        }
    }
}

/* What is known when a delivery is over, whatever came of it. */
static void complete_facts(struct job *j, const struct delivery *d, struct address *group)
{
    struct timespec end = time_now();
    for (struct address *a = group; a; a = a->next) {
        struct queue_note *n = queue_note(j, a);
        if (str_unset(n->sending_ip)) {
            n->sending_ip = d->sending_ip;
            n->sending_port = d->sending_port;
        }
        if (!a->ended.tv_sec) {
            a->ended = end;
        }
    }
}

void remote_deliver(struct job *j, struct address *group, bool more)
{
    struct delivery d;
    struct timespec start = time_now();
    queue_prepare(j, &d, group->transport, group);
    struct vec *failures = POOL_NEW(j->pool, struct vec);
    failures->pool = j->pool;
    j->group = failures;
    d.keep_open = more || (!j->forked && (j->flags & DELIVER_QUEUE_RUN) != 0);
    d.only_kept = (j->flags & DELIVER_CONTINUED) != 0;
    bool ready = queue_return_path(j, group, &d.return_path);
    for (struct address *a = group; a; a = a->next) {
        a->tried = start;
        queue_note(j, a)->group = failures;
        if (ready) {
            queue_note(j, a)->return_path = d.return_path;
        }
    }
    if (ready && j->m->dont_deliver) {
        for (struct address *a = group; a; a = a->next) {
            a->outcome = ADDR_OK;
        }
    } else if (ready) {
        j->m->return_path = d.return_path;
        j->x.addr = group;
        j->x.dlv = &d;
        group->transport->driver->deliver(&j->x, &d);
        j->x.dlv = NULL;
        j->x.addr = NULL;
    }
    complete_facts(j, &d, group);
    for (struct address *a = group; a && d.only_kept; a = a->next) {
        bool untouched = d.passed_over && a->outcome == ADDR_DEFER && !a->host_used;
        queue_note(j, a)->left_alone = untouched;
        j->continued |= !untouched;
    }
}

/* All of a list that goes to the same hosts, one transaction after the other. */
static void deliver_here(struct job *j, struct address *list)
{
    while (list) {
        struct address *group = remote_cut(list, &list);
        remote_deliver(j, group, list || j->remote);
        remote_finish(j, group);
    }
}

/*
 * Everything that is ready. What goes to one place, the usual case, is delivered by this process;
 * several lists of addresses are delivered at the same time (remote_max_parallel).
 */
static void deliver_ready(struct job *j)
{
    struct parallel *p = NULL;
    bool alone = j->m->dont_deliver || (j->flags & DELIVER_CONTINUED) != 0;
    int limit = alone ? 1 : j->set->remote_max_parallel, total = 0;
    for (const struct address *a = j->remote; a; a = a->next) {
        total++;
    }
    while (j->remote) {
        struct address *list = take_group(j, share(j->remote->transport, total, limit));
        bool together = limit > 1 && (p || j->remote);
        if (!together || !parallel_start(j, &p, list, limit)) {
            deliver_here(j, list);
        }
    }
    parallel_finish(p);
}

/*
 * Remote deliveries that are not wanted now: queue runs for local deliveries alone (-ql), messages
 * whose SMTP deliveries are to wait (-odqs), queue_smtp_domains.
 */
static bool held_back(struct job *j, struct address *a)
{
    bool run = (j->flags & DELIVER_QUEUE_RUN) != 0, local = (j->flags & DELIVER_LOCAL_ONLY) != 0;
    j->x.addr = a;
    if (run && local) {
        a->basic_errno = ERRNO_LOCAL_ONLY;
        a->message = STR("remote deliveries suppressed");
    } else if (local) {
        a->basic_errno = 0;
        a->message = STR("SMTP delivery explicitly queued");
    } else if (!run && !(j->flags & DELIVER_FORCE) && !str_empty(j->set->queue_smtp_domains.text) &&
               match_domain(&j->x, &j->set->queue_smtp_domains, a->domain, NULL) == MATCH_YES) {
        a->basic_errno = ERRNO_UNKNOWNERROR;
        a->message =
            STR("first-pass only routing due to -odqs, queue_smtp_domains or control=queue");
    } else {
        return false;
    }
    if (!run) {
        waiting_note(j, a->transport, a->hosts);
    }
    a->outcome = ADDR_DEFER;
    a->no_retry = true;
    queue_finish(j, a, STAGE_TRANSPORT);
    return true;
}

/* True if an address may go over the kept connection, as far as its transport and hosts tell. */
static bool may_continue(const struct address *a)
{
    struct smtp_kept to;
    const struct host *h = a->hosts;
    if (!smtp_kept(&to) || !str_eq(a->transport->name, to.transport)) {
        return false;
    }
    while (h && !str_eqi(h->name, to.host)) {
        h = h->next;
    }
    return h || !a->hosts;
}

/* Of a message that may use the kept connection alone: the rest waits, without a word. */
static bool left_alone(struct job *j, struct address *a)
{
    if (!(j->flags & DELIVER_CONTINUED) || may_continue(a)) {
        return false;
    }
    a->outcome = ADDR_DEFER;
    a->no_retry = true;
    queue_put(&j->deferred, a);
    return true;
}

/* Hangs a list behind *tail; returns the new end. */
static struct address **append(struct address **tail, struct address *list)
{
    *tail = list;
    while (*tail) {
        tail = &(*tail)->next;
    }
    return tail;
}

/*
 * Moves what matches to *tail. What comes after the last match is left in front of what was passed
 * over before: the order Exim leaves the rest in.
 */
static struct address **sort_out(struct job *j, struct str item, struct address **tail)
{
    struct address *passed = NULL, *run = NULL, **passed_tail = &passed, **run_tail = &run;
    for (struct address *a = j->remote, *next; a; a = next) {
        next = a->next;
        a->next = NULL;
        if (match_text(&j->x, LIST_DOMAINS, item, a->domain, true, NULL) == MATCH_YES) {
            tail = append(tail, a);
            passed_tail = append(passed_tail, run);
            run = NULL;
            run_tail = &run;
        } else {
            run_tail = append(run_tail, a);
        }
    }
    *run_tail = passed;
    j->remote = run;
    return tail;
}

/* Moves addresses whose domain is on remote_sort_domains to the front, in the list's order. */
static void sort_remote(struct job *j)
{
    struct str rest = j->set->remote_sort_domains.text, item;
    struct address *sorted = NULL, **tail = &sorted;
    int sep = 0;
    if (str_empty(rest) || !expand_option(&j->x, &j->set->remote_sort_domains, &rest)) {
        return;
    }
    while (list_next(j->pool, &rest, &sep, &item)) {
        tail = sort_out(j, item, tail);
    }
    *tail = j->remote;
    j->remote = sorted;
}

void queue_deliver_remote(struct job *j)
{
    struct address *ready = NULL, **tail = &ready;
    for (struct address *a = j->remote, *next; a; a = next) {
        next = a->next;
        a->next = NULL;
        if (left_alone(j, a)) {
            continue;
        }
        if (!queue_size_allowed(j, a)) {
            queue_finish(j, a, STAGE_TRANSPORT);
        } else if (!held_back(j, a)) {
            *tail = a;
            tail = &a->next;
        }
    }
    j->remote = ready;
    sort_remote(j);
    for (int pass = 0; pass < 2; pass++) {
        deliver_ready(j);
        j->remote = j->fallback;
        j->fallback = NULL;
    }
}

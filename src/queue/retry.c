/*
 * Retry state: what the hints database says about addresses and hosts before they are tried, what
 * this attempt found out, and the records that follow from it.
 *
 * Keys: "R:domain" or "R:local@domain" for routing and refused recipients ("R:local@domain:<sender>"
 * for the latter), "T:local@domain" for local deliveries, "T:host:ip[:port][:message]" for hosts.
 * Nothing is written when nothing is to be recorded: a record is only removed if it was seen.
 */
#include "queue/internal.h"

#include <errno.h>
#include <stdlib.h>

static struct hints *database(struct job *j)
{
    if (!j->retry_opened) {
        j->retry_opened = true;
        j->retry = hints_open(j->conf, "retry");
    }
    return j->retry;
}

bool retry_get(struct job *j, struct str key, struct retry_record *r)
{
    struct hints *h = database(j);
    struct str data;
    return h && hints_get(h, j->pool, key, &data) && retry_decode(data, r) &&
           (int64_t)time(NULL) - r->last <= j->set->retry_data_expire;
}

bool retry_message_too_old(struct job *j, const struct retry_record *r, struct str key,
                           struct str alternate)
{
    const struct retry_rule *rule =
        retry_find_rule(&j->x, key, alternate, r->basic_errno, r->more_errno, j->m->sender);
    return rule && rule->n && queue_age(j->m) > retry_ultimate(rule);
}

/* True if queue runs respect retry times for addresses: forced and first attempts do not. */
static bool times_count(const struct job *j)
{
    return (j->flags & (DELIVER_QUEUE_RUN | DELIVER_CONTINUED)) && !(j->flags & DELIVER_FORCE);
}

struct retry_change *retry_note(struct job *j, const struct retry_change *c)
{
    struct retry_change *kept = map_count(j->changes) ? map_get(j->changes, c->key) : NULL;
    if (!kept) {
        kept = POOL_NEW(j->pool, struct retry_change);
        map_set(j->changes, c->key, kept);
    }
    *kept = *c;
    return kept;
}

static void note_removal(struct job *j, struct str key)
{
    retry_note(j, &(struct retry_change){.key = key, .remove = true});
}

static void make_keys(struct job *j, struct address *a)
{
    struct queue_note *n = queue_note(j, a);
    n->domain_key = STR_CAT(j->pool, STR("R:"), a->domain);
    n->address_key = STR_CAT(j->pool, STR("R:"), a->local_part, STR("@"), a->domain);
    n->sender_key = STR_CAT(j->pool, n->address_key, STR(":<"), j->m->sender, STR(">"));
}

bool retry_may_route(struct job *j, struct address *a)
{
    struct retry_record domain, address;
    struct queue_note *n = queue_note(j, a);
    int64_t now = time(NULL);
    if (!database(j)) {
        make_keys(j, a);
        return true;
    }
    make_keys(j, a);
    n->had_domain = retry_get(j, n->domain_key, &domain);
    n->had_address = retry_get(j, n->address_key, &address);
    n->had_sender = !n->had_address && retry_get(j, n->sender_key, &address);
    if (!times_count(j)) {
        return true;
    }
    bool wait = n->had_domain && now < domain.next && !domain.expired;
    if (!wait && (n->had_address || n->had_sender) && now < address.next) {
        struct str key = str_from(n->address_key, 2);
        wait = !retry_message_too_old(j, &address, key, a->domain);
    }
    if (wait) {
        a->outcome = ADDR_DEFER;
        a->basic_errno = ERRNO_RRETRY;
        a->message = STR("retry time not reached");
    }
    return !wait;
}

void retry_note_routed(struct job *j, struct address *a)
{
    const struct queue_note *n = a->note;
    if (n && n->had_domain) {
        note_removal(j, n->domain_key);
    }
    if (n && n->had_address) {
        note_removal(j, n->address_key);
    }
    if (n && n->had_sender) {
        note_removal(j, n->sender_key);
    }
}

/* Key of a local delivery. */
static struct str local_key(struct job *j, const struct address *a)
{
    if (a->kind != AK_NORMAL) {
        struct str parent = a->parent ? a->parent->address : STR("");
        return STR_CAT(j->pool, STR("T:"), a->address, STR(":"), parent);
    }
    return a->transport->retry_use_local_part
               ? STR_CAT(j->pool, STR("T:"), a->local_part, STR("@"), a->domain)
               : STR_CAT(j->pool, STR("T:"), a->domain);
}

bool retry_may_deliver(struct job *j, struct address *a)
{
    struct queue_note *n = queue_note(j, a);
    struct retry_record r;
    n->local_key = local_key(j, a);
    n->had_local = retry_get(j, n->local_key, &r);
    if (!times_count(j) || !n->had_local || (int64_t)time(NULL) >= r.next ||
        retry_message_too_old(j, &r, str_from(n->local_key, 2), a->domain)) {
        return true;
    }
    a->outcome = ADDR_DEFER;
    a->basic_errno = ERRNO_LRETRY;
    a->message = STR("Retry time not yet reached");
    return false;
}

/* The reason as it is recorded: a host's own words with its name. */
static struct str error_text(struct job *j, const struct address *a)
{
    const struct host *h = a->host_used;
    if (str_unset(a->message) && a->basic_errno > 0) {
        return str_c(strerror(a->basic_errno));
    }
    return !h || str_unset(a->message) ? a->message
                                       : STR_CAT(j->pool, STR("H="), h->name, STR(" ["), h->address,
                                                 STR("]: "), a->message);
}

/* With where the host came from, which retry rules may ask. */
static int more_of(const struct address *a)
{
    const struct host *h = a->host_used;
    return a->more_errno | (!h ? 0 : h->mx != MX_NONE ? ERRNO_FROM_MX : ERRNO_FROM_A);
}

static void note_failure(struct job *j, struct address *a, struct str key, bool of_message)
{
    struct retry_change c = {
        .key = key,
        .message = of_message,
        .basic_errno = a->basic_errno,
        .more_errno = more_of(a),
        .text = error_text(j, a),
        .domain = a->domain,
    };
    a->note->failures.pool = j->pool;
    vec_push(&a->note->failures, retry_note(j, &c));
}

/* A deferral by a router or before one. */
static void note_routing(struct job *j, struct address *a)
{
    const struct queue_note *n = a->note;
    if (a->outcome == ADDR_DEFER && !a->no_retry && n->domain_key.p) {
        bool whole = a->router && a->router->retry_use_local_part;
        note_failure(j, a, whole ? n->address_key : n->domain_key, false);
    } else if (a->outcome == ADDR_FAIL || a->outcome == ADDR_DISCARD) {
        retry_note_routed(j, a);
    }
}

static void note_transport(struct job *j, struct address *a)
{
    struct queue_note *n = a->note;
    bool local = !a->transport || a->transport->local;
    if (a->outcome != ADDR_DEFER) {
        if (local && n->had_local) {
            note_removal(j, n->local_key);
        }
    } else if (a->no_retry) {
        return;
    } else if (local) {
        bool quota = a->basic_errno == ERRNO_QUOTA || a->basic_errno == ENOSPC;
        note_failure(j, a, n->local_key, quota);
    } else if (a->basic_errno == ERRNO_RCPT4XX) {
        note_failure(j, a, str_unset(a->retry_key) ? n->address_key : n->sender_key, false);
    }
}

void retry_note_address(struct job *j, struct address *a, enum stage stage)
{
    bool waiting = a->outcome == ADDR_DEFER && a->basic_errno <= ERRNO_RRETRY;
    if (waiting || !a->note || stage == STAGE_NONE) {
        return;
    }
    if (stage == STAGE_TRANSPORT) {
        note_transport(j, a);
    } else {
        note_routing(j, a);
    }
}

/* ---- hosts ---- */

/* Keys of a host, and of this message at the host. */
static void host_keys(struct job *j, const struct delivery *d, const struct host *h,
                      struct str *host, struct str *message)
{
    struct str key = STR_CAT(j->pool, STR("T:"), h->name);
    if (!str_empty(h->address) && d->retry_with_ip) {
        key = STR_CAT(j->pool, key, STR(":"), h->address);
    }
    if (!str_empty(h->address) && d->host_port > 0 && d->host_port != 25) {
        key = STR_CAT(j->pool, key, str_fmt(j->pool, ":%d", d->host_port));
    }
    *host = key;
    *message = STR_CAT(j->pool, key, STR(":"), j->m->id);
}

/* Looks a host record up. True if it says to wait. */
static bool record_waits(struct job *j, struct str key, const struct host *h, bool *known,
                         struct retry_record *r)
{
    *known = retry_get(j, key, r);
    return *known && (int64_t)time(NULL) < r->next &&
           !retry_message_too_old(j, r, h->name, j->x.addr ? j->x.addr->domain : STR_NONE);
}

bool retry_host_check(struct delivery *d, struct host *h)
{
    struct job *j = d->owner;
    struct retry_record host = {0}, message = {0};
    struct str host_key, message_key;
    bool host_known, message_known;
    host_keys(j, d, h, &host_key, &message_key);
    /* a connection that is there says more than the record, which is about to go */
    bool wait = record_waits(j, host_key, h, &host_known, &host) && !d->only_kept;
    wait |= record_waits(j, message_key, h, &message_known, &message);
    h->status = HOST_USABLE;
    h->last_try = host_known ? (int)(time(NULL) - host.last) : 0;
    if (host_known) {
        map_set(j->host_state, host_key, d);
    }
    if (message_known) {
        map_set(j->host_state, message_key, d);
    }
    if (!wait || (j->flags & DELIVER_FORCE)) {
        return true;
    }
    bool expired = (host_known && host.expired) || (message_known && message.expired);
    h->status = expired ? HOST_UNUSABLE_EXPIRED : HOST_UNUSABLE;
    h->why = WHY_RETRY;
    return false;
}

void retry_host_failed(struct delivery *d, struct host *h, const struct address *reason,
                       bool of_message)
{
    struct job *j = d->owner;
    struct str host_key, message_key;
    host_keys(j, d, h, &host_key, &message_key);
    struct retry_change c = {
        .key = of_message ? message_key : host_key,
        .message = of_message,
        .basic_errno = reason->basic_errno,
        .more_errno = more_of(reason),
        .text = str_dup(j->pool, error_text(j, reason)),
        .host = h->name,
        .domain = reason->domain,
    };
    vec_push(j->group, retry_note(j, &c));
}

void retry_host_worked(struct delivery *d, struct host *h)
{
    struct job *j = d->owner;
    struct str keys[2];
    host_keys(j, d, h, &keys[0], &keys[1]);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (map_count(j->host_state) && map_find(j->host_state, keys[i])) {
            note_removal(j, keys[i]);
        }
    }
}

/* ---- the end ---- */

struct failure {
    struct job *j;
    struct retry_change *c;
    const struct retry_rule *rule;
    bool applied;
};

/* Applies one failure to its record. False if there is nothing to be written. */
static bool apply_failure(void *closure, struct hints *h)
{
    struct failure *f = closure;
    struct job *j = f->j;
    struct retry_change *c = f->c;
    struct retry_record r = {0};
    int64_t now = time(NULL), since;
    f->applied = true;
    if (!retry_get(j, c->key, &r)) {
        r = (struct retry_record){.first = now};
    }
    since = r.first;
    if (c->message && j->m->received.tv_sec < since) {
        since = j->m->received.tv_sec;
    }
    retry_compute(f->rule, &r, now, since, j->set->retry_interval_max, (uint32_t)rand());
    c->timed_out = r.expired;
    if (!r.expired && queue_age(j->m) > retry_ultimate(f->rule)) {
        c->timed_out = true;
        return false;
    }
    r.basic_errno = c->basic_errno;
    r.more_errno = c->more_errno;
    r.text = c->text;
    return h && hints_put(h, c->key, retry_encode(j->pool, &r));
}

/* Failures at the same time count one after the other: what is read is not written over unseen. */
static void write_failure(struct job *j, struct retry_change *c)
{
    struct str key = !str_unset(c->host) ? c->host : str_from(c->key, 2);
    struct failure f = {.j = j, .c = c};
    f.rule = retry_find_rule(&j->x, key, c->domain, c->basic_errno, c->more_errno, j->m->sender);
    if (!f.rule || !f.rule->n) {
        c->timed_out = true;
        return;
    }
    if (database(j)) {
        hints_together(j->retry, apply_failure, &f);
    }
    if (!f.applied) { /* without a database the address counts as new */
        apply_failure(&f, NULL);
    }
}

/* True if none of the failures has time left; *any is set if there is one. */
static bool all_timed_out(const struct vec *failures, bool *any)
{
    for (size_t i = 0; failures && i < failures->n; i++) {
        const struct retry_change *c = failures->v[i];
        if (!c->remove && !c->timed_out) {
            return false;
        }
        *any |= !c->remove;
    }
    return true;
}

/* True if every failure that concerns the address is out of time, and there is one. */
static bool out_of_time(const struct address *a)
{
    const struct queue_note *n = a->note;
    bool any = false;
    return n && all_timed_out(&n->failures, &any) && all_timed_out(n->group, &any) && any;
}

static void time_out(struct job *j, struct address *a)
{
    static const char text[] = "retry timeout exceeded";
    a->outcome = ADDR_FAIL;
    queue_note(j, a)->out_of_time = true;
    bool told = a->pass_message && !str_unset(a->message);
    struct str before = told ? a->message : a->user_message;
    a->user_message =
        str_unset(before) ? str_c(text) : STR_CAT(j->pool, before, STR(": "), str_c(text));
    a->message = told ? a->user_message : a->message;
    if (a->parent) {
        log_msg(LOG_MAIN, j->m, "** %.*s <%.*s>: %s", STR_ARG(a->address),
                STR_ARG(a->parent->address), text);
        spool_msglog(j->m, "%.*s <%.*s>: %s", STR_ARG(a->address), STR_ARG(a->parent->address),
                     text);
    } else {
        log_msg(LOG_MAIN, j->m, "** %.*s: %s", STR_ARG(a->address), text);
        spool_msglog(j->m, "%.*s: %s", STR_ARG(a->address), text);
    }
}

/* Addresses that went to the same hosts together move together, in their order. */
static struct address **chain_end(struct address *a)
{
    const struct vec *group = a->note ? a->note->group : NULL;
    while (group && a->next && a->next->note && a->next->note->group == group) {
        a = a->next;
    }
    return &a->next;
}

void retry_write_all(struct job *j)
{
    if (!map_count(j->changes)) {
        return;
    }
    for (struct map_entry *e = map_first(j->changes); e; e = e->next) {
        struct retry_change *c = e->value;
        if (!c->remove) {
            write_failure(j, c);
        } else if (database(j)) {
            hints_del(j->retry, c->key);
        }
    }
    struct address *list = j->deferred, *kept = NULL, **kept_end = &kept;
    while (list) {
        struct address *a = list, **end = chain_end(a);
        list = *end;
        *end = NULL;
        if (out_of_time(a)) {
            for (struct address *b = a; b; b = b->next) {
                time_out(j, b);
            }
            *end = j->failed;
            j->failed = a;
        } else {
            *kept_end = a;
            kept_end = end;
        }
    }
    j->deferred = kept;
}

/*
 * From recipients to routed addresses: one struct address for each recipient that is not done, the
 * conditions that keep an address from being routed now, the router chain, and duplicates.
 *
 * Addresses are routed in rounds: what redirections of one round made is the next round. A text that
 * is met twice is delivered once; its parents still get their due when the first is delivered.
 */
#include "queue/internal.h"

int queue_received_max(const struct config *conf)
{
    const int *n = queue_foreign_field(conf, "received_headers_max", OPT_INT);
    return n ? *n : 30;
}

static struct address *new_address(struct job *j, const struct recipient *r)
{
    struct address *a = route_new_address(&j->x, r->address);
    if (!str_unset(r->errors_to)) {
        a->errors_to = r->errors_to;
        a->errors_to_empty = str_empty(r->errors_to);
    }
    a->dsn_flags = r->dsn_flags;
    a->dsn_orcpt = r->orcpt;
    return a;
}

/* The outcome that a decision about the whole message gives every recipient. */
static void end_at_once(struct job *j, struct address *a)
{
    queue_note(j, a)->silent = j->recipients != RCPT_LOOP;
    a->outcome = ADDR_FAIL;
    if (j->recipients == RCPT_LOOP) {
        a->message = STR("Too many \"Received\" headers - suspected mail loop");
    }
    queue_finish(j, a, STAGE_NONE);
}

/* The recipient that a one_time redirection replaced; it is done but is named in log lines. */
static struct address *one_time_parent(struct job *j, struct address **parents, int index)
{
    if (index < 0 || (size_t)index >= j->m->recipient_count) {
        return NULL;
    }
    if (!parents[index]) {
        parents[index] = route_new_address(&j->x, j->m->recipients[index].address);
        map_set(j->done, parents[index]->unique, parents[index]);
    }
    parents[index]->child_count++;
    return parents[index];
}

void queue_make_addresses(struct job *j)
{
    struct message *m = j->m;
    struct address **tail = &j->fresh;
    struct address **parents = pool_calloc(j->pool, m->recipient_count + 1, sizeof *parents);
    for (size_t i = 0; i < m->delivered.n; i++) {
        map_set(j->done, m->delivered.v[i], m);
    }
    for (size_t i = 0; i < m->recipient_count; i++) {
        const struct recipient *r = &m->recipients[i];
        if (map_count(j->done) && map_find(j->done, r->address)) {
            continue;
        }
        struct address *a = new_address(j, r);
        a->parent = one_time_parent(j, parents, r->parent);
        if (map_count(j->done) && map_find(j->done, a->unique)) {
            continue;
        }
        if (j->recipients != RCPT_DELIVER) {
            end_at_once(j, a);
            continue;
        }
        *tail = a;
        a->next = NULL;
        tail = &a->next;
    }
}

static void defer(struct job *j, struct address *a, int why, struct str message, enum stage stage)
{
    a->outcome = ADDR_DEFER;
    a->basic_errno = why;
    a->message = message;
    queue_finish(j, a, stage);
}

/* True if the domain is on the list; a list that cannot be checked now keeps the address waiting. */
static bool on_list(struct job *j, struct address *a, const struct etext *list, const char *option,
                    int why, const char *text, enum stage stage)
{
    if (str_empty(list->text) || str_empty(a->domain)) {
        return false;
    }
    switch (match_domain(&j->x, list, a->domain, NULL)) {
    case MATCH_NO: return false;
    case MATCH_YES: defer(j, a, why, str_c(text), stage); return true;
    default:
        defer(j, a, ERRNO_LISTDEFER,
              str_fmt(j->pool, "%s lookup or other defer: %.*s", option, STR_ARG(j->x.error)),
              STAGE_NONE);
        return true;
    }
}

/* Options and retry times that keep an address from being routed. */
static bool may_route(struct job *j, struct address *a)
{
    bool forced = (j->flags & DELIVER_FORCE) != 0;
    bool run = (j->flags & DELIVER_QUEUE_RUN) != 0;
    j->x.addr = a;
    if (!forced && on_list(j, a, &j->set->hold_domains, "hold_domains", ERRNO_HELD,
                           "domain is held", STAGE_NONE)) {
        return false;
    }
    if (!forced && !run &&
        on_list(j, a, &j->set->queue_domains, "queue_domains", ERRNO_QUEUE_DOMAIN,
                "domain is in queue_domains", STAGE_ROUTING)) {
        return false;
    }
    if (!retry_may_route(j, a)) {
        queue_finish(j, a, STAGE_ROUTING);
        return false;
    }
    return true;
}

/* Notes an address that will be delivered; false if the same was met before. */
static bool first_of_its_kind(struct job *j, struct address *a)
{
    if (map_count(j->done) && map_find(j->done, a->unique)) {
        queue_journal(j, a);
        return false;
    }
    struct address *first = map_get(j->seen, a->unique);
    if (!first) {
        map_set(j->seen, a->unique, a);
        return true;
    }
    if (first != a) {
        queue_note(j, a)->duplicate_of = first;
        queue_put(&j->duplicates, a);
    }
    return false;
}

static void take_all(struct job *j, struct address **from, struct address **to)
{
    for (struct address *a = *from, *next; a; a = next) {
        next = a->next;
        retry_note_routed(j, a);
        if (map_count(j->done) && map_find(j->done, a->unique)) {
            queue_journal(j, a);
        } else {
            queue_put(to, a);
        }
    }
    *from = NULL;
}

/* Leaves the first of equal addresses on a list. */
static void drop_duplicates(struct job *j, struct address **list)
{
    struct address **at = list;
    while (*at) {
        struct address *a = *at, *next = a->next;
        bool first = a->kind != AK_NORMAL || first_of_its_kind(j, a);
        *at = first ? a : next;
        at = first ? &a->next : at;
    }
}

static void finish_all(struct job *j, struct address **from, enum outcome outcome)
{
    for (struct address *a = *from, *next; a; a = next) {
        next = a->next;
        a->outcome = outcome;
        if (outcome == ADDR_DEFER && a->basic_errno == 0) {
            a->basic_errno = ERRNO_UNKNOWNERROR;
        }
        queue_finish(j, a, a->router ? STAGE_ROUTER : STAGE_ROUTING);
    }
    *from = NULL;
}

/* Sorts out what routing one address left on the lists. */
static void collect(struct job *j)
{
    struct route_job *r = &j->route;
    take_all(j, &r->local, &j->local);
    take_all(j, &r->remote, &j->remote);
    finish_all(j, &r->succeeded, ADDR_DISCARD);
    finish_all(j, &r->failed, ADDR_FAIL);
    finish_all(j, &r->deferred, ADDR_DEFER);
    struct address **tail = &r->generated;
    while (*tail) {
        tail = &(*tail)->next;
    }
    *tail = j->fresh;
    j->fresh = r->generated;
    r->generated = NULL;
}

/*
 * Looks at each address of a round; those that may be routed come back, the last one first, as Exim
 * does it, or in their order if queue_domains had to be asked.
 */
static struct address *ready_to_route(struct job *j, struct address *batch)
{
    bool in_order =
        !str_empty(j->set->queue_domains.text) && !(j->flags & (DELIVER_FORCE | DELIVER_QUEUE_RUN));
    struct address *ready = NULL, **tail = &ready;
    for (struct address *a = batch, *next; a; a = next) {
        next = a->next;
        a->next = NULL;
        if (a->kind != AK_NORMAL) {
            if (first_of_its_kind(j, a) && !queue_bypass(j, a)) {
                queue_put(&j->local, a);
            }
        } else if (a->parent && map_count(j->done) && map_find(j->done, a->unique)) {
            queue_journal(j, a);
        } else if (!may_route(j, a)) {
            continue;
        } else if (in_order) {
            *tail = a;
            tail = &a->next;
        } else {
            queue_put(&ready, a);
        }
    }
    return ready;
}

/* One round: those that may are routed after all were looked at. */
static void round_of(struct job *j, struct address *batch)
{
    struct address *ready = ready_to_route(j, batch);
    for (struct address *a = ready, *next; a; a = next) {
        next = a->next;
        a->next = NULL;
        j->x.addr = a;
        enum route_result result = route_address(&j->route, a);
        if (result != ROUTE_DEFER && result != ROUTE_ERROR) {
            retry_note_routed(j, a); /* also of an address that became others */
        }
        collect(j);
    }
    j->x.addr = NULL;
}

void queue_route_all(struct job *j)
{
    while (j->fresh) {
        struct address *batch = j->fresh;
        j->fresh = NULL;
        round_of(j, batch);
    }
    drop_duplicates(j, &j->local);
    drop_duplicates(j, &j->remote);
}

void queue_settle_duplicates(struct job *j)
{
    for (struct address *a = j->duplicates, *next; a; a = next) {
        next = a->next;
        const struct address *first = a->note->duplicate_of;
        if (first->outcome == ADDR_OK || first->outcome == ADDR_DISCARD) {
            queue_journal(j, a);
        }
    }
}

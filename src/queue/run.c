/*
 * Queue runs: every message of the spool, in order of arrival, is tried once. A run says when it
 * starts and ends; it stops when the load average passes deliver_queue_load_max.
 * A message that another process has in hand is passed over.
 */
#include "queue/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The options of a run as its log lines show them: " -qqff -R text". */
static struct str describe(struct pool *pool, const struct queue_run_opts *o)
{
    struct buf b;
    buf_init(&b, pool, 4096);
    if (o->two_stage || o->first_only || o->force || o->local_only) {
        buf_addz(&b, " -q");
        buf_addz(&b, o->two_stage ? "q" : "");
        buf_addz(&b, o->first_only ? "i" : "");
        buf_addz(&b, o->force ? "f" : "");
        buf_addz(&b, o->force_frozen ? "f" : "");
        buf_addz(&b, o->local_only ? "l" : "");
    }
    if (!str_empty(o->recipient)) {
        buf_addf(&b, " -R%s %.*s", o->recipient_regex ? "r" : "", STR_ARG(o->recipient));
    }
    if (!str_empty(o->sender)) {
        buf_addf(&b, " -S%s %.*s", o->sender_regex ? "r" : "", STR_ARG(o->sender));
    }
    return buf_str(&b);
}

static bool text_matches(struct ectx *x, struct str pattern, bool regex, struct str subject)
{
    if (!regex) {
        return str_findi(subject, pattern) >= 0;
    }
    return match_regex(x, pattern, subject, true, false) == MATCH_YES;
}

/* True if the message is one the run's selectors mean. */
static bool is_selected(const struct config *conf, const struct queue_run_opts *o, struct str id)
{
    struct pool *pool = pool_new("queue run selection");
    struct message m = {.pool = pool};
    struct ectx x;
    struct str error;
    ectx_init(&x, conf, pool);
    bool ok = spool_peek(conf, id, &m, &error) == SPOOL_OK;
    if (ok && m.frozen && !o->force_frozen) {
        /* As Exim says it of every frozen message that it looks at here: without the id. */
        log_write(log_if(LS_skip_delivery, LOG_MAIN), "Message is frozen");
        ok = false;
    }
    if (ok && o->first_only) {
        ok = m.deliver_firsttime;
    }
    if (ok && !str_empty(o->sender)) {
        ok = text_matches(&x, o->sender, o->sender_regex, m.sender);
    }
    if (ok && !str_empty(o->recipient)) {
        ok = false;
        for (size_t i = 0; i < m.recipient_count && !ok; i++) {
            struct str r = m.recipients[i].address;
            ok = !strvec_has(&m.delivered, r) &&
                 text_matches(&x, o->recipient, o->recipient_regex, r);
        }
    }
    if (m.spool) {
        spool_close(&m);
    }
    pool_free(&pool);
    return ok;
}

static bool in_range(const struct queue_run_opts *o, struct str id)
{
    if (!str_empty(o->first) && str_cmp(id, o->first) < 0) {
        return false;
    }
    return str_empty(o->last) || str_cmp(id, o->last) <= 0;
}

/* True if the machine is too busy; says so. */
static bool too_busy(const struct config *conf, struct str what)
{
    int max = queue_settings(conf)->deliver_queue_load_max;
    double load;
    if (max < 0 || getloadavg(&load, 1) != 1 || load * 1000 <= max) {
        return false;
    }
    log_write(LOG_MAIN, "Abandon queue run: pid=%d%.*s (load %.2f, max %.2f)", (int)getpid(),
              STR_ARG(what), load, max / 1000.0);
    return true;
}

/* One pass over the ids; false if it was abandoned. */
static bool pass(const struct config *conf, const struct queue_run_opts *o,
                 const struct strvec *ids, unsigned extra, struct str what)
{
    bool selective = !str_empty(o->sender) || !str_empty(o->recipient) || o->first_only;
    bool first = !str_empty(o->sender) || !str_empty(o->recipient);
    unsigned flags = DELIVER_QUEUE_RUN | extra | (o->force ? DELIVER_FORCE : 0) |
                     (o->force_frozen ? DELIVER_THAW : 0) |
                     (o->local_only ? DELIVER_LOCAL_ONLY : 0) | (o->dont_deliver ? DELIVER_NOT : 0);
    for (size_t i = 0; i < ids->n; i++) {
        if (!in_range(o, ids->v[i]) || (selective && !is_selected(conf, o, ids->v[i]))) {
            continue;
        }
        if (too_busy(conf, what)) {
            smtp_close_kept();
            return false;
        }
        enum deliver_result result =
            queue_deliver(conf, ids->v[i], flags | (first ? DELIVER_FORCE : 0));
        first = first && result == DELIVERED_NOT_ATTEMPTED;
    }
    smtp_close_kept();
    return true;
}

void queue_run(const struct config *conf, const struct queue_run_opts *o)
{
    struct pool *pool = pool_new("queue run");
    struct strvec ids = {.pool = pool};
    struct str what = describe(pool, o);
    if (log_wants(LS_queue_run)) {
        log_write(LOG_MAIN, "Start queue run: pid=%d%.*s", (int)getpid(), STR_ARG(what));
    }
    spool_tidy(conf);
    spool_list(conf, pool, &ids);
    if (!o->two_stage || pass(conf, o, &ids, DELIVER_ROUTE_ONLY, what)) {
        pass(conf, o, &ids, 0, what);
    }
    if (log_wants(LS_queue_run)) {
        log_write(LOG_MAIN, "End queue run: pid=%d%.*s", (int)getpid(), STR_ARG(what));
    }
    pool_free(&pool);
}

/*
 * One delivery attempt: load the message under its lock, decide whether it may be tried, route and
 * deliver its recipients, then do what is left to do: retry records, reports, removal or update.
 *
 * All memory of an attempt is in one pool that is freed at the end; a worker does thousands of them.
 * Whatever goes wrong with a message is logged and leaves it on the spool.
 */
#include "queue/internal.h"

#include <errno.h>
#include <unistd.h>

bool queue_is_bounce(const struct message *m)
{
    return str_empty(m->sender);
}

int64_t queue_age(const struct message *m)
{
    return (int64_t)time(NULL) - (int64_t)m->received.tv_sec;
}

static void log_skip(const struct job *j, const char *text)
{
    if (log_wants(LS_skip_delivery)) {
        log_msg(LOG_MAIN, j->m, "%s", text);
    }
}

/* Opens the message; false if there is nothing to be done now. */
static bool open_message(struct job *j, struct str id)
{
    struct str error = STR_NONE;
    j->m->id = id;
    switch (spool_load(j->conf, id, j->m, &error)) {
    case SPOOL_OK: return true;
    case SPOOL_LOCKED:
        if (log_wants(LS_skip_delivery)) {
            log_msg(LOG_MAIN, j->m,
                    "Spool file for %.*s is locked (another process is handling this message)",
                    STR_ARG(id));
        }
        return false;
    case SPOOL_DAMAGED:
        log_msg(LOG_MAIN, j->m, "%s spool file %.*s-H: %.*s",
                str_starts(error, "size=") ? "Format error in" : "Error reading", STR_ARG(id),
                STR_ARG(error));
        return false;
    default:
        if (!(j->flags & (DELIVER_FIRST | DELIVER_QUEUE_RUN | DELIVER_CONTINUED))) {
            log_msg(LOG_MAIN, j->m, "Spool file %.*s-D not found", STR_ARG(id));
        }
        return false;
    }
}

static void thaw(struct job *j, const char *why)
{
    j->m->frozen = false;
    j->m->frozen_at = 0;
    log_msg(LOG_MAIN, j->m, "%s", why);
    spool_msglog(j->m, "%s", why);
}

/* Frozen messages: when one is given up, thawed or left alone. False: leave it. */
static bool admit_frozen(struct job *j)
{
    const struct queue_settings *s = j->set;
    struct message *m = j->m;
    int64_t age = queue_age(m);
    if (s->timeout_frozen_after > 0 && age >= s->timeout_frozen_after) {
        log_msg(LOG_MAIN, m, "cancelled by timeout_frozen_after");
        j->recipients = RCPT_CANCEL;
        return true;
    }
    if (s->ignore_bounce_errors_after > 0 && queue_is_bounce(m) &&
        age >= s->ignore_bounce_errors_after) {
        thaw(j, "Unfrozen by errmsg timer");
        return true;
    }
    if (j->flags & DELIVER_THAW) {
        m->manually_thawed = true;
        thaw(j, "Unfrozen by forced delivery");
        return true;
    }
    if (s->auto_thaw > 0 && time(NULL) > m->frozen_at + s->auto_thaw && !m->manually_thawed) {
        thaw(j, "Unfrozen by auto-thaw");
        return true;
    }
    log_skip(j, "Message is frozen");
    return false;
}

/* A message that is given up, or goes round for ever, is failed as a whole. */
static void check_whole(struct job *j)
{
    if (!str_unset(j->caller)) {
        log_msg(LOG_MAIN, j->m, "cancelled by %.*s", STR_ARG(j->caller));
        j->recipients = RCPT_GIVE_UP;
    } else if (j->m->received_count > queue_received_max(j->conf)) {
        j->recipients = RCPT_LOOP;
    }
}

static void init_job(struct job *j, const struct config *conf, struct pool *pool, unsigned flags)
{
    *j = (struct job){.conf = conf, .set = queue_settings(conf), .pool = pool, .flags = flags};
    j->m = POOL_NEW(pool, struct message);
    j->m->pool = pool;
    j->done = map_new(pool, false);
    j->seen = map_new(pool, false);
    j->host_state = map_new(pool, false);
    j->changes = map_new(pool, false);
    j->bounces.pool = j->complete.pool = pool;
    ectx_init(&j->x, conf, pool);
    j->x.queue_running = (flags & DELIVER_QUEUE_RUN) != 0;
    j->route.x = &j->x;
    j->route.why = ROUTE_DELIVER;
    j->route.submit = report_submit;
    j->route.owner = j;
}

/* Reports made meanwhile are delivered now where the caller waits for everything (-odi). */
static void deliver_reports_first(struct job *j)
{
    if (!(j->flags & DELIVER_FOREGROUND)) {
        return;
    }
    for (size_t i = 0; i < j->bounces.n; i++) {
        queue_deliver(j->conf, *(struct str *)j->bounces.v[i],
                      DELIVER_FIRST | DELIVER_FOREGROUND | DELIVER_ALONE);
    }
    j->bounces.n = 0;
}

/* Removes a finished message and says so. */
static void complete(struct job *j)
{
    struct message *m = j->m;
    deliver_reports_first(j);
    if (m->spool) {
        spool_remove(m);
    }
    if (log_wants(LS_queue_time_overall)) {
        bool exclusive = log_wants(LS_queue_time_exclusive);
        struct timespec from = exclusive ? m->received_complete : m->received;
        struct str t = time_used(j->pool, from, time_now(), log_wants(LS_millisec));
        log_msg(LOG_MAIN, m, "Completed QT=%.*s", STR_ARG(t));
    } else {
        log_msg(LOG_MAIN, m, "Completed");
    }
}

/* Index of the recipient an address came from; -1: none. */
static int recipient_index(const struct message *m, const struct address *top)
{
    for (size_t i = 0; i < m->recipient_count; i++) {
        if (str_eqi(m->recipients[i].address, top->address)) {
            return (int)i;
        }
    }
    return -1;
}

/* one_time redirections are not repeated: what waits takes the place of the recipient. */
static void replace_recipients(struct job *j)
{
    struct message *m = j->m;
    for (struct address *a = j->deferred; a; a = a->next) {
        bool once = false;
        struct address *top = a;
        for (; top->parent; top = top->parent) {
            once |= top->parent->one_time;
        }
        int index = once && a->kind == AK_NORMAL ? recipient_index(m, top) : -1;
        if (index < 0 || recipient_index(m, a) >= 0) {
            continue;
        }
        struct recipient *r = message_add_recipient(m, a->address);
        r->errors_to = a->errors_to_empty ? STR("") : a->errors_to;
        r->dsn_flags = a->dsn_flags;
        r->orcpt = a->dsn_orcpt;
        r->parent = index;
        strvec_push(&m->delivered, top->unique);
    }
}

/* The message stays: frozen if that was decided, with a note that it was tried. */
static void keep(struct job *j)
{
    struct message *m = j->m;
    m->deliver_firsttime = false;
    replace_recipients(j);
    if (j->sticky_freeze) {
        m->frozen = true;
        m->frozen_at = time(NULL);
        m->manually_thawed = false;
        bounce_tell_frozen(j);
        log_msg(LOG_MAIN, m, "Frozen%.*s", STR_ARG(j->freeze_why));
        spool_msglog(m, "*** Frozen%.*s", STR_ARG(j->freeze_why));
    } else {
        bounce_warn(j);
    }
    if (!spool_update(m)) {
        log_msg(LOG_MAIN | LOG_PANIC, m, "failed to update spool: %s", strerror(errno));
    }
    spool_close(m);
}

/* Everything after the deliveries. */
static void settle(struct job *j)
{
    if (!j->m->dont_deliver) { /* nothing was learnt of any host */
        retry_write_all(j);
    }
    if (j->succeeded) {
        bounce_success(j);
    }
    if (j->failed) {
        bounce_failed(j);
    }
    if (j->deferred) {
        keep(j);
    } else {
        complete(j);
    }
}

/* Only local deliveries were wanted: what is left stays as it was. */
static enum deliver_result first_stage(struct job *j)
{
    if (!j->deferred && !j->remote) {
        settle(j);
        return DELIVERED_ALL;
    }
    retry_write_all(j);
    if (j->failed) {
        bounce_failed(j);
    }
    spool_update(j->m);
    spool_close(j->m);
    return DELIVERED_ATTEMPTED;
}

static enum deliver_result run(struct job *j, struct str id)
{
    if (!open_message(j, id)) {
        return DELIVERED_NOT_ATTEMPTED;
    }
    j->x.msg = j->m;
    j->x.sess = j->m->session_facts;
    if (j->m->frozen && !admit_frozen(j)) {
        spool_close(j->m);
        return DELIVERED_NOT_ATTEMPTED;
    }
    j->m->dont_deliver |= (j->flags & DELIVER_NOT) != 0;
    check_whole(j);
    queue_make_addresses(j);
    queue_route_all(j);
    if ((j->local || j->remote) && j->m->recipient_count > 1 && !spool_journal_ready(j->m)) {
        log_msg(LOG_MAIN | LOG_PANIC, j->m, "Couldn't open journal file for %.*s: %s",
                STR_ARG(j->m->id), strerror(errno));
        spool_close(j->m);
        return DELIVERED_NOT_ATTEMPTED;
    }
    if (j->local) {
        queue_deliver_local(j);
    }
    if (j->remote && !(j->flags & DELIVER_ROUTE_ONLY)) {
        queue_deliver_remote(j);
    }
    queue_settle_duplicates(j);
    if (j->flags & DELIVER_ROUTE_ONLY) {
        for (const struct address *a = j->remote; a; a = a->next) {
            waiting_note(j, a->transport, a->hosts);
        }
        return first_stage(j);
    }
    bool all = !j->deferred, none = (j->flags & DELIVER_CONTINUED) && !j->continued;
    settle(j);
    return none ? DELIVERED_NOT_ATTEMPTED : all ? DELIVERED_ALL : DELIVERED_ATTEMPTED;
}

static enum deliver_result attempt(const struct config *conf, struct str id, unsigned flags,
                                   struct str caller)
{
    struct pool *pool = pool_new("delivery"), *after = NULL;
    struct job *j = POOL_NEW(pool, struct job);
    struct strvec reports = {0};
    init_job(j, conf, pool, flags);
    j->caller = caller;
    enum deliver_result result = run(j, str_dup(pool, id));
    if (j->bounces.n) {
        reports.pool = after = pool_new("reports");
        for (size_t i = 0; i < j->bounces.n; i++) {
            strvec_push(&reports, str_dup(after, *(struct str *)j->bounces.v[i]));
        }
    }
    lookup_tidy();
    pool_free(&pool);
    if (!(flags & (DELIVER_CONTINUED | DELIVER_ALONE))) {
        waiting_follow(conf, id, flags);
        if (!(flags & DELIVER_QUEUE_RUN)) {
            smtp_close_kept();
        }
    }
    unsigned alone = flags & (DELIVER_CONTINUED | DELIVER_ALONE) ? DELIVER_ALONE : 0;
    for (size_t i = 0; i < reports.n; i++) {
        queue_pending(conf, reports.v[i], DELIVER_FIRST | alone);
    }
    pool_free(&after);
    return result;
}

enum deliver_result queue_deliver(const struct config *conf, struct str id, unsigned flags)
{
    if (flags & DELIVER_QUEUE_RUN) {
        TRACE(TR_v, "delivering %.*s (queue run pid %ld)", STR_ARG(id), (long)getpid());
    } else {
        TRACE(TR_v, "delivering %.*s", STR_ARG(id));
    }
    return attempt(conf, id, flags, STR_NONE);
}

enum deliver_result queue_give_up(const struct config *conf, struct str id, struct str caller)
{
    return attempt(conf, id, DELIVER_FORCE | DELIVER_THAW, caller);
}

enum deliver_result queue_continue(const struct config *conf, struct str id, unsigned flags)
{
    return attempt(conf, id, flags | DELIVER_CONTINUED, STR_NONE);
}

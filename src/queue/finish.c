/*
 * The end of one address: journal first, then the log line, then its list. An address made by a
 * redirection counts for its ancestors; when the last child of an envelope recipient is done, the
 * recipient is done too.
 *
 * Nothing here can fail in a way the caller has to know: a journal that cannot be written is logged
 * and costs at most a repeated delivery.
 */
#include "queue/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct queue_note *queue_note(struct job *j, struct address *a)
{
    if (!a->note) {
        a->note = POOL_NEW(j->pool, struct queue_note);
    }
    return a->note;
}

void queue_put(struct address **list, struct address *a)
{
    a->next = *list;
    *list = a;
}

/*
 * Keeps processes that deliver one message from writing its journal at the same time: half a line,
 * which a full disk leaves, is cut off by its writer. A lock of the process, on the message's file;
 * what holds the message itself is of another kind (flock).
 */
static void lock_journal(struct job *j, short how)
{
    int64_t ignored;
    struct flock lock = {.l_type = how, .l_whence = SEEK_SET};
    int fd = j->shared ? spool_body_fd(j->m, &ignored) : -1;
    while (fd >= 0 && fcntl(fd, F_SETLKW, &lock) < 0 && errno == EINTR) {
    }
}

/* False if it could not be written, which is logged. */
static bool journal_one(struct job *j, struct address *a)
{
    if (map_find(j->done, a->unique) || !j->m->spool) {
        return true;
    }
    map_set(j->done, a->unique, a);
    lock_journal(j, F_WRLCK);
    bool ok = spool_delivered(j->m, a->unique);
    int e = errno;
    lock_journal(j, F_UNLCK);
    if (!ok) {
        log_msg(LOG_MAIN | LOG_PANIC, j->m, "failed to update journal for %.*s: %s",
                STR_ARG(a->unique), strerror(e));
    }
    return ok;
}

/* Counts a finished child in its ancestors and journals those that have no other. */
static void journal_parents(struct job *j, struct address *a)
{
    struct address *child = a;
    for (struct address *p = a->parent; p; child = p, p = p->parent) {
        if (child->child_count > 0) {
            return;
        }
        p->child_count--;
        if (p->child_count > 0) {
            return;
        }
        strvec_push(&j->complete, p->address);
        journal_one(j, p);
    }
}

/*
 * The only recipient, sent as it is: taking the message off the spool is all the journal it needs.
 * A shadow transport, which comes afterwards, would still have to read it; a message log that is
 * kept has lines to come.
 */
static bool is_all(const struct job *j, const struct address *a)
{
    return j->m->recipient_count == 1 && !a->parent && a->child_count == 0 && j->m->spool &&
           a->outcome == ADDR_OK && a->transport && !a->transport->shadow &&
           !core_settings(j->conf)->preserve_message_logs;
}

void queue_journal(struct job *j, struct address *a)
{
    struct queue_note *n = queue_note(j, a);
    if (n->journalled) {
        return;
    }
    n->journalled = true;
    if (j->forked) {
        n->by_child = journal_one(j, a);
        return;
    }
    if (n->by_child) {
        map_set(j->done, a->unique, a);
    }
    if (is_all(j, a)) {
        spool_remove(j->m);
        return;
    }
    journal_one(j, a);
    journal_parents(j, a);
}

void queue_tell_complete(struct job *j)
{
    for (size_t i = 0; i < j->complete.n; i++) {
        spool_msglog(j->m, "%.*s: children all complete", STR_ARG(j->complete.v[i]));
    }
    j->complete.n = 0;
}

/* disable_logging: of the router for what it decides itself, of the transport for the rest. */
static bool keeps_silent(const struct address *a, enum stage stage)
{
    return stage == STAGE_TRANSPORT ? a->transport && a->transport->disable_logging
                                    : a->router && a->router->disable_logging;
}

static void log_success(struct job *j, struct address *a, enum stage stage)
{
    const struct transport *t = a->transport;
    struct str line = log_delivered(j, a);
    const char *flag = j->m->dont_deliver ? "*>" : queue_note(j, a)->additional ? "->" : "=>";
    if (!keeps_silent(a, stage)) {
        log_msg(LOG_MAIN, j->m, "%s %.*s", flag, STR_ARG(line));
    }
    if (a->parent && t) {
        spool_msglog(j->m, "%.*s <%.*s>: %.*s transport succeeded", STR_ARG(a->address),
                     STR_ARG(a->parent->address), STR_ARG(t->name));
    } else if (t) {
        spool_msglog(j->m, "%.*s: %.*s transport succeeded", STR_ARG(a->address), STR_ARG(t->name));
    }
}

static void log_failure(struct job *j, struct address *a, enum stage stage)
{
    struct str line = log_failed(j, a);
    if (!keeps_silent(a, stage)) {
        log_msg(LOG_MAIN, j->m, "** %.*s", STR_ARG(line));
    }
    if (stage == STAGE_ROUTING) {
        spool_msglog(j->m, "routing failed for %.*s", STR_ARG(line));
    } else {
        spool_msglog(j->m, "%.*s", STR_ARG(line));
    }
}

static void log_deferral(struct job *j, struct address *a, enum stage stage)
{
    struct str line = log_deferred(j, a, stage);
    bool waiting = a->basic_errno <= ERRNO_RRETRY;
    bool panic = stage == STAGE_TRANSPORT && a->no_retry && a->transport && a->transport->local;
    if (!waiting || j->m->deliver_firsttime) {
        spool_msglog(j->m, "%.*s", STR_ARG(line));
    }
    if ((!waiting || log_wants(LS_retry_defer)) && !keeps_silent(a, stage)) {
        log_msg(panic ? LOG_MAIN | LOG_PANIC : LOG_MAIN, j->m, "== %.*s", STR_ARG(line));
    }
}

/* A router may ask for the message to be frozen (special_action). */
static void obey_special(struct job *j, struct address *a)
{
    if (str_is(a->special_action, "freeze")) {
        queue_freeze(j, STR(""));
    }
}

void queue_finish(struct job *j, struct address *a, enum stage stage)
{
    struct queue_note *n = queue_note(j, a);
    n->stage = stage;
    obey_special(j, a);
    if (a->message.p) {
        a->message = str_printable(j->pool, a->message, false);
    }
    switch (a->outcome) {
    case ADDR_OK:
    case ADDR_DISCARD:
        queue_journal(j, a);
        log_success(j, a, stage);
        queue_tell_complete(j);
        queue_put(&j->succeeded, a);
        break;
    case ADDR_FAIL:
        if (!n->silent) {
            log_failure(j, a, stage);
        }
        queue_put(&j->failed, a);
        break;
    default:
        a->outcome = ADDR_DEFER;
        log_deferral(j, a, stage);
        queue_put(&j->deferred, a);
    }
    retry_note_address(j, a, stage);
}

void queue_freeze(struct job *j, struct str reason)
{
    j->sticky_freeze = true;
    j->freeze_why = reason;
}

/*
 * What an administrator does to messages (-M…): each action takes the message's lock, changes it,
 * logs who did it and prints what tools expect to read.
 * A message that is locked or gone is said to be so, and the exit status tells.
 */
#include "queue/internal.h"

#include <errno.h>
#include <stdio.h>

/* One action on one loaded message. */
struct act {
    const struct config *conf;
    struct pool *pool;
    struct message *m;
    struct str id, caller;
    const struct strvec *args;
    const char *doing; /* "adding recipient" */
};

static int changed(struct act *a)
{
    if (!spool_update(a->m)) {
        printf("Message %.*s - error while %s: %s\n", STR_ARG(a->id), a->doing, strerror(errno));
        return 1;
    }
    printf("Message %.*s has been modified\n", STR_ARG(a->id));
    return 0;
}

static int freeze(struct act *a)
{
    struct message *m = a->m;
    if (m->frozen) {
        printf("Message %.*s is already frozen\n", STR_ARG(a->id));
        return 1;
    }
    m->frozen = true;
    m->manually_thawed = false;
    m->frozen_at = time(NULL);
    if (!spool_update(m)) {
        printf("Message %.*s could not be frozen: %s\n", STR_ARG(a->id), strerror(errno));
        return 1;
    }
    printf("Message %.*s is now frozen\n", STR_ARG(a->id));
    log_msg(LOG_MAIN, m, "frozen by %.*s", STR_ARG(a->caller));
    return 0;
}

static int thaw(struct act *a)
{
    struct message *m = a->m;
    if (!m->frozen) {
        printf("Message %.*s is not frozen\n", STR_ARG(a->id));
        return 1;
    }
    m->frozen = false;
    m->manually_thawed = true;
    if (!spool_update(m)) {
        printf("Message %.*s could not be unfrozen: %s\n", STR_ARG(a->id), strerror(errno));
        return 1;
    }
    printf("Message %.*s is no longer frozen\n", STR_ARG(a->id));
    log_msg(LOG_MAIN, m, "unfrozen by %.*s", STR_ARG(a->caller));
    return 0;
}

static int remove_message(struct act *a)
{
    log_msg(LOG_MAIN, a->m, "removed by %.*s", STR_ARG(a->caller));
    spool_remove(a->m);
    log_msg(LOG_MAIN, a->m, "Completed");
    printf("Message %.*s has been removed\n", STR_ARG(a->id));
    return 0;
}

static void mark(struct act *a, struct str address)
{
    if (!strvec_has(&a->m->delivered, address)) {
        strvec_push(&a->m->delivered, address);
    }
    log_msg(LOG_MAIN, a->m, "address <%.*s> marked delivered by %.*s", STR_ARG(address),
            STR_ARG(a->caller));
}

static int mark_all(struct act *a)
{
    for (size_t i = 0; i < a->m->recipient_count; i++) {
        mark(a, a->m->recipients[i].address);
    }
    return changed(a);
}

static int failed(struct act *a, const char *fmt, struct str what)
{
    printf("Message %.*s - error while %s:", STR_ARG(a->id), a->doing);
    printf(fmt, STR_ARG(what));
    printf("\n");
    return 1;
}

static int mark_some(struct act *a)
{
    const struct message *m = a->m;
    for (size_t i = 0; i < a->args->n; i++) {
        size_t n = 0;
        while (n < m->recipient_count && !str_eq(m->recipients[n].address, a->args->v[i])) {
            n++;
        }
        if (n == m->recipient_count) {
            return failed(a, "\n  %.*s is not a recipient: message not updated", a->args->v[i]);
        }
        mark(a, m->recipients[n].address);
    }
    return changed(a);
}

/* The address of an argument; unset after saying what is wrong with it. */
static struct str parse_address(struct act *a, struct str text, bool null_ok)
{
    struct mailbox box;
    struct str error;
    unsigned flags = mailbox_flags(a->conf) | (null_ok ? MBX_NULL : 0u);
    if (!mailbox_parse(a->pool, text, flags, &box, &error)) {
        struct str why = STR_CAT(a->pool, text, STR(": "), error);
        failed(a, "\n  bad address %.*s", why);
        return STR_NONE;
    }
    if (str_empty(box.domain) && !(null_ok && str_empty(box.text))) {
        failed(a, "\n  bad address %.*s: domain missing", text);
        return STR_NONE;
    }
    return box.text.p ? box.text : STR("");
}

static int add_recipients(struct act *a)
{
    for (size_t i = 0; i < a->args->n; i++) {
        struct str address = parse_address(a, a->args->v[i], false);
        if (str_unset(address)) {
            return 1;
        }
        message_add_recipient(a->m, address);
        log_msg(LOG_MAIN, a->m, "recipient <%.*s> added by %.*s", STR_ARG(address),
                STR_ARG(a->caller));
    }
    return changed(a);
}

static int edit_sender(struct act *a)
{
    if (a->args->n != 1) {
        printf("Message %.*s - only one sender address can be specified\n", STR_ARG(a->id));
        return 1;
    }
    struct str address = parse_address(a, a->args->v[0], true);
    if (str_unset(address)) {
        return 1;
    }
    a->m->sender = address;
    int status = changed(a);
    if (status == 0) {
        log_msg(LOG_MAIN, a->m, "sender address changed to <%.*s> by %.*s", STR_ARG(address),
                STR_ARG(a->caller));
    }
    return status;
}

static const struct {
    enum queue_action what;
    bool args;
    const char *doing;
    int (*run)(struct act *a);
} actions[] = {
    {QA_FREEZE, false, "freezing", freeze},
    {QA_THAW, false, "thawing", thaw},
    {QA_REMOVE, false, "removing", remove_message},
    {QA_MARK_ALL_DELIVERED, false, "marking as delivered", mark_all},
    {QA_MARK_DELIVERED, true, "marking as delivered", mark_some},
    {QA_ADD_RECIPIENT, true, "adding recipient", add_recipients},
    {QA_EDIT_SENDER, true, "editing sender", edit_sender},
};

/* Says why a message cannot be worked on. Removal goes on whatever state it is in. */
static int no_message(const struct config *conf, struct act *a, enum queue_action what,
                      enum spool_open state)
{
    bool removal = what == QA_REMOVE;
    if (state == SPOOL_LOCKED) {
        printf("Message %.*s is locked\n", STR_ARG(a->id));
        log_msg(LOG_MAIN, a->m,
                "Spool file for %.*s is locked (another process is handling this message)",
                STR_ARG(a->id));
        return 1;
    }
    if (state == SPOOL_GONE) {
        printf("Spool data file for %.*s does not exist\n", STR_ARG(a->id));
        log_msg(LOG_MAIN, a->m, "Spool file %.*s-D not found", STR_ARG(a->id));
    } else {
        printf("Spool format error for %.*s-H\n", STR_ARG(a->id));
    }
    if (removal) {
        printf("Continuing, to ensure all files removed\n");
        if (state == SPOOL_GONE) {
            printf("Spool read error for %.*s-H: No such file or directory\n"
                   "Continuing to ensure all files removed\n",
                   STR_ARG(a->id));
        }
        spool_discard(conf, a->id);
        printf("Message %.*s has been removed or did not exist\n", STR_ARG(a->id));
    }
    return 1;
}

static int change(const struct config *conf, enum queue_action what, struct act *a, bool admin)
{
    size_t i = 0;
    struct str error = STR_NONE;
    while (i + 1 < ARRAY_LEN(actions) && actions[i].what != what) {
        i++;
    }
    a->doing = actions[i].doing;
    enum spool_open state = spool_load(conf, a->id, a->m, &error);
    if (state != SPOOL_OK) {
        return no_message(conf, a, what, state);
    }
    int status = 1;
    bool own = what == QA_REMOVE && str_eq(a->m->originator_login, a->caller);
    if (!admin && !own) { /* an ordinary user may remove what he sent */
        printf("Permission denied\n");
    } else if (actions[i].args && a->args->n == 0) {
        failed(a, " no address given%.*s", STR(""));
    } else {
        status = actions[i].run(a);
    }
    spool_close(a->m);
    return status;
}

int queue_act(const struct config *conf, enum queue_action what, struct str id,
              const struct strvec *args, struct str caller, bool admin)
{
    struct pool *pool = pool_new("queue action");
    struct message m = {.pool = pool, .id = id};
    struct act a = {.conf = conf, .pool = pool, .m = &m, .id = id, .caller = caller, .args = args};
    int status = 0;
    switch (what) {
    case QA_DELIVER: queue_deliver(conf, id, DELIVER_FORCE | DELIVER_THAW); break;
    case QA_GIVE_UP: queue_give_up(conf, id, caller); break;
    case QA_VIEW_HEADER:
    case QA_VIEW_BODY:
    case QA_VIEW_LOG:
    case QA_VIEW_COPY: status = queue_view(conf, pool, what, id, admin); break;
    default: status = change(conf, what, &a, admin);
    }
    fflush(stdout);
    pool_free(&pool);
    return status;
}

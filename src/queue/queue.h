/*
 * The one public header of queue/: delivering one message, retry, bounces, queue runs, and what an
 * administrator does to the queue.
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "route/route.h"
#include "transport/transport.h"

extern const struct module queue_module;

struct retry_rule; /* see retry.c */

/* Reads one line of the retry section; appends to conf->retry_rules. False after reporting. */
bool retry_read_line(struct opt_reader *r, struct str line);

enum deliver_flags {
    DELIVER_FORCE = 1 /* -M: whatever retry times say */,
    DELIVER_QUEUE_RUN = 2,
    DELIVER_THAW = 4 /* frozen too */,
    DELIVER_GIVE_UP = 8,
    DELIVER_FIRST = 16,
    DELIVER_LOCAL_ONLY = 32,
    DELIVER_ROUTE_ONLY = 64,
    DELIVER_NOT = 128 /* -N: no transport is run, from now on */,
    DELIVER_CONTINUED = 256 /* only what the kept connection will take */,
    DELIVER_ALONE = 512 /* a report made meanwhile: what waits does not follow it */,
    DELIVER_FOREGROUND = 1024 /* -odi: reports are delivered before the message is completed */
};

enum deliver_result { DELIVERED_NOT_ATTEMPTED, DELIVERED_ATTEMPTED, DELIVERED_ALL };

/* Delivers one message as far as it goes now; takes the message's lock (no attempt if held). */
enum deliver_result queue_deliver(const struct config *conf, struct str id, unsigned flags);

/*
 * Tells the delivery pool of a new message; `how` as -od… says. Without a pool: forks a process
 * for QUEUE_BACKGROUND, delivers here for QUEUE_FOREGROUND, leaves it for QUEUE_ONLY.
 * Returns the load average if it was too high and queue_only_load_latch wants the rest of the
 * connection to wait as well, else -1.
 */
enum queue_how {
    QUEUE_BACKGROUND, /* nothing was asked for: queue_only may make it QUEUE_ONLY */
    QUEUE_FOREGROUND,
    QUEUE_ONLY,
    QUEUE_SMTP_ONLY,       /* -odqs: what goes by SMTP waits */
    QUEUE_SMTP_FOREGROUND, /* the same, and the rest is delivered here */
    QUEUE_BACKGROUND_GIVEN /* -odb: overrides queue_only unless queue_only_override is off */
};
double queue_hand_over(const struct config *conf, struct str id, enum queue_how how);

/* True if somebody reads the pool's pipe. */
bool queue_pool_present(const struct config *conf);

/* What reports of other rooms have to know of this one's options. */
struct queue_report_policy {
    bool return_message, return_body; /* bounce_return_message, bounce_return_body */
    struct str freeze_tell;
};
struct queue_report_policy queue_report_policy(const struct config *conf);

/*
 * The delivery pool's pipe, named in the spool directory: made by the supervisor, read by workers.
 * -1 after a log line.
 */
int queue_pool_listen(const struct config *conf);

/* Messages in that pipe that no worker has taken yet. */
int queue_pool_waiting(int fd);

/* What a worker's owner wants to know of it, and how long it may idle. */
struct queue_hooks {
    void (*state)(void *closure, bool busy); /* before and after each message */
    void *closure;
    int idle_ms; /* the worker returns when it has waited that long; -1: never */
};
/*
 * Serves ids from the pipe for ever; after SIGTERM (*stop set) it goes on while there are some, a few
 * seconds at most. hooks may be NULL.
 */
void queue_worker(const struct config *conf, int fd, volatile const int *stop,
                  const struct queue_hooks *hooks);

/* One queue run. selectors as -q… -R… -S… have it. */
struct queue_run_opts {
    bool first_only;              /* -qi */
    bool force, force_frozen;     /* -qf, -qff */
    bool local_only;              /* -ql */
    bool dont_deliver;            /* -N */
    bool two_stage;               /* -qq */
    struct str sender, recipient; /* -S, -R: substring; unset: all */
    bool sender_regex, recipient_regex;
    struct str first, last;
};
void queue_run(const struct config *conf, const struct queue_run_opts *o);

/* -bp and its kin: prints the listing. mode as in "-bp" 0, "-bpa" …; ids restricts if n > 0. */
struct queue_list_opts {
    bool unsorted, recipients_only_undelivered, all_recipients, count;
    struct strvec ids;
};
int queue_list(const struct config *conf, const struct queue_list_opts *o);

/*
 * -M…: action on messages. args for -Mar, -Mes, -Mmd. caller is a login; without admin he may remove
 * his own messages alone. Returns the exit status; prints Exim's lines.
 */
enum queue_action {
    QA_DELIVER,
    QA_FREEZE,
    QA_THAW,
    QA_REMOVE,
    QA_GIVE_UP,
    QA_MARK_ALL_DELIVERED,
    QA_MARK_DELIVERED,
    QA_ADD_RECIPIENT,
    QA_EDIT_SENDER,
    QA_VIEW_HEADER,
    QA_VIEW_BODY,
    QA_VIEW_LOG,
    QA_VIEW_COPY
};
int queue_act(const struct config *conf, enum queue_action what, struct str id,
              const struct strvec *args, struct str caller, bool admin);

/* What an address test is about. */
struct queue_test {
    struct session *session; /* the caller's */
    struct str sender;       /* of the message that is not there; empty: a bounce */
    struct map *seen;        /* addresses that were shown already, of the same pool */
    bool verify;             /* -bv, -bvs; else -bt */
    bool all;                /* -v: verification tells of all addresses that it comes to */
    bool as_sender;          /* -bvs */
    bool admin;              /* may know why not */
};

/*
 * Address test (-bt) printing Exim's lines; verification (-bv, -bvs). `address` may be several,
 * separated by commas. Memory from the pool. Exit status 0, 1 (defer), 2 (fail).
 */
int queue_test_address(const struct config *conf, struct pool *pool, struct str address,
                       const struct queue_test *how);

/*
 * -brt: prints the retry rule for an address or domain, args[0]; then perhaps a second domain and an
 * error name. Returns the exit status.
 */
int queue_test_retry(const struct config *conf, const struct strvec *args, struct str sender);

#endif

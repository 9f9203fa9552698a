/* Inside queue/: the settings, one delivery attempt (struct job), and the parts that work on it. */
#ifndef QUEUE_INTERNAL_H
#define QUEUE_INTERNAL_H

#include "queue/queue.h"

/* ---- settings ---- */

struct queue_settings {
    int auto_thaw, ignore_bounce_errors_after, timeout_frozen_after;
    struct etext bounce_message_file, warn_message_file;
    struct str bounce_message_text, bounce_sender_authentication;
    bool bounce_return_body, bounce_return_message;
    int bounce_return_linesize_limit;
    int64_t bounce_return_size_limit;
    struct timelist delay_warning;
    struct etext delay_warning_condition;
    struct etext dsn_from;
    struct str errors_copy, errors_reply_to;
    struct str freeze_tell;
    struct etext hold_domains, queue_domains, queue_smtp_domains, remote_sort_domains;
    bool queue_only, queue_only_override, queue_run_in_order, queue_only_load_latch;
    struct str queue_only_file;
    int queue_only_load, deliver_queue_load_max; /* thousandths; -1: unset */
    struct etext queue_run_max;
    int remote_max_parallel;
    int retry_data_expire, retry_interval_max;
};

/* The settings of this room. */
const struct queue_settings *queue_settings(const struct config *conf);

/*
 * The value of a main option of a room above, such as received_header_text: all that is known of it
 * is its row. NULL if no room has an option of that name and type.
 */
const void *queue_foreign_field(const struct config *conf, const char *name, enum opt_type type);

/* ---- one delivery attempt ---- */

/* Which part of the work an address came from: decides the words of log lines. */
enum stage { STAGE_NONE, STAGE_ROUTING, STAGE_ROUTER, STAGE_TRANSPORT };

/* What this room remembers of an address. */
struct queue_note {
    struct str domain_key, address_key;                  /* "R:domain" and "R:local@domain" */
    struct str sender_key;                               /* "R:local@domain:<sender>" */
    struct str local_key;                                /* "T:local@domain", local transports */
    bool had_domain, had_address, had_sender, had_local; /* a retry record was found */
    bool record_made; /* host or address records say already why it waits */
    bool out_of_time; /* its line is written */
    bool additional;  /* shared the delivery of another address: "->" */
    bool journalled;  /* delivered, and the journal says so */
    bool silent;      /* the administrator's own act: no line for each address */
    bool left_alone;  /* not for the connection that was to be used: nothing is said */
    bool by_child;    /* delivered, and the process that did it has journalled it */
    size_t place;     /* among the addresses that one process delivers */
    const struct address *duplicate_of;
    struct vec failures; /* struct retry_change *: why it waits, or */
    struct vec *group;   /* those of all the addresses that were tried together */
    enum stage stage;
    struct str return_path; /* used by the transport; unset: none ran */
    struct str shadow;      /* " ST=…" */
    struct str sending_ip;
    int sending_port;
};

/* A change to a retry record, decided during delivery and written at its end. */
struct retry_change {
    struct str key;
    bool remove;
    bool message; /* the error belongs to a message: its age counts too */
    int basic_errno, more_errno;
    struct str text, host, domain; /* host unset: an address's; domain: of the recipient */
    bool timed_out;                /* the last rule's cutoff is past */
};

/* What happens to all recipients at once instead of delivery. */
enum whole { RCPT_DELIVER, RCPT_CANCEL /* timeout_frozen_after */, RCPT_GIVE_UP, RCPT_LOOP };

struct job {
    const struct config *conf;
    const struct queue_settings *set;
    struct pool *pool;
    struct message *m;
    struct ectx x;
    struct route_job route;
    unsigned flags;                 /* enum deliver_flags */
    struct address *fresh;          /* to be routed, in order */
    struct address *local, *remote; /* routed, last one first */
    struct address *succeeded, *failed, *deferred, *duplicates, *fallback;
    struct map *done;    /* unique texts that are delivered */
    struct map *seen;    /* unique texts met in this attempt -> struct address * */
    struct map *changes; /* key -> struct retry_change * */
    struct hints *retry;
    struct vec *group; /* failures of the remote delivery going on */
    bool forked;       /* this process delivers for another, which does all the rest */
    bool shared;       /* other processes write to the journal meanwhile */
    bool retry_opened;
    bool continued; /* something went over the connection that was to be used */
    enum whole recipients;
    struct str caller;  /* who gave the message up (-Mg) */
    bool sticky_freeze; /* frozen in this attempt */
    struct str freeze_why;
    struct strvec complete; /* parents that are done, not yet in the message log */
    struct map *host_state; /* retry keys asked in this attempt */
    struct vec bounces;     /* ids (struct str *) made meanwhile, handed over at the end */
};

/* The note of an address, made on demand. */
struct queue_note *queue_note(struct job *j, struct address *a);

/* Puts an address at the head of a list. */
void queue_put(struct address **list, struct address *a);

/* True if the message was sent by <> or is one of our own reports. */
bool queue_is_bounce(const struct message *m);

/* Seconds since the message was received. */
int64_t queue_age(const struct message *m);

/* ---- recipients.c: routing ---- */

/* received_headers_max, an option of the reception. */
int queue_received_max(const struct config *conf);

/* Makes addresses of the recipients that are not done. */
void queue_make_addresses(struct job *j);

/* Routes everything on j->fresh; results go to the lists. */
void queue_route_all(struct job *j);

/* Gives the parents of duplicates their due, once the first of each is done. */
void queue_settle_duplicates(struct job *j);

/* ---- finish.c: the end of one address ---- */

/*
 * Ends an address that has an outcome: journal, log line, its list. stage says who ended it.
 * Addresses whose children are all done are journalled with them.
 */
void queue_finish(struct job *j, struct address *a, enum stage stage);

/*
 * Journals a delivered address and what is thereby done above it. May be called before finish. In a
 * process that delivers for another it is the address alone: the parent knows of the rest.
 */
void queue_journal(struct job *j, struct address *a);

/* Notes in the message log the parents that queue_journal() found complete. */
void queue_tell_complete(struct job *j);

/* Freezes the message at the end of this attempt; the reason is for the log and freeze_tell. */
void queue_freeze(struct job *j, struct str reason);

/* Fails every recipient that is left, as `caller` wants it (-Mg). */
enum deliver_result queue_give_up(const struct config *conf, struct str id, struct str caller);

/* True in a worker of the delivery pool that is to end soon. */
bool queue_told_to_end(void);

/* Hands a report that has been written to the pool; without one delivers it here. */
void queue_pending(const struct config *conf, struct str id, unsigned flags);

/* ---- waiting.c: messages that wait for a host ---- */

/* Notes that the message waits for the hosts, where the transport's connections take several. */
void waiting_note(struct job *j, const struct transport *t, const struct host *hosts);

/* The hooks: whether other messages wait for a host; the message waits for the hosts. */
bool waiting_others(struct delivery *d, const struct host *host);
void waiting_noted(struct delivery *d, const struct host *hosts);

/*
 * Delivers, over the connection that the delivery of message `id` has left open, the messages that
 * wait for its host, one after the other. flags are that delivery's.
 */
void waiting_follow(const struct config *conf, struct str id, unsigned flags);

/*
 * Delivers what of a message may go over the kept connection; all else is left as it is. Says
 * nothing, and returns DELIVERED_NOT_ATTEMPTED, if nothing may.
 */
enum deliver_result queue_continue(const struct config *conf, struct str id, unsigned flags);

/* ---- local.c, remote.c ---- */

/*
 * Ends an address that needs no transport: a file named /dev/null, and everything with -N. False if
 * it is not one.
 */
bool queue_bypass(struct job *j, struct address *a);

void queue_deliver_local(struct job *j);
void queue_deliver_remote(struct job *j);

/*
 * Makes one delivery, of addresses that go together: outcomes and facts are set, nothing is logged
 * or put on a list. more: another one to the same hosts follows in this process.
 */
void remote_deliver(struct job *j, struct address *group, bool more);

/* Ends the addresses of one delivery: journal, log lines, lists, fallback hosts. */
void remote_finish(struct job *j, struct address *group);

/* Cuts as many addresses as one transaction may have off the list; *rest is the rest. */
struct address *remote_cut(struct address *list, struct address **rest);

/* ---- parallel.c: deliveries in processes of their own ---- */

struct parallel;

/*
 * Starts a process that delivers the addresses, in as many transactions as it takes; waits for an
 * earlier one if there are `limit` of them. *p is NULL before the first. False if that cannot be
 * (logged): nothing has happened then.
 */
bool parallel_start(struct job *j, struct parallel **p, struct address *list, int limit);

/* Waits for all of them and ends their addresses as the results come. p may be NULL. */
void parallel_finish(struct parallel *p);

/* ---- told.c: what such a process tells ---- */

enum { TOLD_MAX = 512 * 1024 * 1024 };

enum { TOLD_HEADER = sizeof(uint64_t) };

enum told_state { TOLD_GOOD, TOLD_PART /* more bytes are needed */, TOLD_BAD };

/*
 * The result of one transaction as bytes: the addresses with their facts, all of j->changes, of
 * which those in j->group are why the addresses wait, and what is new for the message log (which is
 * taken from it). Unset if it is too large.
 */
struct str told_encode(struct job *j, const struct address *group);

/* How many bytes a result will have that begins with these. */
size_t told_length(struct str begin);

/*
 * Takes one result off *data (strings stay views of it), makes it true of the addresses of `all`
 * (by note->place; NULL: ended before), which become NULL there, and of the job. *group is these
 * addresses. Nothing changes unless it is TOLD_GOOD.
 */
enum told_state told_decode(struct job *j, struct str *data, struct vec *all,
                            struct address **group);

/* The transport's message_size_limit; false with the address's outcome set. */
bool queue_size_allowed(struct job *j, struct address *a);

/* Ends the addresses of a call that cannot be made, and tells the panic log why. */
void queue_cannot_call(struct job *j, struct address *list, int why, struct str message);

/* Fills the parts of a delivery that all transports need: return path, pool, hooks. */
void queue_prepare(struct job *j, struct delivery *d, const struct transport *t,
                   struct address *addrs);

/* The return path of an address: transport's, errors_to, or the sender. False: a->message says. */
bool queue_return_path(struct job *j, struct address *a, struct str *out);

/* ---- log.c: lines ---- */

/* What stands for an address in log lines: "local <orig@dom>", "a@b (c@d) <e@f>". */
struct str log_address(struct pool *pool, const struct address *a, bool all_parents, bool success);

/* Text of a "=>" line without its flag; of a "**" and a "==" line. */
struct str log_delivered(struct job *j, const struct address *a);
struct str log_failed(struct job *j, const struct address *a);
struct str log_deferred(struct job *j, const struct address *a, enum stage stage);

/* ---- retry rules (retry_rules.c) ---- */

struct retry_param {
    char algorithm;           /* F, G, H */
    int64_t cutoff, interval; /* seconds */
    int factor;               /* thousandths */
};

struct retry_rule {
    struct retry_rule *next;
    struct str text_pattern, text_error;
    struct etext pattern; /* an address list of one item */
    struct etext senders;
    bool has_senders;
    int basic_errno, more_errno; /* 0: any */
    int code_digits;             /* for 4xx: how many digits are given */
    int64_t quota_age;
    size_t n;
    struct retry_param *params;
};

/* Parses an error name; NULL, or what is wrong (retry_unknown_error if the name is). */
const char *retry_parse_error(struct str name, struct retry_rule *rule);
extern const char retry_unknown_error[];

/* Parses "F,2h,15m; G,16h,1h,1.5"; *error in Exim's words on failure. */
bool retry_parse_params(struct pool *pool, struct str text, struct retry_rule *rule,
                        struct str *error);

/* True if the error is one the rule is about. */
bool retry_error_matches(const struct retry_rule *rule, int basic_errno, int more_errno);

/* The first rule for a key (address, domain or host name) and its alternative; NULL if none. */
const struct retry_rule *retry_find_rule(struct ectx *x, struct str key, struct str alternate,
                                         int basic_errno, int more_errno, struct str sender);

/* A record of the hints database. Times in seconds since the epoch. */
struct retry_record {
    int64_t first, last, next;
    int basic_errno, more_errno;
    bool expired; /* the last cutoff is past */
    struct str text;
};

/*
 * When to try again after a failure now: sets r->last, next, expired. random is for algorithm H,
 * any number. max_interval as retry_interval_max.
 */
void retry_compute(const struct retry_rule *rule, struct retry_record *r, int64_t now,
                   int64_t failing_since, int64_t max_interval, uint32_t random);

/* The last cutoff of a rule in seconds; 0 without parameters. */
int64_t retry_ultimate(const struct retry_rule *rule);

/* A record as text for the database, and back; false if it is not one. */
struct str retry_encode(struct pool *pool, const struct retry_record *r);
bool retry_decode(struct str text, struct retry_record *r);

/* A record for struct hint_kind: as exim_dumpdb shows it, and when it was written. */
struct str retry_show_hint(struct pool *pool, struct str key, struct str data);
int64_t retry_last_hint(struct str data);
extern const struct hint_kind queue_hints[];

/* ---- retry state (retry.c) ---- */

/* Reads a record; false if there is none or it has expired (retry_data_expire). */
bool retry_get(struct job *j, struct str key, struct retry_record *r);

/* True if the message waited longer than the last cutoff for this record's error. */
bool retry_message_too_old(struct job *j, const struct retry_record *r, struct str key,
                           struct str alternate);

/* Notes a change; what was noted last for a key counts. What is kept of it, for the job's life. */
struct retry_change *retry_note(struct job *j, const struct retry_change *c);

/* Before routing: false if the address waits (outcome and message are set). */
bool retry_may_route(struct job *j, struct address *a);

/* After routing went well: records of failed routing are dropped. */
void retry_note_routed(struct job *j, struct address *a);

/* Before a local delivery: the same as retry_may_route(). */
bool retry_may_deliver(struct job *j, struct address *a);

/* Notes what a finished address means for its records. */
void retry_note_address(struct job *j, struct address *a, enum stage stage);

/* The hooks for hosts. */
bool retry_host_check(struct delivery *d, struct host *h);
void retry_host_failed(struct delivery *d, struct host *h, const struct address *reason,
                       bool of_message);
void retry_host_worked(struct delivery *d, struct host *h);

/* Writes the changes; addresses that are out of time move from deferred to failed, logged. */
void retry_write_all(struct job *j);

/* ---- listing and showing ---- */

/* Age and size as -bp prints them: " 5m", "12h", " 3d"; "  259", " 1.4K". */
struct str list_age(struct pool *pool, int64_t seconds);
struct str list_size(struct pool *pool, int64_t bytes);

/* -Mvh, -Mvb, -Mvl, -Mvc; the exit status. */
int queue_view(const struct config *conf, struct pool *pool, enum queue_action what, struct str id,
               bool admin);

/* ---- writing a report (report.c) ---- */

/* A report being written: a message of our own through the spool. */
struct report {
    struct job *j; /* the delivery it is about */
    struct message m;
    struct spool_writer *w;
    struct pool *pool;
    struct str to;
    struct str boundary;
    bool failed; /* the spool did not take all of it */
};

/* Begins one; `to` is what its To: line says. False if the spool refuses (logged). */
bool report_begin(struct report *r, struct job *j, struct str to);

/* Adds envelope recipients, separated by commas. */
void report_recipients(struct report *r, struct str list);

/* Adds a header line, or all lines of a text. */
void report_header(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void report_headers(struct report *r, struct str text);

/* From: and References: of every report. */
void report_from(struct report *r);
void report_references(struct report *r);

/* Adds to the body. */
void report_put(struct report *r, struct str text);
void report_printf(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Begins a MIME part of the type. */
void report_part(struct report *r, const char *type);

/* Reads a template option's file: n texts, expanded, unset where the default applies. */
void report_template(struct report *r, const struct etext *option, const char *name,
                     struct str *items, size_t n);

/* The last part: the original message or its headers; limited adds the line that says why. */
void report_original(struct report *r, bool with_body, bool limited);

/* Ends it: Received line, ids, commit, log line. False if it could not be kept (logged). */
bool report_end(struct report *r);

/* All at once: the hook that transports and routers send messages of ours by. owner is a job. */
bool report_submit(void *owner, struct str to, struct str headers, struct str body);

/* ---- what reports say of an address (status.c) ---- */

/* The envelope recipient behind an address. */
const struct address *report_top(const struct address *a);

/* Names the address and where it came from; false if it is one that stays hidden. */
bool report_address(struct report *r, const struct address *a, const char *first, const char *sep,
                    const char *last);

/* Why it failed, or with a label why it is late, as far as it is for the sender to know. */
void report_explanation(struct report *r, const struct address *a, const char *label);

/* The fields of RFC 3464: of the message, and of one recipient. */
void report_status_begin(struct report *r);
void report_status(struct report *r, const struct address *a, const char *action,
                   const char *status);

/* The Message-ID of a message, with its brackets. */
struct str report_message_id(struct pool *pool, const struct message *m);

/* ---- the reports (bounce.c, warn.c) ---- */

/* Reports j->failed; addresses that cannot be reported move to j->deferred. */
void bounce_failed(struct job *j);

/* Reports those of j->succeeded that asked for it. */
void bounce_success(struct job *j);

/* Tells the sender that j->deferred are late, if it is time to. */
void bounce_warn(struct job *j);

/*
 * How many warnings should have been sent for a message of this age (seconds); *passed gets the age
 * at which the last of them was due.
 */
int bounce_warnings_due(const struct timelist *times, int64_t age, int64_t *passed);

/* Tells freeze_tell about a message that has just been frozen. */
void bounce_tell_frozen(struct job *j);

#endif

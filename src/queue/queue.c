/*
 * The queue module: the main options about retries, reports, queueing and queue runs, and the
 * variables that exist while a report is written.
 * Settings are filled by the option engine and are constant afterwards.
 */
#include "queue/internal.h"

#define O(field) offsetof(struct queue_settings, field)
#define ROW(name, type, dflt, doc) \
    { \
#name, type, O(name), dflt, doc, NULL, NULL \
    }

#define DELAY_CONDITION \
    "${if or {{ !eq{$h_list-id:$h_list-post:$h_list-subscribe:}{} }" \
    "{ match{$h_precedence:}{(?i)bulk|list|junk} }" \
    "{ match{$h_auto-submitted:}{(?i)auto-generated|auto-replied} }} {no}{yes}}"

static const struct option options[] = {
    ROW(auto_thaw, OPT_TIME, "0s", "a frozen message is tried again after this time"),
    ROW(bounce_message_file, OPT_EXPAND, NULL, "template of bounce messages"),
    ROW(bounce_message_text, OPT_STRING, NULL, "text put at the start of bounce messages"),
    ROW(bounce_return_body, OPT_BOOL, "true", "bounces carry the message's body"),
    ROW(bounce_return_linesize_limit, OPT_INT, "998",
        "a message with longer lines is returned without its body"),
    ROW(bounce_return_message, OPT_BOOL, "true", "bounces carry the message"),
    ROW(bounce_return_size_limit, OPT_SIZE, "100K",
        "bodies above this size are not returned whole"),
    ROW(bounce_sender_authentication, OPT_STRING, NULL, "AUTH= of bounces"),
    ROW(delay_warning, OPT_TIMES, "24h", "ages at which the sender is told of a delay"),
    ROW(delay_warning_condition, OPT_EXPAND, DELAY_CONDITION, "whether to tell the sender"),
    ROW(deliver_queue_load_max, OPT_FIXED, "-1", "a queue run stops above this load average"),
    ROW(dsn_from, OPT_EXPAND, "Mail Delivery System <Mailer-Daemon@$qualify_domain>",
        "From: of reports"),
    ROW(errors_copy, OPT_STRING, NULL, "patterns, and addresses that get copies of bounces"),
    ROW(errors_reply_to, OPT_STRING, NULL, "Reply-To: of reports"),
    ROW(freeze_tell, OPT_STRING, NULL, "addresses told when a message is frozen"),
    ROW(hold_domains, OPT_DOMAINS, NULL, "domains that are not delivered for now"),
    ROW(ignore_bounce_errors_after, OPT_TIME, "10w",
        "age from which a bounce that fails is dropped"),
    ROW(queue_domains, OPT_DOMAINS, NULL, "domains left for queue runs"),
    ROW(queue_only, OPT_BOOL, "false", "messages wait for a queue run"),
    ROW(queue_only_file, OPT_STRING, NULL, "queue_only while such a file exists"),
    ROW(queue_only_load, OPT_FIXED, "-1", "queue_only above this load average"),
    ROW(queue_only_load_latch, OPT_BOOL, "true", "the rest of a connection waits as well"),
    ROW(queue_only_override, OPT_BOOL, "true", "-od options override queue_only"),
    ROW(queue_run_in_order, OPT_BOOL, "false", "queue runs take messages in order of arrival"),
    ROW(queue_run_max, OPT_EXPAND, "5", "queue runs of a daemon at the same time"),
    ROW(queue_smtp_domains, OPT_DOMAINS, NULL, "domains whose SMTP deliveries wait for queue runs"),
    ROW(remote_max_parallel, OPT_INT, "4", "deliveries of one message at a time"),
    ROW(remote_sort_domains, OPT_DOMAINS, NULL, "order of remote deliveries"),
    ROW(retry_data_expire, OPT_TIME, "7d", "age from which retry records count no more"),
    ROW(retry_interval_max, OPT_TIME, "24h", "longest time between two attempts"),
    ROW(timeout_frozen_after, OPT_TIME, "0s", "age from which a frozen message is given up"),
    ROW(warn_message_file, OPT_EXPAND, NULL, "template of delay warnings"),
    {0},
};

const struct queue_settings *queue_settings(const struct config *conf)
{
    return conf->settings[ROOM_QUEUE];
}

struct queue_report_policy queue_report_policy(const struct config *conf)
{
    const struct queue_settings *s = queue_settings(conf);
    return (struct queue_report_policy){.return_message = s->bounce_return_message,
                                        .return_body = s->bounce_return_body,
                                        .freeze_tell = s->freeze_tell};
}

const void *queue_foreign_field(const struct config *conf, const char *name, enum opt_type type)
{
    for (const struct module *const *m = conf->modules; m && *m; m++) {
        const struct option *row = (*m)->options ? opt_find((*m)->options, str_c(name)) : NULL;
        if (row && row->type == type && conf->settings[(*m)->room]) {
            return (const char *)conf->settings[(*m)->room] + row->offset;
        }
    }
    return NULL;
}

/* Variables set while a report is written live beside the message's other facts. */
static struct str get_fact(struct ectx *x, struct str name)
{
    return x->msg && x->msg->session_facts ? vars_get(&x->msg->session_facts->facts, name)
                                           : STR_NONE;
}

static struct str get_size_limit(struct ectx *x, struct str name)
{
    (void)name;
    struct str s =
        str_fmt(x->pool, "%lld", (long long)queue_settings(x->conf)->bounce_return_size_limit);
    s.tainted = false;
    return s;
}

/* The older names of what warn_message_... says. */
static struct str get_warnmsg(struct ectx *x, struct str name)
{
    return get_fact(x, str_is(name, "warnmsg_delay") ? STR("warn_message_delay")
                                                     : STR("warn_message_recipients"));
}

/* How many messages are queued; empty unless a daemon is there to know. */
static struct str get_queue_size(struct ectx *x, struct str name)
{
    (void)name;
    if (!queue_pool_present(x->conf)) {
        return STR("");
    }
    struct str s = str_fmt(x->pool, "%zu", spool_count(x->conf));
    s.tainted = false;
    return s;
}

static const struct variable variables[] = {
    {"bounce_recipient", get_fact, "recipient of the bounce being written"},
    {"bounce_return_size_limit", get_size_limit, "bounce_return_size_limit in bytes"},
    {"queue_size", get_queue_size, "messages queued, if a daemon runs"},
    {"return_size_limit", get_size_limit, "older name of bounce_return_size_limit"},
    {"warn_message_delay", get_fact, "how long the message has been delayed"},
    {"warn_message_recipients", get_fact, "recipients of the delay warning"},
    {"warnmsg_delay", get_warnmsg, "older name of warn_message_delay"},
    {"warnmsg_recipients", get_warnmsg, "older name of warn_message_recipients"},
    {0},
};

static bool finish(struct config *conf, struct opt_reader *r)
{
    struct queue_settings *s = conf->settings[ROOM_QUEUE];
    enum { DAY = 24 * 60 * 60, WARNINGS_MAX = 10 };
    if (s->retry_interval_max <= 0 || s->retry_interval_max > DAY) {
        s->retry_interval_max = DAY;
    }
    if (s->delay_warning.n > WARNINGS_MAX) {
        return opt_error(r, "too many time values in delay_warning");
    }
    return true;
}

const struct module queue_module = {
    .name = "queue",
    .room = ROOM_QUEUE,
    .settings_size = sizeof(struct queue_settings),
    .options = options,
    .variables = variables,
    .hints = queue_hints,
    .finish = finish,
};

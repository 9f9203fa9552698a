/*
 * Variables of the room: the conversation and the envelope of the message in hand.
 *
 * Each is empty, or 0, where there is no conversation or no message. What the client said is
 * tainted; numbers of our own are not.
 */
#include "smtp_in/internal.h"

static struct str number(struct ectx *x, int64_t n)
{
    struct str s = str_fmt(x->pool, "%lld", (long long)n);
    s.tainted = false;
    return s;
}

#define MESSAGE_COUNT(field) \
    static struct str get_##field(struct ectx *x, struct str name) \
    { \
        (void)name; \
        return number(x, x->msg ? x->msg->field : 0); \
    }

MESSAGE_COUNT(rcpt_count)
MESSAGE_COUNT(rcpt_defer_count)
MESSAGE_COUNT(rcpt_fail_count)

static struct str get_smtp_command(struct ectx *x, struct str name)
{
    (void)name;
    return x->sess ? x->sess->smtp_command : STR_NONE;
}

static struct str get_smtp_argument(struct ectx *x, struct str name)
{
    (void)name;
    return x->sess && !str_unset(x->sess->smtp_command) ? smtp_parse_line(x->sess->smtp_command).arg
                                                        : STR_NONE;
}

static struct str get_history(struct ectx *x, struct str name)
{
    (void)name;
    const struct strvec *v = x->sess ? x->sess->smtp_history : NULL;
    struct buf b;
    buf_init(&b, x->pool, 4096);
    for (size_t i = 0; v && i < v->n; i++) {
        buf_addz(&b, i ? "," : "");
        buf_adds(&b, v->v[i]);
    }
    return buf_str(&b);
}

static struct str get_connections(struct ectx *x, struct str name)
{
    (void)name;
    return number(x, x->sess ? x->sess->connections_at_start : 0);
}

static struct str get_notquit_reason(struct ectx *x, struct str name)
{
    (void)name;
    return x->sess ? x->sess->notquit_reason : STR_NONE;
}

const struct variable smtp_in_variables[] = {
    {"rcpt_count", get_rcpt_count, "RCPT commands for this message so far"},
    {"rcpt_defer_count", get_rcpt_defer_count, "of them, refused for now"},
    {"rcpt_fail_count", get_rcpt_fail_count, "of them, refused for good"},
    {"smtp_command", get_smtp_command, "the SMTP command in hand"},
    {"smtp_command_argument", get_smtp_argument, "its argument"},
    {"smtp_command_history", get_history, "the last commands, separated by commas"},
    {"smtp_count_at_connection_start", get_connections, "connections when this one began"},
    {"smtp_notquit_reason", get_notquit_reason, "why the connection ends without QUIT"},
    {NULL, NULL, NULL},
};

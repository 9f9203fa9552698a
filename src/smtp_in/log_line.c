/*
 * The "<=" line of the main log, field by field as the log selectors ask for them.
 * What the client said is shown with control characters escaped. The line is built in the
 * message's pool and written once the message is safe.
 */
#include "smtp_in/internal.h"

static void add_host(struct receiver *r, struct buf *b)
{
    const struct session *s = r->sess;
    if (!str_empty(s->host_address)) {
        buf_addz(b, " H=");
        buf_adds(b, session_fullhost(r->msg->pool, s, log_wants(LS_incoming_port)));
        if (log_wants(LS_incoming_interface) && !str_empty(s->interface_address)) {
            buf_addf(b, " I=[%.*s]:%d", STR_ARG(s->interface_address), s->interface_port);
        }
    }
    if (!str_empty(s->ident)) {
        buf_addf(b, " U=%.*s", STR_ARG(s->ident));
    }
    if (!str_empty(r->msg->received_protocol)) {
        buf_addf(b, " P=%.*s", STR_ARG(r->msg->received_protocol));
    }
    if (log_wants(LS_pipelining) && s->pipelining_advertised) {
        buf_addz(b, s->pipelining_used ? " L" : " L-");
    }
}

void session_log_auth(struct buf *b, const struct session *s)
{
    if (!str_empty(s->auth_mechanism)) {
        buf_addf(b, " A=%.*s", STR_ARG(s->auth_mechanism));
        if (!str_empty(s->auth_id)) {
            buf_addf(b, ":%.*s", STR_ARG(s->auth_id));
        }
    }
}

static void add_auth(struct receiver *r, struct buf *b)
{
    const struct session *s = r->sess;
    if (str_empty(s->auth_mechanism)) {
        return;
    }
    session_log_auth(b, s);
    struct str sender = str_empty(r->msg->auth_sender) ? s->auth_sender : r->msg->auth_sender;
    if (log_wants(LS_smtp_mailauth) && !str_empty(s->auth_id) && !str_empty(sender)) {
        buf_addf(b, ":%.*s", STR_ARG(sender));
    }
}

/* The Message-ID, if it has the form of an address; one that we made has a selector of its own. */
static void add_message_id(struct receiver *r, struct buf *b)
{
    if (!log_wants(r->message_id_created ? LS_msg_id_created : LS_msg_id)) {
        return;
    }
    struct mailbox id;
    struct str error;
    if (mailbox_parse(r->msg->pool, str_trim(r->message_id), 0, &id, &error)) {
        buf_addz(b, r->message_id_created ? " id*=" : " id=");
        buf_adds(b, str_printable(r->msg->pool, id.text, false));
    }
}

/* T="…" with quotes and backslashes escaped. */
static void add_subject(struct receiver *r, struct buf *b)
{
    struct str s = str_trim(r->subject);
    buf_addz(b, " T=\"");
    for (uint32_t i = 0; i < s.len; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') {
            buf_addc(b, '\\');
        }
        if (s.p[i] != '\n') {
            buf_addc(b, s.p[i]);
        }
    }
    buf_addc(b, '"');
}

static void add_recipients(struct receiver *r, struct buf *b)
{
    const struct message *m = r->msg;
    buf_addz(b, " for");
    for (size_t i = 0; i < m->recipient_count; i++) {
        buf_addc(b, ' ');
        buf_adds(b, m->recipients[i].address);
    }
}

/* The line without its flag. */
static struct str arrival(struct receiver *r)
{
    struct message *m = r->msg;
    struct buf b;
    buf_init(&b, m->pool, 1 << 20);
    buf_adds(&b, str_empty(m->sender) ? STR("<>") : m->sender);
    if (!str_empty(m->message_reference)) {
        buf_addf(&b, " R=%.*s", STR_ARG(m->message_reference));
    }
    add_host(r, &b);
    tls_log(&b, r->sess->tls);
    add_auth(r, &b);
    if (m->prdr) {
        buf_addz(&b, " PRDR");
    }
    if (r->chunked) {
        buf_addz(&b, " K");
    }
    buf_addf(&b, " S=%lld", (long long)m->size);
    if (log_wants(LS_8bitmime)) {
        buf_addf(&b, " M8S=%d", m->body_type);
    }
    if (!str_empty(m->queue_name)) {
        buf_addf(&b, " Q=%.*s", STR_ARG(m->queue_name));
    }
    if (log_wants(LS_receive_time)) {
        struct str used =
            time_used(m->pool, m->received, m->received_complete, log_wants(LS_millisec));
        buf_addf(&b, " RT=%.*s", STR_ARG(used));
    }
    add_message_id(r, &b);
    if (log_wants(LS_subject) && !str_unset(r->subject)) {
        add_subject(r, &b);
    }
    if (log_wants(LS_received_sender)) {
        buf_addf(&b, " from <%.*s>", STR_ARG(str_unset(m->raw_sender) ? m->sender : m->raw_sender));
    }
    if (log_wants(LS_received_recipients)) {
        add_recipients(r, &b);
    }
    return buf_str(&b);
}

void receive_note(struct receiver *r)
{
    r->msg->received_complete = time_now();
    r->arrival = arrival(r);
    spool_msglog(r->msg, "Received from %.*s", STR_ARG(r->arrival));
}

void receive_log(struct receiver *r)
{
    struct str line = str_unset(r->arrival) ? arrival(r) : r->arrival;
    log_msg(LOG_MAIN, r->msg, "%s %.*s", r->msg->fake == FAKE_REJECT ? "(=" : "<=", STR_ARG(line));
}

/*
 * DATA and BDAT (RFC 5321 4.1.1.4, RFC 3030): the message itself, from the go-ahead to the final
 * reply.
 *
 * After a fault the rest of the message is read and dropped, then the reply says what was wrong, so
 * that the client hears it. Only where a line with a lone dot stands between line ends of the wrong
 * kind is the connection closed as well: its sender either waits for an answer that the standard
 * does not give here, or tries to smuggle a second message behind the first.
 */
#include "smtp_in/internal.h"

#include <errno.h>

/* What the client will be told, and whether to go on. */
struct verdict {
    enum conv_end end;
    bool accepted;
};

static struct receiver new_receiver(struct conv *c)
{
    struct receiver r = {.size_limit = (int64_t)c->size_limit};
    return r;
}

static bool begin(struct conv *c, struct receiver *r)
{
    *r = new_receiver(c);
    if (!receive_begin(r, &c->x, true)) {
        log_write(LOG_MAIN | LOG_PANIC, "Failed to create spool file: %m");
        return false;
    }
    r->trusted = c->sess->caller_trusted || c->peer; /* the daemon is nobody's, so it may */
    r->sender_forced = c->sub && c->sub->sender_set;
    r->name_forced = c->sub && !str_unset(c->sub->full_name);
    r->from_lines = str_empty(c->sess->host_address)
                        ? c->set->ignore_fromline_local
                        : conv_host_in(c, &c->set->ignore_fromline_hosts);
    c->msg->local = c->notcp && !c->sess->caller_trusted;
    c->msg->dont_deliver = c->sub && c->sub->dont_deliver;
    c->msg->suppress_local_fixups |= c->sub && c->sub->suppress_local_fixups;
    if (c->notcp && str_empty(c->sess->host_address) &&
        !caller_may_send_as(&c->x, c->msg->sender)) {
        c->msg->sender = c->msg->raw_sender = caller_address(&c->x);
    }
    c->msg->originator_login = c->sess->caller_login;
    c->msg->originator_uid = c->sess->caller_uid;
    c->msg->originator_gid = c->sess->caller_gid;
    c->msg->allow_unqualified_rcpt = conv_unqualified_ok(c, true);
    return true;
}

/* ---- the client is gone ---- */

static enum conv_end lost_in_data(struct conv *c, struct receiver *r)
{
    receive_abort(r);
    if (stream_error(c->io) == ETIMEDOUT) {
        struct str who = conv_who(c, false);
        log_msg(LOG_MAIN, c->msg,
                "SMTP data timeout (message abandoned) on connection from %.*s F=<%.*s>",
                STR_ARG(who), STR_ARG(c->msg->sender));
        struct str text = STR_CAT(c->msg_pool, c->sess->active_hostname,
                                  STR(" SMTP incoming data timeout - closing connection."));
        conv_notquit(c, "data-timeout", "421", str_cstr(c->msg_pool, text));
        return END_LOST;
    }
    if (log_wants(LS_lost_incoming_connection)) {
        struct str name = conv_name(c);
        log_write(LOG_MAIN, "%.*s lost while reading message data", STR_ARG(name));
    }
    conv_notquit(c, "connection-lost", NULL, NULL);
    reply(c, "421 Lost incoming connection");
    return END_LOST;
}

/* Feeds the stream to the reader until it is done. False: the client is gone. */
static bool read_data(struct conv *c, struct data_reader *d)
{
    stream_bulk(c->io);
    while (!d->done) {
        const char *p;
        size_t n;
        if (!stream_buffered(c->io)) {
            stream_flush(c->io);
        }
        if (!stream_peek(c->io, &p, &n)) {
            return false;
        }
        size_t took = data_feed(d, p, n);
        for (size_t i = 0; i < took; i++) {
            c->lines += p[i] == '\n';
        }
        stream_consume(c->io, took);
    }
    return true;
}

/* ---- refusing what was read ---- */

/* "rejected from <sender> H=… U=…: why" */
static void log_rejected(struct conv *c, unsigned where, struct str why)
{
    struct session *s = c->sess;
    struct str host = STR(""), ident = STR("");
    if (!str_empty(s->host_address)) {
        host = STR_CAT(c->msg_pool, STR(" H="),
                       session_fullhost(c->msg_pool, s, log_wants(LS_incoming_port)));
    }
    if (!str_empty(s->ident)) {
        ident = STR_CAT(c->msg_pool, STR(" U="), s->ident);
    }
    log_msg(where, c->msg, "rejected from <%.*s>%.*s%.*s: %.*s", STR_ARG(c->msg->sender),
            STR_ARG(host), STR_ARG(ident), STR_ARG(why));
}

/* Bare CR or LF in the data. */
static bool refuse_line_ends(struct conv *c, const struct data_reader *d)
{
    if (!d->bare_lf && !d->bare_cr) {
        return false;
    }
    const char *what = d->bare_lf ? "LF" : "CR";
    struct str who = conv_who(c, true);
    log_msg(LOG_MAIN | LOG_REJECT, c->msg,
            "%.*s F=<%.*s> rejected after DATA: bare %s in message data%s", STR_ARG(who),
            STR_ARG(c->msg->sender), what, d->bad_end ? ": possible SMTP smuggling" : "");
    reply(c, "550 Bare %s in message data: lines must end in CRLF", what);
    return true;
}

/*
 * RFC 3030 3: what BDAT carries is taken as it is, so a header whose lines do not end in CRLF is
 * none.
 */
static bool refuse_header_lf(struct conv *c, struct receiver *r)
{
    if (!r->header_lf) {
        return false;
    }
    receive_end_input(r);
    c->msg->id = STR(""); /* it has not come so far as to have one */
    log_rejected(c, LOG_MAIN | LOG_REJECT,
                 STR("Non-CRLF-terminated header, under CHUNKING: message abandoned"));
    reply(c, "552 Message header not CRLF terminated");
    receive_abort(r);
    conv_reset(c);
    return true;
}

/* Too big in one way or another, or not written. */
static bool refuse_size(struct conv *c, struct receiver *r)
{
    struct session *s = c->sess;
    struct str who = str_empty(s->host_address)
                         ? s->ident
                         : session_fullhost(c->msg_pool, s, log_wants(LS_incoming_port));
    if (r->header_too_big) {
        log_write(
            LOG_MAIN,
            "ridiculously long message header received from %.*s (more than %d characters): message abandoned",
            STR_ARG(who), r->set->header_maxsize);
        reply(c, "552 Message header is ridiculously long");
    } else if (r->header_line_too_big) {
        log_write(
            LOG_MAIN,
            "overlong message header line received from %.*s (more than %d characters): message abandoned",
            STR_ARG(who), r->set->header_line_maxsize);
        reply(c, "552 A message header line is too long");
    } else if (r->too_big) {
        log_rejected(c, log_if(LS_size_reject, LOG_MAIN | LOG_REJECT),
                     str_fmt(c->msg_pool, "message too big: read=%lld max=%llu",
                             (long long)(r->header_bytes + c->msg->body_size),
                             (unsigned long long)c->size_limit));
        reply(c, "552 Message size exceeds maximum permitted");
    } else if (r->write_failed) {
        errno = r->write_errno;
        log_msg(LOG_MAIN, c->msg,
                "Message abandoned: Spool write error (%m) while receiving message from %.*s",
                STR_ARG(who));
        bool full = r->write_errno == ENOSPC || r->write_errno == EDQUOT;
        reply(c,
              full ? "452 Space shortage, please try later" : "451 Error while writing spool file");
    } else {
        return false;
    }
    return true;
}

/* ---- accepting ---- */

/* -bh: what was said to be received was not. */
static void not_real(struct conv *c)
{
    static const char note[] = "\n**** SMTP testing: that is not a real message id!\n\n";
    if (c->sess->host_checking) {
        stream_flush(c->io);
        write_all(c->sub->out, note, sizeof note - 1);
    }
}

static void say_accepted(struct conv *c, struct acl_reply *a)
{
    if (c->msg->fake != FAKE_NONE) {
        reply_lines(c, c->msg->fake == FAKE_DEFER ? STR("450 ") : STR("550 "), true,
                    c->msg->fake_reply);
    } else if (c->msg->prdr) {
        reply(c, "250 id=%.*s message accepted%s", STR_ARG(c->msg->id),
              c->msg->prdr_some ? " for some recipients" : "");
    } else if (!str_unset(a->user)) {
        struct str code = STR("250 ");
        reply_code(c->msg_pool, &code, &a->user, NULL, true);
        reply_lines(c, code, true, a->user);
        not_real(c);
    } else {
        if (c->chunked) {
            reply(c, "250- %llu byte chunk, total %llu", (unsigned long long)c->bdat_size,
                  (unsigned long long)c->bdat_total);
        }
        reply(c, "250 OK id=%.*s", STR_ARG(c->msg->id));
        not_real(c);
    }
}

/* Nobody is to get it: it is logged and forgotten. */
static void black_hole(struct conv *c, struct receiver *r, const char *by,
                       const struct acl_reply *a)
{
    receive_take_size(r);
    receive_abort(r);
    receive_log(r);
    log_msg(LOG_MAIN, c->msg, "=> blackhole (%s discarded recipients)%s%.*s", by,
            str_unset(a->log) ? "" : ": ", STR_ARG(a->log));
    log_msg(LOG_MAIN, c->msg, "Completed");
}

/* How the message is to be delivered; *why is the reason if it has to wait, unset if none is told. */
static enum queue_how delivery_mode(struct conv *c, struct str *why)
{
    const struct smtp_in_settings *set = c->set;
    enum queue_how how = c->sub ? c->sub->how : c->peer ? c->peer->how : QUEUE_BACKGROUND;
    *why = STR_NONE;
    c->messages++;
    if (how == QUEUE_ONLY || c->msg->queue_only_policy) {
        return QUEUE_ONLY;
    }
    if (c->peer && set->smtp_accept_queue > 0 && c->peer->connections > set->smtp_accept_queue) {
        *why = str_fmt(c->msg_pool, "too many connections (%d, max %d)", c->peer->connections,
                       set->smtp_accept_queue);
    } else if (set->smtp_accept_queue_per_connection > 0 &&
               c->messages > set->smtp_accept_queue_per_connection) {
        *why = str_fmt(c->msg_pool, "more than %d messages received in one connection",
                       set->smtp_accept_queue_per_connection);
    } else if (c->load_latched) {
        *why = str_fmt(c->msg_pool, "load average %.2f", c->latched_load);
    }
    return str_unset(*why) ? how : QUEUE_ONLY;
}

/* Hands a kept message on, or says why it waits. */
static void hand_over(struct conv *c, struct receiver *r, struct str why)
{
    if (!str_unset(why) && log_wants(LS_delay_delivery)) {
        log_msg(LOG_MAIN, c->msg, "no immediate delivery: %.*s", STR_ARG(why));
    }
    if (c->msg->frozen && c->peer) {
        r->how = QUEUE_BACKGROUND; /* delivery looks at it all the same, and says that it waits */
    }
    double load = receive_hand_over(r);
    if (load >= 0) {
        c->load_latched = true;
        c->latched_load = load;
    }
}

/* The DATA ACL. True if the message may be kept. */
static bool data_acl(struct conv *c, struct receiver *r, struct acl_reply *a, struct verdict *v,
                     bool *discard)
{
    *a = (struct acl_reply){.user = STR_NONE};
    *discard = false;
    const struct etext *acl = c->batch ? &c->set->acl_not_smtp : &c->set->acl_smtp_data;
    if (str_unset(acl->text)) {
        return true;
    }
    enum acl_result rc = conv_acl(c, c->batch ? ACL_NOTSMTP : ACL_DATA, acl, a);
    if (rc == ACL_ACCEPT) {
        return true;
    }
    if (rc == ACL_DISCARD) {
        *discard = true;
        return true;
    }
    receive_acl_headers(r);
    v->end = reply_acl(c, ACL_DATA, rc, a);
    c->exit_status = v->end != GO_ON;
    return false;
}

/* True if the client has gone away between its final dot and our reply. */
static bool gone(struct conv *c)
{
    const char *p;
    size_t n;
    if (!c->tcp || c->notcp || stream_buffered(c->io) || !stream_pending(c->io) ||
        stream_peek(c->io, &p, &n)) {
        return false;
    }
    struct str who = conv_who(c, true);
    log_msg(LOG_MAIN, c->msg, "%.*s SMTP connection lost after final dot", STR_ARG(who));
    return true;
}

/* Everything was read and is in order. */
static void keep(struct conv *c, struct receiver *r, struct verdict *v)
{
    struct acl_reply a;
    bool discard;
    if (!receive_fixup(r)) {
        reply(c, "421 Unexpected failure, please try later");
        receive_abort(r);
        return;
    }
    if (!prdr_ask(c)) {
        receive_abort(r);
        return;
    }
    if (!data_acl(c, r, &a, v, &discard)) {
        receive_abort(r);
        return;
    }
    if (c->sess->host_checking) {
        receive_take_size(r);
        receive_abort(r);
        receive_log(r);
        say_accepted(c, &a);
        v->accepted = true;
        return;
    }
    if (discard || !c->msg->recipient_count) {
        const char *by = discard                        ? "DATA ACL"
                         : c->msg->recipients_discarded ? "MAIL ACL"
                                                        : "RCPT ACL";
        black_hole(c, r, by, &a);
        say_accepted(c, &a);
        return;
    }
    if (gone(c)) {
        receive_abort(r);
        v->end = END_LOST;
        return;
    }
    struct str why;
    enum queue_how how = delivery_mode(c, &why);
    if (!receive_commit(r, how)) {
        r->write_failed = true;
        r->write_errno = errno;
        refuse_size(c, r);
        return;
    }
    v->accepted = true;
    say_accepted(c, &a);
    stream_flush(c->io);
    hand_over(c, r, why);
}

static enum conv_end finish(struct conv *c, struct receiver *r, const struct data_reader *d)
{
    struct verdict v = {GO_ON, false};
    receive_end_input(r);
    if (refuse_line_ends(c, d) || refuse_size(c, r)) {
        receive_abort(r);
        v.end = d->bad_end ? END_DROP : GO_ON;
    } else {
        keep(c, r, &v);
    }
    conv_reset(c);
    return v.end;
}

/* ---- DATA ---- */

/* A message needs a recipient. False after refusing. */
static bool have_recipients(struct conv *c, const char *cmd, enum conv_end *end)
{
    *end = GO_ON;
    if (c->discarded || c->msg->recipient_count) {
        if (!c->too_many_rcpts || !c->set->recipients_max_reject) {
            return true;
        }
        c->msg->sender_set = false;
        reply(c, "554 Too many recipients");
        return false;
    }
    if (c->rcpt_replies_same && !str_unset(c->rcpt_reply)) {
        reply_lines(c, STR("503 "), false, STR("All RCPT commands were rejected with this error:"));
        reply_lines(c, STR("503 "), false, c->rcpt_reply);
    }
    bool behind_rcpt = c->last_was_rcpt;
    c->last_was_rcpt = false;
    if (c->advertised_pipelining && behind_rcpt) {
        reply(c, "503 Valid RCPT command must precede %s", cmd);
    } else {
        *end = reply_error(c, true, 503, STR_NONE,
                           cmd[0] == 'D' ? "valid RCPT command must precede DATA"
                                         : "valid RCPT command must precede BDAT");
    }
    return false;
}

static void go_ahead(struct conv *c, struct acl_reply *a)
{
    if (str_unset(a->user)) {
        reply(c, "354 Enter message, ending with \".\" on a line by itself");
        return;
    }
    struct str code = STR("354 ");
    reply_code(c->msg_pool, &code, &a->user, NULL, true);
    reply_lines(c, code, true, a->user);
}

enum conv_end cmd_data(struct conv *c, const struct smtp_line *l)
{
    (void)l;
    enum conv_end end;
    if (!have_recipients(c, "DATA", &end)) {
        return end;
    }
    struct acl_reply a = {.user = STR_NONE};
    if (!str_unset(c->set->acl_smtp_predata.text)) {
        enum acl_result rc = conv_acl(c, ACL_PREDATA, &c->set->acl_smtp_predata, &a);
        if (rc != ACL_ACCEPT) {
            return reply_acl(c, ACL_PREDATA, rc, &a);
        }
    }
    struct receiver r;
    if (!begin(c, &r)) {
        reply(c, "451 Error while writing spool file");
        conv_reset(c);
        return GO_ON;
    }
    go_ahead(c, &a);
    struct data_reader d = {
        .mode = c->notcp || c->lenient ? DATA_LOCAL : DATA_SMTP, .put = receive_put, .closure = &r};
    if (!read_data(c, &d)) {
        return lost_in_data(c, &r);
    }
    return finish(c, &r, &d);
}

/* ---- BDAT ---- */

/* Reads size bytes; into the reader unless it is NULL. False: the client is gone. */
static bool read_chunk(struct conv *c, uint64_t size, struct data_reader *d)
{
    stream_bulk(c->io);
    while (size) {
        const char *p;
        size_t n;
        if (!stream_buffered(c->io)) {
            stream_flush(c->io);
        }
        if (!stream_peek(c->io, &p, &n)) {
            return false;
        }
        n = n > size ? (size_t)size : n;
        if (d) {
            data_feed(d, p, n);
        }
        stream_consume(c->io, n);
        size -= n;
    }
    return true;
}

/* The next command between chunks; only some are allowed. True: *size and *last are of a BDAT. */
static bool next_chunk(struct conv *c, uint64_t *size, bool *last, enum conv_end *end)
{
    for (;;) {
        struct smtp_line l;
        *end = conv_read_command(c, &l);
        if (*end != GO_ON) {
            return false;
        }
        c->cmd = l.text;
        c->last_was_rcpt = false;
        switch (l.cmd) {
        case CMD_BDAT:
            if (smtp_parse_bdat(l.arg, size, last)) {
                return true;
            }
            *end = reply_error(c, true, 501, STR_NONE, "missing size for BDAT command");
            return false;
        case CMD_NOOP: reply(c, "250 OK"); break;
        case CMD_RSET:
            conv_incomplete(c, "RSET");
            reply(c, "250 Reset OK");
            return false;
        case CMD_QUIT: *end = conv_command(c, &l); return false;
        default:
            *end = reply_error(c, true, 503, STR_NONE, "only BDAT permissible after non-LAST BDAT");
            if (*end != GO_ON) {
                return false;
            }
        }
    }
}

enum conv_end cmd_bdat(struct conv *c, const struct smtp_line *l)
{
    uint64_t size, total = 0;
    bool last;
    enum conv_end end;
    if (!c->advertised_chunking) {
        return reply_error(c, true, 503, STR_NONE,
                           "BDAT command used when CHUNKING not advertised");
    }
    if (!smtp_parse_bdat(l->arg, &size, &last)) {
        return reply_error(c, true, 501, STR_NONE, "missing size for BDAT command");
    }
    if (!have_recipients(c, "BDAT", &end)) {
        return read_chunk(c, size, NULL) ? end : END_LOST;
    }
    struct receiver r;
    if (!begin(c, &r)) {
        reply(c, "451 Error while writing spool file");
        conv_reset(c);
        return read_chunk(c, size, NULL) ? GO_ON : END_LOST;
    }
    struct data_reader d = {.mode = DATA_RAW, .put = receive_put, .closure = &r};
    r.chunked = true;
    r.reader = &d;
    for (;;) {
        if (!read_chunk(c, size, &d)) {
            return lost_in_data(c, &r);
        }
        total += size;
        if (refuse_header_lf(c, &r)) {
            return GO_ON;
        }
        if (last || r.too_big) {
            break;
        }
        reply(c, "250 %llu byte chunk received", (unsigned long long)size);
        if (!next_chunk(c, &size, &last, &end)) {
            receive_abort(&r);
            conv_reset(c);
            return end;
        }
    }
    data_end(&d);
    c->bdat_size = size;
    c->bdat_total = total;
    c->chunked = true;
    return finish(c, &r, &d);
}

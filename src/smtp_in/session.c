/*
 * The conversation: reads command lines, keeps count of them, answers the short ones and calls the
 * functions of the long ones.
 *
 * A conversation owns two pools, the session's and the transaction's; the latter is emptied by
 * conv_reset(). Nothing outlives conv_free(), so that a worker can serve the next client.
 */
#include "smtp_in/internal.h"

#include <errno.h>

enum { CMD_LINE_MAX = 16384, HISTORY_MAX = 20 };

static const char *const names[CMD_COUNT] = {
    [CMD_RSET] = "RSET",         [CMD_HELO] = "HELO", [CMD_EHLO] = "EHLO", [CMD_AUTH] = "AUTH",
    [CMD_STARTTLS] = "STARTTLS", [CMD_MAIL] = "MAIL", [CMD_RCPT] = "RCPT", [CMD_DATA] = "DATA",
    [CMD_BDAT] = "BDAT",         [CMD_QUIT] = "QUIT", [CMD_NOOP] = "NOOP", [CMD_ETRN] = "ETRN",
    [CMD_VRFY] = "VRFY",         [CMD_EXPN] = "EXPN", [CMD_HELP] = "HELP",
};

/* ---- setting up ---- */

void conv_reset(struct conv *c)
{
    pool_clear(c->msg_pool);
    c->msg = POOL_NEW(c->msg_pool, struct message);
    c->msg->pool = c->msg_pool;
    c->msg->session_facts = c->sess;
    c->msg->size = -1;
    ectx_init(&c->x, c->conf, c->msg_pool);
    c->x.sess = c->sess;
    c->x.msg = c->msg;
    c->x.testing = c->sess->host_checking;
    c->cmd = c->cmd_arg = c->sess->smtp_command = STR_NONE;
    c->rcpt_reply = STR_NONE;
    c->rcpt_replies_same = true;
    c->too_many_rcpts = c->discarded = false;
    c->bdat_size = c->bdat_total = 0;
    c->chunked = false;
    c->batch_start = c->lines;
}

void conv_init(struct conv *c, const struct config *conf, struct session *s)
{
    c->conf = conf;
    c->set = smtp_in_settings(conf);
    c->sess = s;
    c->msg_pool = pool_new("transaction");
    c->history.pool = s->pool;
    s->smtp_history = &c->history;
    c->rset_free = c->helo_free = c->ehlo_free = c->starttls_free = true;
    s->enforce_sync = c->set->smtp_enforce_sync;
    s->acl_c.pool = s->pool;
    conv_reset(c);
    c->msg->size = 0; /* until the greeting */
}

void conv_free(struct conv *c)
{
    struct pool *pool = c->sess->pool;
    stream_close(&c->io);
    pool_free(&c->msg_pool);
    pool_free(&pool);
    lookup_tidy();
}

struct str conv_printable(struct conv *c, struct str s)
{
    return str_printable(c->msg_pool, s, !core_settings(c->conf)->print_topbitchars);
}

bool conv_unqualified_ok(struct conv *c, bool recipient)
{
    return str_empty(c->sess->host_address) ||
           (recipient ? c->rcpt_unqualified : c->sender_unqualified);
}

bool conv_host_in(struct conv *c, const struct etext *list)
{
    return match_session_host(&c->x, list, NULL) == MATCH_YES;
}

enum acl_result conv_acl(struct conv *c, enum acl_where where, const struct etext *acl,
                         struct acl_reply *r)
{
    if (c->batch && !(where & (ACL_NOTSMTP | ACL_NOTSMTP_START))) {
        *r = (struct acl_reply){.user = STR_NONE};
        return ACL_ACCEPT; /* a batch is no conversation: it has the ACLs of local messages */
    }
    enum acl_result rc = acl_run(&c->x, where, acl, r);
    r->user = reply_split(c->msg_pool, r->user);
    if (c->msg->fake != FAKE_NONE) {
        c->msg->fake_reply = reply_split(c->msg_pool, c->msg->fake_reply);
    }
    return rc;
}

bool conv_logged(const struct conv *c)
{
    return log_wants(LS_smtp_connection) && !c->nolog;
}

struct str conv_name(struct conv *c)
{
    return session_connection(c->msg_pool, c->sess);
}

void conv_incomplete(struct conv *c, const char *what)
{
    struct message *m = c->msg;
    if (!m->sender_set || !log_wants(LS_smtp_incomplete_transaction)) {
        return;
    }
    if (str_unset(m->raw_recipients) && m->recipient_count) {
        struct buf b;
        buf_init(&b, c->msg_pool, 1 << 20);
        for (size_t i = 0; i < m->recipient_count; i++) {
            buf_addz(&b, i ? " " : "");
            buf_adds(&b, m->recipients[i].address);
        }
        m->raw_recipients = buf_str(&b);
    }
    struct str who = conv_who(c, true),
               sender = str_unset(m->raw_sender) ? m->sender : m->raw_sender;
    log_write(LOG_MAIN, "%.*s incomplete transaction (%s) from <%.*s>%s%.*s", STR_ARG(who), what,
              STR_ARG(sender), m->recipient_count ? " for " : "", STR_ARG(m->raw_recipients));
}

void conv_notquit(struct conv *c, const char *reason, const char *code, const char *text)
{
    struct acl_reply r = {.user = STR_NONE};
    if (!str_unset(c->set->acl_smtp_notquit.text) && str_unset(c->sess->notquit_reason)) {
        c->sess->notquit_reason = str_c(reason);
        enum acl_result rc = conv_acl(c, ACL_NOTQUIT, &c->set->acl_smtp_notquit, &r);
        if (rc == ACL_ERROR) {
            log_write(LOG_MAIN | LOG_PANIC, "ACL for not-QUIT returned ERROR: %.*s",
                      STR_ARG(r.log));
        }
    }
    if (!code) {
        return;
    }
    if (!str_unset(r.user)) {
        struct str full = str_fmt(c->msg_pool, "%s ", code);
        reply_code(c->msg_pool, &full, &r.user, NULL, true);
        reply_lines(c, full, true, r.user);
    } else {
        reply(c, "%s %s", code, text);
    }
    stream_flush(c->io);
}

/* ---- reading ---- */

enum read_result { READ_LINE, READ_LONG, READ_EOF, READ_TIMEOUT, READ_ERROR };

/* Reads to the next LF into the transaction's pool. */
static enum read_result read_line(struct conv *c, struct str *line)
{
    struct buf b;
    buf_init(&b, c->msg_pool, CMD_LINE_MAX);
    bool too_long = false;
    for (;;) {
        const char *p;
        size_t n;
        if (!stream_buffered(c->io)) {
            stream_flush(c->io);
        }
        if (!stream_peek(c->io, &p, &n)) {
            int err = stream_error(c->io);
            *line = buf_str(&b);
            return err == 0 ? READ_EOF : err == ETIMEDOUT ? READ_TIMEOUT : READ_ERROR;
        }
        const char *nl = memchr(p, '\n', n);
        size_t take = nl ? (size_t)(nl - p) + 1 : n;
        too_long |= !buf_add(&b, p, nl ? take - 1 : take);
        stream_consume(c->io, take);
        if (nl) {
            c->lines++;
            break;
        }
    }
    *line = str_taint(buf_str(&b));
    return too_long ? READ_LONG : READ_LINE;
}

/* Commands after which the client must wait (RFC 2920 3.1). */
static bool must_be_last(const struct conv *c, enum smtp_cmd cmd)
{
    switch (cmd) {
    case CMD_HELO:
    case CMD_EHLO:
    case CMD_DATA:
    case CMD_VRFY:
    case CMD_EXPN:
    case CMD_NOOP:
    case CMD_ETRN:
    case CMD_STARTTLS: return true;
    case CMD_MAIL:
    case CMD_RCPT:
    case CMD_RSET: return !c->advertised_pipelining;
    default: return false;
    }
}

static bool unsynchronized(struct conv *c, enum smtp_cmd cmd)
{
    if (!stream_buffered(c->io)) {
        return false;
    }
    if (c->advertised_pipelining) {
        c->sess->pipelining_used = true;
    }
    return c->tcp && !c->notcp && c->sess->enforce_sync && must_be_last(c, cmd);
}

static enum conv_end sync_error(struct conv *c)
{
    struct str who = conv_who(c, true), cmd = conv_printable(c, c->cmd), next = STR("");
    const char *p;
    size_t n;
    if (stream_buffered(c->io) && stream_peek(c->io, &p, &n)) {
        next = conv_printable(c, str_n(p, n > 150 ? 150 : n));
    }
    struct str seen = STR("");
    if (c->sess->pipelining_advertised || c->ehlo) {
        seen = STR("");
    }
    log_write(
        LOG_MAIN | LOG_REJECT,
        "SMTP protocol synchronization error (next input sent too soon: pipelining was%s advertised): rejected "
        "\"%.*s\" %.*s next input=\"%.*s\"%.*s",
        c->advertised_pipelining ? "" : " not", STR_ARG(cmd), STR_ARG(who), STR_ARG(next),
        STR_ARG(seen));
    conv_notquit(c, "synchronization-error", "554", "SMTP synchronization error");
    c->exit_status = 1;
    return END_DROP;
}

/* Counts a command that is not about mail; true if there were too many. */
static bool too_many_nonmail(struct conv *c, enum smtp_cmd cmd)
{
    bool *free_one = cmd == CMD_RSET       ? &c->rset_free
                     : cmd == CMD_HELO     ? &c->helo_free
                     : cmd == CMD_EHLO     ? &c->ehlo_free
                     : cmd == CMD_STARTTLS ? &c->starttls_free
                                           : NULL;
    switch (cmd) {
    case CMD_MAIL:
    case CMD_RCPT:
    case CMD_DATA:
    case CMD_BDAT:
    case CMD_AUTH:
    case CMD_QUIT:
    case CMD_UNKNOWN:
    case CMD_BAD_ARG:
    case CMD_NUL:
    case CMD_TOO_LONG: return false;
    default: break;
    }
    if (free_one && *free_one) {
        *free_one = false;
        return false;
    }
    if (!c->count_nonmail_known) {
        c->count_nonmail_known = true;
        c->count_nonmail = !c->batch && conv_host_in(c, &c->set->smtp_accept_max_nonmail_hosts);
    }
    return c->count_nonmail && ++c->sess->nonmail_count > c->set->smtp_accept_max_nonmail;
}

/* ---- short commands ---- */

static enum conv_end cmd_rset(struct conv *c, const struct smtp_line *l)
{
    (void)l;
    conv_incomplete(c, "RSET");
    conv_reset(c);
    reply(c, "250 Reset OK");
    return GO_ON;
}

static enum conv_end cmd_noop(struct conv *c, const struct smtp_line *l)
{
    (void)l;
    reply(c, "250 OK");
    return GO_ON;
}

static enum conv_end cmd_quit(struct conv *c, const struct smtp_line *l)
{
    (void)l;
    struct acl_reply r = {.user = STR_NONE};
    conv_incomplete(c, "QUIT");
    if (!str_unset(c->set->acl_smtp_quit.text)) {
        if (conv_acl(c, ACL_QUIT, &c->set->acl_smtp_quit, &r) == ACL_ERROR) {
            log_write(LOG_MAIN | LOG_PANIC, "ACL for QUIT returned ERROR: %.*s", STR_ARG(r.log));
        }
    }
    if (!str_unset(r.user)) {
        reply_lines(c, STR("221 "), true, r.user);
    } else {
        reply(c, "221 %.*s closing connection", STR_ARG(c->sess->active_hostname));
    }
    stream_flush(c->io);
    if (conv_logged(c) && !c->batch) {
        struct str name = conv_name(c);
        log_write(LOG_MAIN, "%.*s closed by QUIT", STR_ARG(name));
    }
    return END_QUIT;
}

static enum conv_end cmd_help(struct conv *c, const struct smtp_line *l)
{
    (void)l;
    struct buf b;
    buf_init(&b, c->msg_pool, 512);
    buf_addz(&b, conv_offers_tls(c) ? "214-Commands supported:\r\n214 STARTTLS"
                                    : "214-Commands supported:\r\n214");
    buf_addz(&b, " HELO EHLO MAIL RCPT DATA BDAT NOOP QUIT RSET HELP");
    buf_addz(&b, str_unset(c->set->acl_smtp_etrn.text) ? "" : " ETRN");
    buf_addz(&b, str_unset(c->set->acl_smtp_expn.text) ? "" : " EXPN");
    buf_addz(&b, str_unset(c->set->acl_smtp_vrfy.text) ? "" : " VRFY");
    struct str text = buf_str(&b);
    reply(c, "%.*s", STR_ARG(text));
    return GO_ON;
}

static enum conv_end cmd_auth(struct conv *c, const struct smtp_line *l)
{
    (void)l;
    return reply_error(c, true, 503, STR_NONE, "AUTH command used when not advertised");
}

/* ---- dispatch ---- */

static enum conv_end (*const handlers[CMD_COUNT])(struct conv *, const struct smtp_line *) = {
    [CMD_RSET] = cmd_rset, [CMD_HELO] = cmd_helo,         [CMD_EHLO] = cmd_helo,
    [CMD_AUTH] = cmd_auth, [CMD_STARTTLS] = cmd_starttls, [CMD_MAIL] = cmd_mail,
    [CMD_RCPT] = cmd_rcpt, [CMD_DATA] = cmd_data,         [CMD_BDAT] = cmd_bdat,
    [CMD_QUIT] = cmd_quit, [CMD_NOOP] = cmd_noop,         [CMD_VRFY] = cmd_vrfy,
    [CMD_HELP] = cmd_help, [CMD_EXPN] = cmd_expn,         [CMD_ETRN] = cmd_etrn,
};

static enum conv_end unknown_command(struct conv *c)
{
    if (c->batch) {
        reply(c, "500 Command unrecognized");
        return GO_ON;
    }
    if (c->sess->unknown_commands++ < c->set->smtp_max_unknown_commands) {
        return reply_error(c, false, 500, STR_NONE, "unrecognized command");
    }
    struct str cmd = conv_printable(c, c->cmd), who = conv_who(c, true);
    if (log_wants(LS_smtp_syntax_error)) {
        log_write(LOG_MAIN, "SMTP syntax error in \"%.*s\" %.*s unrecognized command", STR_ARG(cmd),
                  STR_ARG(who));
    }
    conv_incomplete(c, "unrecognized command");
    conv_notquit(c, "bad-commands", "500", "Too many unrecognized commands");
    who = conv_who(c, false);
    log_write(LOG_MAIN | LOG_REJECT,
              "SMTP call from %.*s dropped: too many unrecognized commands (last was \"%.*s\")",
              STR_ARG(who), STR_ARG(cmd));
    return END_DROP;
}

static enum conv_end faulty_line(struct conv *c, const struct smtp_line *l)
{
    switch (l->cmd) {
    case CMD_BAD_ARG: return reply_error(c, false, 501, STR_NONE, "unexpected argument data");
    case CMD_NUL: {
        struct str seen = str_dup(c->msg_pool, c->cmd);
        for (char *p = (char *)seen.p; (p = memchr(p, 0, (size_t)(seen.p + seen.len - p)));) {
            *p = '?';
        }
        c->cmd = seen;
        enum conv_end end =
            reply_error(c, false, 0, STR_NONE, "NUL character(s) present (shown as '?')");
        reply(c, "501 NUL characters are not allowed in SMTP commands");
        return end;
    }
    case CMD_TOO_LONG: return reply_error(c, false, 500, STR_NONE, "unrecognized command");
    default: return unknown_command(c);
    }
}

static void note_history(struct conv *c, enum smtp_cmd cmd)
{
    if (c->history.n == HISTORY_MAX) {
        memmove(c->history.v, c->history.v + 1, (HISTORY_MAX - 1) * sizeof *c->history.v);
        c->history.n--;
    }
    strvec_push(&c->history, str_c(names[cmd]));
    c->history_cut = c->history.n == HISTORY_MAX;
}

enum conv_end conv_command(struct conv *c, const struct smtp_line *l)
{
    c->cmd = l->text;
    c->cmd_arg = STR_NONE;
    c->sess->smtp_command = l->text;
    if (c->tls_failed && l->cmd != CMD_QUIT) {
        reply(c, "554 Security failure");
        return GO_ON;
    }
    if (l->cmd != CMD_DATA && l->cmd != CMD_BDAT) {
        c->last_was_rcpt = false;
    }
    c->mail_refused = c->mail_refused && l->cmd == CMD_RCPT;
    if (too_many_nonmail(c, l->cmd)) {
        struct str who = conv_who(c, false), cmd = conv_printable(c, c->cmd);
        conv_incomplete(c, "too many non-mail commands");
        log_write(LOG_MAIN | LOG_REJECT,
                  "SMTP call from %.*s dropped: too many nonmail commands (last was \"%.*s\")",
                  STR_ARG(who), STR_ARG(str_sub(cmd, 0, 10)));
        conv_notquit(c, "bad-commands", "554", "Too many nonmail commands");
        c->exit_status = 1;
        return END_DROP;
    }
    if (l->cmd >= CMD_COUNT) {
        return faulty_line(c, l);
    }
    if (!c->tls_failed) {
        note_history(c, l->cmd);
    }
    if (unsynchronized(c, l->cmd)) {
        return sync_error(c);
    }
    return handlers[l->cmd] ? handlers[l->cmd](c, l)
                            : reply_error(c, false, 500, STR_NONE, "unrecognized command");
}

enum conv_end conv_timed_out(struct conv *c)
{
    struct str who = conv_who(c, false);
    conv_incomplete(c, "command timeout");
    log_write(LOG_MAIN, "SMTP command timeout on%s connection from %.*s",
              c->sess->tls ? " TLS" : "", STR_ARG(who));
    conv_notquit(
        c, "command-timeout", "421",
        str_cstr(c->msg_pool, STR_CAT(c->msg_pool, c->sess->active_hostname,
                                      STR(": SMTP command timeout - closing connection"))));
    return END_LOST;
}

/* The client went away or fell silent. */
static enum conv_end lost(struct conv *c, enum read_result rc)
{
    struct str who = conv_who(c, false);
    if (rc == READ_TIMEOUT) {
        return conv_timed_out(c);
    }
    conv_incomplete(c, "connection lost");
    if (c->batch) {
        return END_LOST;
    }
    conv_notquit(c, "connection-lost", "421",
                 str_cstr(c->msg_pool, STR_CAT(c->msg_pool, c->sess->active_hostname,
                                               STR(" lost input connection"))));
    /* Some clients just go away between messages, which is not worth a line. */
    if (c->msg->sender_set && log_wants(LS_lost_incoming_connection)) {
        struct str age = conv_age(c), why = STR("");
        if (rc == READ_ERROR) {
            why = str_fmt(c->msg_pool, " (error: %s)", strerror(stream_error(c->io)));
        }
        log_write(LOG_MAIN, "unexpected %s while reading SMTP command from %.*s%.*s D=%.*s",
                  c->sess->sender_host_unknown ? "EOF" : "disconnection", STR_ARG(who),
                  STR_ARG(why), STR_ARG(age));
    } else if (!c->msg->sender_set && conv_logged(c)) {
        struct str age = conv_age(c), name = conv_name(c);
        log_write(LOG_MAIN, "%.*s lost D=%.*s", STR_ARG(name), STR_ARG(age));
    }
    return END_LOST;
}

/* True if the daemon ends and no transaction is in hand: the client is told. */
static bool told_to_stop(struct conv *c)
{
    if (!c->peer || !c->peer->stop || !*c->peer->stop || c->msg->sender_set) {
        return false;
    }
    conv_notquit(c, "signal-exit", "421", "service not available - closing connection");
    return true;
}

enum conv_end conv_read_command(struct conv *c, struct smtp_line *l)
{
    struct str line;
    enum read_result rc = read_line(c, &line);
    if (rc != READ_LINE && rc != READ_LONG) {
        return stream_error(c->io) == EINTR && told_to_stop(c) ? END_DROP : lost(c, rc);
    }
    TRACE(TR_receive, "SMTP<< %.*s", STR_ARG(line));
    *l = smtp_parse_line(line);
    if (rc == READ_LONG) {
        l->cmd = CMD_TOO_LONG;
    }
    return GO_ON;
}

enum conv_end conv_run(struct conv *c)
{
    enum conv_end end = GO_ON;
    while (end == GO_ON && !c->batch_over) {
        struct smtp_line l;
        if (told_to_stop(c)) {
            return END_DROP;
        }
        stream_interrupt(c->io, c->peer && !c->msg->sender_set ? c->peer->stop : NULL);
        end = conv_read_command(c, &l);
        stream_interrupt(c->io, NULL);
        if (end == GO_ON) {
            end = conv_command(c, &l);
        }
    }
    stream_flush(c->io);
    return end;
}

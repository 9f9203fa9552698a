/*
 * Local submission: a message on standard input with its recipients as arguments or in its header
 * lines, an SMTP conversation (-bs), a batch of SMTP commands (-bS), and host checking (-bh).
 *
 * Runs in the caller's process or, for a caller who came through the daemon's socket, in a worker;
 * `struct submission` says who it is and what was asked. Returns the exit status of the command.
 */
#include "smtp_in/internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void say(const struct submission *sub, struct str text)
{
    if (sub->errors != ERRORS_QUIET) {
        write_all(sub->err, text.p, text.len);
    }
}

static struct session *new_session(const struct submission *sub)
{
    struct pool *pool = pool_new("session");
    struct session *s = POOL_NEW(pool, struct session);
    s->pool = s->acl_c.pool = s->facts.pool = pool;
    s->host_aliases.pool = s->acl_stack.pool = pool;
    s->connected = time_now();
    s->local = true;
    s->notsocket = true;
    s->sender_host_unknown = true;
    if (sub->trusted || sub->mode == SUBMIT_HOST_CHECK) {
        struct str addr;
        int port;
        if (ip_parse_port(sub->host_address, &addr, &port)) {
            s->host_address = str_dup(pool, addr);
            s->host_port = port;
            s->sender_host_unknown = false;
        }
        if (ip_parse_port(sub->interface_address, &addr, &port)) {
            s->interface_address = str_dup(pool, addr);
            s->interface_port = port;
        }
        s->host_name = sub->host_name;
        s->ident = sub->ident;
        s->auth_id = sub->auth_id;
        s->auth_sender = sub->auth_sender;
        s->auth_mechanism = sub->auth_mechanism;
    }
    return s;
}

/* ---- SMTP ---- */

/* Standard input of -bs may be a TCP connection, when inetd started us. */
static bool from_inetd(struct conv *c, int fd)
{
    struct session *s = c->sess;
    struct pool *pool = s->pool;
    if (!str_empty(s->host_address) ||
        !net_sock_name(pool, fd, true, &s->host_address, &s->host_port)) {
        return false;
    }
    net_sock_name(pool, fd, false, &s->interface_address, &s->interface_port);
    s->local = s->notsocket = s->sender_host_unknown = false;
    return true;
}

static int run_smtp(const struct config *conf, const struct submission *sub)
{
    struct session *s = new_session(sub);
    struct conv c = {.sub = sub, .notcp = true, .batch = sub->mode == SUBMIT_BATCH};
    conv_init(&c, conf, s);
    caller_identify(&c.x, sub);
    c.tcp = from_inetd(&c, sub->in);
    c.notcp = !c.tcp;
    c.tls_at_once =
        !c.batch && (sub->tls_on_connect || (c.tcp && smtp_in_tls_port(conf, s->interface_port)));
    if (c.notcp && str_unset(s->ident)) {
        s->ident = s->caller_login;
    }
    c.io = s->stream = stream_new(s->pool, dup(sub->in), dup(sub->out));
    if (sub->smtp_receive_timeout > 0) {
        stream_timeout(c.io, sub->smtp_receive_timeout);
    }
    c.exit_status = 0;
    if (c.batch) {
        conv_quiet_start(&c);
    }
    if (c.batch || conv_accept(&c) == GO_ON) {
        enum conv_end end = conv_run(&c);
        c.exit_status = c.exit_status ? c.exit_status : end == END_LOST && !c.batch;
    }
    int status = c.exit_status;
    conv_free(&c);
    return status;
}

void batch_failed(struct conv *c, struct str answer)
{
    struct str cmd = str_printable(c->msg_pool, c->cmd, false);
    struct str out = str_fmt(
        c->msg_pool, "%.*s\nTransaction started in line %d\nError detected in line %d\n%.*s\n",
        STR_ARG(answer), c->batch_start, c->lines, STR_ARG(cmd));
    struct str err = str_fmt(
        c->msg_pool,
        "An error was detected while processing a file of BSMTP input.\nThe error message was:\n\n"
        "  %.*s\n\nThe SMTP transaction started in line %d.\nThe error was detected in line %d.\n"
        "The SMTP command at fault was:\n\n   %.*s\n\n%d previous message%s successfully processed.\n"
        "The rest of the batch was abandoned.\n",
        STR_ARG(answer), c->batch_start, c->lines, STR_ARG(cmd), c->messages,
        c->messages == 1 ? " was" : "s were");
    write_all(c->sub->out, out.p, out.len);
    write_all(c->sub->err, err.p, err.len);
    c->batch_over = true;
    c->exit_status = c->messages ? 1 : 2;
}

/* -bh: what would happen to a connection from that address. */
static int run_host_check(const struct config *conf, const struct submission *sub)
{
    struct session *s = new_session(sub);
    struct conv c = {.sub = sub, .tcp = true, .notcp = true};
    struct str addr;
    int port;
    if (!ip_parse_port(sub->host_check, &addr, &port)) {
        say(sub, STR("exim: bad IP address for -bh\n"));
        struct pool *pool = s->pool;
        pool_free(&pool);
        return 1;
    }
    s->host_address = addr;
    s->host_port = port;
    s->host_checking = true;
    s->local = s->sender_host_unknown = false;
    conv_init(&c, conf, s);
    caller_identify(&c.x, sub);
    s->caller_login = STR("");
    c.tcp = true;
    c.notcp = false;
    c.lenient = true;
    c.io = s->stream = stream_new(s->pool, dup(sub->in), dup(sub->out));
    s->enforce_sync = false;
    struct str intro = str_fmt(s->pool,
                               "\n**** SMTP testing session as if from host %.*s\n"
                               "**** but without any ident (RFC 1413) callback.\n"
                               "**** This is not for real!\n\n",
                               STR_ARG(s->host_address));
    write_all(sub->out, intro.p, intro.len);
    log_to_stderr(trace_selected() ? LOG_STDERR_PLACE : LOG_STDERR_BARE);
    trace_host_check(true);
    if (conv_accept(&c) == GO_ON) {
        conv_run(&c);
    }
    trace_host_check(false);
    log_to_stderr(LOG_STDERR_NONE);
    conv_free(&c);
    return 0;
}

/* ---- a message ---- */

/* What a plain submission works with. */
struct plain {
    const struct config *conf;
    const struct submission *sub;
    const struct smtp_in_settings *set;
    struct session *sess;
    struct message *msg;
    struct pool *pool;
    struct ectx x;
    struct stream *in;
    struct receiver r;
    int failure;             /* exit status for a message that was refused */
    struct str bad_argument; /* an address that is none, and why; unset: all are good */
};

/* Tells the caller, on standard error or by mail, that the message was not taken. */
static int refuse(struct plain *p, enum moan_kind kind, struct str prefix, struct str text)
{
    bool mail = p->sub->errors == ERRORS_MAIL || p->sub->errors == ERRORS_MAIL_EXIT0;
    if (mail && moan(&p->x, kind, p->msg->sender, text, p->msg, p->sub->how)) {
        return p->failure;
    }
    say(p->sub, STR_CAT(p->pool, STR("exim: "), prefix, text, STR("\n")));
    return 1;
}

/* The envelope sender: -f where that is allowed, else the caller. */
static bool set_sender(struct plain *p)
{
    const struct submission *sub = p->sub;
    struct mailbox m;
    struct str error;
    p->msg->sender_set = true;
    if (!sub->sender_set) {
        p->msg->sender = caller_address(&p->x);
        return true;
    }
    struct str text = sub->sender;
    if (str_empty(text) || str_is(text, "<>")) {
        p->msg->sender = STR("");
        p->r.sender_forced = true;
        p->msg->sender_set_untrusted = !sub->trusted;
        return true;
    }
    if (!mailbox_parse(p->pool, text, mailbox_flags(p->conf) | MBX_NULL, &m, &error)) {
        say(sub, str_fmt(p->pool, "exim: bad -f address \"%.*s\": %.*s\n", STR_ARG(text),
                         STR_ARG(error)));
        return false;
    }
    struct str full = str_empty(m.text) ? m.text : mail_qualify(p->pool, p->conf, m.text, false);
    bool allowed = caller_may_send_as(&p->x, full);
    p->msg->sender = allowed ? full : caller_address(&p->x);
    p->r.sender_forced = allowed;
    p->msg->sender_set_untrusted = allowed && !sub->trusted;
    return true;
}

/* The addresses of the arguments, each of which may be a list. False after refusing. */
static bool take_arguments(struct plain *p, struct strvec *out, int *status)
{
    const struct strvec *args = &p->sub->recipients;
    bool print = p->sub->errors != ERRORS_MAIL && p->sub->errors != ERRORS_MAIL_EXIT0;
    out->pool = p->pool;
    for (size_t i = 0; i < args->n; i++) {
        struct str rest = args->v[i];
        while (!str_empty(str_trim(rest))) {
            uint32_t end = mailbox_list_next(rest, 0, false);
            struct str item = str_trim(str_sub(rest, 0, end)), error;
            struct mailbox m;
            rest = str_from(rest, end + (end < rest.len));
            if (str_empty(item)) {
                continue;
            }
            if (!mailbox_parse(p->pool, item, mailbox_flags(p->conf), &m, &error)) {
                if (!print) {
                    p->bad_argument = STR_CAT(p->pool, item, STR(": "), error);
                    continue; /* the report has a copy of the message */
                }
                say(p->sub, str_fmt(p->pool, "exim: bad recipient address \"%.*s\": %.*s\n",
                                    STR_ARG(item), STR_ARG(error)));
                *status = 1;
                return false;
            }
            strvec_push(out, mail_qualify(p->pool, p->conf, m.text, true));
        }
    }
    if (p->set->recipients_max > 0 && !p->sub->extract && out->n > (size_t)p->set->recipients_max) {
        *status = refuse(p, MOAN_TECHNICAL, STR(""), STR("too many recipients"));
        return false;
    }
    return true;
}

/* Reads standard input to its end. False after a timeout or a read error. */
static bool read_message(struct plain *p)
{
    struct data_reader d = {
        .mode = p->sub->dot_ends ? DATA_DOT : DATA_RAW, .put = receive_put, .closure = &p->r};
    const char *buf;
    size_t n;
    while (!d.done && stream_peek(p->in, &buf, &n)) {
        stream_consume(p->in, data_feed(&d, buf, n));
    }
    data_end(&d);
    if (!d.done && stream_error(p->in) != 0) {
        bool timeout = stream_error(p->in) == ETIMEDOUT;
        struct str who = p->sess->caller_login;
        log_msg(LOG_MAIN, p->msg,
                timeout ? "timed out while reading local message"
                        : "error while reading local message");
        (void)who;
        return false;
    }
    receive_end_input(&p->r);
    return true;
}

/* Sizes and loops. True after refusing. */
static bool refused_size(struct plain *p, int *status)
{
    struct receiver *r = &p->r;
    struct pool *pool = p->pool;
    struct str who = p->sess->caller_login, from = p->msg->sender;
    if (r->header_too_big || r->header_line_too_big) {
        int max = r->header_too_big ? p->set->header_maxsize : p->set->header_line_maxsize;
        const char *what =
            r->header_too_big ? "ridiculously long message header" : "overlong message header line";
        log_write(LOG_MAIN, "%s received from %.*s (more than %d characters): message abandoned",
                  what, STR_ARG(who), max);
        *status = refuse(
            p, MOAN_TECHNICAL, STR(""),
            str_fmt(
                pool,
                r->header_too_big
                    ? "message header longer than %d characters received: message not accepted"
                    : "message header line longer than %d characters received: message not accepted",
                max));
    } else if (r->too_big) {
        long long size = (long long)r->size_limit + 1; /* no more was looked at */
        fixup_headers(r);
        log_msg(log_if(LS_size_reject, LOG_MAIN | LOG_REJECT), p->msg,
                "rejected from <%.*s> U=%.*s: message too big: read=%lld max=%lld", STR_ARG(from),
                STR_ARG(who), size, (long long)r->size_limit);
        *status = refuse(p, MOAN_TECHNICAL, STR("message rejected: "),
                         str_fmt(pool, "message too big (max=%lld)", (long long)r->size_limit));
    } else if (r->write_failed) {
        errno = r->write_errno;
        log_msg(LOG_MAIN, p->msg,
                "Message abandoned: Spool write error (%m) while receiving message from %.*s",
                STR_ARG(who));
        *status = refuse(p, MOAN_TECHNICAL, STR("message rejected: "),
                         str_fmt(pool, "Spool write error (%m)"));
    } else {
        return false;
    }
    return true;
}

/* acl_not_smtp. True if the message may go on; *discard if to nobody. */
static bool run_acl(struct plain *p, bool *discard, struct acl_reply *a, int *status)
{
    *discard = false;
    *a = (struct acl_reply){.user = STR_NONE};
    if (str_unset(p->set->acl_not_smtp.text)) {
        return true;
    }
    enum acl_result rc = acl_run(&p->x, ACL_NOTSMTP, &p->set->acl_not_smtp, a);
    *discard = rc == ACL_DISCARD;
    if (rc == ACL_ACCEPT || rc == ACL_DISCARD) {
        return true;
    }
    if (a->log_target) {
        log_msg(a->log_target, p->msg, "F=<%.*s> rejected by non-SMTP ACL: %.*s",
                STR_ARG(p->msg->sender),
                STR_ARG(str_unset(a->log) ? STR("local configuration problem") : a->log));
    }
    *status = refuse(p, MOAN_REFUSED, STR("message rejected by non-SMTP ACL: "),
                     str_unset(a->user) ? STR("local configuration problem") : a->user);
    return false;
}

/* -t. False after refusing. */
static bool extract(struct plain *p, const struct strvec *args, int *status)
{
    struct str errors;
    if (!p->sub->extract || extract_recipients(&p->r, args, &errors)) {
        return true;
    }
    bool bad = str_chr(errors, '\n') >= 0, any = p->msg->recipient_count > 0;
    log_write(LOG_MAIN | LOG_PANIC, "%.*s %.*s %s", STR_ARG(p->msg->id), STR_ARG(p->msg->id),
              bad ? "bad addresses found in headers" : "no recipients found in headers");
    fixup_headers(&p->r);
    if (!bad) {
        *status =
            refuse(p, MOAN_NO_RECIPIENTS,
                   p->msg->recipients_removed ? errors : STR("no recipients in message"), STR(""));
        return false;
    }
    *status = refuse(p, any ? MOAN_SOME_ADDRESSES : MOAN_ADDRESSES, STR("invalid address:"),
                     str_rtrim(errors));
    /* By mail, the good addresses still get the message. */
    return any && p->sub->errors != ERRORS_PRINT;
}

static int keep(struct plain *p)
{
    struct acl_reply a;
    bool discard;
    int status = 0;
    if (!receive_fixup(&p->r)) {
        return 1;
    }
    if (!run_acl(p, &discard, &a, &status)) {
        return status;
    }
    if (discard || p->msg->recipient_count == 0) {
        receive_take_size(&p->r);
        receive_log(&p->r);
        log_msg(LOG_MAIN, p->msg, "=> blackhole (non-SMTP ACL discarded recipients)%s%.*s",
                str_unset(a.log) ? "" : ": ", STR_ARG(a.log));
        log_msg(LOG_MAIN, p->msg, "Completed");
        return 0;
    }
    if (!receive_commit(&p->r, p->sub->how)) {
        p->r.write_failed = true;
        p->r.write_errno = errno;
        refused_size(p, &status);
        return status;
    }
    receive_hand_over(&p->r);
    return 0;
}

static int receive_plain(struct plain *p)
{
    int status = p->failure;
    struct strvec args = {0};
    if (!set_sender(p) || !take_arguments(p, &args, &status)) {
        return status;
    }
    struct str error, max;
    int64_t limit = 0;
    if (!spool_check_space(p->conf, 0, &error)) {
        say(p->sub, STR("exim: insufficient disk space\n"));
        return 1;
    }
    if (expand_option(&p->x, &p->set->message_size_limit, &max) && !str_empty(max)) {
        expand_number(&p->x, max, &limit);
    }
    for (size_t i = 0; i < args.n && !p->sub->extract; i++) {
        message_add_recipient(p->msg, args.v[i]);
    }
    if (!str_unset(p->set->acl_not_smtp_start.text)) {
        struct acl_reply a;
        acl_run(&p->x, ACL_NOTSMTP_START, &p->set->acl_not_smtp_start, &a);
    }
    bool forced = p->r.sender_forced;
    p->r = (struct receiver){.extract = p->sub->extract, .size_limit = limit};
    if (!receive_begin(&p->r, &p->x, false)) {
        log_write(LOG_MAIN | LOG_PANIC, "Failed to create spool file: %m");
        say(p->sub, STR("exim: Failed to create spool file\n"));
        return 1;
    }
    p->r.from_lines = true;
    p->r.trusted = p->sess->caller_trusted;
    p->r.sender_forced = forced;
    p->r.name_forced = !str_unset(p->sub->full_name);
    if (!read_message(p)) {
        return 1;
    }
    if (!str_unset(p->bad_argument)) {
        return refuse(p, MOAN_ARGUMENT, STR(""), p->bad_argument);
    }
    if (refused_size(p, &status) || !extract(p, &args, &status)) {
        return status;
    }
    return keep(p);
}

static void fill_message(struct plain *p)
{
    struct message *m = p->msg;
    const struct submission *sub = p->sub;
    /* whoever is trusted and names a sender speaks for somebody else */
    m->local = !(sub->trusted && sub->sender_set);
    m->auth_sender = p->sess->auth_sender;
    m->originator_login = p->sess->caller_login;
    m->originator_uid = sub->uid;
    m->originator_gid = sub->gid;
    m->dont_deliver = sub->dont_deliver;
    m->suppress_local_fixups = sub->suppress_local_fixups;
    m->allow_unqualified_sender = m->allow_unqualified_rcpt = !sub->qualify_no;
    m->received_protocol = str_empty(sub->protocol) || !sub->trusted ? STR("local") : sub->protocol;
    m->message_reference = sub->message_reference;
    if (str_unset(p->sess->ident)) {
        p->sess->ident = p->sess->caller_login;
    }
    p->sess->protocol = m->received_protocol;
    m->auth_sender = p->sess->auth_sender;
}

static int run_message(const struct config *conf, const struct submission *sub)
{
    struct plain p = {
        .conf = conf, .sub = sub, .set = smtp_in_settings(conf), .pool = pool_new("submission")};
    p.sess = new_session(sub);
    p.sess->active_hostname = core_settings(conf)->primary_hostname;
    p.msg = POOL_NEW(p.pool, struct message);
    p.msg->pool = p.pool;
    p.msg->session_facts = p.sess;
    p.failure = sub->errors == ERRORS_MAIL_EXIT0 ? 0 : 1;
    ectx_init(&p.x, conf, p.pool);
    p.x.sess = p.sess;
    p.x.msg = p.msg;
    caller_identify(&p.x, sub);
    fill_message(&p);
    p.in = stream_new(p.pool, dup(sub->in), -1);
    int timeout = sub->receive_timeout >= 0 ? sub->receive_timeout : p.set->receive_timeout;
    stream_timeout(p.in, timeout);
    int status = receive_plain(&p);
    receive_abort(&p.r);
    stream_close(&p.in);
    struct pool *pool = p.sess->pool;
    pool_free(&p.pool);
    pool_free(&pool);
    lookup_tidy();
    return status;
}

int smtp_in_submit(const struct config *conf, struct submission *s)
{
    switch (s->mode) {
    case SUBMIT_BS:
    case SUBMIT_BATCH: return run_smtp(conf, s);
    case SUBMIT_HOST_CHECK: return run_host_check(conf, s);
    case SUBMIT_MESSAGE: return run_message(conf, s);
    }
    return 1;
}

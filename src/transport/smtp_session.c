/*
 * The smtp transport's conversation with one host: envelope, data, and what each reply means for
 * each address (RFC 5321; RFC 2920 pipelining, RFC 3030 BDAT, RFC 3461 DSN, RFC 2033 LMTP).
 *
 * MAIL, RCPT and DATA go out in one write where the server allows it. An accepted recipient is
 * reported through the delivery's hook, which journals it, before anything more is sent.
 */
#include "transport/smtp.h"

#include <errno.h>
#include <stdio.h>

enum { CHUNK_MAX = 256 * 1024 };

/* One transaction in hand. */
struct transaction {
    struct ectx *x;
    struct delivery *d;
    const struct smtp_options *o;
    struct smtp_client *c;
    bool pipelined, chunking;
    struct str mail_command;
    int accepted; /* recipients */
    enum smtp_try result;
    bool broken;      /* the connection is of no more use */
    struct buf chunk; /* BDAT data in hand */
    enum smtp_status write_status;
    struct smtp_reply write_reply;
};

static bool host_in(struct ectx *x, const struct etext *list, const struct host *h)
{
    return match_host(x, list, h->name, h->address, NULL) == MATCH_YES;
}

static int errno_of(enum smtp_status st, int fourxx)
{
    return st == SMTP_TEMP          ? fourxx
           : st == SMTP_TIMEOUT     ? ETIMEDOUT
           : st == SMTP_CLOSED      ? ERRNO_SMTPCLOSED
           : st == SMTP_SYNC        ? ERRNO_SMTPFORMAT
           : st == SMTP_IOERROR     ? EIO
           : st == SMTP_TLS_LACKING ? ERRNO_TLSREQUIRED
           : st >= SMTP_TLS_FAILED  ? ERRNO_TLSFAILURE
                                    : 0;
}

/* Gives pending addresses a reason without ending them: other hosts may be tried. */
static void note_reason(struct delivery *d, int basic_errno, int more_errno, struct str message)
{
    for (struct address *a = d->addrs; a; a = a->next) {
        if (a->outcome == ADDR_PENDING) {
            a->basic_errno = basic_errno;
            a->more_errno = more_errno;
            a->message = message;
            a->continued = d->continued;
            a->host_used = d->host;
            a->host_used_port = d->host_port;
        }
    }
}

static struct address *first_pending(const struct delivery *d)
{
    struct address *a = d->addrs;
    while (a && a->outcome != ADDR_PENDING) {
        a = a->next;
    }
    return a;
}

/*
 * True if the server had hung up on an idle connection, or takes no more messages over it (421):
 * nothing was decided, and a fresh one may do.
 */
static bool was_stale(const struct delivery *d, enum smtp_try result)
{
    const struct address *a = first_pending(d);
    return d->continued && result == TRY_NEXT_HOST && a &&
           (a->basic_errno == ERRNO_SMTPCLOSED || a->basic_errno == EIO ||
            (a->basic_errno == ERRNO_MAIL4XX && a->more_errno == ERRNO_SMTP_CODE(421)));
}

static void report_failure(struct transaction *t, bool of_message)
{
    struct address *a = first_pending(t->d);
    if (!a || t->d->transport->local || was_stale(t->d, t->result)) {
        return;
    }
    smtp_log_host(t->x, t->d, a);
    if (t->d->hooks && t->d->hooks->host_failed) {
        t->d->hooks->host_failed(t->d, t->d->host, a, of_message);
    }
}

static void end_address(struct transaction *t, struct address *a, enum outcome outcome,
                        int basic_errno, int more_errno, struct str message)
{
    a->outcome = outcome;
    a->basic_errno = basic_errno;
    a->more_errno = more_errno;
    a->message = message;
    a->pass_message = true;
    a->continued = t->d->continued;
    a->host_used = t->d->host;
    a->host_used_port = t->d->host_port;
}

static const char *stage_name(struct transaction *t, struct str command)
{
    return str_cstr(t->x->pool,
                    t->pipelined ? STR_CAT(t->x->pool, STR("pipelined "), command) : command);
}

/* Exim's words; LMTP's own for the lmtp transport and for the replies after the data. */
static struct str refusal(struct transaction *t, enum smtp_status st, const struct smtp_reply *r,
                          const char *stage)
{
    bool lmtp = t->d->transport->local && (st == SMTP_PERM || st == SMTP_TEMP);
    return lmtp ? str_fmt(t->x->pool, "LMTP error after %s: %.*s", stage, STR_ARG(r->text))
                : smtp_client_error(t->c, t->x->pool, st, stage, r);
}

/* A reply to MAIL, DATA or the end of data that is not good: for all pending addresses. */
static void refuse_all(struct transaction *t, enum smtp_status st, const struct smtp_reply *r,
                       const char *stage, int fourxx)
{
    struct str text = refusal(t, st, r, stage);
    if (st == SMTP_PERM) {
        for (struct address *a = t->d->addrs; a; a = a->next) {
            if (a->outcome == ADDR_PENDING) {
                end_address(t, a, ADDR_FAIL, 0, 0, text);
            }
        }
        t->result = TRY_DONE;
        return;
    }
    t->broken |= st != SMTP_TEMP || r->code == 421;
    bool odd = st == SMTP_TEMP && r->code / 100 != 4; /* the host's fault, no refusal */
    note_reason(t->d, odd ? 0 : errno_of(st, fourxx), odd ? 0 : ERRNO_SMTP_CODE(r->code), text);
    bool mail = fourxx == ERRNO_MAIL4XX, end = str_is(str_c(stage), "end of data");
    bool of_message =
        st == SMTP_TEMP || (st == SMTP_TIMEOUT && (mail || end)) || (st == SMTP_CLOSED && end);
    t->result = fourxx == ERRNO_DATA4XX ? TRY_STOP : TRY_NEXT_HOST;
    report_failure(t, of_message);
}

static struct str dsn_mail(struct transaction *t)
{
    const struct message *m = t->d->msg;
    struct pool *pool = t->x->pool;
    if (!(smtp_client_exts(t->c) & EXT_DSN)) {
        return STR("");
    }
    struct str ret = m->dsn_ret == 1   ? STR(" RET=HDRS")
                     : m->dsn_ret == 2 ? STR(" RET=FULL")
                                       : STR("");
    return str_empty(m->dsn_envid) ? ret : STR_CAT(pool, ret, STR(" ENVID="), m->dsn_envid);
}

static struct str dsn_rcpt(struct transaction *t, struct address *a)
{
    static const struct {
        int bit;
        const char *name;
    } names[] = {{DSN_NEVER, "NEVER"},
                 {DSN_SUCCESS, "SUCCESS"},
                 {DSN_FAILURE, "FAILURE"},
                 {DSN_DELAY, "DELAY"}};
    struct pool *pool = t->x->pool;
    struct str s = STR("");
    if (!(smtp_client_exts(t->c) & EXT_DSN) || a->dsn_lasthop) {
        return s;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (a->dsn_flags & names[i].bit) {
            s = STR_CAT(pool, s, str_empty(s) ? STR(" NOTIFY=") : STR(","), str_c(names[i].name));
        }
    }
    a->dsn_relayed = true;
    return str_empty(a->dsn_orcpt) ? s : STR_CAT(pool, s, STR(" ORCPT="), a->dsn_orcpt);
}

static struct str mail_command(struct transaction *t)
{
    const struct message *m = t->d->msg;
    struct pool *pool = t->x->pool;
    struct str s = STR_CAT(pool, STR("MAIL FROM:<"), t->d->return_path, STR(">"));
    if (smtp_client_exts(t->c) & EXT_SIZE && t->o->size_addition >= 0) {
        s = STR_CAT(pool, s,
                    str_fmt(pool, " SIZE=%lld",
                            (long long)(m->size + m->line_count + t->o->size_addition)));
    }
    if (m->smtputf8 && smtp_client_exts(t->c) & EXT_SMTPUTF8) {
        s = STR_CAT(pool, s, STR(" SMTPUTF8"));
    }
    return STR_CAT(pool, s, dsn_mail(t));
}

static struct str rcpt_address(struct transaction *t, struct address *a)
{
    return transport_rcpt(t->x->pool, a, t->d->transport->rcpt_include_affixes);
}

static struct str rcpt_command(struct transaction *t, struct address *a)
{
    struct pool *pool = t->x->pool;
    struct str s = STR_CAT(pool, STR("RCPT TO:<"), rcpt_address(t, a), STR(">"));
    if (t->o->lmtp && t->o->lmtp_ignore_quota) {
        s = STR_CAT(pool, s, STR(" IGNOREQUOTA"));
    }
    return STR_CAT(pool, s, dsn_rcpt(t, a));
}

static bool read_mail_reply(struct transaction *t)
{
    struct smtp_reply r;
    enum smtp_status st = smtp_client_reply(t->c, t->o->command_timeout, &r);
    if (st == SMTP_OK) {
        return true;
    }
    refuse_all(t, st, &r, stage_name(t, t->mail_command), ERRNO_MAIL4XX);
    return false;
}

/* False if the conversation cannot go on. */
static bool read_rcpt_reply(struct transaction *t, struct address *a)
{
    struct smtp_reply r;
    struct pool *pool = t->x->pool;
    enum smtp_status st = smtp_client_reply(t->c, t->o->command_timeout, &r);
    struct str command = STR_CAT(pool, STR("RCPT TO:<"), rcpt_address(t, a), STR(">"));
    if (st == SMTP_OK) {
        t->accepted++;
        return true;
    }
    if (st == SMTP_PERM || st == SMTP_TEMP) {
        struct str text = refusal(t, st, &r, str_cstr(pool, command));
        end_address(t, a, st == SMTP_PERM ? ADDR_FAIL : ADDR_DEFER,
                    st == SMTP_PERM ? 0 : ERRNO_RCPT4XX, ERRNO_SMTP_CODE(r.code), text);
        if (st == SMTP_TEMP && t->o->address_retry_include_sender) {
            a->retry_key =
                STR_CAT(pool, STR("R:"), a->address, STR(":<"), t->d->return_path, STR(">"));
        }
        return true;
    }
    t->broken = true;
    if (st == SMTP_TIMEOUT) { /* may be the recipient's fault: the host is not given up for it */
        struct str text = refusal(t, st, &r, str_cstr(pool, command));
        for (; a; a = a->next) {
            if (a->outcome == ADDR_PENDING) {
                end_address(t, a, ADDR_DEFER, ETIMEDOUT, 0, text);
            }
        }
        return false;
    }
    refuse_all(t, st, &r, stage_name(t, command), ERRNO_RCPT4XX);
    return false;
}

/* MAIL and RCPTs, with DATA behind them where they are pipelined. False if it ends here. */
static bool envelope(struct transaction *t, bool *data_sent)
{
    t->mail_command = mail_command(t);
    *data_sent = t->pipelined && !t->chunking;
    smtp_client_cmd(t->c, "%.*s", STR_ARG(t->mail_command));
    if (!t->pipelined && !read_mail_reply(t)) {
        return false;
    }
    for (struct address *a = t->d->addrs; a; a = a->next) {
        if (a->outcome != ADDR_PENDING) {
            continue;
        }
        struct str command = rcpt_command(t, a);
        smtp_client_cmd(t->c, "%.*s", STR_ARG(command));
        if (!t->pipelined && !read_rcpt_reply(t, a)) {
            return false;
        }
    }
    if (!t->pipelined) {
        return t->accepted > 0;
    }
    if (*data_sent) {
        smtp_client_cmd(t->c, "DATA");
    }
    bool mail_ok = read_mail_reply(t);
    for (struct address *a = t->d->addrs; a && !t->broken; a = a->next) {
        struct smtp_reply ignored;
        if (mail_ok && a->outcome == ADDR_PENDING) {
            mail_ok = read_rcpt_reply(t, a);
        } else if (!mail_ok && a->host_used == t->d->host) {
            t->broken |= smtp_client_reply(t->c, t->o->command_timeout, &ignored) >= SMTP_CLOSED;
        }
    }
    return mail_ok && !t->broken && (t->accepted > 0 || *data_sent);
}

static bool put_stream(void *closure, const char *p, size_t n)
{
    struct transaction *t = closure;
    return stream_write(smtp_client_stream(t->c), p, n);
}

/* Sends the chunk in hand; all but the last are answered before the next (RFC 3030). */
static bool send_chunk(struct transaction *t, bool last)
{
    struct stream *s = smtp_client_stream(t->c);
    smtp_client_cmd(t->c, "BDAT %zu%s", t->chunk.len, last ? " LAST" : "");
    bool ok = stream_write(s, t->chunk.p ? t->chunk.p : "", t->chunk.len);
    buf_cut(&t->chunk, 0);
    if (last) {
        return ok;
    }
    t->write_status = smtp_client_reply(t->c, t->o->data_timeout, &t->write_reply);
    return t->write_status == SMTP_OK;
}

static bool put_chunk(void *closure, const char *p, size_t n)
{
    struct transaction *t = closure;
    while (n) {
        size_t room = CHUNK_MAX - t->chunk.len, part = n < room ? n : room;
        buf_add(&t->chunk, p, part);
        p += part;
        n -= part;
        if (t->chunk.len == CHUNK_MAX && n && !send_chunk(t, false)) {
            return false;
        }
    }
    return true;
}

/* DATA's own reply. False if there is nothing to send the message for. */
static bool begin_data(struct transaction *t, bool data_sent)
{
    struct smtp_reply r;
    if (t->chunking) {
        return true;
    }
    if (!data_sent) {
        smtp_client_cmd(t->c, "DATA");
    }
    enum smtp_status st = smtp_client_reply(t->c, t->o->command_timeout, &r);
    if (t->accepted == 0) {
        if (r.code / 100 == 3) {
            smtp_client_cmd(t->c, ".");
            t->broken |= smtp_client_reply(t->c, t->o->command_timeout, &r) >= SMTP_CLOSED;
        }
        t->broken |= st >= SMTP_CLOSED;
        return false;
    }
    if (r.code / 100 != 3) {
        st = st == SMTP_OK ? SMTP_TEMP : st;
        refuse_all(t, st, &r, stage_name(t, STR("DATA")), ERRNO_DATA4XX);
        return false;
    }
    return true;
}

/* The transport's flags for the message's text. */
static unsigned writer_flags(const struct transaction *t)
{
    const struct transport *tp = t->d->transport;
    return TW_CRLF | (t->chunking ? 0u : (unsigned)(TW_DOTS | TW_FINAL_DOT)) |
           (tp->return_path_add ? (unsigned)TW_RETURN_PATH : 0u) |
           (tp->envelope_to_add ? (unsigned)TW_ENVELOPE_TO : 0u) |
           (tp->delivery_date_add ? (unsigned)TW_DELIVERY_DATE : 0u) |
           (tp->body_only ? (unsigned)TW_NO_HEADERS : 0u) |
           (tp->headers_only ? (unsigned)TW_NO_BODY : 0u);
}

/* The message itself. False after giving the pending addresses their reason. */
static bool send_message(struct transaction *t)
{
    struct transport_writer w = {
        .flags = writer_flags(t), .put = t->chunking ? put_chunk : put_stream, .closure = t};
    stream_timeout(smtp_client_stream(t->c), t->o->data_timeout);
    t->write_status = SMTP_OK;
    smtp_client_note(t->c,
                     t->chunking ? "         will write message using CHUNKING"
                                 : "  SMTP>> (writing message)",
                     "");
    errno = 0;
    bool ok = transport_write_message(t->x, t->d, &w) && (!t->chunking || send_chunk(t, true));
    if (ok) {
        smtp_client_note(t->c, t->chunking ? NULL : "  SMTP>> .", t->chunking ? "" : ".");
        return true;
    }
    t->broken = true;
    if (t->write_status != SMTP_OK) {
        refuse_all(t, t->write_status, &t->write_reply, "BDAT", ERRNO_DATA4XX);
        return false;
    }
    int e = stream_error(smtp_client_stream(t->c));
    int reason = e ? e : errno ? errno : EIO;
    note_reason(t->d, reason, 0,
                e ? STR_NONE : str_fmt(t->x->pool, "could not send message: %s", strerror(reason)));
    report_failure(t, false);
    t->result = TRY_STOP;
    return false;
}

static void accept_address(struct transaction *t, struct address *a, const struct smtp_reply *r)
{
    end_address(t, a, ADDR_OK, 0, 0, STR_NONE);
    a->confirmation = r->text;
    a->pipelining_used = t->pipelined;
    a->chunking_used = t->chunking;
    if (t->d->hooks && t->d->hooks->delivered) {
        t->d->hooks->delivered(t->d, a);
    }
}

/* LMTP: a reply for each accepted recipient (RFC 2033 4.2). */
static void lmtp_replies(struct transaction *t)
{
    for (struct address *a = t->d->addrs; a; a = a->next) {
        struct smtp_reply r;
        if (a->outcome != ADDR_PENDING) {
            continue;
        }
        enum smtp_status st = smtp_client_reply(t->c, t->o->final_timeout, &r);
        if (st == SMTP_OK) {
            accept_address(t, a, &r);
        } else if (st == SMTP_PERM || st == SMTP_TEMP) {
            bool local = t->d->transport->local;
            struct str text = str_fmt(t->x->pool, "LMTP error after %s: %.*s",
                                      local ? "end of data" : "DATA", STR_ARG(r.text));
            end_address(t, a, st == SMTP_PERM ? ADDR_FAIL : ADDR_DEFER,
                        st == SMTP_PERM || !local ? 0 : ERRNO_DATA4XX, ERRNO_SMTP_CODE(r.code),
                        text);
        } else {
            refuse_all(t, st, &r, "end of data", ERRNO_DATA4XX);
            return;
        }
    }
    t->result = TRY_DONE;
}

static void end_of_data(struct transaction *t)
{
    struct smtp_reply r;
    t->d->reset_due = false;
    if (t->o->lmtp) {
        lmtp_replies(t);
        return;
    }
    enum smtp_status st = smtp_client_reply(t->c, t->o->final_timeout, &r);
    if (st != SMTP_OK) {
        refuse_all(t, st, &r, "end of data", ERRNO_DATA4XX);
        return;
    }
    for (struct address *a = t->d->addrs; a; a = a->next) {
        if (a->outcome == ADDR_PENDING) {
            accept_address(t, a, &r);
        }
    }
    t->result = TRY_DONE;
}

enum smtp_try smtp_transaction(struct ectx *x, struct delivery *d, const struct smtp_options *o,
                               struct smtp_client *c)
{
    unsigned exts = smtp_client_exts(c);
    struct transaction t = {.x = x,
                            .d = d,
                            .o = o,
                            .c = c,
                            .pipelined = (exts & EXT_PIPELINING) != 0,
                            .chunking = (exts & EXT_CHUNKING) != 0,
                            .result = TRY_DONE};
    bool data_sent;
    d->reset_due = true;
    buf_init(&t.chunk, x->pool, CHUNK_MAX);
    if (envelope(&t, &data_sent) && begin_data(&t, data_sent) && send_message(&t)) {
        end_of_data(&t);
    }
    d->connection_broken = t.broken;
    return t.result;
}

/* The host is given up for now; logged says whether a line of its own tells so. */
static void give_up(struct ectx *x, struct delivery *d, bool logged)
{
    struct transaction t = {.x = x, .d = d};
    if (logged) {
        report_failure(&t, false);
    } else if (d->hooks && d->hooks->host_failed && first_pending(d)) {
        d->hooks->host_failed(d, d->host, first_pending(d), false);
    }
}

/* Pending addresses end without a host. */
static void forget_host(struct delivery *d)
{
    for (struct address *a = d->addrs; a; a = a->next) {
        a->host_used = a->outcome == ADDR_PENDING ? NULL : a->host_used;
    }
}

/* No session: the reason goes to the addresses, the log and the retry data. */
static enum smtp_try open_failed(struct ectx *x, struct delivery *d, enum smtp_status st,
                                 const struct smtp_reply *r, struct str error, int e)
{
    bool connecting = st == SMTP_TIMEOUT || st == SMTP_IOERROR;
    connecting = connecting && r->code == 0 && str_is(error, strerror(e)) && e != 0;
    int from = d->host->mx != MX_NONE ? ERRNO_FROM_MX : ERRNO_FROM_A;
    int basic = st == SMTP_TEMP || st == SMTP_PERM ? 0 : errno_of(st, 0);
    if (connecting) {
        note_reason(d, e, e == ETIMEDOUT ? from + ERRNO_CONNECTING : from, STR_NONE);
        forget_host(d);
    } else {
        note_reason(d, basic, st == SMTP_TIMEOUT ? from : 0, error);
    }
    for (struct address *a = d->addrs; a; a = a->next) {
        a->pass_message |= a->outcome == ADDR_PENDING && (st == SMTP_TEMP || st == SMTP_PERM);
    }
    d->host_refused = st == SMTP_PERM;
    give_up(x, d, basic != ERRNO_TLSFAILURE);
    return TRY_NEXT_HOST;
}

/* DANE forbids the connection. */
static enum smtp_try plan_failed(struct ectx *x, struct delivery *d, enum outcome outcome,
                                 struct str error)
{
    if (outcome == ADDR_FAIL) {
        smtp_end_pending(d, ADDR_FAIL, ERRNO_DNSDEFER, 0, error);
        return TRY_DONE;
    }
    note_reason(d, ERRNO_DNSDEFER, 0, error);
    give_up(x, d, true);
    forget_host(d);
    return TRY_NEXT_HOST;
}

/*
 * The connection that is open between deliveries, so that the next one to the same host need not
 * make its own (connection_max_messages). At most one a process, closed by smtp_close_kept().
 */
static struct {
    struct pool *pool;
    struct smtp_client *c;
    const struct host *host;
    struct str key, transport, helo;
    int messages;
} kept;

/* The facts of the connection become the delivery's and, for the log, the addresses'. */
static void tell_tls(struct ectx *x, struct delivery *d, const struct smtp_client *c)
{
    d->tls = c ? smtp_tls_facts(x->pool, smtp_client_tls(c)) : NULL;
    for (struct address *a = d->addrs; a; a = a->next) {
        a->tls = a->outcome == ADDR_PENDING ? d->tls : a->tls;
    }
}

void smtp_close_kept(void)
{
    smtp_client_close(&kept.c, true);
    pool_free(&kept.pool);
}

bool smtp_kept(struct smtp_kept *to)
{
    if (kept.c) {
        *to = (struct smtp_kept){kept.transport, kept.host->name, kept.host->address};
    }
    return kept.c != NULL;
}

static struct str connection_key(struct pool *pool, const struct delivery *d, int port,
                                 struct str interface, const struct smtp_tls *plan)
{
    struct str nul = str_n("", 1);
    return STR_CAT(pool, d->transport->name, nul, d->host->name, nul, d->host->address, nul,
                   str_fmt(pool, "%d", port), nul, interface, nul, plan->key);
}

/* What naming ourselves takes, and whether it failed. */
struct namer {
    struct ectx *x;
    struct delivery *d;
    const struct smtp_options *o;
    bool failed;
};

static bool expand_helo(struct ectx *x, const struct smtp_options *o, struct str *helo,
                        struct str *error)
{
    if (expand_option(x, &o->helo_data, helo) && !str_empty(*helo)) {
        return true;
    }
    *error = str_fmt(x->pool, "failed to expand helo_data: %.*s", STR_ARG(x->error));
    return false;
}

/* helo_data may ask which address of ours the connection has. */
static bool name_us(void *closure, struct str address, int port, struct str *helo,
                    struct str *error)
{
    struct namer *n = closure;
    n->d->sending_ip = str_dup(n->x->pool, address);
    n->d->sending_port = port;
    n->failed = !expand_helo(n->x, n->o, helo, error);
    *helo = kept.helo = n->failed ? STR_NONE : str_dup(kept.pool, *helo);
    return !n->failed;
}

/* True if the kept connection is one that this delivery would make as well. */
static bool same_connection(struct namer *n, struct str key, struct str *error)
{
    struct str helo;
    if (!kept.c || !str_eq(key, kept.key)) {
        return false;
    }
    smtp_client_local(kept.c, &n->d->sending_ip, &n->d->sending_port);
    n->failed = !expand_helo(n->x, n->o, &helo, error);
    return !n->failed && str_eq(helo, kept.helo);
}

/* A session of our own in the kept place; the status of opening it. */
static enum smtp_status open_kept(struct namer *n, struct str interface, struct smtp_tls *plan,
                                  struct smtp_reply *r, struct str *error)
{
    struct ectx *x = n->x;
    struct delivery *d = n->d;
    const struct smtp_options *o = n->o;
    kept.pool = pool_new("smtp connection");
    kept.messages = 0;
    struct host *h = POOL_NEW(kept.pool, struct host);
    *h = *d->host;
    h->name = str_dup(kept.pool, h->name);
    h->address = str_dup(kept.pool, h->address);
    kept.host = h;
    kept.transport = d->transport->name;
    struct smtp_client_opts co = {
        .conf = x->conf,
        .host = h,
        .port = d->host_port,
        .interface = interface,
        .name_us = name_us,
        .namer = n,
        .connect_timeout = o->connect_timeout,
        .command_timeout = o->command_timeout,
        .data_timeout = o->data_timeout,
        .final_timeout = o->final_timeout,
        .lmtp = o->lmtp,
        .keepalive = o->keepalive,
        .fastopen = host_in(x, &o->hosts_try_fastopen, d->host),
        .avoid_esmtp = host_in(x, &o->hosts_avoid_esmtp, d->host),
        .avoid_pipelining = host_in(x, &o->hosts_avoid_pipelining, d->host),
        .avoid_chunking = o->lmtp || !host_in(x, &o->hosts_try_chunking, d->host),
    };
    enum smtp_status st = smtp_tls_open(x, kept.pool, plan, &co, &kept.c, r, error);
    if (st != SMTP_OK) {
        int e = errno;
        r->text = str_dup(x->pool, r->text);
        *error = str_dup(x->pool, *error);
        pool_free(&kept.pool);
        errno = e;
    }
    return st;
}

/* True if the connection may be used for a further transaction, and there is one. */
static bool goes_on(struct ectx *x, struct delivery *d, const struct smtp_options *o)
{
    int max = o->connection_max_messages;
    if (d->connection_broken || (max > 0 && kept.messages >= max)) {
        return false;
    }
    if (d->tls &&
        (host_in(x, &o->hosts_nopass_tls, d->host) || host_in(x, &o->hosts_noproxy_tls, d->host))) {
        return false;
    }
    const struct delivery_hooks *hooks = d->hooks;
    return d->keep_open || (hooks && hooks->others_wait && hooks->others_wait(d, d->host));
}

/* Ends a transaction that has not come to its end (RFC 5321 4.1.1.5); false: no connection left. */
static bool reset(const struct smtp_options *o)
{
    struct smtp_reply r;
    smtp_client_cmd(kept.c, "RSET");
    return smtp_client_reply(kept.c, o->command_timeout, &r) == SMTP_OK;
}

/* One transaction over the kept connection; keeps it on if more may follow. */
static enum smtp_try use_kept(struct ectx *x, struct delivery *d, const struct smtp_options *o)
{
    smtp_client_local(kept.c, &d->sending_ip, &d->sending_port);
    d->sending_ip = str_dup(x->pool, d->sending_ip);
    tell_tls(x, d, kept.c);
    kept.messages++;
    enum smtp_try result = smtp_transaction(x, d, o, kept.c);
    for (struct address *a = d->addrs; a; a = a->next) {
        a->message = str_dup(x->pool, a->message);
        a->confirmation = str_dup(x->pool, a->confirmation);
    }
    if (d->connection_broken) {
        smtp_client_close(&kept.c, false);
    }
    if (!goes_on(x, d, o) || (d->reset_due && !reset(o))) {
        smtp_close_kept();
    }
    return result;
}

bool smtp_is_elsewhere(const struct delivery *d)
{
    return d->only_kept && (!kept.c || !str_eq(kept.transport, d->transport->name) ||
                            !str_eqi(kept.host->name, d->host->name) ||
                            !str_eq(kept.host->address, d->host->address));
}

static enum smtp_try helo_failed(struct delivery *d, struct str error)
{
    smtp_end_pending(d, ADDR_DEFER, ERRNO_EXPANDFAIL, 0, error);
    return TRY_STOP;
}

enum smtp_try smtp_try_host(struct ectx *x, struct delivery *d, const struct smtp_options *o,
                            int port, struct str interface)
{
    struct smtp_reply r;
    struct str error;
    d->continued = false;
    struct namer n = {x, d, o, false};
    struct smtp_tls plan;
    tell_tls(x, d, NULL);
    enum outcome ready = smtp_tls_plan(x, d, false, &plan, &error);
    if (ready != ADDR_OK) {
        return plan_failed(x, d, ready, error);
    }
    struct str key = connection_key(x->pool, d, port, interface, &plan);
    d->continued = same_connection(&n, key, &error);
    d->connection_broken = false;
    if (n.failed) {
        return helo_failed(d, error);
    }
    if (d->continued) {
        enum smtp_try result = use_kept(x, d, o);
        if (!was_stale(d, result)) {
            return result;
        }
        d->continued = d->connection_broken = false;
    } else if (d->only_kept) {
        d->passed_over = true;
        return TRY_NEXT_HOST;
    }
    smtp_close_kept();
    enum smtp_status st = open_kept(&n, interface, &plan, &r, &error);
    if (n.failed) {
        return helo_failed(d, error);
    }
    if (st != SMTP_OK) {
        return open_failed(x, d, st, &r, error, errno);
    }
    kept.key = str_dup(kept.pool, key);
    if (d->hooks && d->hooks->host_worked) {
        d->hooks->host_worked(d, d->host);
    }
    return use_kept(x, d, o);
}

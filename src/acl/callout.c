/*
 * Callouts: asking the hosts of an address whether they would take mail for it.
 *
 * The hosts, port, interface and HELO name are those of the transport the address was routed to.
 * What is learnt goes to the cache (callout_cache.c), which is asked first. A host that gives no
 * clear answer leaves the question to the next; if none answers the result is VERIFY_DEFER with
 * ERRNO_CALLOUTDEFER.
 */
#include "acl/callout.h"

#include <netdb.h>

enum { DEFAULT_TIMEOUT = 30, SMTP_PORT = 25, LMTP_PORT = 24, SMTPS_PORT = 465 };

/* ---- parameters ---- */

static bool parse_time(struct pool *pool, struct str value, const char *name, int *out,
                       struct str *error)
{
    int64_t t = time_interval(str_trim(value));
    if (t < 0 || t > INT32_MAX) {
        *error = str_fmt(pool, "bad time value for '%s'", name);
        return false;
    }
    *out = (int)t;
    return true;
}

static const struct {
    const char *name;
    size_t offset;
} flags[] = {
    {"defer_ok", offsetof(struct callout, defer_ok)},
    {"no_cache", offsetof(struct callout, no_cache)},
    {"random", offsetof(struct callout, random)},
    {"use_sender", offsetof(struct callout, use_sender)},
    {"use_postmaster", offsetof(struct callout, use_postmaster)},
    {"postmaster", offsetof(struct callout, postmaster)},
    {"hold", offsetof(struct callout, hold)},
};

static bool parse_one(struct pool *pool, struct str item, struct callout *c, struct str *error)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (str_isi(item, flags[i].name)) {
            *(bool *)(void *)((char *)c + flags[i].offset) = true;
            return true;
        }
    }
    if (str_isi(item, "fullpostmaster")) {
        c->postmaster = c->full_postmaster = true;
        return true;
    }
    ptrdiff_t eq = str_chr(item, '=');
    if (eq < 0) {
        return parse_time(pool, item, "callout", &c->timeout, error);
    }
    struct str name = str_trim(str_sub(item, 0, (size_t)eq)),
               value = str_trim(str_from(item, (size_t)eq + 1));
    if (str_isi(name, "connect")) {
        return parse_time(pool, value, "connect", &c->connect, error);
    }
    if (str_isi(name, "maxwait")) {
        return parse_time(pool, value, "maxwait", &c->maxwait, error);
    }
    if (str_isi(name, "mailfrom")) {
        c->mailfrom = value;
    } else if (str_isi(name, "postmaster_mailfrom")) {
        c->postmaster = true;
        c->postmaster_mailfrom = value;
    } else {
        *error = str_fmt(pool, "unknown callout option \"%.*s\"", STR_ARG(item));
        return false;
    }
    return true;
}

bool callout_parse(struct pool *pool, struct str text, struct callout *out, struct str *error)
{
    bool defer_ok = out->defer_ok, postmaster = out->postmaster; /* from the old spellings */
    *out = (struct callout){.wanted = true, .defer_ok = defer_ok, .postmaster = postmaster};
    struct str item;
    out->timeout = DEFAULT_TIMEOUT;
    out->connect = out->maxwait = -1;
    while (str_next(&text, ',', &item)) {
        item = str_trim(item);
        if (!str_empty(item) && !parse_one(pool, item, out, error)) {
            return false;
        }
    }
    out->connect = out->connect < 0 ? out->timeout : out->connect;
    out->maxwait = out->maxwait < 0 ? 4 * out->timeout : out->maxwait;
    return true;
}

/* ---- the transport's side ---- */

/* The expanded value of one of the transport's own options; empty if it has none. */
static struct str transport_text(struct ectx *x, const struct transport *t, const char *name)
{
    struct str out;
    const struct option *row = t && t->driver ? opt_find(t->driver->options, str_c(name)) : NULL;
    if (!row) {
        return STR("");
    }
    const char *field = (const char *)t->opts + row->offset;
    if (row->type == OPT_STRING) {
        return *(const struct str *)(const void *)field;
    }
    if (row->type != OPT_EXPAND && row->type != OPT_HOSTS) {
        return STR("");
    }
    return expand_option(x, (const struct etext *)(const void *)field, &out) && !str_unset(out)
               ? out
               : STR("");
}

static int port_of(struct ectx *x, const struct transport *t)
{
    struct str text = transport_text(x, t, "port");
    int64_t n;
    if (str_empty(text)) {
        struct str protocol = transport_text(x, t, "protocol");
        return str_is(protocol, "lmtp")    ? LMTP_PORT
               : str_is(protocol, "smtps") ? SMTPS_PORT
                                           : SMTP_PORT;
    }
    if (str_to_i64(text, &n)) {
        return n > 0 && n < 65536 ? (int)n : SMTP_PORT;
    }
    const struct servent *s = getservbyname(str_cstr(x->pool, text), "tcp");
    return s ? (int)(((unsigned)s->s_port >> 8 & 255) | ((unsigned)s->s_port & 255) << 8)
             : SMTP_PORT;
}

/* The transport's own hosts, where the router set none. */
static struct host *transport_hosts(struct ectx *x, const struct transport *t)
{
    struct str list = transport_text(x, t, "hosts"), item;
    struct host *first = NULL, **last = &first;
    int sep = 0;
    while (list_next(x->pool, &list, &sep, &item)) {
        struct host *h = POOL_NEW(x->pool, struct host);
        struct str addr;
        int port;
        *h = (struct host){.port = PORT_NONE, .mx = MX_NONE, .name = item};
        if (ip_parse_port(item, &addr, &port)) {
            h->name = h->address = addr;
            h->port = port > 0 ? port : PORT_NONE;
        }
        *last = h;
        last = &h->next;
    }
    return first;
}

/* ---- the conversation ---- */

struct talk {
    struct ectx *x;
    struct address *a;
    const struct callout *c;
    bool is_sender;
    struct str mailfrom;
    struct callout_known *known;
    const struct host *host;
    struct smtp_client *client;
    struct smtp_reply reply;
    struct str sent; /* the command that was answered */
};

/* Sends one command and reads its answer. */
static enum smtp_status ask(struct talk *t, const char *verb, struct str arg)
{
    t->sent = str_fmt(t->x->pool, "%s%.*s%s", verb, STR_ARG(arg),
                      verb[0] == 'R' && verb[1] == 'S' ? "" : ">");
    if (!smtp_client_cmd(t->client, "%.*s", STR_ARG(t->sent))) {
        return SMTP_IOERROR;
    }
    return smtp_client_reply(t->client, t->c->timeout, &t->reply);
}

/* "name [address] : what" */
static struct str with_host(const struct talk *t, struct str what)
{
    return str_fmt(t->x->pool, "%.*s [%.*s] : %.*s", STR_ARG(t->host->name),
                   STR_ARG(t->host->address), STR_ARG(what));
}

/* What a refusal of anything but MAIL is called. */
static struct str remote_error(const struct talk *t)
{
    struct str said = str_printable(t->x->pool, t->reply.text, false);
    struct str stage = str_empty(t->sent) ? STR("initial connection") : t->sent;
    return with_host(t, str_fmt(t->x->pool, "SMTP error from remote mail server after %.*s: %.*s",
                                STR_ARG(stage), STR_ARG(said)));
}

static enum verify_result rejected(struct talk *t, const char *why)
{
    struct pool *pool = t->x->pool;
    struct acl_message *note = acl_note(t->x->msg);
    struct str said = str_printable(pool, t->reply.text, false);
    struct address *a = t->a;
    a->message = str_starts(t->sent, "MAIL ")
                     ? with_host(t, str_fmt(pool, "response to \"%.*s\" was: %.*s",
                                            STR_ARG(t->sent), STR_ARG(said)))
                     : remote_error(t);
    a->user_message =
        t->is_sender
            ? str_fmt(pool, "Called:   %.*s\nSent:     %.*s\nResponse: %.*s",
                      STR_ARG(t->host->address),
                      STR_ARG(str_empty(t->sent) ? STR("QUIT") : t->sent), STR_ARG(t->reply.text))
            : str_fmt(pool, "Callout verification failed:\n%.*s", STR_ARG(t->reply.text));
    *(t->is_sender ? &note->sender_verify_failure : &note->recipient_verify_failure) = str_c(why);
    return VERIFY_FAIL;
}

/* A command without a clear answer: says which. */
static enum verify_result unclear(struct talk *t, enum smtp_status st)
{
    struct pool *pool = t->x->pool;
    if (st == SMTP_TEMP) {
        t->a->message = remote_error(t);
    } else if (st == SMTP_CLOSED) {
        t->a->message = with_host(
            t, str_fmt(pool, "response to \"%.*s\" was: connection dropped", STR_ARG(t->sent)));
    } else {
        t->a->message = with_host(
            t, smtp_client_error(t->client, pool, st, str_cstr(pool, t->sent), &t->reply));
    }
    return VERIFY_DEFER;
}

/* MAIL for the check proper. */
static enum verify_result say_mail(struct talk *t)
{
    enum smtp_status st = ask(t, "MAIL FROM:<", t->mailfrom);
    if (st == SMTP_PERM) {
        if (str_empty(t->mailfrom)) {
            t->known->domain = CALLOUT_REJECTS_NULL;
            acl_note(t->x->msg)->null_sender_fail = true;
        }
        return rejected(t, "mail");
    }
    return st == SMTP_OK ? VERIFY_OK : unclear(t, st);
}

/* Whether the domain takes any local part. VERIFY_OK: it does, nothing more need be asked. */
static enum verify_result ask_random(struct talk *t)
{
    struct str lp;
    if (!expand_option(t->x, &acl_settings(t->x->conf)->callout_random_local_part, &lp) ||
        str_empty(lp)) {
        return VERIFY_FAIL;
    }
    enum smtp_status st = ask(t, "RCPT TO:<", STR_CAT(t->x->pool, lp, STR("@"), t->a->domain));
    if (st == SMTP_OK) {
        t->known->random = CALLOUT_YES;
        return VERIFY_OK;
    }
    t->known->random = st == SMTP_PERM ? CALLOUT_NO : CALLOUT_UNKNOWN;
    if (ask(t, "RSET", STR("")) != SMTP_OK) {
        return VERIFY_DEFER;
    }
    enum verify_result rc = say_mail(t);
    return rc == VERIFY_OK ? VERIFY_FAIL : VERIFY_DEFER;
}

static enum verify_result ask_postmaster(struct talk *t)
{
    if (ask(t, "RSET", STR("")) != SMTP_OK ||
        ask(t, "MAIL FROM:<", t->c->postmaster_mailfrom) != SMTP_OK) {
        return VERIFY_DEFER;
    }
    enum smtp_status st =
        ask(t, "RCPT TO:<", STR_CAT(t->x->pool, STR("postmaster@"), t->a->domain));
    if (st == SMTP_PERM && t->c->full_postmaster) {
        st = ask(t, "RCPT TO:<", STR("postmaster"));
    }
    if (st == SMTP_OK) {
        t->known->postmaster = CALLOUT_YES;
        return VERIFY_OK;
    }
    if (st == SMTP_PERM) {
        t->known->postmaster = CALLOUT_NO;
        acl_note(t->x->msg)->pm_fail = true;
        return rejected(t, "postmaster");
    }
    return VERIFY_DEFER;
}

static enum verify_result converse(struct talk *t)
{
    enum verify_result rc = say_mail(t);
    if (rc != VERIFY_OK) {
        return rc;
    }
    t->known->domain = CALLOUT_ACCEPTS;
    if (t->c->random && t->known->random != CALLOUT_NO) {
        rc = ask_random(t);
        if (rc != VERIFY_FAIL) {
            return rc;
        }
    }
    enum smtp_status st = ask(t, "RCPT TO:<", t->a->address);
    if (st == SMTP_PERM) {
        t->known->address = CALLOUT_NO;
        return rejected(t, "recipient");
    }
    if (st != SMTP_OK) {
        return unclear(t, st);
    }
    t->known->address = CALLOUT_YES;
    return t->c->postmaster && t->known->postmaster != CALLOUT_YES ? ask_postmaster(t) : VERIFY_OK;
}

/* helo_data may ask which address of ours the connection has. */
static bool name_us(void *closure, struct str address, int port, struct str *helo,
                    struct str *error)
{
    struct talk *t = closure;
    struct ectx *x = t->x;
    (void)error;
    x->dlv->sending_ip = address;
    x->dlv->sending_port = port;
    *helo = transport_text(x, t->a->transport, "helo_data");
    if (str_empty(*helo)) {
        *helo = str_empty(x->sess->active_hostname) ? core_settings(x->conf)->primary_hostname
                                                    : x->sess->active_hostname;
    }
    return true;
}

static struct smtp_client_opts client_options(struct talk *t, struct host *h)
{
    const struct transport *tr = t->a->transport;
    return (struct smtp_client_opts){
        .conf = t->x->conf,
        .host = h,
        .port = h->port != PORT_NONE ? h->port : port_of(t->x, tr),
        .interface = transport_text(t->x, tr, "interface"),
        .name_us = name_us,
        .namer = t,
        .connect_timeout = t->c->connect,
        .command_timeout = t->c->timeout,
        .data_timeout = t->c->timeout,
        .final_timeout = t->c->timeout,
        .lmtp = str_is(transport_text(t->x, tr, "protocol"), "lmtp"),
    };
}

/* Connects as the transport would, with TLS as its options say. */
static enum smtp_status open_client(struct talk *t, struct delivery *d,
                                    const struct smtp_client_opts *o, struct str *error)
{
    struct smtp_tls plan;
    enum smtp_status st = SMTP_TLS_BARRED;
    if (smtp_tls_plan(t->x, d, true, &plan, error) == ADDR_OK) {
        st = smtp_tls_open(t->x, t->x->pool, &plan, o, &t->client, &t->reply, error);
    }
    if (st != SMTP_OK && st != SMTP_PERM) {
        *error = with_host(t, *error);
    }
    return st;
}

/* One host. VERIFY_DEFER: no clear answer. */
static enum verify_result try_host(struct talk *t, struct host *h)
{
    struct delivery *before = t->x->dlv;
    struct delivery d = {.pool = t->x->pool,
                         .msg = t->x->msg,
                         .addrs = t->a,
                         .transport = t->a->transport,
                         .host = h};
    t->x->dlv = &d; /* options of the transport may ask for $host */
    struct smtp_client_opts o = client_options(t, h);
    struct str error = STR_NONE;
    d.host_port = o.port;
    t->host = h;
    t->sent = STR("");
    t->x->sess->callout_address =
        str_fmt(t->x->sess->pool, "[%.*s]:%d", STR_ARG(h->address), o.port);
    enum smtp_status st = open_client(t, &d, &o, &error);
    t->x->dlv = before;
    if (st == SMTP_PERM) {
        t->known->domain = CALLOUT_REJECTS;
        return rejected(t, "mail");
    }
    if (st != SMTP_OK) {
        t->a->message = error;
        return VERIFY_DEFER;
    }
    enum verify_result rc = converse(t);
    smtp_client_close(&t->client, true);
    return rc;
}

/* Every address of every host, until one answers or the time is over. */
static enum verify_result try_hosts(struct talk *t, struct host *hosts)
{
    int64_t end = time_monotonic_ms() + (int64_t)t->c->maxwait * 1000;
    for (struct host *h = hosts; h; h = h->next) {
        struct host *rest = h->next;
        struct str error;
        if (str_unset(h->address) &&
            net_find_addresses(t->x->conf, t->x->pool, h, true, 0, &error) != HF_FOUND) {
            t->a->message = error;
            h->next = rest;
            continue;
        }
        if (time_monotonic_ms() > end) {
            break;
        }
        enum verify_result rc = try_host(t, h);
        if (rc != VERIFY_DEFER) {
            return rc;
        }
    }
    return VERIFY_DEFER;
}

static enum verify_result no_answer(struct talk *t, bool one_host)
{
    struct pool *pool = t->x->pool;
    struct address *a = t->a;
    struct str dull = str_fmt(pool, "Could not complete %s verify callout",
                              t->is_sender ? "sender" : "recipient");
    a->message =
        !one_host || str_empty(a->message) ? dull : STR_CAT(pool, dull, STR(": "), a->message);
    a->user_message = dull;
    if (acl_settings(t->x->conf)->smtp_return_error_details) {
        a->user_message = str_fmt(
            pool,
            "%.*s for <%.*s>.\n"
            "The mail server(s) for the domain may be temporarily unreachable, or\n"
            "they may be permanently unreachable from this server. In the latter case,\n%s",
            STR_ARG(dull), STR_ARG(a->address),
            t->is_sender ? "you need to change the address or create an MX record for its domain\n"
                           "if it is supposed to be generally accessible from the Internet.\n"
                           "Talk to your mail administrator for details."
                         : "the address will never be accepted.");
    }
    a->basic_errno = ERRNO_CALLOUTDEFER;
    return VERIFY_DEFER;
}

/* The sender of the check. */
static struct str mail_from(struct ectx *x, bool is_sender, const struct callout *c)
{
    if (is_sender) {
        return str_unset(c->mailfrom) ? STR("") : c->mailfrom;
    }
    if (c->use_sender) {
        return x->msg->sender;
    }
    return c->use_postmaster
               ? STR_CAT(x->pool, STR("postmaster@"), core_settings(x->conf)->qualify_domain)
               : STR("");
}

enum verify_result callout_do(struct ectx *x, struct address *a, bool is_sender,
                              const struct callout *c)
{
    struct callout_known known;
    struct talk t = {.x = x,
                     .a = a,
                     .c = c,
                     .is_sender = is_sender,
                     .known = &known,
                     .mailfrom = mail_from(x, is_sender, c)};
    enum verify_result rc;
    if (callout_cached(x, a, is_sender, c, t.mailfrom, &known, &rc)) {
        return rc;
    }
    struct host *hosts = a->hosts ? a->hosts : transport_hosts(x, a->transport);
    if (!hosts) {
        return VERIFY_OK; /* nobody to ask: it does not go to another host */
    }
    if (x->sess->stream && !x->sess->no_callout_flush) {
        stream_flush(x->sess->stream);
    }
    rc = try_hosts(&t, hosts);
    if (rc == VERIFY_DEFER) {
        return no_answer(&t, !hosts->next);
    }
    callout_remember(x, a, c, t.mailfrom, &known);
    return rc;
}

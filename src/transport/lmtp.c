/*
 * The lmtp transport: LMTP (RFC 2033) over a Unix socket. One conversation for a batch of
 * recipients, each with a reply of its own; the smtp transport's transaction does the talking.
 *
 * The socket is opened with the rights of the delivering process. What fails is deferred with the
 * reason; nothing is retried here.
 */
#include "transport/smtp.h"

#include <errno.h>

struct lmtp_options {
    struct etext socket, batch_id;
    int batch_max, timeout;
    bool ignore_quota;
};

#define O(field) offsetof(struct lmtp_options, field)

static const struct option rows[] = {
    {"batch_id", OPT_EXPAND, O(batch_id), NULL, "deliveries whose expansions agree share a batch",
     NULL, NULL},
    {"batch_max", OPT_INT, O(batch_max), "1", "addresses in one delivery at most", NULL, NULL},
    {"command", OPT_UNSUPPORTED, 0, NULL, NULL, NULL, NULL},
    {"ignore_quota", OPT_BOOL, O(ignore_quota), "false", "IGNOREQUOTA is added to RCPT", NULL,
     NULL},
    {"socket", OPT_EXPAND, O(socket), NULL, "path of the Unix socket", NULL, NULL},
    {"timeout", OPT_TIME, O(timeout), "5m", "how long a reply is awaited", NULL, NULL},
    {0},
};

/* The path, checked; false after ending the addresses. */
static bool socket_path(struct ectx *x, struct delivery *d, const struct lmtp_options *o,
                        struct str *path)
{
    if (!expand_option(x, &o->socket, path)) {
        smtp_end_pending(
            d, ADDR_DEFER, ERRNO_UNKNOWNERROR, 0,
            str_fmt(x->pool,
                    "Expansion of \"%.*s\" (socket setting for %.*s transport) failed: %.*s",
                    STR_ARG(o->socket.text), STR_ARG(d->transport->name), STR_ARG(x->error)));
        return false;
    }
    if (path->tainted) {
        smtp_end_pending(d, ADDR_DEFER, ERRNO_TAINT, 0,
                         str_fmt(x->pool,
                                 "Tainted '%.*s' (socket setting for %.*s transport) not permitted",
                                 STR_ARG(*path), STR_ARG(d->transport->name)));
        return false;
    }
    return true;
}

static void talk(struct ectx *x, struct delivery *d, const struct lmtp_options *o, struct str path)
{
    const struct core_settings *core = core_settings(x->conf);
    struct host *host = POOL_NEW(d->pool, struct host);
    struct smtp_options so = {.size_addition = -1,
                              .command_timeout = o->timeout,
                              .data_timeout = o->timeout,
                              .final_timeout = o->timeout,
                              .lmtp = true,
                              .lmtp_ignore_quota = o->ignore_quota};
    *host = (struct host){.name = path, .address = path, .mx = MX_NONE, .port = PORT_NONE};
    struct smtp_client_opts co = {.conf = x->conf,
                                  .host = host,
                                  .helo = core->primary_hostname,
                                  .connect_timeout = o->timeout,
                                  .command_timeout = o->timeout,
                                  .data_timeout = o->timeout,
                                  .final_timeout = o->timeout,
                                  .lmtp = true,
                                  .avoid_chunking = true};
    struct smtp_client *c;
    struct smtp_reply r;
    struct str error;
    enum smtp_status st = smtp_client_open(d->pool, &co, &c, &r, &error);
    int e = errno;
    if (st != SMTP_OK) {
        bool connecting = r.code == 0;
        smtp_end_pending(
            d, st == SMTP_PERM ? ADDR_FAIL : ADDR_DEFER, connecting ? e : 0, 0,
            connecting ? str_fmt(x->pool, "Failed to connect to socket %.*s for %.*s transport: %s",
                                 STR_ARG(path), STR_ARG(d->transport->name), strerror(e))
                       : error);
        return;
    }
    d->host = host;
    smtp_transaction(x, d, &so, c);
    smtp_client_close(&c, !d->connection_broken);
    d->host = NULL;
    for (struct address *a = d->addrs; a; a = a->next) {
        a->host_used = NULL;
        a->outcome = a->outcome == ADDR_PENDING ? ADDR_DEFER : a->outcome;
    }
}

static void deliver(struct ectx *x, struct delivery *d)
{
    const struct lmtp_options *o = d->transport->opts;
    struct str path;
    for (struct address *a = d->addrs; a; a = a->next) {
        a->outcome = ADDR_PENDING;
    }
    if (socket_path(x, d, o, &path)) {
        talk(x, d, o, path);
    }
}

static bool init(struct opt_reader *r, struct transport *t)
{
    const struct lmtp_options *o = t->opts;
    t->batch_id = o->batch_id;
    t->batch_max = o->batch_max;
    if (str_unset(o->socket.text)) {
        return opt_error(
            r, "one (and only one) of command or socket must be set for the %.*s transport",
            STR_ARG(t->name));
    }
    return true;
}

const struct transport_driver lmtp_transport = {
    .name = "lmtp",
    .local = true,
    .opts_size = sizeof(struct lmtp_options),
    .options = rows,
    .init = init,
    .deliver = deliver,
};

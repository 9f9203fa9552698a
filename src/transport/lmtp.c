/*
 * The lmtp transport: LMTP (RFC 2033) over a Unix socket or with a command. One conversation for a
 * batch of recipients, each with a reply of its own; the smtp transport's transaction does the
 * talking.
 *
 * The socket is connected, or the command run, with the rights of the delivering user. What fails
 * is deferred with the reason; nothing is retried here.
 */
#include "transport/internal.h"
#include "transport/smtp.h"

#include <errno.h>

struct lmtp_options {
    struct etext socket, batch_id;
    struct str command;
    struct etext *args; /* of the command; the last has no text */
    int batch_max, timeout;
    bool ignore_quota;
};

#define O(field) offsetof(struct lmtp_options, field)

static const struct option rows[] = {
    {"batch_id", OPT_EXPAND, O(batch_id), NULL, "deliveries whose expansions agree share a batch",
     NULL, NULL},
    {"batch_max", OPT_INT, O(batch_max), "1", "addresses in one delivery at most", NULL, NULL},
    {"command", OPT_STRING, O(command), NULL, "a command that talks LMTP, its arguments expanded",
     NULL, NULL},
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

static bool end(struct delivery *d, int why, struct str text)
{
    smtp_end_pending(d, ADDR_DEFER, why, 0, text);
    return false;
}

/* Connects to the socket; *fd is the connection. False after ending the addresses. */
static bool open_socket(struct ectx *x, struct delivery *d, const struct lmtp_options *o, int *fd,
                        struct str *name)
{
    if (!socket_path(x, d, o, name)) {
        return false;
    }
    *fd = hand_connect(x->pool, *name, d->uid, d->gid);
    int e = errno;
    return *fd >= 0 ||
           end(d, e,
               str_fmt(x->pool, "Failed to connect to socket %.*s for %.*s transport: %s",
                       STR_ARG(*name), STR_ARG(d->transport->name), strerror(e)));
}

/* The expanded command; NULL after ending the addresses. */
static const char *const *make_command(struct ectx *x, struct delivery *d,
                                       const struct lmtp_options *o)
{
    size_t n = 0;
    while (!str_unset(o->args[n].text)) {
        n++;
    }
    const char **argv = pool_calloc(x->pool, n + 1, sizeof *argv);
    for (size_t i = 0; i < n; i++) {
        struct str s;
        if (!expand_option(x, &o->args[i], &s)) {
            end(d, ERRNO_EXPANDFAIL,
                str_fmt(x->pool,
                        "Expansion of \"%.*s\" from command \"%.*s\" in %.*s transport failed: "
                        "%.*s",
                        STR_ARG(o->args[i].text), STR_ARG(o->command), STR_ARG(d->transport->name),
                        STR_ARG(x->error)));
            return NULL;
        }
        if (s.tainted) {
            end(d, ERRNO_UNKNOWNERROR,
                str_fmt(x->pool, "Tainted arg %zu for %.*s transport command: '%.*s'", i,
                        STR_ARG(d->transport->name), STR_ARG(s)));
            return NULL;
        }
        argv[i] = str_cstr(x->pool, s);
    }
    return argv;
}

/* Starts the command; *fd is its input and output, *pid is to be waited for unless 0. */
static bool open_command(struct ectx *x, struct delivery *d, const struct lmtp_options *o, int *fd,
                         int *pid)
{
    struct hand_command c = {.uid = d->uid, .gid = d->gid};
    c.cwd = d->cwd;
    if (!(c.argv = make_command(x, d, o))) {
        return false;
    }
    *fd = hand_talk(x->pool, &c, pid);
    int e = errno;
    return *fd >= 0 || end(d, e,
                           str_fmt(x->pool, "Failed to create child process for %.*s transport: %s",
                                   STR_ARG(d->transport->name), strerror(e)));
}

/* The conversation over a connection, which is closed. */
static void talk(struct ectx *x, struct delivery *d, const struct lmtp_options *o, int fd,
                 struct str name)
{
    struct host *host = POOL_NEW(d->pool, struct host), *saved = d->host;
    struct smtp_options so = {.size_addition = -1,
                              .command_timeout = o->timeout,
                              .data_timeout = o->timeout,
                              .final_timeout = o->timeout,
                              .lmtp = true,
                              .lmtp_ignore_quota = o->ignore_quota};
    struct smtp_client_opts co = {.conf = x->conf,
                                  .host = host,
                                  .helo = core_settings(x->conf)->primary_hostname,
                                  .connected = true,
                                  .fd = fd,
                                  .command_timeout = o->timeout,
                                  .data_timeout = o->timeout,
                                  .final_timeout = o->timeout,
                                  .lmtp = true,
                                  .avoid_chunking = true};
    struct smtp_client *c;
    struct smtp_reply r;
    struct str error;
    *host = (struct host){.name = name, .address = name, .mx = MX_NONE, .port = PORT_NONE};
    enum smtp_status st = smtp_client_open(d->pool, &co, &c, &r, &error);
    if (st != SMTP_OK) {
        smtp_end_pending(d, st == SMTP_PERM ? ADDR_FAIL : ADDR_DEFER, 0, 0, error);
        return;
    }
    d->host = host;
    smtp_transaction(x, d, &so, c);
    smtp_client_close(&c, !d->connection_broken);
    d->host = saved;
    for (struct address *a = d->addrs; a; a = a->next) {
        a->host_used = NULL;
        a->outcome = a->outcome == ADDR_PENDING ? ADDR_DEFER : a->outcome;
    }
}

static void deliver(struct ectx *x, struct delivery *d)
{
    const struct lmtp_options *o = d->transport->opts;
    struct str name = o->command;
    int fd = -1, pid = 0, status;
    for (struct address *a = d->addrs; a; a = a->next) {
        a->outcome = ADDR_PENDING;
    }
    bool ok =
        str_unset(o->command) ? open_socket(x, d, o, &fd, &name) : open_command(x, d, o, &fd, &pid);
    if (ok) {
        talk(x, d, o, fd, name);
    }
    if (pid > 0) {
        struct child c = {pid, -1, -1};
        child_wait(&c, o->timeout * 1000, &status);
    }
}

static bool compile_command(struct opt_reader *r, struct lmtp_options *o)
{
    struct strvec words = {.pool = r->pool};
    struct str error;
    r->option = "command";
    if (!command_split(r->pool, o->command, &words, &error)) {
        return opt_error(r, "command \"%.*s\": %.*s", STR_ARG(o->command), STR_ARG(error));
    }
    o->args = pool_calloc(r->pool, words.n + 1, sizeof *o->args);
    for (size_t i = 0; i < words.n; i++) {
        o->args[i].text = words.v[i];
        if (str_any_in(words.v[i], "$\\") && !(o->args[i].tree = r->compile(r, words.v[i]))) {
            return false;
        }
    }
    return words.n > 0 || opt_error(r, "command is empty");
}

static bool init(struct opt_reader *r, struct transport *t)
{
    struct lmtp_options *o = t->opts;
    t->batch_id = o->batch_id;
    t->batch_max = o->batch_max;
    if (str_unset(o->socket.text) == str_unset(o->command)) {
        return opt_error(r,
                         "one (and only one) of command or socket must be set for the %.*s "
                         "transport",
                         STR_ARG(t->name));
    }
    return str_unset(o->command) || compile_command(r, o);
}

const struct transport_driver lmtp_transport = {
    .name = "lmtp",
    .local = true,
    .opts_size = sizeof(struct lmtp_options),
    .options = rows,
    .init = init,
    .deliver = deliver,
};

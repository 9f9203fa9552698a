/*
 * ${readsocket{name}{request}{options}{eol}{fail}}: sends a request to a Unix or TCP server and takes
 * all it answers.
 *
 * The options are a list: the timeout (5s), then shutdown=no, which leaves our direction open.
 * Without the fifth argument a failure is one of the expansion.
 */
#include "expand/internal.h"

#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_ANSWER = 16 << 20, DEFAULT_TIMEOUT = 5 };

struct request {
    struct str name, text, eol;
    int timeout; /* seconds */
    bool shutdown;
};

static bool parse_options(struct ectx *x, struct str list, struct request *r)
{
    struct str item;
    int sep = 0;
    if (str_empty(list) || !list_next(x->pool, &list, &sep, &item)) {
        return true;
    }
    int64_t t = time_interval(item);
    if (!str_empty(item)) {
        if (t < 0) {
            return eval_fail(x, "bad time value %.*s", STR_ARG(item));
        }
        r->timeout = (int)t;
    }
    while (list_next(x->pool, &list, &sep, &item)) {
        if (str_isi(item, "shutdown=no")) {
            r->shutdown = false;
        } else if (str_isi(item, "tls=yes") || str_isi(item, "cache=yes")) {
            return eval_fail(
                x, "option \"%.*s\" of readsocket is not supported by this version of minim",
                STR_ARG(item));
        }
    }
    return true;
}

static int port_number(struct ectx *x, struct str s)
{
    uint64_t n;
    if (str_to_u64(s, 10, &n) && n > 0 && n < 65536) {
        return (int)n;
    }
    const struct servent *e = getservbyname(str_cstr(x->pool, s), "tcp");
    return e ? (e->s_port >> 8 & 0xff) | (e->s_port & 0xff) << 8 : -1;
}

/* inet:host:port, the host perhaps in brackets. */
static bool split_inet(struct str s, struct str *host, struct str *port)
{
    s = str_from(s, 5);
    ptrdiff_t colon = str_rchr(s, ':');
    if (colon <= 0) {
        return false;
    }
    *host = str_sub(s, 0, (size_t)colon);
    *port = str_from(s, (size_t)colon + 1);
    if (str_starts(*host, "[") && host->p[host->len - 1] == ']') {
        *host = str_sub(*host, 1, host->len - 2u);
    }
    return true;
}

static int connect_inet(struct ectx *x, const struct request *r)
{
    struct str host, port, error;
    int number, fd = -1;
    if (!split_inet(r->name, &host, &port) || (number = port_number(x, port)) < 0) {
        eval_fail(x, "missing or unknown port number in %.*s", STR_ARG(r->name));
        return -1;
    }
    struct host h = {.name = host, .port = PORT_NONE, .mx = MX_NONE};
    struct ip ip;
    if (ip_parse(host, &ip)) {
        h.address = host;
    } else {
        enum host_find f = net_find_addresses(x->conf, x->pool, &h, true, 0, &error);
        if (f != HF_FOUND && f != HF_FOUND_LOCAL) {
            eval_fail(x, "no IP address found for host %.*s", STR_ARG(host));
            return -1;
        }
    }
    for (const struct host *each = &h; each && fd < 0; each = each->next) {
        fd = net_connect(STR_NONE, each->address, number, r->timeout, 0);
    }
    if (fd < 0) {
        eval_fail(x, "failed to connect to any address for %.*s: %s", STR_ARG(host),
                  strerror(errno));
    }
    return fd;
}

static int connect_server(struct ectx *x, const struct request *r)
{
    if (r->name.tainted) {
        lookup_file_ok(x, r->name);
        eval_fail(x, "NULL"); /* Exim's log says no more */
        return -1;
    }
    if (str_startsi(r->name, "inet:")) {
        return connect_inet(x, r);
    }
    int fd = -1;
    errno = ENOENT;
    if (str_starts(r->name, "/")) {
        fd = net_connect(STR_NONE, r->name, 0, r->timeout, 0);
    }
    if (fd < 0) {
        eval_fail(x, "failed to connect to socket %.*s: %s", STR_ARG(r->name), strerror(errno));
    }
    return fd;
}

static bool talk(struct ectx *x, const struct request *r, int fd, struct str *out)
{
    struct buf b;
    const char *p;
    size_t n;
    struct stream *s = stream_new(x->pool, fd, fd);
    buf_init(&b, x->pool, MAX_ANSWER);
    stream_timeout(s, r->timeout);
    bool ok = stream_puts(s, r->text) && stream_flush(s);
    if (!ok) {
        eval_fail(x, "request write to socket failed: %s", strerror(stream_error(s)));
    }
    if (ok && r->shutdown) {
        shutdown(fd, SHUT_WR);
    }
    while (ok && stream_peek(s, &p, &n)) {
        buf_add(&b, p, n);
        stream_consume(s, n);
    }
    if (ok && stream_error(s) == ETIMEDOUT) {
        ok = eval_fail(x, "socket read timed out");
    }
    stream_close(&s);
    *out = replace_newlines(x->pool, buf_str(&b), r->eol);
    return ok;
}

ITEM_ROW(readsocket)
{
    struct str a[4] = {STR_NONE, STR_NONE, STR_NONE, STR_NONE};
    struct request r = {.timeout = DEFAULT_TIMEOUT, .shutdown = true};
    (void)found;
    for (size_t i = 0; i < n && i < ARRAY_LEN(a); i++) {
        if (!expand_arg(x, args[i], &a[i])) {
            return false;
        }
    }
    r.name = a[0];
    r.text = a[1];
    r.eol = a[3];
    if (!parse_options(x, a[2], &r)) {
        return false;
    }
    int fd = connect_server(x, &r);
    if (fd >= 0 && talk(x, &r, fd, out)) {
        return true;
    }
    return n > 4 && expand_arg(x, args[4], out);
}

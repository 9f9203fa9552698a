/*
 * HTTP as far as OCSP responders need it (http.h; RFC 9112): one POST by HTTP/1.0, which spares us
 * chunks and kept connections, and up to three redirections. Everything that comes back is bounded
 * in length and time.
 */
#include "tls/http.h"

#include <errno.h>

enum {
    MOST_REDIRECTS = 3,
    CONNECT_SECONDS = 10,
    WHOLE_MS = 60000,
    MOST_LINE = 4096,
    MOST_HEADERS = 100
};

bool http_url(struct pool *pool, struct str text, struct http_url *out)
{
    if (!str_startsi(text, "http://")) {
        return false;
    }
    struct str rest = str_from(text, 7);
    ptrdiff_t slash = str_chr(rest, '/');
    struct str where = slash < 0 ? rest : str_sub(rest, 0, (size_t)slash);
    ptrdiff_t colon = str_rchr(where, ':');
    uint64_t port = 80;
    *out = (struct http_url){text, where, 80, slash < 0 ? STR("/") : str_from(rest, (size_t)slash)};
    if (str_starts(where, "[")) {
        ptrdiff_t end = str_chr(where, ']');
        colon = end >= 0 && colon > end ? colon : -1;
        out->host = end < 0 ? STR("") : str_sub(where, 1, (size_t)end - 1);
    } else if (colon >= 0) {
        out->host = str_sub(where, 0, (size_t)colon);
    }
    if (colon >= 0 && !str_to_u64(str_from(where, (size_t)colon + 1), 10, &port)) {
        return false;
    }
    out->port = (int)port;
    for (uint32_t i = 0; i < text.len; i++) {
        if (text.p[i] <= ' ' || text.p[i] == 0x7f) {
            return false;
        }
    }
    out->host = str_lower(pool, out->host);
    return !str_empty(out->host) && port > 0 && port < 65536;
}

/* One exchange in progress. */
struct exchange {
    const struct config *conf;
    struct pool *pool;
    struct stream *s;
    int64_t until;
    struct str *error;
};

static bool fail(struct exchange *x, struct str why)
{
    *x->error = why;
    return false;
}

static bool connect_to(struct exchange *x, const struct http_url *url)
{
    struct host h = {.name = url->host, .port = url->port};
    struct str why;
    enum host_find found = net_find_addresses(x->conf, x->pool, &h, true, 0, &why);
    if (found != HF_FOUND && found != HF_FOUND_LOCAL) {
        return fail(x, STR_CAT(x->pool, STR("no address of "), url->host));
    }
    int e = 0;
    for (struct host *each = &h; each; each = each->next) {
        int fd = net_connect(STR_NONE, each->address, url->port, CONNECT_SECONDS, 0);
        if (fd >= 0) {
            x->s = stream_new(x->pool, fd, fd);
            return true;
        }
        e = errno;
    }
    return fail(x, str_fmt(x->pool, "no connection to %.*s: %s", STR_ARG(url->host), strerror(e)));
}

/* The next byte, within what is left of the time. */
static int get(struct exchange *x)
{
    int64_t left = x->until - time_monotonic_ms();
    if (left <= 0) {
        return STREAM_ERROR;
    }
    stream_timeout(x->s, (int)(left / 1000) + 1);
    return stream_getc(x->s);
}

static bool read_line(struct exchange *x, struct str *line)
{
    struct buf b;
    int c;
    buf_init(&b, x->pool, MOST_LINE);
    b.tainted = true;
    while ((c = get(x)) >= 0 && c != '\n') {
        if (!buf_addc(&b, (char)c)) {
            return fail(x, STR("a line of the answer is too long"));
        }
    }
    *line = str_rtrim(buf_str(&b));
    return c == '\n' || fail(x, c == STREAM_EOF ? STR("the answer ended in its head")
                                                : STR("no answer in time"));
}

/* What the head of an answer says. */
struct head {
    int status;
    int64_t length; /* -1: to the end */
    struct str location;
};

static bool read_head(struct exchange *x, struct head *h)
{
    struct str line;
    uint64_t n;
    *h = (struct head){.length = -1};
    if (!read_line(x, &line)) {
        return false;
    }
    if (!str_starts(line, "HTTP/1.") || !str_to_u64(str_sub(line, 9, 3), 10, &n)) {
        return fail(x, STR("the answer is not HTTP"));
    }
    h->status = (int)n;
    for (int i = 0; i < MOST_HEADERS; i++) {
        if (!read_line(x, &line)) {
            return false;
        }
        if (str_empty(line)) {
            return true;
        }
        if (str_startsi(line, "location:")) {
            h->location = str_trim(str_from(line, 9));
        } else if (str_startsi(line, "content-length:") &&
                   str_to_u64(str_trim(str_from(line, 15)), 10, &n)) {
            h->length = n > INT32_MAX ? INT32_MAX : (int64_t)n;
        }
    }
    return fail(x, STR("the answer has too many header lines"));
}

static bool read_body(struct exchange *x, const struct head *h, size_t most, struct str *body)
{
    struct buf b;
    int c = STREAM_EOF;
    buf_init(&b, x->pool, most);
    b.tainted = true;
    while ((h->length < 0 || (int64_t)b.len < h->length) && (c = get(x)) >= 0) {
        if (!buf_addc(&b, (char)c)) {
            return fail(x, STR("the answer is too long"));
        }
    }
    *body = buf_str(&b);
    if (c == STREAM_ERROR) {
        return fail(x, STR("no whole answer in time"));
    }
    return h->length < 0 || (int64_t)b.len == h->length || fail(x, STR("the answer is cut short"));
}

static bool read_answer(struct exchange *x, size_t most, struct str *answer, struct str *again)
{
    struct head h;
    *again = STR_NONE;
    if (!read_head(x, &h)) {
        return false;
    }
    if ((h.status == 301 || h.status == 302 || h.status == 307 || h.status == 308) &&
        !str_empty(h.location)) {
        *again = h.location;
        return true;
    }
    return h.status == 200 ? read_body(x, &h, most, answer)
                           : fail(x, str_fmt(x->pool, "HTTP status %d", h.status));
}

static bool send_request(struct exchange *x, const struct http_request *r,
                         const struct http_url *url)
{
    struct str head =
        str_fmt(x->pool,
                "POST %.*s HTTP/1.0\r\nHost: %.*s\r\nContent-Type: %.*s\r\n"
                "Content-Length: %u\r\nConnection: close\r\n\r\n",
                STR_ARG(url->path), STR_ARG(url->host), STR_ARG(r->type), (unsigned)r->body.len);
    stream_timeout(x->s, CONNECT_SECONDS);
    return (stream_puts(x->s, head) && stream_puts(x->s, r->body) && stream_flush(x->s)) ||
           fail(x, str_fmt(x->pool, "sending failed: %s", strerror(stream_error(x->s))));
}

/* One exchange; *again is set to where a redirection leads. */
static bool exchange(struct exchange *x, const struct http_request *r, const struct http_url *url,
                     struct str *answer, struct str *again)
{
    if (r->allowed && !r->allowed(r->closure, url->host)) {
        return fail(x, STR_CAT(x->pool, STR("not to be asked: "), url->host));
    }
    if (!connect_to(x, url)) {
        return false;
    }
    bool ok = send_request(x, r, url) && read_answer(x, r->most, answer, again);
    stream_close(&x->s);
    return ok;
}

bool http_answer(struct pool *pool, struct stream *s, size_t most, struct str *answer,
                 struct str *again, struct str *error)
{
    struct exchange x = {NULL, pool, s, time_monotonic_ms() + WHOLE_MS, error};
    return read_answer(&x, most, answer, again);
}

bool http_post(const struct config *conf, struct pool *pool, const struct http_request *request,
               struct str *answer, struct str *error)
{
    struct exchange x = {conf, pool, NULL, time_monotonic_ms() + WHOLE_MS, error};
    struct http_url url = request->url;
    for (int i = 0; i <= MOST_REDIRECTS; i++) {
        struct str again = STR_NONE;
        if (!exchange(&x, request, &url, answer, &again)) {
            return false;
        }
        if (str_unset(again)) {
            return true;
        }
        if (!http_url(pool, again, &url)) {
            *error = STR("redirected to what is no http URL");
            return false;
        }
    }
    *error = STR("redirected too often");
    return false;
}

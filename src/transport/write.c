/*
 * What a transport writes: the header block with everything that router and transport change about
 * it, then the body.
 *
 * Nothing of the message is changed; the block is made afresh for each delivery, in the delivery's
 * pool.
 */
#include "transport/internal.h"

#include <errno.h>
#include <unistd.h>

enum { CHUNK = 65536, HEADERS_MAX = 64 * 1024 * 1024 };

void transport_end_all(struct delivery *d, enum outcome outcome, int basic_errno,
                       struct str message)
{
    for (struct address *a = d->addrs; a; a = a->next) {
        a->outcome = outcome;
        a->basic_errno = basic_errno;
        a->message = message;
    }
}

unsigned transport_flags(const struct transport *t)
{
    return (t->return_path_add ? (unsigned)TW_RETURN_PATH : 0u) |
           (t->envelope_to_add ? (unsigned)TW_ENVELOPE_TO : 0u) |
           (t->delivery_date_add ? (unsigned)TW_DELIVERY_DATE : 0u) |
           (t->body_only ? (unsigned)TW_NO_HEADERS : 0u) |
           (t->headers_only ? (unsigned)TW_NO_BODY : 0u);
}

struct str transport_rcpt(struct pool *pool, struct address *a, bool affixes)
{
    a->shown_affixes = affixes;
    if (affixes || (str_empty(a->prefix) && str_empty(a->suffix))) {
        return a->address;
    }
    ptrdiff_t at = mailbox_at(a->address);
    struct str lp = at < 0 ? a->address : str_sub(a->address, 0, (size_t)at);
    struct str domain = at < 0 ? STR("") : str_from(a->address, (size_t)at);
    uint32_t cut = a->prefix.len + a->suffix.len;
    if (str_starts(lp, "\"")) {
        lp = a->cc_local_part;
        lp = mail_quote_local_part(pool, str_sub(lp, a->prefix.len, lp.len - cut));
    } else {
        lp = str_sub(lp, a->prefix.len, lp.len > cut ? lp.len - cut : 0);
    }
    return STR_CAT(pool, lp, domain);
}

/* ---- headers that are left out ---- */

/* Whether a pattern of headers_remove (a name, or the beginning of one and *) names the header. */
static bool names_header(struct str pattern, struct str name)
{
    if (str_ends(pattern, STR("*"))) {
        pattern.len--;
        return str_eqi(str_sub(name, 0, pattern.len), pattern);
    }
    return str_eqi(pattern, name);
}

static bool is_removed(const struct strvec *names, const struct header *h)
{
    struct str name = names->n ? header_name(h) : STR_NONE;
    for (size_t i = 0; i < names->n; i++) {
        if (names_header(names->v[i], name)) {
            return true;
        }
    }
    return false;
}

/* The address's and the transport's names together; false with x->error. */
static bool removed_names(struct ectx *x, const struct delivery *d, struct strvec *names)
{
    const struct transport *t = d->transport;
    const struct address *a = d->addrs;
    struct str s, item;
    *names = (struct strvec){.pool = x->pool};
    for (size_t i = 0; i < a->remove_headers.n; i++) {
        strvec_push(names, a->remove_headers.v[i]);
    }
    for (size_t i = 0; i < t->headers_remove.n; i++) {
        int sep = 0;
        if (!expand_option(x, &t->headers_remove.v[i], &s)) {
            if (x->forced_fail) {
                continue;
            }
            return false;
        }
        while (net_list_next(x->pool, &s, &sep, &item)) {
            if (!str_empty(item)) {
                strvec_push(names, item);
            }
        }
    }
    return true;
}

/* ---- headers that are added ---- */

static const struct address *top_parent(const struct address *a)
{
    while (a->parent) {
        a = a->parent;
    }
    return a;
}

/* The envelope recipients that led to this delivery, each once. */
static void add_envelope_to(struct buf *b, const struct delivery *d, struct pool *pool)
{
    struct strvec seen = {.pool = pool};
    buf_addz(b, "Envelope-to: ");
    for (const struct address *a = d->addrs; a; a = a->next) {
        struct str text = top_parent(a)->address;
        if (!strvec_has(&seen, text)) {
            buf_addz(b, seen.n ? ",\n " : "");
            buf_adds(b, text);
            strvec_push(&seen, text);
        }
    }
    buf_addc(b, '\n');
}

static void add_own(struct buf *b, const struct delivery *d, unsigned flags, struct pool *pool)
{
    if (flags & TW_RETURN_PATH) {
        buf_addz(b, "Return-path: <");
        buf_adds(b, d->return_path);
        buf_addz(b, ">\n");
    }
    if (flags & TW_ENVELOPE_TO) {
        add_envelope_to(b, d, pool);
    }
    if (flags & TW_DELIVERY_DATE) {
        buf_addz(b, "Delivery-date: ");
        buf_adds(b, time_rfc5322(pool, time(NULL), false));
        buf_addc(b, '\n');
    }
}

/* The transport's headers_add; false with x->error. */
static bool add_transport_headers(struct ectx *x, const struct transport *t, struct buf *b)
{
    struct str s;
    for (size_t i = 0; i < t->headers_add.n; i++) {
        if (!expand_option(x, &t->headers_add.v[i], &s)) {
            if (x->forced_fail) {
                continue;
            }
            return false;
        }
        s = str_rtrim(s);
        if (!str_empty(s)) {
            buf_adds(b, s);
            buf_addc(b, '\n');
        }
    }
    return true;
}

static void add_message_headers(struct ectx *x, const struct delivery *d,
                                const struct strvec *removed, struct buf *b)
{
    const struct rewrite_rule *rules = d->transport->headers_rewrite;
    for (const struct header *h = d->msg->headers; h; h = h->next) {
        if (h->type == '*' || is_removed(removed, h)) {
            continue;
        }
        const struct header *now = rules ? rewrite_header(x, rules, h) : NULL;
        buf_adds(b, now ? now->text : h->text);
    }
}

bool transport_headers(struct ectx *x, const struct delivery *d, unsigned flags, struct str *out)
{
    struct strvec removed;
    struct buf b;
    if (!removed_names(x, d, &removed)) {
        return false;
    }
    buf_init(&b, x->pool, HEADERS_MAX);
    add_own(&b, d, flags, x->pool);
    add_message_headers(x, d, &removed, &b);
    buf_adds(&b, d->addrs->extra_headers);
    if (!add_transport_headers(x, d->transport, &b)) {
        return false;
    }
    *out = buf_str(&b);
    return true;
}

/* ---- line-wise changes ---- */

static bool pass(struct line_filter *f, const char *p, size_t n)
{
    f->written += (int64_t)n;
    return n == 0 || f->put(f->closure, p, n);
}

/* One piece within a line; `starts` says that it begins one, `ends` that its last byte is LF. */
static bool put_piece(struct line_filter *f, const char *p, size_t n, bool ends)
{
    if (!f->inside && f->check.len && n >= f->check.len &&
        memcmp(p, f->check.p, f->check.len) == 0) {
        if (!pass(f, f->escape.p, f->escape.len)) {
            return false;
        }
        p += f->check.len;
        n -= f->check.len;
    }
    f->inside = !ends;
    if (!ends || !f->crlf) {
        return pass(f, p, n);
    }
    return pass(f, p, n - 1) && pass(f, "\r\n", 2);
}

bool line_filter_put(struct line_filter *f, const char *p, size_t n)
{
    if (!f->crlf && !f->check.len) {
        f->inside = n ? p[n - 1] != '\n' : f->inside;
        return pass(f, p, n);
    }
    while (n) {
        const char *nl = memchr(p, '\n', n);
        size_t len = nl ? (size_t)(nl - p) + 1 : n;
        if (!put_piece(f, p, len, nl != NULL)) {
            return false;
        }
        p += len;
        n -= len;
    }
    return true;
}

/* ---- a whole message through a writer ---- */

struct gather {
    struct transport_writer *w;
    char *p;
    size_t n;
};

static bool gather_flush(struct gather *g)
{
    size_t n = g->n;
    g->n = 0;
    return n == 0 || g->w->put(g->w->closure, g->p, n);
}

/* Small pieces are put together, so that a line is not a call. */
static bool gather_put(void *closure, const char *p, size_t n)
{
    struct gather *g = closure;
    if (n > CHUNK - g->n && !gather_flush(g)) {
        return false;
    }
    if (n >= CHUNK) {
        return g->w->put(g->w->closure, p, n);
    }
    memcpy(g->p + g->n, p, n);
    g->n += n;
    return true;
}

/* The body in pieces. A line never straddles two pieces' check_string: pieces end at line ends. */
static bool copy_body(struct message *m, struct pool *pool, struct line_filter *f)
{
    char *p = pool_alloc(pool, CHUNK); /* kept: what takes the pieces may allocate, too */
    int64_t at = 0;
    bool ok = true;
    for (;;) {
        ssize_t n = spool_body_read(m, at, p, CHUNK);
        if (n <= 0) {
            ok = n == 0;
            break;
        }
        const char *nl = n == CHUNK ? memrchr(p, '\n', (size_t)n) : NULL;
        size_t take = nl ? (size_t)(nl - p) + 1 : (size_t)n;
        if (!line_filter_put(f, p, take)) {
            ok = false;
            break;
        }
        at += (int64_t)take;
    }
    return ok;
}

/* What a transport filter made of the message, in place of the message. */
static bool copy_filtered(struct ectx *x, struct delivery *d, unsigned flags, struct line_filter *f)
{
    int fd;
    int64_t size, at = 0;
    if (!filter_message(x, d, flags, &fd, &size)) {
        return false;
    }
    char *p = pool_alloc(d->pool, CHUNK);
    bool ok = true;
    while (ok && at < size) {
        ssize_t n = pread(fd, p, CHUNK, at);
        ok = n > 0 && line_filter_put(f, p, (size_t)n);
        at += n;
    }
    int e = errno;
    close(fd);
    errno = e;
    return ok;
}

/* The message as it is: headers, changed as router and transport say, and body. */
static bool copy_message(struct ectx *x, struct delivery *d, unsigned flags, struct line_filter *f)
{
    struct str headers = STR("");
    if (!(flags & TW_NO_HEADERS)) {
        if (!transport_headers(x, d, flags, &headers)) {
            errno = EINVAL;
            return false;
        }
        if (!line_filter_put(f, headers.p, headers.len) || !line_filter_put(f, "\n", 1)) {
            return false;
        }
    }
    return flags & TW_NO_BODY || copy_body(d->msg, d->pool, f);
}

bool transport_write_message(struct ectx *x, struct delivery *d, struct transport_writer *w)
{
    struct gather g = {.w = w, .p = pool_alloc(d->pool, CHUNK)};
    struct line_filter f = {.crlf = w->flags & TW_CRLF, .put = gather_put, .closure = &g};
    bool filtered = d->transport->filter.n && !(w->flags & TW_UNFILTERED);
    if (w->flags & TW_DOTS) {
        f.check = STR(".");
        f.escape = STR("..");
    } else if (w->flags & TW_CHECK_STRING) {
        f.check = w->check_string;
        f.escape = w->escape_string;
    }
    if (!(filtered ? copy_filtered(x, d, w->flags, &f) : copy_message(x, d, w->flags, &f))) {
        return false;
    }
    if (f.inside && w->flags & (TW_FINAL_DOT | TW_DOTS) && !line_filter_put(&f, "\n", 1)) {
        return false; /* the dot must stand on a line of its own */
    }
    f.check = STR_NONE;
    if (w->flags & TW_FINAL_DOT && !line_filter_put(&f, ".\n", 2)) {
        return false;
    }
    w->written = f.written;
    return gather_flush(&g);
}

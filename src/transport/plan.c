/*
 * Plans and results of local deliveries: made by the worker, carried out by whoever has the rights.
 *
 * As bytes a plan is its facts, then each text with its length, then the vectors. Reading checks
 * every length, as the bytes come from another process.
 */
#include "transport/internal.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

enum { BODY_INLINE = 48 * 1024, PLAN_MAX = 512 * 1024 * 1024 };
static const uint32_t no_text = UINT32_MAX;

/* ---- bytes ---- */

static void put_text(struct buf *b, struct str s)
{
    uint32_t n = str_unset(s) ? no_text : s.len;
    buf_add(b, (const char *)&n, sizeof n);
    buf_add(b, s.p, s.len);
}

static void put_vector(struct buf *b, const struct strvec *v)
{
    uint32_t n = (uint32_t)v->n;
    buf_add(b, (const char *)&n, sizeof n);
    for (size_t i = 0; i < v->n; i++) {
        put_text(b, v->v[i]);
    }
}

static bool take(struct str *rest, void *out, size_t n)
{
    if (rest->len < n) {
        return false;
    }
    memcpy(out, rest->p, n);
    *rest = str_from(*rest, n);
    return true;
}

static bool take_text(struct str *rest, struct str *out)
{
    uint32_t n;
    *out = STR_NONE;
    if (!take(rest, &n, sizeof n)) {
        return false;
    }
    if (n == no_text) {
        return true;
    }
    if (n > rest->len) {
        return false;
    }
    *out = n ? str_sub(*rest, 0, n) : STR("");
    *rest = str_from(*rest, n);
    return true;
}

static bool take_vector(struct pool *pool, struct str *rest, struct strvec *v)
{
    uint32_t n;
    struct str s;
    *v = (struct strvec){.pool = pool};
    if (!take(rest, &n, sizeof n)) {
        return false;
    }
    while (n--) {
        if (!take_text(rest, &s)) {
            return false;
        }
        strvec_push(v, s);
    }
    return true;
}

struct str plan_encode(struct pool *pool, const struct plan *p)
{
    struct buf b;
    buf_init(&b, pool, PLAN_MAX);
    buf_add(&b, (const char *)&p->f, sizeof p->f);
    for (size_t i = 0; i < PLAN_TEXTS; i++) {
        put_text(&b, p->text[i]);
    }
    put_vector(&b, &p->argv);
    put_vector(&b, &p->env);
    return buf_str(&b);
}

bool plan_decode(struct pool *pool, struct str bytes, struct plan *p)
{
    *p = (struct plan){.fd = -1};
    if (!take(&bytes, &p->f, sizeof p->f)) {
        return false;
    }
    for (size_t i = 0; i < PLAN_TEXTS; i++) {
        if (!take_text(&bytes, &p->text[i])) {
            return false;
        }
    }
    return take_vector(pool, &bytes, &p->argv) && take_vector(pool, &bytes, &p->env);
}

struct str result_encode(struct pool *pool, const struct plan_result *r)
{
    struct buf b;
    buf_init(&b, pool, PLAN_MAX);
    buf_add(&b, (const char *)&r->f, sizeof r->f);
    for (size_t i = 0; i < RESULT_TEXTS; i++) {
        put_text(&b, r->text[i]);
    }
    return buf_str(&b);
}

bool result_decode(struct str bytes, struct plan_result *r)
{
    if (!take(&bytes, &r->f, sizeof r->f)) {
        return false;
    }
    for (size_t i = 0; i < RESULT_TEXTS; i++) {
        if (!take_text(&bytes, &r->text[i])) {
            return false;
        }
    }
    return true;
}

void result_set(struct plan_result *r, enum outcome outcome, int basic_errno, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    r->f.outcome = outcome;
    r->f.basic_errno = basic_errno;
    r->text[RT_MESSAGE] = str_vfmt(r->pool, fmt, ap);
    va_end(ap);
}

/* ---- making a plan ---- */

static bool append(void *closure, const char *p, size_t n)
{
    return buf_add(closure, p, n);
}

/* Short bodies travel in the plan, long ones as the open spool file. */
static bool plan_body(struct ectx *x, struct delivery *d, struct plan *p)
{
    struct message *m = d->msg;
    p->fd = -1;
    if (d->transport->filter.n) {
        p->f.body_in_fd = p->own_fd = true;
        return filter_message(x, d, transport_flags(d->transport), &p->fd, &p->f.body_size);
    }
    if (d->transport->headers_only) {
        p->text[PT_BODY] = STR("");
        return true;
    }
    if (m->body_size > BODY_INLINE) {
        p->f.body_in_fd = true;
        p->f.body_size = m->body_size;
        p->fd = spool_body_fd(m, &p->f.body_offset);
        return p->fd >= 0;
    }
    size_t room = m->body_size > 0 ? (size_t)m->body_size : 0;
    char *body = pool_alloc(d->pool, room + 1);
    size_t at = 0;
    while (at < room) {
        ssize_t n = spool_body_read(m, (int64_t)at, body + at, room - at);
        if (n < 0) {
            return false;
        }
        if (n == 0) {
            break;
        }
        at += (size_t)n;
    }
    p->text[PT_BODY] = str_n(body, at);
    p->f.body_size = (int64_t)at;
    return true;
}

void plan_identity(const struct delivery *d, struct plan *p)
{
    p->f.uid = d->uid;
    p->f.gid = d->gid;
    p->text[PT_CWD] = d->cwd;
    const struct transport *t = d->transport;
    bool wanted = t->user.set ? t->initgroups : t->initgroups || d->addrs->initgroups;
    const struct passwd *pw = wanted ? getpwuid(d->uid) : NULL;
    p->text[PT_LOGIN] = pw ? str_dup(d->pool, str_c(pw->pw_name)) : STR_NONE;
}

bool plan_begin(struct ectx *x, struct delivery *d, struct plan *p, struct str prefix,
                struct str suffix)
{
    struct str headers = STR("");
    struct buf lead;
    plan_identity(d, p);
    bool headers_here = !d->transport->body_only && d->transport->filter.n == 0;
    if (headers_here && !transport_headers(x, d, transport_flags(d->transport), &headers)) {
        transport_end_all(d, ADDR_DEFER, ERRNO_CHHEADER_FAIL,
                          str_fmt(x->pool, "failed to expand headers_add or headers_remove: %.*s",
                                  STR_ARG(x->error)));
        return false;
    }
    buf_init(&lead, d->pool, PLAN_MAX);
    struct line_filter f = {.check = p->text[PT_CHECK],
                            .escape = p->text[PT_ESCAPE],
                            .crlf = p->f.crlf,
                            .put = append,
                            .closure = &lead};
    buf_adds(&lead, prefix);
    line_filter_put(&f, headers.p, headers.len);
    if (headers_here) {
        line_filter_put(&f, "\n", 1);
    }
    p->text[PT_LEAD] = buf_str(&lead);
    p->text[PT_TAIL] = suffix;
    p->f.message_size = (int64_t)lead.len + d->msg->body_size + suffix.len;
    if (!plan_body(x, d, p)) {
        if (d->transport->filter.n) {
            return false;
        }
        transport_end_all(
            d, ADDR_DEFER, errno,
            str_fmt(x->pool, "failed to read the message's body: %s", strerror(errno)));
        return false;
    }
    return true;
}

void plan_apply(struct delivery *d, const struct plan_result *r)
{
    for (struct address *a = d->addrs; a; a = a->next) {
        a->outcome = r->f.outcome;
        a->basic_errno = r->f.basic_errno;
        a->more_errno = r->f.more_errno;
        a->message = r->text[RT_MESSAGE];
        a->file_used = r->text[RT_FILE];
        a->size_delivered = r->f.written;
        if (r->f.freeze) {
            a->special_action = STR("freeze");
        }
    }
}

/* ---- carrying it out ---- */

static bool copy_fd(const struct plan *p, struct line_filter *out)
{
    char chunk[32768];
    int64_t at = p->f.body_offset, end = at + p->f.body_size;
    while (at < end) {
        size_t want = end - at < (int64_t)sizeof chunk ? (size_t)(end - at) : sizeof chunk;
        ssize_t n = pread(p->fd, chunk, want, at);
        if (n <= 0) {
            errno = n ? errno : EIO;
            return false;
        }
        const char *nl = at + n < end ? memrchr(chunk, '\n', (size_t)n) : NULL;
        size_t take_now = nl ? (size_t)(nl - chunk) + 1 : (size_t)n;
        if (!line_filter_put(out, chunk, take_now)) {
            return false;
        }
        at += (int64_t)take_now;
    }
    return true;
}

bool plan_write_message(const struct plan *p, struct line_filter *out)
{
    struct str lead = p->text[PT_LEAD], body = p->text[PT_BODY], tail = p->text[PT_TAIL];
    if (lead.len && !out->put(out->closure, lead.p, lead.len)) {
        return false;
    }
    out->written += lead.len;
    out->check = p->text[PT_CHECK];
    out->escape = p->text[PT_ESCAPE];
    out->crlf = p->f.crlf;
    if (!(p->f.body_in_fd ? copy_fd(p, out) : line_filter_put(out, body.p, body.len))) {
        return false;
    }
    out->written += tail.len;
    return !tail.len || out->put(out->closure, tail.p, tail.len);
}

static bool count_only(void *closure, const char *p, size_t n)
{
    (void)closure;
    (void)p;
    (void)n;
    return true;
}

int64_t plan_exact_size(const struct plan *p)
{
    struct line_filter f = {.put = count_only};
    if (!p->f.crlf && str_empty(p->text[PT_CHECK])) {
        return p->f.message_size;
    }
    return plan_write_message(p, &f) ? f.written : p->f.message_size;
}

void plan_run(struct pool *pool, const struct plan *p, struct plan_result *r)
{
    *r = (struct plan_result){.pool = pool};
    r->f.outcome = ADDR_DEFER;
    r->f.size_before = r->f.size_after = -1;
    switch (p->f.kind) {
    case PLAN_MBOX: mbox_run(p, r); break;
    case PLAN_MAILDIR: maildir_run(p, r); break;
    case PLAN_DIRECTORY: directory_run(p, r); break;
    case PLAN_MAILSTORE: mailstore_run(p, r); break;
    case PLAN_PIPE: pipe_run(p, r); break;
    case PLAN_ONCE: once_run(p, r); break;
    case PLAN_LOG: append_line_run(p, r); break;
    case PLAN_ENTER: r->f.outcome = ADDR_OK; break;
    }
}

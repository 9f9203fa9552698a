/*
 * Writing a message of our own: bounces, delay warnings, notices. It goes through the same spool
 * writer as any other, gets a Received line, an id and a "<=" log line, and is handed to delivery
 * when the attempt that made it has ended.
 */
#include "queue/internal.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

static struct str login_name(struct pool *pool, uint32_t uid)
{
    const struct passwd *p = getpwuid(uid);
    return p ? str_dup(pool, str_c(p->pw_name)) : str_fmt(pool, "%u", uid);
}

/* The envelope and facts of a message that this process submits. */
static void set_facts(struct report *r)
{
    struct job *j = r->j;
    struct message *m = &r->m;
    struct session *s = POOL_NEW(r->pool, struct session);
    s->pool = r->pool;
    s->local = true;
    s->ident = login_name(r->pool, geteuid());
    s->caller_login = s->ident;
    s->protocol = STR("local");
    *m = (struct message){.pool = r->pool, .sender = STR(""), .sender_set = true};
    m->acl_m.pool = m->acl_c.pool = m->delivered.pool = r->pool;
    m->session_facts = s;
    m->received_protocol = STR("local");
    m->local = m->local_error_message = true;
    m->originator_login = s->ident;
    m->originator_uid = geteuid();
    m->originator_gid = getegid();
    m->auth_sender = j->set->bounce_sender_authentication;
}

bool report_begin(struct report *r, struct job *j, struct str to)
{
    *r = (struct report){.j = j, .pool = j->pool, .to = to};
    set_facts(r);
    r->w = spool_begin(j->conf, &r->m);
    if (!r->w) {
        log_msg(LOG_MAIN | LOG_PANIC, j->m, "failed to create a report to %.*s: %s", STR_ARG(to),
                strerror(errno));
        return false;
    }
    r->boundary = str_fmt(r->pool, "%lld-eximdsn-%d", (long long)time(NULL), rand());
    return true;
}

void report_recipients(struct report *r, struct str list)
{
    struct str item;
    while (str_next(&list, ',', &item)) {
        item = str_trim(item);
        if (!str_empty(item)) {
            message_add_recipient(&r->m, mail_qualify(r->pool, r->j->conf, item, true));
        }
    }
}

void report_header(struct report *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str text = str_vfmt(r->pool, fmt, ap);
    va_end(ap);
    message_add_header(&r->m, header_type(text, false), text);
}

/* Header lines from a template, one or several with continuations. */
void report_headers(struct report *r, struct str text)
{
    while (text.len) {
        uint32_t end = 0;
        do {
            ptrdiff_t nl = str_chr(str_from(text, end), '\n');
            end = nl < 0 ? text.len : end + (uint32_t)nl + 1;
        } while (end < text.len && (text.p[end] == ' ' || text.p[end] == '\t'));
        struct str line = str_rtrim(str_sub(text, 0, end));
        if (line.len) {
            report_header(r, "%.*s\n", STR_ARG(line));
        }
        text = str_from(text, end);
    }
}

void report_put(struct report *r, struct str text)
{
    struct message *m = &r->m;
    uint32_t start = 0;
    for (uint32_t i = 0; i < text.len; i++) {
        if (text.p[i] == '\n') {
            m->body_lines++;
            if ((int)(i - start) > m->max_line) {
                m->max_line = (int)(i - start);
            }
            start = i + 1;
        }
    }
    m->body_size += text.len;
    r->failed |= !spool_write(r->w, text.p, text.len);
}

void report_printf(struct report *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str text = str_vfmt(r->pool, fmt, ap);
    va_end(ap);
    report_put(r, text);
}

void report_part(struct report *r, const char *type)
{
    report_printf(r, "--%.*s\nContent-type: %s\n\n", STR_ARG(r->boundary), type);
}

/* From: by dsn_from, or as it is by default. */
void report_from(struct report *r)
{
    struct ectx x = r->j->x;
    struct str from;
    if (expand_option(&x, &r->j->set->dsn_from, &from)) {
        report_header(r, "From: %.*s\n", STR_ARG(from));
        return;
    }
    log_msg(LOG_MAIN | LOG_PANIC, r->j->m, "Failed to expand dsn_from (using default): %.*s",
            STR_ARG(x.error));
    report_header(r, "From: Mail Delivery System <Mailer-Daemon@%.*s>\n",
                  STR_ARG(core_settings(r->j->conf)->qualify_domain));
}

struct str report_message_id(struct pool *pool, const struct message *m)
{
    struct str text = STR_NONE;
    for (const struct header *h = m->headers; h; h = h->next) {
        if (h->type == 'I') {
            text = str_trim(header_body(h));
        }
    }
    return text.p ? text : str_fmt(pool, "<E%.*s>", STR_ARG(m->id));
}

/* References: the message's own id behind those it refers to itself. */
void report_references(struct report *r)
{
    struct message *m = r->j->m;
    const struct header *h = header_find(m, STR("References"));
    if (!h) {
        h = header_find(m, STR("In-Reply-To"));
    }
    struct str id = report_message_id(r->pool, m);
    if (h) {
        struct str old = str_trim(header_body(h));
        report_header(r, "References: %.*s %.*s\n", STR_ARG(old), STR_ARG(id));
    } else {
        report_header(r, "References: %.*s\n", STR_ARG(id));
    }
}

/* Puts the Received line, as received_header_text makes it, in front of all headers. */
static void add_received(struct report *r)
{
    const struct etext *option =
        queue_foreign_field(r->j->conf, "received_header_text", OPT_EXPAND);
    struct ectx x;
    struct str text = STR_NONE;
    ectx_init(&x, r->j->conf, r->pool);
    x.msg = &r->m;
    x.sess = r->m.session_facts;
    r->m.making_received = true;
    if (!option || !expand_option(&x, option, &text) || str_empty(text)) {
        return;
    }
    r->m.making_received = false;
    struct str date = time_rfc5322(r->pool, r->m.received.tv_sec, false);
    struct header *h = POOL_NEW(r->pool, struct header);
    h->type = 'P';
    h->text = STR_CAT(r->pool, text, STR(";\n\t"), date, STR("\n"));
    h->next = r->m.headers;
    r->m.headers = h;
    r->m.received_count = 1;
}

static void log_arrival(struct report *r)
{
    const struct message *m = &r->m;
    struct buf b;
    buf_init(&b, r->pool, 16384);
    buf_addf(&b, "<= <> R=%.*s U=%.*s P=local S=%lld", STR_ARG(r->j->m->id),
             STR_ARG(m->session_facts->ident), (long long)m->size);
    if (log_wants(LS_8bitmime)) {
        buf_addz(&b, " M8S=0");
    }
    if (log_wants(LS_receive_time)) {
        struct str t =
            time_used(r->pool, m->received, m->received_complete, log_wants(LS_millisec));
        buf_addf(&b, " RT=%.*s", STR_ARG(t));
    }
    if (log_wants(LS_msg_id_created)) {
        struct str id = report_message_id(r->pool, m);
        buf_addf(&b, " id*=%.*s", (int)id.len - 2, id.p + 1);
    }
    if (log_wants(LS_subject)) {
        const struct header *h = header_find(m, STR("Subject"));
        struct str subject = h ? str_trim(header_body(h)) : STR("");
        if (h) {
            buf_addf(&b, " T=\"%.*s\"", STR_ARG(subject));
        }
    }
    if (log_wants(LS_received_sender)) {
        buf_addz(&b, " from <>");
    }
    if (log_wants(LS_received_recipients)) {
        buf_addz(&b, " for");
        for (size_t i = 0; i < m->recipient_count; i++) {
            buf_addf(&b, " %.*s", STR_ARG(m->recipients[i].address));
        }
    }
    struct str line = buf_str(&b);
    log_msg(LOG_MAIN, m, "%.*s", STR_ARG(line));
}

bool report_end(struct report *r)
{
    struct job *j = r->j;
    struct message *m = &r->m;
    report_header(r, "Message-Id: <E%.*s@%.*s>\n", STR_ARG(m->id),
                  STR_ARG(core_settings(j->conf)->primary_hostname));
    struct str date = time_rfc5322(r->pool, m->received.tv_sec, false);
    report_header(r, "Date: %.*s\n", STR_ARG(date));
    add_received(r);
    m->size = m->body_size + 1;
    m->line_count = m->body_lines;
    for (const struct header *h = m->headers; h; h = h->next) {
        m->size += h->text.len;
        m->line_count++;
    }
    spool_msglog(m, "Received from <> R=%.*s U=%.*s P=local S=%lld", STR_ARG(j->m->id),
                 STR_ARG(m->session_facts->ident), (long long)m->size);
    if (r->failed || m->recipient_count == 0) {
        spool_abort(&r->w);
    } else if (spool_commit(&r->w, m)) {
        log_arrival(r);
        struct str *id = POOL_NEW(j->pool, struct str);
        *id = str_dup(j->pool, m->id);
        vec_push(&j->bounces, id);
        return true;
    }
    log_msg(LOG_MAIN | LOG_PANIC, j->m, "failed to write a report to %.*s: %s", STR_ARG(r->to),
            strerror(errno));
    return false;
}

bool report_submit(void *owner, struct str to, struct str headers, struct str body)
{
    struct report r;
    const struct job *j = owner;
    const struct delivery *d = j->x.dlv;
    if (!report_begin(&r, owner, to)) {
        return false;
    }
    if (d && d->transport->local) { /* the delivery's user writes the message */
        struct session *s = r.m.session_facts;
        r.m.originator_uid = d->uid;
        r.m.originator_gid = d->gid;
        r.m.originator_login = s->ident = s->caller_login = login_name(r.pool, d->uid);
    }
    report_recipients(&r, to);
    report_headers(&r, headers);
    report_put(&r, body);
    return report_end(&r);
}

/* ---- parts that several reports have ---- */

/* The next text of a template file, expanded; unset if there is none or it is empty. */
static struct str template_item(struct report *r, struct str *rest)
{
    struct str text = *rest, value;
    ptrdiff_t end = str_starts(text, "****\n") ? 0 : str_find(text, STR("\n****\n"));
    if (end < 0) {
        *rest = STR("");
    } else {
        *rest = str_from(text, (size_t)end + (end || !str_starts(text, "****\n") ? 6 : 5));
        text = str_sub(text, 0, end ? (size_t)end + 1 : 0);
    }
    if (str_empty(text)) {
        return STR_NONE;
    }
    struct ectx x = r->j->x;
    if (!expand_text(&x, text, &value)) {
        log_msg(LOG_MAIN | LOG_PANIC, r->j->m, "Failed to expand string from message file: %.*s",
                STR_ARG(x.error));
        return STR_NONE;
    }
    return value;
}

void report_template(struct report *r, const struct etext *option, const char *name,
                     struct str *items, size_t n)
{
    struct ectx x = r->j->x;
    struct str path, text;
    for (size_t i = 0; i < n; i++) {
        items[i] = STR_NONE;
    }
    if (str_empty(option->text)) {
        return;
    }
    if (!expand_option(&x, option, &path) || str_empty(path)) {
        log_msg(LOG_MAIN | LOG_PANIC, r->j->m, "Failed to expand %s: %.*s", name, STR_ARG(x.error));
        return;
    }
    if (file_read(r->pool, path, 1024 * 1024, &text) < 0) {
        log_msg(LOG_MAIN | LOG_PANIC, r->j->m, "Failed to open %.*s for %s message texts: %s",
                STR_ARG(path), name, strerror(errno));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        items[i] = template_item(r, &text);
    }
}

/* The original message: return path, headers, an optional note, and the body unless left out. */
void report_original(struct report *r, bool with_body, bool limited)
{
    struct message *m = r->j->m;
    char chunk[8192];
    report_part(r, with_body ? "message/rfc822" : "text/rfc822-headers");
    report_printf(r, "Return-path: <%.*s>\n", STR_ARG(m->sender));
    for (const struct header *h = m->headers; h; h = h->next) {
        if (h->type != '*') {
            report_put(r, h->text);
        }
    }
    if (limited) {
        report_put(r, STR("X-Exim-DSN-Information: Due to administrative limits only headers are "
                          "returned\n"));
    }
    report_put(r, STR("\n"));
    for (int64_t at = 0; with_body;) {
        ssize_t n = spool_body_read(m, at, chunk, sizeof chunk);
        if (n <= 0) {
            break;
        }
        report_put(r, str_n(chunk, (size_t)n));
        at += n;
    }
    report_printf(r, "\n--%.*s--\n", STR_ARG(r->boundary));
}

/*
 * The autoreply transport: answers a message with one of our own. The reply goes through the spool
 * like any message, from <>; its recipients may be limited to one reply each (once).
 * A failure to write it fails or defers the address with the reason.
 */
#include "transport/internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MAX = 16 * 1024 * 1024, REPLY_MAX = 128 * 1024 * 1024 };

struct opts {
    struct etext bcc, cc, file, from, headers, log, never_mail, once, once_repeat, reply_to,
        subject, text, to;
    int mode;
    int once_file_size;
    bool file_expand, file_optional, return_message;
};

#define O(field) offsetof(struct opts, field)

static const struct option options[] = {
    {"bcc", OPT_EXPAND, O(bcc), NULL, "recipients that no header names", NULL, NULL},
    {"cc", OPT_EXPAND, O(cc), NULL, "recipients, and the Cc: header", NULL, NULL},
    {"file", OPT_EXPAND, O(file), NULL, "file with the text, behind `text`", NULL, NULL},
    {"file_expand", OPT_BOOL, O(file_expand), "false", "each line of the file is expanded", NULL,
     NULL},
    {"file_optional", OPT_BOOL, O(file_optional), "false", "the file need not exist", NULL, NULL},
    {"from", OPT_EXPAND, O(from), NULL, "the From: header", NULL, NULL},
    {"headers", OPT_EXPAND, O(headers), NULL, "more headers", NULL, NULL},
    {"log", OPT_EXPAND, O(log), NULL, "file that notes what was sent", NULL, NULL},
    {"mode", OPT_OCT, O(mode), "0600", "mode of the log and once files", NULL, NULL},
    {"never_mail", OPT_ADDRESSES, O(never_mail), NULL, "addresses that get no reply", NULL, NULL},
    {"once", OPT_EXPAND, O(once), NULL, "file that notes who had a reply", NULL, NULL},
    {"once_file_size", OPT_INT, O(once_file_size), "0", "largest size of that file; 0: any", NULL,
     NULL},
    {"once_repeat", OPT_EXPAND, O(once_repeat), "0s",
     "time after which another reply is sent; 0s: never", NULL, NULL},
    {"reply_to", OPT_EXPAND, O(reply_to), NULL, "the Reply-To: header", NULL, NULL},
    {"return_message", OPT_BOOL, O(return_message), "false", "the message is sent back as well",
     NULL, NULL},
    {"subject", OPT_EXPAND, O(subject), NULL, "the Subject: header", NULL, NULL},
    {"text", OPT_EXPAND, O(text), NULL, "the text", NULL, NULL},
    {"to", OPT_EXPAND, O(to), NULL, "recipients, and the To: header", NULL, NULL},
    {0},
};

/* The options' values for one reply. */
struct reply {
    struct ectx *x;
    struct delivery *d;
    const struct opts *o;
    struct str from, reply_to, to, cc, bcc, subject, headers, text, file, log, once;
    int64_t once_repeat;
};

static bool end(struct reply *y, enum outcome outcome, int why, struct str text)
{
    transport_end_all(y->d, outcome, why, text);
    return false;
}

/* The first byte of a header that may not be in one, or -1: newlines need white space behind them. */
static int unprintable(struct str s)
{
    for (uint32_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\n' && i + 1 < s.len && isspace((unsigned char)s.p[i + 1])) {
            continue;
        }
        if ((c < ' ' && c != '\t') || c == 127) {
            return c;
        }
    }
    return -1;
}

static bool value(struct reply *y, const struct etext *e, bool header, struct str *out)
{
    struct ectx *x = y->x;
    *out = STR_NONE;
    if (str_unset(e->text)) {
        return true;
    }
    if (!expand_option(x, e, out)) {
        return end(y, ADDR_FAIL, 0,
                   str_fmt(x->pool, "Expansion of \"%.*s\" failed in %.*s transport: %.*s",
                           STR_ARG(e->text), STR_ARG(y->d->transport->name), STR_ARG(x->error)));
    }
    int bad = header ? unprintable(*out) : -1;
    if (bad >= 0) {
        return end(y, ADDR_FAIL, 0,
                   str_fmt(x->pool,
                           "Expansion of \"%.*s\" in %.*s transport contains non-printing "
                           "character %d",
                           STR_ARG(e->text), STR_ARG(y->d->transport->name), bad));
    }
    return true;
}

static bool values(struct reply *y)
{
    const struct opts *o = y->o;
    struct str repeat;
    if (!value(y, &o->from, true, &y->from) || !value(y, &o->reply_to, true, &y->reply_to) ||
        !value(y, &o->to, true, &y->to) || !value(y, &o->cc, true, &y->cc) ||
        !value(y, &o->bcc, true, &y->bcc) || !value(y, &o->subject, true, &y->subject) ||
        !value(y, &o->headers, false, &y->headers) || !value(y, &o->text, false, &y->text) ||
        !value(y, &o->file, false, &y->file) || !value(y, &o->log, false, &y->log) ||
        !value(y, &o->once, false, &y->once) || !value(y, &o->once_repeat, false, &repeat)) {
        return false;
    }
    y->once_repeat = str_empty(str_trim(repeat)) ? 0 : time_interval(str_trim(repeat));
    if (y->once_repeat < 0) {
        return end(y, ADDR_FAIL, 0,
                   str_fmt(y->x->pool,
                           "Invalid time value \"%.*s\" for \"once_repeat\" in %.*s "
                           "transport",
                           STR_ARG(repeat), STR_ARG(y->d->transport->name)));
    }
    return true;
}

/* ---- recipients ---- */

struct picked {
    struct reply *y;
    struct buf all;  /* addresses, separated by commas */
    struct buf text; /* the same for one header */
};

static bool pick(void *closure, const struct mailbox *m)
{
    struct picked *k = closure;
    struct reply *y = k->y;
    struct str a = m->text;
    if (str_empty(a)) {
        return true;
    }
    struct str full = mail_qualify(y->x->pool, y->x->conf, a, true);
    if (!str_unset(y->o->never_mail.text) &&
        match_address(y->x, &y->o->never_mail, full, true, NULL) == MATCH_YES) {
        return true;
    }
    buf_addz(&k->all, k->all.len ? "," : "");
    buf_adds(&k->all, full);
    buf_addz(&k->text, k->text.len ? ", " : "");
    buf_adds(&k->text, a);
    return true;
}

/* Takes never_mail's addresses off a header, which becomes unset if none is left. */
static void take_recipients(struct picked *k, struct str *header)
{
    struct str error;
    size_t before = k->all.len;
    if (str_unset(*header)) {
        return;
    }
    buf_init(&k->text, k->y->x->pool, REPLY_MAX);
    mailbox_each(k->y->x->pool, *header, mailbox_flags(k->y->x->conf), pick, k, &error);
    if (!str_unset(k->y->o->never_mail.text)) {
        *header = buf_str(&k->text);
    }
    if (k->all.len == before) {
        *header = STR_NONE;
    }
}

/* ---- the files ---- */

static bool run_file_plan(struct reply *y, struct plan *p, struct plan_result *r)
{
    p->f.uid = y->d->uid;
    p->f.gid = y->d->gid;
    p->f.mode = y->o->mode;
    p->f.now = (int64_t)time(NULL);
    p->fd = -1;
    plan_execute(y->x, y->d, p, r);
    return r->f.outcome == ADDR_OK;
}

static bool untainted(struct reply *y, struct str path, const char *what)
{
    return !path.tainted ||
           end(y, ADDR_DEFER, ERRNO_UNKNOWNERROR,
               str_fmt(y->x->pool, "Tainted '%.*s' (%s file for %.*s transport) not permitted",
                       STR_ARG(path), what, STR_ARG(y->d->transport->name)));
}

/* Asks (or notes) whether the recipient had a reply; false: it had, or it cannot be said. */
static bool once(struct reply *y, bool note)
{
    struct plan p = {.f.kind = PLAN_ONCE};
    struct plan_result r;
    if (str_empty(y->once) || str_empty(y->to)) {
        return true;
    }
    if (!untainted(y, y->once, "once")) {
        return false;
    }
    p.text[PT_PATH] = y->once;
    p.text[PT_NAME] = y->to;
    p.f.once_note = note;
    p.f.once_repeat = y->once_repeat;
    p.f.once_size = y->o->once_file_size;
    bool ok = run_file_plan(y, &p, &r);
    if (r.f.outcome == ADDR_DISCARD) {
        transport_end_all(y->d, ADDR_OK, 0, STR_NONE); /* nothing to do is no failure */
    } else if (!ok) {
        plan_apply(y->d, &r);
    }
    return ok;
}

static struct str log_field(struct pool *pool, const char *name, struct str s)
{
    return str_unset(s) ? STR("") : STR_CAT(pool, STR("  "), str_c(name), s, STR("\n"));
}

static void write_log(struct reply *y, bool sent)
{
    struct pool *pool = y->x->pool;
    struct plan p = {.f.kind = PLAN_LOG};
    struct plan_result r;
    if (str_empty(y->log) || y->log.tainted) {
        return;
    }
    p.text[PT_PATH] = y->log;
    struct str when = time_log(pool, time_now(), false, false, false);
    p.text[PT_LEAD] =
        sent ? STR_CAT(pool, when, STR("\n"), log_field(pool, "From: ", y->from),
                       log_field(pool, "To: ", y->to), log_field(pool, "Cc: ", y->cc),
                       log_field(pool, "Bcc: ", y->bcc), log_field(pool, "Subject: ", y->subject))
             : STR_CAT(pool, when, STR("\n"), log_field(pool, "previously sent to ", y->to));
    if (!run_file_plan(y, &p, &r)) {
        log_msg(LOG_MAIN, y->d->msg, "%.*s", STR_ARG(r.text[RT_MESSAGE]));
    }
}

static bool read_all(struct pool *pool, int fd, struct str *out)
{
    struct buf b;
    char chunk[8192];
    ssize_t n;
    buf_init(&b, pool, FILE_MAX);
    while ((n = read(fd, chunk, sizeof chunk)) > 0 && buf_add(&b, chunk, (size_t)n)) {
    }
    *out = buf_str(&b);
    return n == 0;
}

/* The text of `file`, expanded line by line if so asked. False: the addresses are ended. */
static bool file_text(struct reply *y, struct str *out)
{
    struct pool *pool = y->x->pool;
    struct str data, line;
    struct buf b;
    *out = STR("");
    if (str_empty(y->file)) {
        return true;
    }
    if (!untainted(y, y->file, "text")) {
        return false;
    }
    int fd = hand_open(pool, y->file, y->d->uid, y->d->gid);
    bool read = fd >= 0 && read_all(pool, fd, &data);
    if (fd < 0) {
        return y->o->file_optional ||
               end(y, ADDR_DEFER, errno,
                   str_fmt(pool,
                           "Failed to open file %.*s when sending message from %.*s "
                           "transport: %s",
                           STR_ARG(y->file), STR_ARG(y->d->transport->name), strerror(errno)));
    }
    close(fd);
    if (!read) {
        return end(y, ADDR_DEFER, EIO, STR("Failed to read file when sending message"));
    }
    *out = data;
    if (!y->o->file_expand) {
        return true;
    }
    buf_init(&b, pool, REPLY_MAX);
    while (str_next(&data, '\n', &line)) {
        struct str s = line;
        if (!expand_text(y->x, line, &s)) {
            log_msg(LOG_MAIN | LOG_PANIC, y->d->msg,
                    "error while expanding line from file %.*s:\n  %.*s\n  %.*s", STR_ARG(y->file),
                    STR_ARG(line), STR_ARG(y->x->error));
            s = line;
        }
        buf_adds(&b, s);
        buf_addc(&b, '\n');
    }
    *out = buf_str(&b);
    return true;
}

/* ---- the message ---- */

static void put(struct buf *b, const char *name, struct str s)
{
    if (!str_empty(s)) {
        buf_addz(b, name);
        buf_adds(b, s);
        buf_addc(b, '\n');
    }
}

/* In-Reply-To and References, from the message's own (RFC 5322 3.6.4). */
static void put_references(struct buf *b, const struct message *m)
{
    const struct header *id = header_find(m, STR("Message-ID"));
    const struct header *refs = header_find(m, STR("References"));
    if (!refs) {
        refs = header_find(m, STR("In-Reply-To"));
    }
    struct str own = id ? str_trim(header_body(id)) : STR("");
    put(b, "In-Reply-To: ", own);
    if (refs || id) {
        buf_addz(b, "References:");
        if (refs) {
            buf_addc(b, ' ');
            buf_adds(b, str_trim(header_body(refs)));
        }
        if (id) {
            buf_addc(b, ' ');
            buf_adds(b, own);
        }
        buf_addc(b, '\n');
    }
}

static struct str reply_headers(struct reply *y)
{
    struct buf b;
    struct pool *pool = y->x->pool;
    buf_init(&b, pool, REPLY_MAX);
    struct str from = y->from;
    if (str_empty(from)) {
        const struct address *a = y->d->addrs;
        from = STR_CAT(pool, a->local_part, STR("@"), a->domain);
    }
    put(&b, "From: ", from);
    put(&b, "Reply-To: ", y->reply_to);
    put(&b, "To: ", y->to);
    put(&b, "Cc: ", y->cc);
    put(&b, "Subject: ", y->subject);
    put_references(&b, y->d->msg);
    buf_addz(&b, "Auto-Submitted: auto-replied\n");
    put(&b, "", str_rtrim(y->headers));
    return buf_str(&b);
}

static bool gather(void *closure, const char *p, size_t n)
{
    return buf_add(closure, p, n);
}

static struct str reply_body(struct reply *y, struct str file)
{
    struct buf b;
    buf_init(&b, y->x->pool, REPLY_MAX);
    if (!str_empty(y->text)) {
        buf_adds(&b, y->text);
        buf_addz(&b, str_ends(y->text, STR("\n")) ? "" : "\n");
    }
    buf_adds(&b, file);
    if (file.len && !str_ends(file, STR("\n"))) {
        buf_addc(&b, '\n');
    }
    if (y->o->return_message) {
        struct transport_writer w = {
            .flags = transport_flags(y->d->transport), .put = gather, .closure = &b};
        buf_addz(&b, "\n------ This is a copy of the message, including all the headers.\n\n");
        transport_write_message(y->x, y->d, &w);
    }
    return buf_str(&b);
}

static void deliver(struct ectx *x, struct delivery *d)
{
    struct reply y = {.x = x, .d = d, .o = d->transport->opts};
    struct picked k = {.y = &y};
    struct str file;
    if (!values(&y)) {
        return;
    }
    buf_init(&k.all, x->pool, REPLY_MAX);
    take_recipients(&k, &y.to);
    take_recipients(&k, &y.cc);
    take_recipients(&k, &y.bcc);
    transport_end_all(d, ADDR_OK, 0, STR_NONE);
    if (k.all.len == 0) {
        return; /* nobody to tell, such as the sender of a bounce */
    }
    if (!once(&y, false)) {
        if (d->addrs->outcome == ADDR_OK) {
            write_log(&y, false);
        }
        return;
    }
    if (!file_text(&y, &file)) {
        return;
    }
    if (!d->hooks || !d->hooks->submit ||
        !d->hooks->submit(d->owner, buf_str(&k.all), reply_headers(&y), reply_body(&y, file))) {
        end(&y, ADDR_DEFER, ERRNO_UNKNOWNERROR, STR("Failed to send message"));
        return;
    }
    if (once(&y, true)) {
        write_log(&y, true);
    }
}

void transport_send_warning(struct ectx *x, const struct delivery *d, struct str text)
{
    struct picked k = {0};
    struct reply y = {.x = x, .o = d->transport->opts};
    static const struct opts no_options;
    struct buf headers;
    struct str line, rest = text, to = STR_NONE;
    bool has_from = false;
    ptrdiff_t gap = str_find(text, STR("\n\n"));
    struct str block = gap < 0 ? text : str_sub(text, 0, (size_t)gap + 1);
    struct str body = gap < 0 ? STR("") : str_from(text, (size_t)gap + 2);
    rest = block;
    buf_init(&headers, x->pool, REPLY_MAX);
    buf_addz(&headers, "Auto-Submitted: auto-replied\n");
    while (str_next(&rest, '\n', &line)) {
        if (str_startsi(line, "To:")) {
            to = str_trim(str_from(line, 3));
        }
        has_from |= str_startsi(line, "From:");
        buf_adds(&headers, line);
        buf_addc(&headers, '\n');
    }
    if (!has_from) {
        put(&headers, "From: Mail Delivery System <mailer-daemon@",
            STR_CAT(x->pool, core_settings(x->conf)->qualify_domain, STR(">")));
    }
    y.o = &no_options;
    k.y = &y;
    buf_init(&k.all, x->pool, REPLY_MAX);
    take_recipients(&k, &to);
    if (k.all.len && d->hooks && d->hooks->submit) {
        struct delivery *now = x->dlv;
        x->dlv = NULL; /* the program warns, not the owner of the mailbox */
        d->hooks->submit(d->owner, buf_str(&k.all), buf_str(&headers), body);
        x->dlv = now;
    }
}

const struct transport_driver autoreply_transport = {
    .name = "autoreply",
    .local = true,
    .opts_size = sizeof(struct opts),
    .options = options,
    .deliver = deliver,
};

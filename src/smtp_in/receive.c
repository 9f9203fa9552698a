/*
 * Receiving a message, whoever sends it: header lines are collected as they come, the body goes
 * straight to the spool, both are measured. The caller feeds text with LF line ends (data.c makes
 * it), has the header lines put right, runs its ACL, and commits or aborts.
 *
 * Everything lives in the message's pool. After a failed write reading goes on to the end of the
 * message, nothing is kept, and the caller answers.
 */
#include "smtp_in/internal.h"

#include <errno.h>

bool receive_begin(struct receiver *r, struct ectx *x, bool smtp)
{
    const struct smtp_in_settings *set = smtp_in_settings(x->conf);
    bool extract = r->extract;
    int64_t limit = r->size_limit;
    *r = (struct receiver){.conf = x->conf,
                           .set = set,
                           .x = x,
                           .sess = x->sess,
                           .msg = x->msg,
                           .smtp = smtp,
                           .extract = extract,
                           .size_limit = limit,
                           .last_lf = true};
    size_t cap = set->header_maxsize > 0 ? (size_t)set->header_maxsize + 1 : (1 << 20);
    buf_init(&r->header, x->msg->pool, cap);
    buf_init(&r->line, x->msg->pool, cap);
    r->spool = spool_begin(x->conf, x->msg);
    if (!r->spool) {
        return false;
    }
    r->msg->spool_writer = r->spool;
    /* Our own Received: line comes first; it is written once the message is complete. */
    r->received = message_add_header(x->msg, '*', STR(""));
    return true;
}

/* ---- headers ---- */

/* Without continuation lines at the end that hold nothing but blanks. */
static struct str without_blank_lines(struct str text)
{
    for (;;) {
        uint32_t n = text.len > 0 ? text.len - 1u : 0;
        while (n > 0 && (text.p[n - 1] == ' ' || text.p[n - 1] == '\t')) {
            n--;
        }
        if (n == 0 || text.p[n - 1] != '\n') {
            return text;
        }
        text.len = n;
    }
}

static void finish_header(struct receiver *r)
{
    if (!r->header.len) {
        return;
    }
    struct str text = without_blank_lines(str_taint(buf_str(&r->header)));
    message_add_header(r->msg, header_type(text, false), text);
    if (str_startsi(text, "resent-")) {
        r->resent = true;
    }
    buf_cut(&r->header, 0);
}

static bool put_body(struct receiver *r, const char *p, size_t n);

/* The sender that a "From " line names, if whoever hands the message in may name one. */
static void take_from_line(struct receiver *r)
{
    struct str sender, error;
    struct mailbox m;
    if (r->sender_forced && !r->from_line_seen) {
        return;
    }
    if (!expand_option(r->x, &r->set->uucp_from_sender, &sender)) {
        log_write(LOG_MAIN | LOG_PANIC,
                  "expansion of \"%.*s\" failed after matching \"From \" line: %.*s",
                  STR_ARG(r->set->uucp_from_sender.text), STR_ARG(r->x->error));
        return;
    }
    if (str_empty(str_trim(sender)) ||
        !mailbox_parse(r->msg->pool, sender, mailbox_flags(r->conf) | MBX_NULL, &m, &error)) {
        return;
    }
    struct str full = str_empty(m.text) || !str_empty(m.domain)
                          ? m.text
                          : mail_qualify(r->msg->pool, r->conf, m.text, false);
    if (r->trusted || caller_may_send_as(r->x, full)) {
        r->msg->sender_set_untrusted = !r->trusted;
        r->msg->sender = r->msg->raw_sender = full;
        r->msg->local = r->msg->local && !r->trusted;
        r->sender_forced = r->from_line_seen = true;
    }
}

/* A "From " line of a mailbox file at the top: it may name the sender, and is not a header. */
static bool is_from_line(struct receiver *r, struct str line)
{
    if (!r->from_lines || r->header.len || r->msg->headers != r->received || r->received->next ||
        str_empty(r->set->uucp_from_pattern)) {
        return false;
    }
    struct scope *outer = r->x->scope;
    bool is = match_regex(r->x, r->set->uucp_from_pattern, line, false, true) == MATCH_YES;
    if (is) {
        take_from_line(r);
    }
    r->x->scope = outer;
    return is;
}

/* One complete line of the header section, with its LF. */
static bool header_line(struct receiver *r, struct str line)
{
    bool first = !r->first_line_done;
    uint32_t n;
    if (is_from_line(r, line)) {
        return true;
    }
    r->first_line_done = true;
    if (line.len == 1) {
        finish_header(r);
        r->in_body = true;
        return true;
    }
    if (!first && r->header.len && (line.p[0] == ' ' || line.p[0] == '\t')) {
        /* A line of blanks alone would look like the end of the headers to some: it is dropped. */
        r->header_too_big |= !str_empty(str_trim(line)) && !buf_adds(&r->header, line);
        return true;
    }
    finish_header(r);
    if (header_name_ok(line, &n)) {
        r->header_too_big |= !buf_adds(&r->header, line);
        return true;
    }
    /* Not a header line: the body begins without an empty line before it. */
    r->in_body = true;
    return put_body(r, line.p, line.len);
}

/* Gathers a line of the header section; NUL bytes are dropped. Takes up to and with LF. */
static size_t put_header(struct receiver *r, const char *p, size_t n)
{
    const char *lf = memchr(p, '\n', n);
    size_t take = lf ? (size_t)(lf - p) + 1 : n;
    r->header_bytes += (int64_t)take;
    if (r->set->header_maxsize > 0 && r->header_bytes > r->set->header_maxsize) {
        r->header_too_big = true;
    }
    if (r->header_too_big || r->header_line_too_big || r->header_lf) {
        return take; /* read on, keep nothing */
    }
    for (size_t i = 0; i < take; i++) {
        if (p[i]) {
            buf_addc(&r->line, p[i]);
        }
    }
    bool goes_on = r->line.len && (r->line.p[0] == ' ' || r->line.p[0] == '\t');
    size_t whole = r->line.len + (goes_on ? r->header.len : 0);
    if (r->set->header_line_maxsize > 0 && whole > (size_t)r->set->header_line_maxsize) {
        r->header_line_too_big = true;
    }
    if (lf) {
        struct str line = buf_str(&r->line);
        if ((int)line.len - 1 > r->msg->max_line) {
            r->msg->max_line = (int)line.len - 1;
        }
        r->msg->line_count++;
        header_line(r, line);
        buf_cut(&r->line, 0);
        r->header_lf = r->reader && r->reader->lf_alone;
    }
    return take;
}

/* ---- body ---- */

/* Counts lines, NUL bytes and the longest line. */
static void measure(struct receiver *r, const char *p, size_t n)
{
    struct message *m = r->msg;
    for (const char *z = p; (z = memchr(z, 0, n - (size_t)(z - p))); z++) {
        m->body_zerocount++;
    }
    while (n) {
        const char *lf = memchr(p, '\n', n);
        size_t part = lf ? (size_t)(lf - p) : n;
        r->line_len += (int)part;
        if (!lf) {
            return;
        }
        if (r->line_len > m->max_line) {
            m->max_line = r->line_len;
        }
        m->body_lines++;
        r->line_len = 0;
        p += part + 1;
        n -= part + 1;
    }
}

static bool put_body(struct receiver *r, const char *p, size_t n)
{
    struct message *m = r->msg;
    measure(r, p, n);
    m->body_size += (int64_t)n;
    if (r->size_limit > 0 && r->header_bytes + m->body_size > r->size_limit) {
        r->too_big = true;
    }
    if (r->too_big || r->write_failed) {
        return true;
    }
    if (!spool_write(r->spool, p, n)) {
        r->write_failed = true;
        r->write_errno = errno;
    }
    return true;
}

bool receive_put(void *closure, const char *p, size_t n)
{
    struct receiver *r = closure;
    if (n) {
        r->last_lf = p[n - 1] == '\n';
    }
    while (n && !r->in_body) {
        size_t took = put_header(r, p, n);
        p += took;
        n -= took;
    }
    return !n || put_body(r, p, n);
}

void receive_end_input(struct receiver *r)
{
    if (!r->last_lf) {
        receive_put(r, "\n", 1);
    }
    finish_header(r);
    r->in_body = true;
    r->msg->line_count += r->msg->body_lines;
}

/* ---- header lines from ACLs ---- */

/* Where a new header line goes: the place to link it in. */
static struct header **place_of(struct message *m, char place)
{
    struct header **at = &m->headers;
    if (place == 't') {
        return at;
    }
    if (place == 'r') {
        while (*at && (*at)->type != 'P') {
            at = &(*at)->next;
        }
        while (*at && (*at)->type == 'P') {
            at = &(*at)->next;
        }
        return at;
    }
    if (place == 'f' && *at) {
        at = &(*at)->next; /* whatever stands first goes on doing so */
        while (*at && ((*at)->type == 'P' || str_startsi((*at)->text, "resent-"))) {
            at = &(*at)->next;
        }
        return at;
    }
    while (*at) {
        at = &(*at)->next;
    }
    return at;
}

void receive_acl_headers(struct receiver *r)
{
    struct message *m = r->msg;
    struct acl_message *note = acl_note(m);
    for (size_t i = 0; i < note->removed.n; i++) {
        for (struct header *h = m->headers; h; h = h->next) {
            if (h->type != '*' && str_eqi(header_name(h), note->removed.v[i])) {
                h->type = '*';
            }
        }
    }
    note->removed.n = 0;
    for (struct header *a = note->added, *next; a; a = next) {
        next = a->next;
        struct header **at = place_of(m, a->type);
        a->type = header_type(a->text, false);
        a->next = *at;
        *at = a;
    }
    note->added = NULL;
    m->headers_last = NULL;
}

/* ---- the end ---- */

bool receive_make_received(struct receiver *r, struct str *text)
{
    struct ectx *x = r->x;
    r->msg->making_received = true;
    bool ok = expand_option(x, &r->set->received_header_text, text);
    r->msg->making_received = false;
    if (!ok && !x->forced_fail) {
        log_msg(LOG_MAIN | LOG_PANIC, r->msg,
                "Expansion of \"%.*s\" (received_header_text) failed: %.*s",
                STR_ARG(r->set->received_header_text.text), STR_ARG(x->error));
    }
    return ok;
}

/* Fills our Received: line in: the expanded option, and the date. False if it cannot be made. */
static bool set_received(struct receiver *r)
{
    struct pool *pool = r->msg->pool;
    struct str text;
    struct str date = time_rfc5322(pool, time(NULL), false);
    if (!receive_make_received(r, &text)) {
        if (!r->x->forced_fail) {
            return false;
        }
        r->received->text = STR_CAT(pool, STR("Received: ; "), date, STR("\n"));
        r->received->type = 'P';
    } else if (!str_empty(text)) {
        r->received->text = STR_CAT(pool, text, STR(";\n\t"), date, STR("\n"));
        r->received->type = 'P';
    }
    return true;
}

void receive_take_size(struct receiver *r)
{
    struct message *m = r->msg;
    m->size = m->body_size + 1;
    for (struct header *h = m->headers; h; h = h->next) {
        m->size += h->type == '*' ? 0 : h->text.len;
    }
}

/* Facts that variables and the log want: message-id, subject, the size as it came. */
static void take_facts(struct receiver *r)
{
    struct message *m = r->msg;
    m->size = r->header_bytes + m->body_size;
    m->received_count = 0;
    r->message_id = STR_NONE;
    for (struct header *h = m->headers; h; h = h->next) {
        if (h->type == '*') {
            continue;
        }
        m->received_count += h->type == 'P';
        struct str name = header_name(h);
        if (str_isi(name, "message-id") && str_unset(r->message_id)) {
            r->message_id = header_body(h);
        } else if (str_isi(name, "subject")) {
            r->subject = header_body(h);
        }
    }
}

bool receive_fixup(struct receiver *r)
{
    fixup_headers(r);
    bool ok = set_received(r);
    receive_acl_headers(r);
    take_facts(r);
    return ok;
}

bool receive_commit(struct receiver *r, enum queue_how how)
{
    struct message *m = r->msg;
    receive_acl_headers(r);
    take_facts(r);
    m->acl_c = r->sess->acl_c;
    if (m->freeze_requested) {
        m->frozen = true;
        m->frozen_at = time(NULL);
    }
    receive_take_size(r);
    m->spool_writer = NULL;
    receive_note(r);
    if (!spool_commit(&r->spool, m)) {
        return false;
    }
    receive_log(r);
    if (m->frozen) {
        struct str by = str_is(m->freeze_reason, "ACL") ? STR("ACL") : STR("configuration");
        log_msg(LOG_MAIN, m, "frozen by %.*s", STR_ARG(by));
        moan_frozen(r->conf, m, by, how);
    }
    if (m->queue_only_policy) {
        if (log_wants(LS_delay_delivery)) {
            log_msg(LOG_MAIN, m, "no immediate delivery: queued by ACL");
        }
        how = QUEUE_ONLY;
    }
    if (m->queue_first_pass && how != QUEUE_ONLY) {
        how = how == QUEUE_FOREGROUND ? QUEUE_SMTP_FOREGROUND : QUEUE_SMTP_ONLY;
    }
    r->how = m->frozen ? QUEUE_ONLY : how;
    return true;
}

double receive_hand_over(struct receiver *r)
{
    return r->how != QUEUE_ONLY ? queue_hand_over(r->conf, r->msg->id, r->how) : -1;
}

void receive_abort(struct receiver *r)
{
    if (r->msg) {
        r->msg->spool_writer = NULL;
    }
    spool_abort(&r->spool);
}

/*
 * Replies to the client: single lines, texts of several lines, what an ACL wants to be said, and
 * the answers to syntax and protocol errors, with the log lines that go with them.
 *
 * Replies are gathered in the stream's buffer; the command reader flushes them before it waits.
 */
#include "smtp_in/internal.h"

#include <ctype.h>

enum { LINE_MAX_TEXT = 75 };

/* Remembers what a RCPT was answered with, which may be all that DATA has to say. */
static void note_rcpt_reply(struct conv *c, struct str text)
{
    if (!c->rcpt_unanswered) {
        return;
    }
    c->rcpt_unanswered = false;
    if (str_unset(c->rcpt_reply)) {
        c->rcpt_reply = str_dup(c->msg_pool, text);
    } else if (!str_eq(c->rcpt_reply, text)) {
        c->rcpt_replies_same = false;
    }
}

void reply(struct conv *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str text = str_vfmt(c->msg_pool, fmt, ap);
    va_end(ap);
    TRACE(TR_receive, "SMTP>> %.*s", STR_ARG(text));
    note_rcpt_reply(c, text);
    if (c->batch) {
        if (text.p[0] > '3' && !c->batch_over) {
            batch_failed(c, text);
        }
        return; /* nothing else is said */
    }
    stream_puts(c->io, text);
    stream_write(c->io, "\r\n", 2);
}

void reply_lines(struct conv *c, struct str code, bool final, struct str text)
{
    struct str tail = str_from(code, 4); /* an enhanced code goes on every line */
    struct str num = str_sub(code, 0, 3), line;
    note_rcpt_reply(c, text);
    if (c->sess->no_multiline_responses) {
        if (!final) {
            return;
        }
        ptrdiff_t nl = str_chr(text, '\n');
        text = nl < 0 ? text : str_sub(text, 0, (size_t)nl);
    }
    if (str_empty(text)) {
        reply(c, "%.*s%c%.*s", STR_ARG(num), final ? ' ' : '-', STR_ARG(tail));
        return;
    }
    for (bool first = true; str_next(&text, '\n', &line); first = false) {
        line = first ? line : str_ltrim(line);
        bool last = final && str_empty(text);
        reply(c, "%.*s%c%.*s%.*s", STR_ARG(num), last ? ' ' : '-', STR_ARG(tail), STR_ARG(line));
    }
}

/* Length of "nnn " or "nnn x.y.z " at the front of a text; 0 if there is none. */
static uint32_t code_length(struct str s)
{
    if (s.len < 3 || !isdigit((unsigned char)s.p[0]) || !isdigit((unsigned char)s.p[1]) ||
        !isdigit((unsigned char)s.p[2]) || (s.len > 3 && s.p[3] != ' ')) {
        return 0;
    }
    uint32_t i = 4;
    for (int part = 0; part < 3; part++) {
        uint32_t start = i;
        while (i < s.len && i - start < 3 && isdigit((unsigned char)s.p[i])) {
            i++;
        }
        char want = part < 2 ? '.' : ' ';
        if (i == start || i >= s.len || s.p[i] != want || (part == 0 && i - start != 1)) {
            return s.len > 3 ? 4 : 3;
        }
        i++;
    }
    return i;
}

void reply_code(struct pool *pool, struct str *code, struct str *text, struct str *log, bool check)
{
    uint32_t n = str_unset(*text) ? 0 : code_length(*text);
    if (n == 0) {
        return;
    }
    struct str whole = *text;
    *text = str_from(*text, n);
    if (check && whole.p[0] != code->p[0]) {
        log_write(LOG_MAIN | LOG_PANIC,
                  "configured error code starts with incorrect digit (expected %c) in \"%.*s\"",
                  code->p[0], STR_ARG(whole));
        if (log && log->p == whole.p && log->len == whole.len) {
            *log = STR_CAT(pool, *code, *text);
        }
        return;
    }
    if (n >= 4) {
        *code = str_sub(whole, 0, n);
    }
}

struct str reply_split(struct pool *pool, struct str text)
{
    if (str_unset(text) || text.len <= LINE_MAX_TEXT) {
        return text;
    }
    char *p = str_cstr(pool, text);
    uint32_t start = 0;
    while (text.len - start > LINE_MAX_TEXT) {
        char *nl = memchr(p + start, '\n', LINE_MAX_TEXT + 1);
        if (nl) {
            start = (uint32_t)(nl - p) + 1;
            continue;
        }
        /* break at the last colon-blank in the second part of the line, else at the last blank */
        uint32_t at = 0;
        for (uint32_t i = start + LINE_MAX_TEXT; i > start + LINE_MAX_TEXT - 25 && !at; i--) {
            if (p[i] == ' ' && p[i - 1] == ':') {
                at = i;
            }
        }
        for (uint32_t i = start + LINE_MAX_TEXT; i > start && !at; i--) {
            if (p[i] == ' ') {
                at = i;
            }
        }
        for (uint32_t i = start + LINE_MAX_TEXT; i < text.len && !at; i++) {
            if (p[i] == ' ' || p[i] == '\n') {
                at = i;
            }
        }
        if (!at) {
            break;
        }
        p[at] = '\n';
        start = at + 1;
    }
    struct str out = str_n(p, text.len);
    out.tainted = text.tainted;
    return out;
}

struct str conv_who(struct conv *c, bool flag)
{
    return acl_host_and_ident(c->msg_pool, c->sess, flag);
}

struct str conv_history(struct conv *c)
{
    struct buf b;
    buf_init(&b, c->msg_pool, 4096);
    for (size_t i = 0; i < c->history.n; i++) {
        buf_addz(&b, i ? "," : c->history_cut ? " C=..." : " C=");
        buf_adds(&b, c->history.v[i]);
    }
    return buf_str(&b);
}

struct str conv_age(struct conv *c)
{
    return time_used(c->msg_pool, c->sess->connected, time_now(), log_wants(LS_millisec));
}

bool reply_count_error(struct conv *c)
{
    if (++c->sess->synprot_errors <= c->set->smtp_max_synprot_errors) {
        return false;
    }
    struct str who = conv_who(c, false), cmd = conv_printable(c, c->cmd), had = conv_history(c);
    log_write(LOG_MAIN | LOG_REJECT,
              "SMTP call from %.*s dropped: too many syntax or protocol errors (last command was "
              "\"%.*s\", %.*s)",
              STR_ARG(who), STR_ARG(cmd), STR_ARG(had));
    c->exit_status = 1;
    return true;
}

enum conv_end reply_error(struct conv *c, bool protocol, int code, struct str data,
                          const char *text)
{
    struct str who = conv_who(c, true), cmd = conv_printable(c, c->cmd);
    if (log_wants(protocol ? LS_smtp_protocol_error : LS_smtp_syntax_error)) {
        log_write(LOG_MAIN, "SMTP %s error in \"%.*s\" %.*s %s", protocol ? "protocol" : "syntax",
                  STR_ARG(cmd), STR_ARG(who), text);
    }
    bool too_many = reply_count_error(c);
    if (code > 0 && c->batch) {
        reply(c, "%d %s", code, text);
    } else if (code > 0) {
        reply(c, "%d%c%.*s%s%s", code, too_many ? '-' : ' ', STR_ARG(data),
              str_unset(data) ? "" : ": ", text);
        if (too_many) {
            reply(c, "%d Too many syntax or protocol errors", code);
        }
    }
    return too_many ? END_DROP : GO_ON;
}

static const struct {
    enum acl_where where;
    const char *code;
} codes[] = {
    {ACL_AUTH, "503 "},
    {ACL_ETRN, "458 "},
    {ACL_VRFY, "252 "},
};

static struct str default_code(enum acl_where where, bool permanent)
{
    for (size_t i = 0; permanent && i < ARRAY_LEN(codes); i++) {
        if (codes[i].where == where) {
            return str_c(codes[i].code);
        }
    }
    return permanent ? STR("550 ") : STR("451 ");
}

/* What was refused, for the log. */
static struct str what_of(struct conv *c, enum acl_where where)
{
    switch (where) {
    case ACL_PREDATA: return STR("DATA");
    case ACL_DATA: return STR("after DATA");
    default:
        return str_unset(c->cmd_arg)
                   ? str_fmt(c->msg_pool, "%s in \"connect\" ACL", acl_where_name(where))
                   : str_fmt(c->msg_pool, "%s %.*s", acl_where_name(where), STR_ARG(c->cmd_arg));
    }
}

static struct str sender_info(struct conv *c, enum acl_where where)
{
    if (!(where & (ACL_RCPT | ACL_DATA | ACL_MIME))) {
        return STR("");
    }
    struct str sender = str_unset(c->msg->raw_sender) ? c->msg->sender : c->msg->raw_sender;
    struct str auth = STR("");
    if (!str_empty(c->sess->auth_mechanism)) {
        auth = STR_CAT(c->msg_pool, STR(" A="), c->sess->auth_mechanism);
        if (!str_empty(c->sess->auth_id)) {
            auth = STR_CAT(c->msg_pool, auth, STR(":"), c->sess->auth_id);
        }
    }
    return STR_CAT(c->msg_pool, STR("F=<"), sender, STR(">"), auth, STR(" "));
}

/* The line that says why a sender did not verify, once; and its explanation to the client. */
static void tell_bad_sender(struct conv *c, bool permanent, struct str code,
                            const struct acl_reply *r)
{
    struct acl_message *note = acl_note(c->msg);
    struct address *a = r->bad_sender;
    if (!a || note->told_bad_sender) {
        return;
    }
    note->told_bad_sender = true;
    struct str who = conv_who(c, true);
    if (!permanent || log_wants(LS_sender_verify_fail)) {
        log_msg(LOG_MAIN | LOG_REJECT, c->msg, "%.*s sender verify %s for <%.*s>%s%.*s",
                STR_ARG(who), a->outcome == ADDR_DEFER ? "defer" : "fail", STR_ARG(a->address),
                str_unset(a->message) ? "" : ": ", STR_ARG(a->message));
    }
    struct str why = a->user_message;
    if (!permanent || str_unset(why)) {
        return;
    }
    const char *form =
        note->pm_fail ? "Postmaster verification failed while checking <%.*s>\n%.*s\n"
                        "Several RFCs state that you are required to have a postmaster\n"
                        "mailbox for each mail domain. This host does not accept mail\n"
                        "from domains whose servers reject the postmaster address."
        : note->null_sender_fail
            ? "Callback setup failed while verifying <%.*s>\n%.*s\n"
              "The initial connection, or a HELO or MAIL FROM:<> command was\n"
              "rejected. Refusing MAIL FROM:<> does not help fight spam, disregards\n"
              "RFC requirements, and stops you from receiving standard bounce\n"
              "messages. This host does not accept mail from domains whose servers\n"
              "refuse bounces."
            : "Verification failed for <%.*s>\n%.*s";
    struct buf b;
    buf_init(&b, c->msg_pool, 1 << 16);
    while (*form) {
        if (strncmp(form, "%.*s", 4) == 0) {
            buf_adds(&b, b.len && memchr(b.p, '\n', b.len) ? why : a->address);
            form += 4;
        } else {
            buf_addc(&b, *form++);
        }
    }
    reply_lines(c, code, false, buf_str(&b));
}

static void say_temporary(struct conv *c, struct str code, const struct acl_reply *r)
{
    if (!r->temp_details || str_unset(r->user)) {
        reply_lines(c, code, true, STR("Temporary local problem - please try later"));
        return;
    }
    if (r->return_details && r->bad_sender && !str_unset(r->bad_sender->message)) {
        reply_lines(c, code, false, r->bad_sender->message);
    }
    reply_lines(c, code, true, r->user);
}

static void log_refusal(struct conv *c, enum acl_where where, bool permanent,
                        const struct acl_reply *r)
{
    unsigned target =
        where == ACL_CONNECT ? log_if(LS_connection_reject, r->log_target) : r->log_target;
    if (!target) {
        return;
    }
    struct str log = r->log;
    ptrdiff_t nl = str_unset(log) ? -1 : str_chr(log, '\n');
    log = nl < 0 ? log : str_sub(log, 0, (size_t)nl);
    struct str who = conv_who(c, true), info = sender_info(c, where), what = what_of(c, where);
    struct buf tls;
    buf_init(&tls, c->msg_pool, 1 << 16);
    tls_log(&tls, c->sess->tls);
    struct str encrypted = buf_str(&tls);
    log_msg(target, c->msg, "%.*s%.*s %.*s%srejected %.*s%s%.*s", STR_ARG(who), STR_ARG(encrypted),
            STR_ARG(info), permanent ? "" : "temporarily ", STR_ARG(what),
            str_unset(log) ? "" : ": ", STR_ARG(log));
}

enum conv_end reply_acl(struct conv *c, enum acl_where where, enum acl_result rc,
                        struct acl_reply *r)
{
    bool permanent = rc == ACL_DENY || rc == ACL_DROP;
    struct str code = default_code(where, permanent);
    reply_code(c->msg_pool, &code, &r->user, &r->log, where != ACL_VRFY);
    tell_bad_sender(c, permanent, code, r);
    if (permanent) {
        reply_lines(c, code, true,
                    str_unset(r->user) ? STR("Administrative prohibition") : r->user);
    } else {
        say_temporary(c, code, r);
    }
    log_refusal(c, where, permanent, r);
    if (rc != ACL_DROP) {
        return GO_ON;
    }
    if (conv_logged(c)) {
        struct str name = conv_name(c);
        log_write(LOG_MAIN, "%.*s closed by DROP in ACL", STR_ARG(name));
    }
    conv_notquit(c, "acl-drop", NULL, NULL);
    return END_DROP;
}

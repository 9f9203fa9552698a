/*
 * The mail module: options of the spool, the operators that need address syntax, and the variables
 * that read the message's body. Values live in the context's pool; what comes from a message is
 * tainted.
 */
#include "mail/internal.h"

#include <stdio.h>

#define O(field) offsetof(struct mail_settings, field)

static const struct option options[] = {
    {"check_log_inodes", OPT_INT, O(check_log_inodes), "100",
     "inodes that must be free for the logs for mail to be accepted", NULL, NULL},
    {"check_log_space", OPT_SIZE, O(check_log_space), "10M",
     "space that must be free for the logs for mail to be accepted", NULL, NULL},
    {"check_spool_inodes", OPT_INT, O(check_spool_inodes), "100",
     "inodes that must be free for mail to be accepted", NULL, NULL},
    {"check_spool_space", OPT_SIZE, O(check_spool_space), "10M",
     "space that must be free for mail to be accepted", NULL, NULL},
    {"message_body_newlines", OPT_BOOL, O(message_body_newlines), "false",
     "$message_body keeps its line ends", NULL, NULL},
    {"message_body_visible", OPT_SIZE, O(message_body_visible), "500",
     "bytes of the body in $message_body", NULL, NULL},
    {0},
};

const struct mail_settings *mail_settings(const struct config *conf)
{
    return conf->settings[ROOM_MAIL];
}

/* ${address:TEXT}: the address without what is round it; empty if there is none. */
static bool op_address(struct ectx *x, struct str param, struct str subject, struct str *out)
{
    struct mailbox m;
    struct str error;
    (void)param;
    *out = mailbox_parse(x->pool, subject, mailbox_flags(x->conf), &m, &error) ? m.text : STR("");
    return true;
}

static bool op_domain(struct ectx *x, struct str param, struct str subject, struct str *out)
{
    struct mailbox m;
    struct str error;
    (void)param;
    *out = mailbox_parse(x->pool, subject, mailbox_flags(x->conf), &m, &error) ? m.domain : STR("");
    return true;
}

static bool op_local_part(struct ectx *x, struct str param, struct str subject, struct str *out)
{
    struct mailbox m;
    struct str error;
    (void)param;
    *out = mailbox_parse(x->pool, subject, mailbox_flags(x->conf), &m, &error) ? m.local_part
                                                                               : STR("");
    return true;
}

static bool op_quote_local_part(struct ectx *x, struct str param, struct str subject,
                                struct str *out)
{
    (void)param;
    *out = mail_quote_local_part(x->pool, subject);
    return true;
}

struct address_list {
    struct buf out;
    char sep;
};

static bool add_address(void *closure, const struct mailbox *m)
{
    struct address_list *l = closure;
    if (str_empty(m->text)) {
        return true;
    }
    if (l->out.len) {
        buf_addc(&l->out, l->sep);
    }
    for (uint32_t i = 0; i < m->text.len; i++) {
        buf_addc(&l->out, m->text.p[i]);
        if (m->text.p[i] == l->sep) {
            buf_addc(&l->out, l->sep);
        }
    }
    return true;
}

/* ${addresses:LIST} or ${addresses:>SEP LIST}: the addresses of a header body as a list. */
static bool op_addresses(struct ectx *x, struct str param, struct str subject, struct str *out)
{
    struct address_list l = {.sep = ':'};
    (void)param;
    buf_init(&l.out, x->pool, (size_t)subject.len * 2 + 2);
    l.out.tainted = subject.tainted;
    subject = str_ltrim(subject);
    if (str_is(subject, ">")) {
        x->error = STR("output separator missing in expanding ${addresses:>}");
        return false;
    }
    if (str_starts(subject, ">")) {
        l.sep = subject.p[1];
        subject = str_from(subject, 2);
    }
    mailbox_each(x->pool, subject, mailbox_flags(x->conf), add_address, &l, NULL);
    *out = buf_str(&l.out);
    return true;
}

static const struct expand_operator operators[] = {
    {"address", op_address, "the address proper of an RFC 5322 mailbox"},
    {"addresses", op_addresses, "the addresses of a header body, as a list"},
    {"domain", op_domain, "the domain of an address"},
    {"local_part", op_local_part, "the local part of an address"},
    {"quote_local_part", op_quote_local_part, "a local part, quoted if it must be"},
    {0},
};

/* n bytes of the body at an offset, with line ends as the options say. */
static struct str body_text(struct ectx *x, int64_t offset, int64_t n)
{
    const struct mail_settings *s = mail_settings(x->conf);
    struct message *m = x->msg;
    if (n <= 0 || offset < 0) {
        return STR("");
    }
    struct str kept = str_sub(m->body_text, (size_t)offset, (size_t)n);
    char *p = pool_alloc(x->pool, (size_t)n + 1);
    ssize_t got = m->spool          ? spool_body_read(m, offset, p, (size_t)n)
                  : m->spool_writer ? spool_writer_read(m->spool_writer, offset, p, (size_t)n)
                                    : (ssize_t)kept.len;
    if (kept.len && got == (ssize_t)kept.len) {
        memcpy(p, kept.p, kept.len);
    }
    for (ssize_t i = 0; i < got; i++) {
        if ((p[i] == '\n' && !s->message_body_newlines) || p[i] == '\0') {
            p[i] = ' ';
        }
    }
    return str_taint(str_n(p, got > 0 ? (size_t)got : 0));
}

static struct str get_body(struct ectx *x, struct str name)
{
    (void)name;
    const struct mail_settings *s = mail_settings(x->conf);
    int64_t n = x->msg ? x->msg->body_size : 0;
    return body_text(x, 0, n < s->message_body_visible ? n : s->message_body_visible);
}

static struct str get_body_end(struct ectx *x, struct str name)
{
    (void)name;
    const struct mail_settings *s = mail_settings(x->conf);
    int64_t size = x->msg ? x->msg->body_size : 0;
    int64_t n = size < s->message_body_visible ? size : s->message_body_visible;
    return body_text(x, size - n, n);
}

static const struct variable variables[] = {
    {"message_body", get_body, "beginning of the body, message_body_visible bytes"},
    {"message_body_end", get_body_end, "end of the body, message_body_visible bytes"},
    {0},
};

/* localhost_number is expanded once; ids of hosts with different numbers cannot meet. */
static bool finish(struct config *conf, struct opt_reader *r)
{
    struct core_settings *s = conf->settings[ROOM_CORE];
    struct ectx x;
    struct str text;
    int64_t n;
    s->localhost_number = -1;
    if (str_unset(s->localhost_number_text.text)) {
        return true;
    }
    ectx_init(&x, conf, conf->pool);
    if (!expand_option(&x, &s->localhost_number_text, &text)) {
        return opt_error(r, "failed to expand localhost_number \"%.*s\": %.*s",
                         STR_ARG(s->localhost_number_text.text), STR_ARG(x.error));
    }
    if (!str_to_i64(str_trim(text), &n)) {
        return opt_error(r, "localhost_number value is not a number: \"%.*s\"", STR_ARG(text));
    }
    int64_t max = str_is(s->message_id_compat, "4.96") ? 16 : 10;
    if (n < 0 || n > max) {
        return opt_error(r, "localhost_number is greater than the maximum allowed value (%lld)",
                         (long long)max);
    }
    s->localhost_number = (int)n;
    return true;
}

const struct module mail_module = {
    .name = "mail",
    .room = ROOM_MAIL,
    .settings_size = sizeof(struct mail_settings),
    .options = options,
    .variables = variables,
    .operators = operators,
    .finish = finish,
};

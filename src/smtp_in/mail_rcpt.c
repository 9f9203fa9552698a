/*
 * MAIL and RCPT (RFC 5321 4.1.1.2, 4.1.1.3) with their ESMTP parameters: the envelope of the
 * transaction in hand, checked by the ACLs.
 * Addresses live in the message's pool, tainted. A refused command leaves the transaction as it
 * was.
 */
#include "smtp_in/internal.h"

#include <ctype.h>
#include <limits.h>

/* What parameters asked for. */
struct params {
    struct str left; /* what was not taken */
    int64_t size;    /* -1: not given */
    int body;        /* 7 or 8; 0: not given */
    struct str auth, envid, orcpt;
    int ret, notify;
    bool notify_set, prdr;
    bool stop;         /* nothing more is looked at */
    const char *error; /* a 501 */
    bool unknown;      /* the rest is no parameter of ours: the address is malformed */
};

/* False if the value is no number; a negative one is as huge as to Exim. */
static bool set_size(struct params *p, struct str value)
{
    bool minus = str_starts(value, "-");
    struct str digits = minus || str_starts(value, "+") ? str_from(value, 1) : value;
    for (uint32_t i = 0; i < digits.len; i++) {
        if (!isdigit((unsigned char)digits.p[i])) {
            return false;
        }
    }
    uint64_t n;
    bool fits = str_to_u64(digits, 10, &n) && n <= INT_MAX && (!minus || n == 0);
    p->size = fits ? (int64_t)n : INT_MAX;
    return !str_empty(digits);
}

static void set_body(struct params *p, struct str value)
{
    if (str_isi(value, "8BITMIME")) {
        p->body = 8;
    } else if (str_isi(value, "7BIT")) {
        p->body = 7;
    } else {
        p->error = "invalid data for BODY";
    }
}

static void set_ret(struct params *p, struct str value)
{
    if (p->ret) {
        p->error = "RET can be specified once only";
    } else if (!(p->ret = str_isi(value, "HDRS") ? 1 : str_isi(value, "FULL") ? 2 : 0)) {
        p->error = "Value for RET is invalid";
    }
}

/* Takes one parameter; false if it is not for MAIL. Those not offered to the client do nothing. */
static bool mail_param(struct conv *c, struct params *p, struct str name, struct str value)
{
    if (str_isi(name, "SIZE")) {
        p->stop = !set_size(p, value);
    } else if (str_isi(name, "BODY")) {
        if (c->advertised_8bit) {
            set_body(p, value);
        }
    } else if (str_isi(name, "AUTH")) {
        p->auth = value;
    } else if (str_isi(name, "RET")) {
        if (c->advertised_dsn) {
            set_ret(p, value);
        }
    } else if (str_isi(name, "ENVID")) {
        if (c->advertised_dsn) {
            p->error = str_unset(p->envid) ? NULL : "ENVID can be specified once only";
            p->envid = value;
        }
    } else if (str_isi(name, "PRDR")) {
        p->prdr = c->set->prdr_enable;
    } else if (str_isi(name, "SMTPUTF8")) {
        p->error = "SMTPUTF8 used when not advertised";
    } else {
        return false;
    }
    return true;
}

/*
 * As Exim does, from the last to the first. One without a value, or a size that is no number, is
 * dropped and ends it: what stands before it is then taken for a part of the address.
 */
static struct params mail_params(struct conv *c, struct str rest)
{
    struct params p = {.size = -1};
    struct str name, value;
    for (p.left = rest; !p.error && !p.unknown && smtp_last_param(&rest, &name, &value);) {
        struct str whole = p.left;
        p.left = rest;
        struct params before = p;
        if (!mail_param(c, &p, name, value)) {
            p.unknown = true;
            p.left = whole;
        } else if (p.stop || str_empty(value)) {
            p = before;
            p.unknown = true;
        }
    }
    return p;
}

static void set_notify(struct params *p, struct str value)
{
    if (p->notify_set) {
        p->error = "NOTIFY can be specified once only";
        return;
    }
    p->notify_set = true;
    if (str_isi(value, "NEVER")) {
        p->notify = DSN_NEVER;
        return;
    }
    struct str word;
    while (str_next(&value, ',', &word)) {
        int bit = str_isi(word, "SUCCESS")   ? DSN_SUCCESS
                  : str_isi(word, "FAILURE") ? DSN_FAILURE
                  : str_isi(word, "DELAY")   ? DSN_DELAY
                                             : 0;
        if (!bit) {
            p->error = "Invalid value for NOTIFY parameter";
        }
        p->notify |= bit;
    }
}

static struct params rcpt_params(struct conv *c, struct str rest)
{
    struct params p = {.size = -1};
    struct str name, value;
    for (p.left = rest; !p.error && !p.unknown && smtp_last_param(&rest, &name, &value);) {
        struct str whole = p.left;
        p.left = rest;
        if (c->advertised_dsn && str_isi(name, "ORCPT")) {
            p.error = str_unset(p.orcpt) ? NULL : "ORCPT can be specified once only";
            p.orcpt = value;
        } else if (c->advertised_dsn && str_isi(name, "NOTIFY")) {
            set_notify(&p, value);
        } else {
            p.unknown = true;
            p.left = whole;
        }
    }
    return p;
}

/* MAIL's AUTH=: taken on if the client authenticated or the ACL lets it. False after refusing. */
static bool mail_auth(struct conv *c, struct str value)
{
    struct str sender;
    if (str_is(value, "<>")) {
        return true;
    }
    if (!xtext_decode(c->msg_pool, value, &sender)) {
        reply_error(c, false, 501, STR_NONE, "invalid data for AUTH");
        return false;
    }
    const char *why = "client not authenticated";
    enum acl_result rc = str_empty(c->sess->auth_mechanism) ? ACL_DENY : ACL_ACCEPT;
    struct acl_reply r = {.user = STR_NONE};
    if (!str_unset(c->set->acl_smtp_mailauth.text)) {
        why = "rejected by ACL";
        c->msg->auth_sender = sender;
        rc = conv_acl(c, ACL_MAILAUTH, &c->set->acl_smtp_mailauth, &r);
    }
    if (rc == ACL_ACCEPT && !auth_takes_sender(&c->x)) {
        struct str id =
            str_fmt(c->msg_pool, "server_mail_auth_condition failed: authenticated ID=\"%.*s\"",
                    STR_ARG(c->sess->auth_id));
        why = str_cstr(c->msg_pool, id);
        rc = ACL_DENY;
    }
    if (rc == ACL_ACCEPT) {
        c->msg->auth_sender = sender;
        return true;
    }
    c->msg->auth_sender = STR_NONE;
    if (rc == ACL_DENY) {
        struct str who = conv_who(c, true);
        log_write(LOG_MAIN, "ignoring AUTH=%.*s from %.*s (%s)", STR_ARG(value), STR_ARG(who), why);
        return true;
    }
    reply_acl(c, ACL_MAILAUTH, rc, &r);
    return false;
}

/* The path proper: rewriting with flag S, then the address in it. */
static bool parse_path(struct conv *c, const struct smtp_path *path, const struct params *p,
                       bool null_ok, struct mailbox *m, enum conv_end *end)
{
    /* A parameter we do not know makes it all, up to there, a malformed address. */
    struct str left = str_trim(p->left), error, arg = path->path;
    if (!str_empty(left)) {
        arg.len = (uint32_t)(left.p + left.len - arg.p); /* both are views of the command */
    }
    struct str text = p->unknown ? arg : path->path;
    if (c->conf->rewrite_sees_smtp) {
        text = rewrite_smtp(&c->x, c->conf->rewrite_rules, text);
    }
    if (mailbox_parse(c->msg_pool, text, mailbox_flags(c->conf) | (null_ok ? MBX_NULL : 0u), m,
                      &error)) {
        return true;
    }
    *end = reply_error(c, false, 501, arg, str_cstr(c->msg_pool, error));
    return false;
}

static bool too_big(struct conv *c, int64_t size, struct str sender)
{
    if (c->size_limit == 0 || size <= (int64_t)c->size_limit) {
        return false;
    }
    reply(c, "552 Message size exceeds maximum permitted");
    struct str who = conv_who(c, true);
    log_write(log_if(LS_size_reject, LOG_MAIN | LOG_REJECT),
              "rejected MAIL FROM:<%.*s> %.*s: message too big: size%s=%lld max=%llu",
              STR_ARG(sender), STR_ARG(who), size == INT_MAX ? ">" : "", (long long)size,
              (unsigned long long)c->size_limit);
    return true;
}

/* Checks before the parameters are looked at. False after refusing. */
static bool mail_in_order(struct conv *c, const struct smtp_line *l, enum conv_end *end)
{
    *end = GO_ON;
    if (!c->helo_seen && !c->batch &&
        (c->helo_verify_required || conv_host_in(c, &c->set->hosts_require_helo))) {
        reply(c, "503 HELO or EHLO required");
        struct str who = conv_who(c, false);
        log_write(LOG_MAIN | LOG_REJECT, "rejected MAIL from %.*s: no HELO/EHLO given",
                  STR_ARG(who));
        return false;
    }
    if (c->msg->sender_set) {
        *end = reply_error(c, true, 503, STR_NONE, "sender already given");
        return false;
    }
    if (str_empty(l->arg)) {
        *end = reply_error(c, true, 501, STR_NONE, "MAIL must have an address operand");
        return false;
    }
    if (c->max_per_connection > 0 && c->sess->mail_count > c->max_per_connection) {
        reply(c, "421 too many messages in this connection");
        struct str who = conv_who(c, true);
        log_write(LOG_MAIN | LOG_REJECT,
                  "rejected MAIL command %.*s: too many messages in one connection", STR_ARG(who));
        return false;
    }
    return true;
}

/* Room on the disk, a domain where one is needed. False after refusing. */
static bool sender_acceptable(struct conv *c, struct str arg, struct mailbox *m, int64_t size)
{
    struct str error;
    if (too_big(c, size, m->text)) {
        return false;
    }
    if (!spool_check_space(c->conf, c->set->smtp_check_spool_space && size >= 0 ? size + 5000 : 0,
                           &error)) {
        reply(c, str_is(error, "directory") ? "421 spool or log directory problem"
                                            : "452 Space shortage, please try later");
        return false;
    }
    if (str_empty(m->text) || !str_empty(m->domain)) {
        return true;
    }
    if (!c->msg->allow_unqualified_sender) {
        reply(c, "501 %.*s: sender address must contain a domain", STR_ARG(arg));
        struct str who = conv_who(c, true);
        log_write(log_if(LS_smtp_syntax_error, LOG_MAIN | LOG_REJECT),
                  "unqualified sender rejected: <%.*s> %.*s", STR_ARG(m->text), STR_ARG(who));
        return false;
    }
    m->text = mail_qualify(c->msg_pool, c->conf, m->text, false);
    return true;
}

static void set_sender(struct conv *c, const struct params *p, struct str sender)
{
    struct message *m = c->msg;
    m->sender = sender;
    m->sender_set = true;
    m->size = p->size;
    m->body_8bit_declared = p->body == 8;
    m->body_type = p->body;
    m->dsn_ret = p->ret;
    m->dsn_envid = p->envid;
    m->prdr = p->prdr;
    m->received_protocol = c->sess->protocol;
}

static void unset_sender(struct conv *c)
{
    c->msg->sender_set = false;
    c->msg->sender = STR_NONE;
    c->mail_refused = true;
}

static enum conv_end mail_acl(struct conv *c)
{
    struct acl_reply r = {.user = STR_NONE};
    enum acl_result rc = ACL_ACCEPT;
    if (!str_unset(c->set->acl_smtp_mail.text)) {
        rc = conv_acl(c, ACL_MAIL, &c->set->acl_smtp_mail, &r);
    }
    if (rc != ACL_ACCEPT && rc != ACL_DISCARD) {
        enum conv_end end = reply_acl(c, ACL_MAIL, rc, &r);
        unset_sender(c);
        return end;
    }
    const char *prdr = c->msg->prdr ? ", PRDR Requested" : "";
    if (str_unset(r.user)) {
        reply(c, "250 OK%s", prdr);
    } else {
        r.user = STR_CAT(c->msg_pool, r.user, str_c(prdr));
        struct str code = STR("250 ");
        reply_code(c->msg_pool, &code, &r.user, NULL, true);
        reply_lines(c, code, true, r.user);
    }
    c->msg->recipients_discarded = rc == ACL_DISCARD;
    return GO_ON;
}

enum conv_end cmd_mail(struct conv *c, const struct smtp_line *line)
{
    enum conv_end end;
    c->sess->mail_count++;
    c->mail_refused = true;
    if (!mail_in_order(c, line, &end)) {
        return end;
    }
    c->cmd_arg = line->arg;
    struct smtp_path path = smtp_parse_path(line->arg);
    struct params p =
        c->ehlo
            ? mail_params(c, path.params)
            : (struct params){.size = -1, .unknown = !str_empty(path.params), .left = path.params};
    if (p.error) {
        return reply_error(c, false, 501, STR_NONE, p.error);
    }
    if (!str_unset(p.auth) && !mail_auth(c, p.auth)) {
        return GO_ON;
    }
    conv_ratelimit(c, false);
    struct mailbox m;
    if (!parse_path(c, &path, &p, true, &m, &end)) {
        return end;
    }
    c->msg->allow_unqualified_sender = conv_unqualified_ok(c, false);
    c->msg->raw_sender = m.text;
    if (!sender_acceptable(c, line->arg, &m, p.size)) {
        unset_sender(c);
        return GO_ON;
    }
    c->mail_refused = false;
    set_sender(c, &p, m.text);
    return mail_acl(c);
}

/* ---- RCPT ---- */

static bool qualify(struct conv *c, struct str arg, struct mailbox *m)
{
    if (!str_empty(m->domain)) {
        return true;
    }
    bool allowed = conv_unqualified_ok(c, true);
    if (!allowed && !str_isi(m->text, "postmaster")) {
        reply(c, "501 %.*s: recipient address must contain a domain", STR_ARG(arg));
        struct str who = conv_who(c, true);
        log_write(log_if(LS_smtp_syntax_error, LOG_MAIN | LOG_REJECT),
                  "unqualified recipient rejected: <%.*s> %.*s", STR_ARG(m->text), STR_ARG(who));
        return false;
    }
    struct str whole = mail_qualify(c->msg_pool, c->conf, m->text, true), error;
    return mailbox_parse(c->msg_pool, whole, mailbox_flags(c->conf), m, &error);
}

static bool too_many(struct conv *c)
{
    if (c->set->recipients_max <= 0 || c->msg->rcpt_count <= c->set->recipients_max) {
        return false;
    }
    bool reject = c->set->recipients_max_reject;
    reject ? c->msg->rcpt_fail_count++ : c->msg->rcpt_defer_count++;
    reply(c, "%d too many recipients", reject ? 552 : 452);
    if (!c->too_many_rcpts) {
        struct str who = conv_who(c, true);
        log_write(LOG_MAIN | LOG_REJECT, "too many recipients: %s: sender=<%.*s> %.*s",
                  reject ? "message rejected" : "excess temporarily rejected",
                  STR_ARG(c->msg->sender), STR_ARG(who));
    }
    c->too_many_rcpts = true;
    return true;
}

static void accept_recipient(struct conv *c, const struct params *p, struct str address,
                             struct acl_reply *r)
{
    if (str_unset(r->user)) {
        reply(c, "250 Accepted");
    } else {
        struct str code = STR("250 ");
        reply_code(c->msg_pool, &code, &r->user, NULL, true);
        reply_lines(c, code, true, r->user);
    }
    if (p) {
        struct recipient *rcpt = message_add_recipient(c->msg, address);
        rcpt->dsn_flags = p->notify;
        rcpt->orcpt = p->orcpt;
    }
}

static void log_discarded(struct conv *c, const struct acl_reply *r)
{
    struct str who = conv_who(c, true);
    log_write(LOG_MAIN | LOG_REJECT, "%.*s F=<%.*s> RCPT %.*s: discarded by %s ACL%s%.*s",
              STR_ARG(who), STR_ARG(c->msg->raw_sender), STR_ARG(c->cmd_arg),
              c->msg->recipients_discarded ? "MAIL" : "RCPT", str_unset(r->log) ? "" : ": ",
              STR_ARG(r->log));
}

struct address *conv_acl_address(struct conv *c, const struct mailbox *m)
{
    struct address *a = POOL_NEW(c->msg_pool, struct address);
    a->domain = str_lower(c->msg_pool, m->domain);
    a->cc_local_part = m->local_part;
    a->local_part = str_lower(c->msg_pool, m->local_part);
    a->address = STR_CAT(c->msg_pool, m->local_part, STR("@"), a->domain);
    return a;
}

static enum conv_end rcpt_acl(struct conv *c, const struct params *p, const struct mailbox *m)
{
    struct acl_reply r = {.user = STR_NONE};
    enum acl_result rc = ACL_DISCARD;
    if (!c->msg->recipients_discarded) {
        c->x.addr = conv_acl_address(c, m);
        rc = conv_acl(c, ACL_RCPT, &c->set->acl_smtp_rcpt, &r);
        c->x.addr = NULL;
    }
    if (rc == ACL_ACCEPT) {
        accept_recipient(c, p, m->text, &r);
        return GO_ON;
    }
    if (rc == ACL_DISCARD) {
        accept_recipient(c, NULL, m->text, &r);
        c->msg->rcpt_fail_count++;
        c->discarded = true;
        log_discarded(c, &r);
        return GO_ON;
    }
    rc == ACL_DENY || rc == ACL_DROP ? c->msg->rcpt_fail_count++ : c->msg->rcpt_defer_count++;
    return reply_acl(c, ACL_RCPT, rc, &r);
}

enum conv_end cmd_rcpt(struct conv *c, const struct smtp_line *line)
{
    enum conv_end end = GO_ON;
    struct message *msg = c->msg;
    bool behind_refused_mail = c->mail_refused;
    msg->rcpt_count++;
    c->last_was_rcpt = c->rcpt_unanswered = true;
    if (!msg->sender_set) {
        msg->rcpt_fail_count++;
        if (c->advertised_pipelining && behind_refused_mail) {
            reply(c, "503 sender not yet given");
            return GO_ON;
        }
        c->last_was_rcpt = false;
        return reply_error(c, true, 503, STR_NONE, "sender not yet given");
    }
    c->cmd_arg = line->arg;
    if (str_empty(line->arg)) {
        msg->rcpt_fail_count++;
        return reply_error(c, false, 501, STR_NONE, "RCPT must have an address operand");
    }
    struct smtp_path path = smtp_parse_path(line->arg);
    struct params p =
        c->ehlo ? rcpt_params(c, path.params)
                : (struct params){.unknown = !str_empty(path.params), .left = path.params};
    if (p.error) {
        return reply_error(c, false, 501, STR_NONE, p.error);
    }
    struct mailbox m;
    if (!parse_path(c, &path, &p, false, &m, &end) || !qualify(c, line->arg, &m)) {
        msg->rcpt_fail_count++;
        return end;
    }
    if (too_many(c)) {
        return GO_ON;
    }
    conv_ratelimit(c, true);
    return rcpt_acl(c, &p, &m);
}

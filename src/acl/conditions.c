/*
 * The rows of ACL conditions and modifiers, and the short ones among their functions: those that
 * match a list, and those that set something. verify, dnslists, ratelimit and control have files of
 * their own.
 *
 * Each function returns what the test says; on TEST_DEFER and TEST_ERROR the words are in j->log.
 */
#include "acl/internal.h"
#include "tls/tls.h"

#include <ctype.h>
#include <unistd.h>

static enum acl_test from_match(struct acl_job *j, enum match m)
{
    switch (m) {
    case MATCH_YES: return TEST_OK;
    case MATCH_NO: return TEST_FAIL;
    case MATCH_DEFER:
        j->search_error = j->x->error;
        j->log = j->x->error;
        return TEST_DEFER;
    case MATCH_ERROR: j->log = j->x->error; return TEST_ERROR;
    }
    return TEST_ERROR;
}

static struct str keep(struct acl_job *j, struct str s)
{
    return str_unset(s) ? s : str_dup(j->x->msg->pool, s);
}

/* What the match of a list found; a list that does not match unsets it. */
static struct str keep_match(struct acl_job *j, enum match m, struct str s)
{
    return m == MATCH_YES ? keep(j, s) : STR_NONE;
}

/* ---- conditions that match a list ---- */

static enum acl_test test_domains(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)arg;
    struct address *a = j->x->addr;
    struct str data = STR_NONE;
    enum match m = a ? match_of_address(j->x, &l->arg, LIST_DOMAINS, a, a->domain, true, &data)
                     : match_domain(j->x, &l->arg, STR(""), &data);
    if (a) {
        a->domain_data = keep_match(j, m, data);
    }
    return from_match(j, m);
}

static enum acl_test test_local_parts(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)arg;
    struct address *a = j->x->addr;
    struct str data = STR_NONE;
    enum match m =
        a ? match_of_address(j->x, &l->arg, LIST_LOCALPARTS, a, a->cc_local_part, true, &data)
          : match_local_part(j->x, &l->arg, STR(""), true, &data);
    if (a) {
        a->local_part_data = keep_match(j, m, data);
    }
    return from_match(j, m);
}

static enum acl_test test_recipients(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)arg;
    struct str data = STR_NONE;
    enum match m =
        match_address(j->x, &l->arg, j->x->addr ? j->x->addr->address : STR(""), true, &data);
    j->note->recipient_data = keep_match(j, m, data);
    return from_match(j, m);
}

static enum acl_test test_senders(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)arg;
    struct str data = STR_NONE;
    struct str sender = str_unset(j->x->msg->sender) ? STR("") : j->x->msg->sender;
    enum match m = match_of_sender(j->x, &l->arg, LIST_ADDRESSES, sender, &data);
    j->note->sender_data = keep_match(j, m, data);
    return from_match(j, m);
}

static enum acl_test test_sender_domains(struct acl_job *j, const struct acl_line *l,
                                         struct str arg)
{
    (void)arg;
    struct str sender = j->x->msg->sender;
    ptrdiff_t at = mailbox_at(sender);
    struct str domain = at < 0 ? STR("") : str_lower(j->x->pool, str_from(sender, (size_t)at + 1));
    return from_match(j, match_of_sender(j->x, &l->arg, LIST_DOMAINS, domain, NULL));
}

static enum acl_test test_hosts(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)arg;
    struct str data = STR_NONE;
    enum match m = match_session_host(j->x, &l->arg, &data);
    j->note->host_data = keep_match(j, m, data);
    return from_match(j, m);
}

static enum acl_test test_authenticated(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)arg;
    struct str mechanism = j->x->sess->auth_mechanism;
    if (str_empty(mechanism)) {
        return TEST_FAIL;
    }
    return from_match(j, match_local_part(j->x, &l->arg, mechanism, true, NULL));
}

/* The cipher suite, without the version before it and the bits behind it, is in the list. */
static enum acl_test test_encrypted(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)arg;
    const struct tls_facts *tls = j->x->sess->tls;
    if (!tls) {
        return TEST_FAIL;
    }
    struct str cipher = tls->cipher;
    ptrdiff_t colon = str_chr(cipher, ':');
    if (colon >= 0) {
        cipher = str_from(cipher, (size_t)colon + 1);
        colon = str_chr(cipher, ':');
        cipher = colon < 0 ? cipher : str_sub(cipher, 0, (size_t)colon);
    }
    return from_match(j, match_local_part(j->x, &l->arg, cipher, true, NULL));
}

/* ---- others ---- */

static enum acl_test test_acl(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)arg;
    return acl_call(j, l->arg.text);
}

static enum acl_test test_condition(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)l;
    bool yes;
    struct str digits = str_starts(arg, "-") ? str_from(arg, 1) : arg;
    if (str_all_in(digits, "0123456789")) {
        /* A number is true unless it is zero, an empty text false. */
        yes = str_any_in(digits, "123456789");
    } else if (str_isi(arg, "yes") || str_isi(arg, "true")) {
        yes = true;
    } else if (str_isi(arg, "no") || str_isi(arg, "false")) {
        yes = false;
    } else {
        j->log = str_fmt(j->x->pool, "invalid \"condition\" value \"%.*s\"", STR_ARG(arg));
        return TEST_DEFER;
    }
    return yes ? TEST_OK : TEST_FAIL;
}

/* ---- modifiers ---- */

static enum acl_test do_set(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    bool message = str_starts(l->var, "acl_m");
    struct vars *v = message ? &j->x->msg->acl_m : &j->x->sess->acl_c;
    v->pool = message ? j->x->msg->pool : j->x->sess->pool;
    vars_set(v, l->var, arg);
    return TEST_OK;
}

static enum acl_test do_nothing(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)j;
    (void)l;
    (void)arg;
    return TEST_OK;
}

static enum acl_test do_add_header(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)l;
    acl_add_headers(j, arg);
    return TEST_OK;
}

static enum acl_test do_remove_header(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)l;
    struct str item, rest = arg;
    int sep = 0;
    while (list_next(j->x->pool, &rest, &sep, &item)) {
        if (!str_empty(item)) {
            strvec_push(&j->note->removed, keep(j, item));
        }
    }
    return TEST_OK;
}

/* Names of logs, separated by anything that is not a letter; false on an unknown one. */
static bool log_names(struct str text, unsigned *where)
{
    *where = 0;
    while (!str_empty(text)) {
        uint32_t n = 0;
        while (n < text.len && isalpha((unsigned char)text.p[n])) {
            n++;
        }
        struct str word = str_sub(text, 0, n);
        if (str_is(word, "main")) {
            *where |= LOG_MAIN;
        } else if (str_is(word, "panic")) {
            *where |= LOG_PANIC;
        } else if (str_is(word, "reject")) {
            *where |= LOG_REJECT;
        } else if (n) {
            return false;
        }
        text = str_from(text, n ? n : 1);
    }
    return true;
}

static enum acl_test do_log_reject_target(struct acl_job *j, const struct acl_line *l,
                                          struct str arg)
{
    (void)l;
    unsigned where;
    if (log_names(arg, &where)) {
        j->log_target = where;
    } else {
        log_write(LOG_MAIN | LOG_PANIC,
                  "unknown log name in \"%.*s\" in \"log_reject_target\" in %s ACL", STR_ARG(arg),
                  acl_where_name(j->where));
    }
    return TEST_OK;
}

static enum acl_test do_logwrite(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)l;
    unsigned where = LOG_MAIN;
    struct str text = arg;
    ptrdiff_t end = str_starts(arg, ":") ? str_chr(str_from(arg, 1), ':') : -1;
    if (end >= 0) {
        struct str names = str_sub(arg, 1, (size_t)end);
        text = str_from(arg, (size_t)end + 2);
        if (!log_names(names, &where)) {
            log_write(LOG_MAIN | LOG_PANIC,
                      "unknown log name in \"%.*s\" in \"logwrite\" in %s ACL", STR_ARG(arg),
                      acl_where_name(j->where));
            return TEST_OK;
        }
        if (!where) {
            where = LOG_MAIN;
        }
    }
    text =
        str_printable(j->x->pool, str_ltrim(text), !core_settings(j->x->conf)->print_topbitchars);
    log_msg(where, j->x->msg, "%.*s", STR_ARG(text));
    return TEST_OK;
}

static enum acl_test do_delay(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)l;
    int64_t seconds = time_interval(arg);
    if (seconds < 0) {
        j->log =
            str_fmt(j->x->pool,
                    "syntax error in argument for \"delay\" modifier: \"%.*s\" is not a time value",
                    STR_ARG(arg));
        return TEST_ERROR;
    }
    struct session *s = j->x->sess;
    TRACE_IN(TR_acl | TR_bh, "delay modifier requests %lld-second delay", (long long)seconds);
    if (s->host_checking || j->x->testing) {
        TRACE_IN(TR_acl | TR_bh, "delay skipped in -bh checking mode");
        return TEST_OK;
    }
    if (s->stream && !s->no_delay_flush) {
        stream_flush(s->stream);
    }
    while (seconds > 0) {
        seconds = sleep((unsigned)seconds);
    }
    return TEST_OK;
}

static enum acl_test do_queue(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)l;
    if (str_chr(arg, '/') >= 0) {
        j->log = str_fmt(j->x->pool, "Directory separator not permitted in queue name: \"%.*s\"",
                         STR_ARG(arg));
        return TEST_ERROR;
    }
    if (arg.tainted) {
        j->log = str_fmt(j->x->pool, "Tainted name '%.*s' for queue not permitted", STR_ARG(arg));
        return TEST_ERROR;
    }
    j->x->msg->queue_name = keep(j, arg);
    return TEST_OK;
}

/* ---- rows ---- */

#define NOT(allowed) (ACL_ALL & ~(unsigned)(allowed))
#define FINAL_HEADERS NOT(ACL_MESSAGE)
#define RECIPIENT NOT(ACL_RCPT | ACL_PRDR)
#define SENDER_KNOWN \
    (ACL_AUTH | ACL_CONNECT | ACL_HELO | ACL_MAILAUTH | ACL_QUIT | ACL_NOTQUIT | ACL_ETRN | \
     ACL_EXPN | ACL_STARTTLS | ACL_VRFY)
#define NOT_SMTP (ACL_NOTSMTP | ACL_NOTSMTP_START)

#define UNSUPPORTED(name) \
    { \
        name, AC_UNSUPPORTED, OPT_END, 0, NULL, "", NULL \
    }

const struct acl_condition acl_conditions[] = {
    {"acl", 0, OPT_END, 0, test_acl, "the ACL named, with up to nine arguments, accepts", NULL},
    {"add_header", AC_MODIFIER | AC_EXPAND, OPT_END, NOT(ACL_MESSAGE), do_add_header,
     "adds header lines to the message", NULL},
    {"authenticated", AC_LIST, OPT_LOCALPARTS,
     ACL_NOTSMTP | ACL_NOTSMTP_START | ACL_CONNECT | ACL_HELO, test_authenticated,
     "the client authenticated with one of the mechanisms", NULL},
    {"condition", AC_EXPAND, OPT_END, 0, test_condition, "the text is a true value", NULL},
    {"continue", AC_MODIFIER | AC_EXPAND, OPT_END, 0, do_nothing,
     "expands its text for the effect of doing so", NULL},
    {"control", AC_MODIFIER | AC_EXPAND, OPT_END, 0, acl_control,
     "affects how the message or the connection is handled", acl_control_check},
    {"delay", AC_MODIFIER | AC_EXPAND, OPT_END, ACL_NOTQUIT, do_delay, "waits", NULL},
    {"dnslists", AC_EXPAND, OPT_END, NOT_SMTP, acl_dnslists,
     "a DNS list has the client or the given key", NULL},
    {"domains", AC_LIST, OPT_DOMAINS, RECIPIENT, test_domains,
     "the recipient's domain is in the list", NULL},
    {"encrypted", AC_LIST, OPT_LOCALPARTS, ACL_NOTSMTP | ACL_NOTSMTP_START | ACL_CONNECT,
     test_encrypted, "the connection is encrypted with one of the ciphers", NULL},
    {"endpass", AC_MODIFIER | AC_ENDPASS | AC_NO_ARG, OPT_END, 0, NULL,
     "conditions below it refuse when they fail", NULL},
    {"hosts", AC_LIST, OPT_HOSTS, NOT_SMTP, test_hosts, "the client is in the list", NULL},
    {"local_parts", AC_LIST, OPT_LOCALPARTS, RECIPIENT, test_local_parts,
     "the recipient's local part is in the list", NULL},
    {"log_message", AC_MODIFIER | AC_LOG_MESSAGE, OPT_END, 0, NULL, "text for the log", NULL},
    {"log_reject_target", AC_MODIFIER | AC_EXPAND, OPT_END, 0, do_log_reject_target,
     "logs that tell of a rejection", NULL},
    {"logwrite", AC_MODIFIER | AC_EXPAND, OPT_END, 0, do_logwrite, "writes a log line at once",
     NULL},
    {"message", AC_MODIFIER | AC_MESSAGE, OPT_END, 0, NULL, "text for the client", NULL},
    {"queue", AC_MODIFIER | AC_EXPAND, OPT_END,
     NOT(ACL_MESSAGE & ~(unsigned)(ACL_NOTSMTP_START | ACL_DKIM)), do_queue,
     "puts the message on the queue named", NULL},
    {"ratelimit", AC_EXPAND, OPT_END, 0, acl_ratelimit, "the client sends faster than the limit",
     acl_ratelimit_check},
    {"recipients", AC_LIST, OPT_ADDRESSES, RECIPIENT, test_recipients,
     "the recipient is in the list", NULL},
    {"remove_header", AC_MODIFIER | AC_EXPAND, OPT_END, NOT(ACL_MESSAGE), do_remove_header,
     "removes header lines from the message", NULL},
    {"sender_domains", AC_LIST, OPT_DOMAINS, SENDER_KNOWN, test_sender_domains,
     "the sender's domain is in the list", NULL},
    {"senders", AC_LIST, OPT_ADDRESSES, SENDER_KNOWN, test_senders, "the sender is in the list",
     NULL},
    {"set", AC_MODIFIER | AC_EXPAND, OPT_END, 0, do_set, "sets a variable", NULL},
    {"verify", AC_EXPAND, OPT_END, 0, acl_verify, "something about the message proves to be right",
     acl_verify_check},
    UNSUPPORTED("atrn_domains"),
    UNSUPPORTED("decode"),
    UNSUPPORTED("demime"),
    UNSUPPORTED("dkim_signers"),
    UNSUPPORTED("dkim_status"),
    UNSUPPORTED("dmarc_status"),
    UNSUPPORTED("malware"),
    UNSUPPORTED("mime_regex"),
    UNSUPPORTED("regex"),
    UNSUPPORTED("seen"),
    UNSUPPORTED("spam"),
    UNSUPPORTED("spf"),
    UNSUPPORTED("spf_guess"),
    UNSUPPORTED("udpsend"),
    {NULL, 0, OPT_END, 0, NULL, NULL, NULL},
};

bool acl_word(size_t i, struct acl_word *out)
{
    if (i + 1 >= ARRAY_LEN(acl_conditions)) {
        return false;
    }
    const struct acl_condition *row = &acl_conditions[i];
    *out = (struct acl_word){.name = row->name,
                             .doc = row->doc,
                             .modifier = row->flags & AC_MODIFIER,
                             .supported = !(row->flags & AC_UNSUPPORTED)};
    return true;
}

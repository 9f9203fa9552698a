/*
 * The `verify` condition: recipient, sender, header lines, HELO name, reverse look-up.
 *
 * Addresses are verified in verify_address.c. Messages go to j->user and j->log; a sender that
 * failed is remembered in j->bad_sender, so that the refusal can say more, and on the message's
 * notes, so that it is verified once per message.
 */
#include "acl/internal.h"
#include "tls/tls.h"

#include <ctype.h>

/* A parsed verify condition. */
struct verify {
    const struct verify_row *row;
    struct str value; /* sender=ADDRESS; unset if none */
    bool has_value, defer_ok, callout_defer_ok, no_details, check_postmaster, caseless;
    struct verify_how how;
    struct str error;
};

struct verify_row {
    const char *name;
    unsigned allowed; /* phases; 0: all */
    bool has_value, has_options, unsupported;
    enum acl_test (*run)(struct acl_job *j, struct verify *v);
};

/* ---- addresses ---- */

static enum acl_test from_verify(enum verify_result rc)
{
    return rc == VERIFY_OK ? TEST_OK : rc == VERIFY_FAIL ? TEST_FAIL : TEST_DEFER;
}

/* A deferral that the options let pass. */
static bool forgiven(const struct acl_job *j, const struct verify *v, enum acl_test rc)
{
    return rc == TEST_DEFER && (v->defer_ok || (v->how.callout.defer_ok && j->callout_defer));
}

static bool callout_deferred(const struct address *a)
{
    return a && a->basic_errno == ERRNO_CALLOUTDEFER;
}

static enum acl_test verify_recipient(struct acl_job *j, struct verify *v)
{
    struct address *a = NULL, *rcpt = j->x->addr;
    enum acl_test rc = from_verify(verify_do(j->x, rcpt->address, &v->how, &a));
    TRACE_IN(TR_acl | TR_bh, "----------- end verify ------------");
    j->callout_defer = rc == TEST_DEFER && callout_deferred(a);
    if (a) { /* what the routers found out */
        rcpt->address_data = a->address_data;
        rcpt->vars = a->vars;
        rcpt->prefix = a->prefix;
        rcpt->prefix_v = a->prefix_v;
        rcpt->suffix = a->suffix;
        rcpt->suffix_v = a->suffix_v;
    }
    if (rc == TEST_OK || forgiven(j, v, rc)) {
        return TEST_OK;
    }
    j->log = a->message;
    j->user = str_unset(a->user_message) ? a->message : a->user_message;
    j->temp_details |= rc == TEST_DEFER && !str_empty(a->user_message);
    return rc;
}

/* A sender that was verified already for this message; its result in *rc. */
static struct address *known_sender(struct acl_job *j, struct str sender, enum acl_test *rc)
{
    for (struct address *a = j->note->senders; a; a = a->next) {
        if (str_eq(a->unique, sender)) {
            *rc = a->outcome == ADDR_OK      ? TEST_OK
                  : a->outcome == ADDR_DEFER ? TEST_DEFER
                                             : TEST_FAIL;
            return a;
        }
    }
    return NULL;
}

static struct address *remember_sender(struct acl_job *j, struct str sender, struct address *found,
                                       enum acl_test rc)
{
    struct address *a = POOL_NEW(j->x->msg->pool, struct address);
    if (found) {
        *a = *found;
    }
    a->address = str_dup(j->x->msg->pool, sender);
    a->unique = a->address;
    a->outcome = rc == TEST_OK ? ADDR_OK : rc == TEST_DEFER ? ADDR_DEFER : ADDR_FAIL;
    a->next = j->note->senders;
    j->note->senders = a;
    return a;
}

/* What the log and the client are told of a sender that did not verify. */
static void blame_sender(struct acl_job *j, const struct verify *v, enum acl_test rc,
                         struct address *a)
{
    if (rc == TEST_FAIL) {
        j->log = j->user = STR("Sender verify failed");
    } else if (!j->callout_defer) {
        j->log = j->user = STR("Could not complete sender verify");
    } else {
        j->log = STR("Could not complete sender verify callout");
        j->user = acl_settings(j->x->conf)->smtp_return_error_details ? a->user_message : j->log;
    }
    if (v->no_details) {
        j->note->told_bad_sender = true;
    }
    j->bad_sender = a;
}

static enum acl_test verify_sender(struct acl_job *j, struct verify *v)
{
    struct str sender = v->has_value ? v->value : j->x->msg->sender;
    if (str_empty(sender)) {
        return TEST_OK; /* the null sender needs no verification */
    }
    enum acl_test rc;
    struct address *a = known_sender(j, sender, &rc);
    if (a && !v->how.callout.wanted && a->transport) {
        rc = TEST_OK; /* what failed was a callout, which is not asked for now */
    }
    if (a && !v->how.callout.wanted) {
        TRACE_IN(TR_acl | TR_bh, "using cached sender verify result");
    } else {
        struct address *found = NULL;
        rc = from_verify(verify_do(j->x, sender, &v->how, &found));
        TRACE_IN(TR_acl | TR_bh, "----------- end verify ------------");
        a = remember_sender(j, sender, found, rc);
        j->note->told_bad_sender = false;
    }
    j->callout_defer = rc == TEST_DEFER && callout_deferred(a);
    j->note->sender_address_data = a->address_data;
    if (rc == TEST_OK || forgiven(j, v, rc)) {
        return TEST_OK;
    }
    blame_sender(j, v, rc, a);
    return rc;
}

/* ---- header lines ---- */

/* A fault of the header section: the log has it, the client if smtp_return_error_details says so. */
static enum acl_test header_fault(struct acl_job *j, struct str error)
{
    j->log = error;
    if (acl_settings(j->x->conf)->smtp_return_error_details) {
        j->user = STR_CAT(j->x->pool, STR("Rejected after DATA: "), error);
    } else {
        j->note->verify_message = error;
    }
    return TEST_FAIL;
}

static enum acl_test verify_header_syntax(struct acl_job *j, struct verify *v)
{
    (void)v;
    struct str error;
    return headers_check_syntax(j->x->pool, j->x->msg, mailbox_flags(j->x->conf), &error)
               ? TEST_OK
               : header_fault(j, error);
}

static enum acl_test verify_header_names(struct acl_job *j, struct verify *v)
{
    (void)v;
    for (struct header *h = j->x->msg->headers; h; h = h->next) {
        struct str name = header_name(h);
        for (uint32_t i = 0; h->type != '*' && i < name.len; i++) {
            if ((unsigned char)name.p[i] < 33 || (unsigned char)name.p[i] > 126) {
                return header_fault(j, str_fmt(j->x->pool,
                                               "Invalid character in header \"%.*s\" found",
                                               STR_ARG(name)));
            }
        }
    }
    return TEST_OK;
}

struct visible {
    struct str address;
    bool found, caseful;
};

static bool note_visible(void *closure, const struct mailbox *m)
{
    struct visible *v = closure;
    v->found =
        v->found || (v->caseful ? str_eq(m->text, v->address) : str_eqi(m->text, v->address));
    return !v->found;
}

/* verify = not_blind: every recipient stands in To: or Cc:. */
static enum acl_test verify_not_blind(struct acl_job *j, struct verify *v)
{
    const struct message *m = j->x->msg;
    for (size_t i = 0; i < m->recipient_count; i++) {
        struct visible seen = {m->recipients[i].address, false, !v->caseless};
        for (struct header *h = m->headers; h && !seen.found; h = h->next) {
            if (h->type == 'T' || h->type == 'C') {
                struct str error;
                mailbox_each(j->x->pool, header_body(h), mailbox_flags(j->x->conf), note_visible,
                             &seen, &error);
            }
        }
        if (!seen.found) {
            return header_fault(j, STR("bcc recipient detected"));
        }
    }
    return TEST_OK;
}

struct header_senders {
    struct acl_job *j;
    struct verify *v;
    struct str header; /* its name */
    enum acl_test rc;
    bool ok;
};

static bool check_header_sender(void *closure, const struct mailbox *m)
{
    struct header_senders *s = closure;
    struct acl_job *j = s->j;
    struct address *a = NULL;
    enum acl_test rc = from_verify(verify_do(j->x, m->text, &s->v->how, &a));
    if (rc == TEST_OK) {
        s->ok = true;
        return false;
    }
    j->callout_defer = rc == TEST_DEFER && callout_deferred(a);
    if (forgiven(j, s->v, rc)) {
        s->ok = true;
        return false;
    }
    struct pool *pool = j->x->pool;
    struct str why = str_unset(a->user_message) ? a->message : a->user_message;
    j->log = str_fmt(pool, "%s header verify failed for <%.*s>: %.*s",
                     "all attempts to verify a sender in a", STR_ARG(m->text), STR_ARG(why));
    j->user =
        str_fmt(pool, "Rejected after DATA: could not verify \"%.*s\" header address\n%.*s: %.*s",
                STR_ARG(s->header), STR_ARG(m->text), STR_ARG(why));
    s->rc = rc;
    return true;
}

/* The client learns why only where smtp_return_error_details is set. */
static enum acl_test without_details(struct acl_job *j, enum acl_test rc)
{
    if (!acl_settings(j->x->conf)->smtp_return_error_details) {
        j->user = STR_NONE;
        return rc;
    }
    if (str_unset(j->user)) {
        j->user = STR_CAT(j->x->pool, STR("Rejected after DATA: "), j->log);
    }
    j->temp_details |= rc == TEST_DEFER;
    return rc;
}

static enum acl_test verify_header_sender(struct acl_job *j, struct verify *v)
{
    static const char kinds[] = {'S', 'R', 'F'};
    struct header_senders s = {.j = j, .v = v, .rc = TEST_FAIL};
    v->how.is_sender = v->how.header = true;
    j->log = STR("there is no valid sender in any header line");
    j->user = STR_NONE;
    for (size_t i = 0; i < sizeof kinds && !s.ok; i++) {
        for (struct header *h = j->x->msg->headers; h && !s.ok; h = h->next) {
            struct str error, bad;
            if (h->type != kinds[i]) {
                continue;
            }
            s.header = STR_CAT(j->x->pool, header_name(h), STR(":"));
            if (!mailbox_walk(j->x->pool, header_body(h), mailbox_flags(j->x->conf),
                              check_header_sender, &s, &error, &bad)) {
                j->log = str_fmt(j->x->pool,
                                 "syntax error in '%.*s' header when scanning for sender: "
                                 "%.*s in \"%.*s\"",
                                 STR_ARG(s.header), STR_ARG(error), STR_ARG(bad));
                return without_details(j, TEST_FAIL);
            }
        }
    }
    if (s.ok) {
        j->log = j->user = STR_NONE;
        return TEST_OK;
    }
    j->log = s.rc == TEST_DEFER ? STR("all attempts to verify a sender in a header line deferred")
                                : STR("there is no valid sender in any header line");
    return without_details(j, s.rc);
}

/* ---- the client ---- */

static enum acl_test verify_helo(struct acl_job *j, struct verify *v)
{
    (void)v;
    if (!acl_verify_helo(j->x)) {
        return TEST_DEFER;
    }
    return j->x->sess->helo_verified ? TEST_OK : TEST_FAIL;
}

static enum acl_test verify_reverse(struct acl_job *j, struct verify *v)
{
    struct session *s = j->x->sess;
    bool failed_before = s->host_lookup_failed;
    if (!str_empty(s->host_address) && str_empty(s->host_name) && !s->host_lookup_done) {
        TRACE(TR_acl | TR_bh, "looking up host name to force name/address consistency check");
    }
    if (str_empty(s->host_address) || session_host_name(j->x)) {
        return TEST_OK;
    }
    if (s->host_lookup_deferred) {
        j->log = STR("host lookup deferred for reverse lookup check");
        return v->defer_ok ? TEST_OK : TEST_DEFER;
    }
    j->log = STR_CAT(j->x->pool, STR("host lookup failed"),
                     failed_before ? STR("") : STR(" for reverse lookup check"), STR(" ("),
                     s->host_lookup_why, STR(")"));
    j->user = STR_NONE;
    return TEST_FAIL;
}

static enum acl_test verify_certificate(struct acl_job *j, struct verify *v)
{
    const struct session *s = j->x->sess;
    (void)v;
    if (s && s->tls && s->tls->verified) {
        return TEST_OK;
    }
    j->user = STR("no verified certificate");
    return TEST_FAIL;
}

/* ---- parsing ---- */

static const struct verify_row rows[] = {
    {"recipient", ACL_RCPT | ACL_PRDR, false, true, false, verify_recipient},
    {"sender", ACL_MAIL | ACL_RCPT | ACL_PREDATA | ACL_MIME | ACL_DATA | ACL_PRDR | ACL_NOTSMTP,
     true, true, false, verify_sender},
    {"header_syntax", ACL_DATA | ACL_NOTSMTP, false, false, false, verify_header_syntax},
    {"header_sender", ACL_DATA | ACL_NOTSMTP, false, true, false, verify_header_sender},
    {"header_names_ascii", ACL_DATA | ACL_NOTSMTP, false, false, false, verify_header_names},
    {"not_blind", ACL_DATA | ACL_NOTSMTP, false, true, false, verify_not_blind},
    {"helo", 0, false, false, false, verify_helo},
    {"reverse_host_lookup", 0, false, true, false, verify_reverse},
    {"certificate", 0, false, false, false, verify_certificate},
    {"csa", 0, true, true, true, NULL},
    {"arc", 0, true, true, true, NULL},
};

static bool set_error(struct pool *pool, struct verify *v, struct str what, struct str arg)
{
    v->error = str_fmt(pool, "%.*s in ACL condition \"verify %.*s\"", STR_ARG(what), STR_ARG(arg));
    return false;
}

/* One /option. */
static bool parse_option(struct pool *pool, struct verify *v, struct str opt, struct str arg)
{
    struct callout *c = &v->how.callout;
    if (str_is(opt, "defer_ok")) {
        v->defer_ok = true;
    } else if (str_is(opt, "callout_defer_ok")) {
        c->defer_ok = true;
    } else if (str_is(opt, "no_details")) {
        v->no_details = true;
    } else if (str_is(opt, "success_on_redirect")) {
        v->how.success_on_redirect = true;
    } else if (str_is(opt, "case_insensitive") && v->row->run == verify_not_blind) {
        v->caseless = true;
    } else if (str_is(opt, "check_postmaster")) {
        c->postmaster = true;
    } else if (str_starts(opt, "callout")) {
        struct str params = str_ltrim(str_from(opt, 7));
        if (str_starts(params, "=")) {
            params = str_trim(str_from(params, 1));
        } else if (!str_empty(params)) {
            return set_error(pool, v, str_fmt(pool, "malformed option \"%.*s\"", STR_ARG(opt)),
                             arg);
        }
        struct str error;
        if (!callout_parse(pool, params, c, &error)) {
            return set_error(pool, v, error, arg);
        }
    } else {
        return set_error(pool, v, str_fmt(pool, "unknown option \"%.*s\"", STR_ARG(opt)), arg);
    }
    return true;
}

/* The row whose name the text begins with; the rest (from '=' or '/') in *rest. */
static const struct verify_row *find_row(struct str arg, struct str *rest)
{
    uint32_t n = 0;
    while (n < arg.len && arg.p[n] != '=' && arg.p[n] != '/' && !isspace((unsigned char)arg.p[n])) {
        n++;
    }
    struct str word = str_sub(arg, 0, n);
    *rest = str_ltrim(str_from(arg, n));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_isi(word, rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool parse(struct pool *pool, struct str arg, struct verify *v)
{
    struct str rest, opt;
    *v = (struct verify){.row = find_row(arg, &rest)};
    if (!v->row) {
        v->error = str_fmt(
            pool,
            "expected \"sender[=address]\", \"recipient\", \"helo\", \"header_syntax\", \"header_sender\", "
            "\"header_names_ascii\" or \"reverse_host_lookup\" at start of ACL condition \"verify %.*s\"",
            STR_ARG(arg));
        return false;
    }
    if (v->row->unsupported) {
        v->error = str_fmt(pool, "\"verify = %s\" is not supported by this version of minim",
                           v->row->name);
        return false;
    }
    if (str_starts(rest, "=")) {
        if (!v->row->has_value) {
            v->error = str_fmt(pool, "unexpected '=' found in ACL verify condition \"%.*s\"",
                               STR_ARG(arg));
            return false;
        }
        ptrdiff_t slash = str_chr(rest, '/');
        v->has_value = true;
        v->value = str_trim(slash < 0 ? str_from(rest, 1) : str_sub(rest, 1, (size_t)slash - 1));
        rest = slash < 0 ? STR("") : str_from(rest, (size_t)slash);
    }
    if (!str_empty(rest) && !v->row->has_options) {
        v->error = str_fmt(pool, "unexpected options found in ACL verify condition \"%.*s\"",
                           STR_ARG(arg));
        return false;
    }
    while (str_next(&rest, '/', &opt)) {
        opt = str_trim(opt);
        if (!str_empty(opt) && !parse_option(pool, v, opt, arg)) {
            return false;
        }
    }
    return true;
}

bool acl_verify_check(struct opt_reader *r, struct str text)
{
    struct verify v;
    return parse(r->pool, text, &v) ? true : opt_error(r, "%.*s", STR_ARG(v.error));
}

enum acl_test acl_verify(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)l;
    struct verify v;
    if (!parse(j->x->pool, arg, &v)) {
        j->log = v.error;
        return TEST_ERROR;
    }
    if (v.row->allowed && !(v.row->allowed & j->where)) {
        j->log = str_fmt(j->x->pool, "cannot verify %s in ACL for %s", v.row->name,
                         acl_where_name(j->where));
        return TEST_ERROR;
    }
    v.how.is_sender = v.row->run == verify_sender;
    enum acl_test rc = v.row->run(j, &v);
    if (!str_unset(j->user)) {
        j->note->verify_message = j->user;
    }
    return rc;
}

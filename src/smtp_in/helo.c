/*
 * HELO and EHLO (RFC 5321 4.1.1.1): the name the client gives itself, its verification, the HELO
 * ACL, and the list of extensions.
 * A name with characters that are not allowed is refused and logged; names live in the session's
 * pool.
 */
#include "smtp_in/internal.h"

/* A rejected argument counts as a syntax error of its own kind. */
static enum conv_end bad_argument(struct conv *c, const char *hello, struct str arg)
{
    reply(c, "501 Syntactically invalid %s argument(s)", hello);
    struct str who = conv_who(c, false);
    struct str shown = str_empty(arg) ? STR("(no argument given)") : conv_printable(c, arg);
    log_write(LOG_MAIN | LOG_REJECT,
              "rejected %s from %.*s: syntactically invalid argument(s): %.*s", hello, STR_ARG(who),
              STR_ARG(shown));
    return reply_count_error(c) ? END_DROP : GO_ON;
}

/* helo_verify_hosts and helo_try_verify_hosts. False after refusing. */
static bool verify_name(struct conv *c, const char *hello)
{
    struct session *s = c->sess;
    s->helo_verified = s->helo_checked = false;
    if (!c->helo_verify && !c->helo_verify_required) {
        return true;
    }
    bool known = acl_verify_helo(&c->x);
    if (!s->helo_verified && !c->helo_verify_required) {
        TRACE(TR_receive | TR_bh, "HELO verification failed but host is in helo_try_verify_hosts");
    }
    if (s->helo_verified || !c->helo_verify_required) {
        return true;
    }
    reply(c, "%d %s argument does not match calling host", known ? 550 : 451, hello);
    struct str who = conv_who(c, false);
    log_write(LOG_MAIN | LOG_REJECT, "%srejected \"%s %.*s\" from %.*s",
              known ? "" : "temporarily ", hello, STR_ARG(s->helo_name), STR_ARG(who));
    return false;
}

/* The first line: the ACL's or our own. */
static void greet(struct conv *c, struct acl_reply *r, struct buf *out)
{
    struct session *s = c->sess;
    if (str_unset(r->user)) {
        buf_addf(out, "250 %.*s Hello ", STR_ARG(s->active_hostname));
        if (!str_empty(s->ident)) {
            buf_adds(out, s->ident);
            buf_addz(out, " at ");
        }
        buf_adds(out, str_empty(s->host_name) ? s->helo_name : s->host_name);
        if (!str_empty(s->host_address)) {
            buf_addf(out, " [%.*s]", STR_ARG(s->host_address));
        }
        return;
    }
    struct str code = STR("250 ");
    reply_code(c->msg_pool, &code, &r->user, NULL, true);
    ptrdiff_t nl = str_any_in(r->user, "\r\n") ? 0 : -1;
    if (nl == 0) {
        struct str shown = conv_printable(c, r->user);
        log_write(LOG_MAIN | LOG_PANIC,
                  "EHLO/HELO response must not contain newlines: message truncated: %.*s%.*s",
                  STR_ARG(code), STR_ARG(shown));
        uint32_t n = 0;
        while (n < r->user.len && r->user.p[n] != '\n' && r->user.p[n] != '\r') {
            n++;
        }
        r->user = str_sub(r->user, 0, n);
    }
    buf_adds(out, code);
    buf_adds(out, r->user);
}

static void extensions(struct conv *c, struct buf *out)
{
    const struct smtp_in_settings *set = c->set;
    if (c->size_limit > 0) {
        buf_addf(out, "\r\n250-SIZE %llu", (unsigned long long)c->size_limit);
    } else {
        buf_addz(out, "\r\n250-SIZE");
    }
    c->advertised_8bit = set->accept_8bitmime;
    c->advertised_dsn = conv_host_in(c, &set->dsn_advertise_hosts);
    c->advertised_pipelining =
        !c->sess->no_pipelining_advertise && conv_host_in(c, &set->pipelining_advertise_hosts);
    c->advertised_chunking = conv_host_in(c, &set->chunking_advertise_hosts);
    c->sess->pipelining_advertised = c->advertised_pipelining;
    c->advertised_tls = conv_offers_tls(c);
    const struct {
        bool on;
        const char *name;
    } rows[] = {
        {c->advertised_8bit, "8BITMIME"},
        {c->advertised_dsn, "DSN"},
        {!str_unset(set->acl_smtp_etrn.text), "ETRN"},
        {!str_unset(set->acl_smtp_vrfy.text), "VRFY"},
        {!str_unset(set->acl_smtp_expn.text), "EXPN"},
        {c->advertised_pipelining, "PIPELINING"},
        {c->advertised_chunking, "CHUNKING"},
        {c->advertised_tls, "STARTTLS"},
        {set->prdr_enable, "PRDR"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].on) {
            buf_addf(out, "\r\n250-%s", rows[i].name);
        }
    }
    buf_addz(out, "\r\n250 HELP");
}

struct str conv_protocol(const struct conv *c)
{
    const struct session *s = c->sess;
    bool auth = c->ehlo && !str_empty(s->auth_mechanism);
    if (c->batch) {
        return STR("local-bsmtp");
    }
    return STR_CAT(s->pool, str_empty(s->host_address) ? STR("local-") : STR(""),
                   c->ehlo ? STR("esmtp") : STR("smtp"), s->tls ? STR("s") : STR(""),
                   auth ? STR("a") : STR(""));
}

enum conv_end cmd_helo(struct conv *c, const struct smtp_line *l)
{
    struct session *s = c->sess;
    bool ehlo = l->cmd == CMD_EHLO;
    const char *hello = ehlo ? "EHLO" : "HELO";
    c->cmd_arg = l->arg;
    if (!c->helo_junk && !smtp_helo_ok(l->arg, c->set->helo_allow_chars)) {
        return bad_argument(c, hello, l->arg);
    }
    s->helo_name = str_dup(s->pool, l->arg);
    s->host_name_unshown = false;
    s->esmtp = c->ehlo = ehlo;
    if (!str_empty(s->host_address)) {
        if (str_empty(s->host_name) &&
            match_domain(&c->x, &c->set->helo_lookup_domains, s->helo_name, NULL) == MATCH_YES) {
            session_host_name(&c->x);
        }
        if (!verify_name(c, hello)) {
            return GO_ON;
        }
    }
    struct acl_reply r = {.user = STR_NONE};
    if (!str_unset(c->set->acl_smtp_helo.text)) {
        enum acl_result rc = conv_acl(c, ACL_HELO, &c->set->acl_smtp_helo, &r);
        if (rc != ACL_ACCEPT) {
            enum conv_end end = reply_acl(c, ACL_HELO, rc, &r);
            s->helo_name = STR_NONE;
            return end;
        }
    }
    struct buf out;
    buf_init(&out, c->msg_pool, 1 << 14);
    c->advertised_pipelining = c->advertised_chunking = c->advertised_dsn = c->advertised_8bit =
        c->advertised_tls = false;
    s->pipelining_advertised = false;
    greet(c, &r, &out);
    if (ehlo) {
        out.p[3] = '-';
        extensions(c, &out);
    }
    struct str text = buf_str(&out);
    reply(c, "%.*s", STR_ARG(text));
    c->helo_seen = true;
    s->protocol = conv_protocol(c);
    conv_reset(c);
    return GO_ON;
}

/*
 * TLS of a conversation: STARTTLS (RFC 3207), TLS from the first byte on, and what the main options
 * say about it for this client, evaluated when it asks and not before.
 *
 * The facts of the connection are the session's from then on. What went wrong is logged here, as
 * "TLS error on connection from …"; the client has been answered if it can be.
 */
#include "smtp_in/internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>

/* ---- what the options say ---- */

/* An option that is expanded for the connection. */
struct setting {
    const char *name;
    size_t from, to; /* struct etext of tls_settings; struct str of tls_side */
    bool by_name;    /* it is expanded anew for the server name a client sends */
};

#define ROW(option, field, by_name) \
    { \
        option, offsetof(struct tls_settings, field), offsetof(struct tls_side, field), by_name \
    }

static const struct setting settings[] = {
    ROW("tls_certificate", certificate, true),
    ROW("tls_privatekey", privatekey, true),
    ROW("tls_ocsp_file", ocsp_file, true),
    ROW("tls_verify_certificates", verify_certificates, true),
    ROW("tls_crl", crl, true),
    ROW("tls_backend", backend, false),
    ROW("tls_require_ciphers", require_ciphers, false),
    ROW("tls_dhparam", dhparam, false),
    ROW("tls_eccurve", eccurve, false),
    ROW("tls_alpn", alpn, false),
    ROW("tls_resumption_key_file", resumption_key_file, false),
};

/* Expands the settings into the side; a forced failure leaves one unset. False with *why. */
static bool expand_settings(struct ectx *x, struct tls_side *side, bool by_name, struct str *why)
{
    const struct tls_settings *set = tls_settings(x->conf);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const struct setting *s = &settings[i];
        const void *from = (const char *)set + s->from;
        void *to = (char *)side + s->to;
        struct str value;
        if (by_name && !s->by_name) {
            continue;
        }
        if (!expand_option(x, from, &value)) {
            if (!x->forced_fail) {
                *why = str_fmt(x->pool, "expansion of %s failed: %.*s", s->name, STR_ARG(x->error));
                log_write(LOG_MAIN | LOG_PANIC, "%.*s", STR_ARG(*why));
                return false;
            }
            value = STR_NONE;
        }
        *(struct str *)to = value;
    }
    return true;
}

/* The client named the server it wants; the names of files may depend on that. */
static bool named(void *closure, struct tls_side *side, struct str sni, struct str *why)
{
    struct conv *c = closure;
    struct tls_facts facts = {.sni = sni};
    c->sess->tls = &facts;
    bool ok = expand_settings(&c->x, side, true, why);
    c->sess->tls = NULL;
    return ok;
}

/* Whatever does not depend on the client. */
static void fill_common(const struct config *conf, struct tls_side *side)
{
    const struct tls_settings *set = tls_settings(conf);
    *side = (struct tls_side){.conf = conf,
                              .server = true,
                              .openssl_options = set->openssl_options,
                              .dh_bits = set->dh_max_bits,
                              .gnutls_compat = set->gnutls_compat_mode};
}

static bool fill_side(struct conv *c, struct tls_side *side)
{
    const struct tls_settings *set = tls_settings(c->conf);
    struct str why;
    fill_common(c->conf, side);
    side->verify = conv_host_in(c, &set->verify_hosts)       ? TLS_VERIFY_MUST
                   : conv_host_in(c, &set->try_verify_hosts) ? TLS_VERIFY_TRY
                                                             : TLS_VERIFY_OFF;
    side->resume = conv_host_in(c, &set->resumption_hosts);
    side->require_alpn = conv_host_in(c, &set->require_alpn_hosts);
    side->timeout = c->receive_timeout;
    side->peer = conv_who(c, false);
    if (str_find(set->certificate.text, STR("tls_in_sni")) >= 0) {
        side->on_sni = named;
        side->closure = c;
    }
    return expand_settings(&c->x, side, false, &why);
}

/* True if the host list names somebody. */
static bool names_hosts(const struct etext *list)
{
    return !str_empty(str_trim(list->text));
}

void smtp_in_prepare(const struct config *conf)
{
    const struct tls_settings *set = tls_settings(conf);
    struct tls_side side;
    struct ectx x;
    struct tls_error error;
    struct str why;
    bool fixed = true;
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const struct etext *e = (const void *)((const char *)set + settings[i].from);
        fixed &= !e->tree;
    }
    if (!names_hosts(&set->advertise_hosts) && str_empty(set->on_connect_ports.text)) {
        return;
    }
    if (names_hosts(&set->resumption_hosts)) {
        tls_tickets_prepare();
    }
    if (!fixed) {
        return;
    }
    struct pool *pool = pool_new("tls");
    ectx_init(&x, conf, pool);
    fill_common(conf, &side);
    side.verify = names_hosts(&set->verify_hosts)       ? TLS_VERIFY_MUST
                  : names_hosts(&set->try_verify_hosts) ? TLS_VERIFY_TRY
                                                        : TLS_VERIFY_OFF;
    side.resume = names_hosts(&set->resumption_hosts);
    if (expand_settings(&x, &side, false, &why)) {
        tls_ready(pool, &side, &error);
    }
    pool_free(&pool);
}

bool smtp_in_tls_port(const struct config *conf, int port)
{
    const struct tls_settings *set = tls_settings(conf);
    if (str_empty(set->on_connect_ports.text)) {
        return false;
    }
    struct pool *pool = pool_new("tls_on_connect_ports");
    struct ectx x;
    struct str list, item;
    int64_t n;
    int sep = 0;
    bool found = false;
    ectx_init(&x, conf, pool);
    if (!expand_option(&x, &set->on_connect_ports, &list)) {
        list = STR("");
    }
    while (!found && net_list_next(pool, &list, &sep, &item)) {
        const struct servent *service =
            str_to_i64(item, &n) ? NULL : getservbyname(str_cstr(pool, item), "tcp");
        found =
            service ? ntohs((uint16_t)service->s_port) == port : str_to_i64(item, &n) && n == port;
    }
    pool_free(&pool);
    return found;
}

/* ---- starting ---- */

static void log_error(struct conv *c, struct str text)
{
    struct str name = conv_name(c);
    log_write(LOG_MAIN, "TLS error on %.*s %.*s", STR_ARG(str_from(name, strlen("SMTP "))),
              STR_ARG(text));
}

/* All that was said in clear is forgotten (RFC 3207 4.2). */
static void forget(struct conv *c)
{
    struct session *s = c->sess;
    bool keep = tls_settings(c->conf)->remember_esmtp;
    s->helo_name = STR_NONE;
    s->helo_verified = s->helo_checked = false;
    c->ehlo_free = true;
    if (!keep) {
        c->helo_seen = c->ehlo = s->esmtp = false;
        c->advertised_pipelining = c->advertised_chunking = c->advertised_dsn = c->advertised_8bit =
            s->pipelining_advertised = false;
    }
    s->protocol = conv_protocol(c);
}

/* The handshake. False after logging, with *error. */
static bool start(struct conv *c, struct tls_side *side, struct tls_error *error)
{
    struct tls_facts *facts;
    if (!tls_start(c->sess->pool, c->io, side, &facts, error)) {
        log_error(c, error->text);
        return false;
    }
    c->sess->tls = facts;
    forget(c);
    if (facts->verified && !str_empty(facts->peercert)) {
        auth_on_tls(&c->x);
    }
    return true;
}

enum conv_end conv_tls_on_connect(struct conv *c)
{
    struct tls_side side;
    struct tls_error error;
    c->no_mail_logged = true; /* without TLS it never was an SMTP connection */
    if (!fill_side(c, &side)) {
        return END_DROP;
    }
    if (!tls_ready(c->msg_pool, &side, &error)) {
        log_error(c, error.text);
        return END_DROP;
    }
    c->sess->tls_on_connect = true;
    if (!start(c, &side, &error)) {
        return END_DROP;
    }
    c->no_mail_logged = false;
    return GO_ON;
}

/* ---- STARTTLS ---- */

bool conv_offers_tls(struct conv *c)
{
    return !c->sess->tls && !c->batch && conv_host_in(c, &tls_settings(c->conf)->advertise_hosts);
}

/* Input that came in clear behind the command is not to be taken for input that was encrypted. */
static void discard_input(struct conv *c)
{
    const char *p;
    size_t n;
    while (stream_buffered(c->io) && stream_peek(c->io, &p, &n)) {
        stream_consume(c->io, n);
    }
}

/*
 * No handshake, no conversation: what else the client sent cannot be told from encrypted bytes. One
 * that said nothing at all may still understand a reply.
 */
static enum conv_end failed(struct conv *c, enum tls_fault fault)
{
    if (fault == TLS_FAULT_TIMEOUT) {
        return conv_timed_out(c);
    }
    if (conv_logged(c)) {
        struct str name = conv_name(c);
        log_write(LOG_MAIN, "%.*s closed by EOF", STR_ARG(name));
    }
    conv_notquit(c, "tls-failed", NULL, NULL);
    return END_LOST;
}

enum conv_end cmd_starttls(struct conv *c, const struct smtp_line *l)
{
    struct acl_reply r = {.user = STR_NONE};
    struct tls_side side;
    struct tls_error error = {.text = STR_NONE};
    (void)l;
    if (!c->advertised_tls) {
        return reply_error(c, true, 503, STR_NONE, "STARTTLS command used when not advertised");
    }
    if (!str_unset(c->set->acl_smtp_starttls.text)) {
        enum acl_result rc = conv_acl(c, ACL_STARTTLS, &c->set->acl_smtp_starttls, &r);
        if (rc != ACL_ACCEPT) {
            c->cmd_arg = STR("");
            return reply_acl(c, ACL_STARTTLS, rc, &r);
        }
    }
    conv_incomplete(c, "STARTTLS");
    conv_reset(c);
    if (c->sess->tls) {
        log_error(c, STR("(STARTTLS received after TLS started): "));
        reply(c, "554 Already in TLS");
        c->tls_failed = true;
        return GO_ON;
    }
    if (!fill_side(c, &side) || !tls_ready(c->msg_pool, &side, &error)) {
        if (!str_unset(error.text)) {
            log_error(c, error.text);
        }
        reply(c, "454 TLS currently unavailable");
        return GO_ON;
    }
    reply(c, "220 TLS go ahead");
    stream_flush(c->io);
    discard_input(c);
    c->sess->starttls_used = true;
    return start(c, &side, &error) ? GO_ON : failed(c, error.fault);
}

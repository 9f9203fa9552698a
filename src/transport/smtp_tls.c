/*
 * TLS of the smtp transport: what its options say about one host, DANE (RFC 7672), and the second
 * try in clear where that is allowed. Deliveries and callouts come here alike.
 *
 * A plan is made before the connection, because a connection that was kept from another delivery
 * may be used only if it was planned alike; an option that cannot be expanded is therefore no more
 * than a hindrance, which counts when a handshake is due. Plans live in x->pool. Faults of the
 * handshake are told in the texts of tls/; a fault of DANE or of a certificate's status never leads
 * to clear text.
 */
#include "transport/smtp.h"

/* ---- options ---- */

struct setting {
    const char *name;
    size_t from, to; /* struct etext of smtp_options; struct str of tls_side */
    bool not_dane;   /* means nothing under DANE */
};

#define ROW(field, not_dane) \
    { \
        "tls_" #field, offsetof(struct smtp_options, tls_##field), \
            offsetof(struct tls_side, field), not_dane \
    }

static const struct setting settings[] = {
    ROW(backend, false), ROW(certificate, false),        ROW(privatekey, false),
    ROW(alpn, false),    ROW(require_ciphers, false),    ROW(sni, true),
    ROW(crl, true),      ROW(verify_certificates, true),
};

static bool host_in(struct ectx *x, const struct etext *list, const struct host *h)
{
    return match_host(x, list, h->name, h->address, NULL) == MATCH_YES;
}

/* An option's value, unset after a forced failure. False after logging. */
static bool option_text(struct ectx *x, const char *name, const struct etext *option,
                        struct str *out)
{
    if (expand_option(x, option, out)) {
        return true;
    }
    *out = STR_NONE;
    if (x->forced_fail) {
        return true;
    }
    log_msg(LOG_MAIN | LOG_PANIC, x->msg, "expansion of %s failed: %.*s", name, STR_ARG(x->error));
    return false;
}

/* Expands the options into the side. What fails is a hindrance. */
static void expand_settings(struct ectx *x, const struct smtp_options *o, struct smtp_tls *plan)
{
    struct tls_side *side = &plan->side;
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const struct setting *s = &settings[i];
        const void *from = (const char *)o + s->from;
        void *to = (char *)side + s->to;
        if (!(s->not_dane && side->dane) && !option_text(x, s->name, from, to)) {
            plan->hindrance = STR("Internal error");
            return;
        }
    }
    struct str ciphers = STR_NONE;
    if (side->dane &&
        !option_text(x, "dane_require_tls_ciphers", &o->dane_require_tls_ciphers, &ciphers)) {
        plan->hindrance = STR("Internal error");
    } else if (!str_empty(ciphers)) {
        side->require_ciphers = ciphers;
    }
}

/* How far the server's certificate is looked at. */
static void choose_verification(struct ectx *x, const struct smtp_options *o, const struct host *h,
                                struct tls_side *side)
{
    bool unsaid = str_unset(o->tls_verify_hosts.text) && str_unset(o->tls_try_verify_hosts.text);
    if (str_empty(side->verify_certificates)) {
        side->verify = TLS_VERIFY_OFF;
    } else if (unsaid || host_in(x, &o->tls_verify_hosts, h)) {
        side->verify = TLS_VERIFY_MUST;
    } else if (host_in(x, &o->tls_try_verify_hosts, h)) {
        side->verify = TLS_VERIFY_TRY;
    }
    if (host_in(x, &o->tls_verify_cert_hostnames, h)) {
        strvec_push(&side->names, str_empty(h->certname) ? h->name : h->certname);
    }
}

/* ---- DANE ---- */

static struct str host_text(struct pool *pool, const struct host *h)
{
    return STR_CAT(pool, h->name, STR(" ["), h->address, STR("]"));
}

/* RFC 7672 3.2.3: the names under which DANE-TA may know the server. */
static void dane_names(const struct delivery *d, struct tls_side *side)
{
    strvec_push(&side->names, d->host->name);
    if (d->host->mx != MX_NONE && d->addrs) {
        strvec_push(&side->names, d->addrs->domain);
    }
}

static enum outcome dane_trouble(struct ectx *x, enum outcome outcome, struct str what,
                                 struct str *error)
{
    *error = STR_CAT(x->pool, STR("DANE error: "), what);
    return outcome;
}

/*
 * The TLSA records of a host whose address is authentic (RFC 7672 2.2). Records none of which can
 * be used make TLS mandatory and say nothing about the certificate.
 */
static enum outcome ask_tlsa(struct ectx *x, struct delivery *d, bool required,
                             struct smtp_tls *plan, struct str *error)
{
    struct str name = str_fmt(x->pool, "_%d._tcp.%.*s", d->host_port, STR_ARG(d->host->name));
    struct dns_answer answer = {0};
    enum dns_result r = dns_lookup(x->conf, x->pool, name, DNS_TLSA, true, &answer);
    if (r == DNS_AGAIN) {
        return dane_trouble(x, ADDR_DEFER, STR("tlsa lookup DEFER"), error);
    }
    if (r == DNS_OK && !answer.authentic) {
        log_msg(LOG_MAIN, x->msg, "DANE error: TLSA lookup for %.*s not DNSSEC",
                STR_ARG(d->host->name));
    }
    if (r != DNS_OK || !answer.authentic) {
        return required ? dane_trouble(x, ADDR_FAIL, STR("tlsa lookup FAIL"), error) : ADDR_OK;
    }
    plan->side.dane = tlsa_parse(x->pool, &answer);
    if (!plan->side.dane && required) {
        return dane_trouble(x, ADDR_DEFER, STR("No usable TLSA records"), error);
    }
    plan->has_tlsa = plan->required = true;
    plan->early.tlsa_usage = plan->side.dane ? tlsa_usages(plan->side.dane) : 0;
    return ADDR_OK;
}

static const struct smtp_options *options_of(const struct transport *t)
{
    return t && t->driver == &smtp_transport ? t->opts : NULL;
}

bool smtp_tls_wants_dane(struct ectx *x, const struct transport *t, const struct host *h)
{
    const struct smtp_options *o = options_of(t);
    return o && h->dnssec &&
           (host_in(x, &o->hosts_require_dane, h) || host_in(x, &o->hosts_try_dane, h));
}

static enum outcome plan_dane(struct ectx *x, struct delivery *d, const struct smtp_options *o,
                              struct smtp_tls *plan, struct str *error)
{
    const struct host *h = d->host;
    bool required = host_in(x, &o->hosts_require_dane, h);
    if (!h->dnssec) {
        return required ? dane_trouble(x, ADDR_FAIL,
                                       STR_CAT(x->pool, h->name, STR(" lookup not DNSSEC")), error)
                        : ADDR_OK;
    }
    return smtp_tls_wants_dane(x, d->transport, h) ? ask_tlsa(x, d, required, plan, error)
                                                   : ADDR_OK;
}

/* ---- the plan ---- */

/*
 * Whether a status is asked for. Where DANE is used and the list is as it was, only if nothing but
 * usage 2 is to be matched: for usage 3 nobody need know the issuer.
 */
static void plan_status(struct ectx *x, const struct smtp_options *o, const struct host *h,
                        struct tls_side *side)
{
    side->require_ocsp = host_in(x, &o->hosts_require_ocsp, h);
    side->request_ocsp = side->require_ocsp;
    if (!side->require_ocsp) {
        bool dflt = str_is(o->hosts_request_ocsp.text, "*");
        side->request_ocsp = dflt && side->dane ? tlsa_usages(side->dane) == 1 << 2
                                                : host_in(x, &o->hosts_request_ocsp, h);
    }
}

/* All that tells connections apart. */
static struct str plan_key(struct pool *pool, const struct smtp_tls *plan)
{
    const struct tls_side *side = &plan->side;
    struct buf b;
    buf_init(&b, pool, SIZE_MAX);
    buf_addf(&b, "%d%d%d%d %d%d%d%d%d %d %d:", plan->use, plan->on_connect, plan->required,
             plan->clear_after_failure, side->verify, side->request_ocsp, side->require_ocsp,
             side->require_alpn, side->gnutls_compat, side->dh_bits, plan->early.tlsa_usage);
    for (size_t i = 0; plan->use && i < ARRAY_LEN(settings); i++) {
        const struct str *s = (const void *)((const char *)side + settings[i].to);
        buf_addf(&b, "%d:%.*s", str_unset(*s) ? -1 : (int)s->len, STR_ARG(*s));
    }
    for (size_t i = 0; i < side->names.n; i++) {
        buf_addf(&b, "%d:%.*s", (int)side->names.v[i].len, STR_ARG(side->names.v[i]));
    }
    return STR_CAT(pool, buf_str(&b), tlsa_text(pool, side->dane));
}

enum outcome smtp_tls_plan(struct ectx *x, struct delivery *d, bool verifying,
                           struct smtp_tls *plan, struct str *error)
{
    const struct smtp_options *o = options_of(d->transport);
    struct tls_side *side = &plan->side;
    *plan = (struct smtp_tls){.side = {.conf = x->conf,
                                       .names.pool = x->pool,
                                       .openssl_options = tls_settings(x->conf)->openssl_options},
                              .verifying = verifying};
    plan->key = STR("");
    d->tls = NULL;
    if (!o) {
        return ADDR_OK;
    }
    const struct host *h = d->host;
    enum outcome outcome = plan_dane(x, d, o, plan, error);
    if (outcome != ADDR_OK) {
        return outcome;
    }
    plan->options = o;
    plan->on_connect = o->smtps;
    plan->use = o->smtps || !(host_in(x, &o->hosts_avoid_tls, h) ||
                              (verifying && host_in(x, &o->hosts_verify_avoid_tls, h)));
    plan->required |= host_in(x, &o->hosts_require_tls, h);
    plan->clear_after_failure = o->tls_tempfail_tryclear && !plan->required && !o->smtps;
    plan->clear_after_refusal = o->tls_tempfail_tryclear && !plan->has_tlsa;
    if (plan->use) {
        side->peer = host_text(x->pool, h);
        side->dh_bits = o->tls_dh_min_bits;
        side->gnutls_compat = o->gnutls_compat_mode;
        side->require_alpn = host_in(x, &o->hosts_require_alpn, h);
        d->tls = &plan->early;
        expand_settings(x, o, plan);
        side->sni = plan->has_tlsa ? h->name : side->sni;
        if (side->dane) {
            side->verify = TLS_VERIFY_MUST;
            dane_names(d, side);
        } else {
            choose_verification(x, o, h, side);
        }
        plan_status(x, o, h, side);
        d->tls = NULL;
    }
    plan->key = plan_key(x->pool, plan);
    return ADDR_OK;
}

/* ---- opening ---- */

static void apply(struct smtp_tls *plan, struct smtp_client_opts *co)
{
    co->tls = plan->use ? &plan->side : NULL;
    co->tls_on_connect = plan->use && plan->on_connect;
    co->tls_required = plan->required;
    co->tls_no_clear = !plan->clear_after_refusal;
    co->tls_hindrance = plan->hindrance;
}

enum smtp_status smtp_tls_open(struct ectx *x, struct pool *pool, struct smtp_tls *plan,
                               const struct smtp_client_opts *opts, struct smtp_client **c,
                               struct smtp_reply *r, struct str *error)
{
    struct smtp_client_opts co = *opts;
    apply(plan, &co);
    if (plan->use && plan->options) {
        smtp_resume(x, pool, plan->options, plan->on_connect, &co);
    }
    enum smtp_status st = smtp_client_open(pool, &co, c, r, error);
    struct str where = host_text(x->pool, opts->host);
    if (st == SMTP_TLS_BARRED && plan->side.dane) {
        log_msg(LOG_MAIN, x->msg, "DANE attempt failed; TLS connection to %.*s: %.*s",
                STR_ARG(where), STR_ARG(str_from(*error, strlen("TLS session: "))));
    }
    if (st != SMTP_TLS_FAILED || !plan->clear_after_failure) {
        return st;
    }
    log_msg(LOG_MAIN, x->msg, "%.*s: %s%.*s (not in hosts_require_tls)", STR_ARG(*error),
            plan->verifying ? "callout unencrypted to " : "delivering unencrypted to H=",
            STR_ARG(where));
    co.tls = NULL;
    co.tls_on_connect = false;
    return smtp_client_open(pool, &co, c, r, error);
}

struct tls_facts *smtp_tls_facts(struct pool *pool, const struct tls_facts *from)
{
    static const size_t texts[] = {
        offsetof(struct tls_facts, cipher),      offsetof(struct tls_facts, cipher_std),
        offsetof(struct tls_facts, version),     offsetof(struct tls_facts, sni),
        offsetof(struct tls_facts, alpn),        offsetof(struct tls_facts, peerdn),
        offsetof(struct tls_facts, peercert),    offsetof(struct tls_facts, ourcert),
        offsetof(struct tls_facts, ocsp_detail), offsetof(struct tls_facts, binding)};
    if (!from) {
        return NULL;
    }
    struct tls_facts *f = POOL_NEW(pool, struct tls_facts);
    *f = *from;
    f->tls = NULL;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct str *s = (void *)((char *)f + texts[i]);
        *s = str_dup(pool, *s);
    }
    return f;
}

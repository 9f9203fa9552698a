/*
 * Certificates as facts (x509.h): the fields of RFC 5280 that the rest of minim asks for.
 *
 * Everything in a struct cert is a view of the DER that was handed in, or lies in the pool. What
 * decides about trust or identity (names, basic constraints, key usages, TLS Feature) must be well
 * formed, or the whole is no certificate; what only helps to find something (OCSP and CRL
 * addresses) may be damaged and counts as absent then.
 */
#include "tls/der.h"
#include "tls/x509.h"

/* Most elements a list inside a certificate may have before we stop believing in it. */
enum { MOST_ELEMENTS = 2000 };

static void push(struct strvec *v, struct str s, bool *ok)
{
    *ok = *ok && v->n < MOST_ELEMENTS;
    if (*ok) {
        strvec_push(v, s);
    }
}

/* GeneralNames (RFC 5280 4.2.1.6); kinds that nobody asks for are passed over. */
static bool read_alt_names(struct cert *c, struct str value)
{
    struct der outer = der_of(value), names = der_enter(&outer, DER_SEQUENCE);
    struct der_item item;
    bool ok = true;
    c->has_alt_names = true;
    c->alt_names = value;
    while (der_next(&names, &item)) {
        switch (item.tag) {
        case DER_CONTEXT(1): push(&c->mail_names, item.content, &ok); break;
        case DER_CONTEXT(2): push(&c->dns_names, item.content, &ok); break;
        case DER_CONTEXT(6): push(&c->uri_names, item.content, &ok); break;
        case DER_CONTEXT(7):
            ok = ok && (item.content.len == 4 || item.content.len == 16);
            push(&c->ip_names, item.content, &ok);
            break;
        }
    }
    return ok && der_end(&names) && der_end(&outer);
}

static bool read_basic_constraints(struct cert *c, struct str value)
{
    struct der outer = der_of(value), r = der_enter(&outer, DER_SEQUENCE);
    if (der_is(&r, DER_BOOLEAN)) {
        c->is_ca = der_boolean(&r);
    }
    if (der_is(&r, DER_INTEGER)) {
        der_small(&r);
    }
    return der_end(&r) && der_end(&outer);
}

static bool read_key_usage(struct cert *c, struct str value)
{
    struct der r = der_of(value);
    struct str bits = der_take(&r, DER_BIT_STRING);
    c->has_key_usage = true;
    c->key_usage_sign_certs = bits.len > 1 && (bits.p[1] & 0x04); /* bit 5, from the left */
    return der_end(&r) && bits.len > 0;
}

static bool read_extended_key_usage(struct cert *c, struct str value)
{
    struct der outer = der_of(value), r = der_enter(&outer, DER_SEQUENCE);
    c->eku_present = true;
    while (r.rest.len && !r.bad) {
        /* id-kp-OCSPSigning 1.3.6.1.5.5.7.3.9 */
        if (str_is(der_take(&r, DER_OID), "\x2b\x06\x01\x05\x05\x07\x03\x09")) {
            c->eku_ocsp_signing = true;
        }
    }
    return der_end(&r) && der_end(&outer);
}

/* TLS Feature (RFC 7633 4): a list of extension numbers; status_request is 5. */
static bool read_tls_feature(struct cert *c, struct str value)
{
    struct der outer = der_of(value), r = der_enter(&outer, DER_SEQUENCE);
    while (r.rest.len && !r.bad) {
        if (der_small(&r) == 5) {
            c->must_staple = true;
        }
    }
    return der_end(&r) && der_end(&outer);
}

/* AuthorityInfoAccess (RFC 5280 4.2.2.1). */
static void read_authority_info(struct cert *c, struct str value)
{
    struct der outer = der_of(value), list = der_enter(&outer, DER_SEQUENCE);
    bool ok = true;
    while (ok && list.rest.len && !list.bad) {
        struct der one = der_enter(&list, DER_SEQUENCE);
        struct str method = der_take(&one, DER_OID);
        struct der_item where;
        /* id-ad-ocsp 1.3.6.1.5.5.7.48.1 */
        if (der_next(&one, &where) && where.tag == DER_CONTEXT(6) &&
            str_is(method, "\x2b\x06\x01\x05\x05\x07\x30\x01")) {
            push(&c->ocsp_uris, where.content, &ok);
        }
    }
}

/* CRLDistributionPoints (RFC 5280 4.2.1.13): the URIs of full names. */
static void read_crl_points(struct cert *c, struct str value)
{
    struct der outer = der_of(value), list = der_enter(&outer, DER_SEQUENCE);
    bool ok = true;
    while (ok && list.rest.len && !list.bad) {
        struct der point = der_enter(&list, DER_SEQUENCE);
        struct str inside;
        if (!der_optional(&point, DER_CONTEXT_HOLDS(0), &inside)) {
            continue;
        }
        struct der name = der_of(inside), full = der_enter(&name, DER_CONTEXT_HOLDS(0));
        struct der_item item;
        while (ok && der_next(&full, &item)) {
            if (item.tag == DER_CONTEXT(6)) {
                push(&c->crl_uris, item.content, &ok);
            }
        }
    }
}

static bool read_no_check(struct cert *c, struct str value)
{
    (void)value;
    c->ocsp_no_check = true;
    return true;
}

static bool ignore_faults_of_authority_info(struct cert *c, struct str value)
{
    read_authority_info(c, value);
    return true;
}

static bool ignore_faults_of_crl_points(struct cert *c, struct str value)
{
    read_crl_points(c, value);
    return true;
}

static const struct {
    struct str oid;
    bool (*read)(struct cert *c, struct str value);
} extensions[] = {
    {STR_INIT("\x55\x1d\x11"), read_alt_names},
    {STR_INIT("\x55\x1d\x13"), read_basic_constraints},
    {STR_INIT("\x55\x1d\x0f"), read_key_usage},
    {STR_INIT("\x55\x1d\x25"), read_extended_key_usage},
    {STR_INIT("\x55\x1d\x1f"), ignore_faults_of_crl_points},
    {STR_INIT("\x2b\x06\x01\x05\x05\x07\x01\x01"), ignore_faults_of_authority_info},
    {STR_INIT("\x2b\x06\x01\x05\x05\x07\x01\x18"), read_tls_feature},
    {STR_INIT("\x2b\x06\x01\x05\x05\x07\x30\x01\x05"), read_no_check},
};

/* One Extension; each kind may stand there once (RFC 5280 4.2). */
static bool read_extension(struct cert *c, struct der *list, unsigned *seen)
{
    struct der r = der_enter(list, DER_SEQUENCE);
    struct str oid = der_take(&r, DER_OID);
    if (der_is(&r, DER_BOOLEAN)) {
        der_boolean(&r);
    }
    struct str value = der_take(&r, DER_OCTET_STRING);
    if (!der_end(&r)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
        if (str_eq(oid, extensions[i].oid)) {
            bool again = *seen & 1u << i;
            *seen |= 1u << i;
            return !again && extensions[i].read(c, value);
        }
    }
    return true;
}

static bool read_extensions(struct cert *c, struct der *tbs)
{
    struct str ignored;
    der_optional(tbs, DER_CONTEXT(1), &ignored); /* unique identifiers */
    der_optional(tbs, DER_CONTEXT(2), &ignored);
    if (der_is(tbs, DER_CONTEXT_HOLDS(3))) {
        struct der outer = der_enter(tbs, DER_CONTEXT_HOLDS(3));
        struct der list = der_enter(&outer, DER_SEQUENCE);
        unsigned seen = 0;
        while (list.rest.len && !list.bad) {
            if (!read_extension(c, &list, &seen)) {
                return false;
            }
        }
        if (!der_end(&list) || !der_end(&outer)) {
            return false;
        }
    }
    return der_end(tbs);
}

static bool read_spki(struct cert *c, struct der *tbs)
{
    c->spki = der_whole(tbs, DER_SEQUENCE);
    struct der outer = der_of(c->spki), r = der_enter(&outer, DER_SEQUENCE);
    der_take(&r, DER_SEQUENCE);
    c->public_key = der_octets(&r);
    return der_end(&r) && der_end(&outer);
}

static bool read_tbs(struct cert *c)
{
    struct der outer = der_of(c->tbs), tbs = der_enter(&outer, DER_SEQUENCE);
    c->version = 1;
    if (der_is(&tbs, DER_CONTEXT_HOLDS(0))) {
        struct der version = der_enter(&tbs, DER_CONTEXT_HOLDS(0));
        c->version = der_small(&version) + 1;
        if (!der_end(&version) || c->version > 3) {
            return false;
        }
    }
    c->serial = der_integer(&tbs);
    /* The algorithm is named inside and outside what is signed; both must say the same. */
    if (!str_eq(der_whole(&tbs, DER_SEQUENCE), c->sig_algorithm)) {
        return false;
    }
    c->issuer = der_whole(&tbs, DER_SEQUENCE);
    struct der validity = der_enter(&tbs, DER_SEQUENCE);
    c->not_before = der_time(&validity);
    c->not_after = der_time(&validity);
    c->subject = der_whole(&tbs, DER_SEQUENCE);
    return der_end(&validity) && read_spki(c, &tbs) && read_extensions(c, &tbs);
}

bool cert_parse(struct pool *pool, struct str der, struct cert *out)
{
    struct der outer = der_of(str_taint(der)), r = der_enter(&outer, DER_SEQUENCE);
    *out = (struct cert){.der = str_taint(der)};
    struct strvec *lists[] = {&out->dns_names, &out->mail_names, &out->uri_names,
                              &out->ip_names,  &out->ocsp_uris,  &out->crl_uris};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        lists[i]->pool = pool;
    }
    out->tbs = der_whole(&r, DER_SEQUENCE);
    out->sig_algorithm = der_whole(&r, DER_SEQUENCE);
    out->signature = der_octets(&r);
    return der_end(&r) && der_end(&outer) && read_tbs(out);
}

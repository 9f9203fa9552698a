/*
 * The fields of ${certextract} (x509.h): one table, one text for each whichever library is in use.
 *
 * Texts are those of Exim built with GnuTLS. Modifiers a field has no use for are ignored, as
 * there. A list's separator stands doubled where an element contains it.
 */
#include "tls/der.h"
#include "tls/x509.h"

/* What stands behind the field's name: ">;" sets a separator, the last other word selects. */
struct modifiers {
    bool given;
    struct str whole, word; /* word: unset if there is none */
    char separator;
};

static struct modifiers read_modifiers(struct str text)
{
    struct modifiers m = {!str_unset(text), text, STR_NONE, '\n'};
    struct str piece;
    while (str_next(&text, ',', &piece)) {
        if (!str_starts(piece, ">")) {
            m.word = str_empty(piece) ? m.word : piece;
        } else if (piece.len > 1) {
            m.separator = piece.p[1];
        }
    }
    return m;
}

static struct str list_text(struct pool *pool, const struct strvec *v, char separator)
{
    struct buf b;
    size_t size = 1;
    for (size_t i = 0; i < v->n; i++) {
        size += 2 * (size_t)v->v[i].len + 1;
    }
    buf_init(&b, pool, size);
    b.tainted = true;
    for (size_t i = 0; i < v->n; i++) {
        if (i) {
            buf_addc(&b, separator);
        }
        for (uint32_t k = 0; k < v->v[i].len; k++) {
            buf_addc(&b, v->v[i].p[k]);
            if (v->v[i].p[k] == separator) {
                buf_addc(&b, separator);
            }
        }
    }
    return v->n ? buf_str(&b) : STR_NONE;
}

static struct str hex_serial(struct pool *pool, struct str serial)
{
    struct str hex = hex_encode(pool, serial);
    while (hex.len > 1 && hex.p[0] == '0') {
        hex = str_from(hex, 1);
    }
    return hex;
}

static struct str get_version(struct pool *pool, const struct cert *c, const struct modifiers *m)
{
    (void)m;
    return str_fmt(pool, "%d", c->version);
}

static struct str get_serial(struct pool *pool, const struct cert *c, const struct modifiers *m)
{
    (void)m;
    return hex_serial(pool, c->serial);
}

/* Elements of a name as a list are what stands between its commas, with \, as a comma again. */
static struct str without_comma_escapes(struct pool *pool, struct str s)
{
    struct buf b;
    buf_init(&b, pool, (size_t)s.len + 1);
    b.tainted = s.tainted;
    for (uint32_t i = 0; i < s.len; i++) {
        if (s.p[i] == '\\' && i + 1 < s.len) {
            if (s.p[i + 1] != ',') {
                buf_addc(&b, '\\');
            }
            i++;
        }
        buf_addc(&b, s.p[i]);
    }
    return buf_str(&b);
}

static struct str name_field(struct pool *pool, struct str name, const struct modifiers *m)
{
    if (!m->given) {
        return cert_dn_text(pool, name);
    }
    struct strvec all = {.pool = pool}, wanted = {.pool = pool};
    struct str tag = str_unset(m->word) ? STR_NONE : STR_CAT(pool, m->word, STR("="));
    cert_dn_values(pool, name, STR_NONE, &all);
    for (size_t i = 0; i < all.n; i++) {
        struct str element = without_comma_escapes(pool, all.v[i]);
        if (str_unset(tag)) {
            strvec_push(&wanted, element);
        } else if (element.len >= tag.len && str_eq(str_sub(element, 0, tag.len), tag)) {
            strvec_push(&wanted, str_from(element, tag.len));
        }
    }
    return list_text(pool, &wanted, m->separator);
}

static struct str get_subject(struct pool *pool, const struct cert *c, const struct modifiers *m)
{
    return name_field(pool, c->subject, m);
}

static struct str get_issuer(struct pool *pool, const struct cert *c, const struct modifiers *m)
{
    return name_field(pool, c->issuer, m);
}

/* The C library has the option `timezone` in its environment; UTC calls itself GMT here. */
static struct str time_field(struct pool *pool, time_t t, const struct modifiers *m)
{
    if (str_is(m->whole, "int")) {
        return str_fmt(pool, "%lld", (long long)t);
    }
    const char *zone = getenv("TZ");
    bool utc = zone && (!*zone || str_is(str_c(zone), "UTC"));
    return time_strftime(pool, utc ? "%b %e %T %Y GMT" : "%b %e %T %Y %Z", t, utc);
}

static struct str get_notbefore(struct pool *pool, const struct cert *c, const struct modifiers *m)
{
    return time_field(pool, c->not_before, m);
}

static struct str get_notafter(struct pool *pool, const struct cert *c, const struct modifiers *m)
{
    return time_field(pool, c->not_after, m);
}

/* Signature algorithms: the octets of the identifier, the name as GnuTLS calls it. */
static const struct {
    struct str oid;
    const char *name;
} algorithms[] = {
    {STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x02"), "RSA-MD2"},
    {STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"), "RSA-MD5"},
    {STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"), "RSA-SHA1"},
    {STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e"), "RSA-SHA224"},
    {STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), "RSA-SHA256"},
    {STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"), "RSA-SHA384"},
    {STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"), "RSA-SHA512"},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x03\x0d"), "RSA-SHA3-224"},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x03\x0e"), "RSA-SHA3-256"},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x03\x0f"), "RSA-SHA3-384"},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x03\x10"), "RSA-SHA3-512"},
    {STR_INIT("\x2a\x86\x48\xce\x3d\x04\x01"), "ECDSA-SHA1"},
    {STR_INIT("\x2a\x86\x48\xce\x3d\x04\x03\x01"), "ECDSA-SHA224"},
    {STR_INIT("\x2a\x86\x48\xce\x3d\x04\x03\x02"), "ECDSA-SHA256"},
    {STR_INIT("\x2a\x86\x48\xce\x3d\x04\x03\x03"), "ECDSA-SHA384"},
    {STR_INIT("\x2a\x86\x48\xce\x3d\x04\x03\x04"), "ECDSA-SHA512"},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x03\x09"), "ECDSA-SHA3-224"},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x03\x0a"), "ECDSA-SHA3-256"},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x03\x0b"), "ECDSA-SHA3-384"},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x03\x0c"), "ECDSA-SHA3-512"},
    {STR_INIT("\x2a\x86\x48\xce\x38\x04\x03"), "DSA-SHA1"},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x03\x01"), "DSA-SHA224"},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x03\x02"), "DSA-SHA256"},
    {STR_INIT("\x2b\x65\x70"), "EdDSA-Ed25519"},
    {STR_INIT("\x2b\x65\x71"), "EdDSA-Ed448"},
};

/* The digest of RSASSA-PSS parameters (RFC 4055 3.1); SHA-1 by default. */
static const char *pss_name(struct der *parameters)
{
    static const struct {
        struct str oid;
        const char *name;
    } digests[] = {
        {STR_INIT("\x2b\x0e\x03\x02\x1a"), "RSA-PSS-SHA1"},
        {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x02\x04"), "RSA-PSS-SHA224"},
        {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x02\x01"), "RSA-PSS-SHA256"},
        {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x02\x02"), "RSA-PSS-SHA384"},
        {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x02\x03"), "RSA-PSS-SHA512"},
    };
    struct der r = der_enter(parameters, DER_SEQUENCE);
    struct str inside;
    if (!der_optional(&r, DER_CONTEXT_HOLDS(0), &inside)) {
        return r.bad ? NULL : digests[0].name;
    }
    struct der hash = der_of(inside), algorithm = der_enter(&hash, DER_SEQUENCE);
    struct str oid = der_take(&algorithm, DER_OID);
    for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
        if (str_eq(digests[i].oid, oid)) {
            return digests[i].name;
        }
    }
    return NULL;
}

static struct str get_algorithm(struct pool *pool, const struct cert *c, const struct modifiers *m)
{
    struct der outer = der_of(c->sig_algorithm), r = der_enter(&outer, DER_SEQUENCE);
    struct str oid = der_take(&r, DER_OID);
    (void)m;
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
        if (str_eq(algorithms[i].oid, oid)) {
            return str_c(algorithms[i].name);
        }
    }
    const char *pss = str_is(oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a") ? pss_name(&r) : NULL;
    return pss ? str_c(pss) : der_oid_text(pool, oid);
}

static struct str get_signature(struct pool *pool, const struct cert *c, const struct modifiers *m)
{
    struct buf b;
    (void)m;
    buf_init(&b, pool, (size_t)c->signature.len * 3 + 1);
    for (uint32_t i = 0; i < c->signature.len; i++) {
        buf_addf(&b, i ? " %02x" : "%02x", (unsigned char)c->signature.p[i]);
    }
    return buf_str(&b);
}

/* Of all names those of DNS, mail and URIs; with one of their words as modifier only that kind. */
static struct str get_alt_names(struct pool *pool, const struct cert *c, const struct modifiers *m)
{
    static const struct {
        unsigned tag;
        const char *word, *label;
    } kinds[] = {{DER_CONTEXT(2), "dns", "DNS="},
                 {DER_CONTEXT(1), "mail", "MAIL="},
                 {DER_CONTEXT(6), "uri", "URI="}};
    unsigned only = 0;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        only = str_is(m->word, kinds[k].word) ? kinds[k].tag : only;
    }
    struct der outer = der_of(c->alt_names), names = der_enter(&outer, DER_SEQUENCE);
    struct der_item item;
    struct strvec wanted = {.pool = pool};
    while (der_next(&names, &item)) {
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            if (item.tag == kinds[k].tag && (!only || only == item.tag)) {
                struct str label = str_c(only ? "" : kinds[k].label);
                strvec_push(&wanted, STR_CAT(pool, label, item.content));
            }
        }
    }
    return list_text(pool, &wanted, m->separator);
}

static struct str get_ocsp(struct pool *pool, const struct cert *c, const struct modifiers *m)
{
    return list_text(pool, &c->ocsp_uris, m->separator);
}

static struct str get_crl(struct pool *pool, const struct cert *c, const struct modifiers *m)
{
    return list_text(pool, &c->crl_uris, m->separator);
}

static const struct {
    const char *name;
    struct str (*get)(struct pool *pool, const struct cert *c, const struct modifiers *m);
} fields[] = {
    {"version", get_version},
    {"serial_number", get_serial},
    {"subject", get_subject},
    {"issuer", get_issuer},
    {"notbefore", get_notbefore},
    {"notafter", get_notafter},
    {"sig_algorithm", get_algorithm},
    {"signature", get_signature},
    {"subj_altname", get_alt_names},
    {"ocsp_uri", get_ocsp},
    {"crl_uri", get_crl},
};

bool cert_field(struct pool *pool, const struct cert *c, struct str field, struct str modifiers,
                struct str *out, struct str *error)
{
    struct modifiers m = read_modifiers(modifiers);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (str_is(field, fields[i].name)) {
            *out = fields[i].get(pool, c, &m);
            return true;
        }
    }
    *error = str_fmt(pool, "bad field selector \"%.*s\" for certextract", STR_ARG(field));
    return false;
}

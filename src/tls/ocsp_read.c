/*
 * OCSP responses taken apart, requests put together (ocsp.h; RFC 6960 4).
 *
 * Only what DER allows is accepted, to the last octet. Extensions are passed over: none changes
 * what a response says (a nonce is not asked for, since staples are made beforehand).
 */
#include "tls/der.h"
#include "tls/ocsp.h"

enum { MOST_SINGLES = 1000, MOST_CERTS = 20 };

/* Content octets of hash algorithms that CertIDs are made with. */
static const struct {
    struct str oid;
    enum digest_kind kind;
} hashes[] = {
    {STR_INIT("\x2b\x0e\x03\x02\x1a"), DIGEST_SHA1},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x02\x01"), DIGEST_SHA256},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x02\x02"), DIGEST_SHA384},
    {STR_INIT("\x60\x86\x48\x01\x65\x03\x04\x02\x03"), DIGEST_SHA512},
};

static bool read_cert_id(struct der *list, struct ocsp_single *s)
{
    struct der r = der_enter(list, DER_SEQUENCE);
    struct der algorithm = der_enter(&r, DER_SEQUENCE);
    struct str oid = der_take(&algorithm, DER_OID);
    s->hash = OCSP_OTHER_HASH;
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
        if (str_eq(oid, hashes[i].oid)) {
            s->hash = hashes[i].kind;
        }
    }
    s->name_hash = der_take(&r, DER_OCTET_STRING);
    s->key_hash = der_take(&r, DER_OCTET_STRING);
    s->serial = der_integer(&r);
    return der_end(&r);
}

static bool read_revoked(struct str inside, struct ocsp_single *s)
{
    struct der r = der_of(inside);
    s->status = OCSP_SAYS_REVOKED;
    s->revoked = der_time(&r);
    if (der_is(&r, DER_CONTEXT_HOLDS(0))) {
        struct der outer = der_enter(&r, DER_CONTEXT_HOLDS(0));
        struct str reason = der_take(&outer, DER_ENUMERATED);
        if (reason.len != 1 || !der_end(&outer)) {
            return false;
        }
        s->reason = (unsigned char)reason.p[0];
    }
    return der_end(&r);
}

static bool read_status(struct der *r, struct ocsp_single *s)
{
    struct str inside;
    if (der_optional(r, DER_CONTEXT(0), &inside)) {
        s->status = OCSP_SAYS_GOOD;
        return inside.len == 0;
    }
    if (der_optional(r, DER_CONTEXT_HOLDS(1), &inside)) {
        return read_revoked(inside, s);
    }
    s->status = OCSP_SAYS_UNKNOWN;
    return der_optional(r, DER_CONTEXT(2), &inside) && inside.len == 0;
}

static bool read_single(struct der *list, struct ocsp_single *s)
{
    struct der r = der_enter(list, DER_SEQUENCE);
    struct str ignored;
    s->reason = -1;
    if (!read_cert_id(&r, s) || !read_status(&r, s)) {
        return false;
    }
    s->this_update = der_time(&r);
    if (der_is(&r, DER_CONTEXT_HOLDS(0))) {
        struct der next = der_enter(&r, DER_CONTEXT_HOLDS(0));
        s->next_update = der_time(&next);
        if (!der_end(&next)) {
            return false;
        }
    }
    der_optional(&r, DER_CONTEXT_HOLDS(1), &ignored);
    return der_end(&r);
}

static bool read_singles(struct pool *pool, struct der list, struct ocsp_response *out)
{
    size_t n = 0;
    struct der_item item;
    for (struct der count = list; der_next(&count, &item);) {
        n++;
    }
    if (n > MOST_SINGLES) {
        return false;
    }
    out->singles = pool_calloc(pool, n + 1, sizeof *out->singles);
    while (out->count < n) {
        if (!read_single(&list, &out->singles[out->count++])) {
            return false;
        }
    }
    return der_end(&list);
}

static bool read_responder(struct der *r, struct ocsp_response *out)
{
    struct str inside;
    if (der_optional(r, DER_CONTEXT_HOLDS(1), &inside)) {
        struct der name = der_of(inside);
        out->by_name = der_whole(&name, DER_SEQUENCE);
        return der_end(&name);
    }
    if (der_optional(r, DER_CONTEXT_HOLDS(2), &inside)) {
        struct der key = der_of(inside);
        out->by_key = der_take(&key, DER_OCTET_STRING);
        return der_end(&key);
    }
    return false;
}

static bool read_data(struct pool *pool, struct ocsp_response *out)
{
    struct der outer = der_of(out->tbs), r = der_enter(&outer, DER_SEQUENCE);
    struct str ignored;
    der_optional(&r, DER_CONTEXT_HOLDS(0), &ignored); /* version */
    if (!read_responder(&r, out)) {
        return false;
    }
    out->produced = der_time(&r);
    if (!read_singles(pool, der_enter(&r, DER_SEQUENCE), out)) {
        return false;
    }
    der_optional(&r, DER_CONTEXT_HOLDS(1), &ignored);
    return der_end(&r);
}

static bool read_basic(struct pool *pool, struct str der, struct ocsp_response *out)
{
    struct der outer = der_of(der), r = der_enter(&outer, DER_SEQUENCE);
    out->tbs = der_whole(&r, DER_SEQUENCE);
    out->algorithm = der_whole(&r, DER_SEQUENCE);
    out->signature = der_octets(&r);
    out->certs.pool = pool;
    if (der_is(&r, DER_CONTEXT_HOLDS(0))) {
        struct der holder = der_enter(&r, DER_CONTEXT_HOLDS(0));
        struct der list = der_enter(&holder, DER_SEQUENCE);
        while (list.rest.len && !list.bad && out->certs.n < MOST_CERTS) {
            strvec_push(&out->certs, der_whole(&list, DER_SEQUENCE));
        }
        if (!der_end(&list) || !der_end(&holder)) {
            return false;
        }
    }
    return der_end(&r) && der_end(&outer) && read_data(pool, out);
}

enum ocsp_result ocsp_read(struct pool *pool, struct str der, struct ocsp_response *out,
                           int *status)
{
    struct der outer = der_of(str_taint(der)), r = der_enter(&outer, DER_SEQUENCE);
    struct str code = der_take(&r, DER_ENUMERATED);
    *out = (struct ocsp_response){0};
    *status = code.len == 1 ? (unsigned char)code.p[0] : -1;
    if (r.bad || *status < 0 || outer.rest.len) {
        return OCSP_GARBAGE;
    }
    if (*status != 0) {
        return OCSP_UNSUCCESSFUL;
    }
    struct der holder = der_enter(&r, DER_CONTEXT_HOLDS(0));
    struct der bytes = der_enter(&holder, DER_SEQUENCE);
    /* id-pkix-ocsp-basic 1.3.6.1.5.5.7.48.1.1 */
    bool basic = str_is(der_take(&bytes, DER_OID), "\x2b\x06\x01\x05\x05\x07\x30\x01\x01");
    struct str inside = der_take(&bytes, DER_OCTET_STRING);
    bool whole = der_end(&r) && der_end(&holder) && der_end(&bytes);
    return whole && basic && read_basic(pool, inside, out) ? OCSP_GOOD : OCSP_GARBAGE;
}

time_t ocsp_usable_until(struct pool *pool, struct str der, struct str serial)
{
    struct ocsp_response r;
    struct cert signer;
    int status;
    time_t until = 0;
    if (ocsp_read(pool, der, &r, &status) != OCSP_GOOD) {
        return 0;
    }
    for (size_t i = 0; i < r.count; i++) {
        const struct ocsp_single *s = &r.singles[i];
        if (str_eq(s->serial, serial) && (until == 0 || s->next_update < until)) {
            until = s->next_update;
        }
    }
    for (size_t i = 0; i < r.certs.n; i++) {
        if (cert_parse(pool, r.certs.v[i], &signer) && signer.eku_ocsp_signing &&
            signer.not_after < until) {
            until = signer.not_after;
        }
    }
    return until;
}

struct str ocsp_request(struct pool *pool, const struct cert *leaf, const struct cert *issuer)
{
    struct str sha1 = der_make(
        pool, DER_SEQUENCE,
        STR_CAT(pool, der_make(pool, DER_OID, hashes[0].oid), der_make(pool, DER_NULL, STR(""))));
    struct str name = digest(pool, DIGEST_SHA1, leaf->issuer);
    struct str key = digest(pool, DIGEST_SHA1, issuer->public_key);
    struct str id = der_make(pool, DER_SEQUENCE,
                             STR_CAT(pool, sha1, der_make(pool, DER_OCTET_STRING, name),
                                     der_make(pool, DER_OCTET_STRING, key),
                                     der_make(pool, DER_INTEGER, leaf->serial)));
    /* OCSPRequest, TBSRequest, requestList, Request */
    for (int depth = 0; depth < 4; depth++) {
        id = der_make(pool, DER_SEQUENCE, id);
    }
    return id;
}

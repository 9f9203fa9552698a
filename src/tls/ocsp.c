/*
 * What an OCSP response means (internal.h; RFC 6960 3.2): one table of results for both libraries,
 * for proofs a server is about to staple and for those a client was given.
 *
 * A response counts for a certificate only if the whole CertID fits: names of issuers repeat, and
 * so do serial numbers. The signer is the issuer, or holds a certificate that the very issuer has
 * signed for this purpose; no other trust comes in, so the answer is the same whoever asks. The
 * signatures themselves are the backend's to check.
 */
#include "tls/ocsp.h"

/* ---- the right response among all ---- */

static bool is_about(struct pool *pool, const struct ocsp_single *s, const struct cert *leaf,
                     const struct cert *issuer)
{
    return s->hash != OCSP_OTHER_HASH && str_eq(s->serial, leaf->serial) &&
           str_eq(s->name_hash, digest(pool, s->hash, leaf->issuer)) &&
           (!issuer || str_eq(s->key_hash, digest(pool, s->hash, issuer->public_key)));
}

static enum ocsp_result judge_single(const struct ocsp_single *s, time_t now)
{
    if (s->this_update > now + OCSP_SKEW) {
        return OCSP_NOT_YET;
    }
    if (s->next_update && (s->next_update < now - OCSP_SKEW || s->next_update < s->this_update)) {
        return OCSP_OUT_OF_DATE;
    }
    if (s->status == OCSP_SAYS_REVOKED) {
        return OCSP_REVOKED;
    }
    if (s->status == OCSP_SAYS_UNKNOWN) {
        return OCSP_UNKNOWN;
    }
    return s->next_update ? OCSP_GOOD : OCSP_NO_NEXT_UPDATE;
}

/* Where several speak of one certificate: that it is revoked counts most, then that it is good. */
static int weight(enum ocsp_result r)
{
    return r == OCSP_REVOKED ? 3 : r == OCSP_GOOD ? 2 : r == OCSP_UNKNOWN ? 1 : 0;
}

static bool find_single(struct pool *pool, const struct ocsp_response *r, const struct cert *leaf,
                        const struct cert *issuer, time_t now, struct ocsp_status *out)
{
    const struct ocsp_single *best = NULL;
    for (size_t i = 0; i < r->count; i++) {
        const struct ocsp_single *s = &r->singles[i];
        if (is_about(pool, s, leaf, issuer) &&
            (!best || weight(judge_single(s, now)) > weight(judge_single(best, now)))) {
            best = s;
        }
    }
    if (!best) {
        return false;
    }
    out->result = judge_single(best, now);
    out->reason = best->reason;
    out->this_update = best->this_update;
    out->next_update = best->next_update;
    out->revoked = best->revoked;
    return true;
}

/* ---- who signed ---- */

static bool names_signer(struct pool *pool, const struct ocsp_response *r, const struct cert *c)
{
    return str_unset(r->by_name) ? str_eq(r->by_key, digest(pool, DIGEST_SHA1, c->public_key))
                                 : str_eq(r->by_name, c->subject);
}

/* RFC 6960 4.2.2.2: the issuer has given the right to sign, by this very certificate. */
static bool may_sign(const struct tls_backend *b, const struct cert *signer,
                     const struct cert *issuer, time_t now)
{
    return signer->eku_ocsp_signing && str_eq(signer->issuer, issuer->subject) &&
           signer->not_before <= now + OCSP_SKEW && signer->not_after >= now &&
           b->verify_signature(issuer->spki, signer->sig_algorithm, signer->tbs, signer->signature);
}

static bool signed_by(const struct tls_backend *b, const struct ocsp_response *r,
                      const struct cert *signer)
{
    return b->verify_signature(signer->spki, r->algorithm, r->tbs, r->signature);
}

/* OCSP_GOOD if the response is signed by somebody who may; sets the signer's end, if delegated. */
static enum ocsp_result check_signer(struct pool *pool, const struct tls_backend *b,
                                     const struct ocsp_response *r, const struct cert *issuer,
                                     time_t now, time_t *signer_not_after)
{
    enum ocsp_result result = OCSP_BAD_SIGNER;
    if (names_signer(pool, r, issuer)) {
        if (signed_by(b, r, issuer)) {
            return OCSP_GOOD;
        }
        result = OCSP_BAD_SIGNATURE;
    }
    for (size_t i = 0; i < r->certs.n; i++) {
        struct cert signer;
        if (!cert_parse(pool, r->certs.v[i], &signer) || !names_signer(pool, r, &signer) ||
            !may_sign(b, &signer, issuer, now)) {
            continue;
        }
        if (signed_by(b, r, &signer)) {
            *signer_not_after = signer.not_after;
            return OCSP_GOOD;
        }
        result = OCSP_BAD_SIGNATURE;
    }
    return result;
}

/* ---- words ---- */

static const char *reason_word(int reason)
{
    /* RFC 5280 5.3.1 */
    static const char *const words[] = {
        "unspecified",   "keyCompromise",        "cACompromise",    "affiliationChanged",
        "superseded",    "cessationOfOperation", "certificateHold", NULL,
        "removeFromCRL", "privilegeWithdrawn",   "aACompromise"};
    bool known = reason >= 0 && reason < (int)ARRAY_LEN(words) && words[reason];
    return known ? words[reason] : "(unknown)";
}

/* A result: the word of $tls_out_ocsp_detail, and the log line. */
static const struct {
    const char *detail, *line;
} words[] = {
    [OCSP_GOOD] = {"good", "good"},
    [OCSP_GARBAGE] = {"unreadable", "Received TLS cert status response, parse error"},
    [OCSP_UNSUCCESSFUL] = {"the responder had no answer",
                           "Received TLS cert status response, error parsing response"},
    [OCSP_NO_MATCH] = {"for another certificate",
                       "Received TLS cert status response is for another certificate"},
    [OCSP_BAD_SIGNER] = {"signer not authorized", "Received TLS cert status response, itself "
                                                  "unverifiable: signer not authorized"},
    [OCSP_BAD_SIGNATURE] = {"bad signature", "Received TLS cert status response, itself "
                                             "unverifiable: bad signature"},
    [OCSP_NOT_YET] = {"not yet valid", "OCSP dates invalid"},
    [OCSP_OUT_OF_DATE] = {"out of date", "OCSP dates invalid"},
    [OCSP_NO_NEXT_UPDATE] = {"without next update", "OCSP dates invalid"},
    [OCSP_REVOKED] = {"revoked", "Server certificate revoked"},
    [OCSP_UNKNOWN] = {"unknown", "Server certificate status unknown, in OCSP stapling"},
};

struct str ocsp_words(struct pool *pool, const struct ocsp_status *status)
{
    struct str line = str_c(words[status->result].line);
    if (status->result != OCSP_REVOKED || status->reason < 0) {
        return line;
    }
    return STR_CAT(pool, line, STR("; reason: "), str_c(reason_word(status->reason)));
}

static void add_time(struct pool *pool, struct buf *b, const char *what, time_t t)
{
    if (t) {
        buf_addf(b, ", %s ", what);
        buf_adds(b, time_strftime(pool, "%Y-%m-%d %H:%M:%SZ", t, true));
    }
}

static struct str detail(struct pool *pool, const struct ocsp_status *s)
{
    struct buf b;
    buf_init(&b, pool, 512);
    buf_addz(&b, words[s->result].detail);
    if (s->result == OCSP_REVOKED && s->reason >= 0) {
        buf_addf(&b, ", reason %s", reason_word(s->reason));
    }
    add_time(pool, &b, "revoked", s->revoked);
    add_time(pool, &b, "this update", s->this_update);
    add_time(pool, &b, "next update", s->next_update);
    if (s->signer_not_after && s->signer_not_after < s->next_update) {
        add_time(pool, &b, "signer until", s->signer_not_after);
    }
    return buf_str(&b);
}

struct str ocsp_summary(struct pool *pool, struct str response, struct str leaf)
{
    struct ocsp_status s = {.result = OCSP_GOOD, .reason = -1};
    struct ocsp_response r;
    struct cert c;
    int status;
    if (!cert_parse(pool, leaf, &c) || ocsp_read(pool, response, &r, &status) != OCSP_GOOD) {
        return STR_NONE;
    }
    for (size_t i = 0; i < r.count; i++) {
        if (str_eq(r.singles[i].serial, c.serial)) {
            s.this_update = r.singles[i].this_update;
            s.next_update = r.singles[i].next_update;
        }
    }
    return detail(pool, &s);
}

/* ---- the whole ---- */

void ocsp_check(struct pool *pool, const struct tls_backend *b, struct str response,
                const struct cert *leaf, const struct cert *issuer, time_t now,
                struct ocsp_status *out)
{
    struct ocsp_response r;
    int status;
    *out = (struct ocsp_status){.reason = -1};
    out->result = ocsp_read(pool, response, &r, &status);
    if (out->result == OCSP_GOOD) {
        out->produced = r.produced;
        if (!find_single(pool, &r, leaf, issuer, now, out)) {
            out->result = OCSP_NO_MATCH;
        } else if (issuer) {
            /* Unsigned words are nobody's: a bad signature hides what they say. */
            enum ocsp_result by = check_signer(pool, b, &r, issuer, now, &out->signer_not_after);
            out->result = by == OCSP_GOOD ? out->result : by;
        }
    }
    out->text = detail(pool, out);
}

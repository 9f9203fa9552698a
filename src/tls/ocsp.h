/*
 * OCSP messages as they are written (RFC 6960 4.2), for ocsp.c, which says what a response means,
 * and for those who make requests and look for dates.
 */
#ifndef TLS_OCSP_H
#define TLS_OCSP_H

#include "tls/internal.h"

/* What one SingleResponse says. */
struct ocsp_single {
    unsigned hash; /* enum digest_kind of the CertID, or OCSP_OTHER_HASH */
    struct str name_hash, key_hash, serial;
    enum { OCSP_SAYS_GOOD, OCSP_SAYS_REVOKED, OCSP_SAYS_UNKNOWN } status;
    int reason; /* -1: none given */
    time_t revoked, this_update, next_update;
};

enum { OCSP_OTHER_HASH = 0xffff, OCSP_SKEW = 300 };

/* A response taken apart. Strings are views of it. */
struct ocsp_response {
    struct str tbs;     /* ResponseData, what is signed */
    struct str by_name; /* responderID: one of the two is set */
    struct str by_key;  /* SHA-1 of the key */
    struct str algorithm, signature;
    time_t produced;
    struct ocsp_single *singles;
    size_t count;
    struct strvec certs; /* DER */
};

/* Takes a response apart. OCSP_GOOD, OCSP_GARBAGE or OCSP_UNSUCCESSFUL; the last sets *status. */
enum ocsp_result ocsp_read(struct pool *pool, struct str der, struct ocsp_response *out,
                           int *status);

/*
 * When a proof that was good when it was checked ceases to be (0: it cannot be read): the earliest
 * nextUpdate for that serial number, or the end of a signer's certificate in it.
 */
time_t ocsp_usable_until(struct pool *pool, struct str der, struct str serial);

/* A request (RFC 6960 4.1) for one certificate, with SHA-1, which every responder knows. */
struct str ocsp_request(struct pool *pool, const struct cert *leaf, const struct cert *issuer);

#endif

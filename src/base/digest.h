/* Message digests: MD5 (RFC 1321), SHA-1, SHA-256, -384, -512 (FIPS 180-4), SHA-3 (FIPS 202). */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/str.h"

enum digest_kind {
    DIGEST_MD5,
    DIGEST_SHA1,
    DIGEST_SHA256,
    DIGEST_SHA384,
    DIGEST_SHA512,
    DIGEST_SHA3_224,
    DIGEST_SHA3_256,
    DIGEST_SHA3_384,
    DIGEST_SHA3_512
};

/* The digest as bytes (16, 20, 32, 48, 64, 28, 32, 48, 64 of them) in the pool; untainted. */
struct str digest(struct pool *pool, enum digest_kind kind, struct str data);

/* SHA-384 or SHA-512, by the number of bytes: a part of digest(). */
struct str digest_sha512(struct pool *pool, size_t bytes, struct str data);

/* HMAC (RFC 2104) with DIGEST_MD5, _SHA1 or _SHA256. */
struct str digest_hmac(struct pool *pool, enum digest_kind kind, struct str key, struct str data);

#endif

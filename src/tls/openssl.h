/* What the two files about OpenSSL tell each other. */
#ifndef TLS_OPENSSL_H
#define TLS_OPENSSL_H

#include "tls/internal.h"

/* The oldest error of OpenSSL's queue in its words (of the pool), unset if there is none; empties it. */
struct str ossl_words(struct pool *pool);

/* As self_sign and verify_signature of struct tls_backend say. */
bool ossl_self_sign(struct pool *pool, struct str name, struct str *cert_pem, struct str *key_pem,
                    struct str *error);
bool ossl_verify_signature(struct str spki, struct str algorithm, struct str data, struct str sig);

#endif

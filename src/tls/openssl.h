/*
 * What the files about OpenSSL tell each other. Its types go by their structs: its headers are for
 * the .c files.
 */
#ifndef TLS_OPENSSL_H
#define TLS_OPENSSL_H

#include "tls/internal.h"

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;

/* The oldest error of OpenSSL's queue in its words (of the pool), unset if there is none; empties it. */
struct str ossl_words(struct pool *pool);

/* As self_sign and verify_signature of struct tls_backend say. */
bool ossl_self_sign(struct pool *pool, struct str name, struct str *cert_pem, struct str *key_pem,
                    struct str *error);
bool ossl_verify_signature(struct str spki, struct str algorithm, struct str data, struct str sig);

/* As options_known of struct tls_backend says. */
bool ossl_options_known(struct str text, struct str *bad);

/*
 * Sets a context to what the specification says; false with *where, the step, and *error, in
 * OpenSSL's words.
 */
bool ossl_settings(struct pool *pool, struct ssl_ctx_st *ctx, const struct tls_spec *spec,
                   const char **where, struct str *error);

/* The connection behind an SSL. */
struct tls *ossl_tls(const struct ssl_st *ssl);

/* Server: tickets are opened, and issued if that is wanted. */
void ossl_tickets(struct ssl_ctx_st *ctx, bool issue);

/* Client: a session of ossl_pack() is offered; false if it is none. */
bool ossl_offer(struct ssl_st *ssl, struct str session);

/* A session as bytes (unset: that cannot be), and what the server says of its life in seconds. */
struct str ossl_pack(struct ssl_session_st *session, struct pool *pool, int *lifetime);

#endif

/*
 * What gnutls.c is helped with: texts and numbers that need nothing of GnuTLS (gnutls_text.c: what
 * an extension of a ClientHello says, priority strings, cipher texts, groups, stored sessions), and
 * primitives that do (gnutls_primitives.c).
 */
#ifndef TLS_GNUTLS_TEXT_H
#define TLS_GNUTLS_TEXT_H

#include "tls/internal.h"

/*
 * Notes in *hello (whose alpn.pool is set) what an extension of a ClientHello says; data is its
 * content. Malformed ones say nothing: the library will refuse them.
 */
void tls_hello_extension(struct tls_hello *hello, unsigned type, struct str data);

/*
 * The priority string for tls_require_ciphers (unset: NORMAL) and tls_eccurve (a list; unset or
 * "auto": the library's choice). False with *error for a curve that nobody knows.
 */
bool gnutls_text_priority(struct pool *pool, struct str ciphers, struct str eccurve,
                          struct str *out, struct str *error);

/*
 * The prime of a group of RFC 3526 ("modp_1536" to "modp_8192"), big-endian; its generator is 2.
 * False if there is none of the name.
 */
bool gnutls_text_group(struct pool *pool, struct str name, struct str *prime);

/*
 * A cipher as logged, of GnuTLS' description of a session: "(TLS1.3)-(ECDHE-X25519)-(AES-256-GCM)"
 * gives "TLS1.3:ECDHE_X25519__AES_256_GCM:256".
 */
struct str gnutls_text_cipher(struct pool *pool, struct str version, struct str desc, int bits);

/* A stored session: the cipher as logged in the connection that it is of, and the library's data. */
struct str gnutls_text_pack(struct pool *pool, struct str cipher, struct str data);

/* The reverse, as views; false if it was not made by gnutls_text_pack(). */
bool gnutls_text_unpack(struct str packed, struct str *cipher, struct str *data);

/* What chains are measured by. GnuTLS' types go by their structs: its headers are for two files. */
struct gnutls_trust {
    struct gnutls_x509_trust_list_st *list;
    struct gnutls_x509_crl_int **crls;
    unsigned crl_count;
    bool check_crls; /* though there may be none */
};

/*
 * Fills verdict, depth, text and path of a chain from what GnuTLS said of it: its result (an error
 * if negative) and its bits.
 */
void gnutls_chain_verdict(struct pool *pool, const struct gnutls_trust *trust, int result,
                          unsigned status, struct tls_chain *out);

/* The same for a chain that has to end in one of these certificates (DER). */
void gnutls_chain_by_anchors(struct pool *pool, const struct strvec *anchors, const char *purpose,
                             struct tls_chain *out);

/* As self_sign and verify_signature of struct tls_backend. */
bool gnutls_self_sign(struct pool *pool, struct str name, struct str *cert_pem, struct str *key_pem,
                      struct str *error);
bool gnutls_verify_signature(struct str spki, struct str algorithm, struct str data,
                             struct str sig);

#endif

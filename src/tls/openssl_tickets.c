/*
 * Session tickets by OpenSSL 3: sealing and opening them with the keys of tickets.c as a server,
 * sessions as bytes as a client. What is worth resuming is decided elsewhere.
 *
 * A ticket that cannot be opened is no error: the handshake is a full one.
 */
#include "tls/der.h"
#include "tls/openssl.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

enum { TICKET_LIFE = 7200 };

/* Seals (enc) and opens tickets with policy's keys (RFC 5077 4). */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int enc)
{
    struct tls_ticket_key key;
    enum tls_ticket found = tls_ticket_key(ossl_tls(ssl), enc ? NULL : name, &key);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string("key", key.mac, sizeof key.mac),
        OSSL_PARAM_construct_utf8_string("digest", (char[]){"sha256"}, 0),
        OSSL_PARAM_construct_end(),
    };
    if (found == TLS_TICKET_NONE) {
        return 0;
    }
    if (enc) {
        memcpy(name, key.name, sizeof key.name);
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) {
            return -1;
        }
    }
    bool ok = EVP_MAC_CTX_set_params(mac, params) == 1 &&
              EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv, enc) == 1;
    OPENSSL_cleanse(&key, sizeof key);
    /* with TLS 1.3 a ticket is good for one use (RFC 8446 C.4) */
    bool renew = found == TLS_TICKET_RENEW || (!enc && SSL_version(ssl) >= TLS1_3_VERSION);
    return !ok ? -1 : renew ? 2 : 1;
}

void ossl_tickets(struct ssl_ctx_st *ctx, bool issue)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, TICKET_LIFE);
    SSL_CTX_set_num_tickets(ctx, issue);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}

bool ossl_offer(struct ssl_st *ssl, struct str session)
{
    const unsigned char *p = (const unsigned char *)session.p;
    SSL_SESSION *s = d2i_SSL_SESSION(NULL, &p, (long)session.len);
    bool ok = s && SSL_set_session(ssl, s) == 1;
    SSL_SESSION_free(s);
    ERR_clear_error();
    return ok;
}

/*
 * SSL_SESSION without its [3], the server's certificate. The record has that beside it, and
 * reading it costs time whenever the session is offered.
 */
static struct str without_certificate(struct pool *pool, struct str session)
{
    struct der whole = der_of(session);
    struct der r = der_enter(&whole, DER_SEQUENCE);
    struct der_item item;
    struct buf b;
    buf_init(&b, pool, SIZE_MAX);
    while (der_next(&r, &item)) {
        if (item.tag != DER_CONTEXT_HOLDS(3)) {
            buf_adds(&b, item.whole);
        }
    }
    return r.bad ? session : der_make(pool, DER_SEQUENCE, buf_str(&b));
}

struct str ossl_pack(struct ssl_session_st *session, struct pool *pool, int *lifetime)
{
    unsigned char *p = NULL;
    int n = i2d_SSL_SESSION(session, &p);
    struct str out =
        n > 0 ? without_certificate(pool, str_dup(pool, str_n((char *)p, (size_t)n))) : STR_NONE;
    OPENSSL_free(p);
    *lifetime = (int)SSL_SESSION_get_ticket_lifetime_hint(session);
    return out;
}

/*
 * A context of GnuTLS: credentials, priorities, and what of the policy belongs to each session.
 * Included by gnutls.c and gnutls_context.c only, for it shows the types of the library.
 */
#ifndef TLS_GNUTLS_CONTEXT_H
#define TLS_GNUTLS_CONTEXT_H

#include "tls/gnutls_text.h"
#include "tls/internal.h"

#include <gnutls/gnutls.h>

struct tls_context {
    struct pool *pool;
    gnutls_certificate_credentials_t cred;
    struct gnutls_trust trust; /* its list belongs to cred */
    gnutls_priority_t priority;
    gnutls_dh_params_t dh;
    bool tickets;
    gnutls_datum_t *alpn;
    unsigned alpn_count;
    bool verify, chain_staples;
};

/* A view, as GnuTLS takes it. */
static inline gnutls_datum_t datum(struct str s)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)s.p, s.len};
}

/* As context and context_free of struct tls_backend say. */
struct tls_context *gtls_context(struct pool *scratch, const struct tls_spec *spec,
                                 const char **where, struct str *error);
void gtls_context_free(struct tls_context **context);

/* Called by GnuTLS for the proof that goes with the certificate of a server's session. */
int gtls_on_staple(gnutls_session_t session, void *ptr, gnutls_datum_t *out);

#endif

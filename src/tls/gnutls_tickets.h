/*
 * Tickets and resumed sessions under GnuTLS: what gnutls.c is helped with (gnutls_tickets.c,
 * gnutls_cipher.c). The types of GnuTLS go by their structs: its headers are for the .c files.
 */
#ifndef TLS_GNUTLS_TICKETS_H
#define TLS_GNUTLS_TICKETS_H

#include "tls/internal.h"

struct gnutls_session_int;
struct gnutls_priority_st;
struct gnutls_certificate_credentials_st;

enum { GNUTLS_TICKET_LIFE = 7200 };

/*
 * Server, at the ClientHello (whose body is hello): makes the session issue and open tickets by the
 * secrets of tls_ticket_stems(): the one that opens the ticket that is offered, else the first. A
 * GnuTLS error if negative; 0 also where there are no secrets. *seals is set if it is the first: by
 * another no ticket is to be issued.
 */
int gnutls_tickets_enable(struct gnutls_session_int *session, struct tls *t,
                          struct gnutls_priority_st *priority,
                          struct gnutls_certificate_credentials_st *cred, struct str hello,
                          bool offered, bool *seals);

/* What decided a server's signature. */
struct gnutls_deciders {
    struct gnutls_priority_st *priority;
    struct gnutls_certificate_credentials_st *cred;
    struct str signatures; /* content of the client's signature_algorithms; empty: none was sent */
    struct str sni;        /* that the client asked for; unset: none */
};

/*
 * The cipher of a session as logged, as Exim with this library writes it. In a resumed one it is
 * that of the session that was made in full; d is needed for that on the server's side, else NULL.
 */
struct str gnutls_cipher_text(struct pool *pool, struct gnutls_session_int *session,
                              struct str version, int bits, const struct gnutls_deciders *d);

#endif

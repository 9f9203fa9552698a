/*
 * Session tickets of a GnuTLS server with keys of ours.
 *
 * GnuTLS takes one secret for a session, at the latest at the ClientHello, and makes of it the key
 * that opens the ticket that is offered and seals the one that is issued. It shows neither that
 * key nor its name. With several secrets the right one is therefore found by trial: the ClientHello
 * is read once more by a session that is not connected to anything, for each secret, and dropped
 * as soon as it is known whether it would be resumed. That is before keys are agreed on and costs
 * no signature. A ClientHello of TLS 1.3 that has to be repeated for another group tells nothing;
 * the newest secret is taken, and the handshake is a full one unless that sealed the ticket.
 *
 * A session that an older secret opened gets no new ticket, as that could only seal another with it;
 * it goes on with the one it has until that ends.
 */
#include "tls/gnutls_tickets.h"

#include <errno.h>
#include <gnutls/gnutls.h>

/* A ClientHello on its way into a trial. */
struct trial {
    gnutls_session_t session;
    struct str rest; /* not yet read */
    bool opened;
};

static ssize_t trial_pull(gnutls_transport_ptr_t ptr, void *p, size_t n)
{
    struct trial *trial = ptr;
    if (!trial->rest.len) {
        gnutls_transport_set_errno(trial->session, EAGAIN);
        return -1;
    }
    n = n < trial->rest.len ? n : trial->rest.len;
    memcpy(p, trial->rest.p, n);
    trial->rest = str_from(trial->rest, n);
    return (ssize_t)n;
}

static int trial_wait(gnutls_transport_ptr_t ptr, unsigned ms)
{
    struct trial *trial = ptr;
    (void)ms;
    return trial->rest.len > 0;
}

/* Alerts and the like go nowhere. */
static ssize_t trial_push(gnutls_transport_ptr_t ptr, const void *p, size_t n)
{
    (void)ptr, (void)p;
    return (ssize_t)n;
}

static int on_trial(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                    const gnutls_datum_t *message)
{
    struct trial *trial = gnutls_session_get_ptr(session);
    (void)type, (void)when, (void)incoming, (void)message;
    trial->opened = gnutls_session_is_resumed(session) != 0;
    return GNUTLS_E_INTERRUPTED; /* that was all */
}

/* The ClientHello in records (RFC 8446 5.1), as it came. */
static struct str records_of(struct pool *pool, struct str hello)
{
    enum { HANDSHAKE = 22, CLIENT_HELLO = 1, MOST = 16384 };
    const unsigned char head[] = {CLIENT_HELLO, (unsigned char)(hello.len >> 16),
                                  (unsigned char)(hello.len >> 8), (unsigned char)hello.len};
    struct str rest = STR_CAT(pool, str_n((const char *)head, sizeof head), hello);
    struct buf b;
    buf_init(&b, pool, SIZE_MAX);
    while (rest.len) {
        size_t n = rest.len < MOST ? rest.len : MOST;
        const char record[] = {HANDSHAKE, 3, 1, (char)(n >> 8), (char)n};
        buf_adds(&b, str_n(record, sizeof record));
        buf_adds(&b, str_sub(rest, 0, n));
        rest = str_from(rest, n);
    }
    return buf_str(&b);
}

static int enable(gnutls_session_t session, unsigned char *stem)
{
    gnutls_datum_t key = {stem, 64};
    gnutls_db_set_cache_expiration(session, GNUTLS_TICKET_LIFE);
    return gnutls_session_ticket_enable_server(session, &key);
}

/* Does the secret open the ticket in these records? */
static bool opens(struct str records, unsigned char *stem, gnutls_priority_t priority,
                  gnutls_certificate_credentials_t cred)
{
    struct trial trial = {.rest = records};
    if (gnutls_init(&trial.session, GNUTLS_SERVER | GNUTLS_NONBLOCK) < 0) {
        return false;
    }
    gnutls_session_t s = trial.session;
    gnutls_session_set_ptr(s, &trial);
    gnutls_transport_set_ptr(s, &trial);
    gnutls_transport_set_pull_function(s, trial_pull);
    gnutls_transport_set_pull_timeout_function(s, trial_wait);
    gnutls_transport_set_push_function(s, trial_push);
    gnutls_handshake_set_hook_function(s, GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_POST,
                                       on_trial);
    if (gnutls_priority_set(s, priority) >= 0 &&
        gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, cred) >= 0 && enable(s, stem) >= 0) {
        gnutls_handshake(s); /* on_trial() ends it */
    }
    gnutls_deinit(s);
    return trial.opened;
}

int gnutls_tickets_enable(gnutls_session_t session, struct tls *t, gnutls_priority_t priority,
                          gnutls_certificate_credentials_t cred, struct str hello, bool offered,
                          bool *seals)
{
    unsigned char stems[TLS_SECRETS][64];
    size_t n = tls_ticket_stems(t, stems), chosen = 0;
    if (!n) {
        return 0;
    }
    if (offered && n > 1) {
        struct str records = records_of(tls_pool(t), hello);
        while (chosen < n && !opens(records, stems[chosen], priority, cred)) {
            chosen++;
        }
    }
    chosen = chosen < n ? chosen : 0;
    *seals = chosen == 0;
    int r = enable(session, stems[chosen]);
    gnutls_memset(stems, 0, sizeof stems);
    return r;
}

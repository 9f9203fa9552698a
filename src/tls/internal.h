/*
 * What the files of tls/ tell each other, above all the seam between policy and the two libraries:
 * a backend is one struct tls_backend of functions and holds mechanism only. It asks policy
 * (tls_hello, tls_staple, tls_anchors, tls_judge_chain, tls_judge_staple) in the handshake.
 */
#ifndef TLS_INTERNAL_H
#define TLS_INTERNAL_H

#include "tls/tls.h"

struct tls; /* one connection, as policy sees it */

/* ---- a context: what many connections share ---- */

/* A certificate with its chain, and its key. */
struct tls_pair {
    struct str cert_pem, key_pem;   /* contents of the files */
    struct str cert_name, key_name; /* their names, for messages */
    struct strvec staples; /* DER responses for the chain, leaf first; a piece may be empty */
    struct str ocsp_name;  /* the file of the leaf's */
};

/* All that a backend makes a context of. Equal specifications give equal contexts. */
struct tls_spec {
    bool server;
    const struct tls_pair *pairs;
    size_t pair_count;
    bool verify;              /* the peer's certificate is asked for, and verified */
    struct str cas_pem;       /* trusted certificates; unset: none */
    bool system_cas;          /* trust what the system trusts */
    bool send_ca_names;       /* server: name the trusted ones to clients */
    struct str crls_pem;      /* unset: revocation is not checked */
    struct str ciphers;       /* in the library's own syntax; unset or empty: its default */
    struct str dhparam_pem;   /* server; unset: the library's choice */
    struct str dhparam_group; /* the same as the name of a group: "ffdhe2048" …; "none": no DHE */
    struct str eccurve;       /* server; "auto" or unset: the library's choice */
    struct str alpn;          /* wire form (RFC 7301): length octet and name each; empty: none */
    struct str options;       /* openssl_options */
    int dh_bits;
    bool tickets;     /* server: issue and accept session tickets */
    bool auto_pkcs11; /* GnuTLS may load PKCS#11 modules by itself */
};

struct tls_record;
struct tls_context; /* of a backend */
struct tls_link;    /* of a backend: one connection */

/* ---- what passes between backend and policy in a handshake ---- */

/* What a ClientHello says. */
struct tls_hello {
    struct str sni; /* tainted; unset: none */
    bool asks_status, asks_ticket, offers_session;
    bool alpn_offered;
    struct strvec alpn;
    struct str signatures; /* content of signature_algorithms; with GnuTLS alone */
};

/* Why a library does not trust a chain; the words are in judge.c. */
enum tls_verdict {
    TLS_TRUSTED,
    TLS_NO_CERTIFICATE, /* the peer sent none */
    TLS_EXPIRED,
    TLS_NOT_YET_VALID,
    TLS_UNKNOWN_ISSUER, /* no path to a trusted one */
    TLS_SELF_SIGNED, /* the leaf itself, or the end of the chain, is self-signed and not trusted */
    TLS_REVOKED,     /* by a CRL */
    TLS_NO_CRL,      /* a CRL is missing or out of date */
    TLS_BAD_SIGNATURE,
    TLS_BAD_PURPOSE, /* not for this use, or not a CA where one is needed */
    TLS_WEAK,        /* key or digest too weak */
    TLS_UNTRUSTED    /* anything else */
};

/* The peer's chain. */
struct tls_chain {
    struct strvec sent; /* DER, leaf first, as sent; empty: no certificate */
    struct strvec path; /* as verified, leaf to anchor; empty if it was not */
    enum tls_verdict verdict;
    int depth;       /* of the certificate at fault; 0 is the leaf, -1: not known */
    struct str text; /* the library's own words */
};

/*
 * Server: the ClientHello is known. It may have another context used for this connection:
 * *context is NULL or the one to change to. False: the handshake ends, with the alert
 * no_application_protocol if t->alpn_refused is set, else unrecognized_name.
 */
bool tls_hello(struct tls *t, const struct tls_hello *hello, struct tls_context **context);

/* Server: the DER proof to staple to this leaf certificate; unset: none. */
struct str tls_staple(struct tls *t, struct str leaf);

/*
 * Client: the DER certificates that alone are to be trusted for this chain, an intermediate as good
 * as a root. False: the context's trust applies.
 */
bool tls_anchors(struct tls *t, const struct strvec *sent, struct strvec *anchors);

/*
 * The peer's chain has been verified by the library. 0: the handshake goes on; else the TLS alert
 * to end it with (RFC 8446 6).
 */
int tls_judge_chain(struct tls *t, const struct tls_chain *chain);

/*
 * Client, after tls_judge_chain(): the stapled responses, leaf first (empty: none came). Called
 * in full handshakes where a status was asked for. As above.
 */
int tls_judge_staples(struct tls *t, const struct strvec *staples);

/*
 * The connection under the backend: read(2) and write(2) that wait till the deadline; -1 with
 * errno, ETIMEDOUT at the deadline, EAGAIN if nothing is there and t is only being asked.
 */
ssize_t tls_pull(struct tls *t, void *p, size_t n);
ssize_t tls_push(struct tls *t, const void *p, size_t n);

/* The pool of the connection. */
struct pool *tls_pool(struct tls *t);

/* ---- a backend ---- */

enum tls_io {
    TLS_IO_OK,
    TLS_IO_EOF,   /* close_notify, or an end without it where no more is due */
    TLS_IO_AGAIN, /* tls_pull() said EAGAIN */
    TLS_IO_ERROR  /* errno if the connection failed, 0 and a text if the protocol did */
};

/* Why a protocol could not be agreed on, so that the words can be the same whatever the library. */
enum tls_cause {
    TLS_CAUSE_OTHER,
    TLS_CAUSE_VERSION,   /* no common protocol version */
    TLS_CAUSE_CIPHER,    /* no common cipher suite, group or signature algorithm */
    TLS_CAUSE_ALPN,      /* no common application protocol */
    TLS_CAUSE_NOT_TLS,   /* what came is not TLS */
    TLS_CAUSE_PEER_ALERT /* the peer ended it: see alert */
};

struct tls_failure {
    enum tls_cause cause;
    int alert;       /* that was received (RFC 8446 6); -1: none */
    struct str text; /* the library's own words */
};

struct tls_backend {
    const char *name;             /* as tls_backend says it: openssl, gnutls */
    const char *feature;          /* as -bV says it: OpenSSL, GnuTLS */
    const char *accept, *connect; /* the handshake in log lines: SSL_accept, gnutls_handshake */
    bool slash_dn; /* $tls_…_peerdn has slashes, not commas, as Exim with this library */

    /* Is all of openssl_options known? If not, *bad is the first that is not. NULL: never asked. */
    bool (*options_known)(struct str text, struct str *bad);

    /* Versions, compiled with and running. */
    void (*versions)(struct pool *pool, struct str *compiled, struct str *running);

    /*
     * Makes a context; NULL with *error, in the library's words, and *where, a literal that says at
     * which step ("cert/key setup", "setting cipher list" …). It is the caller's to free.
     */
    struct tls_context *(*context)(struct pool *scratch, const struct tls_spec *spec,
                                   const char **where, struct str *error);
    void (*context_free)(struct tls_context **c);

    /*
     * A connection of a context, for t, which is handed to the callbacks above; side tells SNI,
     * whether to ask for a status. NULL if memory is short or a text does not suit the library.
     */
    struct tls_link *(*link)(struct tls_context *c, struct tls *t, const struct tls_side *side);
    void (*link_free)(struct tls_link **l);

    /* One handshake from start to end. *failure is filled where it ends in TLS_IO_ERROR. */
    enum tls_io (*handshake)(struct tls_link *l, struct pool *pool, struct tls_failure *failure);

    /* Decrypted bytes; *got of at most n. */
    enum tls_io (*read)(struct tls_link *l, char *p, size_t n, size_t *got);
    enum tls_io (*write)(struct tls_link *l, const char *p, size_t n, size_t *put);
    bool (*pending)(struct tls_link *l); /* decrypted bytes are waiting inside */
    void (*bye)(struct tls_link *l);     /* sends close_notify; awaits none */

    /* Fills cipher, cipher_std, version, bits, alpn, peercert, ourcert, binding, RESUME_RESUMED. */
    void (*facts)(struct tls_link *l, struct pool *pool, struct tls_facts *f);

    /*
     * A key and a certificate for the name that it signs itself, valid for a month: for a server
     * that was given none. False with *error in the library's words.
     */
    bool (*self_sign)(struct pool *pool, struct str name, struct str *cert_pem, struct str *key_pem,
                      struct str *error);

    /*
     * Is `sig` (content octets) by the key of `spki` over data, made as the AlgorithmIdentifier
     * says? All DER. False also for an algorithm the library does not have.
     */
    bool (*verify_signature)(struct str spki, struct str algorithm, struct str data,
                             struct str sig);

    /* Client: offers a stored session; takes out what was issued (unset: nothing to store). */
    bool (*session_offer)(struct tls_link *l, struct str session);
    struct str (*session_take)(struct tls_link *l, struct pool *pool, int *lifetime);
};

extern const struct tls_backend tls_openssl, tls_gnutls;

/* What the program was built with, the default first; NULL ends. */
extern const struct tls_backend *const tls_backends[];

/* Words of -bV and, where a slash is in them, names of macros alone (struct module). */
extern const char *const tls_features[];

/* The backend of a side; NULL with *error if there is none of the name. */
const struct tls_backend *tls_backend(struct str name);

/* ---- credentials.c ---- */

/* What a side presents and trusts, made ready; counted, as connections may outlive a change of it. */
struct tls_credentials {
    struct tls_context *context;
    const struct tls_pair *pairs;
    size_t pair_count;
    struct str identity; /* a digest of what they are: settings, certificates, what is trusted */
};

/*
 * The credentials for a side, from the process's cache; files that have changed since are read
 * again. NULL with *error, the text for struct tls_error. To be handed back.
 */
struct tls_credentials *tls_credentials(struct pool *pool, const struct tls_backend *b,
                                        const struct tls_side *side, struct str *error);
void tls_credentials_drop(struct tls_credentials **c);

/* ---- judge.c ---- */

/* One connection. */
struct tls {
    struct pool *pool;
    const struct tls_backend *backend;
    struct tls_link *link;
    const struct stream_ops *under; /* the stream below */
    void *under_ctx;
    int64_t deadline; /* of the call in hand, monotonic ms; -1: none */
    bool asking;      /* only what is there is wanted: tls_pull() says EAGAIN */
    int wire_errno;   /* of the last failure of tls_pull() or tls_push() */
    struct tls_credentials *credentials;
    struct tls_credentials *named; /* those that SNI chose */
    struct tls_side *side;         /* while the handshake runs */
    struct tls_facts *facts;
    struct tls_error error;     /* of policy; text unset: it is content */
    struct cert leaf;           /* of the peer; der unset: none */
    struct cert issuer;         /* of it; der unset: not known */
    bool trusted;               /* the chain, whatever the name */
    struct str peer;            /* side->peer */
    time_t proof_until;         /* nextUpdate of a good proof; 0: there was none */
    struct tls_record *offered; /* client: the session that was offered; NULL: none */
    bool dane_matched;
    bool alpn_refused;
    char stash; /* a byte read ahead to see whether there is any */
    bool stashed, ended;
};

/* What could not be agreed on, in words of ours and the library's: "(SSL_accept): …". */
void tls_explain(struct tls *t, enum tls_io io, const struct tls_failure *failure,
                 struct tls_error *error);

/* ---- ticket_file.c ---- */

enum { TLS_SECRET_SIZE = 32, TLS_SECRETS = 16 };

/* What keys are derived from: the first seals and opens, the others open. */
struct tls_secrets {
    size_t n;
    unsigned char v[TLS_SECRETS][TLS_SECRET_SIZE];
};

/* Reads the text of a key file. False with *why (of the pool) unless all of it is right. */
bool tls_keys_parse(struct pool *pool, struct str text, struct tls_secrets *out, struct str *why);

/* ---- tickets.c ---- */

/* A key to seal tickets with: AES-256-CBC and HMAC-SHA256 (RFC 5077 4). */
struct tls_ticket_key {
    unsigned char name[16], cipher[32], mac[32];
};

enum tls_ticket {
    TLS_TICKET_NONE, /* not ours, or too old: a full handshake */
    TLS_TICKET_GOOD,
    TLS_TICKET_RENEW /* good, but the client is to get a new one */
};

/* The key to seal a ticket with (name NULL), or the one of that name. */
enum tls_ticket tls_ticket_key(struct tls *t, const unsigned char *name,
                               struct tls_ticket_key *out);

/* The same of these secrets. */
enum tls_ticket tls_ticket_choose(struct tls *t, const struct tls_secrets *all,
                                  const unsigned char *name, struct tls_ticket_key *out);

/*
 * For a library that makes its keys itself: secrets to make them from, the same in all workers. The
 * first is for new tickets. Fills at most TLS_SECRETS and says how many; 0: tickets are not to be
 * had.
 */
size_t tls_ticket_stems(struct tls *t, unsigned char stems[][64]);

/* Server: reads the side's key file, so that processes forked from now on have it. */
void tls_tickets_ready(struct pool *pool, const struct tls_side *side);

/* What a session belongs to; one made under another identity is not to be resumed. */
void tls_identity(struct tls *t, unsigned char id[32]);

/* ---- resume.c ---- */

/* A client's record, read. */
struct tls_record {
    time_t stored, proof_until, leaf_until;
    int lifetime;           /* seconds, as the server said; 0: it did not */
    struct tls_facts facts; /* of the handshake that made the session */
    struct str session;     /* the library's */
    struct str peer;        /* "host [address]" */
};

/* A record that is complete otherwise gets the digest it is known to be whole by. */
struct str tls_record_seal(struct pool *pool, struct str record);

/* False for anything that is not a whole record. */
bool tls_record_read(struct pool *pool, struct str record, struct tls_record *out);

/* May the session be offered at the time now? */
bool tls_record_usable(const struct tls_record *r, bool ocsp_required, time_t now);

/* ---- ocsp.c: one table of what a response means (RFC 6960) ---- */

enum ocsp_result {
    OCSP_GOOD,
    OCSP_GARBAGE,      /* not a response */
    OCSP_UNSUCCESSFUL, /* responseStatus is not successful */
    OCSP_NO_MATCH,     /* no SingleResponse for this certificate */
    OCSP_BAD_SIGNER,   /* signed by somebody who may not: no EKU, expired, other issuer */
    OCSP_BAD_SIGNATURE,
    OCSP_NOT_YET,     /* thisUpdate in the future */
    OCSP_OUT_OF_DATE, /* nextUpdate in the past */
    OCSP_NO_NEXT_UPDATE,
    OCSP_REVOKED,
    OCSP_UNKNOWN
};

struct ocsp_status {
    enum ocsp_result result;
    int reason; /* CRLReason of a revocation; -1: none given */
    time_t produced, this_update, next_update, revoked; /* 0: not there */
    time_t signer_not_after; /* of a delegated signer; 0: the issuer signed */
    struct str text;         /* result in words, with the reason and times: $tls_out_ocsp_detail */
};

/*
 * What a DER response says of the certificate `leaf` issued by `issuer`, at the time now, with a
 * skew of 300 s allowed. Signatures are checked with the backend b. Without an issuer (NULL: a
 * server that was not given it) they are not, and neither is the hash of the issuer's key.
 */
void ocsp_check(struct pool *pool, const struct tls_backend *b, struct str response,
                const struct cert *leaf, const struct cert *issuer, time_t now,
                struct ocsp_status *out);

/*
 * The log line for a result other than OCSP_GOOD, in Exim's words where it has some: "Server
 * certificate revoked; reason: superseded".
 */
struct str ocsp_words(struct pool *pool, const struct ocsp_status *status);

/* What a proof that is known to be good says of the leaf (DER), as $tls_in_ocsp_detail tells it. */
struct str ocsp_summary(struct pool *pool, struct str response, struct str leaf);

/* ---- staple.c: the proofs a server has ---- */

/*
 * Reads the files of tls_ocsp_file (expanded: a list with sticky prefixes DER and PEM, parallel to
 * the pairs), checks each proof for the certificates of its pair and sets pairs[].staples. What is
 * not usable is logged, once for each content. Adds the file names to *files.
 */
void tls_load_staples(struct pool *pool, const struct tls_backend *b, struct str list,
                      struct tls_pair *pairs, size_t n, struct strvec *files);

/* The proof for this leaf certificate (DER), unless it is out of date by now; unset: none. */
struct str staple_for(const struct tls_pair *pairs, size_t n, struct str leaf);

/* ---- once.c ---- */

/* Makes the table that the processes forked from now on share. */
void tls_once_prepare(void);

/* True if the text has not been said lately by any of them; it counts as said now. */
bool tls_once(struct pool *pool, struct str text);

/* ---- vars.c ---- */

extern const struct variable tls_variables[];

/* ---- dane.c ---- */

/* True if the leaf (DER) matches a record of usage 3; if a certificate matches one of usage 2. */
bool tlsa_matches_leaf(struct pool *pool, const struct tlsa_set *set, struct str leaf);
bool tlsa_trusts(struct pool *pool, const struct tlsa_set *set, struct str cert);

/*
 * Adds the certificates that stand whole in records of usage 2 and are not there yet: a server need
 * not send them.
 */
void tlsa_anchors(const struct tlsa_set *set, struct strvec *out);

#endif

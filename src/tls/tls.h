/*
 * The one public header of tls/: TLS as a filter of streams, over either of two libraries.
 *
 * Callers expand options and match host lists (those belong to higher rooms) and say what they
 * want in a struct tls_side; what comes of it is a struct tls_facts. Policy (which certificate,
 * what a status means, when a session may be resumed, what is logged) exists once, above the
 * backends; no caller knows which library is at work.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include "net/net.h"
#include "tls/x509.h"

extern const struct module tls_module;

/* ---- settings ---- */

/* The main options about TLS, unexpanded; smtp_in evaluates them for each connection. */
struct tls_settings {
    struct etext backend; /* openssl or gnutls; what the program has if unset */
    struct etext advertise_hosts, certificate, privatekey, ocsp_file, verify_certificates, crl;
    struct etext ocsp_refresh, ocsp_responder;
    struct etext require_ciphers, dhparam, eccurve, alpn;
    struct etext verify_hosts, try_verify_hosts, resumption_hosts, require_alpn_hosts;
    struct etext resumption_key_file;
    struct etext on_connect_ports; /* a list of numbers */
    struct str openssl_options;
    int dh_max_bits;
    bool remember_esmtp, gnutls_compat_mode, gnutls_allow_auto_pkcs11;
};

/* The settings of tls. */
const struct tls_settings *tls_settings(const struct config *conf);

/* True if a backend of that name is in the program. */
bool tls_has_backend(struct str name);

/* ---- what one side wants ---- */

enum tls_verify {
    TLS_VERIFY_OFF,
    TLS_VERIFY_TRY, /* a failure is noted */
    TLS_VERIFY_MUST /* a failure ends the handshake */
};

struct tls;      /* a connection under way */
struct tlsa_set; /* dane.c: usable TLSA records */

/*
 * One side of a connection. All texts are expanded; file names are untainted, which is checked.
 * It must live until tls_start() returns.
 */
struct tls_side {
    const struct config *conf;
    bool server;
    struct str backend; /* unset or empty: the default */

    /* Lists as in Exim, in the same order; a server without a certificate signs one itself. */
    struct str certificate, privatekey, ocsp_file;
    struct str verify_certificates; /* file, directory, "system"; unset: none */
    struct str crl;                 /* file or directory */
    struct str require_ciphers;     /* the syntax of the backend's library */
    struct str dhparam, eccurve;    /* server */
    struct str alpn;                /* list of names; empty: none */
    struct str openssl_options;     /* for that backend alone */
    int dh_bits; /* server: tls_dh_max_bits; client: tls_dh_min_bits; 0: default */
    enum tls_verify verify;
    bool resume;
    bool require_alpn;  /* an application protocol must be agreed upon */
    bool gnutls_compat; /* GnuTLS is to bear with broken peers */
    int timeout;        /* seconds for the whole handshake */
    struct str peer;    /* "host [address]" for lines that are logged on the way */

    /* -- client -- */
    struct str sni;      /* unset: none is sent */
    struct strvec names; /* the certificate must bear one of them; empty: any name does */
    bool request_ocsp, require_ocsp;
    const struct tlsa_set *dane; /* NULL: DANE is not used */
    struct str session;          /* resume: a record of tls_session_record(); unset: none */

    /* -- server -- */
    struct str
        resumption_key_file; /* resume: the name of a file with keys; unset or empty: our own */
    /*
     * The client named a server: put what applies to it in certificate, privatekey, ocsp_file,
     * verify_certificates and crl. NULL: the name changes nothing. False after *why was set: the
     * handshake ends.
     */
    bool (*on_sni)(void *closure, struct tls_side *side, struct str sni, struct str *why);
    void *closure;
};

/* ---- what came of it ---- */

/* $tls_in_ocsp, $tls_out_ocsp. */
enum tls_ocsp {
    OCSP_NOT_REQUESTED,
    OCSP_NO_RESPONSE,
    OCSP_NOT_VERIFIED,
    OCSP_FAILED,
    OCSP_VERIFIED
};

/* Bits of $tls_in_resumption, $tls_out_resumption. */
enum {
    RESUME_SUPPORTED = 1,
    RESUME_CLIENT_ASKED = 2,
    RESUME_CLIENT_OFFERED = 4,
    RESUME_SERVER_TICKET = 8,
    RESUME_RESUMED = 16
};

/* Facts of an encrypted connection; strings live in the connection's pool. */
struct tls_facts {
    struct str cipher;     /* as logged: "TLS1.3:TLS_AES_256_GCM_SHA384:256" */
    struct str cipher_std; /* the registered name: "TLS_AES_256_GCM_SHA384" */
    struct str version;    /* "TLS1.3" */
    int bits;
    struct str sni;      /* server: as received, tainted; client: as sent */
    struct str alpn;     /* that was agreed upon; unset: none */
    struct str peerdn;   /* tainted; unset: the peer sent no certificate */
    struct str peercert; /* DER; unset: none */
    struct str ourcert;  /* DER; unset: none was sent */
    bool verified;       /* the peer's certificate: chain, and name where one is wanted */
    bool dane;           /* by DANE */
    int tlsa_usage;      /* bits 1 << usage of the records; 0: DANE is not used */
    enum tls_ocsp ocsp;
    struct str ocsp_detail; /* "good, this update …, next update …"; unset: nothing to tell */
    int resumption;
    struct str binding; /* tls-exporter or tls-unique value, base64 */
    const char *backend;
    struct tls *tls; /* the connection itself; NULL once it is closed */
};

enum tls_fault {
    TLS_FAULT_SETUP,     /* ours: certificate, key, cipher list */
    TLS_FAULT_TIMEOUT,   /* the peer went silent */
    TLS_FAULT_CLOSED,    /* it closed the connection */
    TLS_FAULT_HANDSHAKE, /* no agreement, broken protocol, an alert */
    TLS_FAULT_VERIFY,    /* the peer's certificate */
    TLS_FAULT_OCSP,      /* its status: never a reason to go on in clear text */
    TLS_FAULT_DANE       /* its TLSA records */
};

/* Why there is no TLS. text is what follows "TLS session: " or "TLS error on connection from H ". */
struct tls_error {
    enum tls_fault fault;
    struct str text;
};

/*
 * The handshake, on a stream that has nothing buffered; afterwards the stream is encrypted and
 * closing it says goodbye. facts (of the pool) tells what was agreed. False with *error (texts of
 * the pool); the connection is not to be used further then.
 */
bool tls_start(struct pool *pool, struct stream *s, struct tls_side *side, struct tls_facts **facts,
               struct tls_error *error);

/*
 * Makes ready what the side needs (the library, certificates, keys), so that tls_start() finds it
 * in the cache of the process: a server can tell its client that TLS is not to be had before it
 * says "go ahead", and a daemon's workers share what was made before they were forked. False with
 * *error (of the pool).
 */
bool tls_ready(struct pool *pool, const struct tls_side *side, struct tls_error *error);

/*
 * The name under which a client may keep a session: hex digits made of all that decides it (the
 * side's texts and the files behind them, what it insists on, host, address, port, what tells the
 * nodes behind a load balancer apart).
 */
struct str tls_session_key(struct pool *pool, const struct tls_side *side, struct str host,
                           struct str address, int port, struct str balancer);

/*
 * What a client keeps for the next time, in the newest form the server gave; false if there is
 * nothing new. To be asked just before the connection is closed: tickets may come late.
 */
bool tls_session_record(struct pool *pool, const struct tls_facts *facts, struct str *record);

/*
 * Is a record still worth what the side asks for? If not it can be deleted. tls_start() asks this
 * itself.
 */
bool tls_session_usable(struct pool *pool, struct str record, const struct tls_side *side);

/* A record as a line for an administrator, without the session; unset if it cannot be read. */
struct str tls_session_text(struct pool *pool, struct str record);

/* When a record was made; 0 if it cannot be read. */
int64_t tls_session_time(struct str record);

/*
 * Makes the memory in which the processes forked from now on share their ticket keys (RFC 5077);
 * keys that are there stay.
 */
void tls_tickets_prepare(void);

/* The list behind _RESUME_DECODE: item N says what $tls_in_resumption or $tls_out_resumption N means. */
struct str tls_resume_decode(struct pool *pool);

/* Log elements " X=… CV=… DN="…" SNI=…" by the selectors; nothing for NULL. */
void tls_log(struct buf *b, const struct tls_facts *facts);

/* The lines of -bV about the libraries, each ending in a newline. */
void tls_versions(struct buf *b);

/* ---- proofs kept fresh: tls_ocsp_refresh ---- */

/* Options, expanded, and who may be asked. They must live as long as what is made of them. */
struct tls_refresh_what {
    struct str certificate, ocsp_file; /* the lists */
    struct str responder;              /* a URL; unset: those in the certificates */
    bool (*allowed)(void *closure, struct str host);
    void *closure;
};

struct tls_refresh;

/* The proofs of the lists and what is known of them, in the pool. */
struct tls_refresh *tls_refresh_new(struct pool *pool, const struct config *conf,
                                    const struct tls_refresh_what *what);

/* Fetches what is due, and logs what has changed. Seconds until the next time it is wanted. */
int tls_refresh_step(struct tls_refresh *r);

/* ---- DANE (RFC 6698, 7671, 7672) ---- */

/*
 * The usable records of a TLSA answer (usages 2 and 3, selectors 0 and 1, matching types 0 to 2),
 * sorted; NULL if there are none.
 */
const struct tlsa_set *tlsa_parse(struct pool *pool, const struct dns_answer *answer);

/* Bits 1 << usage of the records. */
int tlsa_usages(const struct tlsa_set *set);

/* The set as a text: equal for equal sets, whatever the order and the TTL of the answers. */
struct str tlsa_text(struct pool *pool, const struct tlsa_set *set);

#endif

/* Inside transport/: the smtp transport's options and the pieces of its work. */
#ifndef TRANSPORT_SMTP_H
#define TRANSPORT_SMTP_H

#include "transport/transport.h"

struct smtp_options {
    struct str protocol;
    struct etext hosts, helo_data, interface, port;
    struct etext multi_domain, hosts_avoid_esmtp, hosts_avoid_pipelining, hosts_try_chunking,
        hosts_try_fastopen, hosts_avoid_tls, hosts_verify_avoid_tls, hosts_nopass_tls,
        hosts_noproxy_tls, hosts_require_tls, hosts_require_alpn, hosts_request_ocsp,
        hosts_require_ocsp, hosts_try_dane, hosts_require_dane, dnssec_request_domains,
        dnssec_require_domains, retry_include_ip_address;
    struct etext tls_backend, tls_certificate, tls_privatekey, tls_verify_certificates, tls_crl,
        tls_require_ciphers, tls_alpn, tls_sni, dane_require_tls_ciphers, tls_verify_hosts,
        tls_try_verify_hosts, tls_verify_cert_hostnames, tls_resumption_hosts, host_name_extract;
    int tls_dh_min_bits;
    bool tls_tempfail_tryclear, gnutls_compat_mode;
    struct str fallback_hosts;
    int command_timeout, connect_timeout, data_timeout, final_timeout;
    int connection_max_messages, hosts_max_try, hosts_max_try_hardlimit, max_rcpt, size_addition,
        message_linelength_limit;
    bool address_retry_include_sender, allow_localhost, dns_qualify_single, dns_search_parents,
        gethostbyname, hosts_override, hosts_randomize, keepalive, lmtp_ignore_quota,
        delay_after_cutoff;
    bool lmtp, smtps; /* protocol */
};

extern const struct option smtp_option_rows[];
extern const struct transport_driver smtp_transport;

/* What a connection to one host came to. */
enum smtp_try {
    TRY_DONE,      /* every address has an outcome that the host decided */
    TRY_NEXT_HOST, /* nothing was decided by this host: another may be tried */
    TRY_STOP       /* deferred, and other hosts would not help (the message, not the host) */
};

/*
 * One connection: sends the message to the delivery's addresses that are still pending. d->host is
 * the host, *port and interface are fixed. Outcomes, facts and hooks are seen to.
 */
enum smtp_try smtp_try_host(struct ectx *x, struct delivery *d, const struct smtp_options *o,
                            int port, struct str interface);

/* True if the delivery may use the kept connection alone, and that is not one to d->host. */
bool smtp_is_elsewhere(const struct delivery *d);

/* The transaction on an open session (also of LMTP over a socket or a command, see lmtp.c). */
enum smtp_try smtp_transaction(struct ectx *x, struct delivery *d, const struct smtp_options *o,
                               struct smtp_client *c);

/* Ends every pending address of the delivery alike. */
void smtp_end_pending(struct delivery *d, enum outcome outcome, int basic_errno, int more_errno,
                      struct str message);

/*
 * Has TLS sessions with this host kept and resumed as tls_resumption_hosts says: fills in
 * co->sessions. pool is the connection's.
 */
void smtp_resume(struct ectx *x, struct pool *pool, const struct smtp_options *o, bool on_connect,
                 struct smtp_client_opts *co);

/* Writes the main log line (and the message log's) for a host that failed: "H=… reason". */
void smtp_log_host(struct ectx *x, const struct delivery *d, const struct address *reason);

#endif

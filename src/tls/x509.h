/*
 * Certificates as facts: read once from DER by our own reader (x509.c), so that every text made of
 * them is the same whichever library made the connection. Part of tls.h. Nothing here decides
 * whether a certificate is to be trusted.
 */
#ifndef TLS_X509_H
#define TLS_X509_H

#include "core/core.h"

/* A certificate (RFC 5280). Strings are views into the DER or live in the pool; they are tainted. */
struct cert {
    struct str der;
    struct str tbs;             /* the signed part, with its header */
    int version;                /* 1, 2, 3 */
    struct str serial;          /* content octets of the INTEGER */
    struct str issuer, subject; /* the Names, with their headers */
    time_t not_before, not_after;
    struct str spki;          /* SubjectPublicKeyInfo, with its header */
    struct str public_key;    /* content of its BIT STRING, without the count of unused bits */
    struct str sig_algorithm; /* AlgorithmIdentifier, with its header */
    struct str signature;     /* content of the BIT STRING, without the count of unused bits */
    struct strvec dns_names, mail_names, uri_names; /* subjectAltName */
    struct strvec ip_names;                         /* the same: 4 or 16 octets */
    bool has_alt_names;
    struct str alt_names; /* the value of the extension: all kinds, in order */
    struct strvec ocsp_uris, crl_uris;
    bool is_ca, has_key_usage, key_usage_sign_certs;
    bool eku_present, eku_ocsp_signing;
    bool must_staple;   /* TLS Feature (RFC 7633) with status_request */
    bool ocsp_no_check; /* id-pkix-ocsp-nocheck (RFC 6960 4.2.2.2.1) */
};

/* Reads a certificate. False if it is not one; never reads past its bytes. */
bool cert_parse(struct pool *pool, struct str der, struct cert *out);

/*
 * A Name as Exim logs it where it is built with GnuTLS: RFC 4514's escapes and commas, the
 * attributes in the order of the certificate.
 */
struct str cert_dn_text(struct pool *pool, struct str name);

/* A Name as OpenSSL's tools write it: "/C=GB/O=…/CN=…". */
struct str cert_dn_oneline(struct pool *pool, struct str name);

/*
 * The values of one attribute ("CN", "O", "OU", "DC", …) of a Name, in order, without escapes. With
 * an unset attribute every element, as "CN=value" with the escapes of RFC 4514. False if the Name is
 * damaged.
 */
bool cert_dn_values(struct pool *pool, struct str name, struct str attribute, struct strvec *out);

/*
 * True if the certificate bears the host name (RFC 6125): a dNSName, or, if it has none at all,
 * the last CN of the subject; one asterisk may stand for the whole left-most label. A name that is
 * an IP address is compared with the iPAddress names.
 */
bool cert_bears_name(struct pool *pool, const struct cert *c, struct str name);

/*
 * The text ${certextract} gives for a field with its modifiers (what stands behind the first
 * comma, or unset): version, serial_number, subject, issuer, notbefore, notafter, sig_algorithm,
 * signature, subj_altname, ocsp_uri, crl_uri. False with *error for an unknown field or modifier;
 * an absent fact gives an unset text. utc and zone as the option `timezone` says.
 */
bool cert_field(struct pool *pool, const struct cert *c, struct str field, struct str modifiers,
                struct str *out, struct str *error);

/* The DER certificates of a PEM text, in order; false if a block is damaged. */
bool pem_certificates(struct pool *pool, struct str pem, struct strvec *out);

/* Every block with the label ("OCSP RESPONSE", "X509 CRL", …) of a PEM text, decoded. */
bool pem_blocks(struct pool *pool, struct str pem, const char *label, struct strvec *out);

/* A block of PEM with the label around DER. */
struct str pem_encode(struct pool *pool, const char *label, struct str der);

#endif

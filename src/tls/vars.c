/*
 * $tls_in_… and $tls_out_…: the facts of the connection a message came over,
 * and of the one it leaves by. Where there is none the numbers are 0 and the
 * texts empty, as in Exim.
 */
#include "tls/internal.h"

static const struct tls_facts *facts_of(const struct ectx *x, struct str name)
{
    bool remote = x->dlv && x->dlv->host;
    if (str_starts(name, "tls_out_") || (remote && !str_starts(name, "tls_in_"))) {
        return x->dlv ? x->dlv->tls : x->addr ? x->addr->tls : NULL;
    }
    if (x->sess) {
        return x->sess->tls;
    }
    return x->msg && x->msg->session_facts ? x->msg->session_facts->tls : NULL;
}

static struct str number(struct ectx *x, int n)
{
    struct str s = str_fmt(x->pool, "%d", n);
    s.tainted = false;
    return s;
}

#define TEXT(fn, field) \
    static struct str fn(struct ectx *x, struct str name) \
    { \
        const struct tls_facts *f = facts_of(x, name); \
        return f ? f->field : STR_NONE; \
    }
#define NUMBER(fn, field) \
    static struct str fn(struct ectx *x, struct str name) \
    { \
        const struct tls_facts *f = facts_of(x, name); \
        return number(x, f ? (int)f->field : 0); \
    }

TEXT(get_cipher, cipher)
TEXT(get_cipher_std, cipher_std)
TEXT(get_version, version)
TEXT(get_sni, sni)
TEXT(get_alpn, alpn)
TEXT(get_peerdn, peerdn)
TEXT(get_peercert, peercert)
TEXT(get_ourcert, ourcert)
TEXT(get_ocsp_detail, ocsp_detail)
TEXT(get_binding, binding)
NUMBER(get_bits, bits)
NUMBER(get_verified, verified)
NUMBER(get_ocsp, ocsp)
NUMBER(get_resumption, resumption)
NUMBER(get_tlsa_usage, tlsa_usage)

static struct str get_dane(struct ectx *x, struct str name)
{
    const struct tls_facts *f = facts_of(x, name);
    return f && f->dane ? STR("yes") : STR("no");
}

static struct str get_backend(struct ectx *x, struct str name)
{
    const struct tls_facts *f = facts_of(x, name);
    return f ? str_c(f->backend) : STR_NONE;
}

const struct variable tls_variables[] = {
    {"tls_bits", get_bits, "old name of $tls_in_bits; in a transport of $tls_out_bits"},
    {"tls_certificate_verified", get_verified, "old name of $tls_in_certificate_verified; in a transport of $tls_out_certificate_verified"},
    {"tls_cipher", get_cipher, "old name of $tls_in_cipher; in a transport of $tls_out_cipher"},
    {"tls_peerdn", get_peerdn, "old name of $tls_in_peerdn; in a transport of $tls_out_peerdn"},
    {"tls_sni", get_sni, "old name of $tls_in_sni; in a transport of $tls_out_sni"},
    {"tls_in_alpn", get_alpn, "application protocol that was agreed upon"},
    {"tls_in_backend", get_backend, "library that serves the connection: openssl or gnutls"},
    {"tls_in_bits", get_bits, "strength of the cipher in bits"},
    {"tls_in_certificate_verified", get_verified, "1 if the client's certificate was verified"},
    {"tls_in_channelbinding", get_binding, "channel binding of the connection, base64"},
    {"tls_in_cipher", get_cipher, "version, cipher suite and bits"},
    {"tls_in_cipher_std", get_cipher_std, "registered name of the cipher suite"},
    {"tls_in_ocsp", get_ocsp, "0 to 4: what became of OCSP stapling"},
    {"tls_in_ocsp_detail", get_ocsp_detail, "status, times and reason of the OCSP proof"},
    {"tls_in_ourcert", get_ourcert, "our certificate, for certextract and digests"},
    {"tls_in_peercert", get_peercert, "the client's certificate"},
    {"tls_in_peerdn", get_peerdn, "Distinguished Name of the client's certificate"},
    {"tls_in_resumption", get_resumption, "bits: how far the session was resumed"},
    {"tls_in_sni", get_sni, "server name the client sent"},
    {"tls_in_ver", get_version, "protocol version"},
    {"tls_out_alpn", get_alpn, "application protocol that was agreed upon"},
    {"tls_out_backend", get_backend, "library of the connection: openssl or gnutls"},
    {"tls_out_bits", get_bits, "strength of the cipher in bits"},
    {"tls_out_certificate_verified", get_verified, "1 if the server's certificate was verified"},
    {"tls_out_channelbinding", get_binding, "channel binding of the connection, base64"},
    {"tls_out_cipher", get_cipher, "version, cipher suite and bits"},
    {"tls_out_cipher_std", get_cipher_std, "registered name of the cipher suite"},
    {"tls_out_dane", get_dane, "yes if DANE decided"},
    {"tls_out_ocsp", get_ocsp, "0 to 4: what became of OCSP stapling"},
    {"tls_out_ocsp_detail", get_ocsp_detail, "status, times and reason of the OCSP proof"},
    {"tls_out_ourcert", get_ourcert, "our certificate, for certextract and digests"},
    {"tls_out_peercert", get_peercert, "the server's certificate"},
    {"tls_out_peerdn", get_peerdn, "Distinguished Name of the server's certificate"},
    {"tls_out_resumption", get_resumption, "bits: how far the session was resumed"},
    {"tls_out_sni", get_sni, "server name we sent"},
    {"tls_out_tlsa_usage", get_tlsa_usage, "bits 1 << usage of the TLSA records in use"},
    {"tls_out_ver", get_version, "protocol version"},
    {0},
};

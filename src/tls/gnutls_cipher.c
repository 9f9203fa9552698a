/*
 * The cipher of a GnuTLS session in the words of the log. They tell the signature of the handshake
 * ("RSA_PSS_RSAE_SHA256"), which a resumed session has not; GnuTLS keeps nothing of it on the
 * server's side, and has no place in its tickets of TLS 1.3 where we could.
 *
 * What the signature was is therefore found again from what decided it: the ClientHello's list, our
 * priorities and our certificates, by the library's own order. With TLS 1.2 the key exchange tells
 * the kind of the certificate; else the first certificate comes first that bears the name the
 * client asked for. A client that resumes says the same as when the session was made, and so the
 * text is the same.
 */
#include "tls/gnutls_tickets.h"
#include "tls/gnutls_text.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

/* RFC 8446 4.2.3 and RFC 5246 7.4.1.4.1. */
static const struct {
    unsigned code;
    gnutls_sign_algorithm_t old, new; /* in TLS 1.2, in TLS 1.3; 0: there it is not to be used */
    gnutls_ecc_curve_t curve;         /* in TLS 1.3 of the key; 0: any */
} schemes[] = {
    {0x0201, GNUTLS_SIGN_RSA_SHA1, 0, 0},
    {0x0203, GNUTLS_SIGN_ECDSA_SHA1, 0, 0},
    {0x0401, GNUTLS_SIGN_RSA_SHA256, 0, 0},
    {0x0403, GNUTLS_SIGN_ECDSA_SHA256, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256,
     GNUTLS_ECC_CURVE_SECP256R1},
    {0x0501, GNUTLS_SIGN_RSA_SHA384, 0, 0},
    {0x0503, GNUTLS_SIGN_ECDSA_SHA384, GNUTLS_SIGN_ECDSA_SECP384R1_SHA384,
     GNUTLS_ECC_CURVE_SECP384R1},
    {0x0601, GNUTLS_SIGN_RSA_SHA512, 0, 0},
    {0x0603, GNUTLS_SIGN_ECDSA_SHA512, GNUTLS_SIGN_ECDSA_SECP521R1_SHA512,
     GNUTLS_ECC_CURVE_SECP521R1},
    {0x0804, GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, 0},
    {0x0805, GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, 0},
    {0x0806, GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, 0},
    {0x0807, GNUTLS_SIGN_EDDSA_ED25519, GNUTLS_SIGN_EDDSA_ED25519, 0},
    {0x0808, GNUTLS_SIGN_EDDSA_ED448, GNUTLS_SIGN_EDDSA_ED448, 0},
    {0x0809, GNUTLS_SIGN_RSA_PSS_SHA256, GNUTLS_SIGN_RSA_PSS_SHA256, 0},
    {0x080a, GNUTLS_SIGN_RSA_PSS_SHA384, GNUTLS_SIGN_RSA_PSS_SHA384, 0},
    {0x080b, GNUTLS_SIGN_RSA_PSS_SHA512, GNUTLS_SIGN_RSA_PSS_SHA512, 0},
};

/* What of a certificate of ours decides the signature. */
struct leaf {
    gnutls_pk_algorithm_t kind;
    gnutls_ecc_curve_t curve; /* of an ECDSA key; else GNUTLS_ECC_CURVE_INVALID */
    bool named;               /* it bears the name the client asked for */
};

/* The certificate number i; false if there are no more. */
static bool leaf_of(gnutls_certificate_credentials_t cred, unsigned i, const char *name,
                    struct leaf *out)
{
    gnutls_x509_crt_t *chain = NULL;
    unsigned n = 0;
    if (gnutls_certificate_get_x509_crt(cred, i, &chain, &n) < 0 || !n) {
        return false;
    }
    out->kind = (gnutls_pk_algorithm_t)gnutls_x509_crt_get_pk_algorithm(chain[0], NULL);
    out->curve = GNUTLS_ECC_CURVE_INVALID;
    if (out->kind == GNUTLS_PK_ECDSA) {
        gnutls_x509_crt_get_pk_ecc_raw(chain[0], &out->curve, NULL, NULL);
    }
    out->named = !name || gnutls_x509_crt_check_hostname(chain[0], name);
    for (unsigned j = 0; j < n; j++) {
        gnutls_x509_crt_deinit(chain[j]);
    }
    gnutls_free(chain);
    return true;
}

static bool has_priority(gnutls_priority_t priority, gnutls_sign_algorithm_t sign)
{
    const unsigned *list = NULL;
    int n = gnutls_priority_sign_list(priority, &list);
    for (int i = 0; i < n; i++) {
        if (list[i] == sign) {
            return true;
        }
    }
    return false;
}

/* The library says that RSA keys could do these, too; they are for rsassaPss certificates alone. */
static bool fits(unsigned code, gnutls_sign_algorithm_t sign, gnutls_pk_algorithm_t kind)
{
    bool pss = code >= 0x0809 && code <= 0x080b;
    return pss == (kind == GNUTLS_PK_RSA_PSS) && gnutls_sign_supports_pk_algorithm(sign, kind);
}

/* What the client's list has first for this certificate; 0: nothing. */
static gnutls_sign_algorithm_t sign_of(const struct gnutls_deciders *d, const struct leaf *leaf,
                                       bool new)
{
    const unsigned char *p = (const unsigned char *)d->signatures.p;
    for (size_t i = 2; i + 1 < d->signatures.len; i += 2) {
        unsigned code = (unsigned)p[i] << 8 | p[i + 1];
        for (size_t j = 0; j < ARRAY_LEN(schemes); j++) {
            gnutls_sign_algorithm_t sign = new ? schemes[j].new : schemes[j].old;
            if (schemes[j].code == code && sign && fits(code, sign, leaf->kind) &&
                (!new || !schemes[j].curve || schemes[j].curve == leaf->curve) &&
                has_priority(d->priority, sign)) {
                return sign;
            }
        }
    }
    return 0;
}

/* Does the key exchange sign with such a key? */
static bool signs(gnutls_kx_algorithm_t kx, gnutls_pk_algorithm_t kind)
{
    switch (kx) {
    case GNUTLS_KX_DHE_RSA:
    case GNUTLS_KX_ECDHE_RSA: return kind == GNUTLS_PK_RSA || kind == GNUTLS_PK_RSA_PSS;
    case GNUTLS_KX_ECDHE_ECDSA:
        return kind == GNUTLS_PK_ECDSA || kind == GNUTLS_PK_EDDSA_ED25519 ||
               kind == GNUTLS_PK_EDDSA_ED448;
    default: return false;
    }
}

/* "-(RSA-SHA256)", or nothing. */
static struct str signature(struct pool *pool, gnutls_session_t session,
                            const struct gnutls_deciders *d, bool new)
{
    const char *name = d->sni.len ? str_cstr(pool, d->sni) : NULL;
    gnutls_sign_algorithm_t best = 0;
    struct leaf leaf;
    for (unsigned i = 0; leaf_of(d->cred, i, name, &leaf); i++) {
        gnutls_sign_algorithm_t sign =
            new || signs(gnutls_kx_get(session), leaf.kind) ? sign_of(d, &leaf, new) : 0;
        if (sign && (leaf.named || !best)) {
            best = sign;
        }
        if (best && leaf.named) {
            break;
        }
    }
    return best ? str_fmt(pool, "-(%s)", gnutls_sign_get_name(best)) : STR("");
}

/* GnuTLS leaves out the key exchange, too. */
static struct str resumed_new(struct pool *pool, gnutls_session_t session,
                              const struct gnutls_deciders *d)
{
    gnutls_group_t g = gnutls_group_get(session);
    const char *group = g == GNUTLS_GROUP_INVALID ? NULL : gnutls_group_get_name(g);
    const char *kind = !group ? "PSK" : strncmp(group, "FFDHE", 5) == 0 ? "DHE-" : "ECDHE-";
    struct str sign = signature(pool, session, d, true);
    return str_fmt(pool, "(TLS)-(%s%s)%.*s-(%s)", kind, group ? group : "", STR_ARG(sign),
                   gnutls_cipher_get_name(gnutls_cipher_get(session)));
}

/* The signature stands behind the key exchange. */
static struct str resumed_old(struct pool *pool, gnutls_session_t session, struct str desc,
                              const struct gnutls_deciders *d)
{
    ptrdiff_t version = str_chr(desc, ')');
    ptrdiff_t kx = version < 0 ? -1 : str_chr(str_from(desc, (size_t)version + 1), ')');
    if (kx < 0) {
        return desc;
    }
    size_t at = (size_t)version + 1 + (size_t)kx + 1;
    return STR_CAT(pool, str_sub(desc, 0, at), signature(pool, session, d, false),
                   str_from(desc, at));
}

struct str gnutls_cipher_text(struct pool *pool, struct gnutls_session_int *session,
                              struct str version, int bits, const struct gnutls_deciders *d)
{
    if (d && gnutls_session_is_resumed(session) &&
        gnutls_protocol_get_version(session) >= GNUTLS_TLS1_3) {
        return gnutls_text_cipher(pool, version, resumed_new(pool, session, d), bits);
    }
    char *words = gnutls_session_get_desc(session);
    struct str desc = str_c(words);
    if (d && gnutls_session_is_resumed(session)) {
        desc = resumed_old(pool, session, desc, d);
    }
    struct str out = gnutls_text_cipher(pool, version, desc, bits);
    gnutls_free(words);
    return out;
}

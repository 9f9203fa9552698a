/*
 * Stands in for files that are being written: each function goes from here when its file comes
 * (ocsp.c, staple.c, dane.c). This file is not to outlive the day.
 */
#include "tls/internal.h"

void ocsp_check(struct pool *pool, const struct tls_backend *b, struct str response,
                const struct cert *leaf, const struct cert *issuer, time_t now,
                struct ocsp_status *out)
{
    (void)pool, (void)b, (void)response, (void)leaf, (void)issuer, (void)now;
    *out = (struct ocsp_status){.result = OCSP_GARBAGE};
}

struct str ocsp_words(struct pool *pool, const struct ocsp_status *status)
{
    (void)pool, (void)status;
    return STR("OCSP is not checked yet");
}

void tls_load_staples(struct pool *pool, const struct tls_backend *b, struct str list,
                      struct tls_pair *pairs, size_t n, struct strvec *files)
{
    (void)pool, (void)b, (void)list, (void)pairs, (void)n, (void)files;
}

struct str staple_for(const struct tls_pair *pairs, size_t n, struct str leaf)
{
    (void)pairs, (void)n, (void)leaf;
    return STR_NONE;
}

const struct tlsa_set *tlsa_parse(struct pool *pool, const struct dns_answer *answer)
{
    (void)pool, (void)answer;
    return NULL;
}

int tlsa_usages(const struct tlsa_set *set)
{
    (void)set;
    return 0;
}

bool tlsa_matches_leaf(struct pool *pool, const struct tlsa_set *set, struct str leaf)
{
    (void)pool, (void)set, (void)leaf;
    return false;
}

bool tlsa_trusts(struct pool *pool, const struct tlsa_set *set, struct str cert)
{
    (void)pool, (void)set, (void)cert;
    return false;
}

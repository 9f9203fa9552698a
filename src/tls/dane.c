/*
 * TLSA records (RFC 6698, 7671): those that are usable, and what matches them.
 *
 * A mail client uses DANE-TA(2) and DANE-EE(3) only (RFC 7672 3.1.3). Records it does not
 * understand are as if they were not there, and of two digests of the same thing only the stronger
 * counts (RFC 7671 9). A set is sorted and has no duplicates, so that equal sets have equal texts
 * whatever the order and lifetimes of the answer were.
 */
#include "tls/der.h"
#include "tls/internal.h"

enum { USE_TA = 2, USE_EE = 3, TYPE_FULL = 0, TYPE_SHA256 = 1, TYPE_SHA512 = 2 };

struct tlsa_set {
    struct str *v; /* as in the DNS: usage, selector, matching type, data */
    size_t n;
};

static unsigned usage_of(struct str record)
{
    return (unsigned char)record.p[0];
}

static unsigned selector_of(struct str record)
{
    return (unsigned char)record.p[1];
}

static unsigned type_of(struct str record)
{
    return (unsigned char)record.p[2];
}

/* A full certificate or key must be one, or nothing could match it. */
static bool is_sound_full(struct pool *pool, struct str record)
{
    struct str data = str_from(record, 3);
    struct cert c;
    struct der r = der_of(data);
    if (selector_of(record) == 0) {
        return cert_parse(pool, data, &c);
    }
    der_take(&r, DER_SEQUENCE);
    return der_end(&r);
}

static bool is_usable(struct pool *pool, struct str record)
{
    if (record.len < 4 || (usage_of(record) != USE_TA && usage_of(record) != USE_EE) ||
        selector_of(record) > 1) {
        return false;
    }
    switch (type_of(record)) {
    case TYPE_FULL: return is_sound_full(pool, record);
    case TYPE_SHA256: return record.len == 3 + 32;
    case TYPE_SHA512: return record.len == 3 + 64;
    default: return false;
    }
}

static void insert(struct tlsa_set *set, struct str record)
{
    size_t at = 0;
    while (at < set->n && str_cmp(set->v[at], record) < 0) {
        at++;
    }
    if (at < set->n && str_eq(set->v[at], record)) {
        return;
    }
    memmove(set->v + at + 1, set->v + at, (set->n - at) * sizeof *set->v);
    set->v[at] = record;
    set->n++;
}

static bool has_stronger(const struct tlsa_set *set, struct str record)
{
    for (size_t i = 0; i < set->n; i++) {
        if (type_of(record) == TYPE_SHA256 && type_of(set->v[i]) == TYPE_SHA512 &&
            usage_of(record) == usage_of(set->v[i]) &&
            selector_of(record) == selector_of(set->v[i])) {
            return true;
        }
    }
    return false;
}

const struct tlsa_set *tlsa_parse(struct pool *pool, const struct dns_answer *answer)
{
    struct tlsa_set *set = POOL_NEW(pool, struct tlsa_set);
    struct tlsa_set *strong = POOL_NEW(pool, struct tlsa_set);
    set->v = pool_calloc(pool, answer->n + 1, sizeof *set->v);
    strong->v = pool_calloc(pool, answer->n + 1, sizeof *strong->v);
    for (size_t i = 0; i < answer->n; i++) {
        if (answer->rr[i].type == DNS_TLSA && is_usable(pool, answer->rr[i].raw)) {
            insert(set, str_dup(pool, answer->rr[i].raw));
        }
    }
    for (size_t i = 0; i < set->n; i++) {
        if (!has_stronger(set, set->v[i])) {
            strong->v[strong->n++] = set->v[i];
        }
    }
    return strong->n ? strong : NULL;
}

int tlsa_usages(const struct tlsa_set *set)
{
    int bits = 0;
    for (size_t i = 0; set && i < set->n; i++) {
        bits |= 1 << usage_of(set->v[i]);
    }
    return bits;
}

struct str tlsa_text(struct pool *pool, const struct tlsa_set *set)
{
    struct strvec parts = {.pool = pool};
    for (size_t i = 0; set && i < set->n; i++) {
        strvec_push(&parts, hex_encode(pool, set->v[i]));
        strvec_push(&parts, STR(" "));
    }
    return str_cat(pool, parts.n, parts.v);
}

static bool matches(struct pool *pool, struct str record, const struct cert *c)
{
    struct str what = selector_of(record) == 0 ? c->der : c->spki, data = str_from(record, 3);
    switch (type_of(record)) {
    case TYPE_FULL: return str_eq(what, data);
    case TYPE_SHA256: return str_eq(digest(pool, DIGEST_SHA256, what), data);
    default: return str_eq(digest(pool, DIGEST_SHA512, what), data);
    }
}

static bool any_matches(struct pool *pool, const struct tlsa_set *set, struct str der,
                        unsigned usage)
{
    struct cert c;
    if (!cert_parse(pool, der, &c)) {
        return false;
    }
    for (size_t i = 0; i < set->n; i++) {
        if (usage_of(set->v[i]) == usage && matches(pool, set->v[i], &c)) {
            return true;
        }
    }
    return false;
}

bool tlsa_matches_leaf(struct pool *pool, const struct tlsa_set *set, struct str leaf)
{
    return any_matches(pool, set, leaf, USE_EE);
}

bool tlsa_trusts(struct pool *pool, const struct tlsa_set *set, struct str cert)
{
    return any_matches(pool, set, cert, USE_TA);
}

void tlsa_anchors(const struct tlsa_set *set, struct strvec *out)
{
    for (size_t i = 0; i < set->n; i++) {
        struct str data = str_from(set->v[i], 3);
        if (usage_of(set->v[i]) == USE_TA && selector_of(set->v[i]) == 0 &&
            type_of(set->v[i]) == TYPE_FULL && !strvec_has(out, data)) {
            strvec_push(out, data);
        }
    }
}

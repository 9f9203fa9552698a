/* Tests of TLSA records: which are usable, and what they match. */
#include "tls/internal.h"
#include "unit/unit.h"

static struct cert fixed(const char *name)
{
    struct cert c = {0};
    struct str pem;
    struct strvec v = {.pool = unit_pool()};
    struct str path = STR_CAT(unit_pool(), STR("aux-fixed/pki/"), str_c(name), STR(".pem"));
    CHECK(file_read(unit_pool(), path, 1 << 20, &pem) == 0);
    CHECK(pem_certificates(unit_pool(), pem, &v) && v.n > 0 && cert_parse(unit_pool(), v.v[0], &c));
    return c;
}

/* A record for the certificate. */
static struct dns_rr record(int usage, int selector, int type, const struct cert *c)
{
    struct str what = selector ? c->spki : c->der;
    if (type) {
        what = digest(unit_pool(), type == 1 ? DIGEST_SHA256 : DIGEST_SHA512, what);
    }
    char head[] = {(char)usage, (char)selector, (char)type};
    return (struct dns_rr){.type = DNS_TLSA,
                           .raw = str_taint(STR_CAT(unit_pool(), str_n(head, 3), what))};
}

static const struct tlsa_set *parse(size_t n, struct dns_rr *rr)
{
    struct dns_answer answer = {.rr = rr, .n = n};
    return tlsa_parse(unit_pool(), &answer);
}

TEST(tlsa_every_selector_and_type)
{
    struct cert leaf = fixed("a/server1"), ca = fixed("a/inter"), other = fixed("a/server2");
    for (int selector = 0; selector < 2; selector++) {
        for (int type = 0; type < 3; type++) {
            struct dns_rr ee = record(3, selector, type, &leaf),
                          ta = record(2, selector, type, &ca);
            const struct tlsa_set *set = parse(1, &ee);
            CHECK(set && tlsa_usages(set) == 8);
            CHECK(tlsa_matches_leaf(unit_pool(), set, leaf.der));
            CHECK(!tlsa_matches_leaf(unit_pool(), set, other.der));
            CHECK(!tlsa_trusts(unit_pool(), set, leaf.der));
            set = parse(1, &ta);
            CHECK(set && tlsa_usages(set) == 4);
            CHECK(tlsa_trusts(unit_pool(), set, ca.der) &&
                  !tlsa_trusts(unit_pool(), set, leaf.der));
            CHECK(!tlsa_matches_leaf(unit_pool(), set, ca.der));
            struct strvec anchors = {.pool = unit_pool()};
            tlsa_anchors(set, &anchors);
            CHECK(anchors.n == (selector == 0 && type == 0));
        }
    }
}

TEST(tlsa_what_is_not_usable)
{
    struct cert leaf = fixed("a/server1");
    struct dns_rr bad[] = {record(0, 1, 1, &leaf),
                           record(1, 1, 1, &leaf),
                           record(4, 1, 1, &leaf),
                           record(3, 2, 1, &leaf),
                           record(3, 1, 3, &leaf),
                           record(3, 1, 1, &leaf),
                           record(3, 1, 2, &leaf),
                           record(3, 0, 0, &leaf),
                           record(2, 1, 0, &leaf),
                           {.type = DNS_TLSA, .raw = STR("\3\1\1")},
                           {.type = DNS_TLSA, .raw = STR("")},
                           {.type = DNS_A}};
    for (size_t i = 5; i < 9; i++) {
        bad[i].raw.len--; /* cut short */
    }
    CHECK(parse(ARRAY_LEN(bad), bad) == NULL);
    CHECK(parse(0, NULL) == NULL && tlsa_usages(NULL) == 0);
}

TEST(tlsa_sets_are_sorted)
{
    struct cert leaf = fixed("a/server1"), ca = fixed("a/inter");
    struct dns_rr one[] = {record(3, 1, 1, &leaf), record(2, 0, 1, &ca), record(1, 0, 1, &ca)};
    struct dns_rr two[] = {record(2, 0, 1, &ca), record(3, 1, 1, &leaf), record(3, 1, 1, &leaf)};
    const struct tlsa_set *a = parse(3, one), *b = parse(3, two);
    CHECK(tlsa_usages(a) == 12);
    CHECK(str_eq(tlsa_text(unit_pool(), a), tlsa_text(unit_pool(), b)));
    CHECK(!str_eq(tlsa_text(unit_pool(), a), tlsa_text(unit_pool(), parse(1, two))));
}

/* RFC 7671 9: a SHA-256 record beside a SHA-512 one of the same kind does not count. */
TEST(tlsa_the_stronger_digest_counts)
{
    struct cert leaf = fixed("a/server1"), other = fixed("a/server2");
    struct dns_rr rr[] = {record(3, 1, 1, &leaf), record(3, 1, 2, &other), record(3, 0, 1, &other)};
    const struct tlsa_set *set = parse(2, rr);
    CHECK(!tlsa_matches_leaf(unit_pool(), set, leaf.der));
    CHECK(tlsa_matches_leaf(unit_pool(), set, other.der));
    rr[1] = rr[2];
    CHECK(tlsa_matches_leaf(unit_pool(), parse(2, rr), leaf.der));
}

/* Tests of the proofs a server staples: lists, prefixes, matching, what is never sent. */
#include "tls/internal.h"
#include "unit/unit.h"

#define PKI "aux-fixed/pki/"

static struct str file(const char *path)
{
    struct str text = STR_NONE;
    CHECK(file_read(unit_pool(), str_c(path), 1 << 20, &text) == 0);
    return text;
}

/* Pairs of the certificates, whose names end in a NULL, with the proofs of the list. */
static struct tls_pair *load(const char *list, const char *const *names)
{
    struct tls_pair *pairs = pool_calloc(unit_pool(), 8, sizeof *pairs);
    struct strvec files = {.pool = unit_pool()};
    size_t n = 0;
    for (; names[n]; n++) {
        pairs[n].cert_name = STR_CAT(unit_pool(), STR(PKI), str_c(names[n]), STR(".pem"));
        pairs[n].cert_pem = file(str_cstr(unit_pool(), pairs[n].cert_name));
    }
    tls_load_staples(unit_pool(), tls_backends[0], str_c(list), pairs, n, &files);
    return pairs;
}

static bool is(const struct tls_pair *p, size_t at, const char *path)
{
    struct str want = path ? file(path) : STR("");
    struct str got = at < p->staples.n ? p->staples.v[at] : STR("");
    return str_eq(got, want);
}

TEST(staples_go_with_their_certificates)
{
    static const char *const three[] = {"a/server1.chain", "a/server1-ec.chain",
                                        "a/server1-ed.chain", NULL};
    struct tls_pair *p = load(PKI "ocsp/server1.good.der :" PKI "ocsp/server1-ec.good.der :" PKI
                                  "ocsp/server1-ed.good.der",
                              three);
    CHECK(is(&p[0], 0, PKI "ocsp/server1.good.der") &&
          is(&p[1], 0, PKI "ocsp/server1-ec.good.der"));
    CHECK(is(&p[2], 0, PKI "ocsp/server1-ed.good.der"));
    /* Two that changed places find their certificates all the same. */
    p = load(PKI "ocsp/server1-ec.good.der :" PKI "ocsp/server1.good.der", three);
    CHECK(is(&p[0], 0, PKI "ocsp/server1.good.der") &&
          is(&p[1], 0, PKI "ocsp/server1-ec.good.der"));
    CHECK(p[2].staples.n == 0);
    /* An empty element, and none. */
    p = load(": " PKI "ocsp/server1-ec.good.der", three);
    CHECK(p[0].staples.n == 0 && is(&p[1], 0, PKI "ocsp/server1-ec.good.der") &&
          p[2].staples.n == 0);
    p = load("<; PEM " PKI "ocsp/three.pem;" PKI "ocsp/three.pem; DER " PKI
             "ocsp/server1-ed.good.der",
             three);
    CHECK(is(&p[0], 0, PKI "ocsp/server1.good.der") &&
          is(&p[2], 0, PKI "ocsp/server1-ed.good.der"));
    CHECK(is(&p[1], 0, PKI "ocsp/server1-ec.good.der"));
}

TEST(staples_for_the_chain)
{
    static const char *const one[] = {"a/server1.chain", NULL};
    struct tls_pair *p = load("PEM " PKI "ocsp/server1.chain.pem", one);
    CHECK(is(&p[0], 0, PKI "ocsp/server1.good.der"));
    /* The intermediate's issuer is not in the file: its proof came with the issuer's certificate. */
    CHECK(is(&p[0], 1, PKI "ocsp/inter.good.der"));
    p = load("PEM " PKI "ocsp/server1.chain-revoked.pem", one);
    CHECK(p[0].staples.n == 1 && is(&p[0], 0, PKI "ocsp/server1.good.der"));
    p = load("PEM " PKI "ocsp/server1.expired-good.pem", one);
    CHECK(is(&p[0], 0, PKI "ocsp/server1.good.der"));
    p = load(PKI "ocsp/inter.good.der", one);
    CHECK(p[0].staples.n == 2 && is(&p[0], 0, NULL) && is(&p[0], 1, PKI "ocsp/inter.good.der"));
}

TEST(staples_that_are_never_sent)
{
    static const char *const one[] = {"a/server1.chain", NULL};
    static const char *const bad[] = {"revoked",   "unknown",     "expired",        "notyet",
                                      "nonext",    "badsig",      "noeku",          "nosigner",
                                      "oldsigner", "othersigner", "several-expired"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct str list =
            STR_CAT(unit_pool(), STR(PKI "ocsp/server1."), str_c(bad[i]), STR(".der"));
        struct tls_pair *p = load(str_cstr(unit_pool(), list), one);
        CHECK(p[0].staples.n == 0);
    }
    static const char *const files[] = {PKI "ocsp/garbage.der",
                                        PKI "ocsp/cut.der",
                                        PKI "ocsp/empty.der",
                                        PKI "ocsp/trylater.der",
                                        PKI "ocsp/others.der",
                                        PKI "ocsp/b-server1.good.der",
                                        "PEM " PKI "ocsp/server1.good.der",
                                        PKI "ocsp/server1.good.pem",
                                        "PEM " PKI "a/server1.pem",
                                        PKI "ocsp/nosuch.der"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CHECK(load(files[i], one)[0].staples.n == 0);
    }
}

/* Without the issuer at hand the rest is checked. */
TEST(staples_of_a_certificate_alone)
{
    static const char *const one[] = {"a/server1", NULL};
    CHECK(is(load(PKI "ocsp/server1.good.der", one), 0, PKI "ocsp/server1.good.der"));
    CHECK(load(PKI "ocsp/server1.revoked.der", one)[0].staples.n == 0);
    CHECK(load(PKI "ocsp/server1.expired.der", one)[0].staples.n == 0);
    CHECK(load(PKI "ocsp/b-server1.good.der", one)[0].staples.n == 0);
}

static struct str leaf_of(const struct tls_pair *p)
{
    struct strvec v = {.pool = unit_pool()};
    CHECK(pem_certificates(unit_pool(), p->cert_pem, &v) && v.n > 0);
    return v.v[0];
}

TEST(staples_are_found_by_the_leaf)
{
    static const char *const two[] = {"a/server1.chain", "a/server1-ec.chain", NULL};
    struct tls_pair *p = load(PKI "ocsp/server1.good.der :" PKI "ocsp/server1-ec.good.der", two);
    CHECK(str_eq(staple_for(p, 2, leaf_of(&p[0])), p[0].staples.v[0]));
    CHECK(str_eq(staple_for(p, 2, leaf_of(&p[1])), p[1].staples.v[0]));
    CHECK(str_unset(staple_for(p, 1, leaf_of(&p[1]))));
    CHECK(str_unset(staple_for(p, 2, STR("rubbish"))));
    /* It has become old since it was loaded. */
    p[0].staples.v[0] = file(PKI "ocsp/server1.expired.der");
    p[0].ocsp_name = STR("server1.expired.der");
    CHECK(str_unset(staple_for(p, 2, leaf_of(&p[0]))));
}

TEST(said_once)
{
    CHECK(tls_once(unit_pool(), STR("words of a test")));
    CHECK(!tls_once(unit_pool(), STR("words of a test")));
    CHECK(tls_once(unit_pool(), STR("other words of a test")));
}

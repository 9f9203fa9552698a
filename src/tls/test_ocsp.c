/* Tests of what OCSP responses mean, with the responses of aux-fixed/pki. */
#include "tls/ocsp.h"
#include "unit/unit.h"

enum { IN_2026 = 1780000000 };

static struct str file(const char *name, const char *end)
{
    struct str text = STR_NONE;
    struct str path = STR_CAT(unit_pool(), STR("aux-fixed/pki/"), str_c(name), str_c(end));
    CHECK(file_read(unit_pool(), path, 1 << 20, &text) == 0);
    return text;
}

static struct cert fixed(const char *name)
{
    struct cert c = {0};
    struct strvec v = {.pool = unit_pool()};
    CHECK(pem_certificates(unit_pool(), file(name, ".pem"), &v) && v.n > 0 &&
          cert_parse(unit_pool(), v.v[0], &c));
    return c;
}

static struct ocsp_status status_at(const char *response, const char *leaf, const char *issuer,
                                    time_t now)
{
    struct ocsp_status s;
    struct cert l = fixed(leaf), i = fixed(issuer);
    ocsp_check(unit_pool(), tls_backends[0], file(response, ".der"), &l, &i, now, &s);
    return s;
}

static struct ocsp_status status_of(const char *response)
{
    return status_at(response, "a/server1", "a/inter", IN_2026);
}

TEST(ocsp_table_of_results)
{
    static const struct {
        const char *response;
        enum ocsp_result result;
    } rows[] = {
        {"ocsp/server1.good", OCSP_GOOD},
        {"ocsp/server1.sha256", OCSP_GOOD},
        {"ocsp/server1.issuer", OCSP_GOOD},
        {"ocsp/server1.several", OCSP_GOOD},
        {"ocsp/server1.shortsigner", OCSP_GOOD},
        {"ocsp/server1.revoked", OCSP_REVOKED},
        {"ocsp/server1.unknown", OCSP_UNKNOWN},
        {"ocsp/server1.expired", OCSP_OUT_OF_DATE},
        {"ocsp/server1.several-expired", OCSP_OUT_OF_DATE},
        {"ocsp/server1.notyet", OCSP_NOT_YET},
        {"ocsp/server1.nonext", OCSP_NO_NEXT_UPDATE},
        {"ocsp/server1.badsig", OCSP_BAD_SIGNATURE},
        {"ocsp/server1.noeku", OCSP_BAD_SIGNER},
        {"ocsp/server1.oldsigner", OCSP_BAD_SIGNER},
        {"ocsp/server1.nosigner", OCSP_BAD_SIGNER},
        {"ocsp/server1.othersigner", OCSP_BAD_SIGNER},
        {"ocsp/server1-ec.good", OCSP_NO_MATCH},
        {"ocsp/others", OCSP_NO_MATCH},
        {"ocsp/b-server1.good", OCSP_NO_MATCH},
        {"ocsp/inter.good", OCSP_NO_MATCH},
        {"ocsp/trylater", OCSP_UNSUCCESSFUL},
        {"ocsp/garbage", OCSP_GARBAGE},
        {"ocsp/cut", OCSP_GARBAGE},
        {"ocsp/empty", OCSP_GARBAGE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ocsp_status s = status_of(rows[i].response);
        if (!CHECK(s.result == rows[i].result)) {
            printf("%s: %d\n", rows[i].response, s.result);
        }
    }
}

TEST(ocsp_other_issuers)
{
    CHECK(status_at("ocsp/inter.good", "a/inter", "a/root", IN_2026).result == OCSP_GOOD);
    CHECK(status_at("ocsp/inter.revoked", "a/inter", "a/root", IN_2026).result == OCSP_REVOKED);
    CHECK(status_at("ocsp/b-server1.good", "b/server1", "b/inter", IN_2026).result == OCSP_GOOD);
    /* The same serial number under another issuer. */
    CHECK(status_at("ocsp/server1.good", "b/server1", "b/inter", IN_2026).result == OCSP_NO_MATCH);
    CHECK(status_at("ocsp/server1.good", "a/server1", "b/inter", IN_2026).result == OCSP_NO_MATCH);
}

TEST(ocsp_skew_is_five_minutes)
{
    struct ocsp_status s = status_of("ocsp/server1.expired");
    time_t from = s.this_update, until = s.next_update;
    const char *name = "ocsp/server1.expired", *leaf = "a/server1", *issuer = "a/inter";
    CHECK(until - from == 7 * 24 * 60 * 60);
    CHECK(status_at(name, leaf, issuer, until + 300).result == OCSP_GOOD);
    CHECK(status_at(name, leaf, issuer, until + 301).result == OCSP_OUT_OF_DATE);
    CHECK(status_at(name, leaf, issuer, from - 300).result == OCSP_GOOD);
    CHECK(status_at(name, leaf, issuer, from - 301).result == OCSP_NOT_YET);
}

TEST(ocsp_words)
{
    struct ocsp_status s = status_of("ocsp/server1.revoked");
    CHECK_STR(ocsp_words(unit_pool(), &s), "Server certificate revoked; reason: superseded");
    CHECK_STR(s.text, "revoked, reason superseded, revoked 2020-01-01 12:00:00Z, "
                      "this update 2020-01-02 00:00:00Z, next update 2099-12-13 00:00:00Z");
    s = status_of("ocsp/server1.expired");
    CHECK_STR(ocsp_words(unit_pool(), &s), "OCSP dates invalid");
    s = status_of("ocsp/server1.unknown");
    CHECK_STR(ocsp_words(unit_pool(), &s), "Server certificate status unknown, in OCSP stapling");
    s = status_of("ocsp/server1.good");
    CHECK_STR(s.text, "good, this update 2020-01-02 00:00:00Z, next update 2099-12-13 00:00:00Z");
    CHECK(s.signer_not_after == 4102444799);
    s = status_of("ocsp/server1.shortsigner");
    CHECK_STR(s.text, "good, this update 2020-01-02 00:00:00Z, next update 2099-12-13 00:00:00Z, "
                      "signer until 2098-01-01 00:00:00Z");
    CHECK(status_of("ocsp/server1.issuer").signer_not_after == 0);
    CHECK_STR(status_of("ocsp/cut").text, "unreadable");
}

TEST(ocsp_usable_until_the_first_end)
{
    struct str serial = fixed("a/server1").serial;
    struct pool *pool = unit_pool();
    CHECK(ocsp_usable_until(pool, file("ocsp/server1.good", ".der"), serial) == 4100803200);
    CHECK(ocsp_usable_until(pool, file("ocsp/server1.shortsigner", ".der"), serial) == 4039372800);
    CHECK(ocsp_usable_until(pool, file("ocsp/server1-ec.good", ".der"), serial) == 0);
    CHECK(ocsp_usable_until(pool, file("ocsp/garbage", ".der"), serial) == 0);
}

/* Every octet of a good response damaged in turn: none of them is good. */
TEST(ocsp_damaged)
{
    struct cert leaf = fixed("a/server1"), issuer = fixed("a/inter");
    struct str good = file("ocsp/server1.good", ".der");
    struct pool *pool = pool_new("damaged");
    int wrong = 0;
    for (uint32_t i = 0; i < good.len; i++) {
        char *copy = str_cstr(pool, good);
        struct ocsp_status s;
        copy[i] = (char)(copy[i] ^ 1);
        ocsp_check(pool, tls_backends[0], str_n(copy, good.len), &leaf, &issuer, IN_2026, &s);
        wrong += s.result == OCSP_GOOD;
        pool_clear(pool);
    }
    pool_free(&pool);
    CHECK(wrong == 0);
}

/* What `openssl ocsp -no_nonce -reqout` writes. */
TEST(ocsp_requests)
{
    struct cert leaf = fixed("a/server1"), issuer = fixed("a/inter");
    CHECK_STR(hex_encode(unit_pool(), ocsp_request(unit_pool(), &leaf, &issuer)),
              "30433041303f303d303b300906052b0e03021a050004147002df0babf7490b12ae9045"
              "e3dc165f642930b10414902c179c4089c7e85a63fb5eb5637f046cd319f002021001");
}

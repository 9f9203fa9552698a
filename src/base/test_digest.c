/* Tests of digest.c against published values. */
#include "unit/unit.h"

static struct str hex(enum digest_kind kind, const char *text)
{
    return hex_encode(unit_pool(), digest(unit_pool(), kind, str_c(text)));
}

TEST(digest_published_values)
{
    CHECK_STR(hex(DIGEST_MD5, ""), "d41d8cd98f00b204e9800998ecf8427e");
    CHECK_STR(hex(DIGEST_MD5, "abc"), "900150983cd24fb0d6963f7d28e17f72");
    CHECK_STR(hex(DIGEST_SHA1, "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK_STR(hex(DIGEST_SHA256, "abc"),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK_STR(hex(DIGEST_SHA3_256, "abc"),
              "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
    CHECK_STR(hex(DIGEST_SHA3_224, ""), "6b4e03423667dbb73b6e15454f0eb1abd4597f9a1b078e3f5b5a6bc7");
}

TEST(digest_block_boundaries)
{
    const char *text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    CHECK_STR(hex(DIGEST_MD5, text), "014842d480b571495a4a0363793f7367");
    CHECK_STR(hex(DIGEST_SHA1, text), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    CHECK_STR(hex(DIGEST_SHA256, text + 8),
              "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
    CHECK_STR(hex(DIGEST_SHA256, text + 9),
              "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
}

TEST(digest_hmac_rfc2202)
{
    struct pool *pool = unit_pool();
    struct str key = STR("Jefe"), text = STR("what do ya want for nothing?");
    CHECK_STR(hex_encode(pool, digest_hmac(pool, DIGEST_MD5, key, text)),
              "750c783e6ab0b503eaa86e310a5db738");
    CHECK_STR(hex_encode(pool, digest_hmac(pool, DIGEST_SHA1, key, text)),
              "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

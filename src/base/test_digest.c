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

/* Expected values from Python's hashlib; lengths around where padding needs a second block. */
TEST(digest_sha2_of_64_bit_words)
{
    char text[240];
    memset(text, 'a', sizeof text);
    text[111] = '\0';
    CHECK_STR(
        hex(DIGEST_SHA384, "abc"),
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
    CHECK_STR(hex(DIGEST_SHA512, "abc"),
              "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
              "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    CHECK_STR(
        hex(DIGEST_SHA384, text),
        "3c37955051cb5c3026f94d551d5b5e2ac38d572ae4e07172085fed81f8466b8f90dc23a8ffcdea0b8d8e58e8fdacc80a");
    text[111] = 'a';
    text[112] = '\0';
    CHECK_STR(
        hex(DIGEST_SHA384, text),
        "187d4e07cb306103c69967bf544d0dfbe9042577599c73c330abc0cb64c61236d5ed565ee19119d8c31779a38f791fcd");
    text[112] = 'a';
    text[239] = '\0';
    CHECK_STR(
        hex(DIGEST_SHA384, text),
        "e247c35f4bc1aa38026f8880c8c97305545d00d3f859e00c57d1c1f0a176b3c6b749c4eb081f08bd0fba500969cd056a");
    CHECK_STR(
        hex(DIGEST_SHA384, ""),
        "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b");
}

/* Tests of punycode.c: samples of RFC 3492 7.1, and texts that are no Punycode. */
#include "unit/unit.h"

static void both_ways(const char *utf8, const char *ascii)
{
    struct str out = STR_NONE;
    CHECK(punycode_encode(unit_pool(), str_c(utf8), &out));
    CHECK_STR(out, ascii);
    CHECK(punycode_decode(unit_pool(), str_c(ascii), &out));
    CHECK_STR(out, utf8);
}

TEST(punycode_rfc3492_samples)
{
    both_ways("\u4ed6\u4eec\u4e3a\u4ec0\u4e48\u4e0d\u8bf4\u4e2d\u6587", "ihqwcrb4cv8a8dqg056pqjye");
    both_ways("3\u5e74B\u7d44\u91d1\u516b\u5148\u751f", "3B-ww4c5e180e575a65lsy2b");
    both_ways("\u305d\u306e\u30b9\u30d4\u30fc\u30c9\u3067", "d9juau41awczczp");
    both_ways("-> $1.00 <-", "-> $1.00 <--");
    both_ways("b\u00fccher", "bcher-kva");
    both_ways("\U0001f4a9", "ls8h");
    both_ways("", "");
}

TEST(punycode_of_nothing_valid)
{
    struct str out;
    CHECK(!punycode_encode(unit_pool(), STR("\xff"), &out));
    CHECK(!punycode_decode(unit_pool(), STR("abc-!"), &out));
    CHECK(!punycode_decode(unit_pool(), STR("bcher-kv"), &out));
    CHECK(!punycode_decode(unit_pool(), STR("b\xc3\xbc-kva"), &out));
    CHECK(!punycode_decode(unit_pool(), STR("99999999999999999999"), &out));
}

/* Unit tests of base/: strings, pools, buffers, maps, encodings, intervals. */
#include "unit/unit.h"

TEST(str_views)
{
    struct str s = STR("  a b\t\n");
    CHECK_STR(str_trim(s), "a b");
    CHECK(str_chr(s, 'b') == 4);
    CHECK(str_chr(s, 'z') == -1);
    CHECK(str_find(s, STR("a b")) == 2);
    CHECK(str_findi(STR("xYz"), STR("yZ")) == 1);
    CHECK(str_sub(s, 100, 5).len == 0);
    CHECK(str_unset(STR_NONE) && !str_unset(STR("")));
    CHECK(str_endsi(STR("foo.EX"), STR(".ex")) && !str_ends(STR("x"), STR("xx")));
    CHECK(str_cmp(STR("ab"), STR("abc")) < 0 && str_cmpi(STR("B"), STR("a")) > 0);
}

TEST(str_next_pieces)
{
    struct str rest = STR("a::b:"), piece;
    CHECK(str_next(&rest, ':', &piece) && str_is(piece, "a"));
    CHECK(str_next(&rest, ':', &piece) && str_empty(piece));
    CHECK(str_next(&rest, ':', &piece) && str_is(piece, "b"));
    CHECK(!str_next(&rest, ':', &piece));
}

TEST(str_numbers)
{
    int64_t n;
    uint64_t u;
    CHECK(str_to_i64(STR("-9223372036854775808"), &n) && n == INT64_MIN);
    CHECK(!str_to_i64(STR("9223372036854775808"), &n));
    CHECK(!str_to_i64(STR(""), &n) && !str_to_i64(STR("1x"), &n) && !str_to_i64(STR("-"), &n));
    CHECK(str_to_u64(STR("fF"), 16, &u) && u == 255);
    CHECK(!str_to_u64(STR("18446744073709551616"), 10, &u));
}

TEST(taint_is_handed_on)
{
    struct str t = str_taint(STR("x"));
    CHECK(STR_CAT(unit_pool(), STR("a"), t).tainted);
    CHECK(!STR_CAT(unit_pool(), STR("a"), STR("b")).tainted);
    CHECK(str_sub(t, 0, 1).tainted && str_lower(unit_pool(), t).tainted);
    struct str out;
    CHECK(base64_decode(unit_pool(), base64_encode(unit_pool(), t), &out) && out.tainted);
    CHECK(file_read(unit_pool(), str_taint(STR("/etc/passwd")), 1 << 20, &out) < 0);
}

TEST(buffer_cap)
{
    struct buf b;
    buf_init(&b, unit_pool(), 4);
    CHECK(buf_addz(&b, "abcd") && !b.overflow);
    CHECK(!buf_addc(&b, 'e') && b.overflow);
    CHECK_STR(buf_str(&b), "abcd");
}

TEST(pool_marks)
{
    struct pool *p = pool_new("test");
    struct pool_mark m = pool_mark(p);
    size_t before = pool_size(p);
    memset(pool_alloc(p, 100000), 1, 100000);
    pool_release(p, m);
    CHECK(pool_size(p) == before);
    pool_free(&p);
    CHECK(p == NULL);
}

TEST(map_order_and_removal)
{
    struct map *m = map_new(unit_pool(), true);
    for (int i = 0; i < 100; i++) {
        map_set(m, str_fmt(unit_pool(), "Key%d", i), m);
    }
    CHECK(map_count(m) == 100 && map_get(m, STR("kEY42")) == m && !map_get(m, STR("key100")));
    CHECK(map_remove(m, STR("key0")) && !map_remove(m, STR("key0")));
    CHECK_STR(map_first(m)->key, "Key1");
    map_set(m, STR("last"), NULL);
    CHECK(map_find(m, STR("LAST")) && !map_get(m, STR("last")));
}

TEST(encodings)
{
    static const char *const b64[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}};
    struct str out;
    for (size_t i = 0; i < ARRAY_LEN(b64); i++) {
        CHECK_STR(base64_encode(unit_pool(), str_c(b64[i][0])), b64[i][1]);
        CHECK(base64_decode(unit_pool(), str_c(b64[i][1]), &out) && str_is(out, b64[i][0]));
    }
    CHECK(!base64_decode(unit_pool(), STR("Zg="), &out));
    CHECK(!base64_decode(unit_pool(), STR("Z*=="), &out));
    CHECK_STR(xtext_encode(unit_pool(), STR("a+b =c")), "a+2Bb+20+3Dc");
    CHECK(xtext_decode(unit_pool(), STR("a+2Bb"), &out) && str_is(out, "a+b"));
    CHECK(!xtext_decode(unit_pool(), STR("a+2"), &out) &&
          !xtext_decode(unit_pool(), STR("+zz"), &out));
    CHECK_STR(str_printable(unit_pool(), STR("a\nb\001"), false), "a\\nb\\001");
    CHECK(utf8_valid(STR("\xc3\xa4")) && !utf8_valid(STR("\xc3")) && !utf8_valid(STR("\xc0\x80")));
    CHECK(!utf8_valid(STR("\xed\xa0\x80")) && !utf8_valid(STR("\xf5\x80\x80\x80")));
}

TEST(base62_round_trip)
{
    char text[6];
    uint64_t n;
    base62_put(text, 6, 916132831);
    CHECK(base62_get(str_n(text, 6), &n) && n == 916132831);
    CHECK(!base62_get(STR("a-b"), &n) && !base62_get(STR(""), &n));
}

TEST(intervals)
{
    CHECK(time_interval(STR("1w2d3h4m5s")) == 604800 + 2 * 86400 + 3 * 3600 + 4 * 60 + 5);
    CHECK(time_interval(STR("0s")) == 0);
    CHECK(time_interval(STR("")) == -1 && time_interval(STR("5x")) == -1 &&
          time_interval(STR("h")) == -1);
    CHECK_STR(time_interval_text(unit_pool(), 90061), "1d1h1m1s");
    CHECK_STR(time_interval_text(unit_pool(), 0), "0s");
    struct timespec a = {100, 0}, b = {100, 123456789};
    CHECK_STR(time_used(unit_pool(), a, b, true), "0.123s");
    CHECK_STR(time_used(unit_pool(), a, b, false), "0s");
}

/* Tests of header variables and of RFC 2047. */
#include "expand/test_support.h"

static const char *const lines[] = {
    "From: Fred <fred@a.b>\n",
    "To: one@x.y,\n two@x.y\n",
    "Subject: =?utf-8?Q?h=C3=A9llo?= =?iso-8859-1?q?_w=F6rld?=\n",
    "To: three@x.y\n",
    "X-One: a:b\n",
    "X-ONE:   c  \n",
};

TEST(headers_as_variables)
{
    struct ectx x;
    struct message m = {.pool = unit_pool()};
    test_ectx(&x);
    x.msg = &m;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        message_add_header(&m, ' ', str_c(lines[i]));
    }
    message_add_header(&m, '*', STR("X-One: deleted\n"));
    static const struct value_case cases[] = {
        {"$h_subject:", "h\xc3\xa9llo w\xc3\xb6rld"},
        {"$bh_subject:", "h\xc3\xa9llo w\xf6rld"},
        {"<$h_to:>", "<one@x.y,\n two@x.y,\nthree@x.y>"},
        {"<$rh_to:>", "< one@x.y,\n two@x.y\n three@x.y\n>"},
        {"<$lh_to:>", "< one@x.y,\n two@x.y: three@x.y>"},
        {"<$h_x-one:>", "<a:b\nc>"},
        {"<$lheader_x-one:>", "< a::b:   c>"},
        {"$h_none:x", "x"},
        {"$reply_address", "Fred <fred@a.b>"},
        {"${if def:header_X-one:{y}{n}}${if def:h_x-on:{y}{n}}", "yn"},
        {NULL, NULL},
    };
    test_values(&x, cases);
    CHECK(expand_header(&x, 'h', STR("to")).tainted);
}

static struct str decoded(const char *text, bool check)
{
    struct str out, error;
    bool ok = rfc2047_decode(unit_pool(), str_c(text), check, STR("UTF-8"), &out, &error);
    return ok ? out : STR_CAT(unit_pool(), STR("error: "), error);
}

TEST(rfc2047_decoding)
{
    CHECK_STR(decoded("plain =? text", true), "plain =? text");
    CHECK_STR(decoded("=?utf-8?b?Y2Fmw6k=?= =?utf-8?q?_x?= plain", true), "caf\xc3\xa9 x plain");
    CHECK_STR(decoded("a =?utf-8?Q?b?= c", true), "a b c");
    CHECK_STR(decoded("=?utf-8*en?Q?b?=", true), "b");
    CHECK_STR(decoded("=?utf-8?Q?a=zz?=", true), "=?utf-8?Q?a=zz?=");
    CHECK_STR(decoded("=?utf-8?X?a?=", true), "=?utf-8?X?a?=");
    CHECK_STR(decoded("=?utf-8?Q?a b?=", true), "=?utf-8?Q?a b?=");
    CHECK_STR(decoded("=?utf-8?Q?=00?=", true), "?");
    CHECK_STR(decoded("=?foo?b?Y2Fmw6k=?=", true),
              "error: iconv_open(\"UTF-8\", \"foo\") failed: Invalid argument (maybe unsupported "
              "conversion)");
    const char *longer = "=?utf-8?Q?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                         "aaaaaaaaaaaaa?=";
    CHECK_STR(decoded(longer, true), longer);
    CHECK(str_starts(decoded(longer, false), "aaa"));
}

TEST(rfc2047_encoding_breaks_lines)
{
    struct str s = rfc2047_encode(
        unit_pool(),
        STR("abc \xc3\xa9 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        STR("UTF-8"));
    CHECK_STR(s, "=?UTF-8?Q?abc_=C3=A9_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa?= "
                 "=?UTF-8?Q?aaaaaaaaaaaaaa?=");
    CHECK_STR(rfc2047_encode(unit_pool(), STR("a?b"), STR("UTF-8")), "=?UTF-8?Q?a=3Fb?=");
    CHECK_STR(rfc2047_encode(unit_pool(), STR("a b"), STR("UTF-8")), "a b");
}

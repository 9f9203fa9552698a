/* Unit tests of mail/: address syntax, lists, header names, ids, the spool's format. */
#include "mail/internal.h"
#include "unit/unit.h"

TEST(mailbox_good)
{
    static const char *const cases[][3] = {
        {"a@b", "a", "b"},
        {"<a@b>", "a", "b"},
        {"\"a b\"@c", "\"a b\"", "c"},
        {"a.b . c@d", "a.b.c", "d"},
        {"x y <a@B.c>", "a", "B.c"},
        {"(foo) a(x)@(y)b", "a", "b"},
        {"<@x,@y:a@b>", "a", "b"},
        {"@x:a@b", "a", "b"},
        {"a", "a", ""},
        {"<a..b@c>", "a..b", "c"},
        {"\"Doe, J.\" <j@d.e> (work)", "j", "d.e"},
        {"a@[1.2.3.4]", "a", "[1.2.3.4]"},
        {"a@[IPv6:::1]", "a", "[IPv6:::1]"},
        {"<a@b->", "a", "b-"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mailbox m;
        struct str error = STR("");
        if (CHECK(mailbox_parse(unit_pool(), str_c(cases[i][0]), 0, &m, &error))) {
            CHECK_STR(m.local_part, cases[i][1]);
            CHECK_STR(m.domain, cases[i][2]);
        }
        CHECK_STR(error, "");
    }
}

TEST(mailbox_bad)
{
    static const char *const cases[][2] = {
        {"<a@>", "domain missing or malformed"},
        {"<@b>", "no local part"},
        {"<a@b", "'>' missing at end of address"},
        {"<>", "missing or malformed local part"},
        {"<a@b c>", "malformed address: c> may not follow <a@b "},
        {"<\"a b@c>", "unmatched doublequote in local part"},
        {"<a@b..c>", "domain missing or malformed"},
        {"<a@b.>", "domain missing or malformed"},
        {"<@x,a@b>", "colon expected after route list"},
        {"<a@b>x", "malformed address: x may not follow <a@b>"},
        {"<a@b@c>", "malformed address: @c> may not follow <a@b"},
        {"<a,b@c>", "\"@\" or \".\" expected after \"a\""},
        {"<(a@b>", "missing or malformed local part"},
        {"<a@-b>", "domain missing or malformed"},
        {"<a@b_c>", "malformed address: _c> may not follow <a@b"},
        {"<\"a\"b@c>", "\"@\" or \".\" expected after \"\"a\"\""},
        {"<<a@b>>", "missing or malformed local part"},
        {"", "empty address"},
        {":x", "missing or malformed local part (expected word or \"<\")"},
        {"a b@c", "missing or malformed local part (expected word or \"<\")"},
        {"a;b", "malformed address: ;b may not follow a"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mailbox m;
        struct str error = STR("");
        CHECK(!mailbox_parse(unit_pool(), str_c(cases[i][0]), 0, &m, &error));
        CHECK_STR(error, cases[i][1]);
    }
}

TEST(mailbox_flags_matter)
{
    struct mailbox m;
    struct str error;
    CHECK(mailbox_parse(unit_pool(), STR("<>"), MBX_NULL, &m, &error) && m.text.len == 0);
    CHECK(mailbox_parse(unit_pool(), STR("<<a@b>>"), MBX_STRIP_BRACKETS, &m, &error));
    CHECK(mailbox_parse(unit_pool(), STR("<a@b.>"), MBX_STRIP_DOT, &m, &error));
    CHECK_STR(m.text, "a@b");
    CHECK(!mailbox_parse(unit_pool(), STR("<a@[1.2.3.4]>"), MBX_NO_LITERAL, &m, &error));
    CHECK(mailbox_parse(unit_pool(), str_taint(STR("a@b")), 0, &m, &error) && m.text.tainted);
}

static bool count(void *closure, const struct mailbox *m)
{
    struct buf *b = closure;
    buf_adds(b, m->text);
    return buf_addc(b, '|');
}

TEST(mailbox_lists)
{
    struct buf b;
    struct str error;
    buf_init(&b, unit_pool(), 1000);
    CHECK(mailbox_each(unit_pool(), STR("a@b, \"x,y\" <c@d>, grp: e@f, g@h (c,d);, <i@j>,"), 0,
                       count, &b, &error));
    CHECK_STR(buf_str(&b), "a@b|c@d|e@f|g@h|i@j|");
    CHECK(!mailbox_each(unit_pool(), STR("a@b, <c"), 0, count, &b, &error));
}

TEST(quoting)
{
    CHECK_STR(mail_quote_local_part(unit_pool(), STR("a b")), "\"a b\"");
    CHECK_STR(mail_quote_local_part(unit_pool(), STR("a..b")), "a..b");
    CHECK_STR(mail_quote_local_part(unit_pool(), STR(".a")), "\".a\"");
    CHECK_STR(mail_quote_local_part(unit_pool(), STR("a\"b")), "\"a\\\"b\"");
    CHECK_STR(mail_quote_phrase(unit_pool(), STR("J. Doe")), "\"J. Doe\"");
    CHECK(mailbox_at(STR("\"a@b\"@c")) == 5 && mailbox_at(STR("a")) == -1);
}

TEST(header_types)
{
    uint32_t n;
    CHECK(header_type(STR("From: x\n"), false) == 'F' &&
          header_type(STR("TO : x\n"), false) == 'T');
    CHECK(header_type(STR("Resent-From: x\n"), true) == 'F' &&
          header_type(STR("From: x\n"), true) == ' ');
    CHECK(header_type(STR("X-Foo: x\n"), false) == ' ');
    CHECK(!header_name_ok(STR("no colon\n"), &n) && !header_name_ok(STR(": x\n"), &n));
}

TEST(message_ids)
{
    CHECK(message_id_valid(STR("1vM3kA-0000000ABCd-12az")) &&
          message_id_valid(STR("1vM3kA-000ABC-1z")));
    CHECK(!message_id_valid(STR("1vM3kA-000ABC-1")) && !message_id_valid(STR("../../../etc/pass")));
}

TEST(spool_format_round_trip)
{
    struct session s = {.pool = unit_pool(), .host_address = STR("1.2.3.4"), .host_port = 99};
    struct message m = {.pool = unit_pool(),
                        .id = STR("1vM3kA-000ABC-1z"),
                        .sender = STR("a\nb@c"),
                        .session_facts = &s,
                        .body_size = 12};
    struct message back = {0};
    m.acl_m.pool = m.acl_c.pool = unit_pool();
    vars_set(&m.acl_m, STR("x"), str_taint(STR("v=1\n")));
    message_add_recipient(&m, STR("r@s"))->dsn_flags = DSN_NEVER;
    message_add_recipient(&m, STR("q@s"))->errors_to = STR("e@s");
    message_add_header(&m, 'F', STR("From: a\n b\n"));
    struct str meta = spool_encode(unit_pool(), &m);
    CHECK(spool_decode(unit_pool(), meta, &back));
    CHECK_STR(back.sender, "a\nb@c");
    CHECK(back.session_facts->host_port == 99 && back.body_size == 12);
    CHECK(back.recipient_count == 2 && back.recipients[0].dsn_flags == DSN_NEVER);
    CHECK_STR(back.recipients[1].errors_to, "e@s");
    CHECK_STR(back.headers->text, "From: a\n b\n");
    CHECK_STR(vars_get(&back.acl_m, STR("x")), "v=1\n");
    CHECK(vars_get(&back.acl_m, STR("x")).tainted);
    for (uint32_t i = 1; i < meta.len; i += 7) {
        struct message cut = {0};
        struct str part = str_sub(meta, 0, i);
        if (spool_decode(unit_pool(), part, &cut)) {
            CHECK(part.p[part.len - 1] == '\n');
        }
    }
}

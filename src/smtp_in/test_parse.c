/* Unit tests of the command parser (parse.c) and of reply_split and reply_code (reply.c). */
#include "smtp_in/internal.h"
#include "unit/unit.h"

static struct smtp_line parse(const char *s)
{
    return smtp_parse_line(str_c(s));
}

TEST(smtp_commands_are_recognised)
{
    static const struct {
        const char *line;
        enum smtp_cmd cmd;
        const char *arg;
    } rows[] = {
        {"HELO x.example", CMD_HELO, "x.example"},
        {"ehlo  x ", CMD_EHLO, "x"},
        {"MAIL FROM:<a@b>", CMD_MAIL, "<a@b>"},
        {"mail from: <a@b> SIZE=3", CMD_MAIL, "<a@b> SIZE=3"},
        {"RCPT TO:<a@b>", CMD_RCPT, "<a@b>"},
        {"rcpt <a@b>", CMD_UNKNOWN, ""},
        {"MAIL", CMD_UNKNOWN, ""},
        {"DATA", CMD_DATA, ""},
        {"DATA x", CMD_BAD_ARG, "x"},
        {"QUIT now", CMD_BAD_ARG, "now"},
        {"BDAT 12 LAST", CMD_BDAT, "12 LAST"},
        {"NOOP hello", CMD_NOOP, "hello"},
        {"HELOX x", CMD_UNKNOWN, ""},
        {"", CMD_UNKNOWN, ""},
        {"  QUIT", CMD_UNKNOWN, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct smtp_line l = parse(rows[i].line);
        CHECK(l.cmd == rows[i].cmd);
        if (rows[i].cmd < CMD_COUNT) {
            CHECK_STR(l.arg, rows[i].arg);
        }
    }
    CHECK(smtp_parse_line(str_n("NOOP \0", 6)).cmd == CMD_NUL);
}

TEST(smtp_paths)
{
    static const struct {
        const char *arg, *path, *params;
    } rows[] = {
        {"<a@b> SIZE=3 BODY=8BITMIME", "<a@b>", "SIZE=3 BODY=8BITMIME"},
        {"a@b SIZE=3", "a@b", "SIZE=3"},
        {"<\"a >b\"@c> X", "<\"a >b\"@c>", "X"},
        {"<\"a\\\"> \"@c>", "<\"a\\\"> \"@c>", ""},
        {"<>", "<>", ""},
        {"<<a@b>> Y=1", "<<a@b>>", "Y=1"},
        {"<a@b", "<a@b", ""},
        {"\"a b\"@c Z", "\"a b\"@c", "Z"},
        {"", "", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct smtp_path p = smtp_parse_path(str_c(rows[i].arg));
        CHECK_STR(p.path, rows[i].path);
        CHECK_STR(p.params, rows[i].params);
    }
}

TEST(smtp_parameters)
{
    struct str rest = STR("SIZE=3  SMTPUTF8 AUTH=<>"), name, value;
    CHECK(smtp_last_param(&rest, &name, &value));
    CHECK_STR(name, "AUTH");
    CHECK_STR(value, "<>");
    CHECK(smtp_last_param(&rest, &name, &value));
    CHECK_STR(name, "SMTPUTF8");
    CHECK_STR(value, "SMTPUTF8");
    CHECK(smtp_last_param(&rest, &name, &value));
    CHECK_STR(value, "3");
    CHECK(!smtp_last_param(&rest, &name, &value));
}

TEST(smtp_bdat)
{
    uint64_t n;
    bool last;
    CHECK(smtp_parse_bdat(STR("12"), &n, &last) && n == 12 && !last);
    CHECK(smtp_parse_bdat(STR("0 last"), &n, &last) && n == 0 && last);
    CHECK(!smtp_parse_bdat(STR(""), &n, &last));
    CHECK(!smtp_parse_bdat(STR("x"), &n, &last));
    CHECK(!smtp_parse_bdat(STR("12x"), &n, &last));
    CHECK(!smtp_parse_bdat(STR("12 FIRST"), &n, &last));
    CHECK(!smtp_parse_bdat(STR("-1"), &n, &last));
    CHECK(!smtp_parse_bdat(STR("99999999999999999999"), &n, &last));
}

TEST(smtp_helo_names)
{
    struct str none = STR("");
    CHECK(smtp_helo_ok(STR("a-b.c9"), none));
    CHECK(!smtp_helo_ok(STR("a_b"), none));
    CHECK(smtp_helo_ok(STR("a_b"), STR("_")));
    CHECK(!smtp_helo_ok(STR("a b"), none));
    CHECK(!smtp_helo_ok(none, none));
    CHECK(smtp_helo_ok(STR("[1.2.3.4]"), none));
    CHECK(smtp_helo_ok(STR("[IPv6:2001:db8::1]"), none));
    CHECK(!smtp_helo_ok(STR("[1.2.3.4"), none));
    CHECK(!smtp_helo_ok(STR("[x]"), none));
    CHECK(!smtp_helo_ok(STR("[]"), none));
}

TEST(smtp_reply_codes_of_acl_messages)
{
    struct str code = STR("550 "), text = STR("554 5.7.1 no"), log = STR("why");
    reply_code(unit_pool(), &code, &text, &log, true);
    CHECK_STR(code, "554 5.7.1 ");
    CHECK_STR(text, "no");
    code = STR("550 ");
    text = STR("55 is no code");
    reply_code(unit_pool(), &code, &text, &log, true);
    CHECK_STR(code, "550 ");
    CHECK_STR(text, "55 is no code");
    text = STR("552 plain");
    reply_code(unit_pool(), &code, &text, &log, true);
    CHECK_STR(code, "552 ");
    CHECK_STR(text, "plain");
}

TEST(smtp_long_replies_are_split)
{
    struct str s = STR(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen");
    struct str out = reply_split(unit_pool(), s);
    CHECK(out.len == s.len);
    CHECK(str_chr(out, '\n') > 0 && str_chr(out, '\n') <= 75);
    CHECK_STR(reply_split(unit_pool(), STR("short")), "short");
}

/* RFC 1413: only USERID names somebody, and what it says is made printable. */
TEST(ident_replies)
{
    static const struct {
        const char *line, *login;
    } cases[] = {
        {"6191 , 23 : USERID : UNIX : fred", "fred"},
        {"6191,23:USERID:OTHER,US-ASCII:a:b", "a:b"},
        {"6191,23:userid:OTHER:ab", NULL},
        {"6191 , 23 : USERID : UNIX : a\001b", "a\\001b"},
        {"6191, 23 : ERROR : NO-USER", NULL},
        {"6191, 23 : USERID : UNIX :", NULL},
        {"6191, 23 : USERID", NULL},
        {"6193, 23 : USERID : UNIX : fred", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str login = ident_parse(unit_pool(), str_taint(str_c(cases[i].line)), 6191, 23);
        CHECK(str_unset(login) == !cases[i].login);
        if (cases[i].login) {
            CHECK_STR(login, cases[i].login);
            CHECK(login.tainted);
        }
    }
}

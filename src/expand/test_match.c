/* Tests of match lists: domains, local parts, addresses, hosts; named lists; data of a match. */
#include "expand/test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct match_case {
    const char *list, *subject;
    enum match want;
    const char *data; /* NULL: not looked at; "": none */
};

static void lists(struct ectx *x)
{
    test_ectx(x);
    test_named_list(x, LIST_DOMAINS, "d1", "one.test : *.two.test : ^re[xy]");
    test_named_list(x, LIST_DOMAINS, "d2", "+d1 : three.test");
    test_named_list(x, LIST_DOMAINS, "neg", "!bad.test : *.test");
    test_named_list(x, LIST_DOMAINS, "exp", "${if eq{1}{1}{exp.test}}");
    test_named_list(x, LIST_DOMAINS, "none", "${if eq{1}{2}{a}fail}");
    test_named_list(x, LIST_DOMAINS, "self", "+self");
    test_named_list(x, LIST_HOSTS, "h1", "!10.1.1.1 : 10.0.0.0/8");
    test_named_list(x, LIST_HOSTS, "h6", "<; fe80::/16 ; ::1");
    test_named_list(x, LIST_ADDRESSES, "a1", "one@x.y : *@z.test : *@+d1 : @host.test");
    test_named_list(x, LIST_LOCALPARTS, "l1", "joe : ^x : *-tail");
}

static void check(struct ectx *x, enum list_kind kind, bool caseless, const struct match_case *c)
{
    for (; c->list; c++) {
        struct str data = STR_NONE;
        struct str list = str_c(c->list), subject = str_taint(str_c(c->subject));
        enum match m = match_text(x, kind, list, subject, caseless, &data);
        if (m != c->want) {
            fprintf(stderr, "list \"%s\" subject \"%s\": %d\n", c->list, c->subject, m);
        }
        CHECK(m == c->want);
        if (m == MATCH_YES && c->data) {
            CHECK_STR(str_unset(data) ? STR("") : data, c->data);
            CHECK(!data.tainted);
        }
    }
}

TEST(match_domains)
{
    struct ectx x;
    static const struct match_case cases[] = {
        {"one.test", "ONE.test", MATCH_YES, "one.test"},
        {"*.test", "a.b.test", MATCH_YES, "*.test"},
        {"*.test", "test", MATCH_NO, NULL},
        {"", "a", MATCH_NO, NULL},
        {"!a.b", "a.b", MATCH_NO, NULL},
        {"!a.b", "c.d", MATCH_YES, ""},
        {"!a.b : *", "c.d", MATCH_YES, "*"},
        {"! +d1", "one.test", MATCH_NO, NULL},
        {"+d2", "x.two.test", MATCH_YES, "*.two.test"},
        {"+d2", "rex", MATCH_YES, "^re[xy]"},
        {"+d2", "four.test", MATCH_NO, NULL},
        {"+neg", "bad.test", MATCH_NO, NULL},
        {"+exp", "exp.test", MATCH_YES, "exp.test"},
        {"+none", "x", MATCH_NO, NULL},
        {"@", "host.test", MATCH_YES, "host.test"},
        {"@[]", "[127.0.0.1]", MATCH_YES, "@[]"},
        {"@[]", "[192.0.2.77]", MATCH_NO, NULL},
        {"<; a.b ; c.d", "c.d", MATCH_YES, "c.d"},
        {"+nosuch", "a", MATCH_ERROR, NULL},
        {"+self", "a", MATCH_ERROR, NULL},
        {"nosuch;/x", "a", MATCH_ERROR, NULL},
        {"^(", "a", MATCH_ERROR, NULL},
        {"lsearch;/no/such/file", "a", MATCH_ERROR, NULL},
        {"/no/such/file", "a", MATCH_ERROR, NULL},
        {NULL, NULL, MATCH_NO, NULL},
    };
    lists(&x);
    check(&x, LIST_DOMAINS, true, cases);
}

TEST(match_local_parts)
{
    struct ectx x;
    static const struct match_case caseless[] = {
        {"+l1", "JOE", MATCH_YES, "joe"},       {"+l1", "xyz", MATCH_YES, "^x"},
        {"+l1", "a-tail", MATCH_YES, "*-tail"}, {"+caseful : joe", "JOE", MATCH_NO, NULL},
        {"@", "host.test", MATCH_NO, NULL},     {NULL, NULL, MATCH_NO, NULL},
    };
    static const struct match_case caseful[] = {
        {"joe", "JOE", MATCH_NO, NULL},
        {"Joe", "Joe", MATCH_YES, "Joe"},
        {NULL, NULL, MATCH_NO, NULL},
    };
    lists(&x);
    check(&x, LIST_LOCALPARTS, true, caseless);
    check(&x, LIST_LOCALPARTS, false, caseful);
}

TEST(match_addresses)
{
    struct ectx x;
    static const struct match_case cases[] = {
        {"+a1", "ONE@x.y", MATCH_YES, "one@x.y"},
        {"+a1", "any@z.test", MATCH_YES, "*@z.test"},
        {"+a1", "any@a.two.test", MATCH_YES, "*@*.two.test"},
        {"+a1", "any@a.b", MATCH_NO, NULL},
        {"*oo@*.b", "foo@a.b", MATCH_YES, "*oo@*.b"},
        {"a.b", "foo@a.b", MATCH_YES, "@a.b"},
        {"^foo@", "foo@a.b", MATCH_YES, ""},
        {"foo@@", "foo@host.test", MATCH_YES, "foo@host.test"},
        {"+caseful : foo@a.b", "FOO@a.b", MATCH_NO, NULL},
        {"+caseful : foo@a.b", "foo@A.b", MATCH_YES, "foo@a.b"},
        {":", "", MATCH_YES, ""},
        {"*@*", "", MATCH_NO, NULL},
        {"!foo@a.b : *@a.b", "foo@a.b", MATCH_NO, NULL},
        {NULL, NULL, MATCH_NO, NULL},
    };
    lists(&x);
    check(&x, LIST_ADDRESSES, true, cases);
}

TEST(match_hosts)
{
    struct ectx x;
    static const struct match_case cases[] = {
        {"*", "1.2.3.4", MATCH_YES, NULL},
        {"1.2.3.0/24", "1.2.3.4", MATCH_YES, NULL},
        {"1.2.3.4", "1.2.3.5", MATCH_NO, NULL},
        {"!1.2.3.4 : 1.2.3.0/24", "1.2.3.4", MATCH_NO, NULL},
        {"+h1", "10.1.1.1", MATCH_NO, NULL},
        {"+h1", "10.1.1.2", MATCH_YES, NULL},
        {"+h6", "fe80::1", MATCH_YES, NULL},
        {"<; ::1", "0:0:0:0:0:0:0:1", MATCH_YES, NULL},
        {"@[]", "127.0.0.1", MATCH_YES, NULL},
        {":", "", MATCH_YES, NULL},
        {"1.2.3", "1.2.3.4", MATCH_NO, NULL},
        {"some.name", "1.2.3.4", MATCH_NO, NULL},
        {"some.name : 1.2.3.4", "1.2.3.4", MATCH_NO, NULL},
        {"+ignore_unknown : some.name : 1.2.3.4", "1.2.3.4", MATCH_YES, NULL},
        {NULL, NULL, MATCH_NO, NULL},
    };
    lists(&x);
    check(&x, LIST_HOSTS, true, cases);
}

TEST(match_host_by_name)
{
    struct ectx x;
    struct etext list = {.text = STR("*.good.test : !^bad : 10.0.0.1 : *.bad.test")};
    lists(&x);
    CHECK(match_host(&x, &list, STR("a.good.test"), STR("1.2.3.4"), NULL) == MATCH_YES);
    CHECK(match_host(&x, &list, STR("bad.bad.test"), STR("1.2.3.4"), NULL) == MATCH_NO);
    CHECK(match_host(&x, &list, STR("a.bad.test"), STR("1.2.3.4"), NULL) == MATCH_YES);
    CHECK(match_host(&x, &list, STR("other"), STR("10.0.0.1"), NULL) == MATCH_YES);
    list.text = STR_NONE;
    CHECK(match_host(&x, &list, STR("other"), STR("10.0.0.1"), NULL) == MATCH_NO);
}

TEST(match_lookups_and_files)
{
    struct ectx x;
    char path[] = "/tmp/minim-match-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "one.lk: data one\n*.sub.lk: sub\n10.0.0.0/8: ten\n"
                               "joe@x.y: address\n*@star.lk: star\n"
                               "dom.lk: joe : !bad : ^re : >next.lk\nnext.lk: chained\n";
    char list[256];
    struct str data;
    lists(&x);
    CHECK(fd >= 0 && write_all(fd, text, sizeof text - 1) == 0);
    close(fd);
#define LOOKS_UP(kind, format, subject, result) \
    (snprintf(list, sizeof list, format, path), \
     CHECK(match_text(&x, kind, str_c(list), STR(subject), true, &data) == result))
    LOOKS_UP(LIST_DOMAINS, "lsearch;%s", "one.lk", MATCH_YES);
    CHECK_STR(data, "data one");
    LOOKS_UP(LIST_DOMAINS, "lsearch;%s", "a.sub.lk", MATCH_NO);
    LOOKS_UP(LIST_DOMAINS, "partial-lsearch;%s", "a.sub.lk", MATCH_YES);
    CHECK_STR(test_value(&x, "$0 $1 $2"), "a.sub.lk a sub.lk");
    LOOKS_UP(LIST_HOSTS, "net8-lsearch;%s", "10.2.3.4", MATCH_YES);
    CHECK_STR(data, "ten");
    LOOKS_UP(LIST_ADDRESSES, "lsearch;%s", "JOE@x.y", MATCH_YES);
    LOOKS_UP(LIST_ADDRESSES, "lsearch*@;%s", "any@star.lk", MATCH_YES);
    LOOKS_UP(LIST_ADDRESSES, "@@lsearch;%s", "joe@dom.lk", MATCH_YES);
    LOOKS_UP(LIST_ADDRESSES, "@@lsearch;%s", "bad@dom.lk", MATCH_NO);
    LOOKS_UP(LIST_ADDRESSES, "@@lsearch;%s", "chained@dom.lk", MATCH_YES);
    LOOKS_UP(LIST_ADDRESSES, "@@lsearch;%s", "none@dom.lk", MATCH_NO);
    FILE *f = fopen(path, "w");
    CHECK(f && fputs("# comment\n!two.test\n\none.test  # trailing\n", f) >= 0 && fclose(f) == 0);
    LOOKS_UP(LIST_DOMAINS, "%s", "one.test", MATCH_YES);
    CHECK_STR(data, "one.test");
    LOOKS_UP(LIST_DOMAINS, "%s : *", "two.test", MATCH_NO);
    LOOKS_UP(LIST_DOMAINS, "! %s", "one.test", MATCH_NO);
    unlink(path);
}

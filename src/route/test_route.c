/* Tests of the parsers: redirection data, routing rules, host lists. */
#include "route/internal.h"
#include "unit/unit.h"

static const char *kind_name(enum redirect_kind k)
{
    static const char *const names[] = {
        [RD_ADDRESS] = "address", [RD_PIPE] = "pipe",           [RD_FILE] = "file",
        [RD_INCLUDE] = "include", [RD_BLACKHOLE] = "blackhole", [RD_FAIL] = "fail",
        [RD_DEFER] = "defer",     [RD_UNKNOWN] = "unknown",
    };
    return names[k];
}

/* All items as "kind<text>" joined by blanks. */
static struct str items(const char *data)
{
    struct pool *pool = unit_pool();
    struct str rest = str_c(data);
    struct redirect_item item;
    struct buf b;
    buf_init(&b, pool, 65536);
    while (redirect_next(pool, &rest, &item)) {
        buf_addf(&b, "%s%s<%.*s>", b.len ? " " : "", kind_name(item.kind), STR_ARG(item.text));
    }
    return buf_str(&b);
}

TEST(redirect_items)
{
    static const struct {
        const char *data, *want;
    } cases[] = {
        {"", ""},
        {" , \n,", ""},
        {"a@b", "address<a@b>"},
        {"a@b, c , d@e\nf", "address<a@b> address<c> address<d@e> address<f>"},
        {"# comment\na@b # not one\n", "address<a@b # not one>"},
        {"a@b, # a comment, c@d\ne@f", "address<a@b> address<e@f>"},
        {"\\local", "address<\\local>"},
        {"\"a b\"@c", "address<\"a b\"@c>"},
        {"\"quoted, whole\"", "address<quoted, whole>"},
        {"Joe (a, b) <joe@x>, y", "address<Joe (a, b) <joe@x>> address<y>"},
        {"|/bin/cat foo", "pipe<|/bin/cat foo>"},
        {"\"|/bin/cat a,b\", x@y", "pipe<|/bin/cat a,b> address<x@y>"},
        {"|\"/bin/cat a,b\"", "pipe<|\"/bin/cat a,b\">"},
        {"/var/mail/x, /dir/", "file</var/mail/x> file</dir/>"},
        {"/s=a/o=b/@gate.way", "address</s=a/o=b/@gate.way>"},
        {"|strange@addr.ess", "address<|strange@addr.ess>"},
        {":blackhole:", "blackhole<>"},
        {":BlackHole:, a@b", "blackhole<> address<a@b>"},
        {":fail: gone, for good\nnext@x", "fail<gone, for good> address<next@x>"},
        {":fail:", "fail<>"},
        {":defer: 450 later", "defer<450 later>"},
        {":include:/etc/list, a@b", "include</etc/list> address<a@b>"},
        {"\":include:/etc/a list\"", "include</etc/a list>"},
        {":unknown:", "unknown<>"},
        {"<a, b@c>", "address<<a, b@c>>"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_STR(items(cases[i].data), cases[i].want);
    }
}

TEST(route_rules)
{
    static const struct {
        const char *text, *pattern, *hosts, *options;
    } cases[] = {
        {"* h1", "*", "h1", ""},
        {"dom.ain", "dom.ain", "", ""},
        {"*.x h1:h2  randomize byname", "*.x", "h1:h2", "randomize byname"},
        {"* \"h1 : h2\" smtp", "*", "h1 : h2", "smtp"},
        {"\"a b\" h", "a b", "h", ""},
        {"* ${lookup{$domain}dbm{/a b}{$value}fail} t", "*",
         "${lookup{$domain}dbm{/a b}{$value}fail}", "t"},
        {"^(.)\\.x$ host-$1", "^(.)\\.x$", "host-$1", ""},
    };
    struct pool *pool = unit_pool();
    struct route_rule r;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK(route_rule_parse(pool, str_c(cases[i].text), true, &r));
        CHECK_STR(r.pattern, cases[i].pattern);
        CHECK_STR(r.hosts, cases[i].hosts);
        CHECK_STR(r.options, cases[i].options);
    }
    CHECK(!route_rule_parse(pool, str_c("  "), true, &r));
    CHECK(route_rule_parse(pool, str_c("h1:h2 byname"), false, &r));
    CHECK_STR(r.hosts, "h1:h2");
    CHECK_STR(r.options, "byname");
}

static struct str hosts(const char *list)
{
    struct pool *pool = unit_pool();
    struct buf b;
    buf_init(&b, pool, 65536);
    for (struct host *h = route_host_list(pool, str_c(list), false); h; h = h->next) {
        buf_addf(&b, "%s%.*s/%d", b.len ? " " : "", STR_ARG(h->name), h->port);
    }
    return buf_str(&b);
}

TEST(host_lists)
{
    CHECK_STR(hosts(""), "");
    CHECK_STR(hosts("a : b"), "a/-1 b/-1");
    CHECK_STR(hosts("a::25 : b::1234"), "a/25 b/1234");
    CHECK_STR(hosts("1.2.3.4::26"), "1.2.3.4/26");
    CHECK_STR(hosts("<; [::1]:27 ; ::1 ; [1.2.3.4]:28"), "::1/27 ::1/-1 1.2.3.4/28");
    CHECK_STR(hosts("a : + : b"), "a/-1 b/-1");
    CHECK_STR(hosts("dom/mx::1225"), "dom/mx/1225");
    CHECK_STR(hosts("u::x"), "u:x/-1");
}

TEST(host_groups_stay_in_order)
{
    struct pool *pool = unit_pool();
    for (int i = 0; i < 50; i++) {
        struct host *h = route_host_list(pool, str_c("a1:a2:a3:+:b1:b2"), true);
        for (int n = 0; h; h = h->next, n++) {
            CHECK(h->name.p[0] == (n < 3 ? 'a' : 'b'));
        }
    }
}

TEST(affixes)
{
    static const struct {
        const char *prefix, *suffix, *lp, *rest, *pre, *pre_v, *suf, *suf_v;
        bool ok;
    } cases[] = {
        {"real-", NULL, "real-joe", "joe", "real-", "", "", "", true},
        {"real-", NULL, "REAL-joe", "joe", "REAL-", "", "", "", true},
        {"real-", NULL, "joe", "joe", "", "", "", "", false},
        {"*-", NULL, "a-b-joe", "joe", "a-b-", "a-b", "", "", true},
        {NULL, "+*", "joe+x+y", "joe", "", "", "+x+y", "x+y", true},
        {NULL, "-request", "list-request", "list", "", "", "-request", "", true},
        {"x- : y-", "+*", "y-joe+tag", "joe", "y-", "", "+tag", "tag", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct router r = {.local_part_prefix = str_c(cases[i].prefix),
                           .local_part_suffix = str_c(cases[i].suffix)};
        struct address a = {.local_part = str_c(cases[i].lp)};
        CHECK(route_strip_affixes(&r, unit_pool(), &a) == cases[i].ok);
        if (cases[i].ok) {
            CHECK_STR(a.local_part, cases[i].rest);
            CHECK(str_is(a.prefix, cases[i].pre) || (str_unset(a.prefix) && !*cases[i].pre));
            CHECK(str_is(a.prefix_v, cases[i].pre_v) || !*cases[i].pre_v);
            CHECK(str_is(a.suffix, cases[i].suf) || (str_unset(a.suffix) && !*cases[i].suf));
            CHECK(str_is(a.suffix_v, cases[i].suf_v) || !*cases[i].suf_v);
        }
    }
}

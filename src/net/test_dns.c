/* Decoding DNS messages, remembering them, and the check of names. */
#include "unit/unit.h"

#include "net/internal.h"

/* The header of an answer with one question and so many answer and authority records. */
#define HEAD(flags2, answers, authority) \
    "\x12\x34\x81" flags2 "\0\1\0" answers "\0" authority "\0\0"
#define QUESTION "\1a\2ex\0\0\xff\0\1"
#define RR(type, rdlen) "\xc0\x0c\0" type "\0\1\0\0\0\x3c\0" rdlen

static bool decode(const char *bytes, size_t n, enum dns_type type, struct dns_packet *p)
{
    return dns_decode(unit_pool(), (const unsigned char *)bytes, n, STR("a.ex"), type, p);
}
#define DECODE(bytes, type, p) decode(bytes, sizeof(bytes) - 1, type, p)

TEST(dns_decode_addresses)
{
    struct dns_packet p;
    CHECK(DECODE(HEAD("\x80", "\2", "\0") QUESTION RR("\1", "\4") "\xc0\0\2\1" RR(
                     "\x1c", "\x10") "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1",
                 DNS_A, &p));
    CHECK(p.any && p.rcode == 0 && !p.ad && p.ttl == 60 && p.answer.n == 1);
    CHECK_STR(ip_text(unit_pool(), &p.answer.rr[0].ip), "192.0.2.1");
    CHECK_STR(p.answer.rr[0].owner, "a.ex");
    CHECK(p.answer.rr[0].owner.tainted);
    CHECK_STR(p.answer.final_name, "a.ex");
}

TEST(dns_decode_mx_srv_txt)
{
    struct dns_packet p;
    CHECK(
        DECODE(HEAD("\xa0", "\1", "\0") QUESTION RR("\x0f", "\6") "\0\x0a\1m\xc0\x0c", DNS_MX, &p));
    CHECK(p.ad && p.answer.n == 1 && p.answer.rr[0].pref == 10);
    CHECK_STR(p.answer.rr[0].name, "m.a.ex");
    CHECK(DECODE(HEAD("\x80", "\1", "\0") QUESTION RR("\x21", "\x08") "\0\1\0\2\2\x4b\xc0\x0c",
                 DNS_SRV, &p));
    CHECK(p.answer.n == 1 && p.answer.rr[0].weight == 2 && p.answer.rr[0].port == 587);
    CHECK(DECODE(HEAD("\x80", "\1", "\0") QUESTION RR("\x10", "\6") "\2xy\2zw", DNS_TXT, &p));
    CHECK(p.answer.n == 1 && p.answer.rr[0].txt.n == 2);
    CHECK_STR(p.answer.rr[0].txt.v[1], "zw");
}

TEST(dns_decode_cname)
{
    struct dns_packet p;
    CHECK(DECODE(HEAD("\x80", "\1", "\0") QUESTION RR("\5", "\4") "\1b\xc0\x0e", DNS_A, &p));
    CHECK(p.any && p.answer.n == 0);
    CHECK_STR(p.cname, "b.ex");
}

TEST(dns_decode_absence)
{
    struct dns_packet p;
    CHECK(DECODE(HEAD("\x83", "\0", "\1") QUESTION RR(
                     "\6", "\x18") "\xc0\x0c\xc0\x0c\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5",
                 DNS_A, &p));
    CHECK(!p.any && p.rcode == 3 && p.ttl == 5);
}

TEST(dns_decode_damage)
{
    struct dns_packet p;
    CHECK(!DECODE("", DNS_A, &p));
    CHECK(!DECODE("\x12\x34", DNS_A, &p));
    /* An address of three bytes, a text that runs out of its record: left out. */
    CHECK(DECODE(HEAD("\x80", "\1", "\0") QUESTION RR("\1", "\3") "\xc0\0\2", DNS_A, &p));
    CHECK(p.answer.n == 0);
    CHECK(DECODE(HEAD("\x80", "\1", "\0") QUESTION RR("\x10", "\3") "\x09xy", DNS_TXT, &p));
    CHECK(p.answer.n == 0);
    /* An MX record without a name, a name that points at itself. */
    CHECK(DECODE(HEAD("\x80", "\1", "\0") QUESTION RR("\x0f", "\2") "\0\1", DNS_MX, &p));
    CHECK(p.answer.n == 0);
    CHECK(DECODE(HEAD("\x80", "\1", "\0") QUESTION RR("\x0f", "\4") "\0\1\xc0\x24", DNS_MX, &p));
    CHECK(p.answer.n == 0);
}

TEST(dns_cache_remembers)
{
    unsigned char bytes[] = "message";
    struct dns_cached e = {.result = DNS_OK, .len = sizeof bytes, .msg = bytes};
    CHECK(dns_cache_get(STR("1n0.0 unit.ex")) == NULL);
    dns_cache_put(STR("1n0.0 unit.ex"), &e, 60);
    dns_cache_put(STR("1n0.0 dead.ex"), &e, 0);
    const struct dns_cached *got = dns_cache_get(STR("1n0.0 UNIT.ex"));
    CHECK(got && got->len == sizeof bytes && memcmp(got->msg, bytes, sizeof bytes) == 0);
    CHECK(dns_cache_get(STR("1n0.0 dead.ex")) == NULL);
    dns_cache_forget();
    CHECK(dns_cache_get(STR("1n0.0 unit.ex")) == NULL);
}

static bool clean(const char *name)
{
    static struct net_settings set;
    if (!set.name_pattern) {
        struct config conf = {.pool = unit_pool()};
        struct opt_reader r = {.pool = conf.pool, .conf = &conf};
        conf.settings[ROOM_NET] = &set;
        CHECK(opt_defaults(&r, net_module.options, &set) && net_module.finish(&conf, &r));
    }
    return net_clean_name(&set, str_c(name));
}

TEST(dns_names)
{
    CHECK(clean("a.example"));
    CHECK(clean("a-b.x_y.example."));
    CHECK(clean("1.0/24.2.0.192.in-addr.arpa"));
    CHECK(!clean("-a.example"));
    CHECK(!clean("a b.example"));
    CHECK(!clean("a..example"));
    CHECK(!clean(""));
}

/* Addresses, networks, ports, lists. */
#include "unit/unit.h"

#include "net/net.h"

#include <sys/socket.h>

static struct str round_trip(const char *text)
{
    struct ip ip;
    return ip_parse(str_c(text), &ip) ? ip_text(unit_pool(), &ip) : STR("no");
}

TEST(ip_parse_and_text)
{
    CHECK_STR(round_trip("192.0.2.1"), "192.0.2.1");
    CHECK_STR(round_trip("2001:DB8:0:0::1"), "2001:db8::1");
    CHECK_STR(round_trip("::ffff:192.0.2.1"), "::ffff:192.0.2.1");
    CHECK_STR(round_trip("192.0.2"), "no");
    CHECK_STR(round_trip("192.0.2.256"), "no");
    CHECK_STR(round_trip("192.0.2.1 "), "no");
    CHECK_STR(round_trip("[::1]"), "no");
    CHECK_STR(round_trip(""), "no");
    struct ip ip;
    CHECK(!ip_parse(str_n("1.2.3.4\0x", 9), &ip));
}

TEST(ip_networks)
{
    struct ip net, ip;
    unsigned bits;
    CHECK(ip_parse_net(STR("10.1.0.0/16"), &net, &bits) && bits == 16);
    CHECK(ip_parse(STR("10.1.255.9"), &ip) && ip_in_net(&ip, &net, bits));
    CHECK(ip_parse(STR("10.2.0.1"), &ip) && !ip_in_net(&ip, &net, bits));
    CHECK(ip_parse(STR("::1"), &ip) && !ip_in_net(&ip, &net, 0));
    CHECK(ip_parse_net(STR("2001:db8::/33"), &net, &bits) && bits == 33);
    CHECK(ip_parse(STR("2001:db8:7fff::1"), &ip) && ip_in_net(&ip, &net, bits));
    CHECK(ip_parse(STR("2001:db8:8000::1"), &ip) && !ip_in_net(&ip, &net, bits));
    CHECK(ip_parse_net(STR("192.0.2.7"), &net, &bits) && bits == 32);
    CHECK(!ip_parse_net(STR("10/8"), &net, &bits));
    CHECK(!ip_parse_net(STR("10.0.0.0/33"), &net, &bits));
    CHECK(!ip_parse_net(STR("10.0.0.0/"), &net, &bits));
    CHECK(ip_parse(STR("203.0.113.77"), &ip));
    ip = ip_mask(ip, 20);
    CHECK_STR(ip_text(unit_pool(), &ip), "203.0.112.0");
    ip = ip_mask(ip, 0);
    CHECK_STR(ip_text(unit_pool(), &ip), "0.0.0.0");
}

TEST(ip_ports)
{
    struct str addr;
    int port;
    CHECK(ip_parse_port(STR("[1.2.3.4]:25"), &addr, &port) && port == 25);
    CHECK_STR(addr, "1.2.3.4");
    CHECK(ip_parse_port(STR("1.2.3.4.26"), &addr, &port) && port == 26);
    CHECK_STR(addr, "1.2.3.4");
    CHECK(ip_parse_port(STR("[::1]"), &addr, &port) && port == 0);
    CHECK_STR(addr, "::1");
    CHECK(ip_parse_port(STR("::1.587"), &addr, &port) && port == 587);
    CHECK(!ip_parse_port(STR("1.2.3.4:25"), &addr, &port));
    CHECK(!ip_parse_port(STR("[1.2.3.4]:70000"), &addr, &port));
    CHECK(!ip_parse_port(STR("host.example"), &addr, &port));
}

TEST(ip_reverse)
{
    struct ip ip;
    CHECK(ip_parse(STR("192.0.2.1"), &ip));
    CHECK_STR(ip_reverse_name(unit_pool(), &ip, STR_NONE), "1.2.0.192.in-addr.arpa");
    CHECK_STR(ip_reverse_name(unit_pool(), &ip, STR("bl.example")), "1.2.0.192.bl.example");
    CHECK(ip_parse(STR("2001:db8::1"), &ip));
    CHECK_STR(ip_reverse_name(unit_pool(), &ip, STR_NONE),
              "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

/* The items of a list, each in brackets. */
static struct str items(const char *list)
{
    struct str rest = str_c(list), item;
    struct buf b;
    int sep = 0;
    buf_init(&b, unit_pool(), 1000);
    while (net_list_next(unit_pool(), &rest, &sep, &item)) {
        buf_addf(&b, "[%.*s]", STR_ARG(item));
    }
    return buf_str(&b);
}

TEST(lists)
{
    CHECK_STR(items("a : b:c"), "[a][b][c]");
    CHECK_STR(items("<; a;b ; c:d"), "[a][b][c:d]");
    CHECK_STR(items("a::b : c"), "[a:b][c]");
    CHECK_STR(items("::::1 : x"), "[::1][x]");
    CHECK_STR(items("a: :b:"), "[a][][b]");
    CHECK_STR(items("<\n a\n\nb"), "[a][][b]");
    CHECK_STR(items("   "), "");
}

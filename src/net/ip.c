/*
 * IP addresses as text and as bytes: parsing, formatting, masks, reverse names, ports.
 *
 * Pure functions. Text that is not exactly an address is refused, with nothing trimmed; the text
 * forms handed out are untainted, because what they were made of has been checked to be an
 * address.
 */
#include "net/net.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <sys/socket.h>

static unsigned width(int family)
{
    return family == AF_INET ? 32 : 128;
}

bool ip_parse(struct str s, struct ip *out)
{
    char text[INET6_ADDRSTRLEN];
    *out = (struct ip){0};
    if (s.len == 0 || s.len >= sizeof text) {
        return false;
    }
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    if (strlen(text) != s.len) {
        return false;
    }
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(family, text, out->b) != 1) {
        return false;
    }
    out->family = family;
    return true;
}

struct str ip_text(struct pool *pool, const struct ip *ip)
{
    char text[INET6_ADDRSTRLEN];
    if (!inet_ntop(ip->family, ip->b, text, sizeof text)) {
        return STR_NONE;
    }
    return str_dup(pool, str_c(text));
}

struct ip ip_mask(struct ip ip, unsigned bits)
{
    unsigned bytes = width(ip.family) / 8;
    for (unsigned i = 0; i < bytes; i++) {
        unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
        if (keep < 8) {
            ip.b[i] &= (unsigned char)(0xff00 >> keep);
        }
    }
    return ip;
}

bool ip_in_net(const struct ip *ip, const struct ip *net, unsigned bits)
{
    if (ip->family != net->family || ip->family == 0) {
        return false;
    }
    struct ip a = ip_mask(*ip, bits), b = ip_mask(*net, bits);
    return memcmp(a.b, b.b, width(ip->family) / 8) == 0;
}

bool ip_parse_net(struct str s, struct ip *net, unsigned *bits)
{
    ptrdiff_t slash = str_chr(s, '/');
    uint64_t n;
    if (slash < 0) {
        bool ok = ip_parse(s, net);
        *bits = width(net->family);
        return ok;
    }
    struct str addr = str_sub(s, 0, (size_t)slash), mask = str_from(s, (size_t)slash + 1);
    if (!ip_parse(addr, net)) {
        return false;
    }
    if (mask.len > 3 || !str_to_u64(mask, 10, &n) || n > width(net->family)) {
        return false;
    }
    *bits = (unsigned)n;
    return true;
}

static bool parse_port(struct str s, int *port)
{
    uint64_t n;
    if (s.len > 5 || !str_to_u64(s, 10, &n) || n > 65535) {
        return false;
    }
    *port = (int)n;
    return true;
}

/* "[addr]" or "[addr]:port". */
static bool parse_bracketed(struct str s, struct str *addr, int *port)
{
    ptrdiff_t end = str_chr(s, ']');
    struct ip ip;
    if (end < 0) {
        return false;
    }
    *addr = str_sub(s, 1, (size_t)end - 1);
    struct str rest = str_from(s, (size_t)end + 1);
    if (!ip_parse(*addr, &ip)) {
        return false;
    }
    if (str_empty(rest)) {
        return true;
    }
    return (rest.p[0] == ':' || rest.p[0] == '.') && parse_port(str_from(rest, 1), port);
}

bool ip_parse_port(struct str s, struct str *addr, int *port)
{
    struct ip ip;
    *port = 0;
    *addr = s;
    if (str_starts(s, "[")) {
        return parse_bracketed(s, addr, port);
    }
    if (ip_parse(s, &ip)) {
        return true;
    }
    ptrdiff_t dot = str_rchr(s, '.');
    if (dot < 0) {
        return false;
    }
    *addr = str_sub(s, 0, (size_t)dot);
    return ip_parse(*addr, &ip) && parse_port(str_from(s, (size_t)dot + 1), port);
}

struct str ip_reverse_name(struct pool *pool, const struct ip *ip, struct str suffix)
{
    static const char hex[] = "0123456789abcdef";
    struct buf b;
    buf_init(&b, pool, 1024);
    for (int i = (int)width(ip->family) / 8 - 1; i >= 0; i--) {
        if (ip->family == AF_INET) {
            buf_addf(&b, "%u.", ip->b[i]);
        } else {
            const char nibbles[4] = {hex[ip->b[i] & 15], '.', hex[ip->b[i] >> 4], '.'};
            buf_add(&b, nibbles, sizeof nibbles);
        }
    }
    b.tainted = false;
    if (str_unset(suffix)) {
        suffix = ip->family == AF_INET ? STR("in-addr.arpa") : STR("ip6.arpa");
    }
    buf_adds(&b, suffix);
    return buf_str(&b);
}

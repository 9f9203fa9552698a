/*
 * Whether a certificate bears a host's name (RFC 6125, RFC 9525).
 *
 * Names are compared label by label without regard to case, international ones as A-labels. An
 * asterisk stands for exactly one label and only as the whole left-most one, and something with at
 * least two labels must follow: nobody owns *.com. Bytes that no host name has (NUL among them)
 * never match, since whole strings are compared.
 */
#include "net/net.h"
#include "tls/x509.h"

#include <idn2.h>
#include <sys/socket.h>

static struct str without_dot(struct str name)
{
    return name.len > 1 && name.p[name.len - 1] == '.' ? str_sub(name, 0, name.len - 1) : name;
}

/* The name with A-labels; itself if it is plain ASCII, unset if it cannot be converted. */
static struct str a_labels(struct pool *pool, struct str name)
{
    bool ascii = true;
    for (uint32_t i = 0; i < name.len; i++) {
        ascii = ascii && (unsigned char)name.p[i] < 0x80;
    }
    if (ascii) {
        return name;
    }
    char *converted = NULL;
    if (memchr(name.p, '\0', name.len) ||
        idn2_to_ascii_8z(str_cstr(pool, name), &converted, IDN2_NONTRANSITIONAL) != IDN2_OK) {
        return STR_NONE;
    }
    struct str out = str_taint(str_dup(pool, str_c(converted)));
    idn2_free(converted);
    return out;
}

static bool matches(struct str pattern, struct str host)
{
    pattern = without_dot(pattern);
    if (str_empty(pattern) || str_empty(host)) {
        return false;
    }
    if (!str_starts(pattern, "*.")) {
        return str_eqi(pattern, host);
    }
    struct str base = str_from(pattern, 1); /* with its dot */
    ptrdiff_t dot = str_chr(host, '.');
    return dot > 0 && str_chr(str_from(base, 1), '.') > 0 && str_chr(base, '*') < 0 &&
           str_eqi(str_from(host, (size_t)dot), base);
}

static bool bears_address(const struct cert *c, const struct ip *ip)
{
    struct str octets = str_n((const char *)ip->b, ip->family == AF_INET ? 4 : 16);
    return strvec_has(&c->ip_names, octets);
}

bool cert_bears_name(struct pool *pool, const struct cert *c, struct str name)
{
    struct ip ip;
    struct strvec common = {.pool = pool};
    if (ip_parse(name, &ip)) {
        return bears_address(c, &ip);
    }
    struct str host = a_labels(pool, without_dot(name));
    for (size_t i = 0; i < c->dns_names.n; i++) {
        if (matches(c->dns_names.v[i], host)) {
            return true;
        }
    }
    if (c->dns_names.n || !cert_dn_values(pool, c->subject, STR("CN"), &common) || !common.n) {
        return false;
    }
    return matches(a_labels(pool, common.v[common.n - 1]), host);
}

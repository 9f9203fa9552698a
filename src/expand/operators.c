/*
 * Operators ${name:text} on texts: case, quoting, escapes, encodings, digests, lengths. Numbers,
 * times, addresses and lists are in operators_more.c.
 *
 * An operator gets its subject evaluated, and what follows an underscore in its name; it hands taint
 * on, since its result is made of the subject's bytes.
 */
#include "expand/operators.h"

#include <ctype.h>

static struct str with_taint(struct str s, struct str from)
{
    s.tainted = from.tainted;
    return s;
}

/* ---- case, quoting, escapes ---- */

OPERATOR(lc)
{
    *out = str_lower(x->pool, s);
    return true;
}

OPERATOR(uc)
{
    *out = str_upper(x->pool, s);
    return true;
}

OPERATOR(strlen)
{
    *out = operator_number(x, s.len);
    return true;
}

OPERATOR(escape)
{
    *out = str_printable(x->pool, s, !core_settings(x->conf)->print_topbitchars);
    return true;
}

OPERATOR(escape8bit)
{
    struct buf b;
    buf_init(&b, x->pool, (size_t)s.len * 4 + 1);
    for (uint32_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 127 && c != '\\') {
            buf_addc(&b, (char)c);
        } else {
            buf_addf(&b, "\\%03o", c);
        }
    }
    *out = with_taint(buf_str(&b), s);
    return true;
}

OPERATOR(quote)
{
    bool needed = str_empty(s);
    for (uint32_t i = 0; i < s.len; i++) {
        needed |= !isalnum((unsigned char)s.p[i]) && !strchr("_-.", s.p[i]);
    }
    if (!needed) {
        *out = s;
        return true;
    }
    struct buf b;
    buf_init(&b, x->pool, (size_t)s.len * 2 + 3);
    buf_addc(&b, '"');
    for (uint32_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        if (c == '\n' || c == '\r') {
            buf_addz(&b, c == '\n' ? "\\n" : "\\r");
            continue;
        }
        if (c == '\\' || c == '"') {
            buf_addc(&b, '\\');
        }
        buf_addc(&b, c);
    }
    buf_addc(&b, '"');
    *out = with_taint(buf_str(&b), s);
    return true;
}

/* quote_TYPE: as the lookup type wants it in its queries. */
static bool quote_lookup(struct ectx *x, struct str param, struct str s, struct str *out)
{
    const struct lookup_driver *driver;
    struct str error, option = STR_NONE;
    ptrdiff_t comma = str_chr(param, ',');
    if (comma >= 0) {
        option = str_from(param, (size_t)comma + 1);
        param = str_sub(param, 0, (size_t)comma);
    }
    if (!lookup_parse_name(x->conf, x->pool, param, &driver, &error)) {
        x->error = error;
        return false;
    }
    if (!driver->quote) {
        *out = s;
        return true;
    }
    return driver->quote(x->pool, s, option, out) ||
           eval_fail(x, "\"%.*s\" unrecognized quote option for lookup type", STR_ARG(option));
}

OPERATOR(quote_any)
{
    return str_unset(param) ? op_quote(x, param, s, out) : quote_lookup(x, param, s, out);
}

OPERATOR(rxquote)
{
    struct buf b;
    buf_init(&b, x->pool, (size_t)s.len * 2 + 1);
    for (uint32_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (!isalnum(c)) {
            buf_addc(&b, '\\');
        }
        buf_addc(&b, (char)c);
    }
    *out = with_taint(buf_str(&b), s);
    return true;
}

/* ---- encodings ---- */

OPERATOR(base64)
{
    *out = base64_encode(x->pool, s);
    return true;
}

OPERATOR(base64d)
{
    return base64_decode(x->pool, s, out) ||
           eval_fail(x, "string \"%.*s\" is not well-formed for \"base64d\" operator", STR_ARG(s));
}

OPERATOR(hex2b64)
{
    struct str bytes;
    if (!str_all_in(s, "0123456789abcdefABCDEF")) {
        return eval_fail(x, "\"%.*s\" is not a hex string", STR_ARG(s));
    }
    if (!hex_decode(x->pool, s, &bytes)) {
        return eval_fail(x, "\"%.*s\" contains an odd number of characters", STR_ARG(s));
    }
    *out = with_taint(base64_encode(x->pool, bytes), s);
    return true;
}

OPERATOR(hexquote)
{
    struct buf b;
    buf_init(&b, x->pool, (size_t)s.len * 4 + 1);
    for (uint32_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c > 32 && c < 127) {
            buf_addc(&b, (char)c);
        } else {
            buf_addf(&b, "\\x%02x", c);
        }
    }
    *out = with_taint(buf_str(&b), s);
    return true;
}

OPERATOR(xtextd)
{
    return xtext_decode(x->pool, s, out) ||
           eval_fail(x, "string \"%.*s\" is not valid xtext", STR_ARG(s));
}

OPERATOR(rfc2047)
{
    *out = rfc2047_encode(x->pool, s, core_settings(x->conf)->headers_charset);
    return true;
}

OPERATOR(rfc2047d)
{
    struct str error;
    if (rfc2047_decode(x->pool, s, expand_settings(x->conf)->check_rfc2047_length,
                       core_settings(x->conf)->headers_charset, out, &error)) {
        return true;
    }
    x->error = error;
    return false;
}

/* ---- UTF-8 ---- */

/* Bytes of the character that the lead byte begins; 0: none can. */
static unsigned sequence(unsigned char lead)
{
    return lead < 0x80                   ? 1
           : lead >= 0xc2 && lead < 0xe0 ? 2
           : (lead & 0xf0) == 0xe0       ? 3
           : (lead & 0xf8) == 0xf0       ? 4
                                         : 0;
}

/*
 * The length of what stands at the start, *ok whether that is a character. A byte that breaks a
 * sequence off belongs to it unless it is ASCII.
 */
static uint32_t next_character(struct str s, bool *ok)
{
    unsigned n = sequence((unsigned char)s.p[0]);
    uint32_t code = n > 1 ? (unsigned char)s.p[0] & (0xffu >> (n + 1)) : 0;
    *ok = n > 0;
    for (uint32_t i = 1; i < n; i++) {
        unsigned char c = i < s.len ? (unsigned char)s.p[i] : 0;
        if ((c & 0xc0) != 0x80) {
            *ok = false;
            return i + (i < s.len && c >= 0x80);
        }
        code = code << 6 | (c & 0x3f);
    }
    *ok = *ok && code <= 0x10ffff && (code & 0x1ff800) != 0xd800;
    return n ? n : 1;
}

OPERATOR(utf8clean)
{
    struct buf b;
    bool ok;
    buf_init(&b, x->pool, (size_t)s.len + 1);
    for (struct str rest = s; rest.len;) {
        uint32_t n = next_character(rest, &ok);
        if (ok) {
            buf_add(&b, rest.p, n);
        } else {
            buf_addc(&b, '?');
        }
        rest = str_from(rest, n);
    }
    *out = with_taint(buf_str(&b), s);
    return true;
}

/* To ISO 8859-1; characters outside it become underscores. */
OPERATOR(from_utf8)
{
    struct buf b;
    bool ok;
    buf_init(&b, x->pool, (size_t)s.len + 1);
    for (struct str rest = s; rest.len;) {
        uint32_t n = next_character(rest, &ok);
        unsigned char lead = (unsigned char)rest.p[0];
        if (n == 1 && ok) {
            buf_addc(&b, rest.p[0]);
        } else if (n == 2 && ok && lead < 0xc4) {
            buf_addc(&b, (char)((lead & 3) << 6 | ((unsigned char)rest.p[1] & 0x3f)));
        } else {
            buf_addc(&b, '_');
        }
        rest = str_from(rest, n);
    }
    *out = with_taint(buf_str(&b), s);
    return true;
}

/* ---- digests ---- */

static struct str hex_digest(struct ectx *x, enum digest_kind kind, struct str s)
{
    return str_upper(x->pool, hex_encode(x->pool, digest(x->pool, kind, s)));
}

OPERATOR(md5)
{
    *out = with_taint(hex_encode(x->pool, digest(x->pool, DIGEST_MD5, s)), s);
    return true;
}

OPERATOR(sha1)
{
    *out = with_taint(hex_digest(x, DIGEST_SHA1, s), s);
    return true;
}

OPERATOR(sha2)
{
    struct str bits = str_unset(param) ? STR("256") : param;
    if (!str_is(bits, "256") && !str_is(bits, "384") && !str_is(bits, "512")) {
        return eval_fail(x, "unrecognised sha2 variant");
    }
    enum digest_kind kind = str_is(bits, "256")   ? DIGEST_SHA256
                            : str_is(bits, "384") ? DIGEST_SHA384
                                                  : DIGEST_SHA512;
    *out = with_taint(hex_digest(x, kind, s), s);
    return true;
}

OPERATOR(sha256)
{
    return op_sha2(x, param, s, out);
}

OPERATOR(sha3)
{
    static const struct {
        const char *bits;
        enum digest_kind kind;
    } rows[] = {{"224", DIGEST_SHA3_224},
                {"256", DIGEST_SHA3_256},
                {"384", DIGEST_SHA3_384},
                {"512", DIGEST_SHA3_512}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_is(str_unset(param) ? STR("256") : param, rows[i].bits)) {
            *out = with_taint(hex_digest(x, rows[i].kind, s), s);
            return true;
        }
    }
    return eval_fail(x, "unrecognised sha3 variant");
}

const struct expand_operator expand_operators[] = {
    {"base32", op_base32, "a number in base 32"},
    {"base32d", op_base32d, "a number from base 32"},
    {"base62", op_base62, "a number as six digits in base 62"},
    {"base62d", op_base62d, "a number from base 62"},
    {"base64", op_base64, "base64"},
    {"base64d", op_base64d, "from base64"},
    {"escape", op_escape, "control characters as escapes"},
    {"escape8bit", op_escape8bit, "bytes above 127 as octal escapes"},
    {"eval", op_eval, "arithmetic"},
    {"eval10", op_eval10, "arithmetic with decimal numbers only"},
    {"expand", op_expand, "expands the text again"},
    {"from_utf8", op_from_utf8, "UTF-8 to ISO 8859-1"},
    {"h", op_hash, "short for hash"},
    {"hash", op_hash, "a text of letters made from the text: hash_LENGTH_LIMIT"},
    {"hex2b64", op_hex2b64, "hexadecimal to base64"},
    {"hexquote", op_hexquote, "bytes that are not printable as \\xhh"},
    {"ipv6denorm", op_ipv6denorm, "an IPv6 address in full"},
    {"ipv6norm", op_ipv6norm, "an IPv6 address in short"},
    {"l", op_length, "short for length"},
    {"lc", op_lc, "lower case"},
    {"length", op_length, "the first bytes: length_NUMBER"},
    {"listcount", op_listcount, "number of items of a list"},
    {"listnamed", op_listnamed, "text of a named list: listnamed_d, _a, _h, _l for one kind"},
    {"mask", op_mask, "an address with the bits behind its mask cleared"},
    {"md5", op_md5, "MD5, hexadecimal"},
    {"nh", op_nhash, "short for nhash"},
    {"nhash", op_nhash, "a number, or two, made from the text: nhash_N_M"},
    {"quote", op_quote_any, "quoted if need be; quote_TYPE: for queries of the lookup type"},
    {"randint", op_randint, "a random number below the one given"},
    {"reverse_ip", op_reverse_ip, "an address as DNS lists want it"},
    {"rfc2047", op_rfc2047, "encoded words if need be"},
    {"rfc2047d", op_rfc2047d, "encoded words decoded"},
    {"rxquote", op_rxquote, "quoted for regular expressions"},
    {"s", op_substr, "short for substr"},
    {"sha1", op_sha1, "SHA-1, hexadecimal"},
    {"sha2", op_sha2, "SHA-2, hexadecimal"},
    {"sha256", op_sha256, "SHA-256, hexadecimal"},
    {"sha3", op_sha3, "SHA-3, hexadecimal: sha3_224, _256, _384, _512"},
    {"stat", op_stat, "facts of a file"},
    {"str2b64", op_base64, "base64"},
    {"strlen", op_strlen, "length in bytes"},
    {"substr", op_substr, "a part of the text: substr_START_LENGTH"},
    {"time_eval", op_time_eval, "an interval in seconds"},
    {"time_interval", op_time_interval, "seconds as an interval"},
    {"uc", op_uc, "upper case"},
    {"utf8_domain_from_alabel", op_domain_from_alabel, "a domain in UTF-8"},
    {"utf8_domain_to_alabel", op_domain_to_alabel, "a domain in ASCII"},
    {"utf8_localpart_from_alabel", op_localpart_from_alabel, "a local part in UTF-8"},
    {"utf8_localpart_to_alabel", op_localpart_to_alabel, "a local part in ASCII"},
    {"utf8clean", op_utf8clean, "what is not UTF-8 as question marks"},
    {"xtextd", op_xtextd, "from xtext"},
    {0},
};

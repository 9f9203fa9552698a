/*
 * Encodings (encode.h). Results live in the given pool, are NUL-terminated behind their length and
 * keep the taint of their input. Decoders return false on malformed input and leave *out alone;
 * encoders cannot fail.
 */
#include "base/base.h"

#include <ctype.h>

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char b62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char hexdigits[] = "0123456789abcdef";

static struct str made(const char *p, size_t n, bool tainted)
{
    struct str s = str_n(p, n);
    s.tainted = tainted;
    return s;
}

struct str base64_encode(struct pool *pool, struct str s)
{
    size_t n = ((size_t)s.len + 2) / 3 * 4;
    char *out = pool_alloc(pool, n + 1), *q = out;
    for (size_t i = 0; i < s.len; i += 3) {
        uint32_t left = s.len - (uint32_t)i;
        uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
        v |= left > 1 ? (uint32_t)(unsigned char)s.p[i + 1] << 8 : 0;
        v |= left > 2 ? (unsigned char)s.p[i + 2] : 0;
        *q++ = b64[v >> 18];
        *q++ = b64[v >> 12 & 63];
        *q++ = left > 1 ? b64[v >> 6 & 63] : '=';
        *q++ = left > 2 ? b64[v & 63] : '=';
    }
    *q = '\0';
    return made(out, n, s.tainted);
}

static int b64_value(char c)
{
    const char *p = c ? strchr(b64, c) : NULL;
    return p ? (int)(p - b64) : -1;
}

bool base64_decode(struct pool *pool, struct str s, struct str *out)
{
    char *kept = pool_alloc(pool, s.len + 1u);
    uint32_t len = 0;
    for (uint32_t i = 0; i < s.len; i++) {
        if (!isspace((unsigned char)s.p[i])) {
            kept[len++] = s.p[i];
        }
    }
    s = (struct str){.p = kept, .len = len, .tainted = s.tainted};
    if (s.len % 4) {
        return false;
    }
    size_t pad = 0;
    while (pad < 2 && pad < s.len && s.p[s.len - 1 - pad] == '=') {
        pad++;
    }
    char *p = pool_alloc(pool, s.len / 4 * 3 + 1);
    size_t n = 0;
    uint32_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        int d = i >= s.len - pad ? 0 : b64_value(s.p[i]);
        if (d < 0) {
            return false;
        }
        v = v << 6 | (uint32_t)d;
        if (i % 4 == 3) {
            p[n++] = (char)(v >> 16);
            p[n++] = (char)(v >> 8);
            p[n++] = (char)v;
            v = 0;
        }
    }
    n -= pad;
    p[n] = '\0';
    *out = made(p, n, s.tainted);
    return true;
}

struct str hex_encode(struct pool *pool, struct str s)
{
    char *p = pool_alloc(pool, (size_t)s.len * 2 + 1);
    for (uint32_t i = 0; i < s.len; i++) {
        p[i * 2] = hexdigits[(unsigned char)s.p[i] >> 4];
        p[i * 2 + 1] = hexdigits[s.p[i] & 15];
    }
    p[s.len * 2] = '\0';
    return made(p, (size_t)s.len * 2, s.tainted);
}

bool hex_decode(struct pool *pool, struct str s, struct str *out)
{
    char *p = pool_alloc(pool, s.len / 2 + 1);
    if (s.len % 2) {
        return false;
    }
    for (uint32_t i = 0; i < s.len; i += 2) {
        uint64_t v;
        if (!str_to_u64(str_sub(s, i, 2), 16, &v)) {
            return false;
        }
        p[i / 2] = (char)v;
    }
    p[s.len / 2] = '\0';
    *out = made(p, s.len / 2, s.tainted);
    return true;
}

void base62_put(char *out, size_t width, uint64_t n)
{
    while (width) {
        out[--width] = b62[n % 62];
        n /= 62;
    }
}

bool base62_get(struct str s, uint64_t *out)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < s.len; i++) {
        const char *d = s.p[i] ? strchr(b62, s.p[i]) : NULL;
        if (!d || __builtin_mul_overflow(n, 62, &n) ||
            __builtin_add_overflow(n, (uint64_t)(d - b62), &n)) {
            return false;
        }
    }
    *out = n;
    return s.len > 0;
}

struct str xtext_encode(struct pool *pool, struct str s)
{
    char *p = pool_alloc(pool, (size_t)s.len * 3 + 1), *q = p;
    for (uint32_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 33 || c > 126 || c == '+' || c == '=') {
            *q++ = '+';
            *q++ = "0123456789ABCDEF"[c >> 4];
            *q++ = "0123456789ABCDEF"[c & 15];
        } else {
            *q++ = (char)c;
        }
    }
    *q = '\0';
    return made(p, (size_t)(q - p), s.tainted);
}

bool xtext_decode(struct pool *pool, struct str s, struct str *out)
{
    char *p = pool_alloc(pool, (size_t)s.len + 1), *q = p;
    for (uint32_t i = 0; i < s.len; i++) {
        uint64_t v = (unsigned char)s.p[i];
        if (v == '+') {
            if (i + 2 >= s.len || !str_to_u64(str_sub(s, i + 1, 2), 16, &v)) {
                return false;
            }
            i += 2;
        } else if (v < 33 || v > 126 || v == '=') {
            return false;
        }
        *q++ = (char)v;
    }
    *q = '\0';
    *out = made(p, (size_t)(q - p), s.tainted);
    return true;
}

static bool needs_escape(char c, bool eight_bit)
{
    unsigned char u = (unsigned char)c;
    return (u < 32 && u != '\t') || u == 127 || (eight_bit && u > 127);
}

/* One escaped byte into q; returns its length. */
static size_t put_escape(char *q, char c)
{
    static const char from[] = "\n\r\b\f\v", to[] = "nrbfv";
    const char *at = c ? strchr(from, c) : NULL;
    unsigned char u = (unsigned char)c;
    q[0] = '\\';
    if (at) {
        q[1] = to[at - from];
        return 2;
    }
    q[1] = (char)('0' + (u >> 6));
    q[2] = (char)('0' + (u >> 3 & 7));
    q[3] = (char)('0' + (u & 7));
    return 4;
}

struct str str_printable(struct pool *pool, struct str s, bool eight_bit)
{
    uint32_t i = 0;
    while (i < s.len && !(needs_escape(s.p[i], eight_bit))) {
        i++;
    }
    if (i == s.len) {
        return s;
    }
    char *p = pool_alloc(pool, (size_t)s.len * 4 + 1), *q = p;
    for (i = 0; i < s.len; i++) {
        if (needs_escape(s.p[i], eight_bit)) {
            q += put_escape(q, s.p[i]);
        } else {
            *q++ = s.p[i];
        }
    }
    *q = '\0';
    return made(p, (size_t)(q - p), s.tainted);
}

/* Length of the well-formed sequence at p, 0 if there is none. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80) {
        return 1;
    }
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] > 0x9f;
    bool too_large = p[0] == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || too_large ? 0 : len;
}

bool utf8_valid(struct str s)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_len((const unsigned char *)s.p + i, s.len - i);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

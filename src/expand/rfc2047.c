/*
 * RFC 2047 encoded words: decoding in header values, encoding of texts.
 *
 * Decoding converts to the character set wanted where iconv can; a word that cannot be decoded or
 * converted stays as it is. White space between two encoded words disappears.
 */
#include "expand/internal.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>

enum { MAX_WORD = 75 };

struct word {
    struct str charset, text;
    char encoding; /* 'Q' or 'B' */
    uint32_t len;  /* of the whole word */
};

/* The encoded word at the start of s; false if there is none. */
static bool parse_word(struct str s, bool check_length, struct word *w)
{
    if (!str_starts(s, "=?")) {
        return false;
    }
    struct str rest = str_from(s, 2);
    ptrdiff_t q = str_chr(rest, '?');
    if (q <= 0 || rest.len < (uint32_t)q + 4 || rest.p[q + 2] != '?') {
        return false;
    }
    w->charset = str_sub(rest, 0, (size_t)q);
    w->encoding = (char)toupper((unsigned char)rest.p[q + 1]);
    rest = str_from(rest, (size_t)q + 3);
    ptrdiff_t end = str_find(rest, STR("?="));
    if (end < 0 || (w->encoding != 'Q' && w->encoding != 'B')) {
        return false;
    }
    w->text = str_sub(rest, 0, (size_t)end);
    w->len = (uint32_t)(rest.p + end + 2 - s.p);
    return !str_any_in(w->text, " \t\r\n") && (!check_length || w->len <= MAX_WORD);
}

static int hex_value(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : toupper((unsigned char)c) - 'A' + 10;
}

static bool decode_q(struct pool *pool, struct str s, struct str *out)
{
    struct buf b;
    buf_init(&b, pool, (size_t)s.len + 1);
    for (uint32_t i = 0; i < s.len; i++) {
        if (s.p[i] == '_') {
            buf_addc(&b, ' ');
        } else if (s.p[i] != '=') {
            buf_addc(&b, s.p[i]);
        } else if (i + 2 < s.len && isxdigit((unsigned char)s.p[i + 1]) &&
                   isxdigit((unsigned char)s.p[i + 2])) {
            buf_addc(&b, (char)(hex_value(s.p[i + 1]) * 16 + hex_value(s.p[i + 2])));
            i += 2;
        } else {
            return false;
        }
    }
    *out = buf_str(&b);
    return true;
}

/* To the character set. Where iconv cannot, the bytes stay; *error if it knows no such conversion. */
static void convert(struct pool *pool, struct str s, struct str from, struct str to,
                    struct str *out, struct str *error)
{
    ptrdiff_t language = str_chr(from, '*'); /* RFC 2231 5 */
    from = language < 0 ? from : str_sub(from, 0, (size_t)language);
    if (str_empty(to) || str_eqi(from, to)) {
        *out = s;
        return;
    }
    iconv_t cd = iconv_open(str_cstr(pool, to), str_cstr(pool, from));
    if (cd == (iconv_t)-1) {
        *error =
            str_fmt(pool, "iconv_open(\"%.*s\", \"%.*s\") failed: %s%s", STR_ARG(to), STR_ARG(from),
                    strerror(errno), errno == EINVAL ? " (maybe unsupported conversion)" : "");
        *out = s;
        return;
    }
    size_t room = (size_t)s.len * 4 + 16, left = s.len, free_bytes = room;
    char *p = pool_alloc(pool, room), *in = (char *)(uintptr_t)s.p, *q = p;
    size_t r = iconv(cd, &in, &left, &q, &free_bytes);
    iconv_close(cd);
    *out = r == (size_t)-1 ? s : str_n(p, (size_t)(q - p));
}

static bool decode_word(struct pool *pool, const struct word *w, struct str charset,
                        struct str *out, struct str *error)
{
    struct str bytes;
    bool ok =
        w->encoding == 'Q' ? decode_q(pool, w->text, &bytes) : base64_decode(pool, w->text, &bytes);
    if (!ok) {
        return false;
    }
    convert(pool, bytes, w->charset, charset, out, error);
    char *p = str_cstr(pool, *out);
    for (uint32_t i = 0; i < out->len; i++) {
        p[i] = p[i] == '\0' ? '?' : p[i];
    }
    out->p = p;
    return true;
}

bool rfc2047_decode(struct pool *pool, struct str s, bool check_length, struct str charset,
                    struct str *out, struct str *error)
{
    struct buf b;
    *error = STR_NONE;
    if (str_find(s, STR("=?")) < 0) {
        *out = s;
        return true;
    }
    buf_init(&b, pool, (size_t)s.len * 4 + 64);
    b.tainted = s.tainted;
    bool after_word = false;
    while (s.len) {
        struct word w;
        struct str text, space = s;
        s = str_ltrim(s);
        space.len -= s.len;
        if (s.len && parse_word(s, check_length, &w) &&
            decode_word(pool, &w, charset, &text, error)) {
            buf_adds(&b, after_word ? STR("") : space);
            buf_adds(&b, text);
            s = str_from(s, w.len);
            after_word = true;
            continue;
        }
        buf_adds(&b, space);
        if (s.len) {
            buf_addc(&b, s.p[0]);
            s = str_from(s, 1);
        }
        /* The rest of an ordinary word, up to where an encoded one may begin. */
        while (s.len && !isspace((unsigned char)s.p[0]) && !str_starts(s, "=?")) {
            buf_addc(&b, s.p[0]);
            s = str_from(s, 1);
        }
        after_word = false;
    }
    *out = buf_str(&b);
    return str_unset(*error);
}

/* What may not stand for itself: RFC 2047 5 (3), and what is special in headers anyway. */
static bool needs_encoding(unsigned char c)
{
    return c < 32 || c > 126 || strchr("()<>@,;:\\\".[]_?=", c);
}

struct str rfc2047_encode(struct pool *pool, struct str s, struct str charset)
{
    bool needed = false;
    for (uint32_t i = 0; i < s.len && !needed; i++) {
        needed = needs_encoding((unsigned char)s.p[i]);
    }
    if (!needed) {
        return s;
    }
    struct str begin = STR_CAT(pool, STR("=?"), charset, STR("?Q?"));
    struct buf b;
    buf_init(&b, pool, ((size_t)s.len + 1) * 3 * (begin.len + 4u));
    b.tainted = s.tainted;
    buf_adds(&b, begin);
    size_t start = b.len; /* of the second and later words the beginning counts */
    bool half = false;    /* perhaps within a character of two bytes */
    for (uint32_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (b.len - start > 67 && !half) {
            buf_addz(&b, "?= ");
            start = b.len;
            buf_adds(&b, begin);
        }
        if (needs_encoding(c)) {
            buf_addf(&b, "=%02X", c);
            half = !half;
        } else {
            buf_addc(&b, c == ' ' ? '_' : (char)c);
            half = half && c == ' ';
        }
    }
    buf_addz(&b, "?=");
    b.tainted = s.tainted;
    return buf_str(&b);
}

/*
 * Operators on numbers, times, addresses, lists and files, and those that take a part of the text
 * or a hash of it. See operators.c.
 * Results live in the context's pool with the taint of the subject; a subject that an operator
 * cannot work on is an error in x->error, in Exim's words.
 */
#include "expand/operators.h"

#include <ctype.h>
#include <errno.h>
#include <idn2.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct str operator_number(struct ectx *x, int64_t n)
{
    struct str s = str_fmt(x->pool, "%lld", (long long)n);
    s.tainted = false;
    return s;
}

/* ---- numbers ---- */

static const char digits32[] = "abcdefghijklmnopqrstuvwxyz234567";

static bool decimal(struct ectx *x, struct str s, const char *name, uint64_t *n)
{
    int64_t i;
    *n = 0;
    if (str_empty(s)) {
        return true;
    }
    if (str_to_i64(s, &i)) {
        *n = (uint64_t)i;
        return true;
    }
    if (str_all_in(s, "0123456789") && !str_to_u64(s, 10, n)) {
        *n = UINT64_MAX;
    }
    return str_all_in(s, "0123456789") ||
           eval_fail(x, "argument for %s operator is \"%.*s\", which is not a decimal number", name,
                     STR_ARG(s));
}

PUBLIC_OPERATOR(base32)
{
    uint64_t n;
    char text[16];
    size_t at = sizeof text;
    if (!decimal(x, s, "base32", &n)) {
        return false;
    }
    for (; n; n >>= 5) {
        text[--at] = digits32[n & 31];
    }
    *out = str_dup(x->pool, str_n(text + at, sizeof text - at));
    return true;
}

PUBLIC_OPERATOR(base32d)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < s.len; i++) {
        const char *at = s.p[i] ? strchr(digits32, s.p[i]) : NULL;
        if (!at) {
            return eval_fail(
                x, "argument for base32d operator is \"%.*s\", which is not a base 32 number",
                STR_ARG(s));
        }
        n = n << 5 | (uint64_t)(at - digits32);
    }
    *out = operator_number(x, (int64_t)n);
    return true;
}

PUBLIC_OPERATOR(base62)
{
    uint64_t n;
    char text[6];
    if (!decimal(x, s, "base62", &n)) {
        return false;
    }
    base62_put(text, sizeof text, n);
    *out = str_dup(x->pool, str_n(text, sizeof text));
    return true;
}

PUBLIC_OPERATOR(base62d)
{
    uint64_t n = 0;
    if (!str_empty(s) && !base62_get(s, &n)) {
        return eval_fail(x,
                         "argument for base62d operator is \"%.*s\", which is not a base 62 number",
                         STR_ARG(s));
    }
    *out = operator_number(x, (int64_t)n);
    return true;
}

PUBLIC_OPERATOR(eval)
{
    int64_t n;
    if (!eval_arithmetic(x, s, false, &n)) {
        return false;
    }
    *out = operator_number(x, n);
    return true;
}

PUBLIC_OPERATOR(eval10)
{
    int64_t n;
    if (!eval_arithmetic(x, s, true, &n)) {
        return false;
    }
    *out = operator_number(x, n);
    return true;
}

PUBLIC_OPERATOR(randint)
{
    int64_t max;
    uint64_t random = 0;
    if (str_empty(s)) {
        return eval_fail(x, "integer expected but \"\" found");
    }
    if (str_starts(s, "-")) {
        return eval_fail(x, "non-negative integer expected but \"%.*s\" found", STR_ARG(s));
    }
    if (!expand_number(x, s, &max)) {
        return false;
    }
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
        random = (uint64_t)time_monotonic_ms();
    }
    *out = operator_number(x, max > 0 ? (int64_t)(random % (uint64_t)max) : 0);
    return true;
}

/* ---- parts of the text, hashes ---- */

/* The numbers of NAME_first_second; -1 for one that is not there. False: not numbers. */
static bool two_numbers(struct str param, bool sign, int64_t *first, int64_t *second)
{
    int64_t *each[2] = {first, second};
    *first = *second = -1;
    for (int i = 0; i < 2 && param.len; i++) {
        uint64_t n = 0;
        bool negative = sign && i == 0 && str_starts(param, "-");
        uint32_t from = negative, to = from;
        while (to < param.len && isdigit((unsigned char)param.p[to])) {
            to++;
        }
        if (to > from && (!str_to_u64(str_sub(param, from, to - from), 10, &n) || n > INT32_MAX)) {
            return false;
        }
        *each[i] = negative ? -(int64_t)n : (int64_t)n;
        param = str_from(param, to);
        if (i == 0 && str_starts(param, "_")) {
            param = str_from(param, 1);
        }
    }
    return str_empty(param);
}

bool operator_numbers_ok(const char *base, struct str param)
{
    int64_t n = -1, m = -1;
    bool sign = *base == 's';
    return two_numbers(param, sign, &n, &m);
}

PUBLIC_OPERATOR(length)
{
    int64_t n = -1, none = -1;
    two_numbers(param, false, &n, &none);
    *out = str_sub(s, 0, n < 0 ? 0 : (size_t)n);
    return true;
}

struct str text_substr(struct str s, int64_t start, int64_t len, bool len_given)
{
    if (start < 0) {
        /* From the end: without a length, what stands before that place. */
        if (!len_given) {
            int64_t keep = (int64_t)s.len + start;
            return str_sub(s, 0, keep > 0 ? (size_t)keep : 0);
        }
        start += (int64_t)s.len;
        if (start < 0) {
            len += start;
            start = 0;
        }
        return str_sub(s, (size_t)start, len > 0 ? (size_t)len : 0);
    }
    return str_sub(s, (size_t)start, len_given ? (size_t)len : s.len);
}

PUBLIC_OPERATOR(substr)
{
    int64_t start = -1, len = -1;
    two_numbers(param, true, &start, &len);
    *out = text_substr(s, start, len, len >= 0);
    return true;
}

/* The bytes past n are folded into the first n, which become letters of the first m. */
bool text_hash(struct ectx *x, struct str s, int64_t n, int64_t m, struct str *out)
{
    static const char letters[] = "abcdefghijklmnopqrtsuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    int64_t limit = m < 0 ? 26 : m;
    if (limit > (int64_t)sizeof letters - 1) {
        return eval_fail(x, "hash count \"%lld\" too big", (long long)limit);
    }
    if (n >= (int64_t)s.len || n < 0) {
        *out = s;
        return true;
    }
    unsigned char *p = (unsigned char *)str_cstr(x->pool, s);
    size_t len = (size_t)n;
    for (size_t from = len; len && from < s.len; from++) {
        unsigned c = (unsigned char)s.p[from], turn = (c + (unsigned)from) & 7;
        p[(from - len) % len] ^= (unsigned char)(c << turn | c >> (8 - turn));
    }
    for (size_t i = 0; i < len; i++) {
        p[i] = limit ? (unsigned char)letters[p[i] % (unsigned)limit] : (unsigned char)'a';
    }
    *out = str_n((const char *)p, len);
    out->tainted = s.tainted;
    return true;
}

PUBLIC_OPERATOR(hash)
{
    int64_t n = -1, m = -1;
    two_numbers(param, false, &n, &m);
    return text_hash(x, s, n < 0 ? 0 : n, m, out);
}

bool text_nhash(struct ectx *x, struct str s, int64_t n, int64_t m, struct str *out)
{
    static const unsigned char primes[] = {2,  3,  5,  7,  11, 13,  17,  19,  23,  29,
                                           31, 37, 41, 43, 47, 53,  59,  61,  67,  71,
                                           73, 79, 83, 89, 97, 101, 103, 107, 109, 113};
    uint64_t total = 0;
    size_t at = 0;
    if (n <= 0 || m == 0) {
        return eval_fail(x, "nhash needs numbers greater than zero");
    }
    for (uint32_t i = 0; i < s.len; i++) {
        at = at > 1 ? at - 1 : ARRAY_LEN(primes) - 1; /* the first one is never used */
        total += (uint64_t)primes[at] * (unsigned char)s.p[i];
    }
    if (m < 0) {
        *out = operator_number(x, (int64_t)(total % (uint64_t)n));
        return true;
    }
    total %= (uint64_t)n * (uint64_t)m;
    *out = str_fmt(x->pool, "%llu/%llu", (unsigned long long)(total / (uint64_t)m),
                   (unsigned long long)(total % (uint64_t)m));
    out->tainted = false;
    return true;
}

PUBLIC_OPERATOR(nhash)
{
    int64_t n = -1, m = -1;
    two_numbers(param, false, &n, &m);
    return text_nhash(x, s, n, m, out);
}

/* ---- expand again, lists ---- */

PUBLIC_OPERATOR(expand)
{
    if (s.tainted) {
        eval_tainted(x, s);
        return eval_fail(x, "internal expansion of \"%.*s\" failed: %.*s", STR_ARG(s),
                         STR_ARG(x->error));
    }
    if (expand_nested(x, s, out)) {
        return true;
    }
    return eval_fail(x, "internal expansion of \"%.*s\" failed: %.*s", STR_ARG(s),
                     STR_ARG(x->error));
}

PUBLIC_OPERATOR(listcount)
{
    struct str item;
    int64_t n = 0;
    for (int sep = 0; list_next(x->pool, &s, &sep, &item);) {
        n++;
    }
    *out = operator_number(x, n);
    return true;
}

/* The list's items with those of named lists in their place; colons separate them. */
static void add_named(struct ectx *x, struct buf *b, enum list_kind kind, struct str text,
                      int depth, bool *first)
{
    struct str item;
    for (int from = 0; list_next(x->pool, &text, &from, &item);) {
        const struct named_list *l =
            str_starts(item, "+") ? map_get(x->conf->named_lists[kind], str_from(item, 1)) : NULL;
        if (l && depth < MAX_NESTING) {
            add_named(x, b, kind, l->text.text, depth + 1, first);
            continue;
        }
        if (!*first) {
            buf_addz(b, " : ");
        }
        list_add(b, item, ':', true);
        *first = false;
    }
}

PUBLIC_OPERATOR(listnamed)
{
    static const char letters[] = "dhal";
    static const char *const kinds[] = {"domain", "host", "address", "localpart"};
    const char *at = str_empty(param) ? letters : strchr(letters, param.p[0]);
    if (!at) {
        return eval_fail(x, "bad suffix on \"list\" operator");
    }
    int first = (int)(at - letters), last = str_empty(param) ? LIST_LOCALPARTS : first;
    if (str_starts(s, "+")) {
        s = str_from(s, 1);
    }
    for (int kind = first; kind <= last; kind++) {
        const struct named_list *l = map_get(x->conf->named_lists[kind], s);
        if (l) {
            bool begin = true;
            struct buf b;
            buf_init(&b, x->pool, 1 << 20);
            add_named(x, &b, (enum list_kind)kind, l->text.text, 0, &begin);
            *out = buf_str(&b);
            return true;
        }
    }
    return str_empty(param)
               ? eval_fail(x, "\"%.*s\" is not a named list", STR_ARG(s))
               : eval_fail(x, "\"%.*s\" is not a %s named list", STR_ARG(s), kinds[first]);
}

/* ---- addresses ---- */

/* IPv6 in eight full groups; IPv4 as mapped if `mapped`, else in its own form. */
static struct str full_text(struct pool *pool, const struct ip *ip, char sep)
{
    struct buf b;
    buf_init(&b, pool, 64);
    for (int i = 0; i < 16; i += 2) {
        buf_addf(&b, "%.*s%02x%02x", i ? 1 : 0, &sep, ip->b[i], ip->b[i + 1]);
    }
    return buf_str(&b);
}

/* IPv4 as an IPv6 address. */
static struct ip mapped(const struct ip *ip)
{
    struct ip m = *ip;
    if (ip->family == AF_INET) {
        m = (struct ip){.family = AF_INET6, .b = {[10] = 0xff, [11] = 0xff}};
        memcpy(m.b + 12, ip->b, 4);
    }
    return m;
}

/* An address, with a scope (%name) or, if `net`, a mask behind it that do not matter. */
static bool address_only(struct str s, bool net, struct ip *ip)
{
    ptrdiff_t slash = net ? str_chr(s, '/') : -1;
    s = slash < 0 ? s : str_sub(s, 0, (size_t)slash);
    ptrdiff_t scope = str_chr(s, '%');
    return ip_parse(scope < 0 ? s : str_sub(s, 0, (size_t)scope), ip);
}

PUBLIC_OPERATOR(ipv6denorm)
{
    struct ip ip;
    if (!address_only(s, false, &ip)) {
        return eval_fail(x, "\"%.*s\" is not an IP address", STR_ARG(s));
    }
    ip = mapped(&ip);
    *out = full_text(x->pool, &ip, ':');
    return true;
}

/* The longest run of zero groups gives way to "::". */
static struct str short_text(struct pool *pool, const struct ip *ip)
{
    int best = -1, best_len = 0;
    struct buf b;
    buf_init(&b, pool, 64);
    for (int i = 0; i < 8; i++) {
        int n = 0;
        while (i + n < 8 && ip->b[2 * (i + n)] == 0 && ip->b[2 * (i + n) + 1] == 0) {
            n++;
        }
        if (n > best_len) {
            best = i;
            best_len = n;
        }
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            buf_addz(&b, "::");
            i += best_len - 1;
            continue;
        }
        buf_addf(&b, "%s%x", i == 0 || i == best + best_len ? "" : ":",
                 (unsigned)ip->b[2 * i] << 8 | ip->b[2 * i + 1]);
    }
    return buf_str(&b);
}

PUBLIC_OPERATOR(ipv6norm)
{
    struct ip ip;
    if (!address_only(s, false, &ip)) {
        return eval_fail(x, "\"%.*s\" is not an IP address", STR_ARG(s));
    }
    ip = mapped(&ip);
    *out = short_text(x->pool, &ip);
    return true;
}

PUBLIC_OPERATOR(reverse_ip)
{
    struct ip ip;
    if (!address_only(s, true, &ip)) {
        return eval_fail(x, "reverse_ip() not given an IP address [%.*s]", STR_ARG(s));
    }
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    if (ip.family == AF_INET6 && memcmp(ip.b, prefix, sizeof prefix) == 0) {
        struct ip v4 = {.family = AF_INET};
        memcpy(v4.b, ip.b + 12, 4);
        ip = v4;
    }
    struct str name = ip_reverse_name(x->pool, &ip, STR(""));
    *out = str_sub(name, 0, name.len ? name.len - 1u : 0);
    return true;
}

PUBLIC_OPERATOR(mask)
{
    struct ip ip;
    uint64_t bits;
    ptrdiff_t slash = str_chr(s, '/');
    struct str address = slash < 0 ? s : str_sub(s, 0, (size_t)slash);
    if (!address_only(address, false, &ip)) {
        return eval_fail(x, "\"%.*s\" is not an IP address", STR_ARG(s));
    }
    if (slash < 0) {
        return eval_fail(x, "missing mask value in \"%.*s\"", STR_ARG(s));
    }
    if (!str_to_u64(str_from(s, (size_t)slash + 1), 10, &bits)) {
        return eval_fail(x, "\"%.*s\" is not an IP address", STR_ARG(s));
    }
    if (bits > (ip.family == AF_INET ? 32u : 128u)) {
        return eval_fail(x, "mask value too big in \"%.*s\"", STR_ARG(s));
    }
    ip = ip_mask(ip, (unsigned)bits);
    struct str text = ip.family == AF_INET ? ip_text(x->pool, &ip)
                      : str_is(param, "n") ? short_text(x->pool, &ip)
                                           : full_text(x->pool, &ip, '.');
    *out = str_fmt(x->pool, "%.*s/%d", STR_ARG(text), (int)bits);
    out->tainted = s.tainted;
    return true;
}

/* ---- times, files ---- */

PUBLIC_OPERATOR(time_eval)
{
    int64_t n = time_interval(s);
    if (n < 0) {
        return eval_fail(x,
                         "string \"%.*s\" is not an Exim time interval in \"time_eval\" operator",
                         STR_ARG(s));
    }
    *out = operator_number(x, n);
    return true;
}

PUBLIC_OPERATOR(time_interval)
{
    uint64_t n = 0;
    if (!str_empty(s) && (!str_to_u64(s, 10, &n) || n > INT32_MAX)) {
        return eval_fail(x,
                         "string \"%.*s\" is not a positive number in \"time_interval\" operator",
                         STR_ARG(s));
    }
    *out = time_interval_text(x->pool, (int64_t)n);
    return true;
}

/* As ls writes it. */
static void mode_text(mode_t m, char out[11])
{
    static const struct {
        mode_t type;
        char letter;
    } types[] = {{S_IFREG, '-'},  {S_IFDIR, 'd'}, {S_IFLNK, 'l'}, {S_IFIFO, 'p'},
                 {S_IFSOCK, 's'}, {S_IFCHR, 'c'}, {S_IFBLK, 'b'}};
    out[0] = '?';
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        out[0] = (m & S_IFMT) == types[i].type ? types[i].letter : out[0];
    }
    for (int i = 0; i < 9; i++) {
        out[i + 1] = m >> (8 - i) & 1 ? "rwx"[i % 3] : '-';
    }
    out[3] = m & S_ISUID ? (m & S_IXUSR ? 's' : 'S') : out[3];
    out[6] = m & S_ISGID ? (m & S_IXGRP ? 's' : 'S') : out[6];
    out[9] = m & S_ISVTX ? (m & S_IXOTH ? 't' : 'T') : out[9];
    out[10] = '\0';
}

PUBLIC_OPERATOR(stat)
{
    struct stat st;
    char mode[11];
    if (stat(str_cstr(x->pool, s), &st) < 0) {
        return eval_fail(x, "stat(%.*s) failed: %s", STR_ARG(s), strerror(errno));
    }
    mode_text(st.st_mode, mode);
    *out = str_fmt(x->pool,
                   "mode=%04lo smode=%s inode=%llu device=%llu links=%llu uid=%lu gid=%lu "
                   "size=%lld atime=%lld mtime=%lld ctime=%lld",
                   (unsigned long)(st.st_mode & 07777), mode, (unsigned long long)st.st_ino,
                   (unsigned long long)st.st_dev, (unsigned long long)st.st_nlink,
                   (unsigned long)st.st_uid, (unsigned long)st.st_gid, (long long)st.st_size,
                   (long long)st.st_atime, (long long)st.st_mtime, (long long)st.st_ctime);
    out->tainted = false;
    return true;
}

/* ---- internationalised names ---- */

/* A name through libidn2, in the pool. */
static bool converted(struct ectx *x, int (*convert)(const char *in, char **out, int flags),
                      struct str s, int flags, struct str *out)
{
    char *made = NULL;
    bool to_ascii = convert == idn2_to_ascii_8z, ascii = true;
    for (uint32_t i = 0; i < s.len; i++) {
        ascii = ascii && (unsigned char)s.p[i] < 128;
    }
    if (to_ascii && ascii) {
        *out = s;
        return true;
    }
    int rc = convert(str_cstr(x->pool, s), &made, flags);
    if (rc != IDN2_OK) {
        return to_ascii ? eval_fail(x, "error converting utf8 (%.*s) to alabel: %s",
                                    STR_ARG(str_printable(x->pool, s, true)), idn2_strerror(rc))
                        : eval_fail(x, "error converting alabel (%.*s) to utf8: %s", STR_ARG(s),
                                    idn2_strerror(rc));
    }
    *out = str_dup(x->pool, str_c(made));
    out->tainted = s.tainted;
    idn2_free(made);
    return true;
}

PUBLIC_OPERATOR(domain_to_alabel)
{
    return converted(x, idn2_to_ascii_8z, s, IDN2_NFC_INPUT, out);
}

PUBLIC_OPERATOR(domain_from_alabel)
{
    return converted(x, idn2_to_unicode_8z8z, s, 0, out);
}

PUBLIC_OPERATOR(localpart_to_alabel)
{
    struct str made;
    if (!punycode_encode(x->pool, s, &made)) {
        return eval_fail(x, "error converting utf8 (%.*s) to alabel: l_u2a: bad UTF-8 input",
                         STR_ARG(str_printable(x->pool, s, true)));
    }
    bool ascii = s.len == 0 || (made.len == s.len + 1u && made.p[s.len] == '-');
    *out = ascii ? s : STR_CAT(x->pool, STR("xn--"), made);
    return true;
}

PUBLIC_OPERATOR(localpart_from_alabel)
{
    const char *error = "bad alabel prefix";
    if (str_starts(s, "xn--")) {
        error = "Invalid input";
        if (punycode_decode(x->pool, str_from(s, 4), out)) {
            return true;
        }
    }
    return eval_fail(x, "error converting alabel (%.*s) to utf8: %s",
                     STR_ARG(str_printable(x->pool, s, true)), error);
}

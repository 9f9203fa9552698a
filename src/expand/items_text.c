/*
 * Items that work on texts: sg, tr, extract, length, substr, hash, nhash, hmac.
 * Results live in the context's pool and keep the taint of what went in.
 * A bad number or pattern is an error in x->error, in Exim's words.
 */
#include "expand/internal.h"

#include <ctype.h>

enum { MAX_TEXT = 64 << 20, MAX_FIELDS = 1000000 };

static bool eval_args(struct ectx *x, const struct expand_arg *const *args, size_t n,
                      struct str *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!expand_arg(x, args[i], &out[i])) {
            return false;
        }
    }
    return true;
}

/* ---- sg ---- */

/* Evaluates the replacement with $0… of one match; a match at the same place again is not taken. */
static bool replace_one(struct ectx *x, const struct str subject, const size_t *g, size_t groups,
                        struct str replacement, struct buf *b)
{
    struct str values[10], text;
    groups = groups < ARRAY_LEN(values) ? groups : ARRAY_LEN(values);
    for (size_t i = 0; i < groups; i++) {
        values[i] =
            g[2 * i] == (size_t)-1 ? STR("") : str_sub(subject, g[2 * i], g[2 * i + 1] - g[2 * i]);
    }
    struct scope *outer = scope_set_numeric(x, values, groups);
    bool ok = expand_nested(x, replacement, &text);
    scope_restore(x, outer);
    if (ok) {
        buf_adds(b, text);
    }
    return ok;
}

bool item_sg(struct ectx *x, const struct expand_arg *const *args, size_t n, struct str *out,
             bool *found)
{
    struct str a[3];
    struct buf b;
    (void)found;
    if (!eval_args(x, args, n, a)) {
        return false;
    }
    struct pcre2_real_code_8 *code = regex_get(x->pool, a[1], false, &x->error);
    if (!code) {
        return false;
    }
    buf_init(&b, x->pool, MAX_TEXT);
    b.tainted = a[0].tainted;
    size_t at = 0;
    unsigned options = 0;
    for (;;) {
        const size_t *g;
        size_t groups = regex_run(x->pool, code, a[0], at, options, &g);
        if (groups == 0 && options && at < a[0].len) {
            /* After an empty match: one byte is copied, then all is possible again. */
            buf_addc(&b, a[0].p[at++]);
            options = 0;
            continue;
        }
        if (groups == 0) {
            break;
        }
        buf_adds(&b, str_sub(a[0], at, g[0] - at));
        if (!replace_one(x, a[0], g, groups, a[2], &b)) {
            return false;
        }
        code = regex_get(x->pool, a[1], false, &x->error);
        at = g[1];
        options = g[0] == g[1] ? REGEX_NOT_EMPTY_HERE : 0;
    }
    buf_adds(&b, str_from(a[0], at));
    *out = buf_str(&b);
    return true;
}

/* ---- tr ---- */

bool item_tr(struct ectx *x, const struct expand_arg *const *args, size_t n, struct str *out,
             bool *found)
{
    struct str a[3];
    (void)found;
    if (!eval_args(x, args, n, a)) {
        return false;
    }
    if (a[2].len) {
        char *p = str_cstr(x->pool, a[0]);
        for (uint32_t i = 0; i < a[0].len; i++) {
            ptrdiff_t at = str_rchr(a[1], p[i]);
            if (at >= 0) {
                p[i] = a[2].p[(uint32_t)at < a[2].len ? (uint32_t)at : a[2].len - 1];
            }
        }
        a[0].p = p;
    }
    *out = a[0];
    return true;
}

/* ---- length, substr, hash, nhash with arguments ---- */

/* A number of an item's argument. */
static bool item_number(struct ectx *x, struct str s, const char *name, bool sign, int64_t *out)
{
    struct str t = s;
    uint64_t n = 0;
    bool negative = str_starts(t, "-");
    if (negative) {
        t = str_from(t, 1);
    }
    if (str_empty(s)) {
        *out = 0;
        return true;
    }
    if (sign && (!str_to_u64(t, 10, &n) || n > INT32_MAX)) {
        return eval_fail(x, "\"%.*s\" is not a number (in \"%s\" expansion)", STR_ARG(s), name);
    }
    if (!sign && (negative || !str_to_u64(t, 10, &n) || n > INT32_MAX)) {
        return eval_fail(x, "\"%.*s\" is not a positive number (in \"%s\" expansion)", STR_ARG(s),
                         name);
    }
    *out = negative ? -(int64_t)n : (int64_t)n;
    return true;
}

bool item_length(struct ectx *x, const struct expand_arg *const *args, size_t n, struct str *out,
                 bool *found)
{
    struct str a[2];
    int64_t len;
    (void)found;
    if (!eval_args(x, args, n, a) || !item_number(x, a[0], "length", false, &len)) {
        return false;
    }
    *out = str_sub(a[1], 0, (size_t)len);
    return true;
}

bool item_substr(struct ectx *x, const struct expand_arg *const *args, size_t n, struct str *out,
                 bool *found)
{
    struct str a[3];
    int64_t start, len = 0;
    (void)found;
    if (!eval_args(x, args, n, a) || !item_number(x, a[0], "substr", true, &start) ||
        (n == 3 && !item_number(x, a[1], "substr", false, &len))) {
        return false;
    }
    *out = text_substr(a[n - 1], start, len, n == 3);
    return true;
}

static bool hash_item(struct ectx *x, const struct expand_arg *const *args, size_t n,
                      const char *name, int64_t *first, int64_t *second, struct str *subject)
{
    struct str a[3];
    *second = -1;
    if (!eval_args(x, args, n, a) || !item_number(x, a[0], name, false, first) ||
        (n == 3 && !item_number(x, a[1], name, false, second))) {
        return false;
    }
    *subject = a[n - 1];
    return true;
}

bool item_hash(struct ectx *x, const struct expand_arg *const *args, size_t n, struct str *out,
               bool *found)
{
    struct str s;
    int64_t first, second;
    (void)found;
    return hash_item(x, args, n, "hash", &first, &second, &s) &&
           text_hash(x, s, first, second, out);
}

bool item_nhash(struct ectx *x, const struct expand_arg *const *args, size_t n, struct str *out,
                bool *found)
{
    struct str s;
    int64_t first, second;
    (void)found;
    return hash_item(x, args, n, "nhash", &first, &second, &s) &&
           text_nhash(x, s, first, second, out);
}

/* ---- extract ---- */

/* The nth field between any of the separator bytes; 0 is the whole, negative counts from the end. */
static bool extract_number(struct str s, struct str separators, int64_t n, struct str *out)
{
    int64_t count = 1;
    if (n == 0) {
        *out = s;
        return true;
    }
    for (uint32_t i = 0; i < s.len; i++) {
        count += str_chr(separators, s.p[i]) >= 0;
    }
    n = n < 0 ? count + 1 + n : n;
    if (n < 1 || n > count) {
        return false;
    }
    uint32_t from = 0;
    for (uint32_t i = 0; i <= s.len; i++) {
        if (i == s.len || str_chr(separators, s.p[i]) >= 0) {
            if (--n == 0) {
                *out = str_sub(s, from, i - from);
                return true;
            }
            from = i + 1;
        }
    }
    return false;
}

/* The value of name=value; it may be quoted, with escapes undone. */
static struct str take_value(struct pool *pool, struct str *rest)
{
    uint32_t i = 0;
    if (!str_starts(*rest, "\"")) {
        while (i < rest->len && !isspace((unsigned char)rest->p[i])) {
            i++;
        }
        struct str plain = str_sub(*rest, 0, i);
        *rest = str_from(*rest, i);
        return plain;
    }
    struct buf b;
    buf_init(&b, pool, (size_t)rest->len + 1);
    b.tainted = rest->tainted;
    for (i = 1; i < rest->len && rest->p[i] != '"'; i++) {
        if (rest->p[i] != '\\' || i + 1 >= rest->len) {
            buf_addc(&b, rest->p[i]);
            continue;
        }
        char c = rest->p[++i];
        buf_addc(&b, c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c);
    }
    *rest = str_from(*rest, i + 1);
    return buf_str(&b);
}

static bool extract_name(struct pool *pool, struct str s, struct str name, struct str *out)
{
    for (s = str_ltrim(s); s.len; s = str_ltrim(s)) {
        uint32_t i = 0;
        while (i < s.len && s.p[i] != '=' && !isspace((unsigned char)s.p[i])) {
            i++;
        }
        struct str key = str_sub(s, 0, i);
        s = str_ltrim(str_from(s, i));
        if (str_starts(s, "=")) {
            s = str_ltrim(str_from(s, 1));
        }
        struct str value = take_value(pool, &s);
        if (str_eqi(key, name)) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool is_numeric(struct str s)
{
    if (str_starts(s, "-")) {
        s = str_from(s, 1);
    }
    return s.len && str_all_in(s, "0123456789");
}

static bool do_extract(struct ectx *x, const struct item *it, struct str key, const struct str *a,
                       bool numeric, struct str *value, bool *found)
{
    int64_t n = 0;
    if (!str_empty(it->option)) {
        return json_extract(x, it->option, key, a[0], value, found);
    }
    if (!numeric) {
        *found = extract_name(x->pool, a[0], key, value);
        return true;
    }
    *found = str_to_i64(key, &n) && extract_number(a[1], a[0], n, value);
    return true;
}

bool item_extract(struct ectx *x, const struct item *it, struct str *out)
{
    struct str key, a[2], value = STR_NONE;
    bool found;
    if (!expand_arg(x, it->args[0], &key)) {
        return false;
    }
    key = str_trim(key);
    if (str_empty(key)) {
        return eval_fail(x, "first argument of \"extract\" must not be empty");
    }
    bool numeric = str_empty(it->option) && is_numeric(key);
    size_t used = numeric ? 3 : 2;
    if (it->n < used) {
        return eval_fail(x, "missing '{' for arg %zu of extract", it->n + 1);
    }
    if (it->n > used + 2) {
        return eval_fail(x, "curly-bracket problem in conditional yes/no parsing: "
                            "did not close with '}'");
    }
    if (!eval_args(x, it->args + 1, used - 1, a) ||
        !do_extract(x, it, key, a, numeric, &value, &found)) {
        return false;
    }
    struct item branches = {.name = "extract",
                            .yes = it->n > used ? it->args[used] : NULL,
                            .no = it->n > used + 1 ? it->args[used + 1] : NULL,
                            .fail = it->fail};
    return eval_yes_no(x, &branches, found, value, value, out);
}

/*
 * ${if crypteq{password}{encrypted}: crypt(3) forms, and digests marked {md5} and {sha1} in
 * hexadecimal or base64.
 */
#include "expand/internal.h"

#include <crypt.h>

static bool digest_fits(struct ectx *x, enum digest_kind kind, struct str password, struct str want)
{
    struct str d = digest(x->pool, kind, password);
    if (want.len == d.len * 2) {
        return str_eqi(hex_encode(x->pool, d), want);
    }
    return str_eq(base64_encode(x->pool, d), want);
}

static bool crypt_fits(struct ectx *x, struct str password, struct str want)
{
    struct crypt_data *data = pool_zalloc(x->pool, sizeof *data);
    if (want.len < 2) {
        return false;
    }
    const char *made = crypt_r(str_cstr(x->pool, password), str_cstr(x->pool, want), data);
    return made && str_is(want, made);
}

bool test_crypteq(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    (void)n;
    *result = false;
    if (str_startsi(a[1], "{md5}")) {
        *result = digest_fits(x, DIGEST_MD5, a[0], str_from(a[1], 5));
        return true;
    }
    if (str_startsi(a[1], "{sha1}")) {
        *result = digest_fits(x, DIGEST_SHA1, a[0], str_from(a[1], 6));
        return true;
    }
    struct str want = a[1];
    if (str_startsi(want, "{crypt}")) {
        want = str_from(want, 7);
    } else if (str_startsi(want, "{crypt16}")) {
        return eval_fail(x,
                         "{crypt16} is known to Exim but not supported by this version of minim");
    } else if (str_starts(want, "{")) {
        return eval_fail(x, "unknown encryption mechanism in \"%.*s\"", STR_ARG(want));
    }
    *result = crypt_fits(x, a[0], want);
    return true;
}

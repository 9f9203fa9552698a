/*
 * The table of items that are only arguments, and those that look outside: environment, files,
 * hmac, prvs. run is in item_run.c, readsocket in item_readsocket.c.
 * Results live in the context's pool; a tainted file name or command is refused with the reason in
 * x->error.
 */
#include "expand/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FILE = 16 << 20, DAY = 24 * 60 * 60 };

ITEM_ROW(env)
{
    struct str name;
    (void)n;
    if (!expand_arg(x, args[0], &name)) {
        return false;
    }
    const char *value = str_empty(name) ? NULL : getenv(str_cstr(x->pool, name));
    *found = value != NULL;
    *out = value ? str_dup(x->pool, str_c(value)) : STR("");
    return true;
}

/* Newlines become the text given; without one the file is taken as it is. */
struct str replace_newlines(struct pool *pool, struct str text, struct str eol)
{
    struct buf b;
    if (str_unset(eol) || str_is(eol, "\n")) {
        return text;
    }
    buf_init(&b, pool, ((size_t)text.len + 1) * (eol.len + 1u));
    b.tainted = text.tainted;
    for (struct str rest = text; rest.len;) {
        ptrdiff_t at = str_chr(rest, '\n');
        buf_adds(&b, at < 0 ? rest : str_sub(rest, 0, (size_t)at));
        if (at >= 0) {
            buf_adds(&b, eol);
        }
        rest = at < 0 ? STR("") : str_from(rest, (size_t)at + 1);
    }
    return buf_str(&b);
}

ITEM_ROW(readfile)
{
    struct str name, eol = STR_NONE, text;
    (void)found;
    if (!expand_arg(x, args[0], &name) || (n > 1 && !expand_arg(x, args[1], &eol))) {
        return false;
    }
    if (name.tainted) {
        log_write(LOG_MAIN | LOG_PANIC, "Tainted filename '%.*s'", STR_ARG(name));
        errno = EACCES;
    } else if (file_read(x->pool, name, MAX_FILE, &text) == 0) {
        *out = replace_newlines(x->pool, text, eol);
        return true;
    } else if (errno == EISDIR) {
        *out = STR("");
        return true;
    }
    int e = str_empty(name) ? ENOENT : errno;
    struct str why = file_open_error(x->pool, name, e, geteuid(), getegid());
    return eval_fail(x, "%.*s", STR_ARG(why));
}

ITEM_ROW(hmac)
{
    struct str a[3];
    (void)found;
    for (size_t i = 0; i < n; i++) {
        if (!expand_arg(x, args[i], &a[i])) {
            return false;
        }
    }
    bool md5 = str_is(a[0], "md5");
    if (!md5 && !str_is(a[0], "sha1")) {
        return eval_fail(x, "hmac algorithm \"%.*s\" is not recognised", STR_ARG(a[0]));
    }
    *out = hex_encode(x->pool, digest_hmac(x->pool, md5 ? DIGEST_MD5 : DIGEST_SHA1, a[1], a[2]));
    return true;
}

ITEM_ROW(listquote)
{
    struct str sep, item;
    struct buf b;
    (void)found;
    (void)n;
    if (!expand_arg(x, args[0], &sep) || !expand_arg(x, args[1], &item)) {
        return false;
    }
    if (str_empty(item)) {
        *out = STR(" "); /* an empty item is something between separators */
        return true;
    }
    if (str_empty(sep)) {
        *out = item;
        return true;
    }
    buf_init(&b, x->pool, (size_t)item.len * 2 + 1);
    list_add(&b, item, sep.p[0], true);
    *out = buf_str(&b);
    return true;
}

/* ---- prvs: signed sender addresses ---- */

/* The first six hexadecimal digits of the HMAC over key number, day and address. */
static struct str prvs_hash(struct pool *pool, struct str address, struct str secret,
                            struct str number, struct str day)
{
    struct str mac = digest_hmac(pool, DIGEST_SHA1, secret, STR_CAT(pool, number, day, address));
    return str_sub(hex_encode(pool, mac), 0, 6);
}

static int prvs_day(int ahead)
{
    return (int)((time(NULL) / DAY + ahead) % 1000);
}

ITEM_ROW(prvs)
{
    struct str a[3] = {STR_NONE, STR_NONE, STR("0")};
    (void)found;
    for (size_t i = 0; i < n; i++) {
        if (!expand_arg(x, args[i], &a[i])) {
            return false;
        }
    }
    if (str_rchr(a[0], '@') <= 0) {
        return eval_fail(x, "prvs first argument must be a qualified email address");
    }
    if (a[2].len != 1 || !str_all_in(a[2], "0123456789")) {
        return eval_fail(x, "prvs third argument must be a single digit");
    }
    struct str day = str_fmt(x->pool, "%03d", prvs_day(7));
    day.tainted = false;
    *out = STR_CAT(x->pool, STR("prvs="), a[2], day, prvs_hash(x->pool, a[0], a[1], a[2], day),
                   STR("="), a[0]);
    return true;
}

/* prvs=KDDDSSSSSS=local@domain */
static bool prvs_parse(struct str s, struct str *number, struct str *day, struct str *hash,
                       struct str *address)
{
    *number = str_sub(s, 5, 1);
    *day = str_sub(s, 6, 3);
    *hash = str_sub(s, 9, 6);
    *address = str_from(s, 16);
    return str_startsi(s, "prvs=") && s.len > 16 && s.p[15] == '=' && str_rchr(*address, '@') > 0 &&
           str_all_in(*number, "0123456789") && str_all_in(*day, "0123456789") &&
           str_all_in(*hash, "0123456789abcdefABCDEF");
}

/* The day is that of expiry, at most seven ahead; both wrap at 1000. */
static bool prvs_in_time(struct str day)
{
    int64_t expiry;
    return str_to_i64(day, &expiry) && (expiry - prvs_day(0) + 1000) % 1000 <= 7;
}

ITEM_ROW(prvscheck)
{
    struct str s, number, day, hash, address, secret, text;
    (void)found;
    *out = STR("");
    if (!expand_arg(x, args[0], &s)) {
        return false;
    }
    if (!prvs_parse(s, &number, &day, &hash, &address)) {
        return true;
    }
    scope_set(x, STR("prvscheck_address"), address);
    scope_set(x, STR("prvscheck_keynum"), number);
    if (!expand_arg(x, args[1], &secret)) {
        return false;
    }
    bool good =
        str_eqi(prvs_hash(x->pool, address, secret, number, day), hash) && prvs_in_time(day);
    scope_set(x, STR("prvscheck_result"), good ? STR("1") : STR(""));
    if (n > 2 && !expand_arg(x, args[2], &text)) {
        return false;
    }
    *out = n > 2 && !str_empty(text) ? text : address;
    return true;
}

#define UNSUPPORTED(name) \
    { \
        name, 0, 9, false, NULL, "known, but not part of this version" \
    }

const struct expand_item expand_items[] = {
    UNSUPPORTED("authresults"),
    UNSUPPORTED("dlfunc"),
    {"env", 1, 1, true, item_env, "a variable of the environment"},
    {"hash", 2, 3, false, item_hash, "a text of letters made from a text"},
    {"hmac", 3, 3, false, item_hmac, "a keyed digest, hexadecimal: md5 or sha1"},
    UNSUPPORTED("imapfolder"),
    {"length", 2, 2, false, item_length, "the first bytes of a text"},
    {"listextract", 2, 2, true, item_listextract, "an item of a list by number"},
    {"listquote", 2, 2, false, item_listquote, "a text as an item of a list with the separator"},
    {"nhash", 2, 3, false, item_nhash, "a number, or two, made from a text"},
    UNSUPPORTED("perl"),
    {"prvs", 2, 3, false, item_prvs, "an address signed for a week"},
    {"prvscheck", 2, 3, false, item_prvscheck, "the address of a signed one"},
    {"readfile", 1, 2, false, item_readfile, "the content of a file"},
    {"readsocket", 2, 5, false, item_readsocket, "the answer of a server to a request"},
    {"sg", 3, 3, false, item_sg, "a text with what a pattern matches replaced"},
    UNSUPPORTED("srs_encode"),
    {"substr", 2, 3, false, item_substr, "a part of a text"},
    {"tr", 3, 3, false, item_tr, "a text with characters exchanged"},
    {0},
};

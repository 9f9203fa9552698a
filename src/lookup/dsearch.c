/*
 * dsearch: looks a key up as a name in a directory, with lstat(2).
 *
 * What is found is a name that exists on our disk, so the result is untainted: this is how a
 * configuration turns a tainted name into one that may be used in a path. A key with a slash is
 * refused, so the search never leaves the directory. Options: ret=full, filter=file|dir|subdir.
 */
#include "lookup/internal.h"

#include <errno.h>
#include <unistd.h>

static bool wanted(struct str filter, struct str key, mode_t mode)
{
    if (str_is(filter, "file")) {
        return S_ISREG(mode);
    }
    if (str_is(filter, "dir")) {
        return S_ISDIR(mode);
    }
    if (str_is(filter, "subdir")) {
        return S_ISDIR(mode) && !str_is(key, ".") && !str_is(key, "..");
    }
    return true;
}

/* Nothing of that name: because the directory itself cannot be searched? */
static enum lookup_result not_there(struct lookup_call *c)
{
    struct stat st;
    int why = 0;
    if (stat(str_cstr(c->pool, c->file), &st) < 0) {
        why = errno;
    } else if (!S_ISDIR(st.st_mode)) {
        why = ENOTDIR;
    }
    if (why) {
        c->error = file_open_error(c->pool, STR_CAT(c->pool, c->file, STR(" for directory search")),
                                   why, geteuid(), getegid());
        return LK_ERROR;
    }
    return LK_NOTFOUND;
}

static enum lookup_result find_dsearch(struct lookup_call *c)
{
    struct str key = c->key;
    struct stat st;
    if (str_any_in(key, "/") || str_chr(key, '\0') >= 0) {
        enum lookup_result r = not_there(c);
        c->error = r == LK_ERROR ? c->error
                                 : str_fmt(c->pool, "key for dsearch lookup contains a slash: %.*s",
                                           STR_ARG(key));
        return r == LK_ERROR ? r : LK_DEFER;
    }
    key.tainted = false;
    struct str path = STR_CAT(c->pool, c->file, STR("/"), key);
    if (lstat(path.p, &st) < 0) {
        int why = errno;
        enum lookup_result r = not_there(c);
        if (r == LK_NOTFOUND && why != ENOENT) {
            c->error = str_fmt(c->pool, "%.*s: lstat: %s", STR_ARG(path), strerror(why));
            return LK_DEFER;
        }
        return r;
    }
    if (!wanted(lookup_option(c->options, "filter"), key, st.st_mode)) {
        return LK_NOTFOUND;
    }
    c->data = str_is(lookup_option(c->options, "ret"), "full") ? path : str_dup(c->pool, key);
    return LK_FOUND;
}

const struct lookup_driver lookup_dsearch = {"dsearch", LOOKUP_SINGLE_KEY | LOOKUP_ABSFILE,
                                             find_dsearch, NULL};

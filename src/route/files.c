/*
 * require_files: files that must, or must not, exist for a router to run.
 *
 * Items are expanded one by one. An item without a slash names a user (and group) whose access the
 * following items are checked for; the check looks at mode bits, as a rough guard against running a
 * router that would fail.
 */
#include "route/internal.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

struct access {
    bool set, group_set;
    uint32_t uid, gid;
};

/* "user" or "user,group"; false if one does not exist. */
static bool find_access(struct pool *pool, struct str item, struct access *who)
{
    ptrdiff_t comma = str_chr(item, ',');
    struct str user = str_trim(comma < 0 ? item : str_sub(item, 0, (size_t)comma));
    struct str group = comma < 0 ? STR_NONE : str_trim(str_from(item, (size_t)comma + 1));
    uint64_t n;
    *who = (struct access){.set = true};
    if (str_to_u64(user, 10, &n)) {
        who->uid = (uint32_t)n;
    } else {
        const struct passwd *pw = getpwnam(str_cstr(pool, user));
        if (!pw) {
            return false;
        }
        who->uid = pw->pw_uid;
        who->gid = pw->pw_gid;
        who->group_set = true;
    }
    if (str_unset(group)) {
        return true;
    }
    const struct group *gr = NULL;
    if (str_to_u64(group, 10, &n)) {
        who->gid = (uint32_t)n;
    } else if ((gr = getgrnam(str_cstr(pool, group)))) {
        who->gid = gr->gr_gid;
    } else {
        return false;
    }
    who->group_set = true;
    return true;
}

/* Whether mode bits give the user `want` (1 execute, 4 read). */
static bool permits(const struct stat *st, const struct access *who, unsigned want)
{
    unsigned shift = st->st_uid == who->uid ? 6 : who->group_set && st->st_gid == who->gid ? 3 : 0;
    return who->uid == 0 || (st->st_mode >> shift & want) == want;
}

/* Every directory must be searchable, the file itself readable. */
static bool accessible(struct pool *pool, struct str path, const struct access *who)
{
    struct stat st;
    for (uint32_t i = 1; i < path.len; i++) {
        if (path.p[i] == '/' &&
            (stat(str_cstr(pool, str_sub(path, 0, i)), &st) < 0 || !permits(&st, who, 1))) {
            return false;
        }
    }
    return stat(str_cstr(pool, path), &st) == 0 && permits(&st, who, 4);
}

/*
 * Asks as the user that the list or check_local_user names, where our own rights do not reach: it
 * is there if the user can open it. False: that does not decide it either.
 */
static bool check_as_user(struct ectx *x, const struct address *a, struct str path,
                          const struct access *who, bool *exists)
{
    bool local = !who->set && a->local_user_known;
    if (!who->set && !local) {
        return false;
    }
    int fd = hand_open(x->pool, path, local ? a->local_user_uid : who->uid,
                       local ? a->local_user_gid : who->gid);
    *exists = fd >= 0;
    if (fd >= 0) {
        close(fd);
        return true;
    }
    return errno == ENOENT || errno == ENOTDIR || (errno == EACCES && who->set);
}

/* One path with its marks; *exists tells. False: cannot be said, with errno. */
static bool check_path(struct ectx *x, const struct address *a, struct str path,
                       const struct access *who, bool eacces_ok, bool *exists)
{
    struct stat st;
    if (stat(str_cstr(x->pool, path), &st) == 0) {
        *exists = !who->set || accessible(x->pool, path, who);
        return true;
    }
    *exists = false;
    if (errno != EACCES) {
        return errno == ENOENT || errno == ENOTDIR;
    }
    if (check_as_user(x, a, path, who, exists)) {
        return true;
    }
    errno = EACCES;
    return eacces_ok;
}

static enum precondition check_item(struct ectx *x, struct address *a, struct str item,
                                    struct access *who)
{
    bool negated = false, eacces_ok = false, exists;
    if (str_chr(item, '/') < 0) {
        return find_access(x->pool, item, who) ? PRE_RUN : PRE_SKIP;
    }
    struct str path = item;
    while (str_starts(path, "!") || str_starts(path, "+")) {
        negated |= path.p[0] == '!';
        eacces_ok |= path.p[0] == '+';
        path = str_ltrim(str_from(path, 1));
    }
    if (!str_starts(path, "/")) {
        a->message =
            str_fmt(x->pool, "require_files: \"%.*s\" is not an absolute path", STR_ARG(path));
        return PRE_DEFER;
    }
    path.tainted = false; /* it is looked for, not opened */
    if (!check_path(x, a, path, who, eacces_ok, &exists)) {
        int e = errno;
        a->basic_errno = e;
        a->message =
            str_fmt(x->pool, "require_files: error for %.*s: %s", STR_ARG(path), strerror(e));
        return PRE_DEFER;
    }
    return exists != negated ? PRE_RUN : PRE_SKIP;
}

enum precondition route_required_files(struct ectx *x, const struct router *r, struct address *a)
{
    struct access who = {0};
    struct str item;
    if (r->require_files.n) {
        TRACE(TR_route, "checking require_files");
    }
    for (size_t i = 0; i < r->require_files.n; i++) {
        if (!expand_option(x, &r->require_files.v[i], &item)) {
            if (x->forced_fail) {
                continue;
            }
            a->message = str_fmt(x->pool, "failed to expand \"%.*s\" for require_files: %.*s",
                                 STR_ARG(r->require_files.v[i].text), STR_ARG(x->error));
            return PRE_DEFER;
        }
        item = str_trim(item);
        if (str_empty(item)) {
            continue;
        }
        TRACE(TR_route, "file check: %.*s", STR_ARG(item));
        enum precondition p = check_item(x, a, item, &who);
        if (p == PRE_SKIP) {
            TRACE(TR_route, "%.*s router skipped: file check", STR_ARG(r->name));
        }
        if (p != PRE_RUN) {
            return p;
        }
    }
    return PRE_RUN;
}

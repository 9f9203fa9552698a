/*
 * passwd: the password file's line of a login, with `*` for the password. The result is the
 * system's own data, untainted.
 */
#include "lookup/internal.h"

#include <pwd.h>

static enum lookup_result find_passwd(struct lookup_call *c)
{
    const struct passwd *p =
        str_chr(c->key, '\0') >= 0 ? NULL : getpwnam(str_cstr(c->pool, c->key));
    if (!p) {
        return LK_NOTFOUND;
    }
    struct str s = str_fmt(c->pool, "*:%d:%d:%s:%s:%s", (int)p->pw_uid, (int)p->pw_gid, p->pw_gecos,
                           p->pw_dir, p->pw_shell);
    s.tainted = false;
    c->data = s;
    return LK_FOUND;
}

const struct lookup_driver lookup_passwd = {"passwd", LOOKUP_QUERY, find_passwd, NULL};

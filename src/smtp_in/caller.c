/*
 * Who hands a message in locally, and what that user may say of himself: login, name from the
 * password file, trust, the sender address.
 *
 * The user id is the kernel's word. A trusted user may name another, and set what untrusted ones
 * may not (see "trusted_users").
 */
#include "smtp_in/internal.h"

#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

enum { GROUPS_MAX = 256 };

static bool has_id(const struct idlist *l, uint32_t id)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->ids[i] == id) {
            return true;
        }
    }
    return false;
}

bool caller_is_trusted(const struct config *conf, uint32_t uid, uint32_t gid)
{
    const struct core_settings *s = core_settings(conf);
    if (uid == 0 || (s->exim_user.set && uid == s->exim_user.id) ||
        has_id(&s->trusted_users, uid) || has_id(&s->trusted_groups, gid) ||
        (!priv_was_root() && uid == priv_real_uid())) {
        return true;
    }
    if (s->trusted_groups.n == 0) {
        return false;
    }
    const struct passwd *pw = getpwuid(uid);
    gid_t groups[GROUPS_MAX];
    int n = GROUPS_MAX;
    if (!pw || getgrouplist(pw->pw_name, pw->pw_gid, groups, &n) < 0) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (has_id(&s->trusted_groups, groups[i])) {
            return true;
        }
    }
    return false;
}

/* The name field as it is, but for & which stands for the login with a capital. */
static struct str gecos_text(struct pool *pool, const char *gecos, struct str login)
{
    struct buf b;
    buf_init(&b, pool, 4096);
    for (; *gecos; gecos++) {
        if (*gecos == '&' && login.len) {
            buf_addc(&b, (char)toupper((unsigned char)login.p[0]));
            buf_adds(&b, str_from(login, 1));
        } else {
            buf_addc(&b, *gecos);
        }
    }
    return buf_str(&b);
}

static struct str gecos_name(struct ectx *x, struct str gecos)
{
    const struct smtp_in_settings *set = smtp_in_settings(x->conf);
    struct str name;
    if (str_unset(set->gecos_pattern) || str_unset(set->gecos_name.text)) {
        return gecos;
    }
    struct scope *outer = x->scope;
    if (match_regex(x, set->gecos_pattern, gecos, false, true) != MATCH_YES ||
        !expand_option(x, &set->gecos_name, &name)) {
        name = gecos;
    }
    x->scope = outer;
    return name;
}

void smtp_in_authenticate(const struct config *conf, const struct submission *sub,
                          struct session *s)
{
    if (sub->mode == SUBMIT_HOST_CHECK ||
        (sub->trusted && (sub->mode != SUBMIT_MESSAGE || sub->sender_set))) {
        return;
    }
    if (str_unset(s->auth_id)) {
        s->auth_id = s->caller_login;
    }
    if (str_unset(s->auth_sender)) {
        s->auth_sender =
            STR_CAT(s->pool, s->caller_login, STR("@"), core_settings(conf)->qualify_domain);
    }
}

void caller_identify(struct ectx *x, const struct submission *sub)
{
    struct session *s = x->sess;
    const struct smtp_in_settings *set = smtp_in_settings(x->conf);
    const struct passwd *pw = getpwuid(sub->uid);
    struct str login = sub->caller, name = STR("");
    if (pw) {
        if (str_empty(login)) {
            login = str_dup(s->pool, str_c(pw->pw_name));
        }
        name = gecos_name(x, gecos_text(s->pool, pw->pw_gecos, login));
    } else {
        struct str unknown;
        if (str_empty(login) && expand_option(x, &set->unknown_login, &unknown) &&
            !str_empty(unknown)) {
            login = unknown;
        }
        if (expand_option(x, &set->unknown_username, &unknown) && !str_empty(unknown)) {
            name = unknown;
        }
    }
    if (str_empty(login)) {
        login = str_fmt(s->pool, "%u", sub->uid);
    }
    s->caller_login = str_dup(s->pool, login);
    s->caller_name = str_dup(s->pool, str_unset(sub->full_name) ? name : sub->full_name);
    smtp_in_authenticate(x->conf, sub, s);
    s->caller_uid = sub->uid;
    s->caller_gid = sub->gid;
    s->caller_trusted = sub->trusted;
    s->caller_admin = sub->admin;
}

struct str caller_address(struct ectx *x)
{
    return STR_CAT(x->pool, mail_quote_local_part(x->pool, x->sess->caller_login), STR("@"),
                   core_settings(x->conf)->qualify_domain);
}

bool caller_may_send_as(struct ectx *x, struct str sender)
{
    if (x->sess->caller_trusted) {
        return true;
    }
    const struct smtp_in_settings *set = smtp_in_settings(x->conf);
    if (str_unset(set->untrusted_set_sender.text)) {
        return false;
    }
    struct str full = str_empty(sender) ? sender : mail_qualify(x->pool, x->conf, sender, false);
    return match_address(x, &set->untrusted_set_sender, full, true, NULL) == MATCH_YES;
}

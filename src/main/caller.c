/*
 * Who called, and what he may do. The kernel says who; root, the user that minim works as and
 * trusted users may name another (--caller). Trusted users may say whom a message is from, admin
 * users may manage the queue.
 */
#include "main/command.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

static bool has_id(const struct idlist *l, uint32_t id)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->ids[i] == id) {
            return true;
        }
    }
    return false;
}

static bool any_group(const struct caller *who, const struct idlist *allowed)
{
    bool found = has_id(allowed, who->gid);
    for (size_t i = 0; i < who->groups.n; i++) {
        found |= has_id(allowed, who->groups.ids[i]);
    }
    return found;
}

static void judge(struct caller *who, const struct config *conf)
{
    const struct core_settings *s = core_settings(conf);
    bool is_exim = s->exim_user.set && who->uid == s->exim_user.id;
    uint32_t exim_gid = priv_work_gid(conf);
    struct idlist exim_group = {1, &exim_gid};
    bool unprivileged = !priv_was_root() && who->uid == priv_real_uid();
    who->trusted = who->uid == 0 || is_exim || has_id(&s->trusted_users, who->uid) ||
                   any_group(who, &s->trusted_groups);
    /* A program without privileges guards nothing that its caller could not do without it. */
    who->admin = who->uid == 0 || is_exim || unprivileged || any_group(who, &exim_group) ||
                 any_group(who, &s->admin_groups);
}

/* The real name of a user: gecos up to the first comma, & for the login. */
static struct str real_name(struct pool *pool, const struct passwd *p)
{
    struct str gecos = str_c(p->pw_gecos), login = str_c(p->pw_name);
    ptrdiff_t comma = str_chr(gecos, ',');
    gecos = comma < 0 ? gecos : str_sub(gecos, 0, (size_t)comma);
    ptrdiff_t amp = str_chr(gecos, '&');
    if (amp < 0 || str_empty(login)) {
        return str_dup(pool, gecos);
    }
    struct str first = str_upper(pool, str_sub(login, 0, 1));
    return STR_CAT(pool, str_sub(gecos, 0, (size_t)amp), first, str_from(login, 1),
                   str_from(gecos, (size_t)amp + 1));
}

/* Fills in uid, names and groups; the groups are this process's, or those of the other user. */
static void identify(struct pool *pool, struct caller *who, const struct passwd *p, bool other)
{
    gid_t groups[1024];
    int n = (int)ARRAY_LEN(groups);
    if (p) {
        who->login = str_dup(pool, str_c(p->pw_name));
        who->name = real_name(pool, p);
    }
    if (other && getgrouplist(p->pw_name, p->pw_gid, groups, &n) < 0) {
        n = 0;
    } else if (!other) {
        n = getgroups((int)ARRAY_LEN(groups), groups);
    }
    who->groups.ids = pool_calloc(pool, n > 0 ? (size_t)n : 1, sizeof(uint32_t));
    for (int i = 0; i < n; i++) {
        who->groups.ids[who->groups.n++] = groups[i];
    }
}

bool caller_judge(struct command *c, const struct config *conf)
{
    struct caller *who = &c->caller;
    who->uid = priv_real_uid();
    who->gid = priv_real_gid();
    identify(c->pool, who, getpwuid(who->uid), false);
    judge(who, conf);
    if (str_unset(c->caller_option)) {
        return true;
    }
    const struct passwd *p = getpwnam(c->caller_option.p);
    if (!p) {
        fprintf(stderr, "exim: --caller: user %s was not found\n", c->caller_option.p);
        return false;
    }
    if (!who->trusted && p->pw_uid != who->uid) {
        fprintf(stderr, "exim: permission denied: --caller is for trusted users\n");
        return false;
    }
    *who = (struct caller){.uid = p->pw_uid, .gid = p->pw_gid};
    identify(c->pool, who, p, true);
    judge(who, conf);
    return true;
}

/* ---- who a test is about ---- */

/* An address with an optional port ("1.2.3.4.25") into the two; a wrong one is kept as text. */
static void split_port(struct str text, struct str *address, int *port)
{
    struct ip ip;
    *port = 0;
    if (!str_unset(text) && (!ip_parse_port(text, address, port) || !ip_parse(*address, &ip))) {
        *address = text;
    }
}

struct session *test_session(const struct command *c, const struct config *conf, struct pool *pool)
{
    const struct submission *m = &c->submission;
    struct session *s = POOL_NEW(pool, struct session);
    s->pool = s->acl_c.pool = s->facts.pool = s->acl_stack.pool = pool;
    s->host_aliases.pool = pool;
    s->caller_uid = c->caller.uid;
    s->caller_gid = c->caller.gid;
    s->caller_login = c->caller.login;
    split_port(m->host_address, &s->host_address, &s->host_port);
    split_port(m->interface_address, &s->interface_address, &s->interface_port);
    s->host_name = m->host_name;
    s->ident = str_unset(m->ident) ? c->caller.login : m->ident;
    s->protocol = m->protocol;
    s->auth_mechanism = m->auth_mechanism;
    s->auth_id = m->auth_id;
    s->auth_sender = m->auth_sender;
    struct submission sub = *m;
    sub.trusted = c->caller.trusted;
    smtp_in_authenticate(conf, &sub, s);
    return s;
}

struct str test_sender(const struct command *c, const struct config *conf, struct pool *pool)
{
    if (!c->submission.sender_set) {
        return mail_qualify(pool, conf, c->caller.login, false);
    }
    return str_is(c->submission.sender, "<>") ? STR("") : c->submission.sender;
}

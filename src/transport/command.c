/*
 * The environment that commands of the pipe transport get.
 */
#include "transport/internal.h"

#include <stdlib.h>

static void set(struct ectx *x, struct strvec *env, const char *name, struct str value)
{
    if (!str_unset(value)) {
        strvec_push(env, STR_CAT(x->pool, str_c(name), STR("="), value));
    }
}

void command_environment(struct ectx *x, const struct delivery *d, struct str path,
                         struct strvec *env)
{
    const struct core_settings *s = core_settings(x->conf);
    const struct address *a = d->addrs;
    bool one = !a->next;
    const char *zone = getenv("TZ");
    set(x, env, "LOCAL_PART", one ? a->local_part : STR(""));
    set(x, env, "LOGNAME", one ? a->local_part : STR(""));
    set(x, env, "USER", one ? a->local_part : STR(""));
    set(x, env, "LOCAL_PART_PREFIX", str_unset(a->prefix) ? STR("") : a->prefix);
    set(x, env, "LOCAL_PART_SUFFIX", str_unset(a->suffix) ? STR("") : a->suffix);
    set(x, env, "DOMAIN", one ? a->domain : STR(""));
    set(x, env, "HOME", str_unset(d->home) ? STR("") : d->home);
    set(x, env, "MESSAGE_ID", d->msg->id);
    set(x, env, "PATH", path);
    if (one) {
        const struct address *rcpt = a->kind == AK_NORMAL || !a->parent ? a : a->parent;
        set(x, env, "RECIPIENT",
            STR_CAT(x->pool, a->prefix, rcpt->local_part, a->suffix, STR("@"), rcpt->domain));
    }
    set(x, env, "QUALIFY_DOMAIN", s->qualify_domain);
    set(x, env, "SENDER", d->msg->sender);
    set(x, env, "SHELL", STR("/bin/sh"));
    if (a->hosts) {
        set(x, env, "HOST", a->hosts->name);
    }
    if (zone && !str_empty(s->timezone)) {
        set(x, env, "TZ", str_c(zone));
    }
}

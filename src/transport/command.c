/*
 * Commands: taking a command line apart, and the environment that commands get.
 */
#include "transport/internal.h"

#include <ctype.h>
#include <stdlib.h>

/* A double-quoted part; i stands on the opening quote and is left on the closing one. */
static bool quoted(struct str s, uint32_t *i, struct buf *out)
{
    for (++*i; *i < s.len && s.p[*i] != '"'; ++*i) {
        char c = s.p[*i];
        if (c == '\\' && *i + 1 < s.len) {
            c = s.p[++*i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        buf_addc(out, c);
    }
    return *i < s.len;
}

static bool single_quoted(struct str s, uint32_t *i, struct buf *out)
{
    for (++*i; *i < s.len && s.p[*i] != '\''; ++*i) {
        buf_addc(out, s.p[*i]);
    }
    return *i < s.len;
}

bool command_split(struct pool *pool, struct str line, struct strvec *out, struct str *error)
{
    uint32_t i = 0;
    for (;;) {
        while (i < line.len && isspace((unsigned char)line.p[i])) {
            i++;
        }
        if (i >= line.len) {
            return true;
        }
        struct buf b;
        bool ok = true;
        buf_init(&b, pool, (size_t)line.len + 1);
        b.tainted = line.tainted;
        if (line.p[i] == '"' || line.p[i] == '\'') {
            ok = line.p[i] == '"' ? quoted(line, &i, &b) : single_quoted(line, &i, &b);
            i++;
        } else {
            while (i < line.len && !isspace((unsigned char)line.p[i])) {
                buf_addc(&b, line.p[i++]);
            }
        }
        if (!ok) {
            *error = STR("no closing quote");
            return false;
        }
        strvec_push(out, buf_str(&b));
    }
}

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

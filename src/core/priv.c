/*
 * Process identity (priv.h). The state is that of the process: what it was started as. It is set
 * once by priv_init() and read afterwards; only priv_drop() changes the kernel's idea of it, for
 * good, and says -1 with errno if that fails.
 */
#include "core/core.h"

#include <errno.h>
#include <grp.h>
#include <unistd.h>

static struct {
    uint32_t uid, gid, euid;
} started;

void priv_init(void)
{
    started.uid = getuid();
    started.gid = getgid();
    started.euid = geteuid();
}

bool priv_was_root(void)
{
    return started.euid == 0;
}

uint32_t priv_real_uid(void)
{
    return started.uid;
}

uint32_t priv_real_gid(void)
{
    return started.gid;
}

uint32_t priv_work_uid(const struct config *conf)
{
    const struct core_settings *s = core_settings(conf);
    return priv_was_root() && s->exim_user.set ? s->exim_user.id : started.uid;
}

uint32_t priv_work_gid(const struct config *conf)
{
    const struct core_settings *s = core_settings(conf);
    if (!priv_was_root() || !s->exim_user.set) {
        return started.gid;
    }
    return s->exim_group.set ? s->exim_group.id : started.gid;
}

int priv_drop(const struct config *conf)
{
    if (geteuid() != 0) {
        return 0;
    }
    uid_t uid = priv_work_uid(conf);
    gid_t gid = priv_work_gid(conf);
    const struct idlist *groups = &core_settings(conf)->work_groups;
    if (uid == 0) {
        return 0;
    }
    int failed = groups->n ? setgroups(groups->n, groups->ids) : setgroups(1, &gid);
    failed = failed || setresgid(gid, gid, gid) || setresuid(uid, uid, uid);
    asan_allow_tracing();
    return failed ? -1 : 0;
}

/*
 * What -d shows about the program itself: first the version and what it has, then who the caller is,
 * at the end the exit status. Lines are Exim's where there is something to tell; Exim's about its
 * changes of user have no counterpart.
 */
#include "main/command.h"

#include <unistd.h>

/* What -d selects: -v alone is none of it. */
#define DEBUGGING ((uint64_t)TR_any & ~(uint64_t)TR_v)

void debug_begin(void)
{
    if (!trace_on(DEBUGGING)) {
        return;
    }
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) {
        return;
    }
    show_version(f);
    fclose(f);
    TRACE(DEBUGGING, "minim version " MINIM_VERSION " uid=%ld gid=%ld pid=%ld D=%llx",
          (long)geteuid(), (long)getegid(), (long)getpid(), (unsigned long long)trace_selected());
    TRACE(DEBUGGING, "%s", text);
    free(text);
}

void debug_caller(const struct command *c, const struct config *conf)
{
    const struct caller *who = &c->caller;
    TRACE(DEBUGGING, "configuration file is %s", conf->file);
    TRACE(DEBUGGING, "%strusted user", who->trusted ? "" : "not ");
    TRACE(DEBUGGING, "%sadmin user", who->admin ? "" : "not ");
    TRACE(DEBUGGING, "originator: uid=%lu gid=%lu login=%.*s name=%.*s", (unsigned long)who->uid,
          (unsigned long)who->gid, STR_ARG(who->login), STR_ARG(who->name));
}

void debug_end(int status)
{
    TRACE(DEBUGGING, ">>>>>>>>>>>>>>>> minim pid=%ld terminating with rc=%d >>>>>>>>>>>>>>>>",
          (long)getpid(), status);
}

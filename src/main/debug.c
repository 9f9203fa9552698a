/*
 * What -d shows about the program itself: first the version and what it has, then who the caller is,
 * at the end the exit status. Lines are Exim's where there is something to tell; Exim's about its
 * changes of user have no counterpart.
 */
#include "main/command.h"

#include <unistd.h>

void debug_begin(void)
{
    if (!trace_selected()) {
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
    TRACE(TR_any, "minim version " MINIM_VERSION " uid=%ld gid=%ld pid=%ld D=%llx", (long)geteuid(),
          (long)getegid(), (long)getpid(), (unsigned long long)trace_selected());
    TRACE(TR_any, "%s", text);
    free(text);
}

void debug_caller(const struct command *c, const struct config *conf)
{
    const struct caller *who = &c->caller;
    TRACE(TR_any, "configuration file is %s", conf->file);
    TRACE(TR_any, "%strusted user", who->trusted ? "" : "not ");
    TRACE(TR_any, "%sadmin user", who->admin ? "" : "not ");
    TRACE(TR_any, "originator: uid=%lu gid=%lu login=%.*s name=%.*s", (unsigned long)who->uid,
          (unsigned long)who->gid, STR_ARG(who->login), STR_ARG(who->name));
}

void debug_end(int status)
{
    TRACE(TR_any, ">>>>>>>>>>>>>>>> minim pid=%ld terminating with rc=%d >>>>>>>>>>>>>>>>",
          (long)getpid(), status);
}

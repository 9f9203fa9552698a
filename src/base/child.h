/*
 * Child processes: a program run with pipes, an identity and a deadline. No shell is involved.
 */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include "base/str.h"
#include <sys/types.h>

struct child_spec {
    const char *const *argv; /* NULL-terminated; argv[0] is the path */
    const char *const *envp; /* NULL-terminated; NULL: the process's own */
    const char *cwd;         /* NULL: unchanged */
    bool set_ids;            /* take on uid, gid and groups */
    uid_t uid;
    gid_t gid;
    const char *initgroups; /* login for supplementary groups; NULL: none */
    mode_t umask;
    int stdin_fd;      /* >= 0: used as standard input; -1: a pipe, its end in child.in */
    bool duplex;       /* stdin_fd is standard output as well (a socket) */
    bool merge_stderr; /* standard error goes where standard output goes */
    bool drop_output;  /* standard output goes to /dev/null instead of child.out */
};

struct child {
    pid_t pid;
    int in;  /* our end of the child's standard input, or -1 */
    int out; /* our end of its standard output, or -1 */
};

/*
 * Starts the program in a process group of its own. -1 with errno if it could not be forked or
 * executed (the exec's errno is passed back through a pipe, so a missing program is seen here).
 */
int child_start(const struct child_spec *spec, struct child *c);

/*
 * Waits for the end. Returns the wait status; after timeout_ms (-1: never) kills the process
 * group and returns -1 with errno ETIMEDOUT. Closes both pipe ends.
 */
int child_wait(struct child *c, int timeout_ms, int *status);

/*
 * Ends a forked process that shares the parent's buffers and exit handlers: none of them run. In a
 * build with AddressSanitizer memory that was lost is reported first.
 */
_Noreturn void child_end(int status);

/* Kills the child's process group and reaps it. */
void child_kill(struct child *c);

#endif

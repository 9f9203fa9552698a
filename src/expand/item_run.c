/*
 * ${run{command}…}: runs a command without a shell, in the environment that keep_environment and
 * add_environment make; its output in $value, its exit status in $runrc.
 *
 * The command must not be tainted; its arguments may be, unless they were split after expansion. A
 * command that cannot be started counts as one that ended with status 127, one that takes longer
 * than a minute is killed.
 */
#include "expand/internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TIMEOUT_MS = 60000, END_MS = 30000, MAX_OUTPUT = 16 << 20, NOT_STARTED = 127 };

static bool check_path(struct ectx *x, const struct strvec *words)
{
    if (words->n == 0 || !words->v[0].tainted) {
        return true;
    }
    log_write(LOG_MAIN | LOG_PANIC, "Attempt to exec tainted path: '%.*s'", STR_ARG(words->v[0]));
    return eval_fail(x, "couldn't create child process: %s", strerror(EPERM));
}

/* The command's words as they are to be run. */
static bool make_words(struct ectx *x, const struct item *it, struct strvec *words)
{
    struct str s;
    words->pool = x->pool;
    if (!str_unset(it->option)) {
        if (!expand_arg(x, it->args[0], &s)) {
            return false;
        }
        parse_command_words(x->pool, s, words);
        return check_path(x, words);
    }
    for (size_t i = 0; i < it->n; i++) {
        if (!expand_arg(x, it->args[i], &s)) {
            x->error = str_fmt(
                x->pool,
                "Expansion of \"%zu. word\" from command \"%.*s\" in ${run} expansion failed: %.*s",
                i + 1, STR_ARG(it->source), STR_ARG(x->error));
            return false;
        }
        strvec_push(words, s);
    }
    return check_path(x, words);
}

/* What the child writes until it closes its output; false at the deadline. */
static bool read_output(int fd, struct buf *b)
{
    int64_t deadline = time_monotonic_ms() + TIMEOUT_MS;
    char part[8192];
    for (;;) {
        int64_t left = deadline - time_monotonic_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int r = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r <= 0) {
            return false;
        }
        ssize_t n = read(fd, part, sizeof part);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return true;
        }
        buf_add(b, part, (size_t)n);
    }
}

static bool run(struct ectx *x, const struct strvec *words, struct str *output)
{
    const char **argv = pool_calloc(x->pool, words->n + 1, sizeof *argv);
    struct child c;
    struct buf b;
    int status = 0;
    for (size_t i = 0; i < words->n; i++) {
        argv[i] = str_cstr(x->pool, words->v[i]);
    }
    buf_init(&b, x->pool, MAX_OUTPUT);
    *output = STR("");
    struct child_spec spec = {.argv = argv, .umask = 077, .stdin_fd = -1, .merge_stderr = true};
    if (words->n == 0 || child_start(&spec, &c) < 0) {
        x->runrc = NOT_STARTED;
        return true;
    }
    close(c.in);
    c.in = -1;
    if (!read_output(c.out, &b)) {
        child_kill(&c);
        return eval_fail(x, "command timed out");
    }
    if (child_wait(&c, END_MS, &status) < 0) {
        return errno == ETIMEDOUT ? eval_fail(x, "command timed out")
                                  : eval_fail(x, "wait() failed: %s", strerror(errno));
    }
    if (WIFSIGNALED(status)) {
        x->runrc = -WTERMSIG(status);
        return eval_fail(x, "command killed by signal %d", WTERMSIG(status));
    }
    x->runrc = WEXITSTATUS(status);
    *output = buf_str(&b);
    return true;
}

bool item_run(struct ectx *x, const struct item *it, struct str *out)
{
    struct strvec words = {.pool = x->pool};
    struct str output;
    if (!make_words(x, it, &words) || !run(x, &words, &output)) {
        return false;
    }
    scope_set(x, STR("value"), output);
    return eval_yes_no(x, it, x->runrc == 0, output, output, out);
}

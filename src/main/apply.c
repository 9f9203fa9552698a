/*
 * Makes a configuration that of the process: environment, time zone, file mode mask, log files; and
 * gives up root where the work does not need it.
 *
 * A process that was started by root works with the effective rights of exim_user and takes root's
 * back only between root_take() and root_leave(), so that what it creates belongs to exim_user.
 */
#include "main/command.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

/* Removes the variables that keep_environment does not name. */
static void purge_environment(const struct config *conf, struct pool *pool)
{
    struct str keep = core_settings(conf)->keep_environment;
    struct strvec drop = {.pool = pool};
    struct ectx x;
    ectx_init(&x, conf, pool);
    for (char **e = environ; e && *e; e++) {
        struct str name = str_c(*e);
        ptrdiff_t eq = str_chr(name, '=');
        name = str_dup(pool, eq < 0 ? name : str_sub(name, 0, (size_t)eq));
        if (str_empty(keep) || match_text(&x, LIST_DOMAINS, keep, name, false, NULL) != MATCH_YES) {
            strvec_push(&drop, name);
        }
    }
    for (size_t i = 0; i < drop.n; i++) {
        unsetenv(drop.v[i].p);
    }
}

/* add_environment: a list of name=value. */
static void add_environment(const struct config *conf, struct pool *pool)
{
    struct str list = core_settings(conf)->add_environment, item;
    int sep = 0;
    while (!str_unset(list) && list_next(pool, &list, &sep, &item)) {
        ptrdiff_t eq = str_chr(item, '=');
        if (eq > 0) {
            setenv(str_cstr(pool, str_sub(item, 0, (size_t)eq)),
                   str_cstr(pool, str_from(item, (size_t)eq + 1)), 1);
        }
    }
}

void root_take(void)
{
    if (priv_was_root() && (seteuid(0) < 0 || setegid(0) < 0)) {
        BUG("root privilege cannot be regained");
    }
}

void root_leave(const struct config *conf)
{
    if (priv_was_root() && (setegid(priv_work_gid(conf)) < 0 || seteuid(priv_work_uid(conf)) < 0)) {
        BUG("root privilege cannot be left");
    }
}

/* A spool directory that is not there yet is made for the user that works in it. */
static void make_spool(const struct config *conf)
{
    struct pool *pool = pool_new("spool");
    struct str dir = core_settings(conf)->spool_directory;
    const char *path = str_cstr(pool, dir);
    if (priv_was_root() && access(path, F_OK) < 0 && mkdir_parents(dir, 0755) == 0 &&
        (chown(path, priv_work_uid(conf), priv_work_gid(conf)) < 0 || chmod(path, 0750) < 0)) {
        fprintf(stderr, "exim: %s: %s\n", path, strerror(errno));
    }
    pool_free(&pool);
}

void config_apply(const struct config *conf)
{
    struct pool *pool = pool_new("environment");
    struct str zone = core_settings(conf)->timezone;
    purge_environment(conf, pool);
    add_environment(conf, pool);
    if (!str_empty(zone)) {
        setenv("TZ", str_cstr(pool, zone), 1);
    }
    tzset();
    umask(0);
    make_spool(conf);
    log_setup(conf);
    pool_free(&pool);
}

bool become_worker(const struct config *conf, bool hand)
{
    if (!priv_was_root() || priv_work_uid(conf) == 0) {
        return true;
    }
    int fd = hand ? hand_start(conf) : -1;
    if (fd >= 0) {
        hand_use(fd);
    }
    if (priv_drop(conf) < 0) {
        log_write(LOG_MAIN | LOG_PANIC, "cannot give up root: %s", strerror(errno));
        return false;
    }
    return true;
}

void test_context(struct ectx *x, const struct config *conf, struct pool *pool)
{
    ectx_init(x, conf, pool);
    x->testing = true;
}

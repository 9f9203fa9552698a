/*
 * The process that keeps OCSP proofs fresh: one for each configuration that wants it. It works as
 * exim_user, so the files of tls_ocsp_file and their folder must be that user's to write. Options
 * are expanded as for a connection that names no server.
 */
#include "main/daemon.h"
#include "tls/tls.h"

#include <poll.h>

/* True if there are proofs to be kept fresh. */
bool refresh_wanted(const struct config *conf)
{
    const struct tls_settings *t = tls_settings(conf);
    return !str_empty(t->ocsp_refresh.text) && !str_is(t->ocsp_refresh.text, "off") &&
           !str_empty(t->ocsp_file.text) && !str_empty(t->certificate.text);
}

static bool allowed(void *closure, struct str host)
{
    struct ectx *x = closure;
    enum match m = match_domain(x, &tls_settings(x->conf)->ocsp_refresh, host, NULL);
    if (m == MATCH_ERROR || m == MATCH_DEFER) {
        log_write(LOG_MAIN | LOG_PANIC, "tls_ocsp_refresh: %.*s", STR_ARG(x->error));
    }
    return m == MATCH_YES;
}

static bool expand(struct ectx *x, const char *name, const struct etext *option, struct str *out)
{
    *out = STR_NONE;
    if (str_unset(option->text) || expand_option(x, option, out)) {
        return true;
    }
    log_write(LOG_MAIN | LOG_PANIC, "failed to expand %s: %.*s", name, STR_ARG(x->error));
    return false;
}

/* A signal that comes while nothing is waited for must not be lost: it comes only in here. */
static void wait_seconds(int seconds, const sigset_t *open)
{
    struct timespec t = {.tv_sec = seconds};
    ppoll(NULL, 0, &t, open);
}

void worker_refresh(const struct worker *w)
{
    const struct tls_settings *t = tls_settings(w->conf);
    struct pool *pool = pool_new("refresh");
    struct ectx x;
    struct tls_refresh_what what = {.allowed = allowed, .closure = &x};
    sigset_t ours, open;
    ectx_init(&x, w->conf, pool);
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGHUP);
    sigprocmask(SIG_BLOCK, &ours, &open);
    if (expand(&x, "tls_certificate", &t->certificate, &what.certificate) &&
        expand(&x, "tls_ocsp_file", &t->ocsp_file, &what.ocsp_file) &&
        expand(&x, "tls_ocsp_responder", &t->ocsp_responder, &what.responder)) {
        struct tls_refresh *r = tls_refresh_new(pool, w->conf, &what);
        while (!orders.stop && !orders.retire) {
            wait_seconds(tls_refresh_step(r), &open);
        }
    }
    while (!orders.stop && !orders.retire) {
        wait_seconds(3600, &open); /* nothing can be done until the configuration changes */
    }
    pool_free(&pool);
}

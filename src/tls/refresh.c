/*
 * Proofs kept fresh (tls_ocsp_refresh): fetched from the responder a certificate names, checked as
 * a server checks them before it staples, and written over the old file in one step.
 *
 * What has to be done is read from the files each time: a proof is due when half of its life is
 * over (its signer's certificate may end it early), or when what is in the file is of no use. The
 * last good proof stays whatever a responder says. After a failure the pauses double up to an hour.
 * The log has a line when something changes, not for each try.
 */
#include "tls/http.h"
#include "tls/ocsp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum {
    LOOK_AGAIN = 300, /* seconds: files may be changed by others */
    FIRST_PAUSE = 60,
    LONGEST_PAUSE = 3600,
    MAX_FILE = 1 << 20,
    MAX_ANSWER = 64 << 10
};

/* One certificate and where its proof belongs. */
struct job {
    struct str cert, proof;
    bool pem;
    time_t not_before; /* no try before that */
    int pause;         /* seconds, after the next failure; 0: the last try was good */
    struct str said;   /* the last state that was logged */
};

struct tls_refresh {
    struct pool *pool;
    const struct config *conf;
    const struct tls_backend *backend;
    struct str responder;
    bool (*allowed)(void *closure, struct str host);
    void *closure;
    struct job *jobs;
    size_t n;
};

static size_t count_items(struct pool *pool, struct str list)
{
    struct str item;
    int sep = 0;
    size_t n = 0;
    while (net_list_next(pool, &list, &sep, &item)) {
        n++;
    }
    return n;
}

struct tls_refresh *tls_refresh_new(struct pool *pool, const struct config *conf,
                                    const struct tls_refresh_what *what)
{
    struct tls_refresh *r = POOL_NEW(pool, struct tls_refresh);
    struct str certs = what->certificate, proofs = what->ocsp_file, cert, proof;
    int cert_sep = 0, sep = 0;
    bool pem = false;
    *r = (struct tls_refresh){.pool = pool,
                              .conf = conf,
                              .backend = tls_backends[0],
                              .responder = what->responder,
                              .allowed = what->allowed,
                              .closure = what->closure};
    r->jobs = pool_calloc(pool, count_items(pool, certs) + 1, sizeof *r->jobs);
    while (net_list_next(pool, &certs, &cert_sep, &cert) &&
           net_list_next(pool, &proofs, &sep, &proof)) {
        if (str_starts(proof, "PEM ") || str_starts(proof, "DER ")) {
            pem = proof.p[0] == 'P';
            proof = str_from(proof, 4);
        }
        if (!str_empty(proof) && !str_empty(cert)) {
            r->jobs[r->n++] = (struct job){.cert = cert, .proof = proof, .pem = pem};
        }
    }
    return r;
}

/* ---- what there is ---- */

/* A job as its files say, in a pool for one look. */
struct look {
    struct pool *pool;
    struct tls_refresh *r;
    struct job *job;
    struct cert leaf, issuer;
    struct strvec others; /* responses of a PEM file about other certificates */
    time_t now;
};

static void say(struct look *l, struct str text)
{
    if (!str_eq(l->job->said, text)) {
        l->job->said = str_dup(l->r->pool, text);
        log_write(LOG_MAIN, "%.*s", STR_ARG(text));
    }
}

static void say_failed(struct look *l, struct str why)
{
    say(l, STR_CAT(l->pool, STR("OCSP proof for \""), l->job->cert, STR("\" not renewed: "), why));
}

static bool read_certificate(struct look *l)
{
    struct str text;
    struct strvec ders = {.pool = l->pool};
    struct cert c;
    bool found = false;
    if (file_read(l->pool, l->job->cert, MAX_FILE, &text) < 0) {
        say_failed(l, str_c(strerror(errno)));
        return false;
    }
    if (!pem_certificates(l->pool, text, &ders) || ders.n == 0 ||
        !cert_parse(l->pool, ders.v[0], &l->leaf)) {
        say_failed(l, STR("no certificate in that file"));
        return false;
    }
    for (size_t i = 0; i < ders.n && !found; i++) {
        found = cert_parse(l->pool, ders.v[i], &c) && str_eq(c.subject, l->leaf.issuer);
        l->issuer = found ? c : l->issuer;
    }
    if (!found) {
        say_failed(l, STR("its issuer is not in that file"));
    }
    return found;
}

static struct ocsp_status check(struct look *l, struct str der)
{
    struct ocsp_status s;
    ocsp_check(l->pool, l->r->backend, der, &l->leaf, &l->issuer, l->now, &s);
    return s;
}

/* When half of a good proof's life is over; the signer's certificate may end it. */
static time_t half_life(const struct ocsp_status *s)
{
    time_t end = s->next_update;
    if (s->signer_not_after && s->signer_not_after < end) {
        end = s->signer_not_after;
    }
    return s->this_update + (end - s->this_update) / 2;
}

/* When the proof in the file is to be renewed; 0: at once. */
static time_t due(struct look *l)
{
    struct str text;
    struct strvec blocks = {.pool = l->pool};
    time_t when = 0;
    l->others.pool = l->pool;
    if (file_read(l->pool, l->job->proof, MAX_FILE, &text) < 0) {
        return 0;
    }
    if (!l->job->pem) {
        strvec_push(&blocks, text);
    } else if (!pem_blocks(l->pool, text, "OCSP RESPONSE", &blocks)) {
        return 0;
    }
    for (size_t i = 0; i < blocks.n; i++) {
        struct ocsp_status s = check(l, blocks.v[i]);
        if (s.result == OCSP_NO_MATCH) {
            strvec_push(&l->others, blocks.v[i]);
        } else if (s.result == OCSP_GOOD && half_life(&s) > when) {
            when = half_life(&s);
        }
    }
    return when;
}

/* ---- fetching ---- */

/* The new content under another name first, so that the file is whole at any time. */
static bool replace_file(struct look *l, struct str content)
{
    struct str temporary = STR_CAT(l->pool, l->job->proof, STR(".new"));
    const char *from = str_cstr(l->pool, temporary), *to = str_cstr(l->pool, l->job->proof);
    int fd = file_open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
    bool ok = fd >= 0 && write_all(fd, content.p, content.len) == 0 && fsync(fd) == 0;
    int e = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (ok && rename(from, to) == 0) {
        return true;
    }
    e = ok ? errno : e;
    if (fd >= 0) {
        unlink(from);
    }
    say_failed(l, STR_CAT(l->pool, l->job->proof, STR(": "), str_c(strerror(e))));
    return false;
}

static bool store(struct look *l, struct str der)
{
    if (!l->job->pem) {
        return replace_file(l, der);
    }
    struct str text = pem_encode(l->pool, "OCSP RESPONSE", der);
    for (size_t i = 0; i < l->others.n; i++) {
        text = STR_CAT(l->pool, text, pem_encode(l->pool, "OCSP RESPONSE", l->others.v[i]));
    }
    return replace_file(l, text);
}

static bool find_responder(struct look *l, struct http_url *url)
{
    struct str text = l->r->responder;
    for (size_t i = 0; str_empty(text) && i < l->leaf.ocsp_uris.n; i++) {
        if (http_url(l->pool, l->leaf.ocsp_uris.v[i], url)) {
            return true;
        }
    }
    if (str_empty(text)) {
        say_failed(l, STR("it names no responder"));
        return false;
    }
    if (!http_url(l->pool, text, url)) {
        say_failed(l, STR("tls_ocsp_responder is no http URL"));
        return false;
    }
    return true;
}

/* True if a proof was fetched that need not be asked for again at once. */
static bool fetch(struct look *l)
{
    struct http_request q = {.type = STR("application/ocsp-request"),
                             .body = ocsp_request(l->pool, &l->leaf, &l->issuer),
                             .allowed = l->r->allowed,
                             .closure = l->r->closure,
                             .most = MAX_ANSWER};
    struct str answer, error;
    if (!find_responder(l, &q.url)) {
        return false;
    }
    struct str from = STR_CAT(l->pool, STR(" (from "), q.url.text, STR(")"));
    if (!http_post(l->r->conf, l->pool, &q, &answer, &error)) {
        say_failed(l, STR_CAT(l->pool, error, from));
        return false;
    }
    struct ocsp_status s = check(l, answer);
    if (s.result != OCSP_GOOD) {
        say_failed(l, STR_CAT(l->pool, s.text, from));
        return false;
    }
    if (!store(l, answer)) {
        return false;
    }
    bool early = s.signer_not_after && s.signer_not_after < s.next_update;
    struct str state =
        early ? STR(" renewed, but its signer's certificate ends before it") : STR(" renewed");
    say(l, STR_CAT(l->pool, STR("OCSP proof for \""), l->job->cert, STR("\""), state, from));
    return half_life(&s) > l->now;
}

/* Does what is to be done for a job; when to look again. */
static time_t look_at(struct tls_refresh *r, struct job *job, struct pool *pool)
{
    struct look l = {.pool = pool, .r = r, .job = job, .now = time_now().tv_sec};
    time_t when;
    if (!read_certificate(&l)) {
        return l.now + LOOK_AGAIN;
    }
    when = due(&l);
    when = when > job->not_before ? when : job->not_before;
    if (when > l.now) {
        return when;
    }
    if (fetch(&l)) {
        job->pause = 0;
        job->not_before = l.now + FIRST_PAUSE;
        return due(&l);
    }
    job->pause = job->pause ? job->pause * 2 : FIRST_PAUSE;
    job->pause = job->pause > LONGEST_PAUSE ? LONGEST_PAUSE : job->pause;
    job->not_before = l.now + job->pause;
    return job->not_before;
}

int tls_refresh_step(struct tls_refresh *r)
{
    struct pool *pool = pool_new("refresh");
    time_t next = time_now().tv_sec + LOOK_AGAIN;
    for (size_t i = 0; i < r->n; i++) {
        time_t when = look_at(r, &r->jobs[i], pool);
        next = when < next ? when : next;
        pool_clear(pool);
    }
    pool_free(&pool);
    time_t wait = next - time_now().tv_sec;
    return wait < 1 ? 1 : (int)wait;
}

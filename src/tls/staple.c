/*
 * The proofs a server staples (tls_ocsp_file): read, checked, chosen.
 *
 * All files of the list are read first. Each certificate of each pair then takes the first proof
 * that is good for it, looking into its own element before the others: two that changed places are
 * no loss, since a proof names its certificate. What is not good is never sent, and the log says
 * why, once for each content of a file. A proof is looked at again when it is wanted, as time goes
 * by between.
 *
 * The issuer is looked for in the certificate's file and among the certificates of the proof; if
 * it is in neither, all but signature and hash of the issuer's key is checked.
 */
#include "tls/ocsp.h"

#include <errno.h>

enum { MAX_FILE = 1 << 20, MOST_PROOFS = 200, MOST_CHAIN = 10 };

#define NOT_USED "Not using OCSP response from"

/* One response of a file. */
struct proof {
    struct str der, file;
    size_t element;
    bool used;
    struct str why; /* what makes it useless for a certificate it names; unset: nothing */
};

struct loading {
    struct pool *pool;
    const struct tls_backend *backend;
    struct proof *v;
    size_t n;
    struct strvec elements; /* file names; empty: that pair is to have no proof */
    time_t now;
};

/* ---- reading ---- */

static void complain(struct loading *l, unsigned where, const char *what, struct str file,
                     struct str reason)
{
    struct str line = str_fmt(l->pool, "%s \"%.*s\": %.*s", what, STR_ARG(file), STR_ARG(reason));
    if (tls_once(l->pool, line)) {
        log_write(where, "%.*s", STR_ARG(line));
    }
}

static void add_proof(struct loading *l, struct str der, struct str file, size_t element)
{
    struct ocsp_response r;
    int status;
    if (ocsp_read(l->pool, der, &r, &status) == OCSP_GARBAGE) {
        complain(l, LOG_MAIN | LOG_PANIC, "Error reading OCSP response from", file,
                 STR("not an OCSP response"));
    } else if (l->n < MOST_PROOFS) {
        l->v[l->n++] = (struct proof){.der = der, .file = file, .element = element};
    }
}

static void read_proofs(struct loading *l, struct str file, bool pem, size_t element)
{
    struct str text;
    struct strvec blocks = {.pool = l->pool};
    if (file_read(l->pool, file, MAX_FILE, &text) < 0) {
        complain(l, LOG_MAIN | LOG_PANIC, "Failed to open OCSP response file", file,
                 str_c(strerror(errno)));
    } else if (!pem) {
        add_proof(l, text, file, element);
    } else if (!pem_blocks(l->pool, text, "OCSP RESPONSE", &blocks)) {
        complain(l, LOG_MAIN | LOG_PANIC, "Failed to read PEM file", file,
                 STR("a block is damaged"));
    } else if (blocks.n == 0) {
        complain(l, LOG_MAIN | LOG_PANIC, "Failed to read PEM file", file,
                 STR("no OCSP RESPONSE in it"));
    }
    for (size_t i = 0; i < blocks.n; i++) {
        add_proof(l, blocks.v[i], file, element);
    }
}

/* The format holds for the elements that follow as well. */
static void read_list(struct loading *l, struct str list, struct strvec *files)
{
    struct str item;
    int sep = 0;
    bool pem = false;
    for (size_t element = 0; net_list_next(l->pool, &list, &sep, &item); element++) {
        if (str_starts(item, "PEM ") || str_starts(item, "DER ")) {
            pem = item.p[0] == 'P';
            item = str_from(item, 4);
        }
        strvec_push(&l->elements, item);
        if (!str_empty(item)) {
            strvec_push(files, item);
            read_proofs(l, item, pem, element);
        }
    }
}

/* ---- choosing ---- */

/* Who issued the certificate: one of its file, or one that came in the proof; NULL: not known. */
static const struct cert *find_issuer(struct loading *l, const struct cert *leaf,
                                      const struct cert *chain, size_t n, const struct proof *p,
                                      struct cert *sent)
{
    struct ocsp_response r;
    int status;
    for (size_t i = 0; i < n; i++) {
        if (str_eq(chain[i].subject, leaf->issuer)) {
            return &chain[i];
        }
    }
    if (ocsp_read(l->pool, p->der, &r, &status) != OCSP_GOOD) {
        return NULL;
    }
    for (size_t i = 0; i < r.certs.n; i++) {
        if (cert_parse(l->pool, r.certs.v[i], sent) && str_eq(sent->subject, leaf->issuer) &&
            l->backend->verify_signature(sent->spki, leaf->sig_algorithm, leaf->tbs,
                                         leaf->signature)) {
            return sent;
        }
    }
    return NULL;
}

static struct ocsp_status check(struct loading *l, const struct proof *p, const struct cert *chain,
                                size_t n, size_t at)
{
    struct cert sent;
    struct ocsp_status status;
    const struct cert *issuer = find_issuer(l, &chain[at], chain, n, p, &sent);
    ocsp_check(l->pool, l->backend, p->der, &chain[at], issuer, l->now, &status);
    return status;
}

/* The proof for chain[at]: of those that are good the pair's own, else the first. */
static const struct proof *choose(struct loading *l, const struct cert *chain, size_t n, size_t at,
                                  size_t element)
{
    struct proof *best = NULL;
    struct str *why = pool_calloc(l->pool, l->n + 1, sizeof *why);
    for (size_t i = 0; i < l->n; i++) {
        struct proof *p = &l->v[i];
        struct ocsp_status status = check(l, p, chain, n, at);
        if (status.result != OCSP_GOOD) {
            why[i] = status.result == OCSP_NO_MATCH ? STR_NONE : status.text;
            continue;
        }
        p->used = true;
        if (!best || (best->element != element && p->element == element)) {
            best = p;
        }
    }
    /* Beside a good one it does not matter what others say of the certificate. */
    for (size_t i = 0; i < l->n; i++) {
        l->v[i].used = l->v[i].used || (best && !str_unset(why[i]));
        l->v[i].why = best || str_unset(why[i]) ? l->v[i].why : why[i];
    }
    return best;
}

static void staple_pair(struct loading *l, struct tls_pair *pair, size_t element)
{
    struct strvec ders = {.pool = l->pool};
    struct cert chain[MOST_CHAIN];
    size_t n = 0;
    pem_certificates(l->pool, pair->cert_pem, &ders);
    while (n < ders.n && n < MOST_CHAIN && cert_parse(l->pool, ders.v[n], &chain[n])) {
        n++;
    }
    pair->staples = (struct strvec){.pool = l->pool};
    for (size_t at = 0; at < n; at++) {
        const struct proof *p = choose(l, chain, n, at, element);
        if (!p) {
            continue;
        }
        while (pair->staples.n < at) {
            strvec_push(&pair->staples, STR(""));
        }
        strvec_push(&pair->staples, p->der);
        pair->ocsp_name = at == 0 ? p->file : pair->ocsp_name;
    }
}

static bool file_is_used(const struct loading *l, struct str file)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].used && str_eq(l->v[i].file, file)) {
            return true;
        }
    }
    return false;
}

static void complain_of_unused(struct loading *l)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct proof *p = &l->v[i];
        if (!str_unset(p->why)) {
            complain(l, LOG_MAIN, NOT_USED, p->file, p->why);
        } else if (!file_is_used(l, p->file)) {
            complain(l, LOG_MAIN, NOT_USED, p->file, STR("for none of our certificates"));
        }
    }
}

void tls_load_staples(struct pool *pool, const struct tls_backend *b, struct str list,
                      struct tls_pair *pairs, size_t n, struct strvec *files)
{
    struct loading l = {.pool = pool, .backend = b, .now = time_now().tv_sec};
    l.v = pool_calloc(pool, MOST_PROOFS, sizeof *l.v);
    l.elements.pool = pool;
    read_list(&l, str_dup(pool, list), files);
    for (size_t i = 0; i < n && i < l.elements.n; i++) {
        if (!str_empty(l.elements.v[i])) {
            staple_pair(&l, &pairs[i], i);
        }
    }
    complain_of_unused(&l);
}

/* ---- in a handshake ---- */

static void complain_of_age(struct pool *pool, struct str file, time_t until)
{
    struct loading l = {.pool = pool};
    complain(&l, LOG_MAIN, NOT_USED, file,
             STR_CAT(pool, STR("out of date since "),
                     time_strftime(pool, "%Y-%m-%d %H:%M:%SZ", until, true)));
}

struct str staple_for(const struct tls_pair *pairs, size_t n, struct str leaf)
{
    struct pool *pool = pool_new("staple");
    struct str found = STR_NONE;
    struct cert c;
    bool known = cert_parse(pool, leaf, &c);
    for (size_t i = 0; known && str_unset(found) && i < n; i++) {
        struct strvec ders = {.pool = pool};
        if (pairs[i].staples.n == 0 || str_empty(pairs[i].staples.v[0]) ||
            !pem_certificates(pool, pairs[i].cert_pem, &ders) || !str_eq(ders.v[0], leaf)) {
            continue;
        }
        found = pairs[i].staples.v[0];
        time_t until = ocsp_usable_until(pool, found, c.serial);
        if (until < time_now().tv_sec - OCSP_SKEW) {
            complain_of_age(pool, pairs[i].ocsp_name, until);
            found = STR_NONE;
        }
    }
    pool_free(&pool);
    return found;
}

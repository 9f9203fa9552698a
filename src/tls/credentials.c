/*
 * Credentials: what a side presents and trusts, read from files and made into a
 * context of the library once, then shared by the connections of the process.
 *
 * The cache is process state. An entry is found by all the texts that decided
 * it and lives in a pool of its own; before each use its files are looked at
 * (stat), and if one has changed it is dropped and made anew. Entries are
 * counted, so that a connection keeps the one it began with.
 */
#include "tls/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { CACHE_SIZE = 64, MAX_FILE = 4 << 20 };

struct stamp {
    char *path;
    struct timespec changed;
    off_t size;
    ino_t inode;
};

struct entry {
    struct tls_credentials c; /* first: what callers hold */
    struct pool *pool;
    const struct tls_backend *backend;
    struct str key;
    struct stamp *stamps;
    size_t stamp_count;
    int refs;
    bool cached;
    int64_t used;
};

static struct {
    struct entry *v[CACHE_SIZE];
    size_t n;
} cache;

/* ---- when files change ---- */

static struct stamp stamp_of(char *path)
{
    struct stat st;
    struct stamp s = {.path = path};
    if (stat(path, &st) == 0) {
        s.changed = st.st_mtim;
        s.size = st.st_size;
        s.inode = st.st_ino;
    }
    return s;
}

static bool is_fresh(const struct entry *e)
{
    for (size_t i = 0; i < e->stamp_count; i++) {
        struct stamp now = stamp_of(e->stamps[i].path);
        const struct stamp *was = &e->stamps[i];
        if (now.size != was->size || now.inode != was->inode ||
            now.changed.tv_sec != was->changed.tv_sec ||
            now.changed.tv_nsec != was->changed.tv_nsec) {
            return false;
        }
    }
    return true;
}

/* ---- the cache ---- */

static void destroy(struct entry *e)
{
    struct pool *pool = e->pool;
    e->backend->context_free(&e->c.context);
    pool_free(&pool);
}

static void uncache(size_t i)
{
    struct entry *e = cache.v[i];
    e->cached = false;
    cache.v[i] = cache.v[--cache.n];
    if (e->refs == 0) {
        destroy(e);
    }
}

static void make_room(void)
{
    if (cache.n < CACHE_SIZE) {
        return;
    }
    size_t oldest = 0;
    for (size_t i = 1; i < cache.n; i++) {
        if (cache.v[i]->used < cache.v[oldest]->used) {
            oldest = i;
        }
    }
    uncache(oldest);
}

static struct entry *find(struct str key)
{
    for (size_t i = 0; i < cache.n; i++) {
        if (!str_eq(cache.v[i]->key, key)) {
            continue;
        }
        if (is_fresh(cache.v[i])) {
            return cache.v[i];
        }
        uncache(i);
        return NULL;
    }
    return NULL;
}

void tls_credentials_drop(struct tls_credentials **c)
{
    if (*c) {
        struct entry *e = (struct entry *)(void *)*c;
        *c = NULL;
        if (--e->refs == 0 && !e->cached) {
            destroy(e);
        }
    }
}

/* All that decides a context, each text behind its length. */
static struct str key_of(struct pool *pool, const struct tls_backend *b, const struct tls_side *s)
{
    const struct str *texts[] = {
        &s->certificate, &s->privatekey,      &s->ocsp_file, &s->verify_certificates,
        &s->crl,         &s->require_ciphers, &s->dhparam,   &s->eccurve,
        &s->alpn,        &s->openssl_options,
    };
    struct buf k;
    buf_init(&k, pool, SIZE_MAX);
    buf_addf(&k, "%s %d %d %d %d", b->name, s->server, s->verify != TLS_VERIFY_OFF, s->dh_bits,
             s->resume);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        buf_addf(&k, " %d:", str_unset(*texts[i]) ? -1 : (int)texts[i]->len);
        buf_adds(&k, *texts[i]);
    }
    return buf_str(&k);
}

/* ---- reading ---- */

/* What is being made. */
struct making {
    struct pool *pool; /* of the entry */
    const struct tls_backend *backend;
    const struct tls_side *side;
    struct tls_spec spec;
    struct tls_pair *pairs;
    struct strvec files; /* that were read */
    struct str *error;
};

static bool read_text(struct making *m, struct str path, struct str *out)
{
    strvec_push(&m->files, path);
    if (path.tainted) {
        *m->error = str_fmt(m->pool, "(Tainted filename for TLS): '%.*s'", STR_ARG(path));
        return false;
    }
    return file_read(m->pool, path, MAX_FILE, out) == 0;
}

/* A file, or all the files of a directory. */
static bool read_texts(struct making *m, struct str path, struct str *out)
{
    struct stat st;
    struct buf all;
    DIR *d = NULL;
    if (path.tainted || stat(str_cstr(m->pool, path), &st) < 0 || !S_ISDIR(st.st_mode)) {
        return read_text(m, path, out);
    }
    strvec_push(&m->files, path);
    d = opendir(str_cstr(m->pool, path));
    if (!d) {
        return false;
    }
    buf_init(&all, m->pool, SIZE_MAX);
    struct dirent *entry;
    while ((entry = readdir(d))) {
        struct str name = STR_CAT(m->pool, path, STR("/"), str_c(entry->d_name)), text;
        if (entry->d_name[0] != '.' && stat(str_cstr(m->pool, name), &st) == 0 &&
            S_ISREG(st.st_mode) && read_text(m, name, &text)) {
            buf_adds(&all, text);
            buf_addc(&all, '\n');
        }
    }
    closedir(d);
    *out = buf_str(&all);
    return true;
}

static size_t count_items(struct pool *pool, struct str list)
{
    struct str rest = list, item;
    int sep = 0;
    size_t n = 0;
    while (net_list_next(pool, &rest, &sep, &item)) {
        n++;
    }
    return n;
}

static bool pair_error(struct making *m, const struct tls_pair *p, struct str words)
{
    *m->error = str_fmt(m->pool, "(cert/key setup: cert=%.*s key=%.*s): %.*s",
                        STR_ARG(p->cert_name), STR_ARG(p->key_name), STR_ARG(words));
    return false;
}

static bool read_pair(struct making *m, struct tls_pair *p)
{
    p->staples.pool = m->pool;
    if (!read_text(m, p->cert_name, &p->cert_pem) || !read_text(m, p->key_name, &p->key_pem)) {
        return str_unset(*m->error) ? pair_error(m, p, str_c(strerror(errno))) : false;
    }
    return true;
}

/* A server must have a certificate: without one configured, it makes one that
 * nobody can verify. */
static bool sign_oneself(struct making *m)
{
    struct str words = STR_NONE;
    m->pairs = pool_calloc(m->pool, 1, sizeof *m->pairs);
    m->pairs->cert_name = m->pairs->key_name = STR("self-signed");
    m->pairs->staples.pool = m->pool;
    m->spec.pairs = m->pairs;
    m->spec.pair_count = 1;
    if (m->backend->self_sign(m->pool, core_settings(m->side->conf)->primary_hostname,
                              &m->pairs->cert_pem, &m->pairs->key_pem, &words)) {
        return true;
    }
    return pair_error(m, m->pairs, words);
}

/* Certificates and keys are parallel lists; without keys they are in the
 * certificates' files. */
static bool read_pairs(struct making *m)
{
    const struct tls_side *side = m->side;
    /* the pairs outlive the side */
    struct str certs = str_dup(m->pool, side->certificate), name;
    struct str keys = str_dup(m->pool, side->privatekey);
    int sep = 0, key_sep = 0;
    bool own_keys = !str_empty(keys);
    if (str_empty(certs)) {
        return !side->server || sign_oneself(m);
    }
    m->pairs = pool_calloc(m->pool, count_items(m->pool, certs), sizeof *m->pairs);
    m->spec.pairs = m->pairs;
    while (net_list_next(m->pool, &certs, &sep, &name)) {
        struct tls_pair *p = &m->pairs[m->spec.pair_count++];
        p->cert_name = p->key_name = name;
        if (own_keys && !net_list_next(m->pool, &keys, &key_sep, &p->key_name)) {
            *m->error = STR("(cert/key setup): out of keys");
            return false;
        }
        if (!read_pair(m, p)) {
            return false;
        }
    }
    return true;
}

static bool trust_error(struct making *m, const char *step, struct str path)
{
    if (str_unset(*m->error)) {
        *m->error = str_fmt(m->pool, "(%s from %.*s): %s", step, STR_ARG(path), strerror(errno));
    }
    return false;
}

static bool read_trust(struct making *m)
{
    const struct tls_side *side = m->side;
    struct tls_spec *spec = &m->spec;
    struct stat st;
    spec->verify = side->verify != TLS_VERIFY_OFF;
    if (str_is(side->verify_certificates, "system") ||
        str_is(side->verify_certificates, "system,cache")) {
        spec->system_cas = true;
    } else if (!str_empty(side->verify_certificates)) {
        if (!read_texts(m, side->verify_certificates, &spec->cas_pem)) {
            return trust_error(m, "loading trusted certificates", side->verify_certificates);
        }
        spec->send_ca_names =
            stat(str_cstr(m->pool, side->verify_certificates), &st) == 0 && S_ISREG(st.st_mode);
    }
    if (!str_empty(side->crl) && !read_texts(m, side->crl, &spec->crls_pem)) {
        return trust_error(m, "loading CRLs", side->crl);
    }
    return true;
}

/* Groups by Exim's names; RFC 7919 groups are known to both libraries. */
static const struct {
    const char *name, *group;
} dh_names[] = {
    {"none", "none"},
    {"default", NULL},          {"historic", NULL},         {"ike5", "modp_1536"},
    {"ike14", "modp_2048"},     {"ike15", "modp_3072"},     {"ike16", "modp_4096"},
    {"ike17", "modp_6144"},     {"ike18", "modp_8192"},     {"ike22", "dh_1024_160"},
    {"ike23", "dh_2048_224"},   {"ike24", "dh_2048_256"},   {"ffdhe2048", "ffdhe2048"},
    {"ffdhe3072", "ffdhe3072"}, {"ffdhe4096", "ffdhe4096"}, {"ffdhe6144", "ffdhe6144"},
    {"ffdhe8192", "ffdhe8192"},
};

static bool read_dh(struct making *m)
{
    struct str text = m->side->dhparam;
    if (!m->side->server || str_empty(text)) {
        return true;
    }
    if (text.p[0] == '/') {
        if (read_text(m, text, &m->spec.dhparam_pem)) {
            return true;
        }
        if (str_unset(*m->error)) {
            *m->error = str_fmt(m->pool, "(could not read dhparams file \"%.*s\"): %s",
                                STR_ARG(text), strerror(errno));
        }
        return false;
    }
    for (size_t i = 0; i < sizeof dh_names / sizeof *dh_names; i++) {
        if (str_is(text, dh_names[i].name)) {
            m->spec.dhparam_group = str_c(dh_names[i].group);
            return true;
        }
    }
    *m->error =
        str_fmt(m->pool, "(tls_dhparam): \"%.*s\" is not the name of a group", STR_ARG(text));
    return false;
}

/* RFC 7301 3.1: names of 1 to 255 octets, each behind its length. */
static bool wire_alpn(struct making *m)
{
    struct str rest = m->side->alpn, name;
    int sep = 0;
    struct buf b;
    buf_init(&b, m->pool, UINT16_MAX);
    while (net_list_next(m->pool, &rest, &sep, &name)) {
        if (name.len > 255) {
            *m->error = STR("(tls_alpn): a name has more than 255 octets");
            return false;
        }
        if (name.len) {
            buf_addc(&b, (char)name.len);
            buf_adds(&b, name);
        }
    }
    m->spec.alpn = buf_str(&b);
    return true;
}

/* ---- making ---- */

static bool read_all(struct making *m, const struct tls_backend *b)
{
    const struct tls_side *side = m->side;
    struct tls_spec *spec = &m->spec;
    spec->server = side->server;
    spec->ciphers = side->require_ciphers;
    spec->eccurve = side->eccurve;
    spec->options = side->openssl_options;
    spec->dh_bits = side->dh_bits;
    spec->tickets = side->resume;
    spec->auto_pkcs11 = tls_settings(side->conf)->gnutls_allow_auto_pkcs11;
    if (!read_pairs(m) || !read_trust(m) || !read_dh(m) || !wire_alpn(m)) {
        return false;
    }
    if (side->server && !str_empty(side->ocsp_file)) {
        tls_load_staples(m->pool, b, side->ocsp_file, m->pairs, spec->pair_count, &m->files);
    }
    return true;
}

static void put(struct buf *b, struct str s)
{
    buf_addf(b, " %d:", str_unset(s) ? -1 : (int)s.len);
    buf_adds(b, s);
}

/*
 * By contents and not by the names and times of files: servers of a cluster are the same where they
 * have the same. Proofs of OCSP change nothing; neither does a certificate that a server made for
 * itself, which nobody can verify.
 */
static struct str identity_of(struct making *m)
{
    const struct tls_spec *s = &m->spec;
    struct buf b;
    buf_init(&b, m->pool, SIZE_MAX);
    buf_addf(&b, "%s %d %d %d %d", m->backend->name, s->server, s->verify, s->system_cas,
             s->dh_bits);
    const struct str texts[] = {s->cas_pem,       s->crls_pem, s->ciphers, s->dhparam_pem,
                                s->dhparam_group, s->eccurve,  s->alpn,    s->options};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        put(&b, texts[i]);
    }
    for (size_t i = 0; !str_empty(m->side->certificate) && i < s->pair_count; i++) {
        struct strvec ders = {.pool = m->pool};
        pem_certificates(m->pool, s->pairs[i].cert_pem, &ders);
        for (size_t j = 0; j < ders.n; j++) {
            put(&b, ders.v[j]);
        }
    }
    return digest(m->pool, DIGEST_SHA256, buf_str(&b));
}

static void note_files(struct entry *e, const struct strvec *files)
{
    e->stamps = pool_calloc(e->pool, files->n, sizeof *e->stamps);
    for (size_t i = 0; i < files->n; i++) {
        e->stamps[e->stamp_count++] = stamp_of(str_cstr(e->pool, files->v[i]));
    }
}

/* Which pair the library would not take, and why in our words; then the library's. */
static void blame_pair(struct making *m, struct str library)
{
    static const char *const reasons[] = {"no certificate in the file",
                                          "no private key in the file",
                                          "the key is not the certificate's, or damaged"};
    size_t why = 2;
    const struct tls_pair *p = m->pairs;
    for (size_t i = 0; i < m->spec.pair_count && why == 2; i++) {
        struct strvec certs = {.pool = m->pool};
        p = &m->pairs[i];
        pem_certificates(m->pool, p->cert_pem, &certs);
        why = certs.n == 0 ? 0 : str_find(p->key_pem, STR("PRIVATE KEY-----")) < 0 ? 1 : 2;
    }
    struct str tail = library.len ? STR_CAT(m->pool, STR(": "), library) : STR_NONE;
    pair_error(m, p, STR_CAT(m->pool, str_c(reasons[why]), tail));
}

static struct entry *make_entry(const struct tls_backend *b, const struct tls_side *side,
                                struct str *error)
{
    struct pool *pool = pool_new("tls credentials");
    struct entry *e = POOL_NEW(pool, struct entry);
    struct making m = {
        .pool = pool, .backend = b, .side = side, .files.pool = pool, .error = error};
    const char *where = "";
    struct str words = STR_NONE;
    e->pool = pool;
    e->backend = b;
    if (!read_all(&m, b)) {
        goto failed;
    }
    note_files(e, &m.files);
    e->c.pairs = m.pairs;
    e->c.pair_count = m.spec.pair_count;
    e->c.context = b->context(pool, &m.spec, &where, &words);
    if (e->c.context) {
        e->c.identity = identity_of(&m);
        return e;
    }
    if (m.spec.pair_count && strncmp(where, "cert/key", 8) == 0) {
        blame_pair(&m, words);
    } else {
        *error = str_fmt(pool, "(%s): %.*s", where, STR_ARG(words));
    }
failed:
    return e; /* without a context */
}

struct tls_credentials *tls_credentials(struct pool *pool, const struct tls_backend *b,
                                        const struct tls_side *side, struct str *error)
{
    struct str key = key_of(pool, b, side);
    struct entry *e = find(key);
    *error = STR_NONE;
    if (!e) {
        e = make_entry(b, side, error);
        if (!e->c.context) {
            struct pool *own = e->pool;
            *error = str_dup(pool, *error);
            pool_free(&own);
            return NULL;
        }
        e->key = str_dup(e->pool, key);
        make_room();
        e->cached = true;
        cache.v[cache.n++] = e;
    }
    e->refs++;
    e->used = time_monotonic_ms();
    return &e->c;
}

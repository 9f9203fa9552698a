/*
 * What a delivering process tells its parent of one transaction: each address's outcome and facts,
 * the changes to retry records, lines for the message log.
 *
 * A result is a frame: its length, then values in the order of the tables below. What is to be told
 * is a row of a table; reading and writing go by the rows, so they cannot disagree. Reader and
 * writer are one program, but the writer has spoken with strangers: the reader takes no length,
 * index or number unchecked, and changes nothing before a frame has proved good to its last byte.
 * Strings of what was read are views of the frame and live as long as that.
 */
#include "queue/internal.h"
#include "tls/tls.h"

enum kind { K_BOOL, K_INT, K_LONG, K_STR, K_TIME, K_LABEL };

struct row {
    enum kind kind;
    size_t at;
    int last; /* of an enumeration: the greatest value; 0: any */
};

#define KIND(T, field) \
    _Generic(((struct T *)NULL)->field, \
        bool: K_BOOL,               \
        int: K_INT,                 \
        unsigned: K_INT,            \
        int64_t: K_LONG,            \
        struct str: K_STR,          \
        struct timespec: K_TIME,    \
        const char *: K_LABEL)
#define ROW(T, field) \
    { \
        KIND(T, field), offsetof(struct T, field), 0 \
    }
#define ENUM(T, field, greatest) \
    { \
        KIND(T, field), offsetof(struct T, field), greatest \
    }

static const struct row address_rows[] = {
    ENUM(address, outcome, ADDR_DISCARD),
    ROW(address, basic_errno),
    ROW(address, more_errno),
    ROW(address, message),
    ROW(address, pass_message),
    ROW(address, user_message),
    ROW(address, special_action),
    ROW(address, host_used_port),
    ROW(address, confirmation),
    ROW(address, size_delivered),
    ROW(address, retry_key),
    ROW(address, no_retry),
    ROW(address, timed_out),
    ROW(address, pipelining_used),
    ROW(address, chunking_used),
    ROW(address, continued),
    ROW(address, shown_affixes),
    ROW(address, fallback_set),
    ROW(address, dsn_relayed),
    ROW(address, tried),
    ROW(address, ended),
};

static const struct row note_rows[] = {
    ROW(queue_note, by_child),
    ROW(queue_note, return_path),
    ROW(queue_note, sending_ip),
    ROW(queue_note, sending_port),
};

static const struct row host_rows[] = {
    ROW(host, name), ROW(host, certname), ROW(host, address), ROW(host, port),
    ROW(host, mx),   ROW(host, sort),     ROW(host, dnssec),
};

static const struct row tls_rows[] = {
    ROW(tls_facts, cipher),
    ROW(tls_facts, cipher_std),
    ROW(tls_facts, version),
    ROW(tls_facts, bits),
    ROW(tls_facts, sni),
    ROW(tls_facts, alpn),
    ROW(tls_facts, peerdn),
    ROW(tls_facts, peercert),
    ROW(tls_facts, ourcert),
    ROW(tls_facts, verified),
    ROW(tls_facts, dane),
    ROW(tls_facts, tlsa_usage),
    ENUM(tls_facts, ocsp, OCSP_VERIFIED),
    ROW(tls_facts, ocsp_detail),
    ROW(tls_facts, resumption),
    ROW(tls_facts, binding),
    ROW(tls_facts, backend),
};

static const struct row change_rows[] = {
    ROW(retry_change, key),         ROW(retry_change, remove),     ROW(retry_change, message),
    ROW(retry_change, basic_errno), ROW(retry_change, more_errno), ROW(retry_change, text),
    ROW(retry_change, host),        ROW(retry_change, domain),
};

/* ---- writing ---- */

static void put_number(struct buf *b, uint64_t n)
{
    buf_add(b, (const char *)&n, sizeof n);
}

/* Unset, clean and tainted strings are three things. */
static void put_str(struct buf *b, struct str s)
{
    buf_addc(b, (char)(str_unset(s) ? 0 : s.tainted ? 2 : 1));
    put_number(b, s.len);
    buf_add(b, s.p ? s.p : "", s.len);
}

static void put_rows(struct buf *b, const void *from, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const void *p = (const char *)from + rows[i].at;
        const struct timespec *t = p;
        switch (rows[i].kind) {
        case K_BOOL: buf_addc(b, *(const bool *)p); break;
        case K_INT: put_number(b, (uint64_t) * (const int *)p); break;
        case K_LONG: put_number(b, (uint64_t) * (const int64_t *)p); break;
        case K_STR: put_str(b, *(const struct str *)p); break;
        case K_LABEL: put_str(b, str_c(*(const char *const *)p)); break;
        case K_TIME: put_number(b, (uint64_t)t->tv_sec); put_number(b, (uint64_t)t->tv_nsec);
        }
    }
}
#define PUT(b, from, rows) put_rows(b, from, rows, ARRAY_LEN(rows))

static void put_hosts(struct buf *b, const struct host *first, bool all)
{
    for (const struct host *h = first; h; h = all ? h->next : NULL) {
        buf_addc(b, 1);
        PUT(b, h, host_rows);
    }
    buf_addc(b, 0);
}

static void put_address(struct buf *b, const struct address *a)
{
    put_number(b, a->note->place);
    PUT(b, a, address_rows);
    PUT(b, a->note, note_rows);
    put_hosts(b, a->host_used, false);
    put_hosts(b, a->fallback_hosts, true);
    buf_addc(b, a->tls != NULL);
    if (a->tls) {
        PUT(b, a->tls, tls_rows);
    }
}

static bool is_in(const struct vec *v, const void *item)
{
    for (size_t i = 0; i < v->n; i++) {
        if (v->v[i] == item) {
            return true;
        }
    }
    return false;
}

struct str told_encode(struct job *j, const struct address *group)
{
    struct buf b;
    size_t count = 0;
    buf_init(&b, j->pool, TOLD_MAX + TOLD_HEADER);
    for (const struct address *a = group; a; a = a->next) {
        count++;
    }
    put_number(&b, 0);
    put_number(&b, count);
    for (const struct address *a = group; a; a = a->next) {
        put_address(&b, a);
    }
    put_number(&b, map_count(j->changes));
    for (const struct map_entry *e = map_first(j->changes); e; e = e->next) {
        buf_addc(&b, is_in(j->group, e->value));
        PUT(&b, e->value, change_rows);
    }
    put_str(&b, spool_msglog_take(j->m));
    if (b.overflow) {
        return STR_NONE;
    }
    uint64_t len = b.len - TOLD_HEADER;
    memcpy(b.p, &len, sizeof len);
    return buf_str(&b);
}

/* ---- reading ---- */

struct reader {
    struct pool *pool;
    struct str rest;
    bool bad;
};

static const char *get_bytes(struct reader *r, uint64_t n)
{
    if (r->bad || n > r->rest.len) {
        r->bad = true;
        return NULL;
    }
    const char *p = r->rest.p;
    r->rest = str_from(r->rest, (size_t)n);
    return p;
}

static uint64_t get_number(struct reader *r)
{
    uint64_t n = 0;
    const char *p = get_bytes(r, sizeof n);
    if (p) {
        memcpy(&n, p, sizeof n);
    }
    return n;
}

/* A number that is at most `last`. */
static uint64_t get_small(struct reader *r, uint64_t last)
{
    uint64_t n = get_number(r);
    r->bad |= n > last;
    return r->bad ? 0 : n;
}

static int get_byte(struct reader *r, int last)
{
    const char *p = get_bytes(r, 1);
    r->bad |= p && (*p < 0 || *p > last);
    return r->bad ? 0 : *p;
}

static int get_int(struct reader *r, int last)
{
    int64_t n = (int64_t)get_number(r);
    r->bad |= n < INT32_MIN || n > INT32_MAX || (last && (n < 0 || n > last));
    return r->bad ? 0 : (int)n;
}

static struct str get_str(struct reader *r)
{
    int state = get_byte(r, 2);
    uint64_t len = get_number(r);
    const char *p = get_bytes(r, len);
    r->bad |= state == 0 && len;
    if (r->bad || state == 0) {
        return STR_NONE;
    }
    return (struct str){p, (uint32_t)len, state == 2};
}

static struct timespec get_time(struct reader *r)
{
    struct timespec t;
    t.tv_sec = (time_t)get_number(r);
    t.tv_nsec = (long)get_small(r, 999999999);
    return t;
}

static const char *get_label(struct reader *r)
{
    struct str s = get_str(r);
    r->bad |= str_chr(s, '\0') >= 0;
    return r->bad || str_unset(s) ? NULL : str_cstr(r->pool, s);
}

static void get_rows(struct reader *r, void *to, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n && !r->bad; i++) {
        void *p = (char *)to + rows[i].at;
        switch (rows[i].kind) {
        case K_BOOL: *(bool *)p = get_byte(r, 1); break;
        case K_INT: *(int *)p = get_int(r, rows[i].last); break;
        case K_LONG: *(int64_t *)p = (int64_t)get_number(r); break;
        case K_STR: *(struct str *)p = get_str(r); break;
        case K_LABEL: *(const char **)p = get_label(r); break;
        case K_TIME: *(struct timespec *)p = get_time(r);
        }
    }
}
#define GET(r, to, rows) get_rows(r, to, rows, ARRAY_LEN(rows))

static struct host *get_hosts(struct reader *r)
{
    struct host *first = NULL, **tail = &first;
    while (get_byte(r, 1)) {
        struct host *h = POOL_NEW(r->pool, struct host);
        GET(r, h, host_rows);
        *tail = h;
        tail = &h->next;
    }
    return first;
}

/* A finished address as it will be; the one it is about stays as it is. */
struct finished {
    struct address *target;
    struct address a;
    struct queue_note note;
};

static void get_address(struct reader *r, const struct vec *all, struct finished *f)
{
    size_t index = (size_t)get_small(r, all->n - 1);
    f->target = all->v[index];
    if (r->bad || !f->target) {
        r->bad = true;
        return;
    }
    f->a = *f->target;
    f->note = *f->target->note;
    GET(r, &f->a, address_rows);
    GET(r, &f->note, note_rows);
    f->a.host_used = get_hosts(r);
    f->a.fallback_hosts = get_hosts(r);
    f->a.tls = NULL;
    if (get_byte(r, 1)) {
        struct tls_facts *facts = POOL_NEW(r->pool, struct tls_facts);
        GET(r, facts, tls_rows);
        f->a.tls = facts;
    }
    r->bad |= f->a.outcome == ADDR_PENDING || (f->a.host_used && f->a.host_used->next);
}

struct change {
    bool in_group;
    struct retry_change c;
};

/* All of a frame, unpacked. */
struct frame {
    size_t addresses, changes;
    struct finished *a;
    struct change *c;
    struct str msglog;
};

/* True if no address is told of twice. */
static bool all_different(struct pool *pool, const struct vec *all, const struct frame *f)
{
    bool *seen = pool_calloc(pool, all->n, sizeof *seen);
    for (size_t i = 0; i < f->addresses; i++) {
        bool *s = &seen[f->a[i].note.place];
        if (*s) {
            return false;
        }
        *s = true;
    }
    return true;
}

static bool unpack(struct reader *r, const struct vec *all, struct frame *f)
{
    f->addresses = (size_t)get_small(r, all->n);
    f->a = pool_calloc(r->pool, f->addresses, sizeof *f->a);
    for (size_t i = 0; i < f->addresses && !r->bad; i++) {
        get_address(r, all, &f->a[i]);
    }
    /* each takes a byte at the least */
    f->changes = (size_t)get_small(r, r->rest.len);
    f->c = pool_calloc(r->pool, r->bad ? 0 : f->changes, sizeof *f->c);
    for (size_t i = 0; i < f->changes && !r->bad; i++) {
        f->c[i].in_group = get_byte(r, 1);
        GET(r, &f->c[i].c, change_rows);
        r->bad |= str_empty(f->c[i].c.key);
    }
    f->msglog = get_str(r);
    return !r->bad && f->addresses && str_empty(r->rest) && all_different(r->pool, all, f);
}

/* Takes a good frame over; the addresses linked, in the order they were told of. */
static struct address *accept(struct job *j, struct vec *all, const struct frame *f)
{
    struct address *list = NULL, **tail = &list;
    struct vec *failures = POOL_NEW(j->pool, struct vec);
    failures->pool = j->pool;
    for (size_t i = 0; i < f->changes; i++) {
        struct retry_change *c = retry_note(j, &f->c[i].c);
        if (f->c[i].in_group) {
            vec_push(failures, c);
        }
    }
    for (size_t i = 0; i < f->addresses; i++) {
        struct address *a = f->a[i].target;
        struct queue_note *n = a->note;
        all->v[n->place] = NULL;
        *a = f->a[i].a;
        *n = f->a[i].note;
        n->group = failures;
        *tail = a;
        tail = &a->next;
    }
    *tail = NULL;
    spool_msglog_put(j->m, f->msglog);
    return list;
}

size_t told_length(struct str begin)
{
    uint64_t len = 0;
    if (begin.len >= TOLD_HEADER) {
        memcpy(&len, begin.p, sizeof len);
    }
    return TOLD_HEADER + (size_t)len;
}

enum told_state told_decode(struct job *j, struct str *data, struct vec *all,
                            struct address **group)
{
    struct reader r = {.pool = j->pool, .rest = *data};
    struct frame f = {0};
    if (data->len < TOLD_HEADER) {
        return TOLD_PART;
    }
    uint64_t len = get_number(&r);
    if (len > TOLD_MAX) {
        return TOLD_BAD;
    }
    if (len > r.rest.len) {
        return TOLD_PART;
    }
    *data = str_from(r.rest, (size_t)len);
    r.rest = str_sub(r.rest, 0, (size_t)len);
    if (!all->n || !unpack(&r, all, &f)) {
        return TOLD_BAD;
    }
    *group = accept(j, all, &f);
    return TOLD_GOOD;
}

/*
 * What a spool file holds (internal.h).
 *
 * A short message lies in a file of at most SPOOL_SLOT bytes, which is written over by others later;
 * what comes after its end is of no account. A larger file was made for its message alone.
 *
 *     short    mark, body, records          long     body, records, mark
 *     body     as received, LF line ends
 *     records  envelope, facts, headers: `key length:bytes LF`
 *     mark     SPOOL_MARK bytes: "minim-2 ID(23) BODYLEN(hex16) RECORDLEN(hex8) SUM(hex16)",
 *              blanks, LF
 *
 * The mark makes a file a message: a file without one was never acknowledged. The sum of a short
 * message is over all of it, because part of the file may still be of the message before; that of a
 * long one leaves out the body. One row a field: writer and reader both work from the table.
 */
#include "mail/internal.h"
#include "tls/tls.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum kind {
    K_STR,
    K_NAME /* of ours: const char * */,
    K_BOOL,
    K_INT,
    K_I64,
    K_U32,
    K_TIME,
    K_SPEC
};

/* Which struct a field is in: the message, its session, or what TLS left to know of it. */
enum owner { OF_MESSAGE, OF_SESSION, OF_TLS };

struct field {
    const char *key;
    enum kind kind;
    enum owner owner;
    size_t offset;
};

#define M(key, kind, f) \
    { \
        key, kind, OF_MESSAGE, offsetof(struct message, f) \
    }
#define S(key, kind, f) \
    { \
        key, kind, OF_SESSION, offsetof(struct session, f) \
    }
#define T(key, kind, f) \
    { \
        key, kind, OF_TLS, offsetof(struct tls_facts, f) \
    }

static const struct field fields[] = {
    M("id", K_STR, id),
    M("received", K_SPEC, received),
    M("complete", K_SPEC, received_complete),
    M("sender", K_STR, sender),
    M("protocol", K_STR, received_protocol),
    M("body-size", K_I64, body_size),
    M("size", K_I64, size),
    M("body-lines", K_INT, body_lines),
    M("lines", K_INT, line_count),
    M("zeros", K_INT, body_zerocount),
    M("max-line", K_INT, max_line),
    M("hops", K_INT, received_count),
    M("local", K_BOOL, local),
    M("sender-untrusted", K_BOOL, sender_set_untrusted),
    M("local-error", K_BOOL, local_error_message),
    M("unqualified-sender", K_BOOL, allow_unqualified_sender),
    M("unqualified-rcpt", K_BOOL, allow_unqualified_rcpt),
    M("frozen", K_BOOL, frozen),
    M("frozen-at", K_TIME, frozen_at),
    M("thawed", K_BOOL, manually_thawed),
    M("no-delivery", K_BOOL, dont_deliver),
    M("eight-bit", K_BOOL, body_8bit_declared),
    M("smtputf8", K_BOOL, smtputf8),
    M("login", K_STR, originator_login),
    M("uid", K_U32, originator_uid),
    M("gid", K_U32, originator_gid),
    M("auth-sender", K_STR, auth_sender),
    M("envid", K_STR, dsn_envid),
    M("ret", K_INT, dsn_ret),
    M("queue", K_STR, queue_name),
    S("host", K_STR, host_address),
    S("host-port", K_INT, host_port),
    S("interface", K_STR, interface_address),
    S("interface-port", K_INT, interface_port),
    S("host-name", K_STR, host_name),
    S("lookup-failed", K_BOOL, host_lookup_failed),
    S("helo", K_STR, helo_name),
    S("ident", K_STR, ident),
    S("auth-id", K_STR, auth_id),
    S("auth-mech", K_STR, auth_mechanism),
    S("active-hostname", K_STR, active_hostname),
    S("session-local", K_BOOL, local),
    S("not-smtp-socket", K_BOOL, notsocket),
    T("tls-cipher", K_STR, cipher),
    T("tls-cipher-std", K_STR, cipher_std),
    T("tls-version", K_STR, version),
    T("tls-bits", K_INT, bits),
    T("tls-sni", K_STR, sni),
    T("tls-alpn", K_STR, alpn),
    T("tls-peerdn", K_STR, peerdn),
    T("tls-peercert", K_STR, peercert),
    T("tls-ourcert", K_STR, ourcert),
    T("tls-verified", K_BOOL, verified),
    T("tls-ocsp", K_INT, ocsp),
    T("tls-ocsp-detail", K_STR, ocsp_detail),
    T("tls-resumption", K_INT, resumption),
    T("tls-backend", K_NAME, backend),
};

enum { DIGITS = 24 };

/* The number in decimal, at the end of the room. Two for each of many fields: printf is too slow. */
static struct str decimal(char room[DIGITS], int64_t n)
{
    size_t at = DIGITS;
    uint64_t u = n < 0 ? -(uint64_t)n : (uint64_t)n;
    do {
        room[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (n < 0) {
        room[--at] = '-';
    }
    return str_n(room + at, DIGITS - at);
}

static void put(struct buf *b, const char *key, struct str value)
{
    char room[DIGITS];
    buf_addz(b, key);
    buf_addc(b, ' ');
    buf_adds(b, decimal(room, value.len));
    buf_addc(b, ':');
    buf_adds(b, value);
    buf_addc(b, '\n');
}

static void put_number(struct buf *b, const char *key, int64_t n)
{
    char room[DIGITS];
    put(b, key, decimal(room, n));
}

static void put_field(struct buf *b, const struct field *f, const char *base)
{
    const void *at = base + f->offset;
    const struct timespec *ts = at;
    int64_t n = 0;
    switch (f->kind) {
    case K_STR:
        if (!str_unset(*(const struct str *)at)) {
            put(b, f->key, *(const struct str *)at);
        }
        return;
    case K_NAME:
        if (*(const char *const *)at) {
            put(b, f->key, str_c(*(const char *const *)at));
        }
        return;
    case K_BOOL: n = *(const bool *)at; break;
    case K_INT: n = *(const int *)at; break;
    case K_I64: n = *(const int64_t *)at; break;
    case K_U32: n = *(const uint32_t *)at; break;
    case K_TIME: n = *(const time_t *)at; break;
    case K_SPEC: n = ts->tv_sec * INT64_C(1000000) + ts->tv_nsec / 1000; break;
    }
    if (n) {
        put_number(b, f->key, n);
    }
}

static void put_vars(struct buf *b, struct pool *pool, const char *key, const struct vars *v)
{
    for (const struct map_entry *e = v->map ? map_first(v->map) : NULL; e; e = e->next) {
        const struct str *value = e->value;
        put(b, key, STR_CAT(pool, e->key, STR("="), str_c(value->tainted ? "t" : "u"), *value));
    }
}

/* address NUL errors_to NUL orcpt NUL flags NUL parent */
static struct str recipient_text(struct pool *pool, const struct recipient *r)
{
    struct str nul = str_n("", 1);
    return STR_CAT(pool, r->address, nul, r->errors_to, nul, r->orcpt, nul,
                   str_fmt(pool, "%d", r->dsn_flags), nul, str_fmt(pool, "%d", r->parent));
}

struct str spool_encode(struct pool *pool, const struct message *m)
{
    static const struct session no_session;
    const struct session *s = m->session_facts ? m->session_facts : &no_session;
    struct buf b;
    buf_init(&b, pool, SPOOL_META_MAX);
    const void *const owners[] = {[OF_MESSAGE] = m, [OF_SESSION] = s, [OF_TLS] = s->tls};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (owners[fields[i].owner]) {
            put_field(&b, &fields[i], owners[fields[i].owner]);
        }
    }
    put_vars(&b, pool, "acl-c", &m->acl_c);
    put_vars(&b, pool, "acl-m", &m->acl_m);
    for (size_t i = 0; i < m->recipient_count; i++) {
        put(&b, "rcpt", recipient_text(pool, &m->recipients[i]));
    }
    for (size_t i = 0; i < m->delivered.n; i++) {
        put(&b, "done", m->delivered.v[i]);
    }
    if (!str_unset(m->pending_msglog)) {
        put(&b, "msglog", m->pending_msglog);
    }
    for (const struct header *h = m->headers; h; h = h->next) {
        char key[3] = {'H', h->type, '\0'};
        put(&b, key, h->text);
    }
    return buf_str(&b);
}

/* One record off the front; false at the end or on malformed text. */
static bool take(struct str *rest, struct str *key, struct str *value)
{
    ptrdiff_t colon = str_chr(*rest, ':');
    ptrdiff_t blank = colon < 0 ? -1 : str_rchr(str_sub(*rest, 0, (size_t)colon), ' ');
    uint64_t len;
    if (blank <= 0 ||
        !str_to_u64(str_sub(*rest, (size_t)blank + 1, (size_t)(colon - blank - 1)), 10, &len) ||
        len >= rest->len - (size_t)colon - 1 || rest->p[(size_t)colon + 1 + len] != '\n') {
        return false;
    }
    *key = str_sub(*rest, 0, (size_t)blank);
    *value = str_sub(*rest, (size_t)colon + 1, len);
    *rest = str_from(*rest, (size_t)colon + 2 + len);
    return true;
}

static bool set_field(struct pool *pool, const struct field *f, char *base, struct str value)
{
    void *at = base + f->offset;
    struct timespec *ts = at;
    int64_t n;
    if (f->kind == K_STR) {
        *(struct str *)at = str_taint(str_dup(pool, value));
        return true;
    }
    if (f->kind == K_NAME) {
        *(const char **)at = str_cstr(pool, value);
        return true;
    }
    if (!str_to_i64(value, &n)) {
        return false;
    }
    switch (f->kind) {
    case K_BOOL: *(bool *)at = n != 0; break;
    case K_INT: *(int *)at = (int)n; break;
    case K_I64: *(int64_t *)at = n; break;
    case K_U32: *(uint32_t *)at = (uint32_t)n; break;
    case K_TIME: *(time_t *)at = n; break;
    default: *ts = (struct timespec){n / 1000000, (n % 1000000) * 1000};
    }
    return true;
}

static bool set_var(struct vars *v, struct str value)
{
    ptrdiff_t eq = str_chr(value, '=');
    if (eq < 0 || (size_t)eq + 1 >= value.len) {
        return false;
    }
    struct str text = str_from(value, (size_t)eq + 2);
    text.tainted = value.p[eq + 1] == 't';
    vars_set(v, str_sub(value, 0, (size_t)eq), text);
    return true;
}

static bool set_recipient(struct message *m, struct str value)
{
    struct str part[5];
    int64_t flags, parent;
    for (int i = 0; i < 4; i++) {
        ptrdiff_t nul = str_chr(value, '\0');
        if (nul < 0) {
            return false;
        }
        part[i] = str_sub(value, 0, (size_t)nul);
        value = str_from(value, (size_t)nul + 1);
    }
    if (!str_to_i64(part[3], &flags) || !str_to_i64(value, &parent)) {
        return false;
    }
    struct recipient *r = message_add_recipient(m, str_taint(part[0]));
    r->errors_to = str_empty(part[1]) ? STR_NONE : str_dup(m->pool, part[1]);
    r->orcpt = str_empty(part[2]) ? STR_NONE : str_taint(str_dup(m->pool, part[2]));
    r->dsn_flags = (int)flags;
    r->parent = (int)parent;
    return true;
}

/* The struct a field is in; made if it is that of TLS, which most messages do without. */
static void *owner_of(struct pool *pool, struct message *m, enum owner owner)
{
    struct session *s = m->session_facts;
    if (owner == OF_TLS && !s->tls) {
        s->tls = POOL_NEW(pool, struct tls_facts);
    }
    return owner == OF_TLS ? (void *)s->tls : owner == OF_SESSION ? (void *)s : (void *)m;
}

/*
 * The row of a key, NULL if there is none. They were written in the order of the table: the search
 * goes on from the last one, *at.
 */
static const struct field *find_field(struct str key, size_t *at)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++, ++*at) {
        *at = *at < ARRAY_LEN(fields) ? *at : 0;
        if (str_is(key, fields[*at].key)) {
            return &fields[(*at)++];
        }
    }
    return NULL;
}

static bool decode_record(struct pool *pool, struct message *m, struct str key, struct str value,
                          size_t *at)
{
    if (key.len == 2 && key.p[0] == 'H') {
        message_add_header(m, key.p[1], str_taint(value));
        return true;
    }
    if (str_is(key, "rcpt")) {
        return set_recipient(m, value);
    }
    const struct field *f = find_field(key, at);
    if (f) {
        return set_field(pool, f, owner_of(pool, m, f->owner), value);
    }
    if (str_is(key, "acl-c") || str_is(key, "acl-m")) {
        return set_var(str_is(key, "acl-c") ? &m->acl_c : &m->acl_m, value);
    }
    if (str_is(key, "done")) {
        strvec_push(&m->delivered, str_dup(pool, value));
        return true;
    }
    if (str_is(key, "msglog")) {
        m->pending_msglog = str_dup(pool, value);
        return true;
    }
    return false;
}

bool spool_decode(struct pool *pool, struct str meta, struct message *m)
{
    struct str key, value;
    size_t at = 0;
    m->pool = m->acl_m.pool = m->acl_c.pool = m->delivered.pool = pool;
    m->session_facts = POOL_NEW(pool, struct session);
    m->session_facts->pool = pool;
    m->sender = STR("");
    while (meta.len) {
        if (!take(&meta, &key, &value) || !decode_record(pool, m, key, value, &at)) {
            return false;
        }
    }
    m->id.tainted = false;
    m->sender_set = true;
    return !str_empty(m->id);
}

/* ---- the mark ---- */

enum { MARK_ID = 8, MARK_BODY = 32, MARK_META = 49, MARK_SUM = 58, MARK_END = 74 };

/* Eight bytes at a time: it is reckoned over every byte of a message, twice. */
static uint64_t add_to_sum(uint64_t h, struct str s)
{
    uint64_t word;
    size_t i = 0;
    for (; i + sizeof word <= s.len; i += sizeof word) {
        memcpy(&word, s.p + i, sizeof word);
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    word = s.len; /* where one part ends and the next begins counts, too */
    for (; i < s.len; i++) {
        word = word << 8 | (unsigned char)s.p[i];
    }
    h = (h ^ word) * UINT64_C(0xbf58476d1ce4e5b9);
    return h ^ h >> 32;
}

uint64_t spool_mark_sum(struct str text, struct str body, struct str meta)
{
    uint64_t h = add_to_sum(UINT64_C(14695981039346656037), str_sub(text, 0, MARK_SUM));
    if (!str_unset(body)) {
        h = add_to_sum(h, body);
    }
    return add_to_sum(h, meta);
}

void spool_mark_text(char out[SPOOL_MARK + 1], struct str id, struct str body, int64_t body_len,
                     struct str meta)
{
    snprintf(out, SPOOL_MARK + 1, "minim-2 %-23.*s %016llx %08x ", STR_ARG(id),
             (unsigned long long)body_len, meta.len);
    uint64_t sum = spool_mark_sum(str_n(out, MARK_SUM), body, meta);
    snprintf(out + MARK_SUM, SPOOL_MARK + 1 - MARK_SUM, "%016llx     \n", (unsigned long long)sum);
}

bool spool_mark_read(struct str text, struct spool_mark *mark)
{
    uint64_t body, meta;
    if (text.len != SPOOL_MARK || !str_starts(text, "minim-2 ") || text.p[SPOOL_MARK - 1] != '\n' ||
        !str_to_u64(str_sub(text, MARK_BODY, 16), 16, &body) || body > INT64_MAX ||
        !str_to_u64(str_sub(text, MARK_META, 8), 16, &meta) || meta > SPOOL_META_MAX ||
        !str_to_u64(str_sub(text, MARK_SUM, MARK_END - MARK_SUM), 16, &mark->sum)) {
        return false;
    }
    mark->id = str_trim(str_sub(text, MARK_ID, MARK_BODY - MARK_ID));
    mark->body_len = (int64_t)body;
    mark->meta_len = (int64_t)meta;
    return message_id_valid(mark->id);
}

enum spool_slot spool_slot_read(int fd, char *room, struct spool_mark *mark, struct str *meta)
{
    const ssize_t first = SPOOL_SLOT / 2;
    ssize_t n = pread(fd, room, (size_t)first, 0);
    struct str text = str_n(room, SPOOL_MARK);
    if (n < SPOOL_MARK || !spool_mark_read(text, mark)) {
        return n < 0 ? SLOT_ERROR : SLOT_NONE;
    }
    int64_t size = SPOOL_MARK + mark->body_len + mark->meta_len;
    if (mark->body_len <= SPOOL_SLOT && n == first && size > n) {
        ssize_t more = pread(fd, room + n, (size_t)(SPOOL_SLOT - n), n);
        if (more < 0) {
            return SLOT_ERROR;
        }
        n += more;
    }
    if (mark->body_len > SPOOL_SLOT || size > n) {
        return SLOT_TORN;
    }
    struct str body = str_n(room + SPOOL_MARK, (size_t)mark->body_len);
    *meta = str_n(room + SPOOL_MARK + mark->body_len, (size_t)mark->meta_len);
    return spool_mark_sum(text, body, *meta) == mark->sum ? SLOT_GOOD : SLOT_TORN;
}

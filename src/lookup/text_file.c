/*
 * Files that lookups read: opening, keeping, noticing change; and the line format of lsearch.
 *
 * A process keeps up to lookup_open_max files open, text files with their parsed lines, each in a
 * pool of its own. Before a kept file is used again after lookup_tidy(), or after a second, the
 * name is compared with the disk (device, inode, size, times); what has changed is read afresh.
 * A tainted name is refused. Failures leave a text in the call's error.
 *
 * The line format: a key, ended by a colon or white space, or in double quotes; an optional colon
 * amid white space; the data. Lines that begin with white space go on with the data. A comment or
 * an empty line ends it.
 */
#include "lookup/internal.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { RECHECK_MS = 1000, TEXT_MAX = 256 << 20, INDEX_FROM = 16 };

static struct {
    struct lookup_file *first;
    int count;
    unsigned generation;
} files;

/* ---- parsing ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static unsigned digit(char c)
{
    return isdigit((unsigned char)c) ? (unsigned)(c - '0')
                                     : (unsigned)(tolower((unsigned char)c) - 'a' + 10);
}

/* One escape after a backslash at s.p[*at]; *at moves to its last character. */
static char unescape(struct str s, uint32_t *at)
{
    static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
    char c = s.p[*at];
    unsigned n = 0;
    if (c >= '0' && c <= '7') {
        uint32_t end = *at + 3;
        while (*at < end && *at < s.len && s.p[*at] >= '0' && s.p[*at] <= '7') {
            n = n * 8 + digit(s.p[(*at)++]);
        }
        --*at;
        return (char)n;
    }
    if (c == 'x') {
        uint32_t end = *at + 2;
        while (*at < end && *at + 1 < s.len && isxdigit((unsigned char)s.p[*at + 1])) {
            n = n * 16 + digit(s.p[++*at]);
        }
        return (char)n;
    }
    const char *p = c ? strchr(from, c) : NULL;
    return p ? to[p - from] : c;
}

/* A quoted key; returns where its line goes on. */
static uint32_t quoted_key(struct pool *pool, struct str line, struct str *key)
{
    struct buf b;
    uint32_t i = 1;
    buf_init(&b, pool, line.len);
    for (; i < line.len && line.p[i] != '"'; i++) {
        char c = line.p[i];
        if (c == '\\' && i + 1 < line.len) {
            i++;
            c = unescape(line, &i);
        }
        buf_addc(&b, c);
    }
    *key = buf_str(&b);
    return i < line.len ? i + 1 : i;
}

static uint32_t plain_key(struct str line, struct str *key)
{
    uint32_t i = 0;
    while (i < line.len && line.p[i] != ':' && !is_space(line.p[i])) {
        i++;
    }
    *key = str_sub(line, 0, i);
    return i;
}

static struct str next_line(struct str *rest)
{
    struct str line;
    return str_next(rest, '\n', &line) ? line : *rest;
}

/* A line that goes on with the one before. */
static bool is_continuation(struct str rest)
{
    struct str copy = rest;
    return rest.len && is_space(rest.p[0]) && str_trim(next_line(&copy)).len;
}

static void add_entry(struct lookup_file *f, size_t *alloc, struct str line, struct str more)
{
    if (f->n == *alloc) {
        *alloc = *alloc ? *alloc * 2 : 32;
        struct text_entry *bigger = pool_calloc(f->pool, *alloc, sizeof *bigger);
        if (f->n) {
            memcpy(bigger, f->entries, f->n * sizeof *bigger);
        }
        f->entries = bigger;
    }
    struct text_entry *e = &f->entries[f->n++];
    uint32_t at = line.p[0] == '"' ? quoted_key(f->pool, line, &e->key) : plain_key(line, &e->key);
    e->rest = str_from(line, at);
    e->more = more;
}

static void make_index(struct lookup_file *f)
{
    if (f->n < INDEX_FROM) {
        return;
    }
    f->index = map_new(f->pool, true);
    for (size_t i = 0; i < f->n; i++) {
        if (!map_find(f->index, f->entries[i].key)) {
            map_set(f->index, f->entries[i].key, &f->entries[i]);
        }
    }
}

void lookup_file_parse(struct lookup_file *f, struct str text)
{
    size_t alloc = 0;
    f->n = 0;
    while (text.len) {
        struct str line = next_line(&text);
        if (line.len == 0 || line.p[0] == '#' || is_space(line.p[0])) {
            continue;
        }
        const char *start = text.p;
        while (is_continuation(text)) {
            next_line(&text);
        }
        add_entry(f, &alloc, line, str_n(start, (size_t)(text.p - start)));
    }
    make_index(f);
}

struct str text_entry_data(struct pool *pool, const struct text_entry *e, bool full)
{
    struct str rest = e->rest, more = e->more;
    struct buf b;
    buf_init(&b, pool, (size_t)e->key.len + rest.len + more.len + 1);
    if (full) {
        buf_adds(&b, e->key);
        rest = str_rtrim(rest);
    } else {
        rest = str_trim(rest);
        rest = str_starts(rest, ":") ? str_ltrim(str_from(rest, 1)) : rest;
    }
    buf_adds(&b, rest);
    while (more.len) {
        buf_addc(&b, ' ');
        buf_adds(&b, str_trim(next_line(&more)));
    }
    return buf_str(&b);
}

/* ---- keeping ---- */

static void drop(struct lookup_file **where)
{
    struct lookup_file *f = *where;
    *where = f->next;
    files.count--;
    for (size_t i = 0; i < f->n; i++) {
        pcre2_code_free(f->entries[i].code);
    }
    close(f->fd);
    struct pool *pool = f->pool;
    pool_free(&pool);
}

static void drop_oldest(void)
{
    struct lookup_file **oldest = NULL;
    for (struct lookup_file **p = &files.first; *p; p = &(*p)->next) {
        if (!(*p)->busy && (!oldest || (*p)->used_ms < (*oldest)->used_ms)) {
            oldest = p;
        }
    }
    if (oldest) {
        drop(oldest);
    }
}

void lookup_files_recheck(void)
{
    files.generation++;
}

void lookup_files_close(void)
{
    for (struct lookup_file **p = &files.first; *p;) {
        if ((*p)->busy) {
            p = &(*p)->next;
        } else {
            drop(p);
        }
    }
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* True if the open file is still what its name leads to, unchanged. */
static bool current(struct lookup_file *f)
{
    struct stat st;
    int64_t now = time_monotonic_ms();
    if (f->generation == files.generation && now - f->checked_ms < RECHECK_MS) {
        return true;
    }
    if (stat(f->path.p, &st) < 0 || st.st_dev != f->st.st_dev || st.st_ino != f->st.st_ino ||
        st.st_size != f->st.st_size || !same_time(st.st_mtim, f->st.st_mtim) ||
        !same_time(st.st_ctim, f->st.st_ctim)) {
        return false;
    }
    f->generation = files.generation;
    f->checked_ms = now;
    return true;
}

static struct lookup_file *kept(struct str path)
{
    for (struct lookup_file **p = &files.first; *p; p = &(*p)->next) {
        if (str_eq((*p)->path, path)) {
            if ((*p)->busy || current(*p)) {
                return *p;
            }
            drop(p);
            return NULL;
        }
    }
    return NULL;
}

static struct lookup_file *keep(struct lookup_call *c, int fd, const struct stat *st)
{
    int max = lookup_settings(c->conf)->lookup_open_max;
    if (files.count >= max) {
        drop_oldest();
    }
    struct pool *pool = pool_new("lookup file");
    struct lookup_file *f = POOL_NEW(pool, struct lookup_file);
    *f = (struct lookup_file){.next = files.first,
                              .pool = pool,
                              .path = str_dup(pool, c->file),
                              .fd = fd,
                              .st = *st,
                              .generation = files.generation,
                              .checked_ms = time_monotonic_ms()};
    files.first = f;
    files.count++;
    return f;
}

struct lookup_file *lookup_file_open(struct lookup_call *c, const char *what, const char *type)
{
    struct lookup_file *f = kept(c->file);
    struct stat st;
    if (!f) {
        int fd = file_open(c->file, O_RDONLY | O_NONBLOCK, 0);
        if (fd < 0) {
            int e = errno == EINVAL ? ENOENT : errno;
            c->error =
                file_open_error(c->pool, STR_CAT(c->pool, c->file, STR(" for "), str_c(what)), e,
                                geteuid(), getegid());
            return NULL;
        }
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
            c->error =
                str_fmt(c->pool, "%.*s is not a regular file (%s lookup)", STR_ARG(c->file), type);
            close(fd);
            return NULL;
        }
        f = keep(c, fd, &st);
    }
    f->used_ms = time_monotonic_ms();
    return f;
}

/* The whole of an open file; false with errno. */
static bool read_all(struct lookup_file *f, struct str *out)
{
    size_t size = (size_t)f->st.st_size, got = 0;
    if (size > TEXT_MAX) {
        errno = EFBIG;
        return false;
    }
    char *p = pool_alloc(f->pool, size + 1);
    while (got < size) {
        ssize_t n = pread(f->fd, p + got, size - got, (off_t)got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return false;
        }
        if (n == 0) {
            break;
        }
        got += (size_t)n;
    }
    p[got] = '\0';
    *out = str_n(p, got);
    return true;
}

struct lookup_file *lookup_file_text(struct lookup_call *c)
{
    struct lookup_file *f = lookup_file_open(c, "linear search", "lsearch");
    struct str text;
    if (f && !f->loaded) {
        if (!read_all(f, &text)) {
            c->error = str_fmt(c->pool, "failed to read %.*s for linear search: %s",
                               STR_ARG(c->file), strerror(errno));
            return NULL;
        }
        lookup_file_parse(f, text);
        f->loaded = true;
    }
    return f;
}

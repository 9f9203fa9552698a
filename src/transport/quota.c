/*
 * Quotas of mailboxes: sizes of directory trees, maildirsize files, and the decision.
 *
 * Sizes are in bytes; a count of -1 means that files are not counted.
 */
#include "transport/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MAILDIRSIZE_MAX = 5120, MAILDIRSIZE_AGE = 15 * 60, DEPTH_MAX = 50 };

/* ---- regular expressions of the configuration, compiled for one delivery ---- */

static pcre2_code *compile(struct str pattern)
{
    int e;
    PCRE2_SIZE at;
    return str_unset(pattern) ? NULL
                              : pcre2_compile((PCRE2_SPTR)pattern.p, pattern.len, 0, &e, &at, NULL);
}

/* True if it matches; *number gets what the first group holds, if it is a number. */
static bool matches(const pcre2_code *code, const char *text, int64_t *number)
{
    pcre2_match_data *m = pcre2_match_data_create_from_pattern(code, NULL);
    if (!m) {
        return false;
    }
    int n = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, m, NULL);
    bool ok = n > 0;
    if (ok && number) {
        const PCRE2_SIZE *v = pcre2_get_ovector_pointer(m);
        ok = n > 1 && str_to_i64(str_n(text + v[2], v[3] - v[2]), number);
    }
    pcre2_match_data_free(m);
    return ok;
}

/* ---- a tree ---- */

struct tree {
    pcre2_code *size_code, *dir_code;
    int64_t size, count;
    bool directories; /* count as files */
};

static bool add_file(struct tree *t, int dir, const char *name, const struct stat *st)
{
    int64_t n;
    (void)dir;
    t->count++;
    if (t->size_code && matches(t->size_code, name, &n)) {
        t->size += n;
    } else {
        t->size += st->st_nlink > 1 ? st->st_size / (int64_t)st->st_nlink : st->st_size;
    }
    return true;
}

/* Adds up a directory; `top` applies the filter of maildir folders to its entries. */
static bool add_directory(struct tree *t, int parent, const char *name, bool top, int depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    bool ok = true;
    if (!dir) {
        if (fd >= 0) {
            close(fd);
        }
        return errno == ENOENT;
    }
    while (ok && (e = readdir(dir))) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            continue;
        }
        if (S_ISDIR(st.st_mode)) {
            t->count += t->directories;
            if (depth < DEPTH_MAX &&
                (!top || !t->dir_code || matches(t->dir_code, e->d_name, NULL))) {
                ok = add_directory(t, fd, e->d_name, top && e->d_name[0] == '.', depth + 1);
            }
        } else if (S_ISREG(st.st_mode) && !(top && t->dir_code)) {
            ok = add_file(t, fd, e->d_name, &st);
        }
    }
    closedir(dir);
    return ok;
}

static bool measure(struct pool *pool, const struct plan *p, struct str dir, bool directories,
                    int64_t *size, int64_t *count)
{
    struct tree t = {.size_code = compile(p->text[PT_QUOTA_SIZE_REGEX]),
                     .directories = directories};
    if (p->f.kind == PLAN_MAILDIR) {
        t.dir_code = compile(p->text[PT_QUOTA_DIR_REGEX]);
    }
    bool ok = add_directory(&t, AT_FDCWD, str_cstr(pool, dir), true, 0);
    pcre2_code_free(t.size_code);
    pcre2_code_free(t.dir_code);
    *size = t.size;
    *count = t.count;
    return ok;
}

bool quota_directory_size(struct pool *pool, const struct plan *p, struct str dir, int64_t *size,
                          int64_t *count)
{
    /* Folders count as files, as with Exim, so that a quota_filecount made for it holds here. */
    return measure(pool, p, dir, true, size, count);
}

/* ---- the decision ---- */

/* The file that the message would have gone to, as the message tells it. */
static struct str target(const struct plan *p, struct plan_result *r)
{
    if (p->f.kind == PLAN_DIRECTORY) {
        return directory_temporary_path(p, r);
    }
    if (p->f.kind != PLAN_MAILDIR) {
        return p->text[PT_PATH];
    }
    struct str name = maildir_temporary_name(p, r);
    return STR_CAT(r->pool, STR("tmp/"), name);
}

static bool full(const struct plan *p, struct plan_result *r, const char *which)
{
    result_set(r, ADDR_DEFER, ERRNO_QUOTA,
               "mailbox is full (MTA-imposed %squota exceeded while writing to %.*s)", which,
               STR_ARG(target(p, r)));
    return false;
}

bool quota_fits(const struct plan *p, struct plan_result *r, int64_t size, int64_t count)
{
    const struct plan_facts *f = &p->f;
    int64_t added = f->quota_inclusive ? f->message_size : 0;
    if (f->quota > 0 && !f->quota_no_check && size + added > f->quota) {
        return full(p, r, "");
    }
    if (f->quota > 0 && f->quota_filecount > 0 && count >= 0 && !f->filecount_no_check &&
        count + (f->quota_inclusive ? 1 : 0) > f->quota_filecount) {
        return full(p, r, "filecount ");
    }
    return true;
}

/* ---- maildirsize (Maildir++) ---- */

/* Sums the lines "bytes files" behind the first; false if one is malformed. */
static bool sum_lines(struct str text, int64_t *size, int64_t *count, int *lines)
{
    struct str line;
    *size = *count = 0;
    *lines = 0;
    str_next(&text, '\n', &line);
    while (str_next(&text, '\n', &line)) {
        int64_t a, b;
        line = str_trim(line);
        ptrdiff_t space = str_chr(line, ' ');
        if (space < 0 || !str_to_i64(str_sub(line, 0, (size_t)space), &a) ||
            !str_to_i64(str_trim(str_from(line, (size_t)space)), &b)) {
            return false;
        }
        *size += a;
        *count += b;
        ++*lines;
    }
    return true;
}

static struct str quota_line(struct pool *pool, const struct plan *p)
{
    const struct plan_facts *f = &p->f;
    int64_t quota = f->quota > 0 ? f->quota : 0;
    int64_t count = f->quota_filecount > 0 ? f->quota_filecount : 0;
    return str_fmt(pool, "%lldS,%lldC\n", (long long)quota, (long long)count);
}

/* Counts afresh and replaces the file; -1 with errno. */
static int rebuild(struct pool *pool, const struct plan *p, struct str dir, const char *path,
                   int64_t *size, int64_t *count)
{
    if (!measure(pool, p, dir, false, size, count)) {
        return -1;
    }
    const char *tmp =
        str_fmt(pool, "%.*s/tmp/%u.H%uP%u.%.*s", STR_ARG(dir), (unsigned)time(NULL),
                (unsigned)time_monotonic_ms(), (unsigned)getpid(), STR_ARG(p->text[PT_HOST]))
            .p;
    int fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }
    struct str head = quota_line(pool, p);
    struct str body = str_fmt(pool, "%lld %lld\n", (long long)*size, (long long)*count);
    if (write_all(fd, head.p, head.len) < 0 || write_all(fd, body.p, body.len) < 0 ||
        rename(tmp, path) < 0) {
        int e = errno;
        close(fd);
        unlink(tmp);
        errno = e;
        return -1;
    }
    return fd;
}

int maildirsize_open(struct pool *pool, const struct plan *p, struct str dir, int64_t *size,
                     int64_t *count)
{
    const char *path = STR_CAT(pool, dir, STR("/maildirsize")).p;
    struct stat st;
    struct str text, first;
    int lines;
    int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > MAILDIRSIZE_MAX ||
        file_read(pool, str_c(path), MAILDIRSIZE_MAX + 1, &text) < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return rebuild(pool, p, dir, path, size, count);
    }
    struct str rest = text;
    bool same = str_next(&rest, '\n', &first) && str_eq(first, str_rtrim(quota_line(pool, p)));
    bool sound = sum_lines(text, size, count, &lines) && *size >= 0 && *count >= 0;
    bool over = p->f.quota > 0 && *size + p->f.message_size > p->f.quota;
    bool stale = over && (lines > 1 || time(NULL) - st.st_mtime > MAILDIRSIZE_AGE);
    if (same && sound && !stale) {
        return fd;
    }
    close(fd);
    return rebuild(pool, p, dir, path, size, count);
}

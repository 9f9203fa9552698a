/*
 * Deliveries that make a new file: maildir, one file in a directory, mailstore.
 *
 * A message is written under a temporary name, synced and renamed, so that no reader ever sees a
 * part of it. In a maildir its last name is the same each time it is delivered (plan_names()): what
 * was delivered before a crash that kept it from being noted is replaced, not doubled.
 */
#include "transport/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Puts the inode where a name has its mark. */
static struct str fill_in(struct pool *pool, struct str text, struct str value)
{
    const struct str mark = STR_INIT(INODE_MARK);
    ptrdiff_t at = str_find(text, mark);
    return at < 0 ? text
                  : STR_CAT(pool, str_sub(text, 0, (size_t)at), value,
                            fill_in(pool, str_from(text, (size_t)at + mark.len), value));
}

static bool failed(struct plan_result *r, const char *what, struct str path)
{
    int e = errno;
    result_set(r, ADDR_DEFER, e, "%s %.*s", what, STR_ARG(path));
    return false;
}

/* Creates a file under its temporary name; -1 with errno. */
static int create(struct pool *pool, const struct plan *p, struct str path)
{
    int fd = open(str_cstr(pool, path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)p->f.mode);
    if (fd >= 0 && fchmod(fd, (mode_t)p->f.mode) < 0) {
        int e = errno;
        close(fd);
        unlink(str_cstr(pool, path));
        errno = e;
        return -1;
    }
    return fd;
}

/* ---- quota of directories ---- */

/* Where to count: quota_directory, or the maildir that a Maildir++ folder belongs to. */
static struct str quota_root(struct pool *pool, const struct plan *p)
{
    struct str dir = p->text[PT_PATH];
    struct stat st;
    if (!str_unset(p->text[PT_QUOTA_DIR])) {
        return p->text[PT_QUOTA_DIR];
    }
    if (p->f.kind == PLAN_MAILDIR && stat(STR_CAT(pool, dir, STR("/maildirfolder")).p, &st) == 0) {
        ptrdiff_t slash = str_rchr(dir, '/');
        return slash > 0 ? str_sub(dir, 0, (size_t)slash) : dir;
    }
    return dir;
}

/* Checks the quota; *size_fd gets the open maildirsize file, -1 if there is none. */
static bool within_quota(const struct plan *p, struct plan_result *r, int *size_fd)
{
    const struct plan_facts *f = &p->f;
    int64_t size = 0, count = 0;
    *size_fd = -1;
    bool asked = f->quota > 0 || f->warn_threshold > 0 || f->size_file;
    if (!asked) {
        return true;
    }
    struct str root = quota_root(r->pool, p);
    if (f->size_file) {
        *size_fd = maildirsize_open(r->pool, p, root, &size, &count);
        if (*size_fd < 0) {
            return failed(r, "while opening or reading maildirsize in", root);
        }
    } else if (f->mailbox_size < 0 || (f->quota_filecount > 0 && f->mailbox_filecount < 0)) {
        if (!quota_directory_size(r->pool, p, root, &size, &count)) {
            return failed(r, "while checking the quota of", root);
        }
    }
    size = f->mailbox_size >= 0 ? f->mailbox_size : size;
    count = f->mailbox_filecount >= 0 ? f->mailbox_filecount : count;
    r->f.size_before = size;
    r->f.count_before = count;
    return quota_fits(p, r, size, count);
}

/* The new message is noted in maildirsize. */
static void note_size(struct plan_result *r, int fd)
{
    if (fd >= 0) {
        struct str line = str_fmt(r->pool, "%lld 1\n", (long long)r->f.written);
        (void)!write(fd, line.p, line.len);
    }
}

/* ---- maildir ---- */

static bool make_folder_mark(const struct plan *p, struct plan_result *r)
{
    struct str dir = p->text[PT_PATH], pattern = p->text[PT_FOLDER_REGEX];
    int e;
    PCRE2_SIZE at;
    if (str_unset(pattern)) {
        return true;
    }
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.len, 0, &e, &at, NULL);
    pcre2_match_data *m = code ? pcre2_match_data_create_from_pattern(code, NULL) : NULL;
    bool wanted = m && pcre2_match(code, (PCRE2_SPTR)dir.p, dir.len, 0, 0, m, NULL) > 0;
    pcre2_match_data_free(m);
    pcre2_code_free(code);
    if (!wanted) {
        return true;
    }
    struct str path = STR_CAT(r->pool, dir, STR("/maildirfolder"));
    int fd = open(path.p, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failed(r, "create", path);
    }
    close(fd);
    return true;
}

/* The three folders of a maildir. */
static bool make_folders(const struct plan *p, struct plan_result *r)
{
    static const char *const names[] = {"/tmp", "/new", "/cur"};
    struct str dir = p->text[PT_PATH];
    struct stat st;
    /* new is the last to be made, so that it tells of all */
    if (stat(STR_CAT(r->pool, dir, STR("/new")).p, &st) == 0 &&
        stat(STR_CAT(r->pool, dir, STR("/tmp")).p, &st) == 0) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str path = STR_CAT(r->pool, dir, str_c(names[i]));
        if (plan_make_directories(r->pool, p, path, true) < 0) {
            int e = errno;
            result_set(r, ADDR_DEFER, e, "failed to create directories for %.*s: %s", STR_ARG(path),
                       strerror(e));
            return false;
        }
    }
    return true;
}

struct str maildir_temporary_name(const struct plan *p, struct plan_result *r)
{
    struct timespec now = time_now();
    return str_fmt(r->pool, "%lld.H%luP%ld.%.*s", (long long)now.tv_sec,
                   (unsigned long)now.tv_nsec / 1000, (long)getpid(), STR_ARG(p->text[PT_HOST]));
}

/* Opens a new file in tmp/. */
static int open_temporary(const struct plan *p, struct plan_result *r, struct str *path)
{
    for (int i = 0;; i++) {
        struct str name = maildir_temporary_name(p, r);
        *path = STR_CAT(r->pool, p->text[PT_PATH], STR("/tmp/"), name);
        int fd = create(r->pool, p, *path);
        if (fd >= 0 || errno != EEXIST || i + 1 >= p->f.maildir_retries) {
            return fd;
        }
        poll(NULL, 0, 2000);
    }
}

/* The name in new/: with its tag, unless that is too long. */
static struct str final_name(const struct plan *p, struct plan_result *r)
{
    struct str tag = p->text[PT_TAG];
    struct str plain = STR_CAT(r->pool, p->text[PT_PATH], STR("/new/"), p->text[PT_NAME], STR("."),
                               p->text[PT_HOST]);
    if (str_empty(tag)) {
        return plain;
    }
    struct stat st;
    struct str tagged = STR_CAT(r->pool, plain, tag);
    return stat(tagged.p, &st) < 0 && errno == ENAMETOOLONG ? plain : tagged;
}

static void maildir_write(const struct plan *p, struct plan_result *r)
{
    struct str path;
    int fd = open_temporary(p, r, &path);
    if (fd < 0) {
        failed(r, "while creating file", path);
        return;
    }
    bool ok = plan_write_file(p, fd, path, r);
    close(fd);
    struct str final = ok ? final_name(p, r) : path;
    if (ok && rename(str_cstr(r->pool, path), str_cstr(r->pool, final)) < 0) {
        ok = failed(r, "while renaming a file to", final);
    }
    if (!ok) {
        unlink(str_cstr(r->pool, path));
        return;
    }
    r->f.outcome = ADDR_OK;
    r->f.size_after = r->f.size_before + r->f.written;
    r->text[RT_FILE] = final;
}

void maildir_run(const struct plan *p, struct plan_result *r)
{
    int size_fd = -1;
    if (make_folders(p, r) && make_folder_mark(p, r) && within_quota(p, r, &size_fd)) {
        maildir_write(p, r);
        if (r->f.outcome == ADDR_OK) {
            note_size(r, size_fd);
        }
    }
    if (size_fd >= 0) {
        close(size_fd);
    }
}

/* ---- one file for each message ---- */

static bool make_directory(const struct plan *p, struct plan_result *r)
{
    if (plan_make_directories(r->pool, p, p->text[PT_PATH], true) < 0) {
        int e = errno;
        result_set(r, ADDR_DEFER, e, "failed to create directories for %.*s: %s",
                   STR_ARG(p->text[PT_PATH]), strerror(e));
        return false;
    }
    return true;
}

struct str directory_temporary_path(const struct plan *p, const struct plan_result *r)
{
    return STR_CAT(r->pool, p->text[PT_PATH],
                   str_fmt(r->pool, "/temp.%ld.%.*s", (long)getpid(), STR_ARG(p->text[PT_HOST])));
}

void directory_run(const struct plan *p, struct plan_result *r)
{
    int none;
    struct stat st;
    if (!make_directory(p, r) || !within_quota(p, r, &none)) {
        return;
    }
    struct str path = directory_temporary_path(p, r);
    int fd = create(r->pool, p, path);
    if (fd < 0) {
        failed(r, "while creating file", path);
        return;
    }
    bool ok = plan_write_file(p, fd, path, r) && fstat(fd, &st) == 0;
    close(fd);
    if (ok) {
        struct str inode = str_fmt(r->pool, "%lu", (unsigned long)st.st_ino);
        struct str name = fill_in(r->pool, p->text[PT_NAME], inode);
        struct str final = STR_CAT(r->pool, p->text[PT_PATH], STR("/"), name);
        if (rename(path.p, final.p) == 0) {
            r->f.outcome = ADDR_OK;
            r->f.size_after = r->f.size_before + r->f.written;
            r->text[RT_FILE] = final;
            return;
        }
        failed(r, "while renaming a file to", final);
    }
    unlink(str_cstr(r->pool, path));
}

/* ---- mailstore: an envelope file beside the message ---- */

void mailstore_run(const struct plan *p, struct plan_result *r)
{
    int none;
    if (!make_directory(p, r) || !within_quota(p, r, &none)) {
        return;
    }
    struct str base = STR_CAT(r->pool, p->text[PT_PATH], STR("/"), p->text[PT_NAME]);
    struct str tmp = STR_CAT(r->pool, base, STR(".tmp")), msg = STR_CAT(r->pool, base, STR(".msg")),
               env = p->text[PT_ENVELOPE];
    int fd = create(r->pool, p, tmp);
    if (fd < 0) {
        failed(r, "while creating file", tmp);
        return;
    }
    bool ok = write_all(fd, env.p, env.len) == 0 && fsync(fd) == 0;
    close(fd);
    if (!ok) {
        result_write_failed(r, errno, tmp);
    } else if ((fd = create(r->pool, p, msg)) < 0) {
        ok = failed(r, "while creating file", msg);
    } else {
        ok = plan_write_file(p, fd, msg, r);
        close(fd);
    }
    struct str final = STR_CAT(r->pool, base, STR(".env"));
    if (ok && rename(str_cstr(r->pool, tmp), str_cstr(r->pool, final)) < 0) {
        ok = failed(r, "while renaming a file to", final);
    }
    if (!ok) {
        unlink(str_cstr(r->pool, tmp));
        unlink(str_cstr(r->pool, msg));
        return;
    }
    r->f.outcome = ADDR_OK;
    r->f.size_after = r->f.size_before + r->f.written;
    r->text[RT_FILE] = msg;
}

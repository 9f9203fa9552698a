/*
 * The files that autoreply keeps: who was written to and when (once), and a log. With the
 * recipient's rights, in the worker or in the hand.
 *
 * A once file is a sequence of records: the time as the machine writes a time_t, then the address
 * with a NUL. With once_file_size it never grows past that size, the oldest records going first.
 */
#include "transport/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ONCE_MAX = 64 * 1024 * 1024 };

struct record {
    time_t when;
    struct str address;
    size_t bytes;
};

static bool next_record(struct str *rest, struct record *out)
{
    if (rest->len <= sizeof(time_t)) {
        return false;
    }
    memcpy(&out->when, rest->p, sizeof(time_t));
    struct str text = str_from(*rest, sizeof(time_t));
    ptrdiff_t end = str_chr(text, '\0');
    if (end < 0) {
        return false;
    }
    out->address = str_sub(text, 0, (size_t)end);
    out->bytes = sizeof(time_t) + (size_t)end + 1;
    *rest = str_from(*rest, out->bytes);
    return true;
}

/* Whether all of the data is records; something else must not be overwritten. */
static bool all_records(struct str data)
{
    struct record r;
    while (next_record(&data, &r)) {
        if (r.when < 0 || str_empty(r.address)) {
            return false;
        }
    }
    return str_empty(data);
}

/* The data with the address's record renewed at the end, within the size. */
static struct str renewed(struct pool *pool, const struct plan *p, struct str data)
{
    struct buf b;
    struct record r;
    struct str who = p->text[PT_NAME], rest = data;
    time_t now = (time_t)p->f.now;
    size_t own = sizeof now + who.len + 1, total = own;
    while (next_record(&rest, &r)) {
        total += str_eqi(r.address, who) ? 0 : r.bytes;
    }
    buf_init(&b, pool, ONCE_MAX);
    rest = data;
    while (next_record(&rest, &r)) {
        if (str_eqi(r.address, who)) {
            continue;
        }
        if (p->f.once_size > 0 && total > (size_t)p->f.once_size) {
            total -= r.bytes;
            continue;
        }
        buf_add(&b, (const char *)&r.when, sizeof r.when);
        buf_adds(&b, r.address);
        buf_addc(&b, '\0');
    }
    buf_add(&b, (const char *)&now, sizeof now);
    buf_adds(&b, who);
    buf_addc(&b, '\0');
    return buf_str(&b);
}

/* True if the address was written to, and it is too early to do so again. */
static bool was_sent(const struct plan *p, struct str data)
{
    struct record r;
    bool found = false;
    time_t when = 0;
    while (next_record(&data, &r)) {
        if (str_eqi(r.address, p->text[PT_NAME])) {
            found = true;
            when = r.when;
        }
    }
    return found && (p->f.once_repeat <= 0 || p->f.now - when < p->f.once_repeat);
}

static bool once_failed(struct plan_result *r, const char *what, struct str path)
{
    int e = errno;
    result_set(r, ADDR_DEFER, e, "Failed to %s once file %.*s when sending message: %s", what,
               STR_ARG(path), strerror(e));
    return false;
}

static bool replace(int fd, struct str data)
{
    return ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 &&
           write_all(fd, data.p, data.len) == 0;
}

void once_run(const struct plan *p, struct plan_result *r)
{
    struct str path = p->text[PT_PATH], data;
    const char *name = str_cstr(r->pool, path);
    int fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, (mode_t)p->f.mode);
    if (fd < 0) {
        once_failed(r, "open", path);
        return;
    }
    if (file_lock(fd, true) < 0 || file_read(r->pool, path, ONCE_MAX, &data) < 0) {
        once_failed(r, "read", path);
    } else if (!all_records(data)) {
        result_set(r, ADDR_DEFER, ERRNO_UNKNOWNERROR,
                   "once file %.*s is not in a format that this program knows", STR_ARG(path));
    } else if (!p->f.once_note) {
        r->f.outcome = was_sent(p, data) ? ADDR_DISCARD : ADDR_OK;
    } else if (!replace(fd, renewed(r->pool, p, data))) {
        once_failed(r, "write", path);
    } else {
        r->f.outcome = ADDR_OK;
    }
    close(fd);
}

void append_line_run(const struct plan *p, struct plan_result *r)
{
    struct str path = p->text[PT_PATH], text = p->text[PT_LEAD];
    int fd =
        open(str_cstr(r->pool, path), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, (mode_t)p->f.mode);
    if (fd < 0 || write_all(fd, text.p, text.len) < 0) {
        int e = errno;
        result_set(r, ADDR_DEFER, e, "Failed to open or write log file %.*s: %s", STR_ARG(path),
                   strerror(e));
    } else {
        r->f.outcome = ADDR_OK;
    }
    if (fd >= 0) {
        close(fd);
    }
}

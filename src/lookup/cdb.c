/*
 * cdb: constant databases (cr.yp.to/cdb/cdb.txt).
 *
 * The file is read in place with pread(2); nothing of it is trusted: every position is checked
 * against the file's size, and a chain of slots is followed once round at most. A damaged file is
 * LK_DEFER. Data is untainted.
 */
#include "lookup/internal.h"

#include <errno.h>
#include <unistd.h>

enum { HEADER = 2048, SLOT = 8, TABLES = 256, DATA_MAX = 16 << 20 };

struct cdb {
    int fd;
    uint64_t size;
};

static bool read_at(const struct cdb *db, uint64_t at, void *out, size_t n)
{
    if (at > db->size || n > db->size - at) {
        return false;
    }
    for (size_t got = 0; got < n;) {
        ssize_t r = pread(db->fd, (char *)out + got, n - got, (off_t)(at + got));
        if (r <= 0 && !(r < 0 && errno == EINTR)) {
            return false;
        }
        got += r > 0 ? (size_t)r : 0;
    }
    return true;
}

/* Two little-endian numbers of 32 bits. */
static bool read_pair(const struct cdb *db, uint64_t at, uint32_t v[2])
{
    unsigned char b[8];
    if (!read_at(db, at, b, sizeof b)) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        v[i] = (uint32_t)b[4 * i] | (uint32_t)b[4 * i + 1] << 8 | (uint32_t)b[4 * i + 2] << 16 |
               (uint32_t)b[4 * i + 3] << 24;
    }
    return true;
}

static uint32_t hash_of(struct str key)
{
    uint32_t h = 5381;
    for (uint32_t i = 0; i < key.len; i++) {
        h = ((h << 5) + h) ^ (unsigned char)key.p[i];
    }
    return h;
}

static enum lookup_result broken(struct lookup_call *c)
{
    c->error = str_fmt(c->pool, "cdb: corrupt file %.*s", STR_ARG(c->file));
    return LK_DEFER;
}

/* The record at a position: LK_FOUND with its data if the key is ours. */
static enum lookup_result compare(struct lookup_call *c, const struct cdb *db, uint64_t at)
{
    uint32_t len[2];
    if (!read_pair(db, at, len)) {
        return broken(c);
    }
    if (len[0] != c->key.len) {
        return LK_NOTFOUND;
    }
    if (len[1] > DATA_MAX || (uint64_t)len[0] + len[1] > db->size) {
        return broken(c);
    }
    char *p = pool_alloc(c->pool, (size_t)len[0] + len[1] + 1);
    if (!read_at(db, at + SLOT, p, (size_t)len[0] + len[1])) {
        return broken(c);
    }
    if (memcmp(p, c->key.p, len[0]) != 0) {
        return LK_NOTFOUND;
    }
    p[len[0] + len[1]] = '\0';
    c->data = str_n(p + len[0], len[1]);
    return LK_FOUND;
}

static enum lookup_result find_cdb(struct lookup_call *c)
{
    struct lookup_file *f = lookup_file_open(c, "cdb lookup", "cdb");
    uint32_t table[2], slot[2], hash = hash_of(c->key);
    if (!f) {
        return LK_ERROR;
    }
    const struct cdb db = {f->fd, (uint64_t)f->st.st_size};
    if (db.size < HEADER) {
        c->error = str_fmt(c->pool, "failed to open %.*s too short for cdb lookup: %s",
                           STR_ARG(c->file), strerror(0));
        return LK_ERROR;
    }
    if (!read_pair(&db, (uint64_t)(hash % TABLES) * SLOT, table)) {
        return broken(c);
    }
    for (uint32_t i = 0; i < table[1]; i++) {
        uint32_t at = (uint32_t)(((uint64_t)hash / TABLES + i) % table[1]);
        if (!read_pair(&db, table[0] + (uint64_t)at * SLOT, slot)) {
            return broken(c);
        }
        if (slot[1] == 0) {
            return LK_NOTFOUND;
        }
        enum lookup_result r = slot[0] == hash ? compare(c, &db, slot[1]) : LK_NOTFOUND;
        if (r != LK_NOTFOUND) {
            return r;
        }
    }
    return LK_NOTFOUND;
}

const struct lookup_driver lookup_cdb = {"cdb", LOOKUP_SINGLE_KEY | LOOKUP_ABSFILE, find_cdb, NULL};

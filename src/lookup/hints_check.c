/*
 * Whether the file of a hints database is sound: LMDB trusts its pages, and damaged ones can make it
 * write over its own memory. So the pages that the last transaction left are looked at first, by
 * what is known of the format (version 1, 64 bits): each has
 * its own number in it, parts lie within it, and the counts of pages and records are what the header
 * says. Nothing is followed that has not been checked.
 *
 * Reads by pread, so that a short file is an error and no signal. The caller holds the write lock:
 * what the last transaction left does not change.
 */
#include "lookup/internal.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PAGE_MAX = 65536,
    HEADER = 16, /* of a page */
    NODE = 8,    /* of a record in it */
    DEPTH_MAX = 32,
    /* kinds of pages */
    IS_BRANCH = 1,
    IS_LEAF = 2,
    IS_OVERFLOW = 4,
    IS_META = 8,
    KIND_MASK = 15,
    /* of a record: its data have pages of their own */
    IS_BIG = 1,
    META_MAGIC = (int)0xBEEFC0DE,
    FORMAT = 1,
};

#define NO_PAGE UINT64_MAX

struct page_head {
    uint64_t number;
    uint16_t pad, kind;
    uint16_t lower,
        upper; /* of an overflow page: both together are how many pages it goes on for */
};

struct node {
    uint16_t low, high, flags, key_len;
};

struct tree {
    uint32_t pad; /* of the first tree: the size of pages */
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};

struct meta {
    uint32_t magic, version;
    uint64_t address, map_size;
    struct tree trees[2]; /* free pages; records */
    uint64_t last_page, txn;
};

struct check {
    int fd;
    size_t page_size;
    uint64_t last_page; /* that was ever in use */
    uint64_t pages;     /* that the file has: nothing else bounds what a damaged one asks for */
    bool free_list;     /* the tree in hand is the one of free pages */
    struct tree seen;
};

static bool read_page(const struct check *c, uint64_t number, unsigned char *page)
{
    struct page_head head;
    if (number >= c->pages ||
        pread(c->fd, page, c->page_size, (off_t)(number * c->page_size)) != (ssize_t)c->page_size) {
        return false;
    }
    memcpy(&head, page, sizeof head);
    return head.number == number;
}

/* The list of free pages: how many, then they. */
static bool is_free_list(const struct check *c, const unsigned char *p, size_t len)
{
    uint64_t n, number;
    if (len < sizeof n) {
        return false;
    }
    memcpy(&n, p, sizeof n);
    if (n > len / sizeof n - 1) {
        return false;
    }
    for (uint64_t i = 1; i <= n; i++) {
        memcpy(&number, p + i * sizeof number, sizeof number);
        if (number < 2 || number > c->last_page) {
            return false;
        }
    }
    return true;
}

/* Data that begin on the page of that number and go on over the next ones. */
static bool big_sound(struct check *c, uint64_t first, size_t len)
{
    size_t pages = (HEADER - 1 + len) / c->page_size + 1, size = pages * c->page_size;
    struct page_head head;
    if (first >= c->pages || pages > c->pages - first) {
        return false;
    }
    unsigned char *data = malloc(size);
    bool ok = data && pread(c->fd, data, size, (off_t)(first * c->page_size)) == (ssize_t)size;
    if (ok) {
        memcpy(&head, data, sizeof head);
        ok = head.number == first && (head.kind & KIND_MASK) == IS_OVERFLOW &&
             (head.lower | (uint32_t)head.upper << 16) == pages &&
             (!c->free_list || is_free_list(c, data + HEADER, len));
    }
    free(data);
    c->seen.overflows += pages;
    return ok;
}

/* A record at that place of a leaf. */
static bool record_sound(struct check *c, const unsigned char *page, size_t at)
{
    struct node n;
    memcpy(&n, page + at, sizeof n);
    size_t len = n.low | (size_t)n.high << 16, data = at + NODE + n.key_len;
    uint64_t first;
    c->seen.entries++;
    if (n.flags == IS_BIG && data + sizeof first <= c->page_size) {
        memcpy(&first, page + data, sizeof first);
        return big_sound(c, first, len);
    }
    return n.flags == 0 && data + len <= c->page_size &&
           (!c->free_list || is_free_list(c, page + data, len));
}

static bool subtree_sound(struct check *c, uint64_t number, int depth);

/* What a branch has at that place: a key and the number of a page. */
static bool child_sound(struct check *c, const unsigned char *page, size_t at, int depth)
{
    struct node n;
    memcpy(&n, page + at, sizeof n);
    return at + NODE + n.key_len <= c->page_size &&
           subtree_sound(c, n.low | (uint64_t)n.high << 16 | (uint64_t)n.flags << 32, depth - 1);
}

static bool nodes_sound(struct check *c, const unsigned char *page, int depth)
{
    struct page_head head;
    memcpy(&head, page, sizeof head);
    bool ok = head.lower >= HEADER && head.lower <= head.upper && head.upper <= c->page_size;
    size_t n = ok ? (head.lower - HEADER) / sizeof(uint16_t) : 0;
    for (size_t i = 0; ok && i < n; i++) {
        uint16_t at;
        memcpy(&at, page + HEADER + i * sizeof at, sizeof at);
        ok = at >= head.upper && (size_t)at + NODE <= c->page_size &&
             (depth > 1 ? child_sound(c, page, at, depth) : record_sound(c, page, at));
    }
    return ok && n > 0;
}

static bool subtree_sound(struct check *c, uint64_t number, int depth)
{
    struct page_head head;
    unsigned char *page = malloc(c->page_size);
    bool ok = page && read_page(c, number, page);
    if (ok) {
        memcpy(&head, page, sizeof head);
        ok = (head.kind & KIND_MASK) == (depth > 1 ? IS_BRANCH : IS_LEAF) &&
             nodes_sound(c, page, depth);
    }
    (*(depth > 1 ? &c->seen.branches : &c->seen.leaves))++;
    free(page);
    return ok;
}

static bool tree_sound(struct check *c, const struct tree *t, bool free_list)
{
    if (t->root == NO_PAGE) {
        return t->entries == 0;
    }
    c->free_list = free_list;
    c->seen = (struct tree){0};
    return t->depth > 0 && t->depth <= DEPTH_MAX && subtree_sound(c, t->root, t->depth) &&
           c->seen.branches == t->branches && c->seen.leaves == t->leaves &&
           c->seen.overflows == t->overflows && c->seen.entries == t->entries;
}

static bool read_meta(int fd, off_t at, struct meta *m)
{
    struct page_head head;
    return pread(fd, &head, sizeof head, at) == sizeof head &&
           pread(fd, m, sizeof *m, at + HEADER) == sizeof *m && (head.kind & IS_META) &&
           m->magic == (uint32_t)META_MAGIC && m->version == FORMAT;
}

bool hints_file_sound(int fd)
{
    struct meta m[2];
    if (sizeof(size_t) != sizeof(uint64_t)) {
        return true;
    }
    struct stat st;
    if (fstat(fd, &st) < 0 || !read_meta(fd, 0, &m[0])) {
        return false;
    }
    size_t size = m[0].trees[0].pad;
    if (size < 256 || size > PAGE_MAX || !read_meta(fd, (off_t)size, &m[1])) {
        return false;
    }
    const struct meta *last = m[1].txn > m[0].txn ? &m[1] : &m[0];
    struct check c = {.fd = fd,
                      .page_size = size,
                      .last_page = last->last_page,
                      .pages = (uint64_t)st.st_size / size};
    return tree_sound(&c, &last->trees[0], true) && tree_sound(&c, &last->trees[1], false);
}

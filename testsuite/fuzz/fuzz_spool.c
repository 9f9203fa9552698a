/* Fuzz target: a spool file of a short message, as it is and with a sum that agrees. */
#include "mail/internal.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_slot(struct pool *pool, const char *p, size_t n)
{
    int fd = memfd_create("slot", MFD_CLOEXEC);
    struct spool_mark mark;
    struct str meta;
    char *room = pool_alloc(pool, SPOOL_SLOT);
    if (fd >= 0 && pwrite(fd, p, n, 0) == (ssize_t)n &&
        spool_slot_read(fd, room, &mark, &meta) == SLOT_GOOD) {
        struct message m = {0};
        spool_decode(pool, meta, &m);
    }
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool *pool = pool_new("fuzz");
    struct spool_mark mark;
    struct str all = str_n((const char *)data, size < SPOOL_SLOT ? size : SPOOL_SLOT);
    read_slot(pool, all.p, all.len);
    struct str text = str_sub(all, 0, SPOOL_MARK);
    if (spool_mark_read(text, &mark)) {
        char *p = pool_calloc(pool, 1, SPOOL_SLOT), good[SPOOL_MARK + 1];
        struct str rest = str_from(all, SPOOL_MARK);
        struct str body = str_sub(rest, 0, (size_t)mark.body_len), meta = str_from(rest, body.len);
        spool_mark_text(good, mark.id, body, body.len, meta);
        memcpy(p, good, SPOOL_MARK);
        memcpy(p + SPOOL_MARK, rest.p, rest.len);
        read_slot(pool, p, all.len);
    }
    pool_free(&pool);
    return 0;
}

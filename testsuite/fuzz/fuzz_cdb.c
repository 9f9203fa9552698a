/* Fuzz target: cdb files. The first bytes, up to a newline, are the key that is looked for. */
#include "lookup/internal.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    int fd = memfd_create("cdb", MFD_CLOEXEC);
    if (end && fd >= 0 && write_all(fd, end + 1, size - (size_t)(end + 1 - data)) == 0) {
        struct pool *pool = pool_new("fuzz");
        struct lookup_call c = {.pool = pool,
                                .file = str_fmt(pool, "/proc/self/fd/%d", fd),
                                .key = str_n((const char *)data, (size_t)(end - data))};
        volatile size_t sum = 0;
        if (lookup_cdb.find(&c) == LK_FOUND) {
            for (uint32_t i = 0; i < c.data.len; i++) {
                sum += (unsigned char)c.data.p[i];
            }
        }
        lookup_files_close();
        pool_free(&pool);
    }
    if (fd >= 0) {
        close(fd);
    }
    return 0;
}

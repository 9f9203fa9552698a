/* Fuzz target: answers of OCSP responders over HTTP. */
#include "tls/http.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool *pool = pool_new("fuzz");
    struct str body = STR_NONE, again, error;
    struct http_url url;
    volatile size_t sum = 0;
    int fd = memfd_create("answer", MFD_CLOEXEC);
    if (fd >= 0 && write_all(fd, data, size) == 0 && lseek(fd, 0, SEEK_SET) == 0) {
        struct stream *s = stream_new(pool, fd, -1);
        if (http_answer(pool, s, 4096, &body, &again, &error)) {
            sum += body.len + (!str_unset(again) && http_url(pool, again, &url));
        }
        stream_close(&s);
    }
    sum += http_url(pool, str_n((const char *)data, size), &url);
    pool_free(&pool);
    return 0;
}

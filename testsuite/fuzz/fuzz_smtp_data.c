/*
 * Fuzz target: the reader of message data. The first byte chooses the mode and the size of the
 * pieces. In SMTP mode a message that is not refused must end in CRLF.CRLF and at no other place.
 */
#include "smtp_in/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take(void *closure, const char *p, size_t n)
{
    size_t *total = closure;
    *total += n;
    return memchr(p, '\r', n) == NULL ? true : (abort(), false);
}

/* Where the first CRLF.CRLF ends (a dot at the very start counts); 0 if there is none. */
static size_t true_end(const char *p, size_t n)
{
    if (n >= 3 && memcmp(p, ".\r\n", 3) == 0) {
        return 3;
    }
    const char *at = memmem(p, n, "\r\n.\r\n", 5);
    return at ? (size_t)(at - p) + 5 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    size_t total = 0, at = 0, step = (size_t)(data[0] >> 2) + 1;
    struct data_reader r = {.mode = (enum data_mode)(data[0] & 3), .put = take, .closure = &total};
    const char *p = (const char *)data + 1;
    size--;
    while (at < size && !r.done) {
        size_t part = size - at < step ? size - at : step;
        size_t took = data_feed(&r, p + at, part);
        if (took > part || (took < part && !r.done)) {
            abort();
        }
        at += took;
    }
    if (r.mode == DATA_SMTP && r.done && !r.bad_end && at != true_end(p, size)) {
        abort();
    }
    if (r.mode == DATA_SMTP && !r.done && true_end(p, size)) {
        abort();
    }
    if (total > size + 1) {
        abort();
    }
    data_end(&r);
    return 0;
}

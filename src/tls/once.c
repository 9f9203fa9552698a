/*
 * What has been said already: complaints about files that every worker of a daemon would come
 * across by itself, and make again with each connection.
 *
 * The table is memory that processes forked later share; it is made by tls_once_prepare(), or else
 * when something is said first. It keeps hashes of the last texts, so a complaint that is lost from
 * it by many others is made once more, which is no harm.
 */
#include "tls/internal.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum { REMEMBERED = 256 };

struct table {
    atomic_uint next;
    _Atomic uint64_t hashes[REMEMBERED];
};

static struct table *said;

void tls_once_prepare(void)
{
    if (!said) {
        void *p =
            mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        said = p == MAP_FAILED ? NULL : p;
    }
}

bool tls_once(struct pool *pool, struct str text)
{
    uint64_t hash;
    tls_once_prepare();
    if (!said) {
        return true;
    }
    memcpy(&hash, digest(pool, DIGEST_SHA256, text).p, sizeof hash);
    for (size_t i = 0; i < REMEMBERED; i++) {
        if (atomic_load(&said->hashes[i]) == hash) {
            return false;
        }
    }
    atomic_store(&said->hashes[atomic_fetch_add(&said->next, 1) % REMEMBERED], hash);
    return true;
}

/*
 * Which files of the spool wait to be used again.
 *
 * A daemon's processes share a table of them: some places for each folder, each with the id that its
 * file had as a message (input/NN/ID-F). It is a hint. An entry whose file is gone costs its taker a
 * failed open; a file without an entry is removed by a queue run or the next start. A place belongs
 * to whoever has made it BUSY; one of a process that died meanwhile stays so. Processes without a
 * daemon have no table, and make and remove files as they need them.
 *
 * State of the process: the table.
 */
#include "mail/internal.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum { PLACES = 16 };
enum { EMPTY, BUSY, FULL };

struct place {
    atomic_uint state;
    char id[SPOOL_ID];
};

static struct place *table; /* SPOOL_DIRS times PLACES */

void spool_free_share(void)
{
    if (!table) {
        void *p = mmap(NULL, sizeof *table * SPOOL_DIRS * PLACES, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        table = p == MAP_FAILED ? NULL : p;
    }
}

/* Makes a place of the folder BUSY that was in the state; its index, -1 if there is none. */
static int get_busy(unsigned folder, unsigned state)
{
    for (unsigned i = folder * PLACES; table && i < (folder + 1) * PLACES; i++) {
        unsigned expected = state;
        if (atomic_load(&table[i].state) == state &&
            atomic_compare_exchange_strong(&table[i].state, &expected, BUSY)) {
            return (int)i;
        }
    }
    return -1;
}

int spool_free_reserve(unsigned folder)
{
    return get_busy(folder, EMPTY);
}

void spool_free_set(int place, struct str id)
{
    struct place *p = &table[place];
    bool full = !str_unset(id) && id.len < SPOOL_ID;
    if (full) {
        memcpy(p->id, id.p, id.len);
        p->id[id.len] = '\0';
    }
    atomic_store(&p->state, full ? FULL : EMPTY);
}

bool spool_free_take(unsigned folder, char id[SPOOL_ID])
{
    int place = get_busy(folder, FULL);
    if (place < 0) {
        return false;
    }
    memcpy(id, table[place].id, SPOOL_ID);
    atomic_store(&table[place].state, EMPTY);
    return true;
}

/*
 * The scoreboard: who of the daemon's processes is there, and what it does. It lies in shared
 * memory; nothing in it needs a lock, as each field has one writer. Counts are made by looking at
 * all slots, so that a process that dies at any moment leaves no wrong number behind.
 */
#include "main/daemon.h"

#include <stdatomic.h>
#include <sys/mman.h>

struct board *board_new(void)
{
    struct board *b =
        mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return b == MAP_FAILED ? NULL : b;
}

struct slot *board_take(struct board *b, enum job job, unsigned generation)
{
    for (int i = 0; i < MAX_PROCESSES; i++) {
        struct slot *s = &b->slots[i];
        if (s->job == JOB_NONE) {
            *s =
                (struct slot){.job = job, .generation = generation, .started = time_monotonic_ms()};
            if (i >= atomic_load(&b->used)) {
                atomic_store(&b->used, i + 1);
            }
            return s;
        }
    }
    return NULL;
}

struct slot *board_find(struct board *b, pid_t pid)
{
    for (int i = 0; i < atomic_load(&b->used); i++) {
        if (b->slots[i].job != JOB_NONE && b->slots[i].pid == pid) {
            return &b->slots[i];
        }
    }
    return NULL;
}

int board_count(const struct board *b, enum job job, unsigned generation, bool idle)
{
    int n = 0, used = atomic_load(&b->used);
    for (int i = 0; i < used; i++) {
        const struct slot *s = &b->slots[i];
        n += s->job == job && (generation == 0 || s->generation == generation) &&
             !(idle && atomic_load(&s->busy));
    }
    return n;
}

void board_connections(const struct board *b, const struct ip *ip, int *all, int *from_ip)
{
    int used = atomic_load(&b->used);
    *all = *from_ip = 0;
    for (int i = 0; i < used; i++) {
        const struct slot *s = &b->slots[i];
        if (s->job == JOB_RECEPTION && atomic_load(&s->busy)) {
            ++*all;
            *from_ip += s->peer.family == ip->family && memcmp(s->peer.b, ip->b, sizeof ip->b) == 0;
        }
    }
}

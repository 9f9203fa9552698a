/*
 * Listing the queue (-bp and its kin), in the form that tools read: age, size, id, sender, then one
 * line for each recipient. Messages are looked at without a lock.
 * One that vanishes meanwhile is left out; one that is damaged is listed as such.
 */
#include "queue/internal.h"

#include <stdio.h>
#include <unistd.h>

struct str list_age(struct pool *pool, int64_t seconds)
{
    int64_t n = seconds / 60;
    if (n <= 90) {
        return str_fmt(pool, "%2lldm", (long long)n);
    }
    n = (n + 30) / 60;
    return n <= 72 ? str_fmt(pool, "%2lldh", (long long)n)
                   : str_fmt(pool, "%2lldd", (long long)((n + 12) / 24));
}

struct str list_size(struct pool *pool, int64_t bytes)
{
    enum { KILO = 1024, MEGA = 1024 * 1024 };
    if (bytes < KILO) {
        return str_fmt(pool, "%5lld", (long long)bytes);
    }
    if (bytes < 10 * KILO) {
        return str_fmt(pool, "%4.1fK", (double)bytes / KILO);
    }
    if (bytes < MEGA) {
        return str_fmt(pool, "%4lldK", (long long)((bytes + KILO / 2) / KILO));
    }
    return bytes < 10 * (int64_t)MEGA
               ? str_fmt(pool, "%4.1fM", (double)bytes / MEGA)
               : str_fmt(pool, "%4lldM", (long long)((bytes + MEGA / 2) / MEGA));
}

static bool is_recipient(const struct message *m, struct str address)
{
    for (size_t i = 0; i < m->recipient_count; i++) {
        if (str_eqi(m->recipients[i].address, address)) {
            return true;
        }
    }
    return false;
}

static void print_recipients(const struct message *m, const struct queue_list_opts *o)
{
    for (size_t i = 0; i < m->recipient_count; i++) {
        struct str address = m->recipients[i].address;
        bool done = strvec_hasi(&m->delivered, address);
        if (!done || !o->recipients_only_undelivered) {
            printf("        %s %.*s\n", done ? "D" : " ", STR_ARG(address));
        }
    }
    for (size_t i = 0; o->all_recipients && i < m->delivered.n; i++) {
        if (!is_recipient(m, m->delivered.v[i])) {
            printf("       +D %.*s\n", STR_ARG(m->delivered.v[i]));
        }
    }
    printf("\n");
}

static void print_message(const struct message *m, struct str id, const struct queue_list_opts *o)
{
    struct str age = list_age(m->pool, queue_age(m)), size = list_size(m->pool, m->size);
    printf("%.*s %.*s %.*s <%.*s>", STR_ARG(age), STR_ARG(size), STR_ARG(id), STR_ARG(m->sender));
    if (m->sender_set_untrusted) {
        printf(" (%.*s)", STR_ARG(m->originator_login));
    }
    printf("%s\n", m->frozen ? " *** frozen ***" : "");
    print_recipients(m, o);
}

static void list_one(const struct config *conf, struct str id, const struct queue_list_opts *o)
{
    struct pool *pool = pool_new("queue list");
    struct message m = {.pool = pool};
    struct str error = STR("");
    switch (spool_peek(conf, id, &m, &error)) {
    case SPOOL_OK:
        print_message(&m, id, o);
        spool_close(&m);
        break;
    case SPOOL_GONE:
        if (o->ids.n) {
            printf("      %.*s\n    *** spool read error: No such file or directory ***\n\n",
                   STR_ARG(id));
        }
        break;
    default:
        printf("      %.*s\n    *** spool %s error: %.*s ***\n\n", STR_ARG(id),
               str_starts(error, "size=") ? "format" : "read", STR_ARG(error));
    }
    pool_free(&pool);
}

int queue_list(const struct config *conf, const struct queue_list_opts *o)
{
    struct pool *pool = pool_new("queue list");
    struct strvec ids = {.pool = pool};
    if (o->count) {
        printf("%zu\n", o->ids.n ? o->ids.n : spool_count(conf));
    } else if (o->ids.n) {
        ids = o->ids;
    } else {
        spool_list(conf, pool, &ids);
    }
    for (size_t i = 0; i < ids.n; i++) {
        list_one(conf, ids.v[i], o);
    }
    fflush(stdout);
    pool_free(&pool);
    return 0;
}

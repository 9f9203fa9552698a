/* Unit tests of told.c: what goes in comes out; what is cut short or altered is refused and alters nothing. */
#include "queue/internal.h"
#include "tls/tls.h"
#include "unit/unit.h"

#include <errno.h>

enum { COUNT = 3 };

/* One of the two processes: three addresses of a message. */
struct side {
    struct message m;
    struct job j;
    struct address a[COUNT];
    struct queue_note n[COUNT];
    struct vec all, group;
};

static void set_up(struct side *s)
{
    *s = (struct side){.m = {.pool = unit_pool()}};
    s->j = (struct job){.pool = unit_pool(), .m = &s->m, .group = &s->group};
    s->j.changes = map_new(unit_pool(), false);
    s->all.pool = s->group.pool = unit_pool();
    for (size_t i = 0; i < COUNT; i++) {
        s->a[i].address = STR("untouched");
        s->a[i].note = &s->n[i];
        s->n[i].place = i;
        vec_push(&s->all, &s->a[i]);
    }
}

/* The second and the first address were tried, in this order. */
static struct str told(struct side *child)
{
    struct tls_facts *facts = POOL_NEW(unit_pool(), struct tls_facts);
    struct host *host = POOL_NEW(unit_pool(), struct host);
    struct host *fallback = pool_calloc(unit_pool(), 2, sizeof *fallback);
    struct address *a = child->a;
    *facts = (struct tls_facts){.cipher = STR("TLS1.3:X:256"),
                                .bits = 256,
                                .peercert = str_n("\0\1\2", 3),
                                .verified = true,
                                .ocsp = OCSP_VERIFIED,
                                .backend = "gnutls"};
    *host = (struct host){.name = STR("mx.ex"), .address = STR("10.0.0.1"), .port = 26, .mx = -1};
    fallback[0] = (struct host){.next = &fallback[1], .name = STR("f1")};
    fallback[1] = (struct host){.name = STR("f2"), .dnssec = true};
    a[1] = (struct address){.next = &a[0],
                            .note = &child->n[1],
                            .outcome = ADDR_OK,
                            .host_used = host,
                            .host_used_port = 26,
                            .confirmation = str_taint(STR("250 ok")),
                            .tls = facts,
                            .dsn_relayed = true,
                            .ended = {1234, 999999999}};
    child->n[1].by_child = true;
    child->n[1].sending_ip = STR("10.0.0.2");
    a[0].outcome = ADDR_DEFER;
    a[0].basic_errno = ERRNO_RCPT4XX;
    a[0].more_errno = -1;
    a[0].message = STR("");
    a[0].fallback_hosts = fallback;
    a[0].next = NULL;
    struct retry_change c = {.key = STR("T:mx.ex:10.0.0.1"), .basic_errno = ETIMEDOUT};
    vec_push(&child->group, retry_note(&child->j, &c));
    c = (struct retry_change){.key = STR("T:other"), .remove = true};
    retry_note(&child->j, &c);
    return told_encode(&child->j, &a[1]);
}

TEST(told_and_heard)
{
    struct side child, parent;
    struct address *group = NULL;
    set_up(&child);
    set_up(&parent);
    struct str data = told(&child), twice = STR_CAT(unit_pool(), data, data);
    CHECK(told_length(data) == data.len);
    CHECK(told_decode(&parent.j, &twice, &parent.all, &group) == TOLD_GOOD);
    CHECK(twice.len == data.len);
    const struct address *a = parent.a;
    CHECK(group == &a[1] && a[1].next == &a[0] && !a[0].next);
    CHECK(!parent.all.v[0] && !parent.all.v[1] && parent.all.v[2] == &a[2]);
    CHECK(a[1].outcome == ADDR_OK && a[1].dsn_relayed && a[1].host_used_port == 26);
    CHECK_STR(a[1].address, "untouched");
    CHECK_STR(a[1].confirmation, "250 ok");
    CHECK(a[1].confirmation.tainted && str_unset(a[1].message));
    CHECK(a[1].ended.tv_sec == 1234 && a[1].ended.tv_nsec == 999999999);
    CHECK_STR(a[1].host_used->address, "10.0.0.1");
    CHECK(a[1].host_used->mx == -1 && !a[1].host_used->next);
    CHECK(a[1].tls->peercert.len == 3 && a[1].tls->ocsp == OCSP_VERIFIED && a[1].tls->verified);
    CHECK_STR(str_c(a[1].tls->backend), "gnutls");
    CHECK(a[1].note->by_child && !a[0].note->by_child);
    CHECK_STR(a[1].note->sending_ip, "10.0.0.2");
    CHECK(a[0].outcome == ADDR_DEFER && a[0].basic_errno == ERRNO_RCPT4XX);
    CHECK(a[0].more_errno == -1 && !a[0].host_used && !a[0].tls);
    CHECK(!str_unset(a[0].message) && !a[0].message.tainted);
    CHECK_STR(a[0].fallback_hosts->next->name, "f2");
    CHECK(a[0].fallback_hosts->next->dnssec && !a[0].fallback_hosts->next->next);
    CHECK(map_count(parent.j.changes) == 2 && a[0].note->group == a[1].note->group);
    CHECK(a[0].note->group->n == 1);
    CHECK(a[0].note->group->v[0] == map_get(parent.j.changes, STR("T:mx.ex:10.0.0.1")));
    /* of addresses that are ended nothing more is heard */
    CHECK(told_decode(&parent.j, &twice, &parent.all, &group) == TOLD_BAD);
}

static bool untouched(const struct side *s)
{
    return s->all.v[0] == &s->a[0] && s->all.v[1] == &s->a[1] && map_count(s->j.changes) == 0 &&
           s->a[0].outcome == ADDR_PENDING && s->a[1].outcome == ADDR_PENDING;
}

TEST(told_in_part)
{
    struct side child, parent;
    struct address *group;
    set_up(&child);
    set_up(&parent);
    struct str data = told(&child);
    for (uint32_t n = 0; n < data.len; n++) {
        struct str part = str_sub(data, 0, n);
        CHECK(told_decode(&parent.j, &part, &parent.all, &group) == TOLD_PART);
        CHECK(part.len == n);
    }
    CHECK(untouched(&parent));
}

/* Each byte altered: either the whole is refused, or it was a byte of a value. */
TEST(told_wrongly)
{
    static const char with[] = {0, 1, 2, 5, 127, -128, -1};
    struct side child;
    set_up(&child);
    struct str data = told(&child);
    size_t refused = 0;
    for (uint32_t at = 0; at < data.len; at++) {
        for (size_t i = 0; i < sizeof with; i++) {
            struct side parent;
            struct address *group;
            struct pool_mark mark = pool_mark(unit_pool());
            char *bytes = pool_alloc(unit_pool(), data.len);
            memcpy(bytes, data.p, data.len);
            bytes[at] = with[i];
            struct str altered = str_n(bytes, data.len);
            set_up(&parent);
            if (told_decode(&parent.j, &altered, &parent.all, &group) != TOLD_GOOD) {
                refused++;
                CHECK(untouched(&parent));
            }
            pool_release(unit_pool(), mark);
        }
    }
    CHECK(refused > data.len); /* lengths, counts, flags and enumerations are most of it */
}

/* Unit tests of the spool on a real directory: commit, claim, journal, update, leftovers, removal. */
#include "mail/internal.h"
#include "tls/tls.h"
#include "unit/unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct core_settings core;
static struct mail_settings mail;

/* A configuration whose spool is a fresh directory. */
static struct config *fresh(void)
{
    struct config *conf = POOL_NEW(unit_pool(), struct config);
    core = (struct core_settings){.message_logs = true};
    mail = (struct mail_settings){.message_body_visible = 500};
    core.spool_directory = unit_dir();
    conf->settings[ROOM_CORE] = &core;
    conf->settings[ROOM_MAIL] = &mail;
    return conf;
}

static struct str new_message(const struct config *conf, size_t body, int recipients)
{
    struct session s = {.pool = unit_pool(), .host_address = STR("10.0.0.1")};
    struct message m = {.pool = unit_pool(), .sender = STR("a@b"), .session_facts = &s};
    struct spool_writer *w = spool_begin(conf, &m);
    m.acl_m.pool = m.acl_c.pool = unit_pool();
    char *data = pool_alloc(unit_pool(), body + 1);
    memset(data, 'x', body);
    CHECK(spool_write(w, data, body));
    message_add_header(&m, 'F', STR("From: a@b\n"));
    for (int i = 0; i < recipients; i++) {
        message_add_recipient(&m, str_fmt(unit_pool(), "r%d@s", i));
    }
    char c;
    CHECK(body == 0 || (spool_writer_read(w, (int64_t)body - 1, &c, 1) == 1 && c == 'x'));
    CHECK(spool_commit(&w, &m) && w == NULL);
    return m.id;
}

static size_t queued(const struct config *conf)
{
    struct strvec ids = {.pool = unit_pool()};
    spool_list(conf, unit_pool(), &ids);
    return ids.n;
}

TEST(spool_small_and_large)
{
    static const size_t sizes[] = {0,      1, 4096, SPOOL_SMALL - 1, SPOOL_SMALL, SPOOL_SMALL + 1,
                                   1000000};
    struct config *conf = fresh();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct str id = new_message(conf, sizes[i], 1), error;
        struct message m = {.pool = unit_pool()};
        char c[2];
        CHECK(spool_load(conf, id, &m, &error) == SPOOL_OK);
        CHECK_STR(m.sender, "a@b");
        CHECK(m.recipient_count == 1 && m.headers && m.deliver_firsttime);
        CHECK_STR(m.session_facts->host_address, "10.0.0.1");
        CHECK(spool_body_read(&m, (int64_t)sizes[i], c, 2) == 0);
        CHECK(sizes[i] == 0 || spool_body_read(&m, (int64_t)sizes[i] - 1, c, 2) == 1);
        spool_remove(&m);
        CHECK(m.spool == NULL && queued(conf) == 0);
    }
}

TEST(spool_facts_of_tls_come_back)
{
    static const char der[] = "0\n\0\x82";
    struct tls_facts f = {.cipher = STR("TLS1.3:X:256"),
                          .version = STR("TLS1.3"),
                          .bits = 256,
                          .peerdn = STR("CN=a\nb"),
                          .peercert = str_n(der, sizeof der),
                          .verified = true,
                          .ocsp = OCSP_VERIFIED,
                          .resumption = RESUME_SUPPORTED | RESUME_RESUMED,
                          .backend = "gnutls"};
    struct session s = {.pool = unit_pool(), .tls = &f}, clear = {.pool = unit_pool()};
    struct message m = {
        .pool = unit_pool(), .id = STR("1abcde-00000000001-0001"), .session_facts = &s};
    struct message back = {.pool = unit_pool()};
    m.acl_m.pool = m.acl_c.pool = unit_pool();
    CHECK(spool_decode(unit_pool(), spool_encode(unit_pool(), &m), &back));
    const struct tls_facts *b = back.session_facts->tls;
    CHECK(b != NULL);
    if (!b) {
        return;
    }
    CHECK(b->bits == 256 && b->verified && b->ocsp == OCSP_VERIFIED);
    CHECK(b->resumption == f.resumption && str_eq(b->peercert, f.peercert));
    CHECK_STR(b->cipher, "TLS1.3:X:256");
    CHECK_STR(b->peerdn, "CN=a\nb");
    CHECK(str_is(str_c(b->backend), "gnutls") && str_unset(b->sni) && b->peerdn.tainted);
    m.session_facts = &clear;
    back = (struct message){.pool = unit_pool()};
    CHECK(spool_decode(unit_pool(), spool_encode(unit_pool(), &m), &back));
    CHECK(back.session_facts->tls == NULL);
}

TEST(spool_numbers_come_back)
{
    struct session s = {.pool = unit_pool(), .host_port = 65535}, other = {0};
    struct message m = {
        .pool = unit_pool(), .id = STR("1abcde-00000000001-0001"), .session_facts = &s};
    struct message back = {.pool = unit_pool(), .session_facts = &other};
    m.acl_m.pool = m.acl_c.pool = unit_pool();
    m.size = INT64_MIN + 1;
    m.body_size = INT64_MAX;
    m.body_lines = -7;
    m.originator_uid = UINT32_MAX;
    m.received = (struct timespec){1700000000, 999999000};
    CHECK(spool_decode(unit_pool(), spool_encode(unit_pool(), &m), &back));
    CHECK(back.size == INT64_MIN + 1 && back.body_size == INT64_MAX && back.body_lines == -7);
    CHECK(back.originator_uid == UINT32_MAX && back.session_facts->host_port == 65535);
    CHECK(back.received.tv_sec == 1700000000 && back.received.tv_nsec == 999999000);
    /* records in another order than they are written in */
    CHECK(spool_decode(unit_pool(), STR("lines 2:12\nid 23:1abcde-00000000001-0001\n"), &back));
    CHECK(back.line_count == 12);
    CHECK(!spool_decode(unit_pool(), STR("id 23:1abcde-00000000001-0001\nnone 1:1\n"), &back));
}

TEST(spool_claim_is_exclusive)
{
    struct config *conf = fresh();
    struct str id = new_message(conf, 10, 1), error;
    struct message a = {.pool = unit_pool()}, b = {.pool = unit_pool()}, c = {.pool = unit_pool()};
    CHECK(spool_load(conf, id, &a, &error) == SPOOL_OK);
    CHECK(spool_load(conf, id, &b, &error) == SPOOL_LOCKED);
    CHECK(spool_peek(conf, id, &c, &error) == SPOOL_OK);
    spool_close(&c);
    spool_remove(&a);
    CHECK(spool_load(conf, id, &b, &error) == SPOOL_GONE);
}

TEST(spool_journal_and_update)
{
    struct config *conf = fresh();
    struct str id = new_message(conf, 10, 2), error;
    struct message a = {.pool = unit_pool()}, b = {.pool = unit_pool()};
    CHECK(spool_load(conf, id, &a, &error) == SPOOL_OK);
    CHECK(spool_delivered(&a, STR("r0@s\nD evil")));
    a.frozen = true;
    a.frozen_at = 12345;
    a.warning_count = 2;
    a.deliver_firsttime = false;
    a.sender = STR("new@s");
    message_add_recipient(&a, STR("added@s"))->errors_to = STR("e@s");
    CHECK(spool_update(&a));
    spool_close(&a);
    CHECK(spool_load(conf, id, &b, &error) == SPOOL_OK);
    CHECK(b.delivered.n == 1 && strvec_has(&b.delivered, STR("r0@s\nD evil")));
    CHECK(b.frozen && b.frozen_at == 12345 && b.warning_count == 2 && !b.deliver_firsttime);
    CHECK_STR(b.sender, "new@s");
    CHECK(b.recipient_count == 3);
    CHECK_STR(b.recipients[2].errors_to, "e@s");
    b.frozen = false;
    b.manually_thawed = true;
    CHECK(spool_update(&b));
    spool_close(&b);
    struct message c = {.pool = unit_pool()};
    CHECK(spool_load(conf, id, &c, &error) == SPOOL_OK && !c.frozen && c.manually_thawed);
    spool_remove(&c);
    struct str dir = spool_dir(conf, unit_pool(), id);
    CHECK(access(spool_name(unit_pool(), dir, id, "-J").p, F_OK) < 0);
}

TEST(spool_damage_and_leftovers)
{
    struct config *conf = fresh();
    struct str id = new_message(conf, 100000, 1), error;
    struct str path = spool_name(unit_pool(), spool_dir(conf, unit_pool(), id), id, "");
    /* the end is there, what is before it is not what was written */
    int fd = open(path.p, O_WRONLY);
    CHECK(fd >= 0 && pwrite(fd, "?", 1, 100001) == 1 && close(fd) == 0);
    struct message m = {.pool = unit_pool()};
    CHECK(spool_load(conf, id, &m, &error) == SPOOL_DAMAGED);
    CHECK(str_starts(error, "size="));
    /* without its end it may be on its way, and is no message yet */
    CHECK(truncate(path.p, 99990) == 0);
    CHECK(spool_load(conf, id, &m, &error) == SPOOL_GONE);
    spool_tidy(conf);
    CHECK(queued(conf) == 1);
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    CHECK(utimensat(AT_FDCWD, path.p, old, 0) == 0);
    spool_tidy(conf);
    CHECK(queued(conf) == 0);
}

TEST(spool_abort_leaves_nothing)
{
    struct config *conf = fresh();
    struct message m = {.pool = unit_pool()};
    struct spool_writer *w = spool_begin(conf, &m);
    char *data = pool_alloc(unit_pool(), 200000);
    memset(data, 'y', 200000);
    CHECK(spool_write(w, data, 200000) && queued(conf) == 1);
    spool_abort(&w);
    CHECK(w == NULL && queued(conf) == 0);
}

TEST(ids_are_unique_and_sorted)
{
    struct config *conf = fresh();
    struct timespec now = time_now();
    struct str last = message_id_new(unit_pool(), conf, &now);
    for (int i = 0; i < 1000; i++) {
        struct str id = message_id_new(unit_pool(), conf, &now);
        CHECK(message_id_valid(id) && str_cmp(last, id) < 0);
        last = id;
    }
    core.message_id_compat = STR("4.96");
    CHECK(message_id_new(unit_pool(), conf, &now).len == 16);
}

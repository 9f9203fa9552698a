/* Unit tests of ticket_file.c and of the choice of a key in tickets.c. */
#include "unit/unit.h"
#include "tls/internal.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define C "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static bool reads(const char *text, struct tls_secrets *out)
{
    struct str why = STR_NONE;
    bool ok = tls_keys_parse(unit_pool(), str_c(text), out, &why);
    CHECK(ok == str_unset(why));
    return ok;
}

TEST(ticket_file)
{
    struct tls_secrets s;
    CHECK(reads("# keys\n\nopen " A " # of yesterday\n\t seal\t" B "\r\nopen " C, &s));
    CHECK(s.n == 3 && s.v[0][0] == 0xbb);
    CHECK(s.v[0][31] == 0xbb && s.v[2][0] == 0x01 && s.v[1][0] == 0xaa);
    CHECK(reads("seal " A "\n", &s) && s.n == 1);
}

TEST(ticket_file_refused)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "no key to seal with"},
        {"# nothing\n", "no key to seal with"},
        {"open " A "\n", "no key to seal with"},
        {"seal " A "\nseal " B "\n", "line 2: a second key to seal with"},
        {"seal " A "\nopen " A "\n", "line 2: the key stands in the file already"},
        {"open " A "\nseal " A "\n", "line 2: the key stands in the file already"},
        {"seal\n", "line 1: neither \"seal\" nor \"open\" begins it"},
        {"seal" A "\n", "line 1: neither \"seal\" nor \"open\" begins it"},
        {"key " A "\n", "line 1: neither \"seal\" nor \"open\" begins it"},
        {"\nseal " A "0\n", "line 2: the key is not of 64 hexadecimal digits"},
        {"seal abc\n", "line 1: the key is not of 64 hexadecimal digits"},
        {"seal g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
         "line 1: the key is not of 64 hexadecimal digits"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tls_secrets s;
        struct str why = STR_NONE;
        CHECK(!tls_keys_parse(unit_pool(), str_c(rows[i].text), &s, &why));
        CHECK_STR(why, rows[i].why);
    }
    struct buf b;
    struct tls_secrets s;
    struct str why = STR_NONE;
    buf_init(&b, unit_pool(), SIZE_MAX);
    buf_addz(&b, "seal " A "\n");
    for (int i = 1; i < TLS_SECRETS; i++) {
        buf_addf(&b, "open %064x\n", (unsigned)i);
    }
    CHECK(tls_keys_parse(unit_pool(), buf_str(&b), &s, &why) && s.n == TLS_SECRETS);
    buf_addz(&b, "open " B "\n");
    CHECK(!tls_keys_parse(unit_pool(), buf_str(&b), &s, &why));
    CHECK_STR(why, "line 17: too many keys");
}

/* A connection as far as the choice of a key looks at it. */
static struct tls *connection(const char *sni, const char *identity)
{
    struct tls *t = POOL_NEW(unit_pool(), struct tls);
    t->pool = unit_pool();
    t->side = POOL_NEW(unit_pool(), struct tls_side);
    t->facts = POOL_NEW(unit_pool(), struct tls_facts);
    t->facts->sni = str_c(sni);
    t->credentials = POOL_NEW(unit_pool(), struct tls_credentials);
    t->credentials->identity = str_c(identity);
    return t;
}

TEST(ticket_choice)
{
    struct tls_secrets s, other;
    struct tls_ticket_key now, next, found;
    struct tls *t = connection("mx.test.ex", "one");
    CHECK(reads("seal " A "\nopen " B "\n", &s) && reads("seal " B "\nopen " A "\n", &other));
    CHECK(tls_ticket_choose(t, &s, NULL, &now) == TLS_TICKET_GOOD);
    CHECK(tls_ticket_choose(t, &s, now.name, &found) == TLS_TICKET_GOOD);
    CHECK(memcmp(&now, &found, sizeof now) == 0);

    /* another server of the cluster, one step further */
    CHECK(tls_ticket_choose(t, &other, NULL, &next) == TLS_TICKET_GOOD);
    CHECK(memcmp(now.name, next.name, sizeof now.name) != 0);
    CHECK(tls_ticket_choose(t, &other, now.name, &found) == TLS_TICKET_RENEW);
    CHECK(tls_ticket_choose(t, &s, next.name, &found) == TLS_TICKET_RENEW);
    CHECK(memcmp(&next, &found, sizeof next) == 0);

    /* what is not the same server opens nothing */
    CHECK(tls_ticket_choose(connection("MX.test.ex", "one"), &s, now.name, &found) ==
          TLS_TICKET_GOOD);
    CHECK(tls_ticket_choose(connection("www.test.ex", "one"), &s, now.name, &found) ==
          TLS_TICKET_NONE);
    CHECK(tls_ticket_choose(connection("mx.test.ex", "two"), &s, now.name, &found) ==
          TLS_TICKET_NONE);
    t->side->verify = TLS_VERIFY_MUST;
    CHECK(tls_ticket_choose(t, &s, now.name, &found) == TLS_TICKET_NONE);
}

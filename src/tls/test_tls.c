/*
 * Two sides of a connection over a socket pair, each side by each library: what is agreed on, what
 * a certificate means, and the words for what goes wrong.
 */
#include "unit/unit.h"

#include "tls/internal.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PKI "aux-fixed/pki/a/"

/* Just enough of a configuration for a host name. */
static struct config *test_config(void)
{
    struct config *conf = POOL_NEW(unit_pool(), struct config);
    struct core_settings *core = POOL_NEW(unit_pool(), struct core_settings);
    core->primary_hostname = STR("host.test");
    conf->pool = unit_pool();
    conf->settings[ROOM_CORE] = core;
    conf->settings[ROOM_TLS] = POOL_NEW(unit_pool(), struct tls_settings);
    return conf;
}

static struct tls_side side_of(const struct tls_backend *b, bool server)
{
    struct tls_side s = {.conf = test_config(), .server = server, .timeout = 5};
    s.backend = str_c(b->name);
    s.names.pool = unit_pool();
    return s;
}

/* The server of a pair in a process of its own: echoes a line. The exit status says what it saw. */
static void serve(int fd, struct tls_side *side)
{
    struct tls_facts *facts;
    struct tls_error error;
    const char *p;
    size_t n;
    struct stream *s = stream_new(unit_pool(), fd, fd);
    stream_timeout(s, 5);
    if (!tls_start(unit_pool(), s, side, &facts, &error)) {
        stream_close(&s);
        _exit(1);
    }
    while (stream_peek(s, &p, &n)) {
        stream_write(s, p, n);
        stream_flush(s);
        stream_consume(s, n);
    }
    bool clean = stream_error(s) == 0;
    stream_close(&s);
    _exit(clean ? 0 : 2);
}

/* What a client saw of a server. */
struct meeting {
    bool ok;
    struct tls_facts *facts;
    struct tls_error error;
    int server;        /* its exit status */
    struct str record; /* of the session, to resume it */
};

static struct meeting meet(struct tls_side *server, struct tls_side *client)
{
    int fd[2], status = -1;
    struct meeting m = {.ok = false};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(fd[1]);
        serve(fd[0], server);
    }
    close(fd[0]);
    struct stream *s = stream_new(unit_pool(), fd[1], fd[1]);
    stream_timeout(s, 5);
    m.ok = tls_start(unit_pool(), s, client, &m.facts, &m.error);
    if (m.ok) {
        CHECK(!stream_pending(s));
        CHECK(stream_puts(s, STR("x")) && stream_flush(s) && stream_getc(s) == 'x');
        if (client->resume && !tls_session_record(unit_pool(), m.facts, &m.record)) {
            m.record = STR_NONE;
        }
    }
    stream_close(&s);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    m.server = WEXITSTATUS(status);
    return m;
}

static void each_pair(void (*run)(struct tls_side server, struct tls_side client))
{
    for (size_t i = 0; tls_backends[i]; i++) {
        for (size_t j = 0; tls_backends[j]; j++) {
            run(side_of(tls_backends[i], true), side_of(tls_backends[j], false));
        }
    }
}

static void self_signed(struct tls_side server, struct tls_side client)
{
    client.sni = STR("host.test");
    struct meeting m = meet(&server, &client);
    CHECK(m.ok && m.server == 0);
    if (m.ok) {
        CHECK_STR(m.facts->version, "TLS1.3");
        CHECK_STR(m.facts->sni, "host.test");
        CHECK(str_starts(m.facts->cipher, "TLS1.3:") && m.facts->bits >= 128);
        CHECK(str_starts(m.facts->cipher_std, "TLS_"));
        CHECK(!m.facts->verified && m.facts->peercert.len && str_unset(m.facts->ourcert));
        CHECK(m.facts->ocsp == OCSP_NOT_REQUESTED && !(m.facts->resumption & RESUME_RESUMED));
    }
}

TEST(tls_self_signed)
{
    each_pair(self_signed);
}

static void required_but_self_signed(struct tls_side server, struct tls_side client)
{
    client.verify = TLS_VERIFY_MUST;
    client.verify_certificates = STR("system");
    struct meeting m = meet(&server, &client);
    CHECK(!m.ok && m.server == 1 && m.error.fault == TLS_FAULT_VERIFY);
    CHECK(str_starts(m.error.text, "(certificate verification failed): "));
}

TEST(tls_self_signed_is_refused)
{
    each_pair(required_but_self_signed);
}

static void silent_peer(struct tls_side server, struct tls_side client)
{
    int fd[2];
    (void)server;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    struct stream *s = stream_new(unit_pool(), fd[0], fd[0]);
    struct tls_facts *facts;
    struct tls_error error;
    client.timeout = 1;
    CHECK(!tls_start(unit_pool(), s, &client, &facts, &error));
    CHECK(error.fault == TLS_FAULT_TIMEOUT && str_ends(error.text, STR("): timed out")));
    stream_close(&s);
    close(fd[1]);
}

TEST(tls_silent_peer)
{
    for (size_t i = 0; tls_backends[i]; i++) {
        silent_peer(side_of(tls_backends[i], true), side_of(tls_backends[i], false));
    }
}

static void not_tls(struct tls_side server, struct tls_side client)
{
    int fd[2];
    (void)client;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    struct stream *s = stream_new(unit_pool(), fd[0], fd[0]);
    struct tls_facts *facts;
    struct tls_error error;
    CHECK(write(fd[1], "EHLO client.test.ex\r\nMAIL FROM:<>\r\n", 35) == 35);
    CHECK(!tls_start(unit_pool(), s, &server, &facts, &error));
    CHECK(error.fault == TLS_FAULT_HANDSHAKE);
    CHECK(str_find(error.text, STR("what the peer sent is not TLS")) > 0);
    stream_close(&s);
    close(fd[1]);
}

TEST(tls_what_is_not_tls)
{
    for (size_t i = 0; tls_backends[i]; i++) {
        not_tls(side_of(tls_backends[i], true), side_of(tls_backends[i], false));
    }
}

/* What a client that insists makes of servers' certificates; NULL words: content. */
static const struct {
    const char *cert, *key, *crl, *words;
} certificates[] = {
    {"server1.chain.pem", "server1.key", NULL, NULL},
    {"server1-ec.chain.pem", "server1-ec.key", NULL, NULL},
    {"server1-ed.chain.pem", "server1-ed.key", NULL, NULL},
    {"wildcard.chain.pem", "wildcard.key", NULL, NULL},
    {"server1.both.pem", NULL, NULL, NULL},
    {"cn-only.chain.pem", "cn-only.key", NULL, NULL},
    {"server1.chain.pem", "server1.key", "crl.pem", NULL},
    {"revoked.chain.pem", "revoked.key", NULL, NULL},
    {"revoked.chain.pem", "revoked.key", "crl.pem", "certificate has been revoked"},
    {"server1.chain.pem", "server1.key", "crl-expired.pem",
     "no current revocation list of the issuer"},
    {"wrongname.chain.pem", "wrongname.key", NULL, "certificate name mismatch"},
    {"expired.chain.pem", "expired.key", NULL, "certificate has expired"},
    {"notyet.chain.pem", "notyet.key", NULL, "certificate is not yet valid"},
    {"selfsigned.pem", "selfsigned.key", NULL, "certificate is self-signed"},
    {"../b/server1.chain.pem", "../b/server1.key", NULL,
     "issuer of the certificate is not trusted"},
    {"server1.pem", "server1.key", NULL, "issuer of the certificate is not trusted"},
};

static struct str pki(const char *name)
{
    return name ? STR_CAT(unit_pool(), STR(PKI), str_c(name)) : STR_NONE;
}

static void insists(struct tls_side server, struct tls_side client)
{
    for (size_t i = 0; i < ARRAY_LEN(certificates); i++) {
        struct tls_side srv = server, cli = client;
        srv.certificate = pki(certificates[i].cert);
        srv.privatekey = pki(certificates[i].key);
        cli.verify = TLS_VERIFY_MUST;
        cli.verify_certificates = pki("root.pem");
        cli.crl = pki(certificates[i].crl);
        cli.names = (struct strvec){.pool = unit_pool()};
        strvec_push(&cli.names, STR("server1.example.com"));
        struct meeting m = meet(&srv, &cli);
        if (!certificates[i].words) {
            CHECK(m.ok && m.server == 0 && m.facts->verified && m.facts->peerdn.len);
        } else if (CHECK(!m.ok && m.server == 1 && m.error.fault == TLS_FAULT_VERIFY)) {
            struct str want = str_fmt(unit_pool(), "(certificate verification failed): %s",
                                      certificates[i].words);
            CHECK_STR(str_sub(m.error.text, 0, want.len), want.p);
        }
        if (m.ok == (certificates[i].words != NULL)) {
            fprintf(stderr, "  %s to %s: %s: %.*s\n", client.backend.p, server.backend.p,
                    certificates[i].cert, STR_ARG(m.error.text));
        }
    }
}

TEST(tls_certificates)
{
    each_pair(insists);
}

/* A client may fail to show a certificate; a server that only tries takes it all the same. */
static void asks_clients(struct tls_side server, struct tls_side client)
{
    static const struct {
        const char *name;
        enum tls_verify verify;
        bool ok;
    } clients[] = {
        {"client1", TLS_VERIFY_MUST, true},
        {"client2", TLS_VERIFY_MUST, false},
        {"client2", TLS_VERIFY_TRY, true},
        {"../b/client3", TLS_VERIFY_MUST, false},
        {"client-revoked", TLS_VERIFY_MUST, false},
        {NULL, TLS_VERIFY_MUST, false},
        {NULL, TLS_VERIFY_TRY, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        struct tls_side srv = server, cli = client;
        srv.certificate = pki("server1.chain.pem");
        srv.privatekey = pki("server1.key");
        srv.verify = clients[i].verify;
        srv.verify_certificates = pki("root.pem");
        srv.crl = pki("crl.pem");
        if (clients[i].name) {
            cli.certificate =
                STR_CAT(unit_pool(), STR(PKI), str_c(clients[i].name), STR(".chain.pem"));
            cli.privatekey = STR_CAT(unit_pool(), STR(PKI), str_c(clients[i].name), STR(".key"));
        }
        /* with TLS 1.3 a client learns of it only when it reads: what the server says counts */
        int fd[2], status = -1;
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            close(fd[1]);
            serve(fd[0], &srv);
        }
        close(fd[0]);
        struct stream *s = stream_new(unit_pool(), fd[1], fd[1]);
        struct tls_facts *facts;
        struct tls_error error;
        stream_timeout(s, 5);
        bool met = tls_start(unit_pool(), s, &cli, &facts, &error) && stream_puts(s, STR("x")) &&
                   stream_flush(s) && stream_getc(s) == 'x';
        CHECK(met == clients[i].ok);
        stream_close(&s);
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == (clients[i].ok ? 0 : 1));
        if (met != clients[i].ok) {
            fprintf(stderr, "  %s to %s: client %zu\n", client.backend.p, server.backend.p, i);
        }
    }
}

TEST(tls_client_certificates)
{
    each_pair(asks_clients);
}

/* The facts of a resumed session are those of the one that was made in full. */
static void resumes(struct tls_side server, struct tls_side client)
{
    static const struct {
        const char *server, *client; /* cipher lists that leave one version only */
        const char *version;
    } versions[] = {{"", "", "TLS1.3"}, {"-tls1.3", "-tls1.3", "TLS1.2"}};
    server.certificate = pki("server1.chain.pem");
    server.privatekey = pki("server1.key");
    server.verify = client.verify = TLS_VERIFY_MUST;
    server.verify_certificates = client.verify_certificates = pki("root.pem");
    client.certificate = pki("client1.chain.pem");
    client.privatekey = pki("client1.key");
    client.sni = STR("server1.example.com");
    server.resume = client.resume = true;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        if (*versions[i].client) {
            bool gnutls = str_is(client.backend, "gnutls");
            client.require_ciphers = gnutls ? STR("NORMAL:-VERS-TLS1.3") : STR_NONE;
            client.openssl_options = STR("+no_tlsv1_3");
        }
        struct meeting first = meet(&server, &client);
        CHECK(first.ok && first.server == 0 && first.record.len);
        CHECK(!(first.facts->resumption & RESUME_RESUMED));
        CHECK_STR(first.facts->version, versions[i].version);
        struct tls_side again = client;
        again.session = first.record;
        struct meeting second = meet(&server, &again);
        CHECK(second.ok && second.server == 0);
        CHECK(second.facts->resumption & RESUME_RESUMED);
        CHECK(second.facts->verified);
        CHECK(str_eq(second.facts->cipher, first.facts->cipher));
        CHECK(str_eq(second.facts->peercert, first.facts->peercert));
        CHECK(str_eq(second.facts->peerdn, first.facts->peerdn));

        again.session = str_sub(first.record, 0, first.record.len - 1);
        struct meeting cut = meet(&server, &again);
        CHECK(cut.ok && !(cut.facts->resumption & RESUME_RESUMED));

        char *damaged = pool_alloc(unit_pool(), first.record.len);
        memcpy(damaged, first.record.p, first.record.len);
        damaged[first.record.len - 60] ^= 1;
        again.session = str_n(damaged, first.record.len);
        struct meeting odd = meet(&server, &again);
        CHECK(odd.ok && !(odd.facts->resumption & RESUME_RESUMED));

        again.session = first.record;
        again.sni = STR("other.example.com");
        struct meeting other = meet(&server, &again);
        CHECK(other.ok && !(other.facts->resumption & RESUME_RESUMED));
        if (!(second.facts->resumption & RESUME_RESUMED)) {
            fprintf(stderr, "  %s to %s: %s\n", client.backend.p, server.backend.p,
                    versions[i].version);
        }
    }
}

TEST(tls_resumption)
{
    tls_tickets_prepare();
    each_pair(resumes);
}

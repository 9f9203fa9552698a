/*
 * load - the SMTP client that puts the load on every MTA alike.
 *
 *   load [-c SESSIONS] [-t SECONDS | -m CONNECTIONS] [-n MESSAGES] [-l SIZE]
 *        [-u USERS] [-r RELAYS] [-s | -h | -b] [-e | -k] [-v 1.2 | 1.3] HOST PORT
 *
 * SESSIONS processes (default 1) make connections one after another, each with
 * MESSAGES messages (1) of SIZE bytes (4096), until SECONDS are over or
 * CONNECTIONS were made by all of them together. Recipients are, in turn,
 * bu1..USERS@bench.test (10), or with -r user@d1..RELAYS.relay.test. No
 * PIPELINING; each reply is awaited, but that to QUIT: as Postfix's client does
 * it, and because Exim holds that reply back for 200 ms.
 *
 * With -s each connection begins with STARTTLS. With -h it ends after that, with
 * -b it is nothing but a TLS handshake: what is counted are handshakes then.
 * Sessions are not resumed, certificates not verified. With -e a handshake is
 * followed by EHLO and its reply (with -b: by the server's end), by when the
 * tickets of TLS 1.3 have come. -k does so too, and each process resumes the
 * newest session that it was given. -v allows one version of TLS only.
 *
 * Prints one line: accepted N seconds S p50 MS p99 MS refused N reconnects N
 * resumed N given N cpu MS. `resumed` counts handshakes that were, `given` the
 * sessions that can be resumed; `cpu` is the processor time of all processes.
 * `accepted` counts the messages that got 250; p50 and p99 are of the time a
 * connection took; `reconnects` counts connections without a greeting in 1.5 s,
 * lost to a full accept queue and made again. A reply that is not wanted ends
 * that connection and counts as refused. Exit status 1 if nothing was accepted.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SAMPLES = 1 << 20, GREETING_MS = 1500, REPLY_MS = 60000 };

/* What was asked for. */
struct plan {
    int sessions, messages, size, users, relays;
    long connections;
    double seconds;
    bool starttls, handshakes, bare, ehlo, resume;
    int version; /* of TLS, 0: any */
    struct sockaddr_in to;
};

/* A connection; tls is NULL while it is in clear. */
struct line {
    int fd;
    SSL *tls;
};

/* Counted by all processes together, in shared memory. */
struct counts {
    long accepted, refused, reconnects, started, samples, resumed, given;
    double ms[MAX_SAMPLES];
};

/* What a process has for its next handshake; the application data of its SSL_CTX. */
struct kept {
    struct counts *counts;
    SSL_SESSION *session;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool put(struct line *l, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = l->tls ? SSL_write(l->tls, text, (int)len) : write(l->fd, text, len);
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* The first digit of the reply, 0 if none came in time, -1 if the peer went. */
static int reply(struct line *l, int timeout_ms)
{
    char text[8192];
    size_t len = 0;
    for (;;) {
        struct pollfd pf = {.fd = l->fd, .events = POLLIN};
        if (!(l->tls && SSL_pending(l->tls)) && poll(&pf, 1, timeout_ms) == 0)
            return 0;
        size_t room = sizeof text - 1 - len;
        ssize_t n =
            l->tls ? SSL_read(l->tls, text + len, (int)room) : read(l->fd, text + len, room);
        if (n <= 0)
            return -1;
        len += (size_t)n;
        text[len] = '\0';
        if (text[len - 1] != '\n')
            continue;
        size_t line = len - 1;
        while (line > 0 && text[line - 1] != '\n')
            line--;
        if (len - line > 3 && text[line + 3] != '-')
            return text[line] - '0';
    }
}

static bool command(struct line *l, const char *text, int want)
{
    return put(l, text, strlen(text)) && reply(l, REPLY_MS) == want;
}

static int keep_session(SSL *tls, SSL_SESSION *session)
{
    struct kept *kept = SSL_CTX_get_app_data(SSL_get_SSL_CTX(tls));
    SSL_SESSION_free(kept->session);
    kept->session = session;
    __sync_fetch_and_add(&kept->counts->given, 1);
    return 1;
}

static SSL_CTX *client_context(const struct plan *plan, struct kept *kept)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, plan->version);
    SSL_CTX_set_max_proto_version(ctx, plan->version);
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_app_data(ctx, kept);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    return ctx;
}

static bool encrypt(struct line *l, const struct plan *plan, SSL_CTX *ctx)
{
    struct kept *kept = SSL_CTX_get_app_data(ctx);
    l->tls = SSL_new(ctx);
    if (l->tls && plan->resume && kept->session) {
        /* a copy: one that was used serves only once, and not every server gives another */
        SSL_SESSION *copy = SSL_SESSION_dup(kept->session);
        SSL_set_session(l->tls, copy);
        SSL_SESSION_free(copy);
    }
    if (!l->tls || SSL_set_fd(l->tls, l->fd) != 1 || SSL_connect(l->tls) != 1)
        return false;
    if (SSL_session_reused(l->tls))
        __sync_fetch_and_add(&kept->counts->resumed, 1);
    return true;
}

/* An end without a farewell would make OpenSSL forget the session. */
static void forget(SSL *tls)
{
    if (tls)
        SSL_set_shutdown(tls, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls);
}

/* Connects and reads the greeting; false if that does not work at all. */
static bool greeted(const struct plan *plan, struct counts *counts, struct line *l)
{
    for (int tries = 0; tries < 20; tries++) {
        int one = 1, got = -1;
        l->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (l->fd < 0)
            return false;
        setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(l->fd, (const struct sockaddr *)&plan->to, sizeof plan->to) == 0)
            got = plan->bare ? 2 : reply(l, GREETING_MS);
        if (got == 2)
            return true;
        close(l->fd);
        if (got != 0)
            return false;
        __sync_fetch_and_add(&counts->reconnects, 1);
    }
    return false;
}

static bool send_message(struct line *l, const struct plan *plan, long serial, const char *text)
{
    char rcpt[100];
    if (plan->relays)
        snprintf(rcpt, sizeof rcpt, "RCPT TO:<user@d%ld.relay.test>\r\n",
                 serial % plan->relays + 1);
    else
        snprintf(rcpt, sizeof rcpt, "RCPT TO:<bu%ld@bench.test>\r\n", serial % plan->users + 1);
    return command(l, "MAIL FROM:<a@load.test>\r\n", 2) && command(l, rcpt, 2) &&
           command(l, "DATA\r\n", 3) && command(l, text, 2);
}

/* What comes before the messages. */
static bool begin(struct line *l, const struct plan *plan, SSL_CTX *ctx)
{
    static const char ehlo[] = "EHLO load.test\r\n";
    if (plan->bare)
        return encrypt(l, plan, ctx) && (!plan->ehlo || reply(l, REPLY_MS) == -1);
    if (!command(l, ehlo, 2))
        return false;
    if (!plan->starttls)
        return true;
    return command(l, "STARTTLS\r\n", 2) && encrypt(l, plan, ctx) &&
           ((plan->handshakes && !plan->ehlo) || command(l, ehlo, 2));
}

/* One connection; false when the server cannot be reached. */
static bool converse(const struct plan *plan, struct counts *counts, SSL_CTX *ctx, long serial,
                     const char *text)
{
    double start = now();
    struct line l = {.fd = -1};
    if (!greeted(plan, counts, &l)) {
        __sync_fetch_and_add(&counts->refused, 1);
        return false;
    }
    bool good = begin(&l, plan, ctx);
    if (good && plan->handshakes)
        __sync_fetch_and_add(&counts->accepted, 1);
    for (int i = 0; good && !plan->handshakes && i < plan->messages; i++) {
        good = send_message(&l, plan, serial + i, text);
        if (good)
            __sync_fetch_and_add(&counts->accepted, 1);
    }
    if (!good)
        __sync_fetch_and_add(&counts->refused, 1);
    if (!plan->bare)
        put(&l, "QUIT\r\n", 6);
    forget(l.tls);
    close(l.fd);
    long sample = __sync_fetch_and_add(&counts->samples, 1);
    if (sample < MAX_SAMPLES)
        counts->ms[sample] = (now() - start) * 1e3;
    return true;
}

/* A message of about SIZE bytes with its final dot. */
static char *make_message(int size)
{
    static const char head[] = "From: <a@load.test>\r\nTo: <b@bench.test>\r\nSubject: load\r\n"
                               "Date: Fri, 1 Jan 2027 00:00:00 +0000\r\n"
                               "Message-Id: <load@load.test>\r\n\r\n";
    char *text = malloc((size_t)size + sizeof head + 100);
    if (text == NULL)
        exit(2);
    size_t len = sizeof head - 1;
    memcpy(text, head, len);
    while (len < (size_t)size) {
        memset(text + len, 'x', 76);
        memcpy(text + len + 76, "\r\n", 2);
        len += 78;
    }
    memcpy(text + len, ".\r\n", 4);
    return text;
}

static void session(const struct plan *plan, struct counts *counts, double end)
{
    char *text = make_message(plan->size);
    struct kept kept = {.counts = counts};
    SSL_CTX *ctx = plan->starttls ? client_context(plan, &kept) : NULL;
    int failures = 0;
    while (failures < 20) {
        long serial = __sync_fetch_and_add(&counts->started, 1);
        if (plan->connections ? serial >= plan->connections : now() >= end)
            break;
        failures = converse(plan, counts, ctx, serial * plan->messages, text) ? 0 : failures + 1;
    }
    SSL_SESSION_free(kept.session);
    SSL_CTX_free(ctx);
    free(text);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (*end != '\0' || n < 0 || n > 100000000) {
        fprintf(stderr, "load: not a number: %s\n", text);
        exit(2);
    }
    return (int)n;
}

static struct plan read_arguments(int argc, char **argv)
{
    struct plan plan = {.sessions = 1, .messages = 1, .size = 4096, .users = 10, .seconds = 1};
    for (int o; (o = getopt(argc, argv, "c:t:m:n:l:u:r:v:shbek")) != -1;)
        switch (o) {
        case 'c': plan.sessions = number(optarg); break;
        case 't': plan.seconds = strtod(optarg, NULL); break;
        case 'm': plan.connections = number(optarg); break;
        case 'n': plan.messages = number(optarg); break;
        case 'l': plan.size = number(optarg); break;
        case 'u': plan.users = number(optarg); break;
        case 'r': plan.relays = number(optarg); break;
        case 'v': plan.version = strcmp(optarg, "1.2") ? TLS1_3_VERSION : TLS1_2_VERSION; break;
        case 'k': plan.resume = true; /* fall through */
        case 'e': plan.ehlo = true; break;
        case 'b': plan.bare = true;       /* fall through */
        case 'h': plan.handshakes = true; /* fall through */
        case 's': plan.starttls = true; break;
        default: exit(2);
        }
    if (argc - optind != 2) {
        fputs("usage: see the head of load.c\n", stderr);
        exit(2);
    }
    plan.to = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)number(argv[optind + 1]))};
    if (inet_pton(AF_INET, argv[optind], &plan.to.sin_addr) != 1)
        exit(2);
    return plan;
}

int main(int argc, char **argv)
{
    struct plan plan = read_arguments(argc, argv);
    struct counts *counts =
        mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    double start = now();
    for (int i = 0; i < plan.sessions; i++)
        if (fork() == 0) {
            session(&plan, counts, start + plan.seconds);
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    double seconds = now() - start;
    long n = counts->samples < MAX_SAMPLES ? counts->samples : MAX_SAMPLES;
    qsort(counts->ms, (size_t)n, sizeof *counts->ms, by_value);
    struct rusage r;
    getrusage(RUSAGE_CHILDREN, &r);
    double cpu = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e3 +
                 (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e3;
    printf("accepted %ld seconds %.3f p50 %.2f p99 %.2f refused %ld reconnects %ld"
           " resumed %ld given %ld cpu %.2f\n",
           counts->accepted, seconds, n ? counts->ms[n / 2] : 0, n ? counts->ms[n * 99 / 100] : 0,
           counts->refused, counts->reconnects, counts->resumed, counts->given, cpu);
    return counts->accepted == 0;
}

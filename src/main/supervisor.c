/*
 * The supervisor: reads the configuration once, binds the sockets, and keeps the workers.
 *
 * It touches no message and reads nothing from the network. Workers are forked, never executed;
 * they share its memory until they write to it. Pools grow when a worker finds that nobody is idle
 * (it says so through an eventfd) and shrink when surplus workers idle. SIGHUP reads the
 * configuration anew: if it is wrong the old one stays; else the next generation of workers starts
 * and the old one ends as its conversations end, on the same listening sockets. SIGTERM ends
 * workers after the message in hand, deliverers last. A worker that died is replaced, ever more slowly if they keep
 * dying. When started by root it works as exim_user and takes root back only to bind, to fork, and
 * to write the pid file.
 */
#include "main/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MIN_WORKERS = 4,       /* of each kind, always there */
    STOP_GRACE_MS = 10000, /* conversations may go on that long before the supervisor leaves */
    REMIND_MS = 500,       /* orders are repeated to those that may have missed them */
    LEFT_ONE = 3,          /* exit status of a worker that left a connection to another */
    YOUNG_MS = 2000,       /* who dies younger is not replaced at once */
    MAX_BACKOFF_MS = 10000,
    KEPT_HEAP = 512 * 1024 /* of a worker's: not given back after each message, to be had again */
};

struct orders orders;

static struct {
    volatile sig_atomic_t reload, stop, child;
} asked;

struct supervisor {
    struct command *c;
    struct config *conf; /* the current one; its pool holds the listeners */
    pid_t self;
    struct listeners listeners;
    int submissions, pool, hand, wake;
    struct board *board;
    unsigned generation;
    int64_t next_run; /* queue run; INT64_MAX: never */
    int64_t fork_after, backoff;
    int64_t stop_until; /* 0: not ending */
    struct str pid_file;
    int ready; /* a pipe to the parent that waits for the start; -1: none */
};

/* ---- signals ---- */

static void on_signal(int sig)
{
    asked.reload |= sig == SIGHUP;
    asked.stop |= sig == SIGTERM || sig == SIGINT;
    asked.child |= sig == SIGCHLD;
}

static void on_worker_signal(int sig)
{
    if (sig == SIGHUP) {
        orders.retire = 1;
    } else {
        orders.stop = 1;
    }
}

static void handle(int sig, void (*handler)(int))
{
    struct sigaction a = {.sa_handler = handler};
    sigemptyset(&a.sa_mask);
    sigaction(sig, &a, NULL);
}

/* The supervisor's signals come only while it waits. */
static void block_signals(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(how, &set, NULL);
}

static void catch_signals(void)
{
    block_signals(SIG_BLOCK);
    handle(SIGHUP, on_signal);
    handle(SIGTERM, on_signal);
    handle(SIGINT, on_signal);
    handle(SIGCHLD, on_signal);
    handle(SIGPIPE, SIG_IGN);
    handle(SIGUSR1, SIG_IGN);
}

/* ---- children ---- */

static int job_limit(const struct supervisor *s, enum job job)
{
    if (job == JOB_RECEPTION) {
        const int *max = option_field(s->conf, "smtp_accept_max");
        /* One more than may be served: it tells the client so. */
        return max && *max > 0 && *max < MAX_PROCESSES / 2 ? *max + 1 : MAX_PROCESSES / 2;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (int)cores * 8 + MIN_WORKERS : 16;
}

/* What a fresh child has to undo and to take on. Ends the process if it cannot be what it should. */
static void become_child(struct supervisor *s)
{
    handle(SIGINT, SIG_IGN);
    handle(SIGCHLD, SIG_DFL);
    handle(SIGTERM, on_worker_signal);
    handle(SIGHUP, on_worker_signal);
    root_take();
    if (priv_drop(s->conf) < 0) {
        log_write(LOG_MAIN | LOG_PANIC, "cannot give up root: %s", strerror(errno));
        child_end(1);
    }
    /* Changing identity clears this. A parent that died before is no longer ours. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != s->self) {
        child_end(0);
    }
    if (s->hand >= 0) {
        hand_use(s->hand);
    }
    block_signals(SIG_UNBLOCK);
    if (s->c->quiet_workers) {
        trace_select(0);
    }
}

static void child_main(struct supervisor *s, struct slot *slot, bool surplus)
{
    struct worker w = {.conf = s->conf,
                       .listeners = &s->listeners,
                       .submissions = s->submissions,
                       .pool = s->pool,
                       .hand = s->hand,
                       .wake = s->wake,
                       .board = s->board,
                       .slot = slot,
                       .how = s->c->submission.how,
                       .surplus = surplus};
    become_child(s);
    switch (slot->job) {
    case JOB_RECEPTION: child_end(worker_reception(&w) ? 0 : LEFT_ONE);
    case JOB_DELIVERY: worker_delivery(&w); break;
    case JOB_REFRESH: worker_refresh(&w); break;
    default: queue_run(s->conf, &s->c->run);
    }
    child_end(0);
}

/* Forks a process for the job; false if that could not be done now. */
static bool start_child(struct supervisor *s, enum job job, bool surplus)
{
    struct slot *slot = board_take(s->board, job, s->generation);
    if (!slot) {
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        child_main(s, slot, surplus);
    }
    if (pid < 0) {
        slot->job = JOB_NONE;
        log_write(LOG_MAIN | LOG_PANIC, "fork of a worker failed: %s", strerror(errno));
        s->fork_after = time_monotonic_ms() + YOUNG_MS;
        return false;
    }
    slot->pid = pid;
    return true;
}

static const char *const job_names[JOB_COUNT] = {
    [JOB_RECEPTION] = "reception worker",
    [JOB_DELIVERY] = "delivery worker",
    [JOB_QUEUE_RUN] = "queue runner",
    [JOB_REFRESH] = "OCSP refresher",
};

static void child_ended(struct supervisor *s, pid_t pid, int status)
{
    struct slot *slot = board_find(s->board, pid);
    int64_t now = time_monotonic_ms();
    if (!slot) {
        return;
    }
    if (WIFSIGNALED(status)) {
        log_write(LOG_MAIN, "pid %d: %s died of signal %d", (int)pid, job_names[slot->job],
                  WTERMSIG(status));
        if (WTERMSIG(status) == SIGBUS || WTERMSIG(status) == SIGSEGV ||
            WTERMSIG(status) == SIGABRT) {
            hints_doubt(s->conf);
        }
    }
    bool young = slot->job != JOB_QUEUE_RUN && now - slot->started < YOUNG_MS;
    if (young && slot->generation == s->generation) {
        s->backoff = s->backoff ? s->backoff * 2 : 100;
        s->backoff = s->backoff > MAX_BACKOFF_MS ? MAX_BACKOFF_MS : s->backoff;
        s->fork_after = now + s->backoff;
    } else {
        s->backoff = 0;
    }
    slot->job = JOB_NONE;
    slot->pid = 0;
}

static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        child_ended(s, pid, status);
        if (WIFEXITED(status) && WEXITSTATUS(status) == LEFT_ONE && !s->stop_until) {
            start_child(s, JOB_RECEPTION, true); /* one that looks at what waits when it begins */
        }
    }
}

/* Work of a job that nobody has taken yet. */
static int waiting(const struct supervisor *s, enum job job)
{
    return job == JOB_RECEPTION ? listeners_waiting(&s->listeners) : queue_pool_waiting(s->pool);
}

/*
 * Brings the pool of a job to its least size; and if all of it is busy, to so many that whatever
 * waits finds somebody, and the next one too. One by one would be too slow: connections that come
 * all at once overflow the kernel's queue, and their clients try again a second later.
 */
static void fill(struct supervisor *s, enum job job)
{
    int there = board_count(s->board, job, s->generation, false);
    int idle = board_count(s->board, job, s->generation, true);
    int all = board_count(s->board, job, 0, false), limit = job_limit(s, job);
    int wanted = there < MIN_WORKERS ? MIN_WORKERS - there
                 : idle == 0         ? 1 + there / 16 + waiting(s, job)
                                     : 0;
    for (; wanted > 0 && (all < limit || there < MIN_WORKERS); wanted--) {
        if (!start_child(s, job, there >= MIN_WORKERS)) {
            return;
        }
        there++;
        all++;
    }
}

static void fill_pools(struct supervisor *s)
{
    if (s->stop_until || !s->c->listen || time_monotonic_ms() < s->fork_after) {
        return;
    }
    fill(s, JOB_RECEPTION);
    if (s->pool >= 0) {
        fill(s, JOB_DELIVERY);
    }
    if (refresh_wanted(s->conf) && board_count(s->board, JOB_REFRESH, s->generation, false) == 0) {
        start_child(s, JOB_REFRESH, false);
    }
}

/* Sends the signal to processes of a job whose generation is below the given one. */
static void order(const struct supervisor *s, enum job job, unsigned below, int sig)
{
    for (int i = 0; i < MAX_PROCESSES; i++) {
        const struct slot *slot = &s->board->slots[i];
        if (slot->job == job && slot->generation < below && slot->pid > 0) {
            kill(slot->pid, sig);
        }
    }
}

/* Tells workers of older configurations to end when they are idle. */
static void retire_old(const struct supervisor *s)
{
    order(s, JOB_RECEPTION, s->generation, SIGHUP);
    order(s, JOB_DELIVERY, s->generation, SIGTERM);
    order(s, JOB_REFRESH, s->generation, SIGTERM);
}

static int old_workers(const struct supervisor *s)
{
    return board_count(s->board, JOB_RECEPTION, 0, false) +
           board_count(s->board, JOB_DELIVERY, 0, false) -
           board_count(s->board, JOB_RECEPTION, s->generation, false) -
           board_count(s->board, JOB_DELIVERY, s->generation, false);
}

/* ---- queue runs ---- */

static int queue_run_max(const struct supervisor *s)
{
    const struct etext *e = option_field(s->conf, "queue_run_max");
    struct pool *pool = pool_new("queue_run_max");
    struct ectx x;
    struct str text;
    int64_t n;
    ectx_init(&x, s->conf, pool);
    bool ok = e && !str_unset(e->text) && expand_option(&x, e, &text) && str_to_i64(text, &n);
    pool_free(&pool);
    return ok ? (int)n : 5;
}

static void run_queue_if_due(struct supervisor *s)
{
    int64_t now = time_monotonic_ms();
    if (s->stop_until || now < s->next_run) {
        return;
    }
    s->next_run = now + (int64_t)s->c->queue_interval * 1000;
    int max = queue_run_max(s);
    if (max <= 0 || board_count(s->board, JOB_QUEUE_RUN, 0, false) < max) {
        start_child(s, JOB_QUEUE_RUN, false);
    }
}

/* ---- start and reload ---- */

/* Room made for the hand of a configuration; -1 if none is needed. */
static int new_hand(const struct config *conf)
{
    if (!priv_was_root() || priv_work_uid(conf) == 0) {
        return -1;
    }
    root_take();
    int hand = hand_start(conf);
    root_leave(conf);
    return hand;
}

static bool open_listeners(struct supervisor *s, struct config *conf, struct listeners *l,
                           const struct listeners *old)
{
    struct str error = STR_NONE;
    *l = (struct listeners){0};
    if (!s->c->listen) {
        return true;
    }
    if (!listeners_plan(conf, conf->pool, s->c->interfaces, l, &error)) {
        log_write(LOG_MAIN | LOG_PANIC, "%.*s", STR_ARG(error));
        return false;
    }
    listeners_mark_tls(conf, l, s->c->submission.tls_on_connect);
    root_take();
    bool ok = listeners_open(conf, l, old, old == NULL);
    root_leave(conf);
    return ok;
}

static void log_start(const struct supervisor *s)
{
    struct pool *pool = pool_new("start");
    struct str listening = listeners_text(pool, &s->listeners);
    struct str interval = time_interval_text(pool, s->c->queue_interval);
    log_write(LOG_MAIN, "minim " MINIM_VERSION " daemon started: pid=%d, %s%.*s, %.*s",
              (int)getpid(), s->c->queue_interval ? "-q" : "no queue runs",
              s->c->queue_interval ? (int)interval.len : 0, interval.p, STR_ARG(listening));
    pool_free(&pool);
}

/* Opens the sockets through which messages come from this host. */
static void open_local_sockets(struct supervisor *s)
{
    s->submissions = s->c->listen ? smtp_in_submit_listen(s->conf) : -1;
    s->pool = s->c->listen ? queue_pool_listen(s->conf) : -1;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

/* Makes the new configuration the one in use; the old one's workers end by and by. */
static void swap(struct supervisor *s, struct config *conf, const struct listeners *l)
{
    struct config *old = s->conf;
    struct str spool = core_settings(old)->spool_directory;
    bool moved = !str_eq(spool, core_settings(conf)->spool_directory);
    listeners_drop(&s->listeners, l);
    s->conf = conf;
    s->listeners = *l;
    s->generation++;
    config_apply(conf);
    if (s->c->listen) {
        smtp_in_prepare(conf);
    }
    close_fd(&s->hand);
    s->hand = new_hand(conf);
    if (moved) {
        close_fd(&s->submissions);
        close_fd(&s->pool);
        open_local_sockets(s);
    }
    pool_free(&old->pool);
    s->backoff = s->fork_after = 0;
    fill_pools(s);
    retire_old(s);
}

static void reload(struct supervisor *s)
{
    struct config_source src = s->c->source;
    struct listeners l;
    log_write(LOG_MAIN, "pid %d: SIGHUP received: re-exec daemon", (int)getpid());
    src.pool = pool_new("reload");
    src.errors = NULL;
    src.last = NULL;
    src.error_count = 0;
    struct config *conf = config_read(&src);
    if (!conf) {
        config_log_errors(&src);
        log_write(LOG_MAIN | LOG_PANIC, "configuration not changed: %zu error%s", src.error_count,
                  src.error_count == 1 ? "" : "s");
    } else if (!open_listeners(s, conf, &l, &s->listeners)) {
        pool_free(&conf->pool);
    } else {
        swap(s, conf, &l);
        log_start(s);
    }
    log_close();
    pool_free(&src.pool);
}

/* ---- pid file ---- */

static struct str pid_file(const struct supervisor *s)
{
    struct pool *pool = s->c->pool;
    struct str path = s->c->pid_file;
    struct ectx x;
    if (!str_unset(path)) {
        return path;
    }
    if (!s->c->listen || !str_unset(s->c->interfaces)) {
        return STR_NONE;
    }
    ectx_init(&x, s->conf, pool);
    if (expand_option(&x, &core_settings(s->conf)->pid_file_path, &path) && !str_empty(path)) {
        return path;
    }
    return STR_CAT(pool, core_settings(s->conf)->spool_directory, STR("/exim-daemon.pid"));
}

static void write_pid_file(struct supervisor *s)
{
    struct str text = str_fmt(s->c->pool, "%d\n", (int)getpid());
    s->pid_file = pid_file(s);
    if (str_unset(s->pid_file)) {
        return;
    }
    root_take();
    int fd = file_open(s->pid_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write_all(fd, text.p, text.len) < 0) {
        log_write(LOG_MAIN, "failed to open pid file %.*s: %s", STR_ARG(s->pid_file),
                  strerror(errno));
    }
    close_fd(&fd);
    root_leave(s->conf);
}

static void remove_pid_file(const struct supervisor *s)
{
    struct str text;
    int64_t pid;
    if (!str_unset(s->pid_file) && file_read(s->c->pool, s->pid_file, 64, &text) == 0 &&
        str_to_i64(str_trim(text), &pid) && pid == getpid()) {
        root_take();
        unlink(str_cstr(s->c->pool, s->pid_file));
        root_leave(s->conf);
    }
}

/* ---- running ---- */

/* How long nothing is due, in milliseconds; -1: for ever. */
static int wait_time(const struct supervisor *s)
{
    int64_t now = time_monotonic_ms(), due = s->next_run;
    if (s->stop_until || old_workers(s) > 0) {
        due = now + REMIND_MS < due ? now + REMIND_MS : due;
    }
    if (s->fork_after > now && s->fork_after < due) {
        due = s->fork_after;
    }
    if (due == INT64_MAX) {
        return -1;
    }
    return due <= now ? 0 : due - now > 3600000 ? 3600000 : (int)(due - now);
}

static void begin_stop(struct supervisor *s)
{
    s->stop_until = time_monotonic_ms() + STOP_GRACE_MS;
    s->next_run = INT64_MAX;
    listeners_drop(&s->listeners, &(struct listeners){0});
    s->listeners.n = 0;
}

/*
 * Reception ends first, so that what it still takes in finds somebody who delivers it. False when
 * all have ended, or had time enough.
 */
static bool go_on_stopping(const struct supervisor *s)
{
    int reception = board_count(s->board, JOB_RECEPTION, 0, false);
    int delivery = board_count(s->board, JOB_DELIVERY, 0, false);
    order(s, JOB_RECEPTION, UINT32_MAX, SIGTERM);
    order(s, JOB_QUEUE_RUN, UINT32_MAX, SIGTERM);
    order(s, JOB_REFRESH, UINT32_MAX, SIGTERM);
    bool over = time_monotonic_ms() >= s->stop_until;
    if (reception == 0 || over) {
        order(s, JOB_DELIVERY, UINT32_MAX, SIGTERM);
    }
    return reception + delivery > 0 && !over;
}

/* One round of waiting and of what came; false when it is time to go. */
static bool round_of_work(struct supervisor *s)
{
    sigset_t none;
    struct pollfd p[] = {{.fd = s->wake, .events = POLLIN}, {.fd = s->hand, .events = 0}};
    int ms = wait_time(s);
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    uint64_t count;
    sigemptyset(&none);
    int n = ppoll(p, ARRAY_LEN(p), ms < 0 ? NULL : &t, &none);
    if (n > 0 && (p[0].revents & POLLIN) && read(s->wake, &count, sizeof count) < 0) {
        TRACE(TR_any, "eventfd: %s", strerror(errno));
    }
    if (n > 0 && (p[1].revents & (POLLHUP | POLLERR)) && !s->stop_until) {
        log_write(LOG_MAIN | LOG_PANIC, "the privileged helper died; started again");
        close_fd(&s->hand);
        s->hand = new_hand(s->conf);
        s->generation++;
        retire_old(s);
    }
    if (asked.child) {
        asked.child = 0;
        reap(s);
    }
    if (asked.stop && !s->stop_until) {
        begin_stop(s);
    }
    if (asked.reload && !s->stop_until) {
        asked.reload = 0;
        reload(s);
    }
    if (s->stop_until) {
        return go_on_stopping(s);
    }
    if (old_workers(s) > 0) {
        retire_old(s);
    }
    run_queue_if_due(s);
    fill_pools(s);
    return true;
}

/* Tells the parent that the daemon serves now, or that it does not. */
static void tell_parent(struct supervisor *s, bool ok)
{
    if (s->ready >= 0) {
        char c = ok ? 'y' : 'n';
        if (write(s->ready, &c, 1) < 0) {
            TRACE(TR_any, "parent is gone");
        }
        close_fd(&s->ready);
    }
}

static bool start(struct supervisor *s)
{
    s->board = board_new();
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!s->board || s->wake < 0) {
        log_write(LOG_MAIN | LOG_PANIC, "daemon start: %s", strerror(errno));
        return false;
    }
    s->hand = new_hand(s->conf);
    if (!open_listeners(s, s->conf, &s->listeners, NULL)) {
        return false;
    }
    open_local_sockets(s);
    if (s->c->listen) {
        smtp_in_prepare(s->conf);
    }
    write_pid_file(s);
    log_start(s);
    spool_start(s->conf);
    return true;
}

static int supervise(struct command *c, struct config *conf, int ready)
{
    struct supervisor s = {.c = c,
                           .conf = conf,
                           .self = getpid(),
                           .submissions = -1,
                           .pool = -1,
                           .hand = -1,
                           .wake = -1,
                           .generation = 1,
                           .ready = ready};
    s.next_run = c->queue_interval ? 0 : INT64_MAX;
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_HEAP);
    catch_signals();
    root_leave(conf);
    bool ok = start(&s);
    if (ok) {
        fill_pools(&s);
    }
    tell_parent(&s, ok);
    while (ok && round_of_work(&s)) {
    }
    if (ok) {
        remove_pid_file(&s);
    }
    pool_free(&s.conf->pool);
    root_take(); /* a process between two identities cannot be searched for leaks */
    asan_allow_tracing();
    return ok ? 0 : 1;
}

/*
 * The exit status for the caller, who waits until the daemon listens; but not for as long as it may
 * take until others let go of a port.
 */
static int await_start(int fd)
{
    enum { PATIENCE = 3000 };
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char answer = 'n';
    int n;
    while ((n = poll(&p, 1, PATIENCE)) < 0 && errno == EINTR) {
    }
    while (n > 0 && read(fd, &answer, 1) < 0 && errno == EINTR) {
    }
    return n == 0 || answer == 'y' ? 0 : 1;
}

/* Leaves the caller's session. */
static int daemonize(struct command *c, struct config *conf)
{
    int p[2];
    if (pipe(p) < 0) {
        return 1;
    }
    pid_t pid = fork();
    if (pid < 0) {
        return 1;
    }
    if (pid > 0) {
        close(p[1]);
        int status = await_start(p[0]);
        pool_free(&conf->pool);
        return status;
    }
    close(p[0]);
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && null >= 0; fd++) {
        dup2(null, fd);
    }
    return supervise(c, conf, p[1]);
}

/* Configuration files by absolute names: the daemon leaves the directory it was started in. */
static void absolute_files(struct command *c)
{
    for (size_t i = 0; i < c->source.files.n; i++) {
        char *path = c->source.files.v[i] ? realpath(c->source.files.v[i], NULL) : NULL;
        if (path) {
            c->source.files.v[i] = str_cstr(c->pool, str_c(path));
            free(path);
        }
    }
}

int run_daemon(struct command *c, const struct config *conf)
{
    struct config *own = (struct config *)(uintptr_t)conf;
    if (!c->caller.admin) {
        fprintf(stderr, "exim: permission denied\n");
        return 1;
    }
    absolute_files(c);
    struct str spool = core_settings(conf)->spool_directory;
    if (chdir(str_cstr(c->pool, spool)) < 0 && chdir("/") < 0) {
        return 1;
    }
    return c->foreground || c->verbose ? supervise(c, own, -1) : daemonize(c, own);
}

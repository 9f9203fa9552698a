/*
 * The daemon: listening sockets, the scoreboard of its processes, workers, the supervisor that
 * keeps them.
 */
#ifndef MAIN_DAEMON_H
#define MAIN_DAEMON_H

#include "main/command.h"

#include <signal.h>
#include <sys/types.h>

/* ---- listening sockets (listen.c) ---- */

struct listener {
    struct ip ip;
    int port;
    int fd;   /* -1: not open */
    bool tls; /* connections begin with TLS */
};

struct listeners {
    struct listener *v;
    size_t n;
};

/*
 * The addresses and ports that the configuration, or -oX in its place, asks for; none is open yet.
 * False with *error in Exim's words.
 */
bool listeners_plan(const struct config *conf, struct pool *pool, struct str interfaces,
                    struct listeners *out, struct str *error);

/* Marks those whose connections begin with TLS: by tls_on_connect_ports, or all of them. */
void listeners_mark_tls(const struct config *conf, struct listeners *l, bool all);

/*
 * Opens what is not open yet, taking over from `old` what is wanted still. Ports in use are tried
 * again as daemon_startup_retries says (`patient`), with a log line each time. False after a log
 * line if one cannot be had; what was opened is closed again, `old` is untouched.
 */
bool listeners_open(const struct config *conf, struct listeners *l, const struct listeners *old,
                    bool patient);

/* Closes those of `old` that `l` did not take over. */
void listeners_drop(struct listeners *old, const struct listeners *l);

/* Connections that wait for somebody to accept them. */
int listeners_waiting(const struct listeners *l);

/* "listening for SMTP on …", as the log line of the start has it. */
struct str listeners_text(struct pool *pool, const struct listeners *l);

/* ---- scoreboard (board.c) ---- */

enum job { JOB_NONE, JOB_RECEPTION, JOB_DELIVERY, JOB_QUEUE_RUN, JOB_REFRESH, JOB_COUNT };

/* One process. The supervisor writes all but the last two, the process writes those. */
struct slot {
    pid_t pid; /* 0: free */
    enum job job;
    unsigned generation; /* of the configuration it has */
    int64_t started;     /* milliseconds, monotonic */
    _Atomic int busy;
    struct ip peer; /* of a reception worker's connection, set while busy */
};

enum { MAX_PROCESSES = 2048 };

/* In memory that all processes of a daemon share. */
struct board {
    _Atomic int used; /* slots from here on were never taken */
    struct slot slots[MAX_PROCESSES];
};

struct board *board_new(void);

/* A free slot, reserved by the supervisor; NULL if there is none. */
struct slot *board_take(struct board *b, enum job job, unsigned generation);

/* The slot of a process, or NULL. */
struct slot *board_find(struct board *b, pid_t pid);

/* What is counted: processes of a job, of one generation (0: all), that are idle (or all). */
int board_count(const struct board *b, enum job job, unsigned generation, bool idle);

/* Connections in progress, and those from the address. */
void board_connections(const struct board *b, const struct ip *ip, int *all, int *from_ip);

/* ---- workers (worker.c) ---- */

/* Orders that a process got by signal; see supervisor.c. */
struct orders {
    volatile int stop;   /* SIGTERM: end soon */
    volatile int retire; /* SIGHUP: end when idle */
};
extern struct orders orders;

/* What a worker is started with. */
struct worker {
    const struct config *conf;
    const struct listeners *listeners;
    int submissions; /* local submission socket, -1: none */
    int pool;        /* delivery pool's pipe, -1: none */
    int hand;        /* -1: none */
    int wake;        /* eventfd: tell the supervisor that nobody is idle */
    struct board *board;
    struct slot *slot;
    enum queue_how how; /* of what comes over TCP: the daemon's -od */
    bool surplus;       /* end when idle for a while */
};

/*
 * Serves connections, one after the other; returns when told to end, or when surplus. False if it
 * had been woken for a connection that waits still: the kernel wakes nobody else for that one.
 */
bool worker_reception(const struct worker *w);

/* Delivers messages that it is told of; returns when told to end. */
void worker_delivery(const struct worker *w);

/* True if the configuration wants OCSP proofs kept fresh; keeps them so until told to end. */
bool refresh_wanted(const struct config *conf);
void worker_refresh(const struct worker *w);

/* An option of a room that shows its rows only: the field's address, or NULL. */
const void *option_field(const struct config *conf, const char *name);

#endif

/* The command line, as read; and the caller, as judged. */
#ifndef MAIN_COMMAND_H
#define MAIN_COMMAND_H

#include "main/internal.h"

#include <stdio.h>

enum action {
    ACT_NONE,
    ACT_RECEIVE,      /* -bm, -bs, -bS, -bh */
    ACT_DAEMON,       /* -bd, -bdf, -q<time> */
    ACT_QUEUE_RUN,    /* -q, -R, -S */
    ACT_LIST,         /* -bp… */
    ACT_MESSAGES,     /* -M… */
    ACT_EXPAND,       /* -be */
    ACT_TEST_ADDRESS, /* -bt, -bv, -bvs */
    ACT_PRINT,        /* -bP */
    ACT_VERSION,      /* -bV */
    ACT_REWRITE,      /* -brw */
    ACT_RETRY,        /* -brt */
    ACT_ALIASES,      /* -bi */
    ACT_LOG_LINE,     /* -z */
    ACT_HINTS,        /* --hints */
    ACT_TIDY,         /* --tidy */
    ACT_REFERENCE,    /* --reference */
    ACT_HELP,         /* --help */
    ACT_COUNT
};

/* Who called: the real user, or another that a trusted one named with --caller. */
struct caller {
    uint32_t uid, gid;
    struct idlist groups;
    struct str login, name;
    bool trusted, admin;
};

struct command {
    struct pool *pool;
    struct config_source source;
    enum action action;
    struct strvec args; /* what is not an option */
    struct caller caller;
    struct str caller_option; /* --caller */
    /* daemon */
    bool listen, foreground;
    bool quiet_workers;              /* -dd: debugging is for the supervisor alone */
    int queue_interval;              /* seconds; 0: no periodic queue runs */
    struct str interfaces, pid_file; /* -oX, -oP; unset: not given */
    /* messages */
    struct submission submission;
    struct queue_run_opts run;
    bool run_given;
    struct queue_list_opts list;
    enum queue_action message_action;
    struct str message_option; /* "-Mrm" */
    bool retry_times;          /* -Mc: as in an ordinary delivery */
    /* tests */
    bool verify, as_sender, names_only, verbose;
    struct map *seen;                    /* addresses that were shown */
    struct str message_file, message_id; /* -bem, -Mset */
    struct str log_line, bi_argument, syslog_tag;
    /* reading the command line */
    struct macros macros; /* -D, to find mistakes; the configuration's reader has its own */
    struct str last_word; /* the word that holds the value of the option being read */
    struct str complaint; /* what is wrong with the option, if there are special words for it */
    bool unsupported;     /* Exim has the option, minim does not */
    unsigned asked;       /* all that options asked for, though the last decides what is done */
};

/* Reads the command line. False after saying on standard error what is wrong with it. */
bool command_parse(struct command *c, int argc, char **argv);

/* Finds out who the caller is and what he may do; false after an error on standard error. */
bool caller_judge(struct command *c, const struct config *conf);

/*
 * Makes the configuration that of this process: environment, time zone, log files. Called at the
 * start and again after a reload.
 */
void config_apply(const struct config *conf);

/* A context for expansions in a test mode. */
void test_context(struct ectx *x, const struct config *conf, struct pool *pool);

/* The session of a test mode: the caller's, with what -oM… says of it. */
struct session *test_session(const struct command *c, const struct config *conf, struct pool *pool);

/* The sender of a test mode: what -f says, or else the caller. */
struct str test_sender(const struct command *c, const struct config *conf, struct pool *pool);

/* -d: the first lines; those about the caller, once judged; the last one. Nothing without -d. */
void debug_begin(void);
void debug_caller(const struct command *c, const struct config *conf);
void debug_end(int status);

/* What this program has, in the lines of -bV behind the first. */
void show_version(FILE *to);

/* What each action does; the exit status. */
int run_daemon(struct command *c, const struct config *conf);
int run_expand(struct command *c, const struct config *conf);
int run_hints(struct command *c, const struct config *conf);
int run_tidy(struct command *c, const struct config *conf);
int run_print(struct command *c, const struct config *conf);
int run_version(struct command *c, const struct config *conf);

/*
 * Gives up root for good, if that is what the process has; `hand` leaves the privileged helper
 * behind, for deliveries. False with a log line.
 */
bool become_worker(const struct config *conf, bool hand);

/* Takes root's rights back for a moment, and leaves them; nothing unless started by root. */
void root_take(void);
void root_leave(const struct config *conf);

#endif

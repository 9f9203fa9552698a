/*
 * The privileged hand: a resident process that keeps the rights the program was started with, and
 * does for workers the few things that need another user's identity. Here is how it is reached and
 * how it changes identity; what it does is a table of operations that the rooms above hand in.
 *
 * Requests are finished plans made by workers. The hand trusts them only as far as the identity
 * rules go: never root, never one of never_users.
 */
#ifndef CORE_HAND_H
#define CORE_HAND_H

#include "core/config.h"

/* One request or reply: bytes, and a descriptor (-1: none). */
struct hand_message {
    struct str body;
    int fd;
};

/* An operation. serve() runs in the hand; reply->fd is closed after it was sent. */
struct hand_op {
    char op;
    void (*serve)(const struct config *conf, struct pool *pool, const struct hand_message *request,
                  struct hand_message *reply);
};

/*
 * Forks the resident process; ops ends with NULL. Returns our end of its socket, or -1 with errno.
 * Each process that calls hand_call() gets a server of its own, so that one slow delivery holds up
 * nobody else.
 */
int hand_fork(const struct config *conf, const struct hand_op *const *ops);

/* Makes the socket this process's way to the hand; -1: there is none. Inherited by children. */
void hand_set(int fd);

/* True if this process can call the hand. */
bool hand_available(void);

/*
 * Sends a request and waits for the reply, whose body is in the pool and whose descriptor is the
 * caller's. The request's descriptor stays open. False with errno.
 */
bool hand_call(struct pool *pool, char op, const struct hand_message *request,
               struct hand_message *reply);

/* Whom to act as. */
struct identity {
    uint32_t uid, gid;
    const char *initgroups; /* login whose supplementary groups to take; NULL: none but gid */
};

/*
 * Takes on an effective identity and gives it back. In a process that is not root only its own
 * uid is possible. False with errno; identity_restore() ends the process if it cannot succeed.
 */
bool identity_take(const struct identity *who);
void identity_restore(void);

/* The rules: not root, not one of never_users. */
bool identity_allowed(const struct config *conf, uint32_t uid);

/* Opens a file for reading with a user's rights, by the hand if there is one. -1 with errno. */
int hand_open(struct pool *pool, struct str path, uint32_t uid, uint32_t gid);

/* A command to be run as a user, with nothing on its standard input. */
struct hand_command {
    uint32_t uid, gid;
    int timeout;    /* seconds */
    int max_output; /* bytes; more is dropped */
    struct str cwd;
    const char *const *argv; /* argv[0] is the path; the environment is empty */
};

/* What came of it. */
struct hand_outcome {
    int error;  /* errno: it could not be run */
    int status; /* wait status */
    bool timed_out;
    struct str output;
};

/* Runs a command, by the hand if it takes that to become the user. */
void hand_command(struct pool *pool, const struct hand_command *c, struct hand_outcome *o);

/*
 * Connects to a Unix socket with a user's rights; starts a command as a user with a socket for
 * standard input and output (timeout and max_output do not count; *pid gets the process to be
 * waited for, 0 if that is the hand's). Both return our end, or -1 with errno.
 */
int hand_connect(struct pool *pool, struct str path, uint32_t uid, uint32_t gid);
int hand_talk(struct pool *pool, const struct hand_command *c, int *pid);

/* The hand's side of these. */
extern const struct hand_op hand_open_op, hand_connect_op, hand_command_op, hand_talk_op;

#endif

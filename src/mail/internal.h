/* Inside mail/: the spool's file format, shared by its writer, reader and journal. */
#ifndef MAIL_INTERNAL_H
#define MAIL_INTERNAL_H

#include "mail/mail.h"

/* Settings of this room. */
struct mail_settings {
    int64_t check_spool_space; /* bytes */
    int check_spool_inodes;
    int64_t check_log_space; /* bytes */
    int check_log_inodes;
    int64_t message_body_visible;
    bool message_body_newlines;
};
const struct mail_settings *mail_settings(const struct config *conf);

/* An open message file. */
struct spool_file {
    const struct config *conf;
    int fd;         /* -1: the whole file is in `small` */
    int journal_fd; /* -1 until something is written */
    int64_t body_len;
    struct str small; /* the whole file if it is short, else unset */
    struct str dir, id;
    struct buf msglog; /* lines not yet in the message log file */
    bool msglog_new;   /* no message log file has been written yet */
    struct spool_state *baseline;
};

enum {
    SPOOL_SMALL = 65536, /* files up to this size are read and written in one go */
    SPOOL_FOOTER = 40,   /* bytes of the line that ends a finished file */
    SPOOL_DIRS = 32,     /* folders that processes spread over */
    SPOOL_STALE_SECONDS = 300,
    SPOOL_META_MAX = 64 * 1024 * 1024
};

/* Envelope, facts and headers as text, and back. False on malformed text. */
struct str spool_encode(struct pool *pool, const struct message *m);
bool spool_decode(struct pool *pool, struct str meta, struct message *m);

/* The line that ends a finished file; its reading gives the length of the body, -1 if damaged. */
void spool_footer(char out[SPOOL_FOOTER + 1], int64_t body_len, struct str meta);
int64_t spool_footer_read(struct str footer, struct str *meta_sum);
uint32_t spool_sum(struct str s);

/*
 * Whether a file has its last line. One that has not was never promised to anybody: somebody writes
 * it now, or died over it, which is taken for certain after SPOOL_STALE_SECONDS.
 */
struct stat;
enum spool_arrival { ARRIVED, ARRIVING, LEFT_OVER };
enum spool_arrival spool_arrival(int fd, const struct stat *st);

/* Folder of a message, and the file of a kind ("", "-J") in it. */
struct str spool_dir(const struct config *conf, struct pool *pool, struct str id);
struct str spool_name(struct pool *pool, struct str dir, struct str id, const char *suffix);

/* Applies a journal's records to a loaded message. */
void spool_journal_apply(struct message *m, struct str journal);

/* Remembers what is on disk, so that spool_update writes only changes. */
void spool_remember(struct message *m);

/* Writes the message log's lines in hand to its file. */
void spool_msglog_flush(struct message *m);

/* Path of a message log; old: in the folder of kept ones. */
struct str spool_msglog_path(const struct config *conf, struct pool *pool, struct str id, bool old);

#endif

/* What the files of lookup/ tell each other. */
#ifndef LOOKUP_INTERNAL_H
#define LOOKUP_INTERNAL_H

#include "lookup/lookup.h"

#include <sys/stat.h>

struct pcre2_real_code_8;

/* One keyed line of a text file with its continuation lines. */
struct text_entry {
    struct str key;                 /* quotes and escapes undone */
    struct str rest;                /* what follows the key on its line, up to the line's end */
    struct str more;                /* the continuation lines */
    struct pcre2_real_code_8 *code; /* of a key that is a regular expression; made on first use */
};

/* A file that lookups read, kept open and (text) in memory until it changes. */
struct lookup_file {
    struct lookup_file *next;
    struct pool *pool;
    struct str path;
    int fd;
    struct stat st;
    unsigned generation; /* of lookup_tidy() when last compared with the disk */
    int64_t checked_ms, used_ms;
    bool loaded;
    bool busy; /* its entries are being walked through: it must not go away */
    struct text_entry *entries;
    size_t n;
    struct map *index; /* key -> struct text_entry *, caseless; the first of equal keys */
};

/*
 * The file of a call, opened or made sure to be current. NULL with c->error set: what says the kind
 * of search for the message ("linear search"), type the lookup's name.
 */
struct lookup_file *lookup_file_open(struct lookup_call *c, const char *what, const char *type);

/* The same with its lines read into entries. */
struct lookup_file *lookup_file_text(struct lookup_call *c);

/* Cuts the text into keyed lines. Text and entries live in the file's pool. */
void lookup_file_parse(struct lookup_file *f, struct str text);

/* The data of an entry as lookups return it; full puts the key and its separator in front. */
struct str text_entry_data(struct pool *pool, const struct text_entry *e, bool full);

/* Notes that files must be compared with the disk before they are used again. */
void lookup_files_recheck(void);

/* Closes all of them. */
void lookup_files_close(void);

/* The value of name=value among comma-separated options; unset if it is not there. */
struct str lookup_option(struct str options, const char *name);

/* "yes", "no" or unset: $lookup_dnssec_authenticated after the last dnsdb lookup. */
struct str lookup_dnssec_state(void);

/*
 * True if the open file of a hints database has the pages that its header says, in LMDB's format.
 * The caller holds the database's write lock. Where the format is another one (no 64 bits), true.
 */
bool hints_file_sound(int fd);

/*
 * What a dnsdb query (in c->key) makes of an answer that is at hand, whatever name it asks for: into
 * c->data. False with c->error for a query that is wrong.
 */
bool dnsdb_text(struct lookup_call *c, const struct dns_answer *a);

extern const struct lookup_driver lookup_lsearch, lookup_wildlsearch, lookup_nwildlsearch,
    lookup_iplsearch, lookup_dsearch, lookup_cdb, lookup_dnsdb, lookup_passwd;

#endif

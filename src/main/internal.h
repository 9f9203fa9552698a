/* What the files of main/ share: logical lines and macros of the reader, the command line, start-up. */
#ifndef MAIN_INTERNAL_H
#define MAIN_INTERNAL_H

#include "main/main.h"

/* ---- macros (macros.c) ---- */

struct macro {
    struct macro *next;
    struct str name, text;
    bool command_line; /* -D: definitions in the file are ignored */
};

/* Macros in the order of their definition, and the built-in ones, which are tried first. */
struct macros {
    struct pool *pool;
    struct macro *first, **last;
    struct map *builtin; /* name -> const char *; made when a line first needs it */
    const struct module *const *modules;
};

/* No macros but the built-in ones, which are derived from the modules' rows. */
void macros_init(struct macros *m, struct pool *pool, const struct module *const *rooms);

/* Defines a macro; false with Exim's words in *error. `redefine` is "==". */
bool macros_define(struct macros *m, struct str name, struct str text, bool redefine,
                   bool command_line, struct str *error);

/* The argument of -D, "NAME=text" or "NAME"; false with Exim's words in *error. */
bool macros_from_command_line(struct macros *m, struct str arg, struct str *error);

/* The macro of a name, built-in ones too; unset if there is none. */
struct str macros_get(struct macros *m, struct str name);

/* The map of built-in macros, name to text; NULL for options that are known but not supported. */
struct map *macros_builtin(struct macros *m);

/*
 * Replaces macros in a line. cols holds a column for each byte and is carried along: what a macro
 * puts in stands at the macro's column. Both come from the pool. True if anything was replaced.
 */
bool macros_expand(struct macros *m, struct pool *pool, struct str *line, int **cols);

/* True if the text is "NAME =" or "NAME ==": an upper-case letter begins it. */
bool macros_is_definition(struct str line);

/* Reads such a definition; false with Exim's words in *error. */
bool macros_read(struct macros *m, struct str line, struct str *error);

/* ---- logical lines (lines.c) ---- */

/* A logical line: comments, continuations, macros, inclusions and conditions are dealt with. */
struct line {
    struct str text;          /* blanks before a continuation at its end are kept */
    const struct cfg_pos *at; /* where each byte comes from, and the place behind the last */
};

struct lines;

/*
 * Opens a configuration: a file, or `text` under the name `file`. Errors are told to the reader's
 * error function at the place they are. NULL if the file cannot be read, with errno.
 */
struct lines *lines_open(struct opt_reader *r, struct macros *m, const char *file, struct str text);

/*
 * The next logical line that is not blank: its text lives as long as the reader's pool, its places
 * until the next call. False at the end.
 */
bool lines_next(struct lines *l, struct line *out);

/* From here on `tell` hears where reading goes on, as files are begun and ended; at once, of this. */
void lines_tell_files(struct lines *l, void (*tell)(const char *file, int line));

/* How many lines the outermost file has; 0 before its end. */
int lines_read(const struct lines *l);

/* Closes all files. */
void lines_close(struct lines *l);

/* ---- reading (read_file.c, instances.c) ---- */

/* One reported error. */
struct config_error {
    struct cfg_pos pos; /* line 0: the file as a whole; file NULL: none */
    struct str text;
    struct config_error *next;
};

/* What a configuration is read from, and what was wrong with it. */
struct config_source {
    struct vec files;     /* const char *; the first that exists; none: the text */
    struct str text;      /* unset: the built-in default */
    struct strvec define; /* arguments of -D */
    struct str cwd;       /* where the program was started, for $initial_cwd */
    int max_messages;     /* -oB: connection_max_messages of all transports; 0: not given */
    struct pool *pool;    /* of the errors */
    struct config_error *errors, **last;
    size_t error_count;
};

/* A reading in progress. */
struct reader {
    struct opt_reader opt;
    struct config *conf;
    struct config_source *source;
    struct macros macros;
    struct lines *lines;
    struct line line;         /* current */
    struct map *seen;         /* options set so far in the current table */
    const struct cfg_pos *at; /* places of the text that opt.pos begins, or NULL */
    size_t at_len;
    struct cfg_pos at_pos; /* opt.pos before anybody advanced it */
};

/* A reader of a source: the configuration is still empty. `name` is the file's. */
void reader_init(struct reader *rd, struct config_source *src, const char *name);

/* From here on errors are about the text at the offset in the current line. */
void reader_at(struct reader *rd, size_t offset);

/* Errors are about no place in particular (checks after reading). */
void reader_nowhere(struct reader *rd);

/* Reports an error that has no place in a file that could be read. Returns false. */
bool source_error(struct config_source *src, struct str text);

/*
 * Reads a configuration and links it. NULL if there was any error; all of them are in src->errors,
 * in the order of the file.
 */
struct config *config_read(struct config_source *src);

/*
 * Prints the configuration as it is read: inclusions, conditions and macros done, without comments.
 * `plain` leaves indentation away; who is no admin does not see the text of macros.
 */
void config_dump(const struct config_source *src, bool plain, bool admin);

/* Prints the errors, "FILE:LINE:COL: error: text", to standard error. */
void config_print_errors(const struct config_source *src);

/* Logs them as Exim does. */
void config_log_errors(const struct config_source *src);

/* An option's setting split up: [hide] [no_]name [= value]. */
struct setting {
    struct str name;
    struct str value; /* unset: none */
    size_t value_at;  /* offset of the value in the line */
    bool hide, negated;
    bool junk; /* something other than an equals sign follows the name */
};

/* Splits the current line, after an optional "hide"; false after reporting. */
bool read_setting(struct reader *rd, struct setting *s);

/*
 * Gives a setting to its row, undoing quotes; a second setting is an error. `seen_as` names the
 * row among those that were set.
 */
bool read_apply(struct reader *rd, const struct option *row, void *base, const struct setting *s);

/* Reads the current line as a definition of a macro. */
bool read_macro(struct reader *rd);

/* The name of the section that a line begins; unset if it begins none. */
struct str line_begins(struct str line);

/* The kinds of driver instances. */
enum instance_kind { INSTANCE_ROUTER, INSTANCE_TRANSPORT, INSTANCE_AUTHENTICATOR, INSTANCE_KINDS };

/* What is known of a kind of instance: its section, its rows, how drivers are found. */
struct instance_class {
    const char *word;             /* "router" */
    const struct option *generic; /* rows of all instances of the kind */
};
extern const struct instance_class instance_classes[INSTANCE_KINDS];

/* True if Exim has a driver of that name. */
bool unsupported_driver(enum instance_kind kind, struct str name);

/* An instance, whatever its kind. */
struct instance {
    enum instance_kind kind;
    struct str name;
    const char *driver;           /* name of the driver, NULL before it is known */
    const struct option *options; /* the driver's own rows */
    void *base, *opts;            /* what the generic and the driver's own rows fill */
};

/* Reads a section of instances, up to the next "begin" (left as the current line) or the end. */
bool read_instances(struct reader *rd, enum instance_kind kind);

/* Each instance of a kind, in order; false from f ends it. */
void instances_each(const struct config *conf, enum instance_kind kind,
                    bool (*f)(void *closure, const struct instance *i), void *closure);

/* Names of the drivers of a kind that this program has, in the order of the modules. */
void instance_drivers(const struct module *const *rooms, enum instance_kind kind,
                      bool (*f)(void *closure, const char *name, const struct option *rows),
                      void *closure);

/* Key of conf->hidden for an option of an instance's driver. */
struct str hidden_key(struct pool *pool, const struct instance *i, struct str option);

/* ---- what Exim has (unsupported.c) ---- */

/*
 * Exim's options that no row of this program has, by table: "main", "router", "transport",
 * "authenticator" for generic options, a driver's name behind a slash for its own
 * ("transport/smtp"). OPT_END ends a table; NULL if there is none of that name.
 */
const struct option *unsupported_options(struct str table);

/* All tables, for the reference manual. */
void unsupported_each(void (*f)(void *closure, const char *table, const struct option *rows),
                      void *closure);

/* True if the value says what this program does anyway ("tls_advertise_hosts ="). */
bool unsupported_harmless(const struct option *row, const struct setting *s);

/* ---- default (default_conf.c) ---- */

extern const char default_configuration[];

/* ---- settings of this room ---- */

struct main_settings {
    bool commandline_checks_require_admin, prod_requires_admin, queue_list_requires_admin;
    struct str bi_command;
    struct str daemon_smtp_ports;
    int daemon_startup_retries, daemon_startup_sleep;
    struct macros *macros; /* as they stood at the end of the file */
};

/* The settings of main/. */
const struct main_settings *main_settings(const struct config *conf);

#endif

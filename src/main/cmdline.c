/*
 * The command line: one row for each option, in Exim's spelling.
 *
 * A row says how the option takes its value and which function stores it. The longest row that fits
 * a word wins. What stands behind the last option, or behind "--", are arguments. Errors go to
 * standard error in Exim's words, and the process ends with status 1.
 */
#include "main/command.h"

#include <ctype.h>
#include <stdio.h>

/* How a row takes its value. */
enum takes {
    ALONE, /* no value */
    REST,  /* the rest of the word, which may be empty */
    VALUE, /* the rest of the word, or else the next word */
    NEXT   /* the next word */
};

struct row {
    const char *name;
    enum takes takes;
    bool (*set)(struct command *c, int n, struct str value);
    int n;
    const char *wants; /* what is missed if there is no value; NULL: the option is incomplete */
};

/* Says what is wrong with an option, in place of the general words; false. */
static bool complain(struct command *c, struct str text)
{
    c->complaint = text;
    return false;
}

static bool set_nothing(struct command *c, int n, struct str value)
{
    (void)c;
    (void)n;
    (void)value;
    return true;
}

/* Exim has it, minim does not. */
static bool set_unsupported(struct command *c, int n, struct str value)
{
    (void)n;
    (void)value;
    c->unsupported = true;
    return false;
}

/* ---- actions ---- */

static bool set_action(struct command *c, int n, struct str value)
{
    (void)value;
    c->action = (enum action)n;
    return true;
}

static bool set_daemon(struct command *c, int foreground, struct str value)
{
    (void)value;
    c->action = ACT_DAEMON;
    c->listen = true;
    c->foreground |= foreground;
    return true;
}

static bool set_receive(struct command *c, int mode, struct str value)
{
    (void)value;
    c->action = ACT_RECEIVE;
    c->submission.mode = mode;
    return true;
}

static bool set_host_check(struct command *c, int callouts, struct str value)
{
    (void)callouts;
    c->submission.host_check = value;
    return set_receive(c, SUBMIT_HOST_CHECK, value);
}

enum { TEST_ROUTE, TEST_VERIFY, TEST_VERIFY_SENDER };

static bool set_address_test(struct command *c, int n, struct str value)
{
    (void)value;
    c->action = ACT_TEST_ADDRESS;
    c->verify = n != TEST_ROUTE;
    c->as_sender = n == TEST_VERIFY_SENDER;
    return true;
}

static bool set_message_file(struct command *c, int n, struct str value)
{
    (void)n;
    c->action = ACT_EXPAND;
    c->message_file = value;
    return true;
}

/* -bp, -bpc, -bp[r][a|u] */
static bool set_list(struct command *c, int n, struct str value)
{
    (void)n;
    c->action = ACT_LIST;
    bool unsorted = str_starts(value, "r");
    struct str rest = str_from(value, unsorted);
    c->list.unsorted |= unsorted;
    c->list.all_recipients |= str_is(rest, "a");
    c->list.recipients_only_undelivered |= str_is(rest, "u");
    c->list.count |= str_is(value, "c");
    return str_empty(rest) || str_is(rest, "a") || str_is(rest, "u") || str_is(value, "c");
}

static bool set_message_action(struct command *c, int n, struct str value)
{
    (void)value;
    c->action = ACT_MESSAGES;
    c->message_action = (enum queue_action)n;
    return true;
}

static bool set_retrying_delivery(struct command *c, int n, struct str value)
{
    c->retry_times = true;
    return set_message_action(c, n, value);
}

static bool set_log_line(struct command *c, int n, struct str value)
{
    c->log_line = value;
    return set_action(c, n, value);
}

/* ---- queue runs ---- */

/* Takes a letter off the beginning, if it is there. */
static bool flag(struct str *rest, char letter)
{
    bool there = !str_empty(*rest) && rest->p[0] == letter;
    *rest = str_from(*rest, there);
    return there;
}

/* -q[q][i][f[f]][l][<time>]; each has its place. */
static bool set_queue_run(struct command *c, int n, struct str value)
{
    (void)n;
    struct queue_run_opts *o = &c->run;
    o->two_stage |= flag(&value, 'q');
    o->first_only |= flag(&value, 'i');
    if (flag(&value, 'f')) {
        o->force = true;
        o->force_frozen |= flag(&value, 'f');
    }
    o->local_only |= flag(&value, 'l');
    c->run_given = true;
    if (str_starts(value, "G")) {
        return set_unsupported(c, n, value);
    }
    int64_t t = str_empty(value) ? 0 : time_interval(value);
    if (t < 0 || t > INT32_MAX) {
        return complain(
            c, str_fmt(c->pool, "exim: bad time value %.*s: abandoned", STR_ARG(c->last_word)));
    }
    c->queue_interval = t ? (int)t : c->queue_interval;
    return true;
}

/* -oB, -oBn: messages a connection may take; one if no number is given. */
static bool set_max_messages(struct command *c, int n, struct str value)
{
    uint64_t max = 1;
    (void)n;
    if (!str_empty(value) && (!str_to_u64(value, 10, &max) || max > INT32_MAX)) {
        return complain(c, str_fmt(c->pool, "exim: number expected after -oB"));
    }
    c->source.max_messages = (int)max;
    return true;
}

/* -R[r][f[f]] text, -S[r][f[f]] text; flags only if they are all there is behind the letter. */
static bool set_selector(struct command *c, bool sender, struct str flags, struct str text)
{
    bool regex = str_starts(flags, "r");
    flags = str_from(flags, regex);
    c->run.force |= !str_empty(flags);
    c->run.force_frozen |= str_is(flags, "ff");
    c->run_given = true;
    if (sender) {
        c->run.sender = text;
        c->run.sender_regex = regex;
    } else {
        c->run.recipient = text;
        c->run.recipient_regex = regex;
    }
    return true;
}

/* ---- settings ---- */

static bool set_file(struct command *c, int n, struct str value)
{
    (void)n;
    struct str name;
    while (str_next(&value, ':', &name)) {
        vec_push(&c->source.files, str_cstr(c->pool, name));
    }
    return c->source.files.n > 0;
}

static bool set_macro(struct command *c, int n, struct str value)
{
    struct str error = STR_NONE;
    (void)n;
    if (!c->macros.pool) {
        macros_init(&c->macros, c->pool, modules);
    }
    if (!macros_from_command_line(&c->macros, value, &error)) {
        return str_starts(error, "unknown")
                   ? false
                   : complain(c, str_fmt(c->pool, "exim: %.*s", STR_ARG(error)));
    }
    strvec_push(&c->source.define, value);
    return true;
}

static bool set_defaults(struct command *c, int n, struct str value)
{
    (void)n;
    (void)value;
    c->source.files.n = 0;
    vec_push(&c->source.files, NULL);
    return true;
}

/* -d, -dd and what follows; -v is meant as well, unless -all takes it away. */
static bool set_debug(struct command *c, int n, struct str value)
{
    (void)n;
    struct str error, selectors = str_starts(value, "d") ? str_from(value, 1) : value;
    uint64_t mask = trace_default();
    c->quiet_workers = selectors.len < value.len;
    if (!trace_parse(c->pool, selectors, &mask, &error)) {
        fprintf(stderr, "exim: %.*s\n", STR_ARG(error));
        exit(1);
    }
    trace_select(mask);
    c->foreground |= mask != 0;
    c->verbose |= (mask & TR_v) != 0;
    return true;
}

static bool set_verbose(struct command *c, int n, struct str value)
{
    (void)n;
    (void)value;
    c->verbose = true;
    trace_select(trace_selected() | TR_v);
    return true;
}

static bool set_sender(struct command *c, int n, struct str value)
{
    (void)n;
    c->submission.sender = value;
    c->submission.sender_set = true;
    return true;
}

/* -od…: -odqs keeps what goes by SMTP back, whatever else says how the rest is delivered. */
static bool set_how(struct command *c, int n, struct str value)
{
    (void)value;
    enum queue_how before = c->submission.how, how = (enum queue_how)n;
    bool no_smtp = before == QUEUE_SMTP_ONLY || before == QUEUE_SMTP_FOREGROUND;
    if (how == QUEUE_SMTP_ONLY && before == QUEUE_FOREGROUND) {
        how = QUEUE_SMTP_FOREGROUND;
    } else if (how == QUEUE_FOREGROUND && no_smtp) {
        how = QUEUE_SMTP_FOREGROUND;
    } else if (how == QUEUE_BACKGROUND_GIVEN && no_smtp) {
        how = QUEUE_SMTP_ONLY;
    }
    c->submission.how = how;
    c->submission.how_set = true;
    return true;
}

static bool set_errors(struct command *c, int n, struct str value)
{
    (void)value;
    c->submission.errors = n;
    return true;
}

/* Flags and texts of the command, by number. */
enum {
    F_EXTRACT,
    F_NO_DOT,
    F_EXTRACT_NO_DOT,
    F_NO_QUALIFY,
    F_NAMES_ONLY,
    F_METOO,
    F_TLS,
    F_NO_FIXUPS
};

static bool set_flag(struct command *c, int n, struct str value)
{
    (void)value;
    struct submission *s = &c->submission;
    s->extract |= n == F_EXTRACT || n == F_EXTRACT_NO_DOT;
    s->dot_ends &= n != F_NO_DOT && n != F_EXTRACT_NO_DOT;
    s->qualify_no |= n == F_NO_QUALIFY;
    s->metoo |= n == F_METOO;
    s->suppress_local_fixups |= n == F_NO_FIXUPS;
    s->tls_on_connect |= n == F_TLS;
    c->names_only |= n == F_NAMES_ONLY;
    return true;
}

static bool set_text(struct command *c, int offset, struct str value)
{
    *(struct str *)(void *)((char *)c + offset) = value;
    return true;
}
#define TEXT(field, wants) set_text, (int)offsetof(struct command, field), wants

static bool set_time(struct command *c, int offset, struct str value)
{
    int64_t t = time_interval(value);
    *(int *)(void *)((char *)c + offset) = (int)t;
    return (t >= 0 && t < INT32_MAX) ||
           complain(
               c, str_fmt(c->pool, "exim: bad time value %.*s: abandoned", STR_ARG(c->last_word)));
}
#define TIME(field) set_time, (int)offsetof(struct command, field), NULL

/* -oMr, once. */
static bool set_received_protocol(struct command *c, int n, struct str value)
{
    (void)n;
    if (!str_unset(c->submission.protocol)) {
        return complain(c, str_fmt(c->pool, "received_protocol is set already"));
    }
    c->submission.protocol = value;
    return true;
}

/* -p<protocol>[:<host name>]; -pd and -ps say when Perl starts, which there is none of. */
static bool set_protocol(struct command *c, int n, struct str value)
{
    if (str_is(value, "d") || str_is(value, "s")) {
        return true;
    }
    ptrdiff_t colon = str_chr(value, ':');
    if (str_empty(value) || colon == 0) {
        return false;
    }
    if (colon >= 0) {
        c->submission.host_name = str_from(value, (size_t)colon + 1);
    }
    return set_received_protocol(c, n, colon < 0 ? value : str_sub(value, 0, (size_t)colon));
}

/* -Mset */
static bool set_load(struct command *c, int n, struct str value)
{
    (void)n;
    c->message_id = value;
    return message_id_valid(value) ||
           complain(c, str_fmt(c->pool, "exim: malformed message id %.*s after -Mset option",
                               STR_ARG(value)));
}

/* -oMm: the id of another message. */
static bool set_reference(struct command *c, int n, struct str value)
{
    (void)n;
    c->submission.message_reference = value;
    return message_id_valid(value) ||
           complain(c, str_fmt(c->pool, "-oMm must be a valid message ID"));
}

/* -h, which does nothing; a number. */
static bool set_hops(struct command *c, int n, struct str value)
{
    (void)c;
    (void)n;
    return !str_empty(value) && isdigit((unsigned char)value.p[0]);
}

/* An option that is nothing without more letters. */
static bool set_never(struct command *c, int n, struct str value)
{
    (void)c;
    (void)n;
    (void)value;
    return false;
}

/* -L */
static bool set_syslog_tag(struct command *c, int n, struct str value)
{
    enum { TAG_MAX = 32 };
    (void)n;
    c->syslog_tag = value;
    if (str_empty(value)) {
        return complain(c, str_fmt(c->pool, "exim: the -L syslog name is too short"));
    }
    return value.len <= TAG_MAX ||
           complain(c, str_fmt(c->pool, "exim: the -L syslog name is too long: \"%.*s\"",
                               STR_ARG(value)));
}

/* -N: nothing is delivered, by this submission or by these deliveries; shown as they go. */
static bool set_no_delivery(struct command *c, int n, struct str value)
{
    c->submission.dont_deliver = c->run.dont_deliver = true;
    return set_verbose(c, n, value);
}

static const struct row rows[] = {
    {"--caller", NEXT, TEXT(caller_option, NULL)},
    {"--defaults", ALONE, set_defaults, 0, NULL},
    {"--help", ALONE, set_action, ACT_HELP, NULL},
    {"--hints", ALONE, set_action, ACT_HINTS, NULL},
    {"--reference", ALONE, set_action, ACT_REFERENCE, NULL},
    {"--tidy", ALONE, set_action, ACT_TIDY, NULL},
    {"--version", ALONE, set_action, ACT_VERSION, NULL},
    {"-Ac", ALONE, set_nothing, 0, NULL},
    {"-Am", ALONE, set_nothing, 0, NULL},
    {"-B", REST, set_nothing, 0, NULL},
    {"-C", VALUE, set_file, 0, NULL},
    {"-D", REST, set_macro, 0, NULL},
    {"-F", VALUE, TEXT(submission.full_name, NULL)},
    {"-E", REST, set_unsupported, 0, NULL},
    {"-G", ALONE, set_flag, F_NO_FIXUPS, NULL},
    {"-L", VALUE, set_syslog_tag, 0, NULL},
    {"-M", ALONE, set_message_action, QA_DELIVER, NULL},
    {"-MC", REST, set_unsupported, 0, NULL},
    {"-MG", NEXT, set_unsupported, 0, NULL},
    {"-Mar", ALONE, set_message_action, QA_ADD_RECIPIENT, NULL},
    {"-Mc", ALONE, set_retrying_delivery, QA_DELIVER, NULL},
    {"-Mes", ALONE, set_message_action, QA_EDIT_SENDER, NULL},
    {"-Mf", ALONE, set_message_action, QA_FREEZE, NULL},
    {"-Mg", ALONE, set_message_action, QA_GIVE_UP, NULL},
    {"-Mmad", ALONE, set_message_action, QA_MARK_ALL_DELIVERED, NULL},
    {"-Mmd", ALONE, set_message_action, QA_MARK_DELIVERED, NULL},
    {"-Mrm", ALONE, set_message_action, QA_REMOVE, NULL},
    {"-Mset", NEXT, set_load, 0, NULL},
    {"-Mt", ALONE, set_message_action, QA_THAW, NULL},
    {"-Mvb", ALONE, set_message_action, QA_VIEW_BODY, NULL},
    {"-Mvc", ALONE, set_message_action, QA_VIEW_COPY, NULL},
    {"-Mvh", ALONE, set_message_action, QA_VIEW_HEADER, NULL},
    {"-Mvl", ALONE, set_message_action, QA_VIEW_LOG, NULL},
    {"-N", ALONE, set_no_delivery, 0, NULL},
    {"-O", VALUE, set_nothing, 0, "string"},
    {"-U", REST, set_nothing, 0, NULL},
    {"-X", VALUE, set_nothing, 0, "string"},
    {"-bF", NEXT, set_unsupported, 0, NULL},
    {"-bI:", REST, set_unsupported, 0, NULL},
    {"-bP", ALONE, set_action, ACT_PRINT, NULL},
    {"-bS", ALONE, set_receive, SUBMIT_BATCH, NULL},
    {"-bV", ALONE, set_action, ACT_VERSION, NULL},
    {"-bd", ALONE, set_daemon, false, NULL},
    {"-bdf", ALONE, set_daemon, true, NULL},
    {"-be", ALONE, set_action, ACT_EXPAND, NULL},
    {"-bem", NEXT, set_message_file, 0, NULL},
    {"-bf", REST, set_unsupported, 0, NULL},
    {"-bh", NEXT, set_host_check, false, NULL},
    {"-bhc", NEXT, set_host_check, true, NULL},
    {"-bi", ALONE, set_action, ACT_ALIASES, NULL},
    {"-bm", ALONE, set_receive, SUBMIT_MESSAGE, NULL},
    {"-bmalware", NEXT, set_unsupported, 0, NULL},
    {"-bnq", ALONE, set_flag, F_NO_QUALIFY, NULL},
    {"-bp", REST, set_list, 0, NULL},
    {"-brt", ALONE, set_action, ACT_RETRY, NULL},
    {"-brw", ALONE, set_action, ACT_REWRITE, NULL},
    {"-bs", ALONE, set_receive, SUBMIT_BS, NULL},
    {"-bt", ALONE, set_address_test, TEST_ROUTE, NULL},
    {"-bv", ALONE, set_address_test, TEST_VERIFY, NULL},
    {"-bvs", ALONE, set_address_test, TEST_VERIFY_SENDER, NULL},
    {"-bw", REST, set_unsupported, 0, NULL},
    {"-d", REST, set_debug, 0, NULL},
    {"-dropcr", ALONE, set_nothing, 0, NULL},
    {"-ee", ALONE, set_errors, ERRORS_MAIL_EXIT0, NULL},
    {"-em", ALONE, set_errors, ERRORS_MAIL, NULL},
    {"-ep", ALONE, set_errors, ERRORS_PRINT, NULL},
    {"-eq", ALONE, set_errors, ERRORS_QUIET, NULL},
    {"-ew", ALONE, set_errors, ERRORS_WRITE, NULL},
    {"-f", VALUE, set_sender, 0, NULL},
    {"-h", VALUE, set_hops, 0, NULL},
    {"-i", ALONE, set_flag, F_NO_DOT, NULL},
    {"-m", ALONE, set_flag, F_METOO, NULL},
    {"-n", ALONE, set_flag, F_NAMES_ONLY, NULL},
    {"-oA", NEXT, TEXT(bi_argument, "string")},
    {"-oB", REST, set_max_messages, 0, NULL},
    {"-oM", NEXT, set_never, 0, "data"},
    {"-oMa", NEXT, TEXT(submission.host_address, "data")},
    {"-oMaa", NEXT, TEXT(submission.auth_mechanism, "data")},
    {"-oMai", NEXT, TEXT(submission.auth_id, "data")},
    {"-oMas", NEXT, TEXT(submission.auth_sender, "data")},
    {"-oMi", NEXT, TEXT(submission.interface_address, "data")},
    {"-oMm", NEXT, set_reference, 0, "data"},
    {"-oMr", NEXT, set_received_protocol, 0, "data"},
    {"-oMs", NEXT, TEXT(submission.host_name, "data")},
    {"-oMt", NEXT, TEXT(submission.ident, "data")},
    {"-oP", NEXT, TEXT(pid_file, NULL)},
    {"-oPX", ALONE, set_unsupported, 0, NULL},
    {"-oX", VALUE, TEXT(interfaces, NULL)},
    {"-odb", ALONE, set_how, QUEUE_BACKGROUND_GIVEN, NULL},
    {"-odd", ALONE, set_how, QUEUE_BACKGROUND_GIVEN, NULL},
    {"-odf", ALONE, set_how, QUEUE_FOREGROUND, NULL},
    {"-odi", ALONE, set_how, QUEUE_FOREGROUND, NULL},
    {"-odq", ALONE, set_how, QUEUE_ONLY, NULL},
    {"-odqs", ALONE, set_how, QUEUE_SMTP_ONLY, NULL},
    {"-oee", ALONE, set_errors, ERRORS_MAIL_EXIT0, NULL},
    {"-oem", ALONE, set_errors, ERRORS_MAIL, NULL},
    {"-oep", ALONE, set_errors, ERRORS_PRINT, NULL},
    {"-oeq", ALONE, set_errors, ERRORS_QUIET, NULL},
    {"-oew", ALONE, set_errors, ERRORS_WRITE, NULL},
    {"-oY", ALONE, set_nothing, 0, NULL},
    {"-oi", ALONE, set_flag, F_NO_DOT, NULL},
    {"-oitrue", ALONE, set_flag, F_NO_DOT, NULL},
    {"-om", ALONE, set_flag, F_METOO, NULL},
    {"-oo", ALONE, set_nothing, 0, NULL},
    {"-or", VALUE, TIME(submission.receive_timeout)},
    {"-os", VALUE, TIME(submission.smtp_receive_timeout)},
    {"-ov", ALONE, set_verbose, 0, NULL},
    {"-p", REST, set_protocol, 0, NULL},
    {"-q", REST, set_queue_run, 0, NULL},
    {"-r", VALUE, set_sender, 0, NULL},
    {"-t", ALONE, set_flag, F_EXTRACT, NULL},
    {"-ti", ALONE, set_flag, F_EXTRACT_NO_DOT, NULL},
    {"-tls-on-connect", ALONE, set_flag, F_TLS, NULL},
    {"-v", ALONE, set_verbose, 0, NULL},
    {"-x", ALONE, set_nothing, 0, NULL},
    {"-z", VALUE, set_log_line, ACT_LOG_LINE, "file name"},
};

/* ---- reading ---- */

/* The row with the longest name that fits the word. */
static const struct row *find_row(struct str word)
{
    const struct row *best = NULL;
    size_t length = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = strlen(rows[i].name);
        bool whole = rows[i].takes == ALONE || rows[i].takes == NEXT;
        if (str_starts(word, rows[i].name) && (!whole || n == word.len) && n > length) {
            best = &rows[i];
            length = n;
        }
    }
    return best;
}

static bool abandon(const struct command *c, const char *word)
{
    if (!str_unset(c->complaint)) {
        fprintf(stderr, "%.*s\n", STR_ARG(c->complaint));
    } else if (c->unsupported) {
        fprintf(stderr,
                "exim abandoned: option %s is known to Exim but not supported by this version of "
                "minim\n",
                word);
    } else {
        fprintf(stderr, "exim abandoned: unknown, malformed, or incomplete option %s\n", word);
    }
    return false;
}

/* -R and -S: flags stick to the letter, the text to it or in the next word. */
static bool selector(struct command *c, struct str word, char **argv, int *i)
{
    uint32_t at = str_starts(word, "-q") ? 2 : 1;
    bool sender = word.p[at] == 'S';
    struct str rest = str_from(word, at + 1);
    struct str flags = str_from(rest, str_starts(rest, "r"));
    bool is_flags = str_empty(flags) || str_is(flags, "f") || str_is(flags, "ff");
    if (!is_flags) {
        return set_selector(c, sender, STR(""), rest);
    }
    if (!argv[*i + 1]) {
        complain(c, str_fmt(c->pool, "exim: string expected after %s", sender ? "-S" : "-R"));
        return abandon(c, word.p);
    }
    return set_selector(c, sender, rest, str_c(argv[++*i]));
}

static bool option(struct command *c, char **argv, int *i)
{
    struct str word = str_c(argv[*i]);
    if (str_starts(word, "-R") || str_starts(word, "-S") || str_starts(word, "-qR") ||
        str_starts(word, "-qS")) {
        return selector(c, word, argv, i);
    }
    const struct row *row = find_row(word);
    if (!row) {
        return abandon(c, argv[*i]);
    }
    struct str value = str_from(word, strlen(row->name));
    const char *next = argv[*i + 1];
    bool follows = row->takes == NEXT || (row->takes == VALUE && str_empty(value));
    follows |= str_is(word, "-oB") && next && isdigit((unsigned char)*next);
    if (follows && next) {
        value = str_c(argv[++*i]);
    } else if (follows && row->set != set_time) {
        if (row->set == set_load) {
            complain(c, STR("exim: no message ids given after -Mset option"));
        } else if (row->wants) {
            complain(c,
                     str_fmt(c->pool, "exim: %s expected after %.*s", row->wants, STR_ARG(word)));
        }
        c->unsupported = row->set == set_unsupported;
        return abandon(c, word.p);
    }
    c->last_word = str_c(argv[*i]);
    if (str_starts(word, "-M")) {
        c->message_option = word;
    }
    return row->set(c, row->n, value) || abandon(c, word.p);
}

/* Names under which the program does something else. */
static void by_name(struct command *c, struct str name)
{
    ptrdiff_t slash = str_rchr(name, '/');
    name = str_from(name, (size_t)(slash + 1));
    if (str_is(name, "mailq")) {
        c->action = ACT_LIST;
    } else if (str_is(name, "rsmtp")) {
        set_receive(c, SUBMIT_BATCH, STR_NONE);
    } else if (str_is(name, "rmail")) {
        set_flag(c, F_NO_DOT, STR_NONE);
        set_errors(c, ERRORS_MAIL_EXIT0, STR_NONE);
    } else if (str_is(name, "runq")) {
        c->run_given = true;
    } else if (str_is(name, "newaliases")) {
        c->action = ACT_ALIASES;
    }
}

/* ---- what does not go together ---- */

/* What a command line asks for: bits of command.asked. */
enum asked {
    ASK_LISTEN = 1,        /* -bd, -bdf */
    ASK_PERIODIC = 2,      /* -q<time> */
    ASK_RUN = 4,           /* -q, -R, -S without a time */
    ASK_SELECTED = 8,      /* -R, -S */
    ASK_LIST = 0x10,       /* -bp… */
    ASK_PRINT = 0x20,      /* -bP */
    ASK_EXPAND = 0x40,     /* -be */
    ASK_ROUTE = 0x80,      /* -bt */
    ASK_VERIFY = 0x100,    /* -bv, -bvs */
    ASK_HOST = 0x200,      /* -bh, -bhc */
    ASK_SMTP = 0x400,      /* -bs, -bS */
    ASK_EXTRACT = 0x800,   /* -t */
    ASK_ALIASES = 0x1000,  /* -bi */
    ASK_RULES = 0x2000,    /* -brt, -brw */
    ASK_MESSAGES = 0x4000, /* -M… */
    ASK_LOAD = 0x8000,     /* -Mset */
    ASK_SENDER = 0x10000,  /* -f */
    ASK_ARGUMENTS = 0x20000
};

/* Rows of requests of which none goes with any of the others. */
static const struct {
    unsigned one, others;
} conflicts[] = {
    {ASK_LISTEN | ASK_PERIODIC, ASK_LIST | ASK_PRINT | ASK_EXPAND | ASK_ROUTE | ASK_VERIFY |
                                    ASK_HOST | ASK_SMTP | ASK_EXTRACT | ASK_ALIASES | ASK_RULES |
                                    ASK_MESSAGES | ASK_LOAD | ASK_SENDER | ASK_ARGUMENTS},
    {ASK_LISTEN, ASK_RUN},
    {ASK_RUN, ASK_SMTP | ASK_EXTRACT | ASK_LOAD},
    {ASK_SELECTED, ASK_ARGUMENTS},
    {ASK_PRINT, ASK_EXPAND | ASK_ROUTE | ASK_VERIFY | ASK_HOST | ASK_SMTP | ASK_EXTRACT |
                    ASK_ALIASES | ASK_RULES | ASK_MESSAGES | ASK_LOAD},
    {ASK_EXPAND, ASK_MESSAGES},
    {ASK_ROUTE, ASK_VERIFY},
    {ASK_ROUTE | ASK_VERIFY, ASK_SMTP | ASK_EXTRACT | ASK_ALIASES | ASK_MESSAGES | ASK_LOAD},
    {ASK_HOST, ASK_MESSAGES | ASK_LOAD},
    {ASK_SMTP, ASK_EXTRACT | ASK_ALIASES | ASK_RULES | ASK_MESSAGES | ASK_LOAD | ASK_SENDER},
    {ASK_EXTRACT, ASK_ALIASES | ASK_RULES | ASK_MESSAGES | ASK_LOAD},
    {ASK_ALIASES, ASK_MESSAGES | ASK_LOAD | ASK_ARGUMENTS},
};

/* What the option just read asks for. */
static unsigned asked_now(const struct command *c)
{
    switch (c->action) {
    case ACT_RECEIVE:
        return c->submission.mode == SUBMIT_MESSAGE      ? 0
               : c->submission.mode == SUBMIT_HOST_CHECK ? ASK_HOST
                                                         : ASK_SMTP;
    case ACT_DAEMON: return ASK_LISTEN;
    case ACT_LIST: return ASK_LIST;
    case ACT_PRINT: return ASK_PRINT;
    case ACT_EXPAND: return ASK_EXPAND;
    case ACT_TEST_ADDRESS: return c->verify ? ASK_VERIFY : ASK_ROUTE;
    case ACT_ALIASES: return ASK_ALIASES;
    case ACT_RETRY:
    case ACT_REWRITE: return ASK_RULES;
    case ACT_MESSAGES: return ASK_MESSAGES;
    default: return 0;
    }
}

/* False if two things are asked for that do not go together. */
static bool goes_together(const struct command *c)
{
    unsigned asked = c->asked;
    asked |= c->queue_interval ? ASK_PERIODIC : c->run_given ? ASK_RUN : 0;
    asked |= str_unset(c->run.sender) && str_unset(c->run.recipient) ? 0 : ASK_SELECTED;
    asked |= c->submission.extract ? ASK_EXTRACT : 0;
    asked |= c->submission.sender_set ? ASK_SENDER : 0;
    asked |= c->args.n ? ASK_ARGUMENTS : 0;
    for (size_t i = 0; i < ARRAY_LEN(conflicts); i++) {
        if ((asked & conflicts[i].one) && (asked & conflicts[i].others)) {
            return false;
        }
    }
    return str_unset(c->message_id) || ((asked & ASK_EXPAND) && str_unset(c->message_file));
}

/* Decides what is to be done from all that was said. */
static bool settle(struct command *c)
{
    if (!goes_together(c)) {
        fprintf(stderr, "exim: incompatible command-line options or arguments\n");
        return false;
    }
    if (c->action == ACT_NONE && c->run_given) {
        c->action = c->queue_interval ? ACT_DAEMON : ACT_QUEUE_RUN;
    }
    if (c->action == ACT_NONE) {
        c->action = ACT_RECEIVE;
    }
    if (c->action == ACT_RECEIVE && c->submission.mode == SUBMIT_MESSAGE && !c->args.n &&
        !c->submission.extract) {
        c->action = ACT_HELP;
    }
    if (c->action == ACT_QUEUE_RUN) {
        c->run.first = c->args.n > 0 ? c->args.v[0] : STR_NONE;
        c->run.last = c->args.n > 1 ? c->args.v[1] : STR_NONE;
    }
    if (c->action == ACT_VERSION && c->args.n) {
        fprintf(stderr, "exim: incompatible command-line options or arguments\n");
        return false;
    }
    c->list.ids = c->args;
    c->submission.recipients = c->args;
    c->submission.in = 0;
    c->submission.out = 1;
    c->submission.err = 2;
    return true;
}

bool command_parse(struct command *c, int argc, char **argv)
{
    c->args.pool = c->source.files.pool = c->source.define.pool = c->source.pool = c->pool;
    c->submission.dot_ends = true;
    c->submission.receive_timeout = c->submission.smtp_receive_timeout = -1;
    c->submission.errors = ERRORS_MAIL;
    by_name(c, str_c(argc ? argv[0] : "minim"));
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (str_is(str_c(argv[i]), "--")) {
            i++;
            break;
        }
        if (!option(c, argv, &i)) {
            return false;
        }
        c->asked |= asked_now(c);
        if (c->action == ACT_RETRY || c->action == ACT_REWRITE) {
            i++; /* whatever follows is an argument */
            break;
        }
    }
    for (; i < argc; i++) {
        strvec_push(&c->args, str_c(argv[i]));
    }
    return settle(c);
}

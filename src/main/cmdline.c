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
};

static bool set_nothing(struct command *c, int n, struct str value)
{
    (void)c;
    (void)n;
    (void)value;
    return true;
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

static bool set_list(struct command *c, int n, struct str value)
{
    (void)n;
    c->action = ACT_LIST;
    for (uint32_t i = 0; i < value.len; i++) {
        switch (value.p[i]) {
        case 'a': c->list.all_recipients = true; break;
        case 'c': c->list.count = true; break;
        case 'r': c->list.unsorted = true; break;
        case 'u': c->list.recipients_only_undelivered = true; break;
        default: return false;
        }
    }
    return true;
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

/* -q[q][i][f[f]][l][<time>] */
static bool set_queue_run(struct command *c, int n, struct str value)
{
    (void)n;
    struct queue_run_opts *o = &c->run;
    uint32_t i = 0;
    while (i < value.len && strchr("qifl", value.p[i])) {
        switch (value.p[i++]) {
        case 'q': o->two_stage = true; break;
        case 'i': o->first_only = true; break;
        case 'l': o->local_only = true; break;
        default: o->force_frozen = o->force; o->force = true;
        }
    }
    value = str_from(value, i);
    c->run_given = true;
    if (!str_empty(value)) {
        int64_t t = time_interval(value);
        if (t <= 0 || t > INT32_MAX) {
            return false;
        }
        c->queue_interval = (int)t;
    }
    return true;
}

/* -oB, -oBn: messages a connection may take; one if no number is given. */
static bool set_max_messages(struct command *c, int n, struct str value)
{
    uint64_t max = 1;
    (void)n;
    if (!str_empty(value) && (!str_to_u64(value, 10, &max) || max > INT32_MAX)) {
        return false;
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
    (void)n;
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

/* True if the text is made of debug selectors of Exim's, each with + or - before it. */
static bool debug_selectors_ok(struct str text)
{
    static const char *const names[] = {
        "acl",       "all",     "auth",         "deliver",      "dns",         "dnsbl",
        "exec",      "expand",  "filter",       "hints_lookup", "host_lookup", "ident",
        "interface", "lists",   "load",         "local_scan",   "lookup",      "memory",
        "noutf8",    "pid",     "process_info", "queue_run",    "receive",     "resolver",
        "retry",     "rewrite", "route",        "timestamp",    "tls",         "transport",
        "uid",       "verify"};
    while (!str_empty(text)) {
        uint32_t end = 1;
        while (end < text.len && text.p[end] != '+' && text.p[end] != '-') {
            end++;
        }
        struct str name = str_sub(text, 1, end - 1);
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            known = known || str_is(name, names[i]);
        }
        if (!known || (text.p[0] != '+' && text.p[0] != '-')) {
            return false;
        }
        text = str_from(text, end);
    }
    return true;
}

static bool set_debug(struct command *c, int n, struct str value)
{
    (void)n;
    struct str selectors = str_starts(value, "d") ? str_from(value, 1) : value;
    if (!str_empty(selectors) && !debug_selectors_ok(selectors)) {
        fprintf(stderr, "exim: unknown debug_selector setting: %.*s\n", STR_ARG(selectors));
        exit(1);
    }
    debug_on(true);
    c->foreground = true;
    c->verbose = true;
    return true;
}

static bool set_verbose(struct command *c, int n, struct str value)
{
    (void)n;
    (void)value;
    c->verbose = true;
    return true;
}

static bool set_sender(struct command *c, int n, struct str value)
{
    (void)n;
    c->submission.sender = value;
    c->submission.sender_set = true;
    return true;
}

static bool set_how(struct command *c, int n, struct str value)
{
    (void)value;
    c->submission.how = (enum queue_how)n;
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
#define TEXT(field) set_text, (int)offsetof(struct command, field)

static bool set_time(struct command *c, int offset, struct str value)
{
    int64_t t = time_interval(value);
    *(int *)(void *)((char *)c + offset) = (int)t;
    return t >= 0 && t < INT32_MAX;
}
#define TIME(field) set_time, (int)offsetof(struct command, field)

/* -p<protocol>[:<host name>] */
static bool set_protocol(struct command *c, int n, struct str value)
{
    (void)n;
    ptrdiff_t colon = str_chr(value, ':');
    c->submission.protocol = colon < 0 ? value : str_sub(value, 0, (size_t)colon);
    if (colon >= 0) {
        c->submission.host_name = str_from(value, (size_t)colon + 1);
    }
    return !str_empty(c->submission.protocol);
}

/* -N: nothing is delivered, by this submission or by these deliveries; shown as they go. */
static bool set_no_delivery(struct command *c, int n, struct str value)
{
    c->submission.dont_deliver = c->run.dont_deliver = true;
    return set_verbose(c, n, value);
}

static bool set_unsupported(struct command *c, int n, struct str value)
{
    (void)c;
    (void)n;
    (void)value;
    return false;
}

static const struct row rows[] = {
    {"--caller", NEXT, TEXT(caller_option)},
    {"--defaults", ALONE, set_defaults, 0},
    {"--help", ALONE, set_action, ACT_HELP},
    {"--hints", ALONE, set_action, ACT_HINTS},
    {"--reference", ALONE, set_action, ACT_REFERENCE},
    {"--tidy", ALONE, set_action, ACT_TIDY},
    {"--version", ALONE, set_action, ACT_VERSION},
    {"-Ac", ALONE, set_nothing, 0},
    {"-Am", ALONE, set_nothing, 0},
    {"-B", REST, set_nothing, 0},
    {"-C", VALUE, set_file, 0},
    {"-D", REST, set_macro, 0},
    {"-F", VALUE, TEXT(submission.full_name)},
    {"-E", REST, set_unsupported, 0},
    {"-G", ALONE, set_flag, F_NO_FIXUPS},
    {"-L", VALUE, TEXT(syslog_tag)},
    {"-M", ALONE, set_message_action, QA_DELIVER},
    {"-MC", REST, set_unsupported, 0},
    {"-MG", NEXT, set_unsupported, 0},
    {"-Mar", ALONE, set_message_action, QA_ADD_RECIPIENT},
    {"-Mc", ALONE, set_retrying_delivery, QA_DELIVER},
    {"-Mes", ALONE, set_message_action, QA_EDIT_SENDER},
    {"-Mf", ALONE, set_message_action, QA_FREEZE},
    {"-Mg", ALONE, set_message_action, QA_GIVE_UP},
    {"-Mmad", ALONE, set_message_action, QA_MARK_ALL_DELIVERED},
    {"-Mmd", ALONE, set_message_action, QA_MARK_DELIVERED},
    {"-Mrm", ALONE, set_message_action, QA_REMOVE},
    {"-Mset", NEXT, TEXT(message_id)},
    {"-Mt", ALONE, set_message_action, QA_THAW},
    {"-Mvb", ALONE, set_message_action, QA_VIEW_BODY},
    {"-Mvc", ALONE, set_message_action, QA_VIEW_COPY},
    {"-Mvh", ALONE, set_message_action, QA_VIEW_HEADER},
    {"-Mvl", ALONE, set_message_action, QA_VIEW_LOG},
    {"-N", ALONE, set_no_delivery, 0},
    {"-O", VALUE, set_nothing, 0},
    {"-U", ALONE, set_nothing, 0},
    {"-X", VALUE, set_nothing, 0},
    {"-bF", NEXT, set_unsupported, 0},
    {"-bI:", REST, set_unsupported, 0},
    {"-bP", ALONE, set_action, ACT_PRINT},
    {"-bS", ALONE, set_receive, SUBMIT_BATCH},
    {"-bV", ALONE, set_action, ACT_VERSION},
    {"-bd", ALONE, set_daemon, false},
    {"-bdf", ALONE, set_daemon, true},
    {"-be", ALONE, set_action, ACT_EXPAND},
    {"-bem", NEXT, set_message_file, 0},
    {"-bf", REST, set_unsupported, 0},
    {"-bh", NEXT, set_host_check, false},
    {"-bhc", NEXT, set_host_check, true},
    {"-bi", ALONE, set_action, ACT_ALIASES},
    {"-bm", ALONE, set_receive, SUBMIT_MESSAGE},
    {"-bmalware", NEXT, set_unsupported, 0},
    {"-bnq", ALONE, set_flag, F_NO_QUALIFY},
    {"-bp", REST, set_list, 0},
    {"-brt", ALONE, set_action, ACT_RETRY},
    {"-brw", ALONE, set_action, ACT_REWRITE},
    {"-bs", ALONE, set_receive, SUBMIT_BS},
    {"-bt", ALONE, set_address_test, TEST_ROUTE},
    {"-bv", ALONE, set_address_test, TEST_VERIFY},
    {"-bvs", ALONE, set_address_test, TEST_VERIFY_SENDER},
    {"-bw", REST, set_unsupported, 0},
    {"-d", REST, set_debug, 0},
    {"-dropcr", ALONE, set_nothing, 0},
    {"-ee", ALONE, set_errors, ERRORS_MAIL_EXIT0},
    {"-em", ALONE, set_errors, ERRORS_MAIL},
    {"-ep", ALONE, set_errors, ERRORS_PRINT},
    {"-eq", ALONE, set_errors, ERRORS_QUIET},
    {"-ew", ALONE, set_errors, ERRORS_WRITE},
    {"-f", VALUE, set_sender, 0},
    {"-h", VALUE, set_nothing, 0},
    {"-i", ALONE, set_flag, F_NO_DOT},
    {"-m", ALONE, set_flag, F_METOO},
    {"-n", ALONE, set_flag, F_NAMES_ONLY},
    {"-oA", NEXT, TEXT(bi_argument)},
    {"-oB", REST, set_max_messages, 0},
    {"-oMa", NEXT, TEXT(submission.host_address)},
    {"-oMaa", NEXT, TEXT(submission.auth_mechanism)},
    {"-oMai", NEXT, TEXT(submission.auth_id)},
    {"-oMas", NEXT, TEXT(submission.auth_sender)},
    {"-oMi", NEXT, TEXT(submission.interface_address)},
    {"-oMm", NEXT, TEXT(submission.message_reference)},
    {"-oMr", NEXT, TEXT(submission.protocol)},
    {"-oMs", NEXT, TEXT(submission.host_name)},
    {"-oMt", NEXT, TEXT(submission.ident)},
    {"-oP", NEXT, TEXT(pid_file)},
    {"-oPX", ALONE, set_unsupported, 0},
    {"-oX", VALUE, TEXT(interfaces)},
    {"-odb", ALONE, set_how, QUEUE_BACKGROUND_GIVEN},
    {"-odd", ALONE, set_how, QUEUE_BACKGROUND_GIVEN},
    {"-odf", ALONE, set_how, QUEUE_FOREGROUND},
    {"-odi", ALONE, set_how, QUEUE_FOREGROUND},
    {"-odq", ALONE, set_how, QUEUE_ONLY},
    {"-odqs", ALONE, set_how, QUEUE_SMTP_ONLY},
    {"-oee", ALONE, set_errors, ERRORS_MAIL_EXIT0},
    {"-oem", ALONE, set_errors, ERRORS_MAIL},
    {"-oep", ALONE, set_errors, ERRORS_PRINT},
    {"-oeq", ALONE, set_errors, ERRORS_QUIET},
    {"-oew", ALONE, set_errors, ERRORS_WRITE},
    {"-oY", ALONE, set_nothing, 0},
    {"-oi", ALONE, set_flag, F_NO_DOT},
    {"-oitrue", ALONE, set_flag, F_NO_DOT},
    {"-om", ALONE, set_flag, F_METOO},
    {"-oo", ALONE, set_nothing, 0},
    {"-or", VALUE, TIME(submission.receive_timeout)},
    {"-os", VALUE, TIME(submission.smtp_receive_timeout)},
    {"-ov", ALONE, set_verbose, 0},
    {"-p", REST, set_protocol, 0},
    {"-q", REST, set_queue_run, 0},
    {"-r", VALUE, set_sender, 0},
    {"-t", ALONE, set_flag, F_EXTRACT},
    {"-ti", ALONE, set_flag, F_EXTRACT_NO_DOT},
    {"-tls-on-connect", ALONE, set_flag, F_TLS},
    {"-v", ALONE, set_verbose, 0},
    {"-x", ALONE, set_nothing, 0},
    {"-z", NEXT, set_log_line, ACT_LOG_LINE},
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

static bool abandon(const struct row *row, const char *word)
{
    if (row && row->set == set_unsupported) {
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
        return abandon(NULL, word.p);
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
        return abandon(NULL, argv[*i]);
    }
    struct str value = str_from(word, strlen(row->name));
    if (row->takes == NEXT || (row->takes == VALUE && str_empty(value))) {
        if (!argv[*i + 1]) {
            return abandon(row, word.p);
        }
        value = str_c(argv[++*i]);
    }
    if (str_is(word, "-oB") && argv[*i + 1] && str_all_in(str_c(argv[*i + 1]), "0123456789")) {
        value = str_c(argv[++*i]);
    }
    if (str_starts(word, "-M")) {
        c->message_option = word;
    }
    return row->set(c, row->n, value) || abandon(row, word.p);
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

/* Decides what is to be done from all that was said. */
static bool settle(struct command *c)
{
    if (c->action == ACT_NONE && c->run_given) {
        c->action = c->queue_interval ? ACT_DAEMON : ACT_QUEUE_RUN;
    }
    if (c->action == ACT_NONE && !str_unset(c->message_id)) {
        c->action = ACT_EXPAND;
    }
    if (c->action == ACT_NONE) {
        c->action = ACT_RECEIVE;
    }
    if (c->action == ACT_RECEIVE && c->submission.mode == SUBMIT_MESSAGE && !c->args.n &&
        !c->submission.extract) {
        c->action = ACT_HELP;
        c->unclear = true;
    }
    if (c->submission.extract && c->action == ACT_TEST_ADDRESS) {
        fprintf(stderr, "exim: incompatible command-line options or arguments\n");
        return false;
    }
    if (c->action == ACT_QUEUE_RUN) {
        c->run.first = c->args.n > 0 ? c->args.v[0] : STR_NONE;
        c->run.last = c->args.n > 1 ? c->args.v[1] : STR_NONE;
    }
    if ((c->action == ACT_DAEMON || c->action == ACT_VERSION) && c->args.n) {
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
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        if (str_is(str_c(argv[i]), "--")) {
            i++;
            break;
        }
        if (!option(c, argv, &i)) {
            return false;
        }
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

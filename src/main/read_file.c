/*
 * The configuration reader: main section, named lists, and the order of the other sections.
 *
 * Reading goes on after an error, so that one run reports them all; the configuration counts only
 * if there was none. Sections of instances are in instances.c; ACLs, retry and rewrite rules are
 * parsed by their rooms, a logical line at a time. After the last section the modules' finish
 * functions run in the order of their ranks, then routers and ACLs are linked.
 */
#include "main/internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* ---- errors ---- */

static void add_error(struct config_source *src, struct cfg_pos pos, struct str text)
{
    struct config_error *e = POOL_NEW(src->pool, struct config_error);
    e->pos = pos;
    e->pos.file = pos.file ? str_cstr(src->pool, str_c(pos.file)) : NULL;
    e->text = str_dup(src->pool, text);
    if (!src->last) {
        src->last = &src->errors;
    }
    *src->last = e;
    src->last = &e->next;
    src->error_count++;
}

bool source_error(struct config_source *src, struct str text)
{
    add_error(src, (struct cfg_pos){NULL, 0, 0}, text);
    return false;
}

/*
 * The engine's error function. A compiler that knows where in a value the fault is has moved the
 * column by that offset; the table of places turns it into a place of the file.
 */
static void report(struct opt_reader *r, const char *text)
{
    struct reader *rd = r->closure;
    struct cfg_pos pos = r->pos;
    if (rd->at && pos.file == rd->at_pos.file && pos.line == rd->at_pos.line) {
        int off = pos.col - rd->at_pos.col;
        size_t i = off < 0 ? 0 : (size_t)off;
        pos = rd->at[i > rd->at_len ? rd->at_len : i];
    }
    add_error(rd->source, pos, str_c(text));
}

void reader_at(struct reader *rd, size_t offset)
{
    rd->at = rd->line.at + offset;
    rd->at_len = rd->line.text.len - offset;
    rd->opt.pos = rd->at_pos = *rd->at;
}

void reader_nowhere(struct reader *rd)
{
    rd->at = NULL;
    rd->opt.pos = (struct cfg_pos){rd->conf->file, 0, 0};
    rd->opt.option = "";
}

/* ---- settings ---- */

static uint32_t word_length(struct str s)
{
    uint32_t n = 0;
    while (n < s.len && (isalnum((unsigned char)s.p[n]) || s.p[n] == '_')) {
        n++;
    }
    return n;
}

bool read_setting(struct reader *rd, struct setting *s)
{
    struct str text = rd->line.text;
    *s = (struct setting){.value = STR_NONE};
    if (str_starts(text, "hide") && text.len > 4 && isspace((unsigned char)text.p[4])) {
        s->hide = true;
        text = str_ltrim(str_from(text, 4));
    }
    size_t at = rd->line.text.len - text.len;
    reader_at(rd, at);
    uint32_t n = word_length(text);
    if (n == 0) {
        return opt_error(&rd->opt, "option setting expected: %.*s", STR_ARG(text));
    }
    s->name = str_sub(text, 0, n);
    struct str rest = str_ltrim(str_from(text, n));
    if (str_starts(rest, "=")) {
        s->value = str_ltrim(str_from(rest, 1));
    }
    s->junk = str_unset(s->value) && !str_empty(rest);
    s->value_at = rd->line.text.len - s->value.len;
    return true;
}

/* One escape of a quoted string, after its backslash; returns how many bytes it took. */
static uint32_t unescape(struct str s, char *out)
{
    uint64_t n;
    uint32_t len = 0;
    switch (s.p[0]) {
    case 'n': *out = '\n'; return 1;
    case 'r': *out = '\r'; return 1;
    case 't': *out = '\t'; return 1;
    case 'x':
        while (len < 2 && len + 1 < s.len && isxdigit((unsigned char)s.p[len + 1])) {
            len++;
        }
        *out = str_to_u64(str_sub(s, 1, len), 16, &n) ? (char)n : '\0';
        return len + 1;
    default:
        while (len < 3 && len < s.len && s.p[len] >= '0' && s.p[len] <= '7') {
            len++;
        }
        *out = len && str_to_u64(str_sub(s, 0, len), 8, &n) ? (char)n : s.p[0];
        return len ? len : 1;
    }
}

/*
 * Undoes the quotes of a value and moves the table of places along, so that an offset in the
 * result can be told.
 */
static bool dequote(struct reader *rd, const struct setting *s, struct str *out)
{
    struct str in = s->value;
    char *p = pool_alloc(rd->opt.pool, in.len + 1u);
    struct cfg_pos *at = pool_calloc(rd->opt.pool, in.len + 1u, sizeof *at);
    uint32_t i = 1, n = 0;
    for (; i < in.len && in.p[i] != '"'; n++) {
        at[n] = rd->line.at[s->value_at + i];
        if (in.p[i] == '\\' && i + 1 < in.len) {
            i += 1 + unescape(str_from(in, i + 1), &p[n]);
        } else {
            p[n] = in.p[i++];
        }
    }
    if (i >= in.len) {
        return opt_error(&rd->opt, "missing quote at end of string value for %.*s",
                         STR_ARG(s->name));
    }
    if (i + 1 < in.len) {
        return opt_error(&rd->opt, "extra characters follow string value for %.*s",
                         STR_ARG(s->name));
    }
    p[n] = '\0';
    at[n] = rd->line.at[s->value_at + i];
    *out = str_n(p, n);
    rd->at = at;
    rd->at_len = n;
    rd->opt.pos = rd->at_pos = at[0];
    return true;
}

bool read_apply(struct reader *rd, const struct option *row, void *base, const struct setting *s)
{
    if (map_get(rd->seen, str_c(row->name)) && row->type != OPT_REPEAT) {
        return opt_error(&rd->opt, "\"%s\" option set for the second time", row->name);
    }
    map_set(rd->seen, str_c(row->name), rd);
    if (s->junk) {
        return row->type == OPT_BOOL
                   ? opt_error(&rd->opt, "extra characters follow boolean option %.*s",
                               STR_ARG(s->name))
                   : opt_error(&rd->opt, "missing \"=\" after %.*s", STR_ARG(s->name));
    }
    struct str value = s->value;
    if (!str_unset(value)) {
        reader_at(rd, s->value_at);
        if (str_starts(value, "\"") && !dequote(rd, s, &value)) {
            return false;
        }
    }
    return opt_set(&rd->opt, row, base, value, s->negated);
}

/* ---- the main section ---- */

/* The row of a main option and the struct it fills. */
static const struct option *main_row(const struct config *conf, struct str name, void **base)
{
    for (const struct module *const *m = conf->modules; *m; m++) {
        const struct option *row = opt_find((*m)->options, name);
        if (row) {
            *base = conf->settings[(*m)->room];
            return row;
        }
    }
    return NULL;
}

/* Finds a row for the name, or for it without no_ or not_, which is then noted. */
static const struct option *find_main(struct reader *rd, struct setting *s, void **base)
{
    const struct option *row = main_row(rd->conf, s->name, base);
    uint32_t prefix = str_starts(s->name, "no_") ? 3 : str_starts(s->name, "not_") ? 4 : 0;
    if (!row && prefix) {
        row = main_row(rd->conf, str_from(s->name, prefix), base);
        s->negated = row != NULL;
        s->name = row ? str_from(s->name, prefix) : s->name;
    }
    return row;
}

static bool main_option(struct reader *rd)
{
    struct setting s;
    void *base = NULL;
    if (!read_setting(rd, &s)) {
        return false;
    }
    const struct option *row = find_main(rd, &s, &base);
    if (!row) {
        struct str bare = str_starts(s.name, "no_")    ? str_from(s.name, 3)
                          : str_starts(s.name, "not_") ? str_from(s.name, 4)
                                                       : s.name;
        row = opt_find(unsupported_options(STR("main")), s.name);
        row = row ? row : opt_find(unsupported_options(STR("main")), bare);
        s.negated = row && !str_is(s.name, row->name);
        if (row && unsupported_harmless(row, &s)) {
            return true;
        }
        return row ? opt_set(&rd->opt, row, NULL, s.value, s.negated)
                   : opt_error(&rd->opt, "main option \"%.*s\" unknown", STR_ARG(s.name));
    }
    if (s.hide) {
        map_set(rd->conf->hidden, str_c(row->name), rd->conf);
    }
    return read_apply(rd, row, base, &s);
}

/* The words that begin a named list, without "_cache". */
static const struct {
    const char *word, *what;
    enum opt_type type;
} list_words[] = {
    [LIST_DOMAINS] = {"domainlist", "domain", OPT_DOMAINS},
    [LIST_HOSTS] = {"hostlist", "host", OPT_HOSTS},
    [LIST_ADDRESSES] = {"addresslist", "address", OPT_ADDRESSES},
    [LIST_LOCALPARTS] = {"localpartlist", "local part", OPT_LOCALPARTS},
};

/* True if the line defines a named list: its kind, and the text behind the word. */
static bool is_named_list(struct str line, int *kind, bool *cache, struct str *rest)
{
    uint32_t n = word_length(line);
    struct str word = str_sub(line, 0, n);
    *cache = str_ends(word, STR("_cache"));
    word.len -= *cache ? 6 : 0;
    *rest = str_ltrim(str_from(line, n));
    for (*kind = 0; *kind < (int)ARRAY_LEN(list_words); ++*kind) {
        if (str_is(word, list_words[*kind].word) && n < line.len) {
            return true;
        }
    }
    return false;
}

static bool named_list(struct reader *rd, int kind, bool cache, bool hide, struct str rest)
{
    struct str name = str_sub(rest, 0, word_length(rest));
    struct str value = str_ltrim(str_from(rest, name.len));
    reader_at(rd, rd->line.text.len - rest.len);
    if (!str_starts(value, "=")) {
        return opt_error(&rd->opt, "missing '=' after \"%.*s\"", STR_ARG(name));
    }
    if (map_get(rd->conf->named_lists[kind], name)) {
        return opt_error(&rd->opt, "duplicate name \"%.*s\" for a named %s list", STR_ARG(name),
                         list_words[kind].what);
    }
    struct named_list *l = POOL_NEW(rd->opt.pool, struct named_list);
    *l = (struct named_list){
        .name = str_dup(rd->opt.pool, name), .kind = kind, .hide = hide, .cache = cache};
    map_set(rd->conf->named_lists[kind], name, l);
    value = str_ltrim(str_from(value, 1));
    struct setting s = {.name = name, .value = value, .value_at = rd->line.text.len - value.len};
    struct option row = {.name = str_cstr(rd->opt.pool, name), .type = list_words[kind].type};
    struct map *seen = rd->seen;
    rd->seen = map_new(rd->opt.pool, false);
    bool ok = read_apply(rd, &row, &l->text, &s);
    rd->seen = seen;
    return ok;
}

bool read_macro(struct reader *rd)
{
    struct str error;
    return macros_read(&rd->macros, rd->line.text, &error) ||
           opt_error(&rd->opt, "%.*s", STR_ARG(error));
}

static void main_line(struct reader *rd)
{
    struct str line = rd->line.text, rest;
    int kind;
    bool cache;
    bool hide = str_starts(line, "hide") && line.len > 4 && isspace((unsigned char)line.p[4]);
    if (isupper((unsigned char)line.p[0])) {
        read_macro(rd);
        return;
    }
    if (is_named_list(hide ? str_ltrim(str_from(line, 4)) : line, &kind, &cache, &rest)) {
        named_list(rd, kind, cache, hide, rest);
    } else {
        main_option(rd);
    }
}

/* ---- sections ---- */

struct str line_begins(struct str line)
{
    return str_starts(line, "begin") && line.len > 5 && isspace((unsigned char)line.p[5])
               ? str_trim(str_from(line, 5))
               : STR_NONE;
}

/* Hands each line up to the next section to f. */
static bool each_line(struct reader *rd, bool macros_too,
                      bool (*f)(struct opt_reader *, struct str))
{
    bool more;
    while ((more = lines_next(rd->lines, &rd->line)) && str_unset(line_begins(rd->line.text))) {
        reader_at(rd, 0);
        if (macros_too && macros_is_definition(rd->line.text)) {
            read_macro(rd);
        } else {
            rd->opt.last_line = rd->line.at[rd->line.text.len].line;
            f(&rd->opt, rd->line.text);
        }
    }
    return more;
}

static bool rewrite_line(struct opt_reader *r, struct str line)
{
    return rewrite_read_line(r, &r->conf->rewrite_rules, line);
}

static bool ignore_line(struct opt_reader *r, struct str line)
{
    (void)r;
    (void)line;
    return true;
}

static bool section_acl(struct reader *rd)
{
    return each_line(rd, true, acl_read_line);
}

static bool section_retry(struct reader *rd)
{
    return each_line(rd, false, retry_read_line);
}

static bool section_rewrite(struct reader *rd)
{
    return each_line(rd, false, rewrite_line);
}

static bool section_routers(struct reader *rd)
{
    return read_instances(rd, INSTANCE_ROUTER);
}

static bool section_transports(struct reader *rd)
{
    return read_instances(rd, INSTANCE_TRANSPORT);
}

static bool section_authenticators(struct reader *rd)
{
    return read_instances(rd, INSTANCE_AUTHENTICATOR);
}

static bool section_local_scan(struct reader *rd)
{
    opt_error(&rd->opt, "local_scan() options not supported: (LOCAL_SCAN_HAS_OPTIONS not defined "
                        "in Local/Makefile)");
    return each_line(rd, false, ignore_line);
}

/* A section's name and reader, which leaves the line that ends it as the current one. */
struct section {
    const char *name;
    bool (*read)(struct reader *rd); /* false: end of the file */
};

static const struct section sections[] = {
    {"acl", section_acl},
    {"authenticators", section_authenticators},
    {"local_scan", section_local_scan},
    {"retry", section_retry},
    {"rewrite", section_rewrite},
    {"routers", section_routers},
    {"transports", section_transports},
};

/* Reads the section that the current line begins. False at the end of the file. */
static bool read_section(struct reader *rd, unsigned *seen)
{
    struct str name = line_begins(rd->line.text);
    reader_at(rd, 0);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (!str_is(name, sections[i].name)) {
            continue;
        }
        if (*seen & 1u << i) {
            opt_error(&rd->opt, "\"%.*s\" section is repeated in the configuration file",
                      STR_ARG(name));
        }
        *seen |= 1u << i;
        return sections[i].read(rd);
    }
    opt_error(&rd->opt, "\"%.*s\" is not a known configuration section name", STR_ARG(name));
    return each_line(rd, false, ignore_line);
}

static void read_all(struct reader *rd)
{
    unsigned seen = 0;
    bool more;
    rd->seen = map_new(rd->opt.pool, false);
    while ((more = lines_next(rd->lines, &rd->line)) && str_unset(line_begins(rd->line.text))) {
        reader_at(rd, 0);
        main_line(rd);
    }
    while (more) {
        more = read_section(rd, &seen);
    }
}

/* ---- the whole ---- */

void reader_init(struct reader *rd, struct config_source *src, const char *name)
{
    struct pool *pool = pool_new("configuration");
    struct config *conf = POOL_NEW(pool, struct config);
    conf->pool = pool;
    conf->file = str_cstr(pool, str_c(name));
    conf->modules = modules;
    conf->hidden = map_new(pool, false);
    conf->acls = map_new(pool, false);
    for (size_t i = 0; i < ARRAY_LEN(conf->named_lists); i++) {
        conf->named_lists[i] = map_new(pool, false);
    }
    *rd = (struct reader){.conf = conf, .source = src};
    rd->opt = (struct opt_reader){.pool = pool,
                                  .conf = conf,
                                  .compile = expand_compile_option,
                                  .compile_list = expand_compile_list,
                                  .error = report,
                                  .closure = rd};
    reader_nowhere(rd);
    macros_init(&rd->macros, pool, modules);
    for (const struct module *const *m = modules; *m; m++) {
        size_t size = (*m)->settings_size;
        conf->settings[(*m)->room] = size ? pool_zalloc(pool, size) : NULL;
        opt_defaults(&rd->opt, (*m)->options, conf->settings[(*m)->room]);
    }
}

static void define_macros(struct reader *rd)
{
    for (size_t i = 0; i < rd->source->define.n; i++) {
        struct str error;
        if (!macros_from_command_line(&rd->macros, rd->source->define.v[i], &error)) {
            source_error(rd->source, error);
        }
    }
}

static bool in_domain_list(const struct config *conf, struct pool *pool, const struct etext *list,
                           struct str name)
{
    struct ectx x;
    ectx_init(&x, conf, pool);
    return match_domain(&x, list, name, NULL) == MATCH_YES;
}

/* The value of an option that is expanded once, when the configuration is read. */
static struct str expand_now(struct reader *rd, const char *name, const struct etext *text)
{
    struct ectx x;
    struct str value = STR_NONE;
    ectx_init(&x, rd->conf, rd->conf->pool);
    if (!expand_option(&x, text, &value)) {
        opt_error(&rd->opt, "failed to expand %s \"%.*s\": %.*s", name, STR_ARG(text->text),
                  STR_ARG(x.error));
    }
    return value;
}

static void expand_settings(struct reader *rd)
{
    const struct net_settings *net = net_settings(rd->conf);
    const struct etext *log = &core_settings(rd->conf)->log_file_path;
    rd->conf->log_path = expand_now(rd, "log_file_path", log);
    net_set_matcher(rd->conf, in_domain_list);
    net_set_local(rd->conf, expand_now(rd, "local_interfaces", &net->local_interfaces),
                  expand_now(rd, "extra_local_interfaces", &net->extra_local_interfaces));
}

/* Checks and derived settings, once all sections are read. */
static void finish(struct reader *rd)
{
    reader_nowhere(rd);
    for (const struct module *const *m = modules; *m; m++) {
        if ((*m)->finish) {
            (*m)->finish(rd->conf, &rd->opt);
        }
    }
    reader_nowhere(rd);
    route_link(rd->conf, &rd->opt);
    reader_nowhere(rd);
    acl_link(rd->conf, &rd->opt);
    reader_nowhere(rd);
    expand_settings(rd);
}

/* The file to read; NULL for the built-in text, unset with an error if none of several is there. */
static const char *choose_file(const struct config_source *src)
{
    for (size_t i = 0; i < src->files.n; i++) {
        const char *file = src->files.v[i];
        if (!file || access(file, F_OK) == 0 || i + 1 == src->files.n) {
            return file;
        }
    }
    return NULL;
}

/* All names that -C gave, as it gave them. */
static struct str file_names(const struct config_source *src)
{
    struct buf b;
    buf_init(&b, src->pool, 1 << 16);
    for (size_t i = 0; i < src->files.n; i++) {
        const char *file = src->files.v[i];
        buf_addz(&b, i ? ":" : "");
        buf_addz(&b, file ? file : "");
    }
    return buf_str(&b);
}

/* What -oB says overrides every transport's connection_max_messages. */
static void limit_messages(const struct config *conf, int max)
{
    for (struct transport *t = max > 0 ? conf->transports : NULL; t; t = t->next) {
        const struct option *row =
            t->driver ? opt_find(t->driver->options, STR("connection_max_messages")) : NULL;
        if (row && row->type == OPT_INT) {
            *(int *)(void *)((char *)t->opts + row->offset) = max;
        }
    }
}

struct config *config_read(struct config_source *src)
{
    struct reader rd;
    const char *file = choose_file(src);
    struct str text = file                   ? STR_NONE
                      : str_unset(src->text) ? str_c(default_configuration)
                                             : src->text;
    reader_init(&rd, src, file ? file : "built-in");
    rd.conf->initial_cwd = str_dup(rd.conf->pool, src->cwd);
    define_macros(&rd);
    rd.lines = lines_open(&rd.opt, &rd.macros, rd.conf->file, text);
    if (!rd.lines) {
        struct str names = file_names(src);
        source_error(src,
                     errno == ENOENT
                         ? STR_CAT(src->pool, STR("non-existent configuration file(s): "), names)
                         : str_fmt(src->pool, "failed to open configuration file %s: %s", file,
                                   strerror(errno)));
    } else {
        read_all(&rd);
        finish(&rd);
        limit_messages(rd.conf, src->max_messages);
        rd.conf->lines = lines_read(rd.lines);
        lines_close(rd.lines);
    }
    if (src->error_count) {
        pool_free(&rd.conf->pool);
        return NULL;
    }
    struct main_settings *kept = rd.conf->settings[ROOM_MAIN];
    kept->macros = POOL_NEW(rd.conf->pool, struct macros);
    *kept->macros = rd.macros;
    return rd.conf;
}

/* True if the line names what the following ones belong to: a router, an ACL, … */
static bool is_heading(struct str section, struct str line)
{
    uint32_t n = word_length(line);
    return !str_is(section, "retry") && !str_is(section, "rewrite") && n > 0 &&
           str_starts(str_ltrim(str_from(line, n)), ":");
}

/* The line with each run of white space as one blank. */
static struct str collapsed(struct pool *pool, struct str line)
{
    struct str out = str_dup(pool, line);
    char *p = (char *)(uintptr_t)out.p;
    uint32_t n = 0;
    for (uint32_t i = 0; i < line.len; i++) {
        bool space = isspace((unsigned char)line.p[i]);
        if (!space || n == 0 || p[n - 1] != ' ') {
            p[n++] = space ? ' ' : line.p[i];
        }
    }
    return str_sub(out, 0, n);
}

/* True if the line is a setting that begins with "hide". */
static bool hides(struct str line)
{
    return str_starts(line, "hide") && line.len > 4 && isspace((unsigned char)line.p[4]) &&
           str_chr(line, '=') >= 0;
}

/* A setting, or the definition of a macro, as a user sees it who is no admin. */
static struct str without_value(struct pool *pool, struct str line)
{
    ptrdiff_t eq = str_chr(line, '=');
    return STR_CAT(pool, str_sub(line, 0, (size_t)eq), STR("= <value not displayable>"));
}

/* Where reading goes on, as C compilers tell it. */
static void print_place(const char *file, int line)
{
    printf("# %d \"%s\"\n", line, file);
}

/* A line of the configuration: as it is, or indented under what it belongs to. */
static void print_line(struct str section, struct str line, bool begins, bool plain)
{
    const char *before = "", *indent = "";
    if (!plain && begins) {
        before = "\n";
    } else if (!plain && !str_unset(section)) {
        bool heading = is_heading(section, line);
        bool rule = str_is(section, "retry") || str_is(section, "rewrite");
        before = heading ? "\n" : "";
        indent = heading || rule ? "  " : "    ";
    }
    printf("%s%s%.*s\n", before, indent, STR_ARG(line));
}

void config_dump(const struct config_source *source, bool plain, bool admin)
{
    struct reader rd;
    struct config_source copy = *source, *src = &copy;
    const char *file = choose_file(src);
    struct str section = STR_NONE, error;
    reader_init(&rd, src, file ? file : "built-in");
    define_macros(&rd);
    puts("# Exim Configuration (minim " MINIM_VERSION ")");
    rd.lines = lines_open(&rd.opt, &rd.macros, rd.conf->file,
                          file ? STR_NONE : str_c(default_configuration));
    if (rd.lines) {
        lines_tell_files(rd.lines, print_place);
    }
    while (rd.lines && lines_next(rd.lines, &rd.line)) {
        struct str line = rd.line.text, begun = line_begins(line);
        if (macros_is_definition(line)) {
            macros_read(&rd.macros, line, &error);
        }
        if (!admin && (macros_is_definition(line) || hides(line))) {
            line = without_value(rd.opt.pool, line);
        }
        section = str_unset(begun) ? section : begun;
        print_line(section, collapsed(rd.opt.pool, line), !str_unset(begun), plain);
    }
    if (rd.lines) {
        lines_close(rd.lines);
    }
    pool_free(&rd.conf->pool);
}

/* A text of several lines as one: some of Exim's words have a line break. */
static struct str one_line(struct pool *pool, struct str text)
{
    struct buf b;
    struct str piece;
    buf_init(&b, pool, 1 << 20);
    while (str_next(&text, '\n', &piece)) {
        buf_addz(&b, b.len ? " " : "");
        buf_adds(&b, b.len ? str_trim(piece) : piece);
    }
    return buf_str(&b);
}

void config_print_errors(const struct config_source *src)
{
    for (const struct config_error *e = src->errors; e; e = e->next) {
        struct str text = one_line(src->pool, e->text);
        if (e->pos.file && e->pos.line > 0) {
            fprintf(stderr, "%s:%d:%d: error: %.*s\n", e->pos.file, e->pos.line, e->pos.col,
                    STR_ARG(text));
        } else {
            fprintf(stderr, "%s: error: %.*s\n", e->pos.file ? e->pos.file : "minim",
                    STR_ARG(text));
        }
    }
}

void config_log_errors(const struct config_source *src)
{
    for (const struct config_error *e = src->errors; e; e = e->next) {
        if (e->pos.file && e->pos.line > 0) {
            log_write(LOG_MAIN | LOG_PANIC, "Exim configuration error in line %d of %s: %.*s",
                      e->pos.line, e->pos.file, STR_ARG(e->text));
        } else {
            log_write(LOG_MAIN | LOG_PANIC, "Exim configuration error: %.*s", STR_ARG(e->text));
        }
    }
}

/*
 * Macros of the configuration: definition, redefinition, -D, and replacement in lines; the built-in
 * macros, which are made from the modules' rows so that a configuration can ask what there is.
 *
 * Replacement follows Exim: the built-in macros first, then the others in the order of their
 * definition, each applied to the result of those before it and never to its own. Everything lives
 * in the configuration's pool.
 */
#include "main/internal.h"
#include "tls/tls.h"

#include <ctype.h>

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool is_upper(char c)
{
    return isupper((unsigned char)c) != 0;
}

/* ---- built-in macros ---- */

struct builtin_maker {
    struct macros *m;
    struct str prefix;
};

/*
 * Enters prefix + name in upper case; what is not a letter or digit becomes an underscore. Without a
 * text it is a name that is known not to be defined.
 */
static void add_text(struct macros *m, struct str prefix, const char *name, const char *text)
{
    struct str upper = str_upper(m->pool, str_c(name));
    char *p = str_cstr(m->pool, upper);
    for (char *c = p; *c; c++) {
        *c = is_name_char(*c) ? *c : '_';
    }
    map_set(m->builtin, STR_CAT(m->pool, prefix, str_c(p)), (void *)(uintptr_t)text);
}

static void add_builtin(struct macros *m, struct str prefix, const char *name)
{
    add_text(m, prefix, name, "y");
}

static void add_options(struct macros *m, struct str prefix, const struct option *rows)
{
    for (; rows && rows->type != OPT_END; rows++) {
        add_text(m, prefix, rows->name, rows->type == OPT_UNSUPPORTED ? NULL : "y");
    }
}

static bool add_driver(void *closure, const char *name, const struct option *rows)
{
    const struct builtin_maker *b = closure;
    struct macros *m = b->m;
    add_builtin(m, STR_CAT(m->pool, STR("_DRIVER_"), b->prefix, STR("_")), name);
    struct str upper = str_upper(m->pool, str_c(name));
    add_options(m, STR_CAT(m->pool, STR("_OPT_"), b->prefix, STR("_"), upper, STR("_")), rows);
    return true;
}

/* "IPv6", or "appendfile/maildir/…", whose variants have macros of their own. */
static void add_feature(struct macros *m, const char *feature)
{
    struct str rest = str_c(feature), word, prefix = STR("_HAVE_");
    if (str_starts(rest, "appendfile/")) {
        prefix = STR("_HAVE_TRANSPORT_APPEND_");
        str_next(&rest, '/', &word);
    }
    while (str_next(&rest, '/', &word)) {
        add_builtin(m, prefix, str_cstr(m->pool, word));
    }
}

static void add_module(struct macros *m, const struct module *module)
{
    add_options(m, STR("_OPT_MAIN_"), module->options);
    for (const char *const *f = module->features; f && *f; f++) {
        add_feature(m, *f);
    }
    for (const struct lookup_driver *const *d = module->lookups; d && *d; d++) {
        add_builtin(m, STR("_HAVE_LOOKUP_"), (*d)->name);
    }
}

struct map *macros_builtin(struct macros *m)
{
    if (m->builtin) {
        return m->builtin;
    }
    m->builtin = map_new(m->pool, false);
    for (const struct module *const *module = m->modules; *module; module++) {
        add_module(m, *module);
    }
    const struct log_selector_row *row;
    for (size_t i = 0; (row = log_selector_row(i)) != NULL; i++) {
        if (row->doc) {
            add_builtin(m, STR("_LOG_"), row->name);
        }
    }
    add_builtin(m, STR("_LOG_"), "all");
    add_builtin(m, STR("_LOG_"), "rejected_headers");
    for (int kind = 0; kind < INSTANCE_KINDS; kind++) {
        struct str word = str_upper(m->pool, str_c(instance_classes[kind].word));
        struct builtin_maker b = {m, word};
        add_options(m, STR_CAT(m->pool, STR("_OPT_"), word, STR("S_")),
                    instance_classes[kind].generic);
        instance_drivers(m->modules, kind, add_driver, &b);
    }
    add_text(m, STR("_RESUME_"), "DECODE", str_cstr(m->pool, tls_resume_decode(m->pool)));
    return m->builtin;
}

/* ---- definition ---- */

void macros_init(struct macros *m, struct pool *pool, const struct module *const *rooms)
{
    *m = (struct macros){.pool = pool, .modules = rooms};
    m->last = &m->first;
}

static struct macro *find(const struct macros *m, struct str name)
{
    for (struct macro *e = m->first; e; e = e->next) {
        if (str_eq(e->name, name)) {
            return e;
        }
    }
    return NULL;
}

static bool redefine_macro(struct macros *m, struct macro *known, struct str text, bool redefine,
                           struct str *error)
{
    if (known->command_line) {
        return true;
    }
    if (!redefine) {
        *error = str_fmt(
            m->pool, "macro \"%.*s\" is already defined (use \"==\" if you want to redefine it)",
            STR_ARG(known->name));
        return false;
    }
    known->text = str_dup(m->pool, text);
    return true;
}

bool macros_define(struct macros *m, struct str name, struct str text, bool redefine,
                   bool command_line, struct str *error)
{
    struct macro *known = find(m, name);
    if (known) {
        return redefine_macro(m, known, text, redefine || command_line, error);
    }
    for (const struct macro *e = m->first; e; e = e->next) {
        if (str_find(name, e->name) >= 0) {
            *error = str_fmt(m->pool,
                             "\"%.*s\" cannot be defined as a macro because previously defined "
                             "macro \"%.*s\" is a substring",
                             STR_ARG(name), STR_ARG(e->name));
            return false;
        }
    }
    if (redefine) {
        *error = str_fmt(m->pool, "can't redefine an undefined macro \"%.*s\"", STR_ARG(name));
        return false;
    }
    struct macro *e = POOL_NEW(m->pool, struct macro);
    e->name = str_dup(m->pool, name);
    e->text = str_dup(m->pool, text);
    e->command_line = command_line;
    *m->last = e;
    m->last = &e->next;
    return true;
}

/* Length of the macro name that the text begins with. */
static uint32_t name_length(struct str s)
{
    uint32_t n = 0;
    while (n < s.len && is_name_char(s.p[n])) {
        n++;
    }
    return n;
}

bool macros_is_definition(struct str line)
{
    return line.len && is_upper(line.p[0]) &&
           str_starts(str_ltrim(str_from(line, name_length(line))), "=");
}

bool macros_read(struct macros *m, struct str line, struct str *error)
{
    uint32_t n = name_length(line);
    struct str name = str_sub(line, 0, n), rest = str_ltrim(str_from(line, n));
    if (!str_starts(rest, "=")) {
        *error = STR("malformed macro definition");
        return false;
    }
    bool redefine = str_starts(rest, "==");
    return macros_define(m, name, str_trim(str_from(rest, redefine ? 2 : 1)), redefine, false,
                         error);
}

bool macros_from_command_line(struct macros *m, struct str arg, struct str *error)
{
    arg = str_trim(arg);
    uint32_t n = name_length(arg);
    struct str name = str_sub(arg, 0, n), rest = str_ltrim(str_from(arg, n));
    if (n == 0 || !is_upper(name.p[0])) {
        *error = STR("macro name set by -D must start with an upper case letter");
        return false;
    }
    if (!str_empty(rest) && !str_starts(rest, "=")) {
        *error = STR_CAT(m->pool, STR("unknown, malformed, or incomplete option -D"), arg);
        return false;
    }
    if (find(m, name)) {
        *error = str_fmt(m->pool, "duplicated -D in command line");
        return false;
    }
    struct str text = str_empty(rest) ? STR("") : str_trim(str_from(rest, 1));
    return macros_define(m, name, text, false, true, error);
}

struct str macros_get(struct macros *m, struct str name)
{
    const struct macro *e = find(m, name);
    return e ? e->text : str_c(map_get(macros_builtin(m), name));
}

/* ---- replacement ---- */

/* A line being rewritten: text and the column of each of its bytes. */
struct rewrite {
    struct pool *pool;
    struct str text;
    int *cols;
};

/* Puts `by` in the place of n bytes at off. */
static void replace(struct rewrite *w, size_t off, size_t n, struct str by)
{
    size_t len = w->text.len - n + by.len, tail = w->text.len - off - n;
    char *p = pool_alloc(w->pool, len + 1);
    int *cols = pool_calloc(w->pool, len + 1, sizeof *cols);
    memcpy(p, w->text.p, off);
    memcpy(cols, w->cols, off * sizeof *cols);
    memcpy(p + off, by.p, by.len);
    for (size_t i = 0; i < by.len; i++) {
        cols[off + i] = w->cols[off];
    }
    memcpy(p + off + by.len, w->text.p + off + n, tail);
    memcpy(cols + off + by.len, w->cols + off + n, (tail + 1) * sizeof *cols);
    p[len] = '\0';
    w->text = str_n(p, len);
    w->cols = cols;
}

/*
 * Replaces the built-in macro that begins at the underscore, the longest of several. The name of an
 * option that is not supported stays as it is, even if it begins like another's: configurations ask
 * by it whether they may use the option.
 */
static bool expand_builtin_at(struct macros *m, struct rewrite *w, size_t off)
{
    static const char *const families[] = {"_DRIVER_", "_HAVE_", "_LOG_", "_OPT_", "_RESUME_"};
    struct str here = str_from(w->text, off);
    bool candidate = false;
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        candidate |= str_starts(here, families[i]);
    }
    for (uint32_t n = candidate ? name_length(here) : 0; n > 5; n--) {
        const struct map_entry *e = map_find(macros_builtin(m), str_sub(here, 0, n));
        if (e && e->value) {
            replace(w, off, n, str_c(e->value));
        }
        if (e) {
            return e->value != NULL;
        }
    }
    return false;
}

static bool expand_builtins(struct macros *m, struct rewrite *w, size_t from)
{
    bool any = false;
    for (size_t i = from; i + 1 < w->text.len; i++) {
        if (w->text.p[i] == '_' && is_upper(w->text.p[i + 1])) {
            any |= expand_builtin_at(m, w, i);
        }
    }
    return any;
}

static bool expand_one(const struct macro *e, struct rewrite *w, size_t from)
{
    bool any = false;
    ptrdiff_t at;
    while ((at = str_find(str_from(w->text, from), e->name)) >= 0) {
        replace(w, from + (size_t)at, e->name.len, e->text);
        from += (size_t)at + e->text.len;
        any = true;
    }
    return any;
}

/* A bit for each upper-case letter in the text: lines without a macro's first letter are skipped. */
static uint32_t letters(struct str s)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < s.len; i++) {
        set |= is_upper(s.p[i]) ? 1u << (s.p[i] - 'A') : 0;
    }
    return set;
}

bool macros_expand(struct macros *m, struct pool *pool, struct str *line, int **cols)
{
    struct rewrite w = {pool, *line, *cols};
    uint32_t set = letters(w.text);
    if (set == 0) {
        return false;
    }
    /* A name that is being defined is itself. */
    size_t from = macros_is_definition(w.text) ? name_length(w.text) : 0;
    bool any = expand_builtins(m, &w, from);
    for (const struct macro *e = m->first; e; e = e->next) {
        if ((set & 1u << (e->name.p[0] - 'A')) && expand_one(e, &w, from)) {
            any = true;
            set = letters(w.text);
        }
    }
    *line = w.text;
    *cols = w.cols;
    return any;
}

/*
 * -be: expands its arguments, or the lines of standard input after a prompt. Macros of the
 * configuration are replaced in lines, and new ones can be defined; "set acl_m_x = value" sets a
 * variable. With -bem the message in a file, with -Mset one of the spool, is looked at.
 */
#include "main/command.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

enum { MAX_MESSAGE = 64 << 20, MAX_INPUT = 1 << 20 };

struct expanding {
    struct command *c;
    const struct config *conf;
    struct ectx x;
};

static int count(struct str text, char c)
{
    int n = 0;
    for (uint32_t i = 0; i < text.len; i++) {
        n += text.p[i] == c;
    }
    return n;
}

/* Splits a message's text at its headers; counts lines. */
static void read_headers(struct message *m, struct str text)
{
    while (!str_empty(text) && text.p[0] != '\n') {
        uint32_t n = 0;
        do {
            ptrdiff_t end = str_chr(str_from(text, n), '\n');
            n = end < 0 ? text.len : n + (uint32_t)end + 1;
        } while (n < text.len && (text.p[n] == ' ' || text.p[n] == '\t'));
        struct str h = str_sub(text, 0, n);
        m->line_count += count(h, '\n');
        message_add_header(m, header_type(h, false), h);
        text = str_from(text, n);
    }
    m->body_text = str_from(text, 1);
    m->body_size = m->body_text.len;
    m->body_lines = count(m->body_text, '\n');
    m->body_zerocount = count(m->body_text, '\0');
    m->line_count += m->body_lines + (text.len ? 1 : 0);
}

/* What a local message would be given on reception. */
static void complete_headers(struct expanding *e, struct message *m)
{
    const struct core_settings *core = core_settings(e->conf);
    m->id = message_id_new(m->pool, e->conf, &m->received);
    if (!header_find(m, STR("message-id"))) {
        message_add_header(m, 'I',
                           STR_CAT(m->pool, STR("Message-Id: <E"), m->id, STR("@"),
                                   core->primary_hostname, STR(">\n")));
    }
    if (!header_find(m, STR("date"))) {
        struct str date = time_rfc5322(m->pool, m->received.tv_sec, false);
        message_add_header(m, ' ', STR_CAT(m->pool, STR("Date: "), date, STR("\n")));
    }
}

static bool load_file(struct expanding *e, struct message *m)
{
    struct str text;
    if (file_read(e->c->pool, e->c->message_file, MAX_MESSAGE, &text) < 0) {
        fprintf(stderr, "exim: failed to open %s: %s\n", e->c->message_file.p, strerror(errno));
        return false;
    }
    m->size = text.len;
    m->received = time_now();
    read_headers(m, text);
    complete_headers(e, m);
    return true;
}

static bool load_message(struct expanding *e)
{
    bool file = !str_unset(e->c->message_file), spool = !str_unset(e->c->message_id);
    struct message *m = POOL_NEW(e->c->pool, struct message);
    m->pool = e->c->pool;
    m->acl_m.pool = m->acl_c.pool = e->c->pool;
    m->session_facts = e->x.sess;
    m->received_protocol = e->x.sess->protocol;
    m->sender = test_sender(e->c, e->conf, e->c->pool);
    m->sender_set = true;
    e->x.msg = m;
    if (file) {
        return load_file(e, m);
    }
    if (!spool) {
        return true;
    }
    struct str error = STR_NONE;
    if (!e->c->caller.admin) {
        fprintf(stderr, "exim: permission denied\n");
        return false;
    }
    enum spool_open state = spool_peek(e->conf, e->c->message_id, m, &error);
    if (state != SPOOL_OK) { /* what does not need it can be asked all the same */
        if (state == SPOOL_GONE) {
            log_write(LOG_MAIN, "Spool file %s-D not found", e->c->message_id.p);
        }
        printf("Failed to load message %s%s\n", state == SPOOL_GONE ? "datafile " : "",
               e->c->message_id.p);
        printf("Failed to load message %s\n", e->c->message_id.p);
        return true;
    }
    e->x.sess = m->session_facts;
    return true;
}

/* "set acl_m_name = value" */
static bool set_variable(struct expanding *e, struct str rest)
{
    uint32_t n = 0;
    while (n < rest.len && (isalnum((unsigned char)rest.p[n]) || rest.p[n] == '_')) {
        n++;
    }
    struct str name = str_sub(rest, 0, n), value = str_ltrim(str_from(rest, n));
    bool c = str_starts(name, "acl_c"), m = str_starts(name, "acl_m");
    if ((!c && !m) || !str_starts(value, "=")) {
        printf(
            "Failed: invalid \"set\": a variable acl_c… or acl_m… and an equals sign are needed\n");
        return false;
    }
    struct str out;
    if (!expand_text(&e->x, str_ltrim(str_from(value, 1)), &out)) {
        printf("Failed: %.*s\n", STR_ARG(e->x.error));
        return false;
    }
    vars_set(c ? &e->x.sess->acl_c : &e->x.msg->acl_m, name, out);
    return true;
}

static void expand_one(struct expanding *e, struct str text)
{
    struct str out;
    e->x.error = STR_NONE;
    e->x.forced_fail = e->x.defer = false;
    if (str_starts(text, "set ")) {
        if (set_variable(e, str_ltrim(str_from(text, 4)))) {
            printf("\n");
        }
    } else if (expand_text(&e->x, text, &out)) {
        printf("%.*s\n", STR_ARG(out));
    } else {
        printf("Failed: %.*s\n", STR_ARG(e->x.error));
    }
    fflush(stdout);
}

/* The next line, continuations joined; prompts. */
static bool next_line(struct expanding *e, struct str *out)
{
    struct buf b;
    char line[8192];
    bool more, any = false;
    buf_init(&b, e->c->pool, MAX_INPUT);
    do {
        if (!any) {
            printf("> ");
            fflush(stdout);
        }
        if (!fgets(line, sizeof line, stdin)) {
            break;
        }
        struct str s = str_rtrim(str_c(line));
        s = any ? str_ltrim(s) : s;
        more = str_ends(s, STR("\\"));
        buf_add(&b, s.p, s.len - more);
        any = true;
    } while (more);
    *out = buf_str(&b);
    return any;
}

/* Macros of the configuration, for admin users only, and those defined here. */
static void macro_or_text(struct expanding *e, struct macros *m, struct str line)
{
    struct str error;
    if (line.len && isupper((unsigned char)line.p[0]) && macros_is_definition(line)) {
        ptrdiff_t eq = str_chr(line, '=');
        if (macros_read(m, line, &error)) {
            printf("Defined macro '%.*s'\n", STR_ARG(str_trim(str_sub(line, 0, (size_t)eq))));
        } else {
            printf("Failed: %.*s\n", STR_ARG(error));
        }
        return;
    }
    int *cols = pool_calloc(e->c->pool, line.len + 1u, sizeof *cols);
    macros_expand(m, e->c->pool, &line, &cols);
    expand_one(e, line);
}

static void interactive(struct expanding *e, struct macros *m)
{
    struct str line;
    while (next_line(e, &line)) {
        macro_or_text(e, m, line);
    }
    printf("\n");
}

int run_expand(struct command *c, const struct config *conf)
{
    struct expanding e = {.c = c, .conf = conf};
    test_context(&e.x, conf, c->pool);
    e.x.sess = test_session(c, conf, c->pool);
    log_to_stderr(c->verbose ? LOG_STDERR_PLACE : LOG_STDERR_DATED);
    if (!load_message(&e)) {
        return 1;
    }
    struct macros *m = main_settings(conf)->macros, own;
    if (!c->caller.admin) {
        macros_init(&own, c->pool, modules);
        m = &own;
    }
    for (size_t i = 0; i < c->args.n; i++) {
        macro_or_text(&e, m, c->args.v[i]);
    }
    if (c->args.n == 0) {
        interactive(&e, m);
    }
    return 0;
}

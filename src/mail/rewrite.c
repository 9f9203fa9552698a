/*
 * Address rewriting: the rules of the rewrite section (and of headers_rewrite), applied to envelope
 * addresses and to the addresses of headers.
 *
 * Rules are compiled when the configuration is read and never change. A rewritten address lives in
 * the context's pool. A rule that cannot be evaluated is logged and leaves the address as it was.
 */
#include "mail/mail.h"

#include <ctype.h>
#include <stdio.h>

struct rewrite_rule {
    struct rewrite_rule *next;
    int number;
    unsigned flags;
    struct etext pattern, replacement;
};

static const struct {
    char letter;
    unsigned flag;
} letters[] = {
    {'E', RW_ALL_ENVELOPE}, {'F', RW_ENVFROM}, {'T', RW_ENVTO},       {'b', RW_BCC},
    {'c', RW_CC},           {'f', RW_FROM},    {'h', RW_ALL_HEADERS}, {'r', RW_REPLYTO},
    {'s', RW_SENDER},       {'t', RW_TO},      {'q', RW_QUIT},        {'R', RW_REPEAT},
    {'w', RW_WHOLE},        {'S', RW_SMTP},    {'Q', RW_QUALIFY},
};

/* What log lines call the place an address comes from, in the order -brw prints them. */
static const struct {
    unsigned flag;
    char type; /* of a header; 0 for the envelope */
    const char *name;
} places[] = {
    {RW_SENDER, 'S', "sender:"}, {RW_FROM, 'F', "from:"}, {RW_TO, 'T', "to:"},
    {RW_CC, 'C', "cc:"},         {RW_BCC, 'B', "bcc:"},   {RW_REPLYTO, 'R', "reply-to:"},
    {RW_ENVFROM, 0, "env-from"}, {RW_ENVTO, 0, "env-to"},
};

static const char *place_name(unsigned flag)
{
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (places[i].flag == flag) {
            return places[i].name;
        }
    }
    return "?";
}

/* A word, or a quoted string with backslash escapes of quotes and backslashes undone. */
static bool take_string(struct pool *pool, struct str *rest, struct str *out)
{
    *rest = str_ltrim(*rest);
    if (str_empty(*rest)) {
        return false;
    }
    uint32_t i = 0;
    if (rest->p[0] != '"') {
        while (i < rest->len && !isspace((unsigned char)rest->p[i])) {
            i++;
        }
        *out = str_sub(*rest, 0, i);
        *rest = str_from(*rest, i);
        return true;
    }
    struct buf b;
    buf_init(&b, pool, rest->len);
    for (i = 1; i < rest->len && rest->p[i] != '"'; i++) {
        if (rest->p[i] == '\\' && i + 1 < rest->len && strchr("\\\"", rest->p[i + 1])) {
            i++;
        }
        buf_addc(&b, rest->p[i]);
    }
    *rest = str_from(*rest, i + 1);
    *out = buf_str(&b);
    return true;
}

static bool take_flags(struct opt_reader *r, struct str text, unsigned *flags)
{
    for (uint32_t i = 0; i < text.len; i++) {
        size_t k = 0;
        if (isspace((unsigned char)text.p[i])) {
            continue;
        }
        while (k < ARRAY_LEN(letters) && letters[k].letter != text.p[i]) {
            k++;
        }
        if (k == ARRAY_LEN(letters)) {
            return opt_error(r,
                             "unknown rewrite flag character '%c' (could be missing quotes round "
                             "replacement item)",
                             text.p[i]);
        }
        *flags |= letters[k].flag;
    }
    return true;
}

static bool compile(struct opt_reader *r, struct etext *e, struct str text)
{
    e->text = str_dup(r->pool, text);
    if (str_any_in(text, "$\\") && r->compile && !(e->tree = r->compile(r, e->text))) {
        return false;
    }
    return true;
}

bool rewrite_read_line(struct opt_reader *r, struct rewrite_rule **list, struct str line)
{
    struct rewrite_rule rule = {.number = 1};
    struct str pattern, replacement;
    r->option = "rewrite rule";
    if (!take_string(r->pool, &line, &pattern)) {
        return opt_error(r, "missing rewrite pattern");
    }
    if (!take_string(r->pool, &line, &replacement)) {
        return opt_error(r, "missing rewrite replacement string");
    }
    if (!take_flags(r, line, &rule.flags)) {
        return false;
    }
    if (rule.flags & RW_SMTP) {
        if (!str_starts(pattern, "^")) {
            return opt_error(r, "rewrite rule has the S flag but is not a regular expression");
        }
        if (r->conf) {
            r->conf->rewrite_sees_smtp = true;
        }
    } else if (!(rule.flags & RW_ALL)) {
        rule.flags |= RW_ALL;
    }
    if (!compile(r, &rule.pattern, pattern) || !compile(r, &rule.replacement, replacement)) {
        return false;
    }
    while (*list) {
        rule.number = (*list)->number + 1;
        list = &(*list)->next;
    }
    *list = POOL_NEW(r->pool, struct rewrite_rule);
    **list = rule;
    return true;
}

/* One side of a pattern: exact, or with a leading asterisk; *wild is what the asterisk stood for. */
static bool side_matches(struct str pattern, struct str text, bool *has_wild, struct str *wild)
{
    *has_wild = str_starts(pattern, "*");
    if (!*has_wild) {
        return str_eqi(pattern, text);
    }
    struct str tail = str_from(pattern, 1);
    *wild = str_sub(text, 0, text.len - (tail.len < text.len ? tail.len : text.len));
    return str_endsi(text, tail);
}

static bool plain_matches(struct ectx *x, struct str pattern, struct str address)
{
    ptrdiff_t pat_at = str_rchr(pattern, '@'), at = mailbox_at(address);
    struct str values[3] = {address};
    size_t n = 1;
    bool has_wild;
    if (at < 0) {
        return false;
    }
    struct str lp = str_sub(address, 0, (size_t)at), dom = str_from(address, (size_t)at + 1);
    struct str pat_lp = pat_at < 0 ? STR("*") : str_sub(pattern, 0, (size_t)pat_at);
    struct str pat_dom = pat_at < 0 ? pattern : str_from(pattern, (size_t)pat_at + 1);
    if (!side_matches(pat_lp, lp, &has_wild, &values[n])) {
        return false;
    }
    n += has_wild && pat_at >= 0;
    if (!side_matches(pat_dom, dom, &has_wild, &values[n])) {
        return false;
    }
    n += has_wild;
    scope_set_numeric(x, values, n);
    return true;
}

static bool rule_matches(struct ectx *x, const struct rewrite_rule *rule, struct str address)
{
    struct str pattern, data;
    if (!expand_option(x, &rule->pattern, &pattern)) {
        log_msg(LOG_MAIN | LOG_PANIC, x->msg,
                "failed to expand \"%.*s\" while checking a list: %.*s",
                STR_ARG(rule->pattern.text), STR_ARG(x->error));
        return false;
    }
    if (str_starts(pattern, "^")) {
        return match_regex(x, pattern, address, true, true) == MATCH_YES;
    }
    if (str_chr(pattern, ';') < 0 && !str_starts(pattern, "+") && !str_starts(pattern, "!")) {
        return plain_matches(x, pattern, address);
    }
    scope_set_numeric(x, &address, 1);
    enum match m =
        match_text(x, LIST_ADDRESSES, STR_CAT(x->pool, STR("<\n "), pattern), address, true, &data);
    if (m == MATCH_YES && !str_unset(data)) {
        scope_set(x, STR("value"), data);
    }
    return m == MATCH_YES;
}

/* The replacement as an address; false if the rule leaves the address alone. */
static bool replacement(struct ectx *x, const struct rewrite_rule *rule, struct str address,
                        bool whole, struct str *out)
{
    struct str text, error;
    struct mailbox m;
    if (str_is(rule->replacement.text, "*")) {
        return false;
    }
    if (!expand_option(x, &rule->replacement, &text)) {
        if (!x->forced_fail) {
            log_msg(LOG_MAIN | LOG_PANIC, x->msg, "Expansion of %.*s failed while rewriting: %.*s",
                    STR_ARG(rule->replacement.text), STR_ARG(x->error));
        }
        return false;
    }
    if (!mailbox_parse(x->pool, text, mailbox_flags(x->conf) | MBX_NULL, &m, &error)) {
        log_msg(LOG_MAIN | LOG_PANIC, x->msg,
                "Rewrite of %.*s yielded unparseable address: %.*s in address %.*s",
                STR_ARG(address), STR_ARG(error), STR_ARG(text));
        return false;
    }
    if (str_empty(m.domain) && !str_empty(m.text) && rule->flags & RW_QUALIFY) {
        *out = mail_qualify(x->pool, x->conf, m.text, true);
        return true;
    }
    if (str_empty(m.domain) && !str_empty(m.text)) {
        log_msg(LOG_MAIN | LOG_PANIC, x->msg,
                "Rewrite of %.*s yielded unqualified address \"%.*s\"", STR_ARG(address),
                STR_ARG(text));
        return false;
    }
    *out = whole && rule->flags & RW_WHOLE ? text : m.text;
    return true;
}

/* One rule: true if it changed *address. *hit says whether its pattern matched. */
static bool apply_rule(struct ectx *x, const struct rewrite_rule *rule, struct str *address,
                       unsigned flag, bool whole, bool *hit)
{
    struct str changed;
    struct scope *kept = scope_set_numeric(x, address, 1);
    *hit = rule_matches(x, rule, *address);
    bool done = *hit && replacement(x, rule, *address, whole, &changed);
    scope_restore(x, kept);
    if (!done) {
        return false;
    }
    if (log_wants(LS_address_rewrite)) {
        log_msg(LOG_MAIN, x->msg, "\"%.*s\" from %s rewritten as \"%.*s\" by rule %d",
                STR_ARG(*address), place_name(flag), STR_ARG(changed), rule->number);
    }
    *address = changed;
    return true;
}

/*
 * All rules in turn. With `whole` not NULL a rule's flag w decides *whole: the result then is a
 * complete mailbox with its phrase. A rule with flag R is used again while it changes something.
 */
static struct str apply(struct ectx *x, const struct rewrite_rule *rules, struct str address,
                        unsigned flag, bool *whole)
{
    enum { MAX_REPEATS = 10 };
    int repeats = 0;
    for (const struct rewrite_rule *rule = rules, *next; rule; rule = next) {
        bool hit;
        next = rule->next;
        if (!(rule->flags & flag)) {
            continue;
        }
        bool changed = apply_rule(x, rule, &address, flag, whole != NULL, &hit);
        if (changed && whole && rule->flags & RW_WHOLE) {
            *whole = true;
            break;
        }
        if (hit && rule->flags & RW_QUIT) {
            break;
        }
        if (changed && rule->flags & RW_REPEAT && ++repeats < MAX_REPEATS) {
            next = rule;
        }
    }
    return address;
}

struct str rewrite_address(struct ectx *x, const struct rewrite_rule *rules, struct str address,
                           unsigned flag)
{
    return rules && !str_empty(address) ? apply(x, rules, address, flag, NULL) : address;
}

struct str rewrite_smtp(struct ectx *x, const struct rewrite_rule *rules, struct str argument)
{
    for (const struct rewrite_rule *rule = rules; rule; rule = rule->next) {
        struct str changed;
        if (!(rule->flags & RW_SMTP)) {
            continue;
        }
        struct scope *kept = scope_set_numeric(x, &argument, 1);
        bool hit =
            rule_matches(x, rule, argument) && expand_option(x, &rule->replacement, &changed);
        scope_restore(x, kept);
        if (hit && log_wants(LS_address_rewrite)) {
            log_msg(LOG_MAIN, x->msg, "\"%.*s\" from SMTP rewritten as \"%.*s\" by rule %d",
                    STR_ARG(argument), STR_ARG(changed), rule->number);
        }
        if (hit) {
            argument = changed;
            if (rule->flags & RW_QUIT) {
                break;
            }
        }
    }
    return argument;
}

struct header_job {
    struct ectx *x;
    const struct rewrite_rule *rules;
    struct str body;
    unsigned flag;
    struct buf out;
    uint32_t copied; /* of the body */
    bool changed;
};

/* Goes on past the comma behind a changed address; a line that has become long is broken there. */
static void to_next(struct header_job *job, uint32_t end)
{
    enum { LINE_LIMIT = 40 };
    struct str body = job->body;
    uint32_t next = mailbox_list_next(body, end, false);
    next += next < body.len;
    while (next < body.len && (body.p[next] == ' ' || body.p[next] == '\t')) {
        next++;
    }
    buf_adds(&job->out, str_sub(body, job->copied, next - job->copied));
    job->copied = next;
    size_t line = 0;
    while (line < job->out.len && job->out.p[job->out.len - line - 1] != '\n') {
        line++;
    }
    if (line > LINE_LIMIT && next < body.len && body.p[next] != '\n') {
        buf_addz(&job->out, "\n\t");
    }
}

static bool rewrite_one(void *closure, const struct mailbox *m)
{
    struct header_job *job = closure;
    struct ectx *x = job->x;
    struct str address = m->text;
    bool recipient = job->flag & (RW_TO | RW_CC | RW_BCC), whole = false;
    bool may_qualify =
        x->msg && (recipient ? x->msg->allow_unqualified_rcpt : x->msg->allow_unqualified_sender);
    if (str_empty(m->domain) && !str_empty(address) && may_qualify) {
        address = mail_qualify(x->pool, x->conf, address, recipient);
    }
    if (mailbox_at(address) >= 0) {
        address = apply(x, job->rules, address, job->flag, &whole);
    }
    if (str_eq(address, m->text)) {
        return true;
    }
    uint32_t start = m->start, end = m->end;
    if (whole) {
        while (start > job->copied && job->body.p[start - 1] != ',') {
            start--;
        }
        while (start < m->start && isspace((unsigned char)job->body.p[start])) {
            start++;
        }
        end = mailbox_list_next(job->body, m->end, true);
        while (end > m->end && isspace((unsigned char)job->body.p[end - 1])) {
            end--;
        }
    }
    buf_adds(&job->out, str_sub(job->body, job->copied, start - job->copied));
    buf_adds(&job->out, address);
    job->copied = end;
    to_next(job, end);
    job->changed = true;
    return true;
}

struct header *rewrite_header(struct ectx *x, const struct rewrite_rule *rules,
                              const struct header *h)
{
    struct header_job job = {.x = x, .rules = rules, .body = header_body(h)};
    struct str error;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (places[i].type && places[i].type == h->type) {
            job.flag = places[i].flag;
        }
    }
    if (!job.flag) {
        return NULL;
    }
    struct str name = str_sub(h->text, 0, h->text.len - job.body.len);
    buf_init(&job.out, x->pool, (size_t)h->text.len * 16 + 65536);
    buf_adds(&job.out, name);
    if (!mailbox_each(x->pool, job.body, mailbox_flags(x->conf), rewrite_one, &job, &error) &&
        !job.changed) {
        return NULL;
    }
    if (!job.changed) {
        return NULL;
    }
    buf_adds(&job.out, str_from(job.body, job.copied));
    struct header *new_header = POOL_NEW(x->pool, struct header);
    *new_header = (struct header){.text = buf_str(&job.out), .type = h->type};
    return new_header;
}

void rewrite_test(struct ectx *x, struct str address, void (*print)(const char *line))
{
    const struct rewrite_rule *rules = x->conf->rewrite_rules;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        bool recipient = places[i].flag & (RW_TO | RW_CC | RW_BCC | RW_ENVTO), whole = false;
        struct str full = mail_qualify(x->pool, x->conf, address, recipient), error;
        struct mailbox m;
        if (!mailbox_parse(x->pool, full, mailbox_flags(x->conf) | MBX_NULL, &m, &error)) {
            error = STR_CAT(x->pool, str_upper(x->pool, str_sub(error, 0, 1)), str_from(error, 1));
            print(str_fmt(x->pool, "Syntax error in %.*s\n%.*s", STR_ARG(full), STR_ARG(error)).p);
            return;
        }
        struct str result = apply(x, rules, m.text, places[i].flag, places[i].type ? &whole : NULL);
        if (places[i].type && !whole) {
            result = STR_CAT(x->pool, str_sub(full, 0, m.start), result, str_from(full, m.end));
        }
        struct str label = str_c(places[i].name);
        if (label.p[label.len - 1] == ':') {
            label.len--;
        }
        print(str_fmt(x->pool, "%8.*s: %.*s", STR_ARG(label), STR_ARG(result)).p);
    }
}

/*
 * Parsing of SMTP command lines (RFC 5321 4.1): which command, its argument, the paths and
 * parameters of MAIL and RCPT, BDAT's numbers, HELO names. Pure functions over views; they allocate
 * nothing and never fail but by saying so.
 */
#include "smtp_in/internal.h"

#include <ctype.h>

static const struct {
    const char *name;
    bool has_arg;
} commands[CMD_COUNT] = {
    [CMD_RSET] = {"rset", false},         [CMD_HELO] = {"helo", true},
    [CMD_EHLO] = {"ehlo", true},          [CMD_AUTH] = {"auth", true},
    [CMD_STARTTLS] = {"starttls", false}, [CMD_MAIL] = {"mail from:", true},
    [CMD_RCPT] = {"rcpt to:", true},      [CMD_DATA] = {"data", false},
    [CMD_BDAT] = {"bdat", true},          [CMD_QUIT] = {"quit", false},
    [CMD_NOOP] = {"noop", true},          [CMD_ETRN] = {"etrn", true},
    [CMD_VRFY] = {"vrfy", true},          [CMD_EXPN] = {"expn", true},
    [CMD_HELP] = {"help", true},
};

struct smtp_line smtp_parse_line(struct str line)
{
    struct smtp_line l = {.cmd = CMD_UNKNOWN, .named = CMD_UNKNOWN, .text = str_rtrim(line)};
    l.arg = STR_NONE;
    if (l.text.len && memchr(l.text.p, 0, l.text.len)) {
        l.cmd = CMD_NUL;
        return l;
    }
    for (int i = 0; i < CMD_COUNT; i++) {
        size_t n = strlen(commands[i].name);
        if (!str_startsi(l.text, commands[i].name)) {
            continue;
        }
        bool colon = commands[i].name[n - 1] == ':';
        if (!colon && l.text.len > n && l.text.p[n] != ' ') {
            continue;
        }
        l.cmd = l.named = (enum smtp_cmd)i;
        l.arg = str_ltrim(str_from(l.text, n));
        l.arg.tainted = line.tainted;
        if (!commands[i].has_arg && l.arg.len) {
            l.cmd = CMD_BAD_ARG;
        }
        return l;
    }
    return l;
}

/* End of a path that begins with '<': behind its '>', quotes and escapes respected. */
static uint32_t path_end(struct str s)
{
    bool quoted = false;
    for (uint32_t i = 1; i < s.len; i++) {
        if (s.p[i] == '\\' && quoted) {
            i++;
        } else if (s.p[i] == '"') {
            quoted = !quoted;
        } else if (s.p[i] == '>' && !quoted) {
            /* "<<x>>" with excess brackets: take them all */
            while (i + 1 < s.len && s.p[i + 1] == '>') {
                i++;
            }
            return i + 1;
        }
    }
    return s.len;
}

/* End of a path without brackets: the first blank outside quotes. */
static uint32_t bare_end(struct str s)
{
    bool quoted = false;
    uint32_t i = 0;
    for (; i < s.len; i++) {
        if (s.p[i] == '\\' && quoted) {
            i++;
        } else if (s.p[i] == '"') {
            quoted = !quoted;
        } else if (s.p[i] == ' ' && !quoted) {
            break;
        }
    }
    return i < s.len ? i : s.len;
}

struct smtp_path smtp_parse_path(struct str arg)
{
    arg = str_trim(arg);
    uint32_t n = str_starts(arg, "<") ? path_end(arg) : bare_end(arg);
    return (struct smtp_path){str_sub(arg, 0, n), str_ltrim(str_from(arg, n))};
}

bool smtp_last_param(struct str *params, struct str *name, struct str *value)
{
    *params = str_trim(*params);
    if (str_empty(*params)) {
        return false;
    }
    uint32_t begin = params->len;
    while (begin > 0 && params->p[begin - 1] != ' ') {
        begin--;
    }
    struct str word = str_from(*params, begin);
    uint32_t eq = word.len;
    while (eq > 0 && word.p[eq - 1] != '=') {
        eq--;
    }
    *name = eq ? str_sub(word, 0, eq - 1u) : word;
    *value = eq ? str_from(word, eq) : word;
    for (uint32_t i = 0; eq && i < name->len; i++) {
        if (!isalpha((unsigned char)name->p[i])) {
            *name = STR("");
        }
    }
    *params = str_sub(*params, 0, begin);
    return true;
}

bool smtp_parse_bdat(struct str arg, uint64_t *size, bool *last)
{
    uint32_t n = 0;
    while (n < arg.len && isdigit((unsigned char)arg.p[n])) {
        n++;
    }
    if (n == 0 || n > 18 || !str_to_u64(str_sub(arg, 0, n), 10, size)) {
        return false;
    }
    struct str rest = str_from(arg, n);
    *last = false;
    if (str_empty(rest)) {
        return true;
    }
    *last = true;
    return rest.p[0] == ' ' && str_isi(str_trim(rest), "LAST");
}

bool smtp_helo_ok(struct str name, struct str extra)
{
    if (str_empty(name)) {
        return false;
    }
    if (name.p[0] == '[') {
        if (name.len < 3 || name.p[name.len - 1] != ']') {
            return false;
        }
        struct str inner = str_sub(name, 1, name.len - 2u);
        if (str_startsi(inner, "IPv6:")) {
            inner = str_from(inner, 5);
        }
        struct ip ip;
        return ip_parse(inner, &ip);
    }
    for (uint32_t i = 0; i < name.len; i++) {
        unsigned char ch = (unsigned char)name.p[i];
        bool ok = ch < 128 && (isalnum(ch) || ch == '.' || ch == '-');
        if (!ok && str_chr(extra, (char)ch) < 0) {
            return false;
        }
    }
    return true;
}

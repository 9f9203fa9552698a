/*
 * Taking a command line apart as Exim does, without a shell.
 */
#include "route/route.h"

#include <ctype.h>

/* A double-quoted part; i stands on the opening quote and is left on the closing one. */
static bool quoted(struct str s, uint32_t *i, struct buf *out)
{
    for (++*i; *i < s.len && s.p[*i] != '"'; ++*i) {
        char c = s.p[*i];
        if (c == '\\' && *i + 1 < s.len) {
            c = s.p[++*i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        buf_addc(out, c);
    }
    return *i < s.len;
}

static bool single_quoted(struct str s, uint32_t *i, struct buf *out)
{
    for (++*i; *i < s.len && s.p[*i] != '\''; ++*i) {
        buf_addc(out, s.p[*i]);
    }
    return *i < s.len;
}

bool command_split(struct pool *pool, struct str line, struct strvec *out, struct str *error)
{
    uint32_t i = 0;
    for (;;) {
        while (i < line.len && isspace((unsigned char)line.p[i])) {
            i++;
        }
        if (i >= line.len) {
            return true;
        }
        struct buf b;
        bool ok = true;
        buf_init(&b, pool, (size_t)line.len + 1);
        b.tainted = line.tainted;
        if (line.p[i] == '"' || line.p[i] == '\'') {
            ok = line.p[i] == '"' ? quoted(line, &i, &b) : single_quoted(line, &i, &b);
            i++;
        } else {
            while (i < line.len && !isspace((unsigned char)line.p[i])) {
                buf_addc(&b, line.p[i++]);
            }
        }
        if (!ok) {
            *error = STR("no closing quote");
            return false;
        }
        strvec_push(out, buf_str(&b));
    }
}

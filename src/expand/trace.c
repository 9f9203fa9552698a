/*
 * What -d+expand shows of an evaluation: the text, then of each item, operator and condition what it
 * came to, indented as expansions nest.
 *
 * The lines look like Exim's. But a text is taken apart before it is evaluated, and branches that are
 * not taken are not looked at, so there are fewer of them. Nothing here changes a value.
 */
#include "expand/internal.h"

/* The pieces of the drawing, with line-drawing characters and without. */
static const struct {
    const char *utf8, *ascii;
} marks[] = {
    [EXPAND_BEGIN] = {"\u256dconsidering", "/considering"},
    [EXPAND_TEXT] = {"\u251c\u2500\u2500\u2500\u2500\u2500\u2500\u2500text", "|-------text"},
    [EXPAND_CONDITION] = {"\u251c\u2500\u2500condition", "|--condition"},
    [EXPAND_TRUTH] = {"\u251c\u2500\u2500\u2500\u2500\u2500result", "|-----result"},
    [EXPAND_ITEM] = {"\u251c\u2500\u2500\u2500item-res", "|---item-res"},
    [EXPAND_OPERATOR] = {"\u251c\u2500\u2500\u2500\u2500\u2500op-res", "|-----op-res"},
    [EXPAND_WHOLE] = {"\u251c\u2500\u2500expanding", "|--expanding"},
    [EXPAND_RESULT] = {"\u2570\u2500\u2500\u2500\u2500\u2500result", "\\_____result"},
    [EXPAND_FAILED] = {"\u251cfailed to expand", "|failed to expand"},
    [EXPAND_ERROR] = {"\u2570\u2500\u2500\u2500error message", "\\___error message"},
    [EXPAND_REASON] = {"\u251c\u2500\u2500\u2500error message", "|---error message"},
};

void expand_trace(enum expand_mark mark, struct str text)
{
    trace_write_in("%s: %.*s", trace_state.mask & TR_noutf8 ? marks[mark].ascii : marks[mark].utf8,
                   STR_ARG(text));
}

void expand_trace_end(const struct ectx *x, struct str source, bool ok, struct str value)
{
    if (ok) {
        if (!str_unset(source)) {
            expand_trace(EXPAND_WHOLE, source);
        }
        expand_trace(EXPAND_RESULT, value);
        return;
    }
    if (str_unset(source)) {
        return; /* the whole text tells of it */
    }
    expand_trace(EXPAND_FAILED, source);
    expand_trace(x->forced_fail ? EXPAND_REASON : EXPAND_ERROR, x->error);
    if (x->forced_fail) {
        trace_write_in("%sfailure was forced", trace_state.mask & TR_noutf8 ? "\\" : "\u2570");
    }
}

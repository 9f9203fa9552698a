/*
 * As much of JSON (RFC 8259) as ${extract json…} and forany_json need: elements of arrays and
 * objects as texts. Texts are not checked beyond what finding their ends takes.
 * Results are views of the text, with its taint; what is not there is unset, and malformed text
 * ends the search.
 */
#include "expand/internal.h"

/* Offset behind the element at the start of s: up to a comma outside strings and brackets. */
static uint32_t element_end(struct str s)
{
    int depth = 0;
    bool quoted = false;
    for (uint32_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if (c == ']' || c == '}') {
            depth--;
        } else if (c == ',' && depth == 0) {
            return i;
        }
    }
    return s.len;
}

bool json_next(struct str *rest, struct str *element)
{
    *rest = str_ltrim(*rest);
    if (str_empty(*rest)) {
        return false;
    }
    uint32_t end = element_end(*rest);
    *element = str_trim(str_sub(*rest, 0, end));
    *rest = str_from(*rest, end < rest->len ? end + 1 : end);
    return true;
}

bool json_unquote(struct str *s)
{
    if (s->len < 2 || s->p[0] != '"' || s->p[s->len - 1] != '"') {
        return false;
    }
    *s = str_sub(*s, 1, s->len - 2u);
    return true;
}

/* What stands between the brackets. */
static bool inside(struct ectx *x, bool array, struct str *s)
{
    const char *what = array ? "array" : "object";
    *s = str_trim(*s);
    if (!str_starts(*s, array ? "[" : "{")) {
        return eval_fail(x, "missing '%c' wrapping %s for extract json", array ? '[' : '{', what);
    }
    if (s->len < 2 || s->p[s->len - 1] != (array ? ']' : '}')) {
        return eval_fail(x, "missing '%c' wrapping %s for extract json", array ? ']' : '}', what);
    }
    *s = str_sub(*s, 1, s->len - 2u);
    return true;
}

/* The value of "name": value if the name fits. */
static bool member(struct str element, struct str name, struct str *value)
{
    if (!str_starts(element, "\"")) {
        return false;
    }
    uint32_t i = 1;
    while (i < element.len && element.p[i] != '"') {
        i += element.p[i] == '\\' ? 2 : 1;
    }
    struct str key = str_sub(element, 1, i - 1);
    struct str rest = str_ltrim(str_from(element, i + 1));
    if (!str_starts(rest, ":") || !str_eq(key, name)) {
        return false;
    }
    *value = str_trim(str_from(rest, 1));
    return true;
}

bool json_extract(struct ectx *x, struct str option, struct str key, struct str text,
                  struct str *value, bool *found)
{
    uint64_t n;
    bool array = str_to_u64(key, 10, &n);
    struct str element;
    *found = false;
    if (!inside(x, array, &text)) {
        return false;
    }
    for (uint64_t i = 1; !*found && json_next(&text, &element); i++) {
        *found = array ? i == n : member(element, key, value);
    }
    if (array && *found) {
        *value = element;
    }
    return !*found || !str_is(option, "jsons") || json_unquote(value) ||
           eval_fail(x, "missing '\"' wrapping string result for extract jsons");
}

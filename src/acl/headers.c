/*
 * Header lines that ACLs add: the text of add_header (and of message with warn) cut into header
 * lines, each with its place, kept on the message's notes until reception puts them in.
 * They live in the message's pool. Text that is no header line is made one (X-ACL-Warn:).
 */
#include "acl/internal.h"

static const struct {
    const char *prefix;
    char place;
} places[] = {
    {":after_received:", 'r'},
    {":at_start_rfc:", 'f'},
    {":at_start:", 't'},
    {":at_end:", 'b'},
};

/* Takes a place off the front of a header text; the end is the default. */
static char take_place(struct str *text)
{
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (str_startsi(*text, places[i].prefix)) {
            *text = str_from(*text, strlen(places[i].prefix));
            return places[i].place;
        }
    }
    return 'b';
}

/* Length of the first header in text: up to the newline that no blank follows, exclusive. */
static uint32_t header_length(struct str text)
{
    uint32_t n = 0;
    while (n < text.len) {
        if (text.p[n] == '\n' && n + 1 < text.len && text.p[n + 1] != ' ' &&
            text.p[n + 1] != '\t') {
            break;
        }
        n++;
    }
    return n;
}

/* Appends one header line unless the same line is to be added already. */
static void add_one(struct acl_job *j, struct str line)
{
    struct pool *pool = j->x->msg->pool;
    char place = take_place(&line);
    uint32_t name_len;
    bool named = header_name_ok(line, &name_len);
    struct str text = STR_CAT(pool, named ? STR("") : STR("X-ACL-Warn: "), line, STR("\n"));
    struct header **last = &j->note->added;
    for (; *last; last = &(*last)->next) {
        if (str_eq((*last)->text, text)) {
            return;
        }
    }
    struct header *h = POOL_NEW(pool, struct header);
    h->text = text;
    h->type = place;
    *last = h;
}

void acl_add_headers(struct acl_job *j, struct str text)
{
    while (text.len && text.p[0] == '\n') {
        text = str_from(text, 1);
    }
    while (text.len && text.p[text.len - 1] == '\n') {
        text = str_sub(text, 0, text.len - 1u);
    }
    while (text.len) {
        uint32_t n = header_length(text);
        add_one(j, str_sub(text, 0, n));
        text = str_from(text, n + 1u);
    }
}

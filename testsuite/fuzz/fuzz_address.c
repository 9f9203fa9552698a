/* Fuzz target: RFC 5321/5322 address parsing, single and as lists. */
#include "mail/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool seen(void *closure, const struct mailbox *m)
{
    struct str *body = closure;
    if (m->end > body->len || m->start > m->end) {
        BUG("address outside its text");
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool *pool = pool_new("fuzz");
    struct str text = str_taint(str_n((const char *)data, size)), error;
    struct mailbox m;
    for (unsigned flags = 0; flags < 32; flags++) {
        if (mailbox_parse(pool, text, flags, &m, &error) && m.text.len && !m.text.tainted) {
            BUG("taint lost");
        }
    }
    mailbox_each(pool, text, seen, &text, &error);
    mail_quote_local_part(pool, text);
    pool_free(&pool);
    return 0;
}

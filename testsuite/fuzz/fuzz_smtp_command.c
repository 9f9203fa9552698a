/* Fuzz target: the SMTP command parser, with paths, parameters, BDAT and HELO names. */
#include "smtp_in/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A view that lies outside of its text is a fault. */
static void inside(struct str s, struct str text)
{
    if (s.len && (s.p < text.p || s.p + s.len > text.p + text.len)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_taint(str_n((const char *)data, size));
    struct smtp_line l = smtp_parse_line(text);
    inside(l.text, text);
    inside(l.arg, text);
    struct smtp_path p = smtp_parse_path(l.arg);
    inside(p.path, text);
    inside(p.params, text);
    struct str name, value;
    while (smtp_next_param(&p.params, &name, &value)) {
        inside(name, text);
        inside(value, text);
    }
    uint64_t n;
    bool last;
    smtp_parse_bdat(l.arg, &n, &last);
    smtp_helo_ok(l.arg, STR("_"));
    return 0;
}

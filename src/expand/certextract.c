/*
 * ${certextract {field}{$variable}{yes}{no}}, and digests of variables that hold certificates.
 *
 * The second argument is the name of a variable, written with its dollar and taken as it stands.
 * Such a variable's value is a certificate, of which a plain expansion shows only that there is
 * one; md5, sha1, sha256 and base64 applied to it alone work on its DER. What comes out is as
 * tainted as the certificate.
 */
#include "expand/internal.h"
#include "tls/tls.h"

bool is_certificate(const struct variable *v)
{
    static const char *const names[] = {"tls_in_ourcert", "tls_in_peercert", "tls_out_ourcert",
                                        "tls_out_peercert"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(v->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* "{$name}": the name. */
static bool parse_certificate(struct parser *p, const struct expand_arg **out)
{
    struct str rest = str_from(p->text, p->at + 1), name;
    ptrdiff_t end = str_chr(rest, '}');
    if (!str_starts(rest, "$")) {
        return parse_fail(p, "second argument of \"certextract\" must be a certificate variable");
    }
    name = str_sub(rest, 1, end < 0 ? rest.len : (size_t)end - 1);
    const struct variable *v = find_variable_row(p->conf, name);
    if (end < 0) {
        return parse_fail(p, "missing } at end of string");
    }
    if (!v || v->name[strlen(v->name) - 1] == '*') {
        return parse_fail(p, "no variable named \"%.*s\"", STR_ARG(name));
    }
    if (!is_certificate(v)) {
        return parse_fail(p, "\"%.*s\" is not a certificate", STR_ARG(name));
    }
    struct expand_arg *a = POOL_NEW(p->pool, struct expand_arg);
    struct expr *e = POOL_NEW(p->pool, struct expr);
    e->kind = NODE_CERTIFICATE;
    e->count = 1;
    e->text = name;
    e->u.variable = v;
    a->tree = e;
    *out = a;
    p->at += (uint32_t)end + 2;
    return true;
}

bool parse_certextract(struct parser *p, struct item *it)
{
    const struct expand_arg **args = pool_calloc(p->pool, 2, sizeof *args);
    parse_space(p);
    if (parse_peek(p) != '{') {
        return parse_fail(p, "missing '{' for field arg of certextract");
    }
    if (!parse_braced(p, true, &args[0])) {
        return false;
    }
    parse_space(p);
    if (parse_peek(p) != '{') {
        return parse_fail(p, "missing '{' for cert variable arg of certextract");
    }
    if (!parse_certificate(p, &args[1])) {
        return false;
    }
    it->args = args;
    it->n = 2;
    return parse_yes_no(p, it);
}

static struct str certificate_of(struct ectx *x, const struct expr *e)
{
    return e->u.variable->get(x, e->text);
}

bool item_certextract(struct ectx *x, const struct item *it, struct str *out)
{
    struct str field, value = STR_NONE, error, der = certificate_of(x, it->args[1]->tree);
    struct cert c;
    if (!expand_arg(x, it->args[0], &field)) {
        return false;
    }
    if (!str_empty(der) && cert_parse(x->pool, der, &c)) {
        ptrdiff_t comma = str_chr(field, ',');
        struct str name = str_trim(comma < 0 ? field : str_sub(field, 0, (size_t)comma));
        struct str modifiers = comma < 0 ? STR_NONE : str_rtrim(str_from(field, (size_t)comma + 1));
        if (!cert_field(x->pool, &c, name, modifiers, &value, &error)) {
            return eval_fail(x, "%.*s", STR_ARG(error));
        }
        value.tainted = true;
    }
    return eval_yes_no(x, it, !str_unset(value), value, value, out);
}

bool eval_certificate_operator(struct ectx *x, const struct expr *e, struct str *out)
{
    static const struct {
        const char *name;
        enum digest_kind kind;
    } digests[] = {{"md5", DIGEST_MD5}, {"sha1", DIGEST_SHA1}, {"sha256", DIGEST_SHA256}};
    const struct expr *subject = e->u.op.subject;
    const char *name = e->u.op.row->name;
    if (subject->kind != NODE_CERTIFICATE || subject->next || subject->number ||
        !str_empty(e->text)) {
        return false;
    }
    struct str der = certificate_of(x, subject);
    if (str_empty(der)) {
        return false;
    }
    if (strcmp(name, "base64") == 0) {
        *out = base64_encode(x->pool, der);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
        if (strcmp(name, digests[i].name) == 0) {
            *out = str_upper(x->pool, hex_encode(x->pool, digest(x->pool, digests[i].kind, der)));
            return true;
        }
    }
    return false;
}

/*
 * Helpers of the shared structs (shared.h): named values, headers and recipients of a message, the
 * text that names a session's host in logs and Received lines. What they make lives in the pool of
 * the struct it is put into; nothing here fails.
 */
#include "core/core.h"

void vars_set(struct vars *v, struct str name, struct str value)
{
    if (str_unset(value)) {
        if (v->map) {
            map_remove(v->map, name);
        }
        return;
    }
    if (!v->map) {
        v->map = map_new(v->pool, false);
    }
    struct str *kept = POOL_NEW(v->pool, struct str);
    *kept = str_dup(v->pool, value);
    map_set(v->map, name, kept);
}

struct str vars_get(const struct vars *v, struct str name)
{
    const struct str *s = v->map ? map_get(v->map, name) : NULL;
    return s ? *s : STR_NONE;
}

struct header *message_add_header(struct message *m, char type, struct str text)
{
    struct header *h = POOL_NEW(m->pool, struct header);
    *h = (struct header){.text = str_dup(m->pool, text), .type = type};
    if (!m->headers_last) {
        m->headers_last = &m->headers;
    }
    while (*m->headers_last) {
        m->headers_last = &(*m->headers_last)->next;
    }
    *m->headers_last = h;
    m->headers_last = &h->next;
    return h;
}

struct recipient *message_add_recipient(struct message *m, struct str address)
{
    if (m->recipient_count == m->recipient_alloc) {
        size_t alloc = m->recipient_alloc ? m->recipient_alloc * 2 : 4;
        struct recipient *r = pool_calloc(m->pool, alloc, sizeof *r);
        if (m->recipient_count) {
            memcpy(r, m->recipients, m->recipient_count * sizeof *r);
        }
        m->recipients = r;
        m->recipient_alloc = alloc;
    }
    struct recipient *r = &m->recipients[m->recipient_count++];
    *r = (struct recipient){.address = str_dup(m->pool, address), .parent = -1};
    return r;
}

bool session_helo_is_known(const struct session *s)
{
    struct str helo = s->helo_name;
    if (!s->host_name_unshown && str_eqi(helo, s->host_name)) {
        return true;
    }
    if (helo.len > 2 && helo.p[0] == '[' && helo.p[helo.len - 1] == ']') {
        helo = str_sub(helo, 1, helo.len - 2u);
        if (str_startsi(helo, "IPv6:")) {
            helo = str_from(helo, 5);
        }
        return str_eqi(helo, s->host_address);
    }
    return false;
}

struct str session_fullhost(struct pool *pool, const struct session *s, bool with_port)
{
    struct str addr = STR_CAT(pool, STR("["), s->host_address, STR("]"));
    if (with_port && s->host_port > 0) {
        addr = STR_CAT(pool, addr, str_fmt(pool, ":%d", s->host_port));
    }
    struct str name = s->host_name_unshown ? STR_NONE : s->host_name;
    bool helo = !str_empty(s->helo_name) && !str_eqi(s->helo_name, name);
    if (!str_empty(name)) {
        return helo ? STR_CAT(pool, name, STR(" ("), s->helo_name, STR(") "), addr)
                    : STR_CAT(pool, name, STR(" "), addr);
    }
    return helo ? STR_CAT(pool, STR("("), s->helo_name, STR(") "), addr) : addr;
}

struct str session_connection(struct pool *pool, const struct session *s)
{
    struct str who = str_empty(s->host_address)
                         ? STR("")
                         : session_fullhost(pool, s, log_wants(LS_incoming_port));
    if (s->notsocket && !s->host_checking) {
        who = s->ident;
    } else if (log_wants(LS_incoming_interface) && !str_empty(s->interface_address) &&
               !s->host_checking) {
        who = STR_CAT(pool, who, STR(" I=["), s->interface_address, STR("]"),
                      str_fmt(pool, ":%d", s->interface_port));
    }
    return STR_CAT(pool, STR("SMTP connection from "), who);
}

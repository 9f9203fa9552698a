/*
 * What is put right in the header lines of a message as it comes in: lines that belong to delivery
 * are dropped; Message-ID, Date, From and Sender are supplied for messages of local origin and in
 * submission mode; envelope addresses and headers go through the rewriting rules.
 *
 * With Resent- lines present, additions are Resent- lines as well and go on top (RFC 5322 3.6.6).
 */
#include "smtp_in/internal.h"

#include <ctype.h>

/* What the steps share. */
struct fixup {
    struct receiver *r;
    struct message *m;
    struct session *s;
    struct pool *pool;
    bool local;  /* not over TCP */
    bool supply; /* missing lines are to be supplied */
    struct header *from, *id;
    bool date;
    struct str prefix; /* "Resent-" or nothing */
};

/* Adds a line: From: and Sender: at the end; others behind our Received: where a message is resent. */
static struct header *add(struct fixup *f, char type, struct str text)
{
    struct header *h = POOL_NEW(f->pool, struct header);
    h->text = text;
    h->type = type;
    struct header **at = &f->m->headers;
    if (f->r->resent && type != 'F' && type != 'S') {
        at = &f->m->headers->next;
    } else {
        while (*at) {
            at = &(*at)->next;
        }
    }
    h->next = *at;
    *at = h;
    f->m->headers_last = NULL;
    return h;
}

/* A name as it stands before an address. */
static struct str phrase(struct fixup *f, struct str name)
{
    for (uint32_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.p[i] < 32 || (unsigned char)name.p[i] > 126) {
            return rfc2047_encode(f->pool, name, core_settings(f->r->conf)->headers_charset);
        }
    }
    return mail_quote_phrase(f->pool, name);
}

/* ---- what is there ---- */

/* True if a Sender: line from the message is not to be believed. */
static bool sender_is_dropped(const struct fixup *f)
{
    if (f->m->submission) {
        return !f->m->sender_retain;
    }
    return !f->r->set->local_sender_retain && f->local && !f->r->trusted &&
           !f->m->suppress_local_fixups;
}

/* A From: line that is just the caller's login gets the name and the domain. */
static void complete_login(struct fixup *f, struct header *h)
{
    struct str body = str_trim(header_body(h));
    if (f->r->smtp || !str_eqi(body, f->m->originator_login)) {
        return;
    }
    const struct core_settings *core = core_settings(f->r->conf);
    struct str name = phrase(f, f->s->caller_name);
    h->type = '*';
    f->from = add(f, 'F',
                  STR_CAT(f->pool, f->prefix, STR("From: "), name, STR(" <"),
                          f->m->originator_login, STR("@"), core->qualify_domain, STR(">\n")));
}

static void look_at(struct fixup *f, struct header *h)
{
    const struct smtp_in_settings *set = f->r->set;
    struct str name = header_name(h);
    bool resent = str_startsi(name, "resent-");
    bool current = resent || !f->r->resent; /* belongs to the set that counts */
    h->type = header_type(h->text, f->r->resent);
    if (resent) {
        name = str_from(name, 7);
    }
    if ((str_isi(name, "return-path") && set->return_path_remove) ||
        (str_isi(name, "envelope-to") && set->envelope_to_remove) ||
        (str_isi(name, "delivery-date") && set->delivery_date_remove) ||
        (str_isi(name, "bcc") && f->r->extract && current) ||
        (str_isi(name, "sender") && current && sender_is_dropped(f))) {
        h->type = '*';
    } else if (!current) {
        return;
    } else if (str_isi(name, "date")) {
        f->date = true;
    } else if (str_isi(name, "message-id")) {
        f->id = h;
    } else if (str_isi(name, "from")) {
        f->from = h;
    }
}

/* ---- Message-ID ---- */

static struct str expand_part(struct fixup *f, const struct etext *opt, const char *name)
{
    struct str out;
    if (str_unset(opt->text)) {
        return STR("");
    }
    if (expand_option(f->r->x, opt, &out)) {
        return out;
    }
    if (!f->r->x->forced_fail) {
        log_msg(LOG_MAIN | LOG_PANIC, f->m, "expansion of \"%.*s\" (%s) failed: %.*s",
                STR_ARG(opt->text), name, STR_ARG(f->r->x->error));
    }
    return STR("");
}

/* Replaces bytes that may not stand in a Message-ID. */
static struct str clean(struct fixup *f, struct str s, bool domain)
{
    char *p = str_cstr(f->pool, s);
    for (char *c = p; *c; c++) {
        unsigned char ch = (unsigned char)*c;
        if (domain ? !isalnum(ch) && ch != '.'
                   : ch < 33 || ch > 126 || strchr("()<>@,;:\\\".[]", ch)) {
            *c = '-';
        }
    }
    return str_n(p, s.len);
}

static void add_message_id(struct fixup *f)
{
    const struct smtp_in_settings *set = f->r->set;
    struct str domain = expand_part(f, &set->message_id_header_domain, "message_id_header_domain");
    struct str text = expand_part(f, &set->message_id_header_text, "message_id_header_text");
    domain =
        str_empty(domain) ? core_settings(f->r->conf)->primary_hostname : clean(f, domain, true);
    f->r->message_id_created = true;
    f->id = add(f, 'I',
                STR_CAT(f->pool, f->prefix, STR("Message-Id: <E"), f->m->id,
                        str_empty(text) ? STR("") : STR("."), clean(f, text, false), STR("@"),
                        domain, STR(">\n")));
}

/* ---- From and Sender ---- */

/* The address submission mode stands for. */
static struct str submitter(struct fixup *f)
{
    const struct message *m = f->m;
    struct str id = f->s->auth_id;
    if (!str_unset(m->submission_domain) && str_empty(m->submission_domain)) {
        return id; /* the identity is a whole address */
    }
    struct str domain = str_unset(m->submission_domain) ? core_settings(f->r->conf)->qualify_domain
                                                        : m->submission_domain;
    return STR_CAT(f->pool, mail_quote_local_part(f->pool, id), STR("@"), domain);
}

static struct str local_address(struct fixup *f)
{
    return STR_CAT(f->pool, mail_quote_local_part(f->pool, f->m->originator_login), STR("@"),
                   core_settings(f->r->conf)->qualify_domain);
}

/* The name that goes before a supplied From address. */
static struct str from_name(struct fixup *f)
{
    struct str name = STR("");
    if (!f->local) {
        name = f->m->submission_name;
    } else if (!f->r->trusted || f->r->name_forced || (!f->r->smtp && !f->r->sender_forced)) {
        name = f->s->caller_name;
    }
    return str_empty(name) ? STR("") : phrase(f, name);
}

static void add_from(struct fixup *f)
{
    struct str address = f->m->sender, name = from_name(f);
    if (str_empty(address)) {
        if (f->m->local) {
            address = local_address(f);
        } else if (f->m->submission && !str_empty(f->s->auth_id)) {
            address = submitter(f);
        } else {
            return;
        }
    }
    bool named = !str_empty(name);
    f->from = add(f, 'F',
                  STR_CAT(f->pool, f->prefix, STR("From: "), name, named ? STR(" <") : STR(""),
                          address, named ? STR(">\n") : STR("\n")));
}

/* Takes a permitted prefix or suffix ("*-" or "-*", or as it is) off a local part. */
static struct str strip_affixes(struct fixup *f, struct str lp)
{
    struct str list = f->r->set->local_from_prefix, item;
    int sep = 0;
    while (list_next(f->pool, &list, &sep, &item)) {
        bool wild = str_starts(item, "*");
        struct str fixed = wild ? str_from(item, 1) : item;
        ptrdiff_t at =
            wild ? str_findi(lp, fixed)
            : str_starts(str_lower(f->pool, lp), str_cstr(f->pool, str_lower(f->pool, fixed))) ? 0
                                                                                               : -1;
        if (at >= 0 && !str_empty(fixed)) {
            lp = str_from(lp, (size_t)at + fixed.len);
            break;
        }
    }
    list = f->r->set->local_from_suffix;
    sep = 0;
    while (list_next(f->pool, &list, &sep, &item)) {
        bool wild = str_ends(item, STR("*"));
        struct str fixed = wild ? str_sub(item, 0, item.len - 1u) : item;
        ptrdiff_t at = wild                   ? str_findi(lp, fixed)
                       : str_endsi(lp, fixed) ? (ptrdiff_t)(lp.len - fixed.len)
                                              : -1;
        if (at >= 0 && !str_empty(fixed)) {
            return str_sub(lp, 0, (size_t)at);
        }
    }
    return lp;
}

/* True if the From: line names the one who sends, so that no Sender: is needed. */
static bool from_is(struct fixup *f, struct str generated)
{
    struct mailbox m;
    struct str error;
    if (!mailbox_parse(f->pool, str_trim(header_body(f->from)), mailbox_flags(f->r->conf), &m,
                       &error)) {
        return false;
    }
    if (str_empty(m.domain)) {
        struct str lp = strip_affixes(f, m.text);
        return str_eqi(lp, generated) || str_eqi(lp, f->m->originator_login);
    }
    struct str lp = strip_affixes(f, m.local_part);
    return str_eqi(STR_CAT(f->pool, lp, STR("@"), m.domain), generated);
}

static void check_from(struct fixup *f)
{
    bool submission = f->m->submission && !str_empty(f->s->auth_id) && !f->m->sender_retain;
    bool local = f->local && !f->m->submission && !f->r->trusted && !f->m->suppress_local_fixups;
    if (!f->from || !f->r->set->local_from_check || (!submission && !local)) {
        return;
    }
    struct str generated = submission ? submitter(f) : local_address(f);
    if (!from_is(f, generated)) {
        struct str name = submission ? f->m->submission_name : f->s->caller_name;
        name = str_empty(name) ? STR("") : phrase(f, name);
        bool named = submission ? !str_unset(f->m->submission_name) : true;
        struct str text =
            named ? STR_CAT(f->pool, name, STR(" <"), generated, STR(">")) : generated;
        add(f, 'S', STR_CAT(f->pool, f->prefix, STR("Sender: "), text, STR("\n")));
    }
    if (submission && !str_empty(f->m->sender) && !str_eq(f->m->sender, generated)) {
        if (log_wants(LS_address_rewrite)) {
            log_msg(LOG_MAIN, f->m,
                    "\"%.*s\" from env-from rewritten as \"%.*s\" by submission mode",
                    STR_ARG(f->m->sender), STR_ARG(generated));
        }
        f->m->sender = generated;
    }
}

/* ---- rewriting ---- */

static void rewrite_recipients(struct fixup *f)
{
    for (size_t i = 0; i < f->m->recipient_count; i++) {
        struct recipient *rcpt = &f->m->recipients[i];
        rcpt->address =
            rewrite_address(f->r->x, f->r->conf->rewrite_rules, rcpt->address, RW_ENVTO);
    }
}

static void rewrite_headers(struct fixup *f)
{
    for (struct header *h = f->m->headers; h; h = h->next) {
        if (h->type == '*' || h->type == 'P') {
            continue;
        }
        struct header *changed = rewrite_header(f->r->x, f->r->conf->rewrite_rules, h);
        if (changed && changed != h) {
            changed->next = h->next;
            h->next = changed;
            h->type = '*';
            h = changed;
        }
    }
    f->m->headers_last = NULL;
}

void fixup_headers(struct receiver *r)
{
    struct fixup f = {.r = r,
                      .m = r->msg,
                      .s = r->sess,
                      .pool = r->msg->pool,
                      .local = str_empty(r->sess->host_address)};
    f.supply = (f.local && !f.m->suppress_local_fixups) || f.m->submission;
    f.prefix = r->resent ? STR("Resent-") : STR("");
    for (struct header *h = f.m->headers; h; h = h->next) {
        if (h != r->received) {
            look_at(&f, h);
        }
    }
    if (f.from) {
        complete_login(&f, f.from);
    }
    if (!f.id && f.supply) {
        add_message_id(&f);
    }
    rewrite_recipients(&f);
    if (!f.from && f.supply) {
        add_from(&f);
    }
    check_from(&f);
    if (f.r->conf->rewrite_rules && !str_empty(f.m->sender)) {
        f.m->sender = rewrite_address(r->x, r->conf->rewrite_rules, f.m->sender, RW_ENVFROM);
    }
    rewrite_headers(&f);
    if (!f.date && f.supply) {
        add(&f, ' ',
            STR_CAT(f.pool, f.prefix, STR("Date: "), time_rfc5322(f.pool, time(NULL), false),
                    STR("\n")));
    }
}

/*
 * Test modes: how an address would be routed (-bt), whether it verifies (-bv, -bvs), and which retry
 * rule is used (-brt). Nothing is delivered or recorded; the lines printed are those tools expect.
 * The exit status is 0, 1 for a deferral, 2 for a failure.
 */
#include "queue/internal.h"

#include <stdio.h>

#define ROW_OF_48 ">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>"

enum { STATUS_OK, STATUS_DEFER, STATUS_FAIL, ROUNDS_MAX = 1000 };

struct test {
    struct ectx x;
    struct message m;
    struct route_job route;
    struct pool *pool;
    bool verify, all, admin;
    int status;
    struct map *seen;
};

static void worst(struct test *t, int status)
{
    t->status = status > t->status ? status : t->status;
}

static void print_parents(const struct address *a)
{
    for (const struct address *p = a->parent; p; p = p->parent) {
        printf("\n    <-- %.*s", STR_ARG(p->address));
    }
}

/* One bad line: what is wrong, and where the address came from. */
static void print_bad(struct test *t, const struct address *a, bool failed)
{
    const char *what = !failed     ? "cannot be resolved at this time"
                       : t->verify ? "failed to verify"
                                   : "is undeliverable";
    printf("%.*s %s", STR_ARG(t->verify ? report_top(a)->address : a->address), what);
    if (!t->admin) {
        /* The reason may tell of what is not for everybody. */
    } else if (!str_unset(a->message)) {
        printf(": %.*s", STR_ARG(a->message));
    } else if (a->basic_errno > 0) {
        printf(": %s", strerror(a->basic_errno));
    }
    if (!t->verify) {
        print_parents(a);
    }
    printf("\n");
    worst(t, failed ? STATUS_FAIL : STATUS_DEFER);
}

static void print_hosts(const struct address *a)
{
    unsigned name_width = 0, address_width = 0;
    for (const struct host *h = a->hosts; h; h = h->next) {
        unsigned n = str_empty(h->address) ? 7 : h->address.len;
        name_width = h->name.len > name_width ? h->name.len : name_width;
        address_width = n > address_width ? n : address_width;
    }
    for (const struct host *h = a->hosts; h; h = h->next) {
        if (a->transport->local && str_empty(h->address)) {
            printf("  host %.*s%*s\n", STR_ARG(h->name), (int)address_width + 3, "");
            continue;
        }
        struct str address = str_empty(h->address) ? STR("unknown") : h->address;
        printf("  host %.*s%*s [%.*s]%*s", STR_ARG(h->name), (int)(name_width - h->name.len), "",
               STR_ARG(address), (int)(address_width - address.len), "");
        if (h->mx >= 0) {
            printf(" MX=%d", h->mx);
        }
        if (h->port != PORT_NONE) {
            printf(" port=%d", h->port);
        }
        printf("%s\n", h->status == HOST_UNUSABLE ? " ** unusable **" : "");
    }
}

static void print_good(struct test *t, const struct address *a)
{
    const char *again = "";
    if (map_count(t->seen) && map_find(t->seen, a->unique)) {
        again = "   [duplicate, would not be delivered]";
    }
    map_set(t->seen, a->unique, t);
    if (a->kind != AK_NORMAL && a->parent) {
        printf("%.*s -> %.*s%s\n  transport = %.*s\n", STR_ARG(a->parent->address),
               STR_ARG(a->address), again, STR_ARG(a->transport ? a->transport->name : STR("")));
        return;
    }
    printf("%.*s%s", STR_ARG(a->address), again);
    print_parents(a);
    printf("\n  router = %.*s, ", STR_ARG(a->router ? a->router->name : STR("")));
    if (a->transport) {
        printf("transport = %.*s\n", STR_ARG(a->transport->name));
    } else {
        printf("transport = <none>\n");
    }
    if (a->transport) {
        print_hosts(a);
    }
}

/* Lists are shown the last address first, as they are delivered. */
static void print_reversed(struct test *t, const struct address *list)
{
    struct vec order = {.pool = t->pool};
    for (; list; list = list->next) {
        vec_push(&order, (void *)(uintptr_t)list);
    }
    while (order.n) {
        print_good(t, order.v[--order.n]);
    }
}

/* Pipes and files need no routing: they are shown at once. */
static bool show_special(struct test *t, const struct address *a)
{
    if (a->kind == AK_NORMAL || !a->parent) {
        return false;
    }
    if (a->outcome == ADDR_PENDING) {
        print_good(t, a);
        return true;
    }
    printf("%.*s -> %.*s", STR_ARG(a->parent->address), STR_ARG(a->address));
    if (a->outcome == ADDR_FAIL) {
        printf(" *** forbidden ***\n");
    } else {
        printf("\n*** Error in setting up pipe, file, or autoreply:\n%.*s\n", STR_ARG(a->message));
    }
    return true;
}

static void print_bad_lists(struct test *t)
{
    struct route_job *r = &t->route;
    for (const struct address *a = r->failed; a; a = a->next) {
        print_bad(t, a, true);
    }
    for (const struct address *a = r->deferred; a; a = a->next) {
        print_bad(t, a, false);
    }
    for (const struct address *a = r->succeeded; a; a = a->next) {
        printf("mail to %.*s is discarded\n", STR_ARG(a->address));
    }
    r->failed = r->deferred = r->succeeded = NULL;
}

static void test_routing(struct test *t, struct address *first)
{
    struct route_job *r = &t->route;
    int rounds = 0;
    r->generated = first;
    while (r->generated && rounds++ < ROUNDS_MAX) {
        struct address *a = r->generated;
        r->generated = a->next;
        a->next = NULL;
        t->x.addr = a;
        if (!show_special(t, a)) {
            TRACE(TR_deliver | TR_verify, ROW_OF_48 "\nConsidering %.*s", STR_ARG(a->address));
            route_address(r, a);
            print_bad_lists(t);
        }
    }
    print_reversed(t, r->local);
    print_reversed(t, r->remote);
    r->local = r->remote = NULL;
}

/* Verification follows single children; a list is good as it is. */
static void test_verification(struct test *t, struct address *first)
{
    struct route_job *r = &t->route;
    struct address *a = first;
    struct str shown = first->address;
    int rounds = 0;
    bool pending = false;
    do {
        t->x.addr = a;
        TRACE(TR_deliver | TR_verify, ROW_OF_48 "\nConsidering %.*s", STR_ARG(a->address));
        pending = a->kind == AK_NORMAL && route_address(r, a) == ROUTE_REROUTED && r->generated &&
                  !r->generated->next;
        if (pending) {
            a = r->generated;
            r->generated = NULL;
        }
    } while (pending && rounds++ < ROUNDS_MAX);
    if (r->failed || r->deferred) {
        r->succeeded = NULL;
        print_bad_lists(t);
    } else {
        printf("%.*s verified\n", STR_ARG(shown));
    }
}

static void test_one(struct test *t, struct str text, bool as_sender)
{
    struct mailbox box;
    struct str error;
    if (!mailbox_parse(t->pool, text, mailbox_flags(t->x.conf), &box, &error)) {
        printf("syntax error: %.*s\n",
               STR_ARG(str_empty(str_trim(text)) ? STR("empty address") : error));
        worst(t, STATUS_FAIL);
        return;
    }
    struct str address = mail_qualify(t->pool, t->x.conf, box.text, !as_sender);
    TRACE(TR_verify, ROW_OF_48 "\n%s %.*s", t->verify ? "Verifying" : "Testing", STR_ARG(address));
    address = rewrite_address(&t->x, t->x.conf->rewrite_rules, address,
                              as_sender ? RW_ENVFROM : RW_ENVTO);
    if (as_sender) { /* what goes to a sender comes from nobody */
        t->m.sender = STR("");
        t->m.return_path = address;
    }
    struct address *a = route_new_address(&t->x, address);
    if (t->verify && !t->all) {
        test_verification(t, a);
    } else {
        test_routing(t, a);
    }
}

int queue_test_address(const struct config *conf, struct pool *pool, struct str address,
                       const struct queue_test *how)
{
    struct test *t = POOL_NEW(pool, struct test);
    bool verify = how->verify, as_sender = how->as_sender;
    t->pool = pool;
    t->verify = verify;
    t->all = how->all;
    t->admin = how->admin;
    t->seen = how->seen;
    ectx_init(&t->x, conf, pool);
    t->m = (struct message){
        .pool = pool, .sender = how->sender, .sender_set = true, .session_facts = how->session};
    t->m.acl_m.pool = t->m.acl_c.pool = t->m.delivered.pool = pool;
    t->x.msg = &t->m;
    t->x.sess = how->session;
    t->x.testing = true;
    t->x.verifying = verify;
    t->x.address_testing = !verify;
    t->x.verifying_sender = as_sender;
    t->route.x = &t->x;
    t->route.why = !verify ? ROUTE_TEST : as_sender ? ROUTE_VERIFY_SENDER : ROUTE_VERIFY_RECIPIENT;
    uint32_t from = 0;
    do {
        uint32_t end = mailbox_list_next(address, from, false);
        test_one(t, str_trim(str_sub(address, from, end - from)), as_sender);
        from = end + 1;
    } while (from < address.len);
    fflush(stdout);
    return t->status;
}

/* ---- -brt ---- */

static void print_rule(struct pool *pool, const struct retry_rule *rule)
{
    static const char *const shown[] = {"quota", "refused", "timeout", "auth_failed"};
    struct str name = STR("*"); /* Exim names no other error */
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        if (str_starts(rule->text_error, shown[i])) {
            name = rule->text_error;
        }
    }
    printf("Retry rule: %.*s  %.*s  ", STR_ARG(rule->text_pattern), STR_ARG(name));
    for (size_t i = 0; i < rule->n; i++) {
        const struct retry_param *p = &rule->params[i];
        struct str cutoff = time_interval_text(pool, p->cutoff);
        struct str interval = time_interval_text(pool, p->interval);
        printf("%c,%.*s,%.*s", p->algorithm, STR_ARG(cutoff), STR_ARG(interval));
        if (p->algorithm == 'G') {
            printf(",%d.%d", p->factor / 1000, p->factor % 1000 / 100);
        }
        printf("; ");
    }
    printf("\n");
}

int queue_test_retry(const struct config *conf, const struct strvec *args, struct str sender)
{
    struct str domain = STR_NONE;
    struct retry_rule error = {0};
    struct ectx x;
    size_t n = 1;
    if (args->n == 0) {
        printf("-brt needs a domain or address argument\n");
        return 1;
    }
    if (str_chr(args->v[0], '@') < 0 && str_chr(args->v[0], '.') < 0) {
        printf("Warning: \"%.*s\" contains no '@' and no '.' characters. It is being \n"
               "treated as a one-component domain, not as a local part.\n\n",
               STR_ARG(args->v[0]));
    }
    if (args->n > n && str_chr(args->v[n], '.') >= 0) {
        domain = args->v[n++];
    }
    if (args->n > n) {
        const char *why = retry_parse_error(args->v[n], &error);
        if (why) {
            printf("%s \"%.*s\"\n", why, STR_ARG(args->v[n]));
            return 1;
        }
    }
    struct pool *pool = pool_new("retry test");
    ectx_init(&x, conf, pool);
    int more = error.basic_errno == ERRNO_QUOTA ? (int)error.quota_age : error.more_errno;
    const struct retry_rule *rule =
        retry_find_rule(&x, args->v[0], domain, error.basic_errno, more, sender);
    if (rule) {
        print_rule(pool, rule);
    } else {
        printf("No retry information found\n");
    }
    fflush(stdout);
    pool_free(&pool);
    return 0;
}

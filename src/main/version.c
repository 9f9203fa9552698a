/*
 * -bV: what this program is and has, in Exim's form, from the rows of the modules.
 *
 * Printed before the configuration is read, as Exim does; the file's name follows once that has
 * succeeded. Test suites learn from these lines what they can ask for.
 */
#include "main/command.h"
#include "tls/tls.h"

#include <stdio.h>
#include <sys/types.h>

/* Words after a heading. */
static void put_word(FILE *to, const char *word)
{
    fprintf(to, " %s", word);
}

static void put_features(FILE *to)
{
    fprintf(to, "Support for:");
    for (const struct module *const *m = modules; *m; m++) {
        for (const char *const *f = (*m)->features; f && *f; f++) {
            /* A word with a slash tells variants of a driver: "appendfile/maildir". */
            if (!strchr(*f, '/')) {
                put_word(to, *f);
            }
        }
    }
    fprintf(to, "\n");
}

static void put_lookups(FILE *to)
{
    fprintf(to, "Lookups (built-in):");
    for (const struct module *const *m = modules; *m; m++) {
        for (const struct lookup_driver *const *d = (*m)->lookups; d && *d; d++) {
            put_word(to, (*d)->name);
        }
    }
    fprintf(to, "\n");
}

/* A driver's name, with the variants that a feature "name/variant" tells. */
static bool put_driver(void *closure, const char *name, const struct option *rows)
{
    FILE *to = closure;
    (void)rows;
    put_word(to, name);
    size_t n = strlen(name);
    for (const struct module *const *m = modules; *m; m++) {
        for (const char *const *f = (*m)->features; f && *f; f++) {
            if (strncmp(*f, name, n) == 0 && (*f)[n] == '/') {
                fprintf(to, "%s", *f + n);
            }
        }
    }
    return true;
}

static void put_drivers(FILE *to, const char *heading, enum instance_kind kind)
{
    fprintf(to, "%s:", heading);
    instance_drivers(modules, kind, put_driver, to);
    fprintf(to, "\n");
}

static void put_libraries(FILE *to)
{
    struct pool *pool = pool_new("versions");
    struct buf b;
    buf_init(&b, pool, 4096);
    tls_versions(&b);
    fwrite(b.p, 1, b.len, to);
    pool_free(&pool);
}

void show_version(FILE *to)
{
    put_features(to);
    put_lookups(to);
    put_drivers(to, "Authenticators", INSTANCE_AUTHENTICATOR);
    put_drivers(to, "Routers", INSTANCE_ROUTER);
    put_drivers(to, "Transports", INSTANCE_TRANSPORT);
    fprintf(to, "Size of off_t: %zu\n", sizeof(off_t));
    put_libraries(to);
}

int run_version(struct command *c, const struct config *conf)
{
    (void)c;
    if (conf) {
        printf("Configuration file is %s\n", conf->file);
        return 0;
    }
    printf("minim version " MINIM_VERSION "\n");
    show_version(stdout);
    fflush(stdout);
    return 0;
}

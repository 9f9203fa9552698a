/* Hash map from string to pointer, in a pool; iteration is in order of insertion. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map;

struct map_entry {
    struct str key;
    void *value;
    struct map_entry *chain; /* same bucket */
    struct map_entry *next;  /* insertion order */
};

/* An empty map; nocase folds ASCII case of keys. */
struct map *map_new(struct pool *pool, bool nocase);

/* The value of a key, or NULL. */
void *map_get(const struct map *m, struct str key);

/* The entry of a key, or NULL: tells a NULL value from none. */
struct map_entry *map_find(const struct map *m, struct str key);

/* Sets or replaces; the key's bytes are copied. */
void map_set(struct map *m, struct str key, void *value);

/* Removes a key; false if it was not there. */
bool map_remove(struct map *m, struct str key);

/* First entry for iteration by ->next; number of entries. */
struct map_entry *map_first(const struct map *m);
size_t map_count(const struct map *m);

#endif

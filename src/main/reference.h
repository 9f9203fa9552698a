/* The reference manual made from the rows (minim --reference). */
#ifndef MAIN_REFERENCE_H
#define MAIN_REFERENCE_H

#include "core/core.h"

#include <stdio.h>

/* Prints a part of the manual as Markdown: options, expansion, acl, log. False: no such part. */
bool reference_print(FILE *out, struct str part);

/*
 * A value that the option, of the driver unless NULL, may be set to: its own example, its default,
 * or one for its type.
 */
const char *reference_example(const char *driver, const struct option *o);

/* The example written for an option (examples.c), or NULL. */
const char *example_of(const char *driver, const char *option);

#endif

/* The option reference made from the rows (minim --reference). */
#ifndef MAIN_REFERENCE_H
#define MAIN_REFERENCE_H

#include <stdio.h>

/* Prints all option rows as Markdown. */
void reference_print(FILE *out);

#endif

/* The one public header of main/: configuration reader, module list. Nothing outside main/ includes it. */
#ifndef MAIN_MAIN_H
#define MAIN_MAIN_H

#include "smtp_in/smtp_in.h"

/* NULL-terminated; in rank order. */
extern const struct module *const modules[];

extern const struct module main_module;

#endif

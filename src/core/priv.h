/* Process identity: what the process started as, and how it gives privileges up. */
#ifndef CORE_PRIV_H
#define CORE_PRIV_H

#include "core/config.h"

/* Remembers the identity at start; call once, first. */
void priv_init(void);

/* True if the process was started by root. */
bool priv_was_root(void);

/* The real uid and gid at start. */
uint32_t priv_real_uid(void);
uint32_t priv_real_gid(void);

/* Becomes exim_user and exim_group for good. Nothing to do unless root; -1 with errno. */
int priv_drop(const struct config *conf);

/* The uid and gid minim works as: exim_user when started by root, else the caller. */
uint32_t priv_work_uid(const struct config *conf);
uint32_t priv_work_gid(const struct config *conf);

#endif

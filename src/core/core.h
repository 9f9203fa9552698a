/* The one public header of core/: option rows, configuration, shared structs, log, privileges. */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include "base/base.h"
#include "core/config.h"
#include "core/hand.h"
#include "core/log.h"
#include "core/module.h"
#include "core/option.h"
#include "core/priv.h"
#include "core/shared.h"
#include "core/trace.h"

/* Version text of this build, "0.1". */
#define MINIM_VERSION "0.1"

extern const struct module core_module;

#endif

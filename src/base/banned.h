/* Functions that make bounds or thread of control a matter of care. Using one is a compile error. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

/* Their declarations must have been seen before the names are taken away. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Some of them are macros where the C library checks bounds. */
#undef sprintf
#undef vsprintf
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat

#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets gmtime localtime atoi atol atoll
#pragma GCC poison strncpy strncat popen tmpnam mktemp asctime ctime
#define system(command) BANNED_function_system(command)

#endif

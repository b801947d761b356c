/* A library that ends whoever loads it, before any function of it is called. */
#include <stddef.h>

#include "larder_plugin.h"

LARDER_MANIFEST("abi=1\0name=crash\0version=1.0.0\0description=dies while it is loaded\0capabilities=0\0needs=0");

static volatile int* volatile nowhere = NULL;

__attribute__((constructor)) static void crash(void) { *nowhere = 1; }

const struct larder_plugin_v1* larder_plugin_v1(void) { return NULL; }

/* A library of a later ABI, as an old server sees it. */
#include "larder_plugin.h"

LARDER_MANIFEST("abi=2\0name=newer\0version=9.0.0\0description=from the future\0capabilities=0\0needs=0");

const void* larder_plugin_v2(void);

const void* larder_plugin_v2(void) { return larder_manifest; }

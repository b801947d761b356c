/* larder_plugin.h - the C ABI of Larder data sources, version 1.
 *
 * A plugin is a shared library that exports one function, larder_plugin_v1(), which returns a
 * pointer to a static, immutable struct larder_plugin_v1. It also carries a manifest in the ELF
 * section ".larder", so that it can be known without being loaded:
 *
 *     LARDER_MANIFEST("abi=1\0name=numbers\0version=1.0.0\0description=the first numbers\0"
 *                     "capabilities=0\0needs=0\0config_schema={\"type\":\"object\"}");
 *
 * Rules
 *  - Structs grow at their tail only. `struct_size` is sizeof the struct as its maker knows it; do
 *    not read beyond it. Capability bits and operators that are not known are ignored.
 *  - Strings are UTF-8 with a length, not ended by NUL, and borrowed for the length of the call.
 *  - Functions return 0, or 1 after filling *error. They block, and never unwind (no C++ exception,
 *    no panic, no longjmp) into the host.
 *  - Calls on one instance come one at a time, unless the plugin is LARDER_CONCURRENT. The functions
 *    of one stream come one at a time, from any thread. An instance outlives its streams.
 *  - What has a `release` is freed by calling it; `release` sets itself NULL. Nothing is freed across
 *    the boundary in another way. Batches outlive their stream and instance.
 *  - A plugin runs in a worker process of its own: standard output and error go to the server's log.
 */
#ifndef LARDER_PLUGIN_H
#define LARDER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The Arrow C data and C stream interfaces, as published by the Arrow project. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4
struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};
struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};
#endif
#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema* out);
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray* out);
  const char* (*get_last_error)(struct ArrowArrayStream*);
  void (*release)(struct ArrowArrayStream*);
  void* private_data;
};
#endif

#define LARDER_ABI_MAJOR 1

/* Puts the manifest, a run of "key=value\0", into its section. Keys: abi, name (^[a-z0-9_-]{1,64}$),
 * version, description, capabilities, needs (decimal bit sets), config_schema (JSON Schema). */
#define LARDER_MANIFEST(text)                                                     \
  __attribute__((used, section(".larder"))) static const char larder_manifest[] = text

/* Capabilities: several threads may call one instance at a time. */
#define LARDER_CONCURRENT 1u

/* Needs: network connections; files outside the plugin's own folder. */
#define LARDER_NEEDS_NET 1u
#define LARDER_NEEDS_FS 2u

enum larder_code {
  LARDER_INTERNAL = 1,
  LARDER_INVALID_CONFIG = 2,
  LARDER_NOT_FOUND = 3,
  LARDER_INVALID_REQUEST = 4,
  LARDER_UNAVAILABLE = 5,
  LARDER_TIMEOUT = 6,
  LARDER_CANCELLED = 7,
  LARDER_PERMISSION_DENIED = 8,
  LARDER_INVALID_DATA = 9,
  LARDER_RESOURCE_EXHAUSTED = 10,
  LARDER_UNSUPPORTED = 11,
  LARDER_PANIC = 12,
  LARDER_CRASHED = 13
};

enum larder_level { LARDER_ERROR = 1, LARDER_WARN = 2, LARDER_INFO = 3, LARDER_DEBUG = 4 };

/* Comparisons with null are not true. Floats compare in IEEE 754 total order. */
enum larder_op {
  LARDER_EQ = 1,
  LARDER_NE = 2,
  LARDER_LT = 3,
  LARDER_LE = 4,
  LARDER_GT = 5,
  LARDER_GE = 6,
  LARDER_IN = 7,
  LARDER_IS_NULL = 8,
  LARDER_NOT_NULL = 9
};

/* What a plugin did with a filter. INEXACT: it left out some rows that do not match, and none that
 * do. EXACT: it left out all rows that do not match. The host applies every filter again. */
enum larder_applied { LARDER_NOT_APPLIED = 0, LARDER_INEXACT = 1, LARDER_EXACT = 2 };

struct larder_str {
  const char* ptr;
  size_t len;
};

/* Filled by the side that fails, released by the side that reads it. `retry_after_ms` 0 = unknown.
 * `poisoned`: the instance must be opened anew before it is used again. */
struct larder_error {
  uint32_t struct_size;
  int32_t code;
  uint8_t retryable;
  uint8_t poisoned;
  uint64_t retry_after_ms;
  struct larder_str message;
  void (*release)(struct larder_error*);
  void* private_data;
};

/* What a call knows of its caller. Its functions may be called from any thread. It lives until the
 * call returns, for a scan until its stream is released; retain it to keep it longer. */
struct larder_ctx {
  uint32_t struct_size;
  struct larder_str request_id;
  void (*retain)(const struct larder_ctx*);
  void (*release)(const struct larder_ctx*);
  uint8_t (*is_cancelled)(const struct larder_ctx*);
  uint64_t (*remaining_ms)(const struct larder_ctx*); /* UINT64_MAX = no deadline */
  void (*progress)(const struct larder_ctx*, uint64_t rows, uint64_t total_rows /* UINT64_MAX = unknown */,
                   uint64_t bytes);
  void (*log)(const struct larder_ctx*, int32_t level, struct larder_str message);
};

struct larder_dataset {
  struct larder_str name; /* ^[a-z0-9_-]{1,64}$ */
  struct larder_str description;
};

/* `item_size` is sizeof(struct larder_dataset) as the plugin knows it. Owns all that it points to. */
struct larder_datasets {
  uint32_t struct_size;
  uint32_t item_size;
  size_t count;
  const struct larder_dataset* items;
  void (*release)(struct larder_datasets*);
  void* private_data;
};

/* A cheap token that changes when the data does; len 0 = unknown. */
struct larder_fingerprint {
  uint8_t len;
  uint8_t bytes[64];
};

/* `values` holds one value, for LARDER_IN any number, none of them null, of the column's type; NULL for
 * the null tests. It may be moved out (copy the struct, set its release NULL); the host releases
 * what is left, and `values_type`. */
struct larder_filter {
  uint32_t struct_size;
  uint32_t op;
  uint32_t column; /* index into the dataset's schema, not into the projection */
  struct ArrowArray* values;
  const struct ArrowSchema* values_type;
};

/* The filters are ANDed. A plugin that applies every filter EXACT may stop after `limit` rows; one
 * that does not must ignore it. */
struct larder_scan_request {
  uint32_t struct_size;
  uint8_t has_projection; /* 0 = all columns */
  struct larder_str dataset;
  const uint32_t* projection; /* indexes of the columns to produce, in this order; may be none */
  size_t projection_len;
  const struct larder_filter* const* filters;
  size_t filters_len;
  uint64_t limit; /* UINT64_MAX = none */
};

struct larder_plugin_v1 {
  uint32_t struct_size;
  uint32_t abi_major; /* LARDER_ABI_MAJOR */
  uint64_t capabilities;
  struct larder_str manifest;
  int32_t (*open)(const struct larder_ctx*, struct larder_str config_json, void** instance, struct larder_error*);
  void (*close)(void* instance);
  int32_t (*list)(void* instance, const struct larder_ctx*, struct larder_datasets* out, struct larder_error*);
  int32_t (*schema)(void* instance, const struct larder_ctx*, struct larder_str dataset, struct ArrowSchema* out,
                    struct larder_error*);
  /* NULL when there is none. */
  int32_t (*fingerprint)(void* instance, const struct larder_ctx*, struct larder_str dataset,
                         struct larder_fingerprint* out, struct larder_error*);
  /* `applied` has one byte a filter, filled with LARDER_NOT_APPLIED. */
  int32_t (*scan)(void* instance, const struct larder_ctx*, const struct larder_scan_request*,
                  struct ArrowArrayStream* out, uint8_t* applied, struct larder_error*);
  /* The whole error behind the last errno of a stream; returns 1 when it filled one. May be NULL. */
  int32_t (*stream_error)(struct ArrowArrayStream*, struct larder_error* out);
};

const struct larder_plugin_v1* larder_plugin_v1(void);

#ifdef __cplusplus
}
#endif
#endif

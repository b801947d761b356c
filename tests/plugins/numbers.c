/* A small, whole data source in C: one dataset, two columns, streamed in batches.
 *
 * Configuration: {"rows": N} (default 10). It reads "rows" with strstr and strtoull, which does for
 * a demonstration; a real source brings a JSON parser. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder_plugin.h"

LARDER_MANIFEST("abi=1\0name=numbers\0version=1.0.0\0description=the first natural numbers and their squares\0"
                "capabilities=1\0needs=0\0config_schema={\"type\":\"object\",\"properties\":{\"rows\":{\"type\":\"integer\"}}}");

enum { BATCH_ROWS = 4096, COLUMNS = 2 };

static const char* const NAMES[COLUMNS] = {"n", "square"};
static const char* const FORMATS[COLUMNS] = {"l", "g"};

struct instance {
  uint64_t rows;
};

static int is(struct larder_str text, const char* what) {
  return text.len == strlen(what) && memcmp(text.ptr, what, text.len) == 0;
}

/* Errors have static messages: nothing to free. */
static void release_error(struct larder_error* error) { error->release = NULL; }

static int32_t fail(struct larder_error* error, int32_t code, const char* message) {
  error->code = code;
  error->retryable = 0;
  error->poisoned = 0;
  error->retry_after_ms = 0;
  error->message.ptr = message;
  error->message.len = strlen(message);
  error->release = release_error;
  error->private_data = NULL;
  return 1;
}

static int32_t open_instance(const struct larder_ctx* ctx, struct larder_str config, void** out,
                             struct larder_error* error) {
  (void)ctx;
  struct instance* self = malloc(sizeof *self);
  char* text = malloc(config.len + 1);
  if (self == NULL || text == NULL) {
    free(self);
    free(text);
    return fail(error, LARDER_RESOURCE_EXHAUSTED, "out of memory");
  }
  memcpy(text, config.ptr, config.len);
  text[config.len] = '\0';
  self->rows = 10;
  const char* rows = strstr(text, "\"rows\":");
  if (rows != NULL) {
    const char* number = rows + strlen("\"rows\":");
    char* end = NULL;
    errno = 0;
    self->rows = strtoull(number, &end, 10);
    if (end == number || errno != 0 || *number == '-') {
      free(self);
      free(text);
      return fail(error, LARDER_INVALID_CONFIG, "'rows' is not a natural number");
    }
  }
  free(text);
  *out = self;
  return 0;
}

static void close_instance(void* instance) { free(instance); }

static void release_datasets(struct larder_datasets* datasets) { datasets->release = NULL; }

static int32_t list(void* instance, const struct larder_ctx* ctx, struct larder_datasets* out,
                    struct larder_error* error) {
  static const struct larder_dataset items[] = {
      {.name = {"numbers", 7}, .description = {"natural numbers and their squares", 33}},
  };
  (void)instance, (void)ctx, (void)error;
  out->struct_size = sizeof *out;
  out->item_size = sizeof items[0];
  out->count = sizeof items / sizeof items[0];
  out->items = items;
  out->release = release_datasets;
  out->private_data = NULL;
  return 0;
}

/* Schemas: a struct and its children, all in one allocation. */
struct schema_memory {
  struct ArrowSchema children[COLUMNS];
  struct ArrowSchema* pointers[COLUMNS];
};

static void release_child_schema(struct ArrowSchema* schema) { schema->release = NULL; }

static void release_schema(struct ArrowSchema* schema) {
  free(schema->private_data);
  schema->release = NULL;
}

static int make_schema(const uint32_t* columns, size_t count, struct ArrowSchema* out) {
  struct schema_memory* memory = calloc(1, sizeof *memory);
  if (memory == NULL) return ENOMEM;
  for (size_t i = 0; i < count; i++) {
    struct ArrowSchema* child = &memory->children[i];
    child->format = FORMATS[columns[i]];
    child->name = NAMES[columns[i]];
    child->release = release_child_schema;
    memory->pointers[i] = child;
  }
  memset(out, 0, sizeof *out);
  out->format = "+s";
  out->name = "";
  out->n_children = (int64_t)count;
  out->children = memory->pointers;
  out->release = release_schema;
  out->private_data = memory;
  return 0;
}

static const uint32_t ALL_COLUMNS[COLUMNS] = {0, 1};

static int32_t schema(void* instance, const struct larder_ctx* ctx, struct larder_str dataset, struct ArrowSchema* out,
                      struct larder_error* error) {
  (void)instance, (void)ctx;
  if (!is(dataset, "numbers")) return fail(error, LARDER_NOT_FOUND, "there are only 'numbers' here");
  if (make_schema(ALL_COLUMNS, COLUMNS, out) != 0) return fail(error, LARDER_RESOURCE_EXHAUSTED, "out of memory");
  return 0;
}

/* A batch: the struct array, its children and their values, in one allocation. */
struct batch_memory {
  struct ArrowArray children[COLUMNS];
  struct ArrowArray* pointers[COLUMNS];
  const void* buffers[COLUMNS][2];
  const void* no_validity[1];
  union {
    int64_t integers[BATCH_ROWS];
    double floats[BATCH_ROWS];
  } values[COLUMNS];
};

/* A child may be moved out of its batch and outlive it: what they share is counted. */
struct shared_batch {
  size_t count;
  struct batch_memory memory;
};

static void give_up(struct shared_batch* batch) {
  if (__atomic_sub_fetch(&batch->count, 1, __ATOMIC_ACQ_REL) == 0) free(batch);
}

static void release_child(struct ArrowArray* array) {
  give_up(array->private_data);
  array->release = NULL;
}

static void release_batch(struct ArrowArray* array) {
  for (int64_t i = 0; i < array->n_children; i++) {
    if (array->children[i]->release != NULL) array->children[i]->release(array->children[i]);
  }
  give_up(array->private_data);
  array->release = NULL;
}

struct scan {
  uint64_t next;
  uint64_t end;
  size_t count;
  uint32_t columns[COLUMNS];
  const struct larder_ctx* ctx;
  const char* error;
};

static int get_schema(struct ArrowArrayStream* stream, struct ArrowSchema* out) {
  struct scan* scan = stream->private_data;
  return make_schema(scan->columns, scan->count, out);
}

static int get_next(struct ArrowArrayStream* stream, struct ArrowArray* out) {
  struct scan* scan = stream->private_data;
  memset(out, 0, sizeof *out);
  if (scan->ctx->is_cancelled(scan->ctx)) {
    scan->error = "the scan was cancelled";
    return ECANCELED;
  }
  if (scan->next == scan->end) return 0;
  struct shared_batch* batch = calloc(1, sizeof *batch);
  if (batch == NULL) {
    scan->error = "out of memory";
    return ENOMEM;
  }
  uint64_t left = scan->end - scan->next;
  int64_t rows = left < BATCH_ROWS ? (int64_t)left : BATCH_ROWS;
  batch->count = 1 + scan->count;
  for (size_t i = 0; i < scan->count; i++) {
    struct ArrowArray* child = &batch->memory.children[i];
    for (int64_t row = 0; row < rows; row++) {
      uint64_t n = scan->next + (uint64_t)row;
      if (scan->columns[i] == 0) {
        batch->memory.values[i].integers[row] = (int64_t)n;
      } else {
        batch->memory.values[i].floats[row] = (double)n * (double)n;
      }
    }
    batch->memory.buffers[i][1] = &batch->memory.values[i];
    child->length = rows;
    child->n_buffers = 2;
    child->buffers = batch->memory.buffers[i];
    child->release = release_child;
    child->private_data = batch;
    batch->memory.pointers[i] = child;
  }
  out->length = rows;
  out->n_buffers = 1;
  out->buffers = batch->memory.no_validity;
  out->n_children = (int64_t)scan->count;
  out->children = batch->memory.pointers;
  out->release = release_batch;
  out->private_data = batch;
  scan->next += (uint64_t)rows;
  scan->ctx->progress(scan->ctx, scan->next, scan->end, scan->next * 16);
  return 0;
}

static const char* get_last_error(struct ArrowArrayStream* stream) {
  struct scan* scan = stream->private_data;
  return scan->error;
}

static void release_stream(struct ArrowArrayStream* stream) {
  struct scan* scan = stream->private_data;
  scan->ctx->release(scan->ctx);
  free(scan);
  stream->release = NULL;
}

static int32_t start_scan(void* instance, const struct larder_ctx* ctx, const struct larder_scan_request* request,
                          struct ArrowArrayStream* out, uint8_t* applied, struct larder_error* error) {
  const struct instance* self = instance;
  (void)applied; /* no filter is applied, so the limit is not ours to apply either */
  if (!is(request->dataset, "numbers")) return fail(error, LARDER_NOT_FOUND, "there are only 'numbers' here");
  size_t count = request->has_projection ? request->projection_len : COLUMNS;
  const uint32_t* columns = request->has_projection ? request->projection : ALL_COLUMNS;
  if (count > COLUMNS) return fail(error, LARDER_INVALID_REQUEST, "there are only two columns");
  struct scan* scan = calloc(1, sizeof *scan);
  if (scan == NULL) return fail(error, LARDER_RESOURCE_EXHAUSTED, "out of memory");
  for (size_t i = 0; i < count; i++) {
    if (columns[i] >= COLUMNS) {
      free(scan);
      return fail(error, LARDER_INVALID_REQUEST, "there are only two columns");
    }
    scan->columns[i] = columns[i];
  }
  scan->count = count;
  scan->end = self->rows;
  scan->ctx = ctx;
  ctx->retain(ctx);
  if (request->filters_len == 0 && request->limit < scan->end) scan->end = request->limit;
  out->get_schema = get_schema;
  out->get_next = get_next;
  out->get_last_error = get_last_error;
  out->release = release_stream;
  out->private_data = scan;
  return 0;
}

static int32_t fingerprint(void* instance, const struct larder_ctx* ctx, struct larder_str dataset,
                           struct larder_fingerprint* out, struct larder_error* error) {
  const struct instance* self = instance;
  (void)ctx;
  if (!is(dataset, "numbers")) return fail(error, LARDER_NOT_FOUND, "there are only 'numbers' here");
  out->len = sizeof self->rows;
  memcpy(out->bytes, &self->rows, sizeof self->rows);
  return 0;
}

static const struct larder_plugin_v1 TABLE = {
    .struct_size = sizeof TABLE,
    .abi_major = LARDER_ABI_MAJOR,
    .capabilities = LARDER_CONCURRENT,
    .manifest = {larder_manifest, sizeof larder_manifest},
    .open = open_instance,
    .close = close_instance,
    .list = list,
    .schema = schema,
    .fingerprint = fingerprint,
    .scan = start_scan,
};

const struct larder_plugin_v1* larder_plugin_v1(void) { return &TABLE; }

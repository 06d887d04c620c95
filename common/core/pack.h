/* pack: MessagePack payloads. pack_check walks the bytes without allocating, so that declared sizes (an array of four
 * billion in
 * five bytes) and deep nesting are refused before msgpack-c, which trusts them, sees the payload. */
#ifndef COMMON_CORE_PACK_H
#define COMMON_CORE_PACK_H

#include <jansson.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

#define PACK_DEPTH_MAX 32 /* of MessagePack */
#define PACK_JSON_DEPTH_MAX 512
#define PACK_PAYLOAD_MAX_BYTES ((size_t)256 * 1024)

/* ERR_MALFORMED unless `bytes` is exactly one MessagePack map or, when it begins with '{', one JSON object of UTF-8 text; ERR_LIMIT for
 * size or depth. */
enum err pack_check(struct str bytes, struct err_info *info) MUST_USE;

/* Either form of a payload (JSON when it begins with '{', else MessagePack) as JSON, a new reference; NULL with
 * `info` set on
 * malformed input. Binary values become text when they are UTF-8 and null otherwise; extension types become null. */
json_t *pack_to_json(struct str payload, struct err_info *info) MUST_USE;

/* Appends `value` as MessagePack. */
void pack_from_json(const json_t *value, struct buf *out);

#endif

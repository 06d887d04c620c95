/* fuzz_envelope: the input is an entry: names and values, each behind one byte that says how long it is (255: all that is
 * left). Beyond not crashing: a refusal names its reason, what is accepted keeps the limits and points into the entry, its
 * payload becomes JSON or a reason, JSON that goes back through MessagePack is the same, and the log key depends on nothing
 * but the bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/core/envelope.h"
#include "common/core/pack.h"

#define PARTS_MAX (2 * ENVELOPE_FIELDS_MAX + 8)
#define REST 255

static void require(int truth)
{
    if (!truth)
        abort();
}

static size_t split(const uint8_t *data, size_t size, struct str parts[PARTS_MAX])
{
    size_t at = 0, n = 0;

    while (at < size && n < PARTS_MAX) {
        size_t len = data[at++];
        if (len == REST || len > size - at)
            len = size - at;
        parts[n++] = (struct str){(const char *)data + at, len};
        at += len;
    }
    return n;
}

static int within(struct str s, const uint8_t *data, size_t size)
{
    return s.p == NULL || ((const uint8_t *)s.p >= data && (const uint8_t *)s.p + s.n <= data + size);
}

static void look_at_payload(struct str payload)
{
    struct err_info info = {0};
    struct buf packed = {0};
    json_t *json = pack_to_json(payload, &info);

    require(json != NULL || info.text[0] != '\0');
    if (json != NULL) {
        pack_from_json(json, &packed);
        const struct str again = {packed.data, packed.len};
        enum err err = pack_check(again, &info);
        require(err == ERR_OK || err == ERR_LIMIT);
        json_t *same = err == ERR_OK ? pack_to_json(again, &info) : NULL;
        require(same == NULL || json_equal(json, same));
        json_decref(same);
    }
    json_decref(json);
    buf_free(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str parts[PARTS_MAX];
    const size_t n = split(data, size, parts);
    struct err_info info = {0};
    struct envelope e;
    struct id id, again;
    enum err err = envelope_parse(parts, n, &e, &info);

    envelope_log_id(STR("usher:{0}:in:default"), STR("1-1"), parts, n, &id);
    envelope_log_id(STR("usher:{0}:in:default"), STR("1-1"), parts, n, &again);
    require(id_eq(&id, &again));
    if (err != ERR_OK) {
        require(info.text[0] != '\0');
        return 0;
    }
    require(e.kind.n >= 1 && e.kind.n <= 64 && e.payload.n >= 1 && e.payload.n <= PACK_PAYLOAD_MAX_BYTES);
    require(e.key.n <= ENVELOPE_KEY_MAX_BYTES && e.at_us >= 0 && e.deadline_us >= 0 && e.max_attempts >= 0);
    require(within(e.kind, data, size) && within(e.payload, data, size) && within(e.key, data, size));
    look_at_payload(e.payload);
    return 0;
}

#include <criterion/criterion.h>

#include <inttypes.h>

#include "common/core/key.h"

/* Made with Python's hashlib from the layout in key.h, not with this code. */
static const struct {
    const char *domain;
    const char *parts[3];
    const char *id;
    uint64_t hash64;
} vectors[] = {
    {"job", {NULL}, "4ba3b577-3ace-81d2-8d28-7754ac9714c8", UINT64_C(0x4ba3b5773acea1d2)},
    {"job", {""}, "11a8db87-45c3-8533-b6df-cb9ad8d27aee", UINT64_C(0x11a8db8745c35533)},
    {"job", {"a", "b"}, "9b547f9f-55d6-8358-80ca-cfda37058d06", UINT64_C(0x9b547f9f55d6e358)},
    {"job", {"a\nb"}, "dcaac10e-24f8-8dde-8f9d-fa9e31451871", UINT64_C(0xdcaac10e24f86dde)},
    {"job", {"a", "b\\c"}, "8d03ae6f-055f-823e-b840-51066c04214b", UINT64_C(0x8d03ae6f055fa23e)},
    {"run",
     {"Zo\xc3\xab & \xc3\x9cmit", "2026-05-02"},
     "5a96a12b-eade-801c-9966-ad465e7a8bd9",
     UINT64_C(0x5a96a12beade801c)},
    {"fire", {"\\n"}, "1ebb64f1-232f-88b1-b01e-e0fe42a3d429", UINT64_C(0x1ebb64f1232fe8b1)},
    {"fire", {"\n"}, "0994312e-f10d-8989-96de-46160abb7429", UINT64_C(0x0994312ef10dc989)},
    {"retry", {"\\\n\\\n"}, "b26bb13b-da64-8127-976d-7c5784b831b2", UINT64_C(0xb26bb13bda646127)},
};

static size_t parts_of(const char *const *texts, struct str out[3])
{
    size_t n = 0;
    for (; n < 3 && texts[n] != NULL; n++)
        out[n] = str_of(texts[n]);
    return n;
}

Test(key, matches_the_vectors_of_the_layout)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct str parts[3];
        size_t n = parts_of(vectors[i].parts, parts);
        struct id id;
        char text[ID_TEXT_SIZE];
        key_derive(&id, vectors[i].domain, parts, n);
        cr_expect_str_eq(id_format(&id, text), vectors[i].id, "vector %zu: %s", i, text);
        cr_expect_eq(key_hash64(vectors[i].domain, parts, n), vectors[i].hash64, "vector %zu", i);
    }
}

Test(key, keeps_parts_apart)
{
    struct str split[] = {STR("ab"), STR("c")};
    struct str other[] = {STR("a"), STR("bc")};
    struct str one[] = {STR("ab\nc")};
    uint64_t h = key_hash64("d", split, 2);
    cr_expect_neq(h, key_hash64("d", other, 2));
    cr_expect_neq(h, key_hash64("d", one, 1));
    cr_expect_neq(h, key_hash64("d", split, 1));
    cr_expect_neq(h, key_hash64("e", split, 2));
}

Test(key, hashes_bytes_behind_a_nul)
{
    struct str a[] = {{"x\0y", 3}};
    struct str b[] = {{"x\0z", 3}};
    cr_expect_neq(key_hash64("d", a, 1), key_hash64("d", b, 1));
}

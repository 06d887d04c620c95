/* conf_value: one text becomes one field of the settings struct. Fields are reached by offset, so through memcpy. */
#include <string.h>

#include "common/base/conf.h"
#include "common/base/conf_priv.h"
#include "common/base/mem.h"
#include "common/base/str.h"

static bool parse_bool(struct str s, bool *out)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_is(s, words[i])) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static bool parse_number(const struct conf_key *key, struct str s, int64_t *out)
{
    enum err err = ERR_INVALID;

    switch (key->type) {
    case CONF_INT: err = str_to_i64(s, out); break;
    case CONF_MS: err = str_to_ms(s, out); break;
    case CONF_BYTES: err = str_to_bytes(s, out); break;
    case CONF_CHOICE:
        for (int64_t i = 0; key->choices[i] != NULL; i++) {
            if (str_is(s, key->choices[i])) {
                *out = i;
                return true;
            }
        }
        return false;
    case CONF_STR:
    case CONF_BOOL: return false;
    }
    return err == ERR_OK && *out >= key->min && *out <= key->max;
}

bool conf_store(const struct conf_key *key, const char *text, void *settings)
{
    char *field = (char *)settings + key->offset;
    bool yes = false;
    int64_t v = 0;

    if (key->type == CONF_STR) {
        char *copy = text[0] == '\0' ? NULL : mem_strdup(text);
        if (copy != NULL && !str_is_utf8(str_of(copy))) {
            mem_free(copy);
            return false;
        }
        memcpy(field, &copy, sizeof(copy));
        return true;
    }
    if (key->type == CONF_BOOL) {
        if (!parse_bool(str_of(text), &yes))
            return false;
        memcpy(field, &yes, sizeof(yes));
        return true;
    }
    if (!parse_number(key, str_of(text), &v))
        return false;
    memcpy(field, &v, sizeof(v));
    return true;
}

void conf_clear(const struct conf_key *key, void *settings)
{
    char *field = (char *)settings + key->offset;
    static const char *const none = NULL;

    if (key->type == CONF_STR)
        memcpy(field, &none, sizeof(none));
    else
        memset(field, 0, key->type == CONF_BOOL ? sizeof(bool) : sizeof(int64_t));
}

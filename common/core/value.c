/* value: see value.h. Documents are walked as jansson left them; made lists and records carry their depth. Failure:
 * only value_to_json can fail, when a list shared many times would unfold beyond the budget. */
#include "common/core/value.h"

#include <math.h>
#include <string.h>

#include "common/core/civil.h"

#define INDEX_DIGITS_MAX 9              /* lists are far shorter than 10^9 */
#define SAFE_INTEGER 9007199254740992.0 /* 2^53: beyond, doubles skip integers */

struct value value_of_json(const json_t *json, bool exact)
{
    if (json == NULL)
        return value_null();
    switch (json_typeof(json)) {
    case JSON_STRING: return value_str((struct str){json_string_value(json), json_string_length(json)});
    case JSON_INTEGER:
        return exact ? value_int(json_integer_value(json)) : value_real((double)json_integer_value(json));
    case JSON_REAL: return value_real(json_real_value(json));
    case JSON_TRUE: return value_bool(true);
    case JSON_FALSE: return value_bool(false);
    case JSON_ARRAY: return (struct value){.type = VALUE_ARRAY, .u.json = json};
    case JSON_OBJECT: return (struct value){.type = VALUE_OBJECT, .u.json = json};
    case JSON_NULL: break;
    }
    return value_null();
}

uint32_t value_depth(struct value v)
{
    if (v.type == VALUE_LIST)
        return v.u.list->depth;
    return v.type == VALUE_RECORD ? v.u.record->depth : 0;
}

size_t value_length(struct value v)
{
    return v.type == VALUE_LIST ? v.u.list->n : json_array_size(v.u.json);
}

struct value value_at(struct value v, size_t at, bool exact)
{
    return v.type == VALUE_LIST ? v.u.list->v[at] : value_of_json(json_array_get(v.u.json, at), exact);
}

/* "0", "17", but neither "01" nor "-1": the property names that JavaScript gives to items. */
static bool canonical_index(struct str key, size_t *at)
{
    size_t n = 0;

    if (key.n == 0 || key.n > INDEX_DIGITS_MAX || (key.n > 1 && key.p[0] == '0'))
        return false;
    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] < '0' || key.p[i] > '9')
            return false;
        n = n * 10 + (size_t)(key.p[i] - '0');
    }
    *at = n;
    return true;
}

static bool record_member(const struct value_record *r, struct str key, struct value *out)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (!str_is(key, r->key[i]))
            continue;
        *out = r->v[i];
        return true;
    }
    return false;
}

bool value_member(struct value v, struct str key, bool exact, struct value *out)
{
    size_t at;
    const json_t *found;

    if (value_is_list(v)) {
        if (!canonical_index(key, &at) || at >= value_length(v))
            return false;
        *out = value_at(v, at, exact);
        return true;
    }
    if (v.type == VALUE_RECORD)
        return record_member(v.u.record, key, out);
    if (v.type != VALUE_OBJECT)
        return false;
    found = json_object_getn(v.u.json, key.p, key.n);
    if (found == NULL)
        return false;
    *out = value_of_json(found, exact);
    return true;
}

bool value_truthy(struct value v, bool empty_object_false)
{
    switch (v.type) {
    case VALUE_BOOL: return v.u.b;
    case VALUE_INT: return v.u.i != 0;
    case VALUE_REAL: return v.u.d != 0 && !isnan(v.u.d);
    case VALUE_STRING: return v.u.s.n > 0;
    case VALUE_LIST:
    case VALUE_ARRAY: return value_length(v) > 0;
    case VALUE_OBJECT: return !empty_object_false || json_object_size(v.u.json) > 0;
    case VALUE_DATE:
    case VALUE_INSTANT:
    case VALUE_RECORD: return true;
    case VALUE_UNDEFINED:
    case VALUE_NULL:
    case VALUE_UNKNOWN:
    case VALUE_FAILED: break;
    }
    return false;
}

static json_t *number_to_json(double d)
{
    if (!isfinite(d))
        return json_null();
    if (d == floor(d) && fabs(d) < SAFE_INTEGER)
        return json_integer((json_int_t)d);
    return json_real(d);
}

static json_t *date_to_json(int64_t days)
{
    char text[CIVIL_DATE_SIZE];

    return json_string(civil_format_date(civil_of_days((int32_t)days), text));
}

static json_t *instant_to_json(int64_t us)
{
    char text[STR_TIME_SIZE];

    str_from_time(text, us);
    return json_string(text);
}

static json_t *list_to_json(const struct value_list *list, uint32_t *budget)
{
    json_t *out = json_array();

    for (uint32_t i = 0; out != NULL && i < list->n; i++) {
        json_t *item = value_to_json(list->v[i], budget);
        if (item == NULL || json_array_append_new(out, item) != 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *record_to_json(const struct value_record *record, uint32_t *budget)
{
    json_t *out = json_object();

    for (uint32_t i = 0; out != NULL && i < record->n; i++) {
        json_t *item = value_to_json(record->v[i], budget);
        if (item == NULL || json_object_set_new(out, record->key[i], item) != 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

/* jansson counts references in the document itself, also when we only read it. */
static json_t *shared(const json_t *json)
{
    return json_incref((json_t *)(uintptr_t)json);
}

json_t *value_to_json(struct value v, uint32_t *budget)
{
    if (*budget == 0)
        return NULL;
    (*budget)--;
    switch (v.type) {
    case VALUE_BOOL: return json_boolean(v.u.b);
    case VALUE_INT: return json_integer(v.u.i);
    case VALUE_REAL: return number_to_json(v.u.d);
    case VALUE_STRING: return json_stringn(v.u.s.p, v.u.s.n);
    case VALUE_DATE: return date_to_json(v.u.i);
    case VALUE_INSTANT: return instant_to_json(v.u.i);
    case VALUE_LIST: return list_to_json(v.u.list, budget);
    case VALUE_RECORD: return record_to_json(v.u.record, budget);
    case VALUE_ARRAY:
    case VALUE_OBJECT: return shared(v.u.json);
    case VALUE_UNDEFINED:
    case VALUE_NULL:
    case VALUE_UNKNOWN:
    case VALUE_FAILED: break;
    }
    return json_null();
}

int value_compare_text(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    if (order != 0)
        return order;
    return a.n < b.n ? -1 : a.n > b.n;
}

/* usher-conformance: runs suites of JsonLogic against common/core/logic.
 *
 *     usher-conformance SUITE.json [--mode jsonlogic|strict]
 *     usher-conformance --offsets
 *
 * The second form is another thing: it reads dates with offsets and prints what becomes of them (offsets.h).
 *
 * Takes the three forms suites come in, also mixed: a list [rule, data, expected] (texts between are comments); an
 * object {"description", "rule", "data", "result"} (no data: {}), or with "error": {"type": …} where evaluation must
 * fail; and CertLogic's {"cases": [{"certLogicExpression", "assertions": [{"data", "expected"}]}]}, whose cases run
 * with CertLogic's truthiness and skip what the suite itself marks so. A lone case is a suite of one. What is none of
 * these is a failed case, told with what was found. SUITE may be relative to $USHER_CONFORMANCE_DIR; without SUITE the
 * official one there is run, or nothing, saying so, when the variable is not set.
 *
 * jsonlogic mode answers as json-logic-js does, which has no errors: a case that expects one is asked inside `try`,
 * where the community's stricter proposals hold (RULES.md).
 *
 * Prints each failing case and, last, "N passed, N failed", whatever happened before. Exit status: 0, 1 when a case
 * failed, 2 when the suite could not be read or holds no case, or the call is wrong. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/core/logic.h"
#include "tests/conformance/offsets.h"

#define EXIT_USAGE 2
#define PATH_SIZE 4096
#define OFFICIAL_SUITE "jsonlogic/tests.json" /* below $USHER_CONFORMANCE_DIR */
#define RELATIVE_ERROR 1e-12                  /* suites write decimals; ours are exact doubles */

struct tally {
    enum logic_mode mode;
    unsigned passed;
    unsigned failed;
    unsigned skipped;
};

struct test {
    const char *name;
    const json_t *rule;
    const json_t *data;
    const json_t *expected; /* NULL when an error is expected */
    const json_t *error;    /* {"type": …}, the type alone, or NULL */
    bool certlogic;
};

static bool same_number(double a, double b)
{
    return a == b || fabs(a - b) <= RELATIVE_ERROR * fmax(fabs(a), fabs(b));
}

static bool same(const json_t *a, const json_t *b);

static bool same_object(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;

    if (json_object_size(a) != json_object_size(b))
        return false;
    json_object_foreach((json_t *)(uintptr_t)a, key, value)
    {
        const json_t *other = json_object_get(b, key);
        if (other == NULL || !same(value, other))
            return false;
    }
    return true;
}

/* 3 and 3.0 are the same number in JSON. */
static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return same_number(json_number_value(a), json_number_value(b));
    if (json_is_object(a) && json_is_object(b))
        return same_object(a, b);
    if (!json_is_array(a) || !json_is_array(b))
        return json_equal(a, b) != 0;
    if (json_array_size(a) != json_array_size(b))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (!same(json_array_get(a, i), json_array_get(b, i)))
            return false;
    }
    return true;
}

static void print_json(const char *label, const json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

    printf("  %s %s\n", label, text != NULL ? text : "(nothing)");
    free(text);
}

static void print_failure(const struct test *t, const json_t *got, const struct logic_error *why)
{
    printf("FAIL %s\n", t->name);
    print_json("rule:    ", t->rule);
    print_json("data:    ", t->data);
    print_json(t->error != NULL ? "error:   " : "expected:", t->error != NULL ? t->error : t->expected);
    if (got != NULL)
        print_json("got:     ", got);
    else
        printf("  got:      %s at \"%s\": %s (allowed: %s)\n", logic_code_name(why->code), why->pointer, why->found,
               why->allowed);
}

static bool error_matches(const struct test *t, const struct logic_error *why)
{
    const json_t *type = json_is_string(t->error) ? t->error : json_object_get(t->error, "type");
    bool unknown_operator = why->code == LOGIC_BAD_OPERATOR && json_is_string(type) &&
                            strcmp(json_string_value(type), "Unknown Operator") == 0;

    return type == NULL || !json_is_string(type) || unknown_operator || strcmp(json_string_value(type), why->found) == 0;
}

static json_t *evaluate(const struct tally *tally, const struct test *t, struct logic_error *why)
{
    struct logic_options options = {.mode = tally->mode, .certlogic = t->certlogic && tally->mode == LOGIC_JSONLOGIC};
    json_t *tried, *got;

    if (t->error == NULL || tally->mode == LOGIC_STRICT)
        return logic_apply(t->rule, t->data, &options, why);
    tried = json_pack("{s:[O]}", "try", t->rule);
    got = logic_apply(tried, t->data, &options, why);
    json_decref(tried);
    return got;
}

static void run(struct tally *tally, const struct test *t)
{
    struct logic_error why = {0};
    json_t *got = evaluate(tally, t, &why);
    bool ok;

    if (t->error != NULL)
        ok = got == NULL && error_matches(t, &why);
    else
        ok = got != NULL && same(got, t->expected);
    if (ok)
        tally->passed++;
    else
        tally->failed++;
    if (!ok)
        print_failure(t, got, &why);
    json_decref(got);
}

static void bad_case(struct tally *tally, const json_t *entry)
{
    tally->failed++;
    printf("FAIL not a case\n");
    print_json("found:   ", entry);
}

static bool skips(const json_t *entry)
{
    const char *directive = json_string_value(json_object_get(entry, "directive"));

    return directive != NULL && strcmp(directive, "skip") == 0;
}

static void run_certlogic_case(struct tally *tally, const json_t *entry)
{
    const json_t *assertions = json_object_get(entry, "assertions");
    const char *name = json_string_value(json_object_get(entry, "name"));

    if (json_array_size(assertions) == 0)
        bad_case(tally, entry);
    for (size_t i = 0; i < json_array_size(assertions); i++) {
        const json_t *a = json_array_get(assertions, i);
        const json_t *own = json_object_get(a, "certLogicExpression");
        struct test t = {.name = name != NULL ? name : "",
                         .rule = own != NULL ? own : json_object_get(entry, "certLogicExpression"),
                         .data = json_object_get(a, "data"),
                         .expected = json_object_get(a, "expected"),
                         .certlogic = true};
        if (skips(a) || skips(entry))
            tally->skipped++;
        else if (t.rule == NULL || t.expected == NULL)
            bad_case(tally, a);
        else
            run(tally, &t);
    }
}

static void run_object(struct tally *tally, const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "description"));
    const json_t *data = json_object_get(entry, "data");
    const json_t *error = json_object_get(entry, "error");
    json_t *nothing = json_object();
    struct test t = {.name = name != NULL ? name : "",
                     .rule = json_object_get(entry, "rule"),
                     .data = data != NULL ? data : nothing,
                     .expected = json_object_get(entry, "result"),
                     .error = json_is_null(error) ? NULL : error};

    if (json_object_get(entry, "assertions") != NULL)
        run_certlogic_case(tally, entry);
    else if (t.rule == NULL || (t.expected == NULL && t.error == NULL))
        bad_case(tally, entry);
    else
        run(tally, &t);
    json_decref(nothing);
}

static void run_entry(struct tally *tally, const json_t *entry)
{
    if (json_is_string(entry))
        return;
    if (json_is_object(entry)) {
        run_object(tally, entry);
        return;
    }
    struct test t = {.name = "",
                     .rule = json_array_get(entry, 0),
                     .data = json_array_get(entry, 1),
                     .expected = json_array_get(entry, 2)};
    if (!json_is_array(entry) || json_array_size(entry) != 3)
        bad_case(tally, entry);
    else
        run(tally, &t);
}

/* Integers beyond int64 make jansson refuse a document unless all numbers become doubles, as in JavaScript. */
static json_t *load_file(const char *path, json_error_t *where)
{
    json_t *suite = json_load_file(path, JSON_DECODE_ANY, where);

    if (suite == NULL && json_error_code(where) == json_error_numeric_overflow)
        suite = json_load_file(path, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, where);
    return suite;
}

static json_t *load(const char *path)
{
    const char *dir = getenv("USHER_CONFORMANCE_DIR");
    char full[PATH_SIZE];
    json_error_t where;
    json_t *suite = load_file(path, &where);

    if (suite == NULL && dir != NULL && path[0] != '/' && json_error_code(&where) == json_error_cannot_open_file) {
        (void)snprintf(full, sizeof(full), "%s/%s", dir, path);
        suite = load_file(full, &where);
    }
    if (suite == NULL)
        fprintf(stderr, "usher-conformance: %s: line %d: %s\n", path, where.line, where.text);
    return suite;
}

static bool parse_args(int argc, char **argv, const char **path, enum logic_mode *mode)
{
    *path = NULL;
    *mode = LOGIC_JSONLOGIC;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mode") == 0 && i + 1 < argc) {
            const char *name = argv[++i];
            if (strcmp(name, "jsonlogic") != 0 && strcmp(name, "strict") != 0)
                return false;
            *mode = name[0] == 's' ? LOGIC_STRICT : LOGIC_JSONLOGIC;
        } else if (*path == NULL && argv[i][0] != '-') {
            *path = argv[i];
        } else {
            return false;
        }
    }
    return true;
}

/* Texts are comments. False when there is nothing to run. */
static bool run_suite(struct tally *tally, const json_t *suite, const char *path)
{
    const json_t *cases = json_is_object(suite) ? json_object_get(suite, "cases") : suite;

    if (json_is_object(suite) && cases == NULL) {
        run_object(tally, suite);
    } else if (!json_is_array(cases)) {
        fprintf(stderr, "usher-conformance: %s: neither a list of cases, nor a case, nor {\"cases\": […]}\n", path);
        return false;
    }
    for (size_t i = 0; i < json_array_size(cases); i++)
        run_entry(tally, json_array_get(cases, i));
    if (tally->passed + tally->failed + tally->skipped > 0)
        return true;
    fprintf(stderr, "usher-conformance: %s: no case in it\n", path);
    return false;
}

int main(int argc, char **argv)
{
    struct tally tally = {0};
    const char *path;
    json_t *suite;
    int status = EXIT_USAGE;

    if (argc == 2 && strcmp(argv[1], "--offsets") == 0)
        return offsets_print(stdin, stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
    if (!parse_args(argc, argv, &path, &tally.mode)) {
        fprintf(stderr, "usage: usher-conformance [SUITE.json] [--mode jsonlogic|strict] | --offsets\n");
        return EXIT_USAGE;
    }
    if (path == NULL && getenv("USHER_CONFORMANCE_DIR") == NULL) {
        printf("skipped: no suite given and USHER_CONFORMANCE_DIR is not set\n");
        return EXIT_SUCCESS;
    }
    if (path == NULL)
        path = OFFICIAL_SUITE;
    suite = load(path);
    if (suite != NULL && run_suite(&tally, suite, path))
        status = tally.failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    json_decref(suite);
    if (tally.skipped > 0)
        printf("%u skipped, as the suite says\n", tally.skipped);
    printf("%u passed, %u failed\n", tally.passed, tally.failed);
    return status;
}

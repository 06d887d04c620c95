/* log: lines as they arrive on standard error, in both formats, with limits. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "common/base/log.h"

#define ROOM 16384

/* Standard error of this test's process becomes a file; what was logged is read back from it. */
static FILE *captured;

static void capture(void)
{
    captured = tmpfile();
    cr_assert_not_null(captured);
    cr_assert_geq(dup2(fileno(captured), STDERR_FILENO), 0);
}

static const char *output(char out[ROOM])
{
    rewind(captured);
    size_t n = fread(out, 1, ROOM - 1, captured);
    out[n] = '\0';
    return out;
}

static json_t *output_json(void)
{
    char out[ROOM];
    json_error_t error;
    json_t *line = json_loads(output(out), 0, &error);

    cr_assert_not_null(line, "%s in %s", error.text, out);
    return line;
}

static const char *text_of(json_t *line, const char *key)
{
    return json_string_value(json_object_get(line, key));
}

Test(log, json_lines_carry_stamp_level_role_event_and_typed_fields)
{
    struct id id = {{0x01, 0x8f}};

    capture();
    log_init("worker", LOG_INFO, LOG_JSON);
    log_warn("job.failed", L_ID("job", &id), L_INT("attempt", 3), L_MS("took", 250), L_DOUBLE("rate", 0.5),
             L_BOOL("final", true), L_STR("reason", "said \"no\"\n"), L_SECRET("password"), L_BYTES("raw", "a\xff", 2),
             L_STR("none", NULL), L_ERR(ERR_TIMEOUT));
    json_t *line = output_json();
    const char *ts = text_of(line, "ts");
    int64_t us = 0;
    cr_assert_eq(strlen(ts), 24);
    cr_assert_eq(str_to_time(str_of(ts), &us), ERR_OK, "%s", ts);
    cr_assert_str_eq(text_of(line, "level"), "warn");
    cr_assert_str_eq(text_of(line, "role"), "worker");
    cr_assert_str_eq(text_of(line, "event"), "job.failed");
    cr_assert_str_eq(text_of(line, "job"), "018f0000-0000-0000-0000-000000000000");
    cr_assert_eq(json_integer_value(json_object_get(line, "attempt")), 3);
    cr_assert_eq(json_integer_value(json_object_get(line, "took_ms")), 250);
    cr_assert_eq(json_real_value(json_object_get(line, "rate")), 0.5);
    cr_assert(json_is_true(json_object_get(line, "final")));
    cr_assert_str_eq(text_of(line, "reason"), "said \"no\"\n");
    cr_assert_str_eq(text_of(line, "password"), "***");
    cr_assert_str_eq(text_of(line, "raw"), "a\xef\xbf\xbd");
    cr_assert_str_eq(text_of(line, "none"), "");
    cr_assert_str_eq(text_of(line, "error"), "timed out");
    json_decref(line);
}

Test(log, logfmt_quotes_only_what_needs_it)
{
    char out[ROOM];

    capture();
    log_init("cli", LOG_DEBUG, LOG_LOGFMT);
    log_debug("x", L_STR("plain", "a/b:c"), L_STR("blank", "a b"), L_STR("eq", "a=b"), L_STR("quote", "a\"b"),
              L_STR("empty", ""), L_STR("line", "a\nb"), L_INT("n", -1), L_BOOL("b", false));
    const char *line = output(out);
    cr_assert_eq(strncmp(line, "ts=20", 5), 0);
    cr_assert_not_null(
        strstr(line, "Z level=debug role=cli event=x plain=a/b:c blank=\"a b\" eq=\"a=b\" quote=\"a\\\"b\" empty=\"\" "
                     "line=\"a\\nb\" n=-1 b=false\n"),
        "%s", line);
}

Test(log, without_init_it_is_logfmt_from_info_up)
{
    char out[ROOM];

    capture();
    cr_assert_not(log_enabled(LOG_DEBUG));
    cr_assert(log_enabled(LOG_INFO));
    log_debug("hidden", L_INT("n", 1));
    log_info("shown", L_INT("n", 1));
    cr_assert_null(strstr(output(out), "hidden"));
    cr_assert_not_null(strstr(out, " level=info event=shown n=1\n"), "%s", out);
}

Test(log, the_least_level_hides_what_is_below)
{
    char out[ROOM];

    capture();
    log_init("t", LOG_ERROR, LOG_LOGFMT);
    log_warn("hidden", L_INT("n", 1));
    log_error("shown", L_INT("n", 1));
    cr_assert_null(strstr(output(out), "hidden"));
    cr_assert_not_null(strstr(out, "level=error"));
}

Test(log, auto_is_json_when_standard_error_is_no_terminal)
{
    capture();
    log_init("t", LOG_INFO, LOG_AUTO);
    log_info("x", L_INT("n", 1));
    json_t *line = output_json();
    cr_assert_str_eq(text_of(line, "event"), "x");
    json_decref(line);
}

Test(log, long_values_are_cut_between_characters)
{
    char value[3001];

    capture();
    log_init("t", LOG_INFO, LOG_JSON);
    value[0] = 'a'; /* shifts the two-byte characters, so that the limit falls inside of one */
    for (int i = 1; i < 3000; i += 2)
        memcpy(value + i, "ë", 2);
    value[2999] = '\0';
    log_info("x", L_STR("v", value), L_INT("n", 1));
    json_t *line = output_json();
    const char *got = text_of(line, "v");
    cr_assert_eq(strlen(got), 2047);
    cr_assert_eq(strncmp(got, value, 2047), 0);
    cr_assert_eq(json_integer_value(json_object_get(line, "n")), 1);
    json_decref(line);
}

Test(log, fields_beyond_the_line_are_left_out_and_that_is_said)
{
    char value[2001];
    char out[ROOM];

    capture();
    log_init("t", LOG_INFO, LOG_JSON);
    memset(value, 'x', 2000);
    value[2000] = '\0';
    log_info("x", L_STR("a", value), L_STR("b", value), L_STR("c", value), L_INT("d", 1));
    json_t *line = output_json();
    cr_assert_not_null(json_object_get(line, "a"));
    cr_assert_null(json_object_get(line, "c"));
    cr_assert_null(json_object_get(line, "d"));
    cr_assert_str_eq(text_of(line, "cut"), "true");
    json_decref(line);
    cr_assert_leq(strlen(output(out)), 4096 + 32);
}

Test(log, numbers_that_json_lacks_become_null)
{
    capture();
    log_init("t", LOG_INFO, LOG_JSON);
    double zero = 0;
    log_info("x", L_DOUBLE("nan", zero / zero), L_DOUBLE("inf", 1 / zero));
    json_t *line = output_json();
    cr_assert(json_is_null(json_object_get(line, "nan")));
    cr_assert(json_is_null(json_object_get(line, "inf")));
    json_decref(line);
}

Test(log, leaves_errno_alone_also_when_nobody_takes_the_line)
{
    log_init("t", LOG_INFO, LOG_JSON);
    cr_assert_eq(close(STDERR_FILENO), 0);
    errno = ENOENT;
    log_info("x", L_INT("n", 1));
    cr_assert_eq(errno, ENOENT);
}

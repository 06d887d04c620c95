#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/input.h"
#include "common/base/str.h"

Test(input, an_id_that_is_missing_is_zero)
{
    static const char *const missing[] = {NULL, ""};

    for (size_t i = 0; i < 2; i++) {
        struct id id = {{1}};
        cr_expect_eq(input_id("--tenant", missing[i], &id, NULL), ERR_OK);
        cr_expect(id_is_zero(&id));
    }
}

Test(input, an_id_is_a_uuid_or_an_error_that_names_it)
{
    struct err_info info = {0};
    char text[ID_TEXT_SIZE];
    struct id id;

    cr_assert_eq(input_id("ID", "8D03AE6F-055F-823E-B840-51066C04214B", &id, &info), ERR_OK);
    cr_expect_str_eq(id_format(&id, text), "8d03ae6f-055f-823e-b840-51066c04214b");
    cr_assert_eq(input_id("--tenant", "17", &id, &info), ERR_INVALID);
    cr_expect_str_eq(info.text, "--tenant: \"17\" is no UUID");
}

Test(input, when_is_an_instant_a_duration_or_an_error)
{
    static const struct {
        const char *text;
        enum err err;
        bool given, relative;
        int64_t us;
    } rows[] = {
        {NULL, ERR_OK, false, false, 0},
        {"", ERR_OK, false, false, 0},
        {"1970-01-01T00:00:01Z", ERR_OK, true, false, 1000000},
        {"1970-01-01T02:00:01.5+02:00", ERR_OK, true, false, 1500000},
        {"10m", ERR_OK, true, true, INT64_C(600000000)},
        {"0", ERR_OK, true, true, 0},
        {"250", ERR_OK, true, true, 250000},
        {"tomorrow", ERR_INVALID, true, true, 0},
        {"-5m", ERR_INVALID, true, true, 0},
        {"9223372036854775807", ERR_INVALID, true, true, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err_info info = {0};
        struct input_when when = {0};
        cr_assert_eq(input_when("--at", rows[i].text, &when, &info), rows[i].err, "row %zu", i);
        cr_expect_eq(when.given, rows[i].given, "row %zu", i);
        if (rows[i].err != ERR_OK) {
            cr_expect_eq(strncmp(info.text, "--at: ", 6), 0, "row %zu: %s", i, info.text);
            continue;
        }
        cr_expect_eq(when.relative, rows[i].relative, "row %zu", i);
        cr_expect_eq(when.us, rows[i].us, "row %zu", i);
    }
}

Test(input, checks_collect_a_line_per_error)
{
    struct buf errors = {0};

    input_check_id("--tenant", "8d03ae6f-055f-823e-b840-51066c04214b", &errors);
    input_check_when("--at", "5s", &errors);
    cr_expect_eq(errors.len, 0);
    input_check_id("--tenant", "x", &errors);
    input_check_when("--at", "y", &errors);
    cr_expect_str_eq(buf_text(&errors), "--tenant: \"x\" is no UUID\n"
                                        "--at: \"y\" is neither a time (2027-05-02T09:00:00Z) nor a duration (10m)\n");
    buf_free(&errors);
}

Test(input, text_is_the_operand_itself_up_to_its_limit)
{
    struct buf out = {0};
    struct err_info info = {0};

    cr_expect_eq(input_text("{}", 2, &out, &info), ERR_OK);
    cr_expect_str_eq(buf_text(&out), "{}");
    buf_reset(&out);
    cr_expect_eq(input_text("{ }", 2, &out, &info), ERR_LIMIT);
    cr_expect_eq(out.len, 0);
    buf_free(&out);
}

Test(input, text_of_a_file_is_read_whole_or_refused)
{
    char path[] = "/tmp/usher-input.XXXXXX";
    char operand[64];
    char bytes[9000];
    struct buf out = {0};
    struct err_info info = {0};
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    memset(bytes, 'x', sizeof(bytes));
    bytes[4] = '\0';
    cr_assert_eq(write(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
    (void)close(fd);
    (void)snprintf(operand, sizeof(operand), "@%s", path);
    cr_assert_eq(input_text(operand, sizeof(bytes), &out, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(out.len, sizeof(bytes));
    cr_expect_eq(memcmp(out.data, bytes, sizeof(bytes)), 0);
    buf_reset(&out);
    cr_expect_eq(input_text(operand, sizeof(bytes) - 1, &out, &info), ERR_LIMIT);
    (void)unlink(path);
    cr_expect_eq(input_text(operand, sizeof(bytes), &out, &info), ERR_INVALID);
    cr_expect_not_null(strstr(info.text, path));
    buf_free(&out);
}

/* err: the table and err_set. */
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/err.h"

Test(err, every_code_has_a_name_and_a_text_of_its_own)
{
    for (int i = 0; i < ERR_COUNT; i++) {
        cr_assert(strncmp(err_name((enum err)i), "ERR_", 4) == 0, "code %d", i);
        cr_assert(strlen(err_text((enum err)i)) > 0, "code %d", i);
        for (int j = 0; j < i; j++) {
            cr_assert_str_neq(err_name((enum err)i), err_name((enum err)j));
            cr_assert_str_neq(err_text((enum err)i), err_text((enum err)j));
        }
    }
    cr_assert_str_eq(err_name(ERR_TIMEOUT), "ERR_TIMEOUT");
    cr_assert_str_eq(err_text(ERR_TIMEOUT), "timed out");
}

Test(err, a_code_outside_the_table_is_named_unknown)
{
    cr_assert_str_eq(err_name(ERR_COUNT), "ERR_UNKNOWN");
    cr_assert_str_eq(err_text((enum err) - 1), "unknown error");
    cr_assert_not(err_retryable(ERR_COUNT));
}

Test(err, tells_retryable_errors_from_final_ones)
{
    static const enum err retryable[] = {ERR_NOMEM,         ERR_TIMEOUT,       ERR_BUSY,
                                         ERR_REFUSED,       ERR_CONN_LOST,     ERR_IO,
                                         ERR_DB_LOCK,       ERR_REDIS_FULL,    ERR_REDIS_LOADING,
                                         ERR_REDIS_NOGROUP, ERR_REDIS_NOSCRIPT};
    int n = 0;

    for (size_t i = 0; i < sizeof(retryable) / sizeof(retryable[0]); i++)
        cr_assert(err_retryable(retryable[i]), "%s", err_name(retryable[i]));
    for (int i = 0; i < ERR_COUNT; i++)
        n += err_retryable((enum err)i) ? 1 : 0;
    cr_assert_eq((size_t)n, sizeof(retryable) / sizeof(retryable[0]), "no other code is retryable");
}

Test(err, set_formats_truncates_and_returns_the_code)
{
    struct err_info info = {0};
    char longer[1000];

    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    cr_assert_eq(err_set(&info, ERR_INVALID, "line %d: %s", 7, "bad"), ERR_INVALID);
    cr_assert_eq(info.code, ERR_INVALID);
    cr_assert_str_eq(info.text, "line 7: bad");
    cr_assert_eq(err_set(&info, ERR_LIMIT, "%s", longer), ERR_LIMIT);
    cr_assert_eq(strlen(info.text), sizeof(info.text) - 1);
    cr_assert_eq(err_set(NULL, ERR_BUSY, "%d", 1), ERR_BUSY);
}

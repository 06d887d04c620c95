/* for_each through the real system: items in their order, each once, also when workers die; lists that are none. */
#include <criterion/criterion.h>

#include "common/io/die.h"
#include "tests/support/system.h"

TestSuite(each_live, .fini = system_close, .timeout = 240);

#define NOTE(text) "{\"type\":\"create_note\",\"params\":{\"text\":\"" text "\"}}"
#define EACH(list, steps) "{\"id\":\"all\",\"type\":\"for_each\",\"list\":" list ",\"do\":[" steps "]}"
#define BRANCH "{\"type\":\"branch\",\"if\":{\"==\":[{\"var\":\"item.role\"},\"cake\"]},\"then\":[" NOTE("cake") "]}"

#define RUNS 3
#define VENDORS 4

/* The weddings' vendors: v1 florist, v2 cake, v3 …; by name. */
static void add_vendors(void)
{
    system_sql(
        "with v as (insert into automation.vendors (tenant_id, vendor_id, name, kind) select '" SYSTEM_TENANT
        "', gen_random_uuid(), 'v' || i, 'florist' from generate_series(1, %d) i returning tenant_id, vendor_id, name)"
        " insert into automation.wedding_vendors (tenant_id, wedding_id, vendor_id, role) select w.tenant_id, "
        "w.wedding_id,"
        " v.vendor_id, case v.name when 'v2' then 'cake' else 'role_' || v.name end from automation.weddings w"
        " join v using (tenant_id)",
        VENDORS);
}

static void expect_notes(const char *text, int n)
{
    cr_expect_eq(system_i64("select count(*) from automation.notes where body = '%s'", text), n, "%s", text);
}

static void play(const char *const *env)
{
    int worker;

    if (!system_open(false))
        return;
    system_rule("[" EACH("{\"var\":\"vendors\"}", BRANCH "," NOTE("{{item.name}}")) "," NOTE("end") "]");
    system_events(RUNS);
    add_vendors();
    system_scheduler(NULL);
    worker = system_worker(env);
    if (env != NULL) {
        cr_assert_eq(system_wait(worker), DIE_STATUS);
        system_lease_passes();
        system_worker(NULL);
    }
    system_until_done();
    for (int i = 1; i <= VENDORS; i++)
        cr_expect_eq(system_i64("select count(*) from automation.notes where body = 'v%d'", i), RUNS, "v%d", i);
    expect_notes("cake", RUNS);
    expect_notes("end", RUNS);
    cr_expect_eq(system_i64("select count(*) from automation.runs where state = 'succeeded'"
                            " and context -> 'steps' -> 'all' ->> 'at' = '%d'",
                            VENDORS),
                 RUNS);
    system_judge();
}

Test(each_live, takes_every_item_once_with_a_branch_inside)
{
    play(NULL);
}

Test(each_live, a_worker_that_dies_before_a_settle_commits_repeats_no_item)
{
    char die[64];

    system_die_env(die, "before_settle_commit", 5);
    play((const char *const[]){die, NULL});
}

Test(each_live, a_worker_that_dies_after_a_settle_committed_skips_no_item)
{
    char die[64];

    system_die_env(die, "after_settle_commit", 5);
    play((const char *const[]){die, NULL});
}

Test(each_live, an_empty_list_goes_on_and_no_list_is_a_dead_letter)
{
    if (!system_open(false))
        return;
    system_rule("[" EACH("{\"var\":\"vendors\"}", NOTE("never")) "," NOTE("end") "]");
    system_rule("[" EACH("{\"var\":\"wedding.title\"}", NOTE("never")) "," NOTE("after") "]");
    system_scheduler(NULL);
    system_worker(NULL);
    system_events(1);
    system_until_done();
    expect_notes("never", 0);
    expect_notes("end", 1);
    expect_notes("after", 1); /* on_action_error is "retry_then_continue" unless the rule says otherwise */
    cr_expect_eq(system_dead("bad_list"), 1);
    cr_expect_eq(system_i64("select count(*) from automation.runs where state = 'failed' and reason = 'steps_failed'"),
                 1);
    system_judge();
}

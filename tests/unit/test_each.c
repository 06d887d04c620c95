/* each: a run's way through a for_each: cursor, ids, frozen items, lists that are none. */
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "common/core/advance.h"
#include "common/core/each.h"
#include "common/core/rule.h"

#define NOTE "{'type': 'create_note', 'params': {'text': 'x'}}"
#define LOOP "{'id': 'all', 'type': 'for_each', 'list': {'var': 'vendors'}, 'do': [" NOTE ", " NOTE "]}"

struct fixture {
    struct logic_fields *fields;
    struct rule *rule;
    const struct program *p;
    json_t *context;
};

static void begin(struct fixture *f)
{
    struct rule_errors errors = {0};
    char text[] = "{'schema_version': 1, 'name': 'n', 'trigger': {'type': 'manual'}, 'actions': [" LOOP ", " NOTE "]}";

    for (char *at = text; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    *f = (struct fixture){.fields = logic_fields_new(), .context = json_pack("{s:{}}", "steps")};
    f->rule = rule_parse_text(str_of(text), f->fields, &errors);
    cr_assert_not_null(f->rule, "%s: %s", errors.items[0].pointer, errors.items[0].message);
    f->p = &f->rule->program;
    rule_errors_free(&errors);
}

static void end(struct fixture *f)
{
    json_decref(f->context);
    rule_free(f->rule);
    logic_fields_free(f->fields);
}

/* What the step leaves is in the run; true when there was an item. */
static bool enter(struct fixture *f, json_t *list)
{
    struct err_info info = {0};
    bool more = false;
    json_t *state = each_step(&f->p->steps[0], f->context, list, &more, &info);

    cr_assert_not_null(state, "%s", info.text);
    json_object_set_new(json_object_get(f->context, "steps"), "all", state);
    json_decref(list);
    return more;
}

static int iteration(struct fixture *f, int step, int of)
{
    struct id run = {{7}}, key;

    advance_job_id(&run, step, of, 1, &key);
    return each_iteration(f->p, &f->p->steps[step], f->context, &run, 1, &key);
}

Test(each, takes_the_frozen_items_one_after_another)
{
    struct fixture f;

    begin(&f);
    cr_expect_not(each_begun(&f.p->steps[0], f.context));
    cr_expect(enter(&f, json_pack("[s,s]", "a", "b")));
    cr_expect(each_begun(&f.p->steps[0], f.context));
    cr_expect_eq(iteration(&f, 1, 1), 1);
    cr_expect(enter(&f, json_pack("[s,s,s]", "x", "y", "z")), "the list as it is now is not looked at");
    cr_expect_eq(iteration(&f, 2, 2), 2);
    cr_expect_eq(iteration(&f, 2, 1), 1, "a replay of the first item keeps its item");
    cr_expect_eq(iteration(&f, 2, 3), -1);
    cr_expect_eq(iteration(&f, 3, 0), 0);
    cr_expect_eq(iteration(&f, 0, 2), 2);
    cr_expect_not(enter(&f, NULL));
    cr_expect_eq(iteration(&f, 0, 0), 2, "the end does not move the cursor");
    end(&f);
}

Test(each, gives_its_steps_the_item_of_their_iteration)
{
    struct fixture f;

    begin(&f);
    enter(&f, json_pack("[s,s]", "a", "b"));
    each_set_item(f.p, &f.p->steps[1], 2, f.context);
    cr_expect_str_eq(json_string_value(json_object_get(f.context, "item")), "b");
    json_object_del(f.context, "item");
    each_set_item(f.p, &f.p->steps[3], 0, f.context);
    each_set_item(f.p, &f.p->steps[1], -1, f.context);
    each_set_item(f.p, &f.p->steps[1], 3, f.context);
    cr_expect_null(json_object_get(f.context, "item"));
    end(&f);
}

Test(each, numbers_the_jobs_that_follow)
{
    struct fixture f;
    json_t *second = json_pack("{s:i}", "at", 2);

    begin(&f);
    cr_expect_eq(each_following(&f.p->steps[0], 1, second, &f.p->steps[1]), 2);
    cr_expect_eq(each_following(&f.p->steps[0], 2, second, &f.p->steps[3]), 0);
    cr_expect_eq(each_following(&f.p->steps[1], 2, NULL, &f.p->steps[2]), 2);
    cr_expect_eq(each_following(&f.p->steps[2], 2, NULL, &f.p->steps[0]), 2);
    cr_expect_eq(each_following(&f.p->steps[3], 0, NULL, &f.p->steps[0]), 0);
    json_decref(second);
    end(&f);
}

Test(each, an_empty_list_is_over_at_once)
{
    struct fixture f;

    begin(&f);
    cr_expect_not(enter(&f, json_array()));
    cr_expect(each_begun(&f.p->steps[0], f.context));
    end(&f);
}

static void expect_refused(struct fixture *f, json_t *list, const char *part)
{
    struct err_info info = {0};
    bool more;

    cr_expect_null(each_step(&f->p->steps[0], f->context, list, &more, &info));
    cr_expect_not_null(strstr(info.text, part), "%s", info.text);
    json_decref(list);
}

Test(each, refuses_what_is_no_list_and_what_is_too_long)
{
    static char big[EACH_BYTES_MAX];
    struct fixture f;
    json_t *list = json_array();

    begin(&f);
    memset(big, 'x', sizeof(big) - 1);
    expect_refused(&f, NULL, "is no list");
    expect_refused(&f, json_string("a"), "is no list");
    expect_refused(&f, json_pack("[s]", big), "bytes; for_each takes 65536");
    for (int i = 0; i < EACH_ITEMS_MAX; i++)
        json_array_append_new(list, json_integer(i));
    cr_expect(enter(&f, json_incref(list)));
    json_object_clear(json_object_get(f.context, "steps"));
    json_array_append_new(list, json_null());
    expect_refused(&f, list, "201 items; for_each takes 200");
    end(&f);
}

/* fuzz_rule: the input is a rule document. Beyond not crashing: a refusal has a reason, whose texts are valid JSON strings; what is
 * accepted has a program in which every way forward ends, is accepted again from its own dump with the same steps, and is
 * found by its trigger. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/core/match.h"
#include "common/core/rule.h"

static void require(int truth)
{
    if (!truth)
        abort();
}

static void check_errors(const struct rule_errors *errors)
{
    json_t *list = rule_errors_json(errors);

    require(errors->n > 0 && errors->n <= RULE_ERRORS_MAX);
    require(json_array_size(list) == errors->n + (errors->more > 0 ? 1 : 0));
    json_decref(list);
}

static void check_program(const struct program *p)
{
    require(p->n > 0 && p->n <= PROGRAM_STEPS_MAX && p->depth <= PROGRAM_DEPTH_MAX);
    for (int i = 0; i < p->n; i++) {
        const struct step *s = &p->steps[i];
        int ways[] = {s->next, program_next(s, LOGIC_TRUE), program_next(s, LOGIC_UNKNOWN)};

        for (int w = 0; w < 3; w++) {
            int ahead = program_ahead(p, i, ways[w]);
            require(ways[w] == PROGRAM_END || (ways[w] >= 0 && ways[w] < p->n));
            require(ways[w] == ahead || p->steps[ways[w]].type == ACTION_FOR_EACH);
            require(ahead == PROGRAM_END || (ahead > i && ahead < p->n));
        }
        require(program_find(p, str_of(s->id)) == s);
        require((s->type == ACTION_BRANCH) == (s->condition != NULL));
        require((s->type == ACTION_FOR_EACH) == (s->list != NULL));
        require((s->type == ACTION_BRANCH || s->type == ACTION_FOR_EACH || s->type == ACTION_WAIT) ==
                (s->params == NULL));
        require(vocab_available(VOCAB_ACTION, (int)s->type));
    }
}

static void check_again(const struct rule *r, const json_t *document, struct logic_fields *fields)
{
    struct rule_errors errors = {0};
    char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
    struct rule *again = rule_parse_text(str_of(text), fields, &errors);

    require(again != NULL && again->program.n == r->program.n && again->trigger.type == r->trigger.type);
    for (int i = 0; i < r->program.n; i++)
        require(strcmp(r->program.steps[i].id, again->program.steps[i].id) == 0 &&
                r->program.steps[i].next == again->program.steps[i].next);
    rule_errors_free(&errors); /* a good rule may have warnings */
    rule_free(again);
    free(text);
}

static bool count(const struct match_hit *hit, void *ctx)
{
    (void)hit;
    ++*(int *)ctx;
    return true;
}

static void check_match(struct match *m, struct rule *r)
{
    struct id id = ID_ZERO, timing;
    struct match_question q = {.all = true};
    int n = 0;

    if (r->trigger.type == TRIGGER_MILESTONE)
        match_timing_id(&r->trigger, &timing);
    require(match_put(m, &id, 1, r) == ERR_OK && match_bytes(m) > rule_bytes(r));
    if (r->trigger.type == TRIGGER_EVENT)
        require(match_event(m, str_of(r->trigger.event_type), &q, count, &n, NULL) == ERR_OK && n == 1);
    if (r->trigger.type == TRIGGER_MILESTONE)
        require(match_timing(m, &timing, &q, count, &n, NULL) == ERR_OK && n == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct match *m = match_new();
    struct rule_errors errors = {0};
    struct rule *r = rule_parse_text((struct str){(const char *)data, size}, match_fields(m), &errors);
    json_t *document;

    if (r == NULL) {
        check_errors(&errors);
    } else {
        check_program(&r->program);
        document = json_loadb((const char *)data, size, 0, NULL);
        check_again(r, document, match_fields(m));
        json_decref(document);
        check_match(m, r);
    }
    rule_errors_free(&errors);
    match_free(m);
    return 0;
}

/* usher enqueue: one free job through the SQL door, or with --direct as a bare entry of a stream.
 *
 * Happy path: the payload is read and checked, the job is accepted, its id and whether it is a new one are printed. A unique key
 * that is held gives the job that holds it.
 * Failure: what the door refuses is printed with the door's reason; nothing was accepted then, unless the connection was lost in
 * between. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_show.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/core/envelope.h"
#include "common/core/pack.h"
#include "common/io/queue_admin.h"

#define DIRECT_QUEUE "default" /* a bare entry's stream says its queue: the kind's is not asked for */
#define DIRECT_FIELDS_MAX 16
#define PRIORITY_DEFAULT 100

struct enqueue_options {
    char *tenant;
    char *queue;
    char *at;
    char *key;
    char *deadline;
    char *wedding;
    int64_t priority;
    int64_t max_attempts;
    bool direct;
};

#define AT(field) offsetof(struct enqueue_options, field)
static const struct conf_key options[] = {
    SETTING_STR("tenant", AT(tenant), NULL, NULL, 0, "tenant's id; unset: the platform"),
    SETTING_STR("queue", AT(queue), NULL, NULL, 0, "queue; unset: the kind's, with --direct \"" DIRECT_QUEUE "\""),
    SETTING_STR("at", AT(at), NULL, NULL, 0, "not before this time, or after this duration"),
    SETTING_STR("key", AT(key), NULL, NULL, 0, "unique key within tenant and kind"),
    SETTING_INT("priority", AT(priority), NULL, "100", 0, 1000, "of jobs due at one instant the lower goes first"),
    SETTING_STR("deadline", AT(deadline), NULL, NULL, 0,
                "skipped when it has not begun by this time, or after this duration"),
    SETTING_STR("wedding", AT(wedding), NULL, NULL, 0, "wedding's id: the job ends with it"),
    SETTING_INT("max-attempts", AT(max_attempts), NULL, "0", 0, 100, "attempts before it is dead; 0: the kind's"),
    SETTING_BOOL("direct", AT(direct), NULL, "XADD to the queue's stream, without PostgreSQL"),
    {.name = NULL},
};

static void check(const void *opts, struct buf *errors)
{
    const struct enqueue_options *o = opts;
    char key[QUEUE_KEY_SIZE];
    struct err_info info = {0};

    input_check_id("--tenant", o->tenant, errors);
    input_check_id("--wedding", o->wedding, errors);
    input_check_when("--at", o->at, errors);
    input_check_when("--deadline", o->deadline, errors);
    if (o->queue != NULL && queue_key(QUEUE_BARE, str_of(o->queue), key, &info) != ERR_OK)
        buf_printf(errors, "--queue: %s\n", info.text);
    if (o->direct && o->priority != PRIORITY_DEFAULT)
        buf_put_str(errors, "--priority: a bare entry has none; leave --direct out\n");
}

/* ---- payload --------------------------------------------------------------------------------------------------------- */

/* A new reference; NULL with `info`. */
static json_t *read_payload(const struct cmd_run *run, struct err_info *info)
{
    const char *operand = run->n_operands > 1 ? run->operands[1] : "{}";
    struct buf text = {0};
    json_error_t where = {0};
    json_t *payload = NULL;

    if (input_text(operand, PACK_PAYLOAD_MAX_BYTES, &text, info) != ERR_OK)
        goto out;
    payload = json_loadb(buf_text(&text), text.len, JSON_REJECT_DUPLICATES, &where);
    if (payload == NULL) {
        (void)err_set(info, ERR_MALFORMED, "payload, line %d, column %d: %s", where.line, where.column, where.text);
    } else if (!json_is_object(payload)) {
        (void)err_set(info, ERR_MALFORMED, "payload: expected a JSON object");
        json_decref(payload);
        payload = NULL;
    }
out:
    buf_free(&text);
    return payload;
}

/* ---- the result ------------------------------------------------------------------------------------------------------ */

static void print_result(const struct cmd_run *run, const struct id *job, bool created, const char *stream,
                         const char *entry)
{
    static const struct out_column columns[] = {
        {"id", OUT_TEXT}, {"created", OUT_BOOL}, {"stream", OUT_TEXT}, {"entry", OUT_TEXT}};
    struct out *o = out_new(columns, stream == NULL ? 2 : 4);

    out_id(o, job);
    out_bool(o, created);
    if (stream != NULL) {
        out_text(o, stream);
        out_text(o, entry);
    }
    out_print_one(o, run->json, stdout);
    out_free(o);
}

/* ---- the SQL door ---------------------------------------------------------------------------------------------------- */

/* The options were checked. */
static enum err read_job(const struct cmd_run *run, struct store_enqueue *job, struct err_info *info)
{
    const struct enqueue_options *o = run->options;

    *job = (struct store_enqueue){.kind = run->operands[0],
                                  .queue = o->queue,
                                  .key = o->key,
                                  .priority = o->priority,
                                  .max_attempts = o->max_attempts};
    enum err err = input_id("--tenant", o->tenant, &job->tenant, info);
    if (err == ERR_OK)
        err = input_id("--wedding", o->wedding, &job->wedding, info);
    if (err == ERR_OK)
        err = input_when("--at", o->at, &job->at, info);
    if (err == ERR_OK)
        err = input_when("--deadline", o->deadline, &job->deadline, info);
    return err;
}

static int enqueue_sql(const struct cmd_run *run, struct store_enqueue *job, const json_t *payload)
{
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    char *text = json_dumps(payload, JSON_COMPACT);
    int code = text == NULL ? cmd_fail(run, EXIT_FAILED, "payload: out of memory") : connect_db(run, &db);

    if (code != EXIT_OK)
        goto out;
    job->payload = str_of(text);
    enum err err = store_show_enqueue(db, job, &rows, &info);
    if (err != ERR_OK) {
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
        goto out;
    }
    struct id id = db_id(rows, 0, 0);
    print_result(run, &id, db_bool(rows, 0, 1), NULL, NULL);
out:
    db_result_free(rows);
    db_close(db);
    free(text);
    return code;
}

/* ---- a bare entry ---------------------------------------------------------------------------------------------------- */

struct entry {
    struct arena arena;
    struct queue_field fields[DIRECT_FIELDS_MAX];
    size_t n;
};

static void put(struct entry *e, const char *name, struct str value)
{
    if (value.n > 0)
        e->fields[e->n++] = (struct queue_field){str_of(name), value};
}

static void put_id(struct entry *e, const char *name, const struct id *id)
{
    char text[ID_TEXT_SIZE];

    if (!id_is_zero(id))
        put(e, name, str_of(arena_strdup(&e->arena, id_format(id, text))));
}

static void put_when(struct entry *e, const char *name, const struct input_when *when)
{
    char text[STR_TIME_SIZE];

    if (!when->given)
        return;
    str_from_time(text, when->relative ? clock_wall_us() + when->us : when->us);
    put(e, name, str_of(arena_strdup(&e->arena, text)));
}

/* The order of PROTOCOL.md, "Bare entries". */
static void fill(struct entry *e, const struct store_enqueue *job)
{
    put(e, "kind", str_of(job->kind));
    put(e, "payload", job->payload);
    put_id(e, "tenant", &job->tenant);
    put_id(e, "wedding", &job->wedding);
    put(e, "key", str_of(job->key));
    put_when(e, "at", &job->at);
    put_when(e, "deadline", &job->deadline);
    if (job->max_attempts > 0)
        put(e, "max", str_of(arena_printf(&e->arena, "%lld", (long long)job->max_attempts)));
}

/* The worker's own check, so that a bad entry is refused here and not buried there. */
static enum err check_entry(const struct entry *e, struct str flat[2 * DIRECT_FIELDS_MAX], struct err_info *info)
{
    struct envelope env;

    for (size_t i = 0; i < e->n; i++) {
        flat[2 * i] = e->fields[i].name;
        flat[2 * i + 1] = e->fields[i].value;
    }
    return envelope_parse(flat, 2 * e->n, &env, info);
}

static int enqueue_direct(const struct cmd_run *run, struct store_enqueue *job, const json_t *payload)
{
    struct entry e = {0};
    struct str flat[2 * DIRECT_FIELDS_MAX];
    char stream[QUEUE_KEY_SIZE], text[QUEUE_ID_SIZE];
    struct rsession *redis = NULL;
    struct buf packed = {0};
    struct queue_id entry_id;
    struct id log_id;
    struct err_info info = {0};
    int code = EXIT_OK;

    pack_from_json(payload, &packed);
    job->payload = (struct str){packed.data, packed.len};
    fill(&e, job);
    enum err err = queue_key(QUEUE_BARE, str_of(job->queue == NULL ? DIRECT_QUEUE : job->queue), stream, &info);
    if (err == ERR_OK)
        err = check_entry(&e, flat, &info);
    if (err == ERR_OK)
        code = connect_redis(run, &redis);
    if (err == ERR_OK && code == EXIT_OK)
        err = queue_admin_add(redis, stream, e.fields, e.n, &entry_id, &info);
    if (err != ERR_OK) {
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    } else if (code == EXIT_OK) {
        envelope_log_id(str_of(stream), str_of(queue_id_format(&entry_id, text)), flat, 2 * e.n, &log_id);
        print_result(run, &log_id, true, stream, text);
    }
    rsession_close(redis);
    buf_free(&packed);
    arena_free(&e.arena);
    return code;
}

static int run_enqueue(struct cmd_run *run)
{
    const struct enqueue_options *o = run->options;
    struct store_enqueue job;
    struct err_info info = {0};
    json_t *payload = NULL;
    enum err err = read_job(run, &job, &info);

    if (err == ERR_OK && (payload = read_payload(run, &info)) == NULL)
        err = info.code;
    int code = err != ERR_OK ? cmd_fail(run, EXIT_USAGE, "%s", info.text)
               : o->direct   ? enqueue_direct(run, &job, payload)
                             : enqueue_sql(run, &job, payload);
    json_decref(payload);
    return code;
}

const struct cmd cmd_enqueue = {
    .path = "enqueue",
    .summary = "enqueue one job of a free kind",
    .operands = "KIND [PAYLOAD]",
    .min_operands = 1,
    .max_operands = 2,
    .options = options,
    .options_size = sizeof(struct enqueue_options),
    .details =
        "PAYLOAD is a JSON object, \"-\" for standard input or @FILE; without it {}. Prints the job's id and whether "
        "it is new:\n"
        "a unique key that is held gives the job that holds it. With --direct the entry goes into the queue's stream "
        "as it\n"
        "would from any other program, the payload as MessagePack; the id is the one that its log row will carry.",
    .examples = "usher enqueue noop\n"
                "usher enqueue gallery.render '{\"photos\":12}' --key gallery-7 --at 10m\n"
                "usher enqueue noop @payload.json --direct\n",
    .check = check,
    .run = run_enqueue,
};

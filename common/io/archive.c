/* archive: see archive.h. The state machine; each turn looks at the book and at the catalog, and does one step. */
#include "common/io/archive_private.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/io/archive_file.h"
#include "common/io/die.h"

#define CONNECT_MS 5000
#define STATEMENT_MS (INT64_C(24) * 3600 * 1000) /* a month's COPY takes as long as it takes */
#define CLOCKS_APART_US (INT64_C(3600) * 1000000)
#define TURNS_MAX 8 /* steps from attached to verified, with room for one that was found done */

/* A row that a policy would hide is an error and no silence: an archive is all of a month. The planner takes a row's hash for as cheap as
 * an addition: told that rows go from process to process for nothing, it has several processes hash and sort. */
#define SESSION                                                                                                        \
    "set role automation_owner; set statement_timeout = 0; set row_security = off;"                                    \
    "set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set work_mem = '64MB'"

enum err archive_tell(struct archive *a, const char *leaf, const char *phase, int64_t done, int64_t total,
                      struct err_info *info)
{
    const struct archive_progress progress = {leaf, phase, done, total};

    if (a->config.stop != NULL && atomic_load(a->config.stop))
        return err_set(info, ERR_CANCELED, "%s: stopped", leaf);
    if (a->config.progress != NULL)
        a->config.progress(a->config.arg, &progress);
    return ERR_OK;
}

enum err archive_need_dir(const struct archive *a, struct err_info *info)
{
    if (a->config.dir == NULL)
        return err_set(info, ERR_INVALID, "no folder for archives is set (archive-dir, USHER_ARCHIVE_DIR)");
    return ERR_OK;
}

enum err archive_end(struct archive *a, enum err err, struct err_info *info)
{
    struct err_info ignored = {0};

    if (err == ERR_OK)
        return db_exec(a->db, "commit", NULL, info);
    if (db_alive(a->db) && db_exec(a->db, "rollback", NULL, &ignored) != ERR_OK && info != NULL)
        info->code = err;
    return err;
}

void archive_data_name(char out[ARCHIVE_NAME_SIZE], const char *leaf)
{
    (void)snprintf(out, ARCHIVE_NAME_SIZE, "%s.csv.zst", leaf);
}

void archive_manifest_name(char out[ARCHIVE_NAME_SIZE], const char *leaf)
{
    (void)snprintf(out, ARCHIVE_NAME_SIZE, "%s.json", leaf);
}

/* ---- life ----------------------------------------------------------------------------------------------------------------- */

/* What is old is decided by a clock, and what is old is dropped: two clocks have to agree about it. */
static enum err check_clock(struct archive *a, struct err_info *info)
{
    struct store_archive_clock clock;
    const int64_t own_us = clock_wall_us();
    enum err err = store_archive_clock(a->db, &clock, info);

    if (err != ERR_OK)
        return err;
    (void)str_copy(a->server, sizeof(a->server), clock.server);
    if (clock.stepped)
        return err_set(info, ERR_STATE, "nothing is archived while the domain clock is stepped");
    if (clock.now_us - own_us > CLOCKS_APART_US || own_us - clock.now_us > CLOCKS_APART_US)
        return err_set(info, ERR_STATE, "the server's clock is %lld s from ours; nothing is archived until they agree",
                       (long long)((clock.now_us - own_us) / 1000000));
    return ERR_OK;
}

enum err archive_open(const struct archive_config *config, struct archive **out, struct err_info *info)
{
    const struct db_session_config db = {
        .url = config->url, .name = "usher archive", .connect_ms = CONNECT_MS, .statement_ms = STATEMENT_MS};
    struct archive *a = mem_zalloc(sizeof(*a));
    bool got = false;
    enum err err = ERR_OK;

    *out = NULL;
    a->config = *config;
    err = db_open(&db, &a->db, info);
    if (err == ERR_OK)
        err = db_exec(a->db, SESSION, NULL, info);
    if (err == ERR_OK)
        err = store_archive_lock(a->db, &got, info);
    if (err == ERR_OK && !got)
        err = err_set(info, ERR_BUSY, "another archiver is at work");
    if (err == ERR_OK)
        err = check_clock(a, info);
    if (err == ERR_OK)
        *out = a;
    else
        archive_close(a);
    return err;
}

void archive_close(struct archive *a)
{
    if (a == NULL)
        return;
    /* The server ends the session some time after its client has gone; the next archiver may be here before that. */
    if (a->db != NULL && db_alive(a->db))
        store_archive_unlock(a->db);
    db_close(a->db);
    mem_free(a);
}

void archive_cancel(struct archive *a)
{
    db_cancel(a->db);
}

/* ---- what is due ----------------------------------------------------------------------------------------------------------- */

static void take_part(const struct db_result *r, int row, struct archive_part *p)
{
    const struct str leaf = db_text(r, row, 0), state = db_text(r, row, 1), step = db_text(r, row, 2);

    *p = (struct archive_part){.lo_us = db_time(r, row, 3),
                               .hi_us = db_time(r, row, 4),
                               .n_rows = db_null(r, row, 5) ? -1 : db_i64(r, row, 5),
                               .bytes = db_null(r, row, 6) ? -1 : db_i64(r, row, 6)};
    (void)str_copy_n(p->leaf, sizeof(p->leaf), leaf.p, leaf.n);
    (void)str_copy_n(p->state, sizeof(p->state), state.p, state.n);
    (void)str_copy_n(p->step, sizeof(p->step), step.p, step.n);
}

enum err archive_due(struct archive *a, struct archive_part **out, size_t *n, struct err_info *info)
{
    struct db_result *r = NULL;
    enum err err = store_archive_due(a->db, a->config.after_months, a->config.grace_ms, &r, info);

    *out = NULL;
    *n = 0;
    if (err != ERR_OK)
        return err;
    *n = (size_t)db_rows(r);
    *out = mem_alloc((*n + 1) * sizeof(**out));
    for (size_t i = 0; i < *n; i++)
        take_part(r, (int)i, &(*out)[i]);
    db_result_free(r);
    return ERR_OK;
}

/* ---- steps ----------------------------------------------------------------------------------------------------------------- */

static enum err look(struct archive *a, const char *leaf, struct store_leaf *part, struct err_info *info)
{
    if (!manifest_leaf_ok(leaf))
        return err_set(info, ERR_INVALID, "\"%.64s\": expected a partition such as execution_logs_2031_05", leaf);
    return store_archive_leaf(a->db, leaf, part, info);
}

enum err archive_look(struct archive *a, const char *leaf, struct archive_part *out, struct err_info *info)
{
    struct store_leaf part = {0};
    enum err err = look(a, leaf, &part, info);

    if (err != ERR_OK)
        return err;
    *out = (struct archive_part){
        .lo_us = part.lo_us, .hi_us = part.hi_us, .n_rows = part.n_rows, .bytes = part.bytes, .step = "archive"};
    (void)str_copy(out->leaf, sizeof(out->leaf), leaf);
    (void)str_copy(out->state, sizeof(out->state), part.state);
    return ERR_OK;
}

static bool in_state(const struct store_leaf *part, const char *state)
{
    return strcmp(part->state, state) == 0;
}

static bool is_actually(const struct store_leaf *part, const char *actual)
{
    return strcmp(part->actual, actual) == 0;
}

static enum err contradiction(const char *leaf, const struct store_leaf *part, struct err_info *info)
{
    return err_set(info, ERR_STATE, "%s: the book says %s, and the table is %s; see OPERATIONS.md, \"Archive\"", leaf,
                   part->state, part->actual);
}

static enum err begin_detach(struct archive *a, const char *leaf, const struct store_leaf *part, struct err_info *info)
{
    struct store_archive_clock clock;

    if (!is_actually(part, "attached"))
        return contradiction(leaf, part, info);
    enum err err = store_archive_clock(a->db, &clock, info);
    if (err != ERR_OK)
        return err;
    if (clock.now_us < part->hi_us) /* the move is refused too, but not as what it is: a condition that is not met */
        return err_set(info, ERR_STATE, "%s: is written to until its month is over", leaf);
    err = store_archive_move(a->db, leaf, part->state, "detaching", info);
    die_at("archive_marked");
    return err;
}

static enum err detach(struct archive *a, const char *leaf, const struct store_leaf *part, struct err_info *info)
{
    enum err err = archive_tell(a, leaf, "detach", 0, 0, info);

    if (err != ERR_OK)
        return err;
    if (is_actually(part, "gone"))
        return contradiction(leaf, part, info);
    if (is_actually(part, "attached"))
        err = store_archive_detach(a->db, leaf, info);
    else if (is_actually(part, "pending"))
        err = store_archive_finalize(a->db, leaf, info);
    if (err != ERR_OK)
        return err;
    die_at("archive_detached");
    return store_archive_move(a->db, leaf, "detaching", "detached", info);
}

/* An archive that is not what it should be goes for nothing: the leaf is still there, and is exported again. */
static bool is_worthless(enum err err)
{
    return err == ERR_MALFORMED || err == ERR_NOTFOUND || err == ERR_LIMIT;
}

static enum err verify(struct archive *a, const char *leaf, const struct store_leaf *part, struct err_info *info)
{
    struct manifest m = {0};
    struct err_info ignored = {0};
    enum err err = is_actually(part, "alone") ? archive_check(a, leaf, part, &m, info) : contradiction(leaf, part, info);

    manifest_free(&m);
    if (is_worthless(err) && store_archive_move(a->db, leaf, "exported", "detached", &ignored) != ERR_OK && info)
        info->code = err;
    if (err != ERR_OK)
        return err;
    die_at("archive_checked");
    err = store_archive_move(a->db, leaf, "exported", "verified", info);
    die_at("archive_verified");
    return err;
}

/* One step towards detached, or with `whole` towards verified; *there: nothing is left to do. */
static enum err turn(struct archive *a, const char *leaf, bool whole, bool *there, struct err_info *info)
{
    struct store_leaf part = {0};
    enum err err = look(a, leaf, &part, info);

    *there = false;
    if (err != ERR_OK)
        return err;
    if (in_state(&part, "attached") || in_state(&part, "restored"))
        return begin_detach(a, leaf, &part, info);
    if (in_state(&part, "detaching"))
        return detach(a, leaf, &part, info);
    if (whole && in_state(&part, "detached"))
        return is_actually(&part, "alone") ? archive_export(a, leaf, &part, info) : contradiction(leaf, &part, info);
    if (whole && in_state(&part, "exported"))
        return verify(a, leaf, &part, info);
    *there = true;
    return ERR_OK;
}

static enum err turns(struct archive *a, const char *leaf, bool whole, struct err_info *info)
{
    bool there = false;
    enum err err = ERR_OK;

    for (int i = 0; i < TURNS_MAX && !there && err == ERR_OK; i++)
        err = turn(a, leaf, whole, &there, info);
    return err == ERR_OK && !there ? err_set(info, ERR_STATE, "%s: comes to no end", leaf) : err;
}

enum err archive_detach(struct archive *a, const char *leaf, struct err_info *info)
{
    return turns(a, leaf, false, info);
}

enum err archive_run(struct archive *a, const char *leaf, struct err_info *info)
{
    enum err err = archive_need_dir(a, info);

    return err == ERR_OK ? turns(a, leaf, true, info) : err;
}

/* The file is what was verified, to the byte. */
static enum err check_file(struct archive *a, const char *leaf, const struct store_leaf *part, struct err_info *info)
{
    struct manifest m = {0};
    char name[ARCHIVE_NAME_SIZE], sha256[MANIFEST_HEX_SIZE];
    enum err err = archive_read_manifest(a, leaf, part, &m, info);

    archive_data_name(name, leaf);
    if (err == ERR_OK)
        err = archive_file_sha256(a->config.dir, name, sha256, info);
    if (err == ERR_OK && strcmp(sha256, part->sha256) != 0)
        err = err_set(info, ERR_MALFORMED, "%s: changed after it was verified", name);
    manifest_free(&m);
    return err;
}

enum err archive_drop(struct archive *a, const char *leaf, struct err_info *info)
{
    struct store_leaf part = {0};
    struct err_info ignored = {0};
    enum err err = look(a, leaf, &part, info);

    if (err == ERR_OK && !in_state(&part, "verified"))
        err = err_set(info, ERR_STATE, "%s: is %s; only what is verified is dropped", leaf, part.state);
    if (err == ERR_OK)
        err = archive_tell(a, leaf, "drop", 0, 0, info);
    if (err != ERR_OK)
        return err;
    err = check_file(a, leaf, &part, info);
    if (is_worthless(err) && store_archive_move(a->db, leaf, "verified", "detached", &ignored) != ERR_OK && info)
        info->code = err;
    if (err != ERR_OK)
        return err;
    die_at("archive_dropping");
    err = store_archive_drop(a->db, leaf, info);
    die_at("archive_dropped");
    return err;
}

enum err archive_step(struct archive *a, const struct archive_part *part, struct err_info *info)
{
    return strcmp(part->step, "drop") == 0 ? archive_drop(a, part->leaf, info) : archive_run(a, part->leaf, info);
}

enum err archive_verify(struct archive *a, const char *leaf, struct manifest *m, struct err_info *info)
{
    struct manifest own = {0};
    struct store_leaf part = {0};
    enum err err = look(a, leaf, &part, info);

    if (err == ERR_OK && part.sha256[0] == '\0')
        err = err_set(info, ERR_NOTFOUND, "%s: is %s and has no archive", leaf, part.state);
    if (err == ERR_OK)
        err = archive_check(a, leaf, &part, m != NULL ? m : &own, info);
    manifest_free(&own);
    return err;
}

/* ---- back -------------------------------------------------------------------------------------------------------------------- */

static enum err remake(struct archive *a, const char *leaf, const struct store_leaf *part, struct err_info *info)
{
    struct manifest m = {0};
    enum err err = archive_read_manifest(a, leaf, part, &m, info);

    if (err == ERR_OK)
        err = store_archive_make(a->db, leaf, part, info);
    if (err == ERR_OK)
        err = archive_load(a, leaf, leaf, &m, true, info);
    manifest_free(&m);
    return err;
}

enum err archive_restore(struct archive *a, const char *leaf, int64_t hold_ms, struct err_info *info)
{
    struct store_leaf part = {0};
    enum err err = look(a, leaf, &part, info);
    const bool dropped = err == ERR_OK && in_state(&part, "dropped");

    if (err == ERR_OK && (in_state(&part, "attached") || in_state(&part, "restored") || in_state(&part, "detaching")))
        err = err_set(info, ERR_STATE, "%s: is %s", leaf, part.state);
    else if (err == ERR_OK && !is_actually(&part, dropped ? "gone" : "alone"))
        err = contradiction(leaf, &part, info);
    if (err == ERR_OK)
        err = db_exec(a->db, "begin", NULL, info);
    if (err != ERR_OK)
        return err;
    if (dropped)
        err = remake(a, leaf, &part, info);
    if (err == ERR_OK)
        err = archive_tell(a, leaf, "attach", 0, 0, info);
    if (err == ERR_OK)
        err = store_archive_attach(a->db, leaf, &part, info);
    if (err == ERR_OK)
        err = store_archive_restored(a->db, leaf, part.state, hold_ms, info);
    if (err == ERR_OK)
        die_at("archive_restoring");
    err = archive_end(a, err, info);
    die_at("archive_restored");
    return err;
}

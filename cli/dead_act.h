/* dead_act: what `usher dead retry` and `usher dead discard` have in common: choose open dead letters by id or by filter, ask, act in
 * one transaction, print a row for each. A dry run acts in the same way and rolls back, so that its answers are those of the
 * command itself. */
#ifndef CLI_DEAD_ACT_H
#define CLI_DEAD_ACT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/cmd.h"
#include "cli/store_dead.h"

struct dead_options {
    char *tenant;
    char *kind;
    char *reason;
    char *since;
    char *until;
    char *like;
    char *by;
    int64_t limit;
    int64_t spread_ms; /* retry alone has the option, and the next */
    int64_t most_replays;
    bool all;
    bool dry_run;
    bool yes;
};

/* clang-format off */
#define DEAD_ACT_OPTIONS                                                                                               \
    SETTING_STR("tenant", offsetof(struct dead_options, tenant), NULL, NULL, 0, "of this tenant only"),                \
    SETTING_STR("kind", offsetof(struct dead_options, kind), NULL, NULL, 0, "of this kind only"),                      \
    SETTING_STR("reason", offsetof(struct dead_options, reason), NULL, NULL, 0, "with this reason only"),              \
    SETTING_STR("since", offsetof(struct dead_options, since), NULL, NULL, 0,                                          \
                "dead since this time, or for less than this duration"),                                               \
    SETTING_STR("until", offsetof(struct dead_options, until), NULL, NULL, 0,                                          \
                "dead before this time, or for longer than this duration"),                                            \
    SETTING_STR("like", offsetof(struct dead_options, like), NULL, NULL, 0, "with this text in the error"),            \
    SETTING_BOOL("all", offsetof(struct dead_options, all), NULL, "without any filter"),                               \
    SETTING_INT("limit", offsetof(struct dead_options, limit), NULL, "1000", 1, STORE_DEAD_MAX,                        \
                "most dead letters, longest dead first"),                                                              \
    SETTING_STR("by", offsetof(struct dead_options, by), NULL, NULL, 0,                                                \
                "who, for the audit trail; unset: the user of the operating system"),                                  \
    SETTING_BOOL("dry-run", offsetof(struct dead_options, dry_run), NULL, "show what would be done"),                  \
    SETTING_BOOL("yes", offsetof(struct dead_options, yes), NULL, "do not ask; needed where nobody can be asked")
/* clang-format on */

struct dead_act {
    const char *verb; /* in the question: "retry" */
    const char *done; /* the result of those that it was done with: "replayed" */
    enum err (*act)(struct db_session *db, const struct store_dead_act *act, struct db_result **out,
                    struct err_info *info);
};

/* The check and the run of such a command. */
void dead_act_check(const void *options, struct buf *errors);
int dead_act_run(struct cmd_run *run, const struct dead_act *act);

#endif

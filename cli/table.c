#include "cli/table.h"

/* One line per command; cli/cmd_<path>.c defines it. */
#define COMMANDS(X)                                                                                                    \
    X(cmd_demo)                                                                                                        \
    X(cmd_dev)                                                                                                         \
    X(cmd_migrate_up)                                                                                                  \
    X(cmd_migrate_down)                                                                                                \
    X(cmd_migrate_status)                                                                                              \
    X(cmd_migrate_verify)                                                                                              \
    X(cmd_enqueue)                                                                                                     \
    X(cmd_queue_list)                                                                                                  \
    X(cmd_job_show)                                                                                                    \
    X(cmd_run_show)                                                                                                    \
    X(cmd_dead_list)                                                                                                   \
    X(cmd_dead_show)                                                                                                   \
    X(cmd_dead_retry)                                                                                                  \
    X(cmd_dead_discard)                                                                                                \
    X(cmd_event_list)                                                                                                  \
    X(cmd_event_retry)                                                                                                 \
    X(cmd_worker_list)                                                                                                 \
    X(cmd_restore_resume)                                                                                              \
    X(cmd_stats_usage)                                                                                                 \
    X(cmd_stats_vendors)                                                                                               \
    X(cmd_stats_seasons)                                                                                               \
    X(cmd_stats_milestones)                                                                                            \
    X(cmd_stats_rules)                                                                                                 \
    X(cmd_log_show)                                                                                                    \
    X(cmd_log_failures)                                                                                                \
    X(cmd_log_list)                                                                                                    \
    X(cmd_audit)                                                                                                       \
    X(cmd_partition_list)                                                                                              \
    X(cmd_partition_ensure)                                                                                            \
    X(cmd_partition_detach)                                                                                            \
    X(cmd_partition_replay)                                                                                            \
    X(cmd_archive_run)                                                                                                 \
    X(cmd_archive_list)                                                                                                \
    X(cmd_archive_verify)                                                                                              \
    X(cmd_archive_restore)                                                                                             \
    X(cmd_rule_check)                                                                                                  \
    X(cmd_rule_preview)                                                                                                \
    X(cmd_rule_cache)                                                                                                  \
    X(cmd_rule_explain)                                                                                                \
    X(cmd_template_list)                                                                                               \
    X(cmd_template_show)                                                                                               \
    X(cmd_template_instantiate)                                                                                        \
    X(cmd_approval_edit)                                                                                               \
    X(cmd_approval_reject)                                                                                             \
    X(cmd_approval_approve)                                                                                            \
    X(cmd_approval_show)                                                                                               \
    X(cmd_approval_revoke)                                                                                             \
    X(cmd_approval_preapprove)                                                                                         \
    X(cmd_approval_list)                                                                                               \
    X(cmd_wedding_show)                                                                                                \
    X(cmd_wedding_move)                                                                                                \
    X(cmd_zones_refresh)                                                                                               \
    X(cmd_season_generate)                                                                                             \
    X(cmd_season_load)                                                                                                 \
    X(cmd_health)                                                                                                      \
    X(cmd_help)                                                                                                        \
    X(cmd_version)

#define DECLARE(name) extern const struct cmd name;
COMMANDS(DECLARE)

#define ENTRY(name) &name,
const struct cmd *const table_commands[] = {COMMANDS(ENTRY) NULL};

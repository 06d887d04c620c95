/* vocab: the words rules are written in. Each list is one X-macro table, from which the enum, the texts, the messages of
 * the validator and (through the generated reference) the documentation are made. A word may be known and yet not available:
 * this version parses it, tells it from a typing error and refuses it, naming what is available. */
#ifndef COMMON_CORE_VOCAB_H
#define COMMON_CORE_VOCAB_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

/* What executing an action touches. */
enum vocab_effect {
    EFFECT_OUTWARD,  /* leaves our database: mail, SMS, HTTP */
    EFFECT_DATABASE, /* rows of the tenant, in the settling transaction: exactly once */
    EFFECT_CONTROL   /* the run itself */
};

/* What happens after an outcome that nobody knows (the worker was lost while it acted, no final reply came). */
enum vocab_unknown {
    UNKNOWN_RETRY, /* again with the same effect key */
    UNKNOWN_ASK    /* a person decides */
};

/* X(CODE, text, effect, after an unknown outcome, available in this version) */
#define ACTION_MAP(X)                                                                                                  \
    X(ACTION_SEND_EMAIL, "send_email", EFFECT_OUTWARD, UNKNOWN_RETRY, true)                                            \
    X(ACTION_SEND_SMS, "send_sms", EFFECT_OUTWARD, UNKNOWN_ASK, false)                                                 \
    X(ACTION_SEND_FORM, "send_form", EFFECT_OUTWARD, UNKNOWN_RETRY, false)                                             \
    X(ACTION_SEND_CONTRACT, "send_contract", EFFECT_OUTWARD, UNKNOWN_ASK, false)                                       \
    X(ACTION_SEND_INVOICE, "send_invoice", EFFECT_OUTWARD, UNKNOWN_ASK, false)                                         \
    X(ACTION_REQUEST_PAYMENT, "request_payment", EFFECT_OUTWARD, UNKNOWN_ASK, false)                                   \
    X(ACTION_NOTIFY_VENDOR, "notify_vendor", EFFECT_OUTWARD, UNKNOWN_RETRY, true)                                      \
    X(ACTION_NOTIFY_TEAM, "notify_team", EFFECT_OUTWARD, UNKNOWN_RETRY, true)                                          \
    X(ACTION_CREATE_TASK, "create_task", EFFECT_DATABASE, UNKNOWN_RETRY, true)                                         \
    X(ACTION_CREATE_APPOINTMENT, "create_appointment", EFFECT_DATABASE, UNKNOWN_RETRY, false)                          \
    X(ACTION_SET_FIELD, "set_field", EFFECT_DATABASE, UNKNOWN_RETRY, true)                                             \
    X(ACTION_MOVE_STAGE, "move_stage", EFFECT_DATABASE, UNKNOWN_RETRY, true)                                           \
    X(ACTION_ADD_TAG, "add_tag", EFFECT_DATABASE, UNKNOWN_RETRY, true)                                                 \
    X(ACTION_REMOVE_TAG, "remove_tag", EFFECT_DATABASE, UNKNOWN_RETRY, true)                                           \
    X(ACTION_CREATE_NOTE, "create_note", EFFECT_DATABASE, UNKNOWN_RETRY, true)                                         \
    X(ACTION_CALL_WEBHOOK, "call_webhook", EFFECT_OUTWARD, UNKNOWN_RETRY, true)                                        \
    X(ACTION_EMIT_EVENT, "emit_event", EFFECT_DATABASE, UNKNOWN_RETRY, true)                                           \
    X(ACTION_START_RULE, "start_rule", EFFECT_DATABASE, UNKNOWN_RETRY, true)                                           \
    X(ACTION_STOP_RULE, "stop_rule", EFFECT_DATABASE, UNKNOWN_RETRY, true)                                             \
    X(ACTION_WAIT, "wait", EFFECT_CONTROL, UNKNOWN_RETRY, true)                                                        \
    X(ACTION_BRANCH, "branch", EFFECT_CONTROL, UNKNOWN_RETRY, true)                                                    \
    X(ACTION_FOR_EACH, "for_each", EFFECT_CONTROL, UNKNOWN_RETRY, true)                                                \
    X(ACTION_STOP, "stop", EFFECT_CONTROL, UNKNOWN_RETRY, true)

/* X(CODE, text, available) for all that follow. */
#define TRIGGER_MAP(X)                                                                                                 \
    X(TRIGGER_MILESTONE, "milestone", true)                                                                            \
    X(TRIGGER_EVENT, "event", true)                                                                                    \
    X(TRIGGER_SCHEDULE, "schedule", false)                                                                             \
    X(TRIGGER_WEBHOOK, "webhook", false)                                                                               \
    X(TRIGGER_MANUAL, "manual", true)

/* X(CODE, text, has a time of day: hour offsets may count from it) */
#define MILESTONE_MAP(X)                                                                                               \
    X(MILESTONE_INQUIRY_RECEIVED, "inquiry_received", false)                                                           \
    X(MILESTONE_CONSULTATION, "consultation", true)                                                                    \
    X(MILESTONE_PROPOSAL_SENT, "proposal_sent", false)                                                                 \
    X(MILESTONE_BOOKING_CONFIRMED, "booking_confirmed", false)                                                         \
    X(MILESTONE_CONTRACT_SIGNED, "contract_signed", false)                                                             \
    X(MILESTONE_RETAINER_PAID, "retainer_paid", false)                                                                 \
    X(MILESTONE_ENGAGEMENT_SESSION, "engagement_session", true)                                                        \
    X(MILESTONE_FINAL_PAYMENT_DUE, "final_payment_due", false)                                                         \
    X(MILESTONE_VENDOR_LIST_DUE, "vendor_list_due", false)                                                             \
    X(MILESTONE_PERMITS_COI_DUE, "permits_coi_due", false)                                                             \
    X(MILESTONE_TIMELINE_DRAFT, "timeline_draft", false)                                                               \
    X(MILESTONE_TIMELINE_CALL, "timeline_call", true)                                                                  \
    X(MILESTONE_FINAL_GUEST_COUNT_DUE, "final_guest_count_due", false)                                                 \
    X(MILESTONE_TIMELINE_FINAL, "timeline_final", false)                                                               \
    X(MILESTONE_FINAL_MEETING, "final_meeting", true)                                                                  \
    X(MILESTONE_REHEARSAL, "rehearsal", true)                                                                          \
    X(MILESTONE_GETTING_READY, "getting_ready", true)                                                                  \
    X(MILESTONE_FIRST_LOOK, "first_look", true)                                                                        \
    X(MILESTONE_CEREMONY, "ceremony", true)                                                                            \
    X(MILESTONE_COCKTAIL_HOUR, "cocktail_hour", true)                                                                  \
    X(MILESTONE_RECEPTION, "reception", true)                                                                          \
    X(MILESTONE_WEDDING_END, "wedding_end", true)                                                                      \
    X(MILESTONE_BACKUP_DONE, "backup_done", false)                                                                     \
    X(MILESTONE_SNEAK_PEEK, "sneak_peek", false)                                                                       \
    X(MILESTONE_GALLERY_DUE, "gallery_due", false)                                                                     \
    X(MILESTONE_GALLERY_DELIVERED, "gallery_delivered", false)                                                         \
    X(MILESTONE_GALLERY_EXPIRES, "gallery_expires", false)                                                             \
    X(MILESTONE_ALBUM_DESIGN, "album_design", false)                                                                   \
    X(MILESTONE_ALBUM_DELIVERED, "album_delivered", false)                                                             \
    X(MILESTONE_ANNIVERSARY, "anniversary", false)

#define WEDDING_STATUS_MAP(X)                                                                                          \
    X(WEDDING_INQUIRY, "inquiry", true)                                                                                \
    X(WEDDING_BOOKED, "booked", true)                                                                                  \
    X(WEDDING_PLANNING, "planning", true)                                                                              \
    X(WEDDING_POSTPONED, "postponed", true)                                                                            \
    X(WEDDING_CANCELLED, "cancelled", true)                                                                            \
    X(WEDDING_COMPLETED, "completed", true)                                                                            \
    X(WEDDING_ARCHIVED, "archived", true)

/* What an already planned run does when its wedding moves. */
#define DATE_CHANGE_MAP(X)                                                                                             \
    X(DATE_CHANGE_RESCHEDULE_PENDING, "reschedule_pending", true)                                                      \
    X(DATE_CHANGE_REFIRE, "refire", true)                                                                              \
    X(DATE_CHANGE_KEEP, "keep", true)                                                                                  \
    X(DATE_CHANGE_ASK, "ask", false)

/* What happens to instants that had passed, by more than the grace, when they were first seen. */
#define LATE_MAP(X)                                                                                                    \
    X(LATE_SKIP, "skip", true)                                                                                         \
    X(LATE_FIRE_LATEST_ONLY, "fire_latest_only", true)                                                                 \
    X(LATE_FIRE_ALL, "fire_all", true)                                                                                 \
    X(LATE_ASK, "ask", false)

/* A second firing while a run of the same rule and wedding is unfinished. */
#define MODE_MAP(X)                                                                                                    \
    X(MODE_SINGLE, "single", true)     /* skip the new one */                                                          \
    X(MODE_RESTART, "restart", true)   /* end the old one */                                                           \
    X(MODE_QUEUED, "queued", true)     /* one after another */                                                         \
    X(MODE_PARALLEL, "parallel", true) /* side by side */

#define ON_ERROR_MAP(X)                                                                                                \
    X(ON_ERROR_CONTINUE, "retry_then_continue", true)                                                                  \
    X(ON_ERROR_STOP, "retry_then_stop", true)

/* Times of day are local to: the venue's zone, the business's zone, or an IANA name given. */
#define ZONE_MODE_MAP(X)                                                                                               \
    X(ZONE_WEDDING, "wedding", true)                                                                                   \
    X(ZONE_TENANT, "tenant", true)                                                                                     \
    X(ZONE_NAMED, "an IANA name", true)

/* RFC 5545 weekday names, Monday first as ISO 8601 counts. */
#define WEEKDAY_MAP(X)                                                                                                 \
    X(WEEKDAY_MO, "MO", true)                                                                                          \
    X(WEEKDAY_TU, "TU", true)                                                                                          \
    X(WEEKDAY_WE, "WE", true)                                                                                          \
    X(WEEKDAY_TH, "TH", true)                                                                                          \
    X(WEEKDAY_FR, "FR", true)                                                                                          \
    X(WEEKDAY_SA, "SA", true)                                                                                          \
    X(WEEKDAY_SU, "SU", true)

/* What happens to an instant outside the send window. */
#define OUTSIDE_MAP(X)                                                                                                 \
    X(OUTSIDE_NEXT_OPEN, "next_open", true)                                                                            \
    X(OUTSIDE_SKIP, "skip", true)

/* First parts of field paths that are always the same; what a business keeps of its own (its weddings' attributes) stands beside
 * them under names of its choice. */
#define ROOT_MAP(X)                                                                                                    \
    X(ROOT_WEDDING, "wedding", true)                                                                                   \
    X(ROOT_VENUE, "venue", true)                                                                                       \
    X(ROOT_CLIENT, "client", true)                                                                                     \
    X(ROOT_PROJECT, "project", true)                                                                                   \
    X(ROOT_VENDORS, "vendors", true)                                                                                   \
    X(ROOT_TIMELINE, "timeline", true)                                                                                 \
    X(ROOT_TENANT, "tenant", true)                                                                                     \
    X(ROOT_EVENT, "event", true)                                                                                       \
    X(ROOT_ITEM, "item", true)                                                                                         \
    X(ROOT_STEPS, "steps", true)                                                                                       \
    X(ROOT_TODAY, "today", true)                                                                                       \
    X(ROOT_NOW, "now", true)

/* Columns of a wedding that rules may set; identity, dates and status have their own ways. */
#define SETTABLE_MAP(X)                                                                                                \
    X(SETTABLE_GUEST_COUNT, "guest_count", true)                                                                       \
    X(SETTABLE_PACKAGE, "package", true)                                                                               \
    X(SETTABLE_BUDGET_CENTS, "budget_cents", true)                                                                     \
    X(SETTABLE_STAGE, "stage", true)                                                                                   \
    X(SETTABLE_TITLE, "title", true)                                                                                   \
    X(SETTABLE_CLIENT_PHONE, "client_phone", true)

#define VOCAB_ENUM(code, ...) code,
enum action_type { ACTION_MAP(VOCAB_ENUM) ACTION_COUNT };
enum trigger_type { TRIGGER_MAP(VOCAB_ENUM) TRIGGER_COUNT };
enum milestone { MILESTONE_MAP(VOCAB_ENUM) MILESTONE_COUNT };
enum wedding_status { WEDDING_STATUS_MAP(VOCAB_ENUM) WEDDING_STATUS_COUNT };
enum date_change { DATE_CHANGE_MAP(VOCAB_ENUM) DATE_CHANGE_COUNT };
enum late_policy { LATE_MAP(VOCAB_ENUM) LATE_COUNT };
enum run_mode { MODE_MAP(VOCAB_ENUM) MODE_COUNT };
enum on_error { ON_ERROR_MAP(VOCAB_ENUM) ON_ERROR_COUNT };
enum zone_mode { ZONE_MODE_MAP(VOCAB_ENUM) ZONE_MODE_COUNT };
enum weekday { WEEKDAY_MAP(VOCAB_ENUM) WEEKDAY_COUNT };
enum outside_window { OUTSIDE_MAP(VOCAB_ENUM) OUTSIDE_COUNT };
enum field_root { ROOT_MAP(VOCAB_ENUM) ROOT_COUNT };
enum settable { SETTABLE_MAP(VOCAB_ENUM) SETTABLE_COUNT };
#undef VOCAB_ENUM

/* The tables by name, for the generic look-ups below. */
enum vocab {
    VOCAB_ACTION,
    VOCAB_TRIGGER,
    VOCAB_MILESTONE,
    VOCAB_WEDDING_STATUS,
    VOCAB_DATE_CHANGE,
    VOCAB_LATE,
    VOCAB_MODE,
    VOCAB_ON_ERROR,
    VOCAB_ZONE_MODE,
    VOCAB_WEEKDAY,
    VOCAB_OUTSIDE,
    VOCAB_ROOT,
    VOCAB_SETTABLE,
    VOCAB_COUNT
};

/* Number of words; codes are 0 … count - 1, which is how the tables are iterated. */
int vocab_count(enum vocab v);
/* The word of a code, static; NULL when `code` is out of range. */
const char *vocab_text(enum vocab v, int code);
/* The code of a word (exact, lower case), or -1. */
int vocab_find(enum vocab v, struct str word);
/* False also for codes out of range. For milestones always true. */
bool vocab_available(enum vocab v, int code);
/* Appends the available words of a table: `a, b or c`. */
void vocab_list(enum vocab v, struct buf *out);

enum vocab_effect vocab_action_effect(enum action_type t);
enum vocab_unknown vocab_action_unknown(enum action_type t);
const char *vocab_effect_text(enum vocab_effect e);   /* "outward" "database" "control" */
const char *vocab_unknown_text(enum vocab_unknown u); /* "retry" "ask" */
bool vocab_milestone_has_time(enum milestone m);

/* Milestones may also be written "wedding.<name>". */
int vocab_find_milestone(struct str word);

/* The entry of `words` nearest to `word` by edit distance, when it is near enough to be a typing error; else NULL. */
const char *vocab_nearest(const char *const *words, size_t n, struct str word);
/* The same over a table. */
const char *vocab_nearest_in(enum vocab v, struct str word);

/* Event types are free text: [a-z][a-z0-9_]* with at least one dot between such words, at most VOCAB_EVENT_TYPE_MAX bytes
 * ("contract.signed", "form.timeline.submitted"). The limit is that of the column. */
#define VOCAB_EVENT_TYPE_MAX 64
bool vocab_event_type_valid(struct str s);

/* "wedding", "tenant", or something that has the shape of an IANA name of at most VOCAB_ZONE_MAX bytes; whether such a zone
 * exists is for PostgreSQL to say. Returns -1 or an enum zone_mode. */
#define VOCAB_ZONE_MAX 64
int vocab_zone_mode(struct str s);

#endif

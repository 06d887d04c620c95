/* generate: see generate.h. Months are weighted like those of real seasons (autumn 43 %, winter 11 %), days towards
 * Saturday. */
#include "cli/season/generate.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/season/dice.h"
#include "cli/season/wedding.h"
#include "common/core/civil.h"

#define MONTHS 14
#define PATH_SIZE 1024

static const char *const rule_keys[] = {"inquiry_autoreply",
                                        "inquiry_followup",
                                        "contract_unsigned_reminder",
                                        "booking_welcome",
                                        "planning_guide",
                                        "vendor_intro",
                                        "questionnaire_90",
                                        "permits_coi",
                                        "large_wedding_second_shooter",
                                        "final_payment_reminder",
                                        "timeline_call_30",
                                        "guest_count_confirm",
                                        "final_details_14",
                                        "weather_backup_3",
                                        "day_before",
                                        "thank_you",
                                        "gallery_delivery",
                                        "review_request",
                                        "date_changed",
                                        "cancelled_ack"};
#define RULES (int)(sizeof(rule_keys) / sizeof(rule_keys[0]))

struct trade {
    const char *name;
    const char *zone;
    unsigned rules; /* bit n: uses rule_keys[n] */
};
static const struct trade trades[] = {
    {"Harbour Light Photography", "Europe/Lisbon", 0xffffe},
    {"Field and Vow Planning", "America/New_York", 0xcfcff},
    {"The Glasshouse Estate", "Australia/Sydney", 0xcf6bd},
};

static enum err open_file(const char *dir, const char *name, FILE **out, struct err_info *info)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    *out = fopen(path, "we");
    return *out ? ERR_OK : err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
}

static enum err close_file(FILE *f, const char *name, struct err_info *info)
{
    bool bad = ferror(f) != 0;
    return fclose(f) != 0 || bad ? err_set(info, ERR_IO, "%s: %s", name, strerror(errno)) : ERR_OK;
}

static void put_line(FILE *f, json_t *line)
{
    json_dumpf(line, f, JSON_COMPACT | JSON_SORT_KEYS);
    (void)fputc('\n', f);
    json_decref(line);
}

static void write_tenants(const struct season_plan *plan, const struct dice *dice, FILE *f)
{
    char id[ID_TEXT_SIZE], name[96], email[64];
    for (int i = 0; i < plan->tenants; i++) {
        const struct trade *t = &trades[i % 3];
        dice_id(dice, "tenant", i, id);
        snprintf(name, sizeof(name), i < 3 ? "%s" : "%s %d", t->name, i / 3 + 1);
        snprintf(email, sizeof(email), "team%d@business.example", i + 1);
        put_line(f, json_pack("{s:s,s:s,s:s,s:s}", "id", id, "name", name, "email", email, "time_zone", t->zone));
    }
}

static void write_vendors(const struct season_plan *plan, const struct dice *dice, FILE *f)
{
    char id[ID_TEXT_SIZE], tenant[ID_TEXT_SIZE], name[96], email[64];
    for (int i = 0; i < plan->tenants * WEDDING_VENDORS; i++) {
        const char *kind = wedding_vendor_kind(i % WEDDING_VENDORS);
        dice_id(dice, "vendor", i, id);
        dice_id(dice, "tenant", i / WEDDING_VENDORS, tenant);
        snprintf(name, sizeof(name), "%c%s %d", kind[0] - 'a' + 'A', kind + 1, i + 1);
        snprintf(email, sizeof(email), "%s%d@vendor.example", kind, i + 1);
        put_line(f, json_pack("{s:s,s:s,s:s,s:s,s:s}", "tenant", tenant, "id", id, "name", name, "kind", kind, "email",
                              email));
    }
}

static void write_rules(const struct season_plan *plan, const struct dice *dice, FILE *f)
{
    char id[ID_TEXT_SIZE], tenant[ID_TEXT_SIZE], file[96];
    for (int i = 0; i < plan->tenants * RULES; i++) {
        if (!(trades[i / RULES % 3].rules >> (i % RULES) & 1))
            continue;
        dice_id(dice, "tenant", i / RULES, tenant);
        dice_id(dice, "rule", i, id);
        snprintf(file, sizeof(file), "rules/%s.json", rule_keys[i % RULES]);
        put_line(f, json_pack("{s:s,s:s,s:s}", "tenant", tenant, "id", id, "file", file));
    }
}

/* The wedding's day: a month by the season's weights, then a week of it, then mostly the Saturday. */
static int32_t wedding_day(const struct dice *dice, int n, struct civil first)
{
    static const int month_weights[12] = {3, 3, 4, 5, 8, 10, 9, 9, 15, 20, 8, 6};
    static const int day_weights[7] = {2, 1, 2, 4, 12, 66, 13}; /* Monday first */
    int weights[MONTHS];
    for (int i = 0; i < MONTHS; i++)
        weights[i] = month_weights[(first.month - 1 + i) % 12];
    int month = first.month - 1 + dice_weighted(dice, "month", n, weights, MONTHS);
    int32_t day =
        civil_to_days((struct civil){first.year + month / 12, month % 12 + 1, 1}) + 7 * dice_roll(dice, "week", n, 4);
    int weekday = dice_weighted(dice, "weekday", n, day_weights, 7);
    while (civil_weekday(day) != weekday + 1)
        day++;
    return day;
}

static enum err write_weddings(const struct season_plan *plan, const struct dice *dice, const char *dir,
                               struct err_info *info)
{
    struct wedding_script script = {
        .dice = dice, .tenants = plan->tenants, .weddings = plan->weddings, .lines = json_array()};
    struct civil start;
    FILE *weddings = NULL, *events = NULL;
    enum err err = civil_parse_date(str_of(plan->start), &start);
    if (err != ERR_OK)
        err_set(info, err, "start %s: expected YYYY-MM-DD", plan->start);
    if (err == ERR_OK)
        err = open_file(dir, "weddings.jsonl", &weddings, info);
    if (err == ERR_OK)
        err = open_file(dir, "events.jsonl", &events, info);
    if (err == ERR_OK) {
        script.start = civil_to_days(start);
        struct civil first = start;
        if (civil_add(start, 2, 0, &first) != ERR_OK)
            first = start;
        for (int i = 0; i < plan->weddings; i++) {
            json_t *before = wedding_write(&script, i, wedding_day(dice, i, first));
            if (before)
                put_line(weddings, before);
        }
        wedding_sort(&script);
        size_t at;
        json_t *line;
        json_array_foreach(script.lines, at, line) put_line(events, json_incref(line));
    }
    json_decref(script.lines);
    if (weddings)
        err = close_file(weddings, "weddings.jsonl", err == ERR_OK ? info : NULL) == ERR_OK ? err : ERR_IO;
    if (events)
        err = close_file(events, "events.jsonl", err == ERR_OK ? info : NULL) == ERR_OK ? err : ERR_IO;
    return err;
}

static enum err write_part(const struct season_plan *plan, const struct dice *dice, const char *dir, const char *name,
                           void (*write)(const struct season_plan *, const struct dice *, FILE *), struct err_info *info)
{
    FILE *f;
    enum err err = open_file(dir, name, &f, info);
    if (err != ERR_OK)
        return err;
    write(plan, dice, f);
    return close_file(f, name, info);
}

static void write_head(const struct season_plan *plan, const struct dice *dice, FILE *f)
{
    struct civil start, until;
    char date[CIVIL_DATE_SIZE];
    (void)dice;
    if (civil_parse_date(str_of(plan->start), &start) != ERR_OK || civil_add(start, MONTHS + 5, 0, &until) != ERR_OK)
        return;
    fprintf(f, "{\"start\": \"%sT00:00:00Z\", \"until\": \"%sT00:00:00Z\", \"seed\": %llu}\n", plan->start,
            civil_format_date(until, date), (unsigned long long)plan->seed);
}

static enum err copy_rule(const char *home, const char *dir, const char *key, struct err_info *info)
{
    char from[PATH_SIZE], name[96];
    json_error_t why;
    FILE *f;
    snprintf(name, sizeof(name), "rules/%s.json", key);
    snprintf(from, sizeof(from), "%s/%s", home, name);
    json_t *rule = json_load_file(from, 0, &why);
    if (!rule)
        return err_set(info, ERR_IO, "%s: %s", from, why.text);
    enum err err = open_file(dir, name, &f, info);
    if (err == ERR_OK) {
        json_dumpf(rule, f, JSON_INDENT(2));
        (void)fputc('\n', f);
        err = close_file(f, name, info);
    }
    json_decref(rule);
    return err;
}

enum err season_generate(const struct season_plan *plan, const char *home, const char *dir, struct err_info *info)
{
    struct dice dice = {plan->seed};
    struct stat a, b;
    char rules[PATH_SIZE];
    enum err err = ERR_OK;
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return err_set(info, ERR_IO, "%s: %s", dir, strerror(errno));
    bool at_home = stat(home, &a) == 0 && stat(dir, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    if (!at_home) {
        snprintf(rules, sizeof(rules), "%s/rules", dir);
        if (mkdir(rules, 0755) != 0 && errno != EEXIST)
            return err_set(info, ERR_IO, "%s: %s", rules, strerror(errno));
        for (int i = 0; err == ERR_OK && i < RULES; i++)
            err = copy_rule(home, dir, rule_keys[i], info);
    }
    if (err == ERR_OK)
        err = write_part(plan, &dice, dir, "season.json", write_head, info);
    if (err == ERR_OK)
        err = write_part(plan, &dice, dir, "tenants.jsonl", write_tenants, info);
    if (err == ERR_OK)
        err = write_part(plan, &dice, dir, "vendors.jsonl", write_vendors, info);
    if (err == ERR_OK)
        err = write_part(plan, &dice, dir, "rules.jsonl", write_rules, info);
    return err == ERR_OK ? write_weddings(plan, &dice, dir, info) : err;
}

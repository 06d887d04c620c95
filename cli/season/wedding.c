/* wedding: see wedding.h.
 *
 * inquiry → contract sent → signed → first payment (booked) → questionnaire → guest count → final payment → the day →
 * gallery → viewed.
 * A few of each hundred never answer, sign late, pay late, postpone, move or cancel. */
#include "cli/season/wedding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/season/dice.h"
#include "common/base/mem.h"
#include "common/core/civil.h"

#define AT_SIZE 32

static const char *const zones[] = {"Europe/Lisbon",    "Europe/Berlin", "America/New_York", "America/Los_Angeles",
                                    "Australia/Sydney", "Asia/Kolkata",  "America/Sao_Paulo"};
static const char *const firsts[] = {"Alma", "Bruno", "Clara", "Dario", "Elif", "Femi", "Greta", "Hugo",
                                     "Ines", "Jonas", "Kira",  "Luca",  "Mira", "Nils", "Olga",  "Pavel"};
static const char *const lasts[] = {"Abreu", "Brandt", "Costa", "Dahl",   "Engel",  "Fonseca",
                                    "Grant", "Holm",   "Ito",   "Jansen", "Keller", "Lund"};
static const char *const packages[] = {"essential", "classic", "signature"};
static const char *const kinds[WEDDING_VENDORS] = {"venue", "catering", "florist", "planner", "music", "cake"};

const char *wedding_vendor_kind(int n)
{
    return kinds[n];
}

struct couple {
    struct wedding_script *script;
    const struct dice *dice;
    int n;
    int32_t day;
    int32_t inquiry;
    char id[ID_TEXT_SIZE];
    char tenant[ID_TEXT_SIZE];
};

static int roll(const struct couple *c, const char *name, int sides)
{
    return dice_roll(c->dice, name, c->n, sides);
}

static bool chance(const struct couple *c, const char *name, int percent)
{
    return dice_chance(c->dice, name, c->n, percent);
}

static const char *date_text(int32_t day, char out[CIVIL_DATE_SIZE])
{
    return civil_format_date(civil_of_days(day), out);
}

/* A line of the script, at an hour and minute of that day (UTC) that differ between weddings. Past the start only. */
static void happens(struct couple *c, int32_t day, const char *what, json_t *more)
{
    char at[AT_SIZE], date[CIVIL_DATE_SIZE];
    if (day < c->script->start) {
        json_decref(more);
        return;
    }
    snprintf(at, sizeof(at), "%sT%02d:%02d:00Z", date_text(day, date), 8 + roll(c, what, 11),
             dice_roll(c->dice, what, 1000 + c->n, 60));
    json_t *line = json_pack("{s:s,s:s,s:s}", "at", at, "tenant", c->tenant, "wedding", c->id);
    json_object_update(line, more);
    json_decref(more);
    json_array_append_new(c->script->lines, line);
}

static json_t *event(const char *type, json_t *payload)
{
    return json_pack("{s:{s:s,s:o}}", "event", "type", type, "payload", payload ? payload : json_object());
}

static json_t *with_set(json_t *line, json_t *set)
{
    json_object_set_new(line, "set", set);
    return line;
}

static json_t *client(const struct couple *c)
{
    char name[64], email[96];
    const char *first = firsts[roll(c, "first", 16)], *last = lasts[roll(c, "last", 12)];
    const char *tag = chance(c, "refuse", 3) ? "+refuse" : chance(c, "later", 6) ? "+later" : "";
    snprintf(name, sizeof(name), "%s %s", first, last);
    snprintf(email, sizeof(email), "client%d%s@couple.example", c->n + 1, tag);
    return json_pack("{s:s,s:s}", "name", name, "email", email);
}

static json_t *vendors(const struct couple *c)
{
    json_t *list = json_array();
    char id[ID_TEXT_SIZE];
    int tenant = c->n % c->script->tenants;
    for (int i = 0; i < WEDDING_VENDORS; i++) {
        if (!dice_chance(c->dice, kinds[i], c->n, i < 2 ? 80 : 40))
            continue;
        dice_id(c->dice, "vendor", tenant * WEDDING_VENDORS + i, id);
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:b}", "vendor", id, "role", kinds[i], "relationship",
                                              dice_chance(c->dice, "preferred", 10 * c->n + i, 30) ? "preferred"
                                                                                                   : "client_booked",
                                              "confirmed", (int)dice_chance(c->dice, "confirmed", 10 * c->n + i, 70)));
    }
    return list;
}

/* What is known at the inquiry. */
static json_t *record(const struct couple *c)
{
    char title[96], date[CIVIL_DATE_SIZE], inquired[CIVIL_DATE_SIZE];
    json_t *who = client(c);
    snprintf(title, sizeof(title), "%s and %s", json_string_value(json_object_get(who, "name")),
             firsts[roll(c, "partner", 16)]);
    json_t *w =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:o}", "tenant", c->tenant, "id", c->id, "title", title, "status",
                  "inquiry", "ceremony_date", date_text(c->day, date), "time_zone", zones[roll(c, "zone", 7)],
                  "inquired_on", date_text(c->inquiry, inquired), "client", who, "vendors", vendors(c));
    json_object_set_new(w, "ceremony_time", json_sprintf("%02d:%02d", 13 + roll(c, "hour", 5), 30 * roll(c, "half", 2)));
    json_object_set_new(w, "guest_count",
                        chance(c, "unknown", 35) ? json_null() : json_integer(20 + roll(c, "guests", 200)));
    json_object_set_new(w, "package", json_string(packages[roll(c, "package", 3)]));
    json_object_set_new(w, "budget_cents", json_integer(100000 * (3 + roll(c, "budget", 30))));
    json_object_set_new(w, "service_types",
                        chance(c, "full", 50) ? json_pack("[s]", "full_service")
                                              : json_pack("[s]", chance(c, "dayof", 15) ? "day_of_only" : "coverage"));
    json_object_set_new(w, "venue",
                        json_pack("{s:s,s:b,s:b,s:b}", "name", chance(c, "barn", 50) ? "the Old Barn" : "the River House",
                                  "indoor", (int)chance(c, "indoor", 55), "permit_required",
                                  (int)chance(c, "permit", 25), "coi_required", (int)chance(c, "coi", 30)));
    json_object_set_new(w, "attributes",
                        json_pack("{s:{s:i,s:b}}", "invoice", "balance_due", 1200 + 100 * roll(c, "balance", 30),
                                  "autopay", (int)chance(c, "autopay", 20)));
    json_object_set_new(w, "milestones",
                        json_pack("[{s:s,s:s,s:i},{s:s,s:s,s:i}]", "name", "final_payment_due", "derived_from",
                                  "ceremony", "derived_days", -30, "name", "gallery_due", "derived_from", "ceremony",
                                  "derived_days", 42));
    return w;
}

/* Contract and first payment. Returns the day of booking, or 0 when it comes to nothing. */
static int32_t book(struct couple *c)
{
    char date[CIVIL_DATE_SIZE];
    int32_t sent = c->inquiry + 2 + roll(c, "quote", 6), signed_on = sent + 1 + roll(c, "sign", 9),
            booked = signed_on + 1 + roll(c, "pay", 4);
    happens(c, sent, "sent", event("contract.sent", NULL));
    if (chance(c, "lost", 6))
        return 0;
    happens(c, signed_on, "signed",
            with_set(event("contract.signed", NULL),
                     json_pack("{s:{s:{s:s}}}", "attributes", "contract", "signed_at", date_text(signed_on, date))));
    happens(c, booked, "booked",
            with_set(event("payment.received", json_pack("{s:s,s:i}", "installment", "first", "amount", 800)),
                     json_pack("{s:s,s:s}", "status", "booked", "booked_on", date_text(booked, date))));
    return booked;
}

/* One cancellation and one postponement in so many weddings; in a season of fewer as well, unless it is tiny. */
#define EXCEPTION_EVERY 60
#define EXCEPTION_LEAST 12

static bool is_exception(const struct couple *c, int which)
{
    int all = c->script->weddings;
    int every = all >= EXCEPTION_LEAST && all < EXCEPTION_EVERY ? all : EXCEPTION_EVERY;
    return c->n % every == which * every / EXCEPTION_EVERY;
}

/* Moves, postponements and cancellations, planned ahead. Returns the day it takes place; 0: never. */
static int32_t change(struct couple *c, int32_t booked)
{
    char date[CIVIL_DATE_SIZE];
    int32_t when = c->day - 58 + roll(c, "notice", 3), to = c->day + 7 * (4 + roll(c, "shift", 10));
    bool cancelled = is_exception(c, 17);
    if (cancelled)
        when = c->day - 36 + roll(c, "notice", 4); /* between the payment reminder and its second part */
    if (when <= booked + 3)
        return c->day;
    if (cancelled) {
        happens(c, when, "cancel",
                with_set(event("wedding.cancelled", json_pack("{s:s}", "by", "client")),
                         json_pack("{s:s}", "status", "cancelled")));
        return 0;
    }
    if (is_exception(c, 31)) {
        happens(c, when, "postpone",
                with_set(event("wedding.postponed", NULL),
                         json_pack("{s:s,s:n}", "status", "postponed", "ceremony_date")));
        happens(c, when + 20, "redate",
                json_pack("{s:{s:s,s:s,s:s}}", "set", "status", "booked", "ceremony_date", date_text(to, date),
                          "ceremony_time", "15:00"));
        return to;
    }
    if (c->n % 20 == 5) {
        happens(c, when, "move", json_pack("{s:{s:s}}", "set", "ceremony_date", date_text(to, date)));
        return to;
    }
    return c->day;
}

static void prepare(struct couple *c, int32_t day)
{
    char date[CIVIL_DATE_SIZE];
    int32_t form = day - 88 + roll(c, "form", 20);
    if (chance(c, "answers", 65))
        happens(c, form, "form",
                with_set(event("form.submitted", json_pack("{s:s}", "form_slug", "timeline")),
                         json_pack("{s:{s:{s:{s:s}}}}", "attributes", "forms", "timeline", "submitted_at",
                                   date_text(form, date))));
    if (chance(c, "counted", 80))
        happens(c, day - 26 + roll(c, "count", 9), "count",
                json_pack("{s:{s:i}}", "set", "guest_count", 25 + roll(c, "final", 190)));
    happens(c, day - 33 + roll(c, "final pay", 8), "final",
            with_set(event("payment.received", json_pack("{s:s,s:i}", "installment", "final", "amount", 1900)),
                     json_pack("{s:{s:{s:i,s:b}}}", "attributes", "invoice", "balance_due", 0, "autopay", 0)));
}

static void deliver(struct couple *c, int32_t day)
{
    int32_t gallery = day + 30 + roll(c, "gallery", 20);
    json_t *line = event("gallery.delivered", json_pack("{s:i}", "photos", 400 + roll(c, "photos", 500)));
    happens(c, day + 1, "completed", json_pack("{s:{s:s}}", "set", "status", "completed"));
    json_object_set_new(line, "enqueue",
                        json_pack("{s:s,s:{s:s},s:s}", "kind", "gallery.render", "payload", "wedding", c->id, "key",
                                  c->id));
    happens(c, gallery, "delivered", line);
    if (chance(c, "looks", 70))
        happens(c, gallery + 1 + roll(c, "look", 9), "viewed", event("gallery.viewed", NULL));
}

json_t *wedding_write(struct wedding_script *script, int n, int32_t day)
{
    struct couple c = {.script = script, .dice = script->dice, .n = n, .day = day};
    dice_id(c.dice, "wedding", n, c.id);
    dice_id(c.dice, "tenant", n % script->tenants, c.tenant);
    c.inquiry = day - 140 - roll(&c, "lead", 200);
    json_t *w = record(&c);
    bool before = c.inquiry < script->start;
    if (before) {
        char date[CIVIL_DATE_SIZE];
        int32_t booked = c.inquiry + 12 < script->start ? c.inquiry + 12 : script->start - 1;
        json_object_set_new(w, "status", json_string("booked"));
        json_object_set_new(w, "booked_on", json_string(date_text(booked, date)));
        json_object_set_new(json_object_get(w, "attributes"), "contract",
                            json_pack("{s:s}", "signed_at", date_text(booked - 2, date)));
        c.inquiry = booked - 12;
    } else {
        json_t *line =
            event("inquiry.created", json_pack("{s:s}", "source", chance(&c, "web", 70) ? "website" : "referral"));
        json_object_set(line, "create", w);
        happens(&c, c.inquiry, "inquiry", line);
    }
    int32_t booked = before ? c.inquiry + 12 : book(&c);
    int32_t held = booked ? change(&c, booked) : 0;
    if (held) {
        prepare(&c, held);
        deliver(&c, held);
    }
    if (before)
        return w;
    json_decref(w);
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int order = strcmp(json_string_value(json_object_get(x, "at")), json_string_value(json_object_get(y, "at")));
    return order ? order
                 : strcmp(json_string_value(json_object_get(x, "wedding")),
                          json_string_value(json_object_get(y, "wedding")));
}

void wedding_sort(struct wedding_script *script)
{
    size_t n = json_array_size(script->lines);
    json_t **lines = mem_alloc((n + 1) * sizeof(json_t *));
    if (!lines)
        abort();
    for (size_t i = 0; i < n; i++)
        lines[i] = json_incref(json_array_get(script->lines, i));
    qsort(lines, n, sizeof(json_t *), by_time);
    json_array_clear(script->lines);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(script->lines, lines[i]);
    mem_free(lines);
}

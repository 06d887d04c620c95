/* vocab: see vocab.h. Static tables and look-ups over them; nothing here fails. Look-ups are linear: the longest table has some
 * thirty words and they run when a rule is parsed, never when it is matched. */
#include "common/core/vocab.h"

#include <stdint.h>
#include <string.h>

struct word {
    const char *text;
    bool available;
};

#define WORD(code, text, available) {text, available},
#define WORD_ACTION(code, text, effect, unknown, available) {text, available},
#define WORD_MILESTONE(code, text, has_time) {text, true},
static const struct word actions[] = {ACTION_MAP(WORD_ACTION)};
static const struct word triggers[] = {TRIGGER_MAP(WORD)};
static const struct word milestones[] = {MILESTONE_MAP(WORD_MILESTONE)};
static const struct word statuses[] = {WEDDING_STATUS_MAP(WORD)};
static const struct word date_changes[] = {DATE_CHANGE_MAP(WORD)};
static const struct word lates[] = {LATE_MAP(WORD)};
static const struct word modes[] = {MODE_MAP(WORD)};
static const struct word on_errors[] = {ON_ERROR_MAP(WORD)};
static const struct word zone_modes[] = {ZONE_MODE_MAP(WORD)};
static const struct word weekdays[] = {WEEKDAY_MAP(WORD)};
static const struct word outsides[] = {OUTSIDE_MAP(WORD)};
static const struct word roots[] = {ROOT_MAP(WORD)};
static const struct word settables[] = {SETTABLE_MAP(WORD)};

#define ROW_EFFECT(code, text, effect, unknown, available) effect,
#define ROW_UNKNOWN(code, text, effect, unknown, available) unknown,
#define ROW_TIME(code, text, has_time) has_time,
static const enum vocab_effect effects[] = {ACTION_MAP(ROW_EFFECT)};
static const enum vocab_unknown unknowns[] = {ACTION_MAP(ROW_UNKNOWN)};
static const bool milestone_times[] = {MILESTONE_MAP(ROW_TIME)};

#define TABLE(array)                                                                                                   \
    {                                                                                                                  \
        array, (int)(sizeof(array) / sizeof((array)[0]))                                                               \
    }
static const struct {
    const struct word *words;
    int n;
} tables[VOCAB_COUNT] = {
    [VOCAB_ACTION] = TABLE(actions),
    [VOCAB_TRIGGER] = TABLE(triggers),
    [VOCAB_MILESTONE] = TABLE(milestones),
    [VOCAB_WEDDING_STATUS] = TABLE(statuses),
    [VOCAB_DATE_CHANGE] = TABLE(date_changes),
    [VOCAB_LATE] = TABLE(lates),
    [VOCAB_MODE] = TABLE(modes),
    [VOCAB_ON_ERROR] = TABLE(on_errors),
    [VOCAB_ZONE_MODE] = TABLE(zone_modes),
    [VOCAB_WEEKDAY] = TABLE(weekdays),
    [VOCAB_OUTSIDE] = TABLE(outsides),
    [VOCAB_ROOT] = TABLE(roots),
    [VOCAB_SETTABLE] = TABLE(settables),
};

int vocab_count(enum vocab v)
{
    return tables[v].n;
}

const char *vocab_text(enum vocab v, int code)
{
    return code >= 0 && code < tables[v].n ? tables[v].words[code].text : NULL;
}

int vocab_find(enum vocab v, struct str word)
{
    for (int i = 0; i < tables[v].n; i++) {
        if (str_is(word, tables[v].words[i].text))
            return i;
    }
    return -1;
}

bool vocab_available(enum vocab v, int code)
{
    return code >= 0 && code < tables[v].n && tables[v].words[code].available;
}

void vocab_list(enum vocab v, struct buf *out)
{
    int left = 0;
    bool first = true;

    for (int i = 0; i < tables[v].n; i++)
        left += tables[v].words[i].available ? 1 : 0;
    for (int i = 0; i < tables[v].n; i++) {
        if (!tables[v].words[i].available)
            continue;
        if (!first)
            buf_put_str(out, left > 1 ? ", " : " or ");
        buf_put_str(out, tables[v].words[i].text);
        first = false;
        left--;
    }
}

enum vocab_effect vocab_action_effect(enum action_type t)
{
    return effects[t];
}

enum vocab_unknown vocab_action_unknown(enum action_type t)
{
    return unknowns[t];
}

const char *vocab_effect_text(enum vocab_effect e)
{
    switch (e) {
    case EFFECT_OUTWARD: return "outward";
    case EFFECT_DATABASE: return "database";
    case EFFECT_CONTROL: return "control";
    }
    return "";
}

const char *vocab_unknown_text(enum vocab_unknown u)
{
    return u == UNKNOWN_ASK ? "ask" : "retry";
}

bool vocab_milestone_has_time(enum milestone m)
{
    return milestone_times[m];
}

int vocab_find_milestone(struct str word)
{
    static const char prefix[] = "wedding.";

    if (str_starts(word, prefix)) {
        word.p += sizeof(prefix) - 1;
        word.n -= sizeof(prefix) - 1;
    }
    return vocab_find(VOCAB_MILESTONE, word);
}

/* Words longer than this are not compared: no word of any table is. */
enum { WORD_MAX = 40 };

/* Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours. */
static unsigned distance(struct str a, const char *b, size_t b_n)
{
    unsigned row[3][WORD_MAX + 1];
    unsigned *before = row[0], *above = row[1], *here = row[2];

    for (size_t j = 0; j <= b_n; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= a.n; i++) {
        unsigned *spare = before;

        here[0] = (unsigned)i;
        for (size_t j = 1; j <= b_n; j++) {
            unsigned best = above[j - 1] + (a.p[i - 1] == b[j - 1] ? 0 : 1);

            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (here[j - 1] + 1 < best)
                best = here[j - 1] + 1;
            if (i > 1 && j > 1 && a.p[i - 1] == b[j - 2] && a.p[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            here[j] = best;
        }
        before = above;
        above = here;
        here = spare;
    }
    return above[b_n];
}

/* A word is a likely typing error of another when at most a third of it differs. */
static bool consider(const char *text, struct str word, unsigned *best)
{
    size_t n = strlen(text);
    size_t longer = n > word.n ? n : word.n;
    unsigned d;

    if (n > WORD_MAX || word.n > WORD_MAX || word.n == 0)
        return false;
    d = distance(word, text, n);
    if (d * 3 > longer || d >= *best)
        return false;
    *best = d;
    return true;
}

const char *vocab_nearest(const char *const *words, size_t n, struct str word)
{
    unsigned best = UINT32_MAX;
    const char *found = NULL;

    for (size_t i = 0; i < n; i++) {
        if (consider(words[i], word, &best))
            found = words[i];
    }
    return found;
}

const char *vocab_nearest_in(enum vocab v, struct str word)
{
    unsigned best = UINT32_MAX;
    const char *found = NULL;

    for (int i = 0; i < tables[v].n; i++) {
        if (consider(tables[v].words[i].text, word, &best))
            found = tables[v].words[i].text;
    }
    return found;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool vocab_event_type_valid(struct str s)
{
    bool starting = true;
    size_t dots = 0;

    if (s.n == 0 || s.n > VOCAB_EVENT_TYPE_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' && !starting) {
            dots++;
            starting = true;
            continue;
        }
        if (!is_lower(s.p[i]) && (starting || (!is_digit(s.p[i]) && s.p[i] != '_')))
            return false;
        starting = false;
    }
    return dots > 0 && !starting;
}

static bool is_zone_char(char c)
{
    return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '+' || c == '-';
}

/* Area/Location names and the few single words of tzdata begin with a capital ("Europe/Berlin", "UTC", "Etc/GMT+5"). */
int vocab_zone_mode(struct str s)
{
    bool starting = true;

    if (str_is(s, "wedding"))
        return ZONE_WEDDING;
    if (str_is(s, "tenant"))
        return ZONE_TENANT;
    if (s.n < 3 || s.n > VOCAB_ZONE_MAX || s.p[0] < 'A' || s.p[0] > 'Z')
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '/' ? starting : !is_zone_char(s.p[i]))
            return -1;
        starting = s.p[i] == '/';
    }
    return starting ? -1 : ZONE_NAMED;
}

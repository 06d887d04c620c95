/* migrate_sql: just enough of PostgreSQL's lexical rules (manual, "Lexical Structure") to find the ends of statements. It
 * decides which line an error without position belongs to, that a no-transaction file holds one statement and that no
 * file ends its transaction; what runs is the text as it stands. */
#include "common/io/migrate_private.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static char at_or_nul(struct str s, size_t i)
{
    return i < s.n ? s.p[i] : '\0';
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static size_t skip_line_comment(struct str s, size_t i)
{
    while (i < s.n && s.p[i] != '\n')
        i++;
    return i;
}

static size_t skip_block_comment(struct str s, size_t i)
{
    int depth = 0;
    while (i < s.n) {
        bool open = s.p[i] == '/' && at_or_nul(s, i + 1) == '*';
        bool close = s.p[i] == '*' && at_or_nul(s, i + 1) == '/';
        depth += open - close;
        i += open || close ? 2 : 1;
        if (depth == 0)
            break;
    }
    return i < s.n ? i : s.n;
}

/* From the opening quote; doubled quotes stand for one and end nothing by ending and beginning again. */
static size_t skip_quoted(struct str s, size_t i, bool backslashes)
{
    char quote = s.p[i++];
    while (i < s.n && s.p[i] != quote)
        i += backslashes && s.p[i] == '\\' ? 2 : 1;
    return i < s.n ? i + 1 : s.n;
}

/* From a '$': behind the closing tag, or behind the '$' when no dollar quote begins here. */
static size_t skip_dollar(struct str s, size_t i)
{
    size_t end = i + 1;
    while (is_word(at_or_nul(s, end)))
        end++;
    if (at_or_nul(s, end) != '$' || isdigit((unsigned char)at_or_nul(s, i + 1)))
        return i + 1;
    size_t tag_n = end + 1 - i;
    const char *close = memmem(s.p + end + 1, s.n - end - 1, s.p + i, tag_n);
    return close ? (size_t)(close - s.p) + tag_n : s.n;
}

static bool word_is(struct str word, const char *text)
{
    return word.n == strlen(text) && strncasecmp(word.p, text, word.n) == 0;
}

static size_t skip_blank(struct str s, size_t i)
{
    for (;;) {
        if (isspace((unsigned char)at_or_nul(s, i)))
            i++;
        else if (at_or_nul(s, i) == '-' && at_or_nul(s, i + 1) == '-')
            i = skip_line_comment(s, i);
        else if (at_or_nul(s, i) == '/' && at_or_nul(s, i + 1) == '*')
            i = skip_block_comment(s, i);
        else
            return i;
    }
}

static struct str word_at(struct str s, size_t i)
{
    size_t end = i;
    while (is_word(at_or_nul(s, end)) || (end > i && at_or_nul(s, end) == '$'))
        end++;
    return (struct str){s.p + i, end - i};
}

/* Depth of BEGIN ATOMIC … END, inside which CASE … END nests. */
static int atomic_depth(struct str s, struct str word, int depth)
{
    if (depth > 0)
        return depth + word_is(word, "CASE") - word_is(word, "END");
    if (!word_is(word, "BEGIN"))
        return 0;
    return word_is(word_at(s, skip_blank(s, (size_t)(word.p - s.p) + word.n)), "ATOMIC");
}

/* Behind the token at i that is neither blank, comment nor one character. */
static size_t skip_token(struct str s, size_t i, int *atomic)
{
    char c = s.p[i];
    if (c == '\'' || c == '"')
        return skip_quoted(s, i, false);
    if (c == '$')
        return skip_dollar(s, i);
    if (!is_word(c))
        return i + 1;
    struct str word = word_at(s, i);
    if (word_is(word, "E") && at_or_nul(s, i + 1) == '\'')
        return skip_quoted(s, i + 1, true);
    *atomic = atomic_depth(s, word, *atomic);
    return i + word.n;
}

bool migrate_sql_next(struct str text, size_t *at, struct str *statement)
{
    size_t i = skip_blank(text, *at);
    while (at_or_nul(text, i) == ';')
        i = skip_blank(text, i + 1);
    size_t start = i;
    size_t end = i;
    int parens = 0;
    int atomic = 0;
    while (i < text.n && !(text.p[i] == ';' && parens <= 0 && atomic <= 0)) {
        parens += (text.p[i] == '(') - (text.p[i] == ')');
        end = i = skip_token(text, i, &atomic);
        i = skip_blank(text, i);
    }
    *at = i;
    *statement = (struct str){text.p + start, end - start};
    return end > start;
}

int migrate_sql_line(struct str text, size_t offset_bytes)
{
    int line = 1;
    for (size_t i = 0; i < offset_bytes && i < text.n; i++)
        line += text.p[i] == '\n';
    return line;
}

size_t migrate_sql_offset(struct str text, int position_chars)
{
    size_t i = 0;
    for (int seen = 0; i < text.n; i++) {
        seen += ((unsigned char)text.p[i] & 0xc0) != 0x80;
        if (seen == position_chars)
            break;
    }
    return i;
}

bool migrate_sql_ends_transaction(struct str statement)
{
    static const char *const words[] = {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"};
    struct str first = word_at(statement, 0);
    struct str second = word_at(statement, skip_blank(statement, first.n));
    if (word_is(first, "ROLLBACK") && word_is(second, "TO"))
        return false;
    if (word_is(first, "PREPARE"))
        return word_is(second, "TRANSACTION");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (word_is(first, words[i]))
            return true;
    return false;
}

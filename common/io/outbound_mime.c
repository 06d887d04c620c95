#include "common/io/outbound_mime.h"

#include <string.h>
#include <time.h>

#include "common/base/str.h"
#include "common/core/base64.h"

enum {
    LINE_MAX_CHARS = 76,  /* RFC 2045 §6.7 and RFC 2047 §2: without CRLF */
    WORD_OVERHEAD = 12,   /* =?UTF-8?B?…?= */
    WORD_MAX_CHARS = 75,  /* RFC 2047 §2: one encoded word */
    LOCAL_MAX_BYTES = 64, /* RFC 5321 §4.5.3.1.1 */
    MESSAGE_ID_MAX_BYTES = 250,
    US_PER_S = 1000000
};

/* Quoted-printable text never holds "=_", so this boundary can not occur in a part (RFC 2045 §6.7, closing note). */
#define BOUNDARY "=_usher_alternative"

static bool has_control(const char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return true;
    }
    return false;
}

static enum err check_text(const char *what, const char *s, struct err_info *info)
{
    if (has_control(s))
        return err_set(info, ERR_INVALID, "%s: line break or control character", what);
    if (!str_is_utf8(str_of(s)))
        return err_set(info, ERR_INVALID, "%s: not UTF-8", what);
    return ERR_OK;
}

/* --- addresses --- */

static bool alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Runs of the given characters (and letters, digits), separated by single dots. */
static bool dotted(const char *p, size_t n, const char *others)
{
    bool after_dot = true;
    for (size_t i = 0; i < n; i++) {
        bool dot = p[i] == '.';
        if (dot ? after_dot : !alnum(p[i]) && strchr(others, p[i]) == NULL)
            return false;
        after_dot = dot;
    }
    return n > 0 && !after_dot;
}

static bool domain_is_good(const char *p, size_t n)
{
    if (n > 2 && p[0] == '[' && p[n - 1] == ']')
        return strspn(p + 1, "0123456789abcdefABCDEF.:IPv") == n - 2;
    return dotted(p, n, "-");
}

static bool addr_spec_is_good(const char *s)
{
    const char *at = strrchr(s, '@');
    if (at == NULL || at - s > LOCAL_MAX_BYTES)
        return false;
    return dotted(s, (size_t)(at - s), "!#$%&'*+-/=?^_`{|}~") && domain_is_good(at + 1, strlen(at + 1));
}

/* Copies a display name without surrounding blanks and without quotes. */
static bool copy_name(char out[OUTBOUND_NAME_SIZE], const char *p, size_t n)
{
    while (n > 0 && *p == ' ') {
        p++;
        n--;
    }
    while (n > 0 && p[n - 1] == ' ')
        n--;
    if (n < 2 || p[0] != '"' || p[n - 1] != '"')
        return str_copy_n(out, OUTBOUND_NAME_SIZE, p, n);
    size_t len = 0;
    for (size_t i = 1; i < n - 1 && len < OUTBOUND_NAME_SIZE - 1; i++) {
        if (p[i] == '\\' && i + 1 < n - 1)
            i++;
        out[len++] = p[i];
    }
    out[len] = '\0';
    return n - 2 < OUTBOUND_NAME_SIZE;
}

enum err outbound_mime_address(const char *text, struct outbound_address *out, struct err_info *info)
{
    *out = (struct outbound_address){0};
    if (text == NULL)
        return err_set(info, ERR_INVALID, "address: missing");
    enum err e = check_text("address", text, info);
    if (e != ERR_OK)
        return e;
    const char *open = strrchr(text, '<');
    size_t n = strlen(text);
    bool copied;
    if (open == NULL)
        copied = str_copy(out->addr, sizeof(out->addr), text);
    else
        copied = text[n - 1] == '>' &&
                 str_copy_n(out->addr, sizeof(out->addr), open + 1, (size_t)(text + n - 1 - open - 1)) &&
                 copy_name(out->name, text, (size_t)(open - text));
    if (!copied || !addr_spec_is_good(out->addr))
        return err_set(info, ERR_INVALID,
                       "address: not of the form local@domain or Name <local@domain> (ASCII), or too long");
    return ERR_OK;
}

/* --- headers --- */

static size_t column_of(const struct buf *b)
{
    size_t n = 0;
    while (n < b->len && b->data[b->len - 1 - n] != '\n')
        n++;
    return n;
}

static bool is_plain(const char *s)
{
    for (const char *p = s; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~')
            return false;
    }
    return strstr(s, "=?") == NULL;
}

/* The longest piece of at most `most` bytes that does not cut a character. */
static size_t whole_characters(const char *s, size_t n, size_t most)
{
    if (n <= most)
        return n;
    size_t k = most;
    while (k > 0 && ((unsigned char)s[k] & 0xc0) == 0x80)
        k--;
    return k;
}

static void put_words(struct buf *out, const char *s)
{
    size_t n = strlen(s);
    while (n > 0) {
        size_t column = column_of(out);
        size_t room = column < LINE_MAX_CHARS ? LINE_MAX_CHARS - column : 0;
        if (room > WORD_MAX_CHARS)
            room = WORD_MAX_CHARS;
        size_t bytes = room > WORD_OVERHEAD ? (room - WORD_OVERHEAD) / 4 * 3 : 0;
        size_t take = whole_characters(s, n, bytes);
        if (take > 0) {
            buf_put_str(out, "=?UTF-8?B?");
            base64_encode(out, s, take);
            buf_put_str(out, "?=");
        }
        s += take;
        n -= take;
        if (n > 0)
            buf_put_str(out, "\r\n "); /* between encoded words: not part of the text */
    }
}

enum err outbound_mime_header(struct buf *out, const char *name, const char *value, struct err_info *info)
{
    enum err e = check_text(name, value, info);
    if (e != ERR_OK)
        return e;
    if (strlen(value) > OUTBOUND_SUBJECT_MAX_BYTES)
        return err_set(info, ERR_LIMIT, "%s: longer than %d bytes", name, OUTBOUND_SUBJECT_MAX_BYTES);
    buf_printf(out, "%s: ", name);
    if (is_plain(value) && column_of(out) + strlen(value) <= LINE_MAX_CHARS)
        buf_put_str(out, value);
    else
        put_words(out, value);
    buf_put_str(out, "\r\n");
    return ERR_OK;
}

static void put_name(struct buf *out, const char *name)
{
    if (!is_plain(name) || strlen(name) + 2 > LINE_MAX_CHARS / 2) {
        put_words(out, name);
        return;
    }
    buf_put_char(out, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"' || *name == '\\')
            buf_put_char(out, '\\');
        buf_put_char(out, *name);
    }
    buf_put_char(out, '"');
}

static void put_address(struct buf *out, const char *header, const struct outbound_address *a)
{
    buf_printf(out, "%s: ", header);
    if (a->name[0] != '\0') {
        put_name(out, a->name);
        buf_put_str(out, column_of(out) + strlen(a->addr) + 3 > LINE_MAX_CHARS ? "\r\n " : " ");
    }
    buf_printf(out, "<%s>\r\n", a->addr);
}

enum err outbound_mime_date(struct buf *out, int64_t us)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t s = (time_t)(us / US_PER_S - (us % US_PER_S < 0));
    struct tm t;
    if (gmtime_r(&s, &t) == NULL || t.tm_year < 0 || t.tm_year > 9999 - 1900)
        return ERR_INVALID;
    buf_printf(out, "%s, %02d %s %04d %02d:%02d:%02d +0000", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
               t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    return ERR_OK;
}

/* --- bodies --- */

static bool ends_line(const char *p)
{
    return *p == '\r' || *p == '\n' || *p == '\0';
}

static bool needs_quoting(const char *p, size_t column)
{
    if (*p == '.' && column == 0)
        return true; /* a dot alone would end the mail */
    if (*p == ' ' || *p == '\t')
        return ends_line(p + 1); /* relays may strip blanks at the end of a line */
    return *p < ' ' || *p > '~' || *p == '=';
}

void outbound_mime_quoted(struct buf *out, const char *text)
{
    size_t column = 0;
    const char *p = text;
    while (*p != '\0') {
        if (*p == '\r' || *p == '\n') {
            p += *p == '\r' && p[1] == '\n' ? 2 : 1;
            buf_put_str(out, "\r\n");
            column = 0;
            continue;
        }
        size_t width = needs_quoting(p, column) ? 3 : 1;
        if (column + width > LINE_MAX_CHARS - 1) {
            buf_put_str(out, "=\r\n");
            column = 0;
            width = needs_quoting(p, column) ? 3 : 1;
        }
        if (width == 3)
            buf_printf(out, "=%02X", (unsigned)(unsigned char)*p);
        else
            buf_put_char(out, *p);
        column += width;
        p++;
    }
    if (column > 0)
        buf_put_str(out, "\r\n");
}

static void put_part(struct buf *out, const char *type, const char *text)
{
    buf_printf(out, "Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", type);
    outbound_mime_quoted(out, text);
}

static void put_bodies(struct buf *out, const struct outbound_mail *mail)
{
    buf_put_str(out, "MIME-Version: 1.0\r\n");
    if (mail->html == NULL) {
        put_part(out, "plain", mail->text);
        return;
    }
    buf_put_str(out, "Content-Type: multipart/alternative; boundary=\"" BOUNDARY "\"\r\n\r\n--" BOUNDARY "\r\n");
    put_part(out, "plain", mail->text);
    buf_put_str(out, "--" BOUNDARY "\r\n");
    put_part(out, "html", mail->html);
    buf_put_str(out, "--" BOUNDARY "--\r\n");
}

static enum err check_body(const char *what, const char *s, struct err_info *info)
{
    size_t n = s ? strlen(s) : 0;
    if (s == NULL)
        return err_set(info, ERR_INVALID, "%s: missing", what);
    if (n > OUTBOUND_PART_MAX_BYTES)
        return err_set(info, ERR_LIMIT, "%s: longer than %u bytes", what, OUTBOUND_PART_MAX_BYTES);
    return str_is_utf8((struct str){s, n}) ? ERR_OK : err_set(info, ERR_INVALID, "%s: not UTF-8", what);
}

/* --- the message --- */

static enum err check_message_id(const char *id, struct err_info *info)
{
    size_t n = id != NULL ? strlen(id) : 0;
    const char *at = n > 0 ? strrchr(id, '@') : NULL;
    if (at == NULL || n > MESSAGE_ID_MAX_BYTES || !dotted(id, (size_t)(at - id), "!#$%&'*+-/=?^_`{|}~") ||
        !domain_is_good(at + 1, strlen(at + 1)))
        return err_set(info, ERR_INVALID, "message id: not of the form left@right, or too long");
    return ERR_OK;
}

static enum err check_mail(const struct outbound_mail *mail, struct err_info *info)
{
    enum err e = check_message_id(mail->message_id, info);
    if (e == ERR_OK && (mail->subject == NULL || mail->text == NULL))
        e = err_set(info, ERR_INVALID, "mail: subject or text missing");
    if (e == ERR_OK)
        e = check_body("text", mail->text, info);
    if (e == ERR_OK && mail->html != NULL)
        e = check_body("html", mail->html, info);
    return e;
}

enum err outbound_mime_build(struct buf *out, const struct outbound_mail *mail, struct outbound_address *from,
                             struct outbound_address *to, struct err_info *info)
{
    struct outbound_address reply_to;
    enum err e = check_mail(mail, info);
    if (e == ERR_OK)
        e = outbound_mime_address(mail->from, from, info);
    if (e == ERR_OK)
        e = outbound_mime_address(mail->to, to, info);
    if (e == ERR_OK && mail->reply_to != NULL)
        e = outbound_mime_address(mail->reply_to, &reply_to, info);
    if (e != ERR_OK)
        return e;
    buf_put_str(out, "Date: ");
    e = outbound_mime_date(out, mail->date_us);
    if (e != ERR_OK)
        return err_set(info, e, "date: outside the years 1900 to 9999");
    buf_put_str(out, "\r\n");
    put_address(out, "From", from);
    put_address(out, "To", to);
    if (mail->reply_to != NULL)
        put_address(out, "Reply-To", &reply_to);
    e = outbound_mime_header(out, "Subject", mail->subject, info);
    if (e != ERR_OK)
        return e;
    buf_printf(out, "Message-ID: <%s>\r\nAuto-Submitted: auto-generated\r\n", mail->message_id);
    put_bodies(out, mail);
    return ERR_OK;
}

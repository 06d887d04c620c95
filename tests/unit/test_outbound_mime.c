/* Mail as text. */
#include <criterion/criterion.h>

#include <string.h>

#include "common/base/mem.h"
#include "common/io/outbound_mime.h"

Test(outbound_mime, reads_addresses_with_and_without_names)
{
    static const struct {
        const char *text;
        const char *addr;
        const char *name;
    } rows[] = {
        {"a@b", "a@b", ""},
        {"anna.b+tag@example.test", "anna.b+tag@example.test", ""},
        {"<a@b>", "a@b", ""},
        {"Anna B <a@b>", "a@b", "Anna B"},
        {"  Anna  <a@b>", "a@b", "Anna"},
        {"\"B, Anna\" <a@b>", "a@b", "B, Anna"},
        {"\"a \\\"q\\\" \\\\ z\" <a@b>", "a@b", "a \"q\" \\ z"},
        {"Zo\xc3\xab <z@[127.0.0.1]>", "z@[127.0.0.1]", "Zo\xc3\xab"},
        {"a <b> c <a@b>", "a@b", "a <b> c"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outbound_address a;
        cr_expect_eq(outbound_mime_address(rows[i].text, &a, NULL), ERR_OK, "%s", rows[i].text);
        cr_expect_str_eq(a.addr, rows[i].addr);
        cr_expect_str_eq(a.name, rows[i].name);
    }
}

Test(outbound_mime, refuses_what_is_not_one_address)
{
    static const char *const bad[] = {
        "",
        "a",
        "@b",
        "a@",
        "a@b>",
        "<a@b",
        "a@b <c",
        "a b@c",
        "a@b, c@d",
        "a@b\r\nRCPT TO:<x@y>",
        "a\n@b",
        "a@b\x7f",
        "a@b\t",
        "N\r\nBcc: x@y <a@b>",
        ".a@b",
        "a.@b",
        "a..b@c",
        "a@.b",
        "a@b.",
        "a@b c",
        "a@[x y]",
        "a@[]",
        "\"a b\"@c",
        "a<b@c",
        "\xc3\xab@b",
        "a@\xc3\xab",
        "\xff <a@b>",
        "a;b@c",
        "a@b(c)",
        "<>",
        "0123456789012345678901234567890123456789012345678901234567890123x@b",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct outbound_address a;
        struct err_info info = {.text = ""};
        cr_expect_eq(outbound_mime_address(bad[i], &a, &info), ERR_INVALID, "%s gave %s", bad[i], a.addr);
        cr_expect(info.text[0] != '\0');
    }
    struct outbound_address a;
    cr_expect_eq(outbound_mime_address(NULL, &a, NULL), ERR_INVALID);
}

static void expect_header(const char *value, const char *want)
{
    struct buf b = {0};
    cr_expect_eq(outbound_mime_header(&b, "Subject", value, NULL), ERR_OK, "%s", value);
    cr_expect_str_eq(buf_text(&b), want);
    buf_free(&b);
}

Test(outbound_mime, encodes_headers_only_where_needed)
{
    expect_header("", "Subject: \r\n");
    expect_header("Plain, even with = and ?", "Subject: Plain, even with = and ?\r\n");
    expect_header("Gr\xc3\xbc\xc3\x9f"
                  "e",
                  "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n");
    expect_header("=?UTF-8?B?eA==?=", "Subject: =?UTF-8?B?PT9VVEYtOD9CP2VBPT0/PQ==?=\r\n");
    /* 67 characters fill the line exactly; one more is encoded and folded. */
    expect_header("1234567890123456789012345678901234567890123456789012345678901234567",
                  "Subject: 1234567890123456789012345678901234567890123456789012345678901234567\r\n");
    expect_header("12345678901234567890123456789012345678901234567890123456789012345678",
                  "Subject: =?UTF-8?B?MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5?=\r\n"
                  " =?UTF-8?B?MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg=?=\r\n");
}

/* No line longer than 78 with CRLF, none beginning with a dot, every line ended by CRLF, and nothing but ASCII. */
static void expect_mail_lines(const struct buf *b)
{
    const char *p = buf_text(b);
    const char *end = p + b->len;
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        cr_assert(nl != NULL && nl > p && nl[-1] == '\r', "line without CRLF: %.40s", p);
        cr_expect_leq(nl - p, 77, "%.80s", p);
        cr_expect_neq(*p, '.', "%.40s", p);
        for (const char *c = p; c < nl - 1; c++)
            cr_expect((*c >= ' ' && *c <= '~') || *c == '\t', "byte %02x", (unsigned)(unsigned char)*c);
        p = nl + 1;
    }
}

Test(outbound_mime, never_cuts_a_character_of_a_long_header)
{
    struct buf value = {0};
    struct buf b = {0};
    for (int i = 0; i < 240; i++)
        buf_put_str(&value, i % 3 ? "\xf0\x9f\x92\x8d" : "e"); /* U+1F48D */
    cr_expect_eq(outbound_mime_header(&b, "Subject", buf_text(&value), NULL), ERR_OK);
    expect_mail_lines(&b);
    int words = 0;
    for (const char *p = buf_text(&b); (p = strstr(p, "=?UTF-8?B?")) != NULL; p++)
        words++;
    cr_expect_gt(words, 10);
    /* The first word of a whole character begins with its lead byte: base64 of F0 9F is "8J", of 65 is "Z". */
    for (const char *p = buf_text(&b); (p = strstr(p, "=?UTF-8?B?")) != NULL; p++)
        cr_expect(p[10] == '8' || p[10] == 'Z', "%.20s", p);
    buf_free(&value);
    buf_free(&b);
}

Test(outbound_mime, refuses_header_injection)
{
    static const char *const bad[] = {"a\r\nBcc: x@y", "a\nb",   "a\rb", "\r\n",    "tab\there",
                                      "del\x7f",       "bell\a", "\xc3", "\xff\xfe"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf b = {0};
        struct err_info info = {.text = ""};
        cr_expect_eq(outbound_mime_header(&b, "Subject", bad[i], &info), ERR_INVALID, "row %zu", i);
        cr_expect_eq(b.len, 0);
        cr_expect(strstr(info.text, "Subject") != NULL);
        buf_free(&b);
    }
    char *longest = mem_alloc(OUTBOUND_SUBJECT_MAX_BYTES + 2);
    struct buf b = {0};
    memset(longest, 'x', OUTBOUND_SUBJECT_MAX_BYTES + 1);
    longest[OUTBOUND_SUBJECT_MAX_BYTES + 1] = '\0';
    cr_expect_eq(outbound_mime_header(&b, "Subject", longest, NULL), ERR_LIMIT);
    cr_expect_eq(outbound_mime_header(&b, "Subject", longest + 1, NULL), ERR_OK);
    expect_mail_lines(&b);
    buf_free(&b);
    mem_free(longest);
}

Test(outbound_mime, writes_dates_of_rfc_5322)
{
    static const struct {
        int64_t us;
        const char *want; /* NULL: refused */
    } rows[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 +0000"},
        {INT64_C(1777712400000000), "Sat, 02 May 2026 09:00:00 +0000"},
        {INT64_C(1777712400999999), "Sat, 02 May 2026 09:00:00 +0000"},
        {-1, "Wed, 31 Dec 1969 23:59:59 +0000"},
        {-1000000, "Wed, 31 Dec 1969 23:59:59 +0000"},
        {INT64_C(253402300799999999), "Fri, 31 Dec 9999 23:59:59 +0000"},
        {INT64_C(253402300800000000), NULL},
        {INT64_MAX, NULL},
        {INT64_MIN, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b = {0};
        enum err e = outbound_mime_date(&b, rows[i].us);
        cr_expect_eq(e, rows[i].want != NULL ? ERR_OK : ERR_INVALID, "row %zu", i);
        cr_expect_str_eq(buf_text(&b), rows[i].want != NULL ? rows[i].want : "");
        buf_free(&b);
    }
}

Test(outbound_mime, writes_bodies_as_quoted_printable)
{
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {
        {"", ""},
        {"hello", "hello\r\n"},
        {"a\nb\r\nc\rd\n", "a\r\nb\r\nc\r\nd\r\n"},
        {"\n\n", "\r\n\r\n"},
        {".\n..x\na.b", "=2E\r\n=2E.x\r\na.b\r\n"},
        {"1+1=2", "1+1=3D2\r\n"},
        {"end \nend\t\nin side\t.", "end=20\r\nend=09\r\nin side\t.\r\n"},
        {"end ", "end=20\r\n"},
        {"\xc3\xab\x01", "=C3=AB=01\r\n"},
        {"1234567890123456789012345678901234567890123456789012345678901234567890123456.",
         "123456789012345678901234567890123456789012345678901234567890123456789012345=\r\n6.\r\n"},
        {"123456789012345678901234567890123456789012345678901234567890123456789012345.",
         "123456789012345678901234567890123456789012345678901234567890123456789012345=\r\n=2E\r\n"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234\xc3\xab",
         "12345678901234567890123456789012345678901234567890123456789012345678901234=\r\n=C3=AB\r\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b = {0};
        outbound_mime_quoted(&b, rows[i].text);
        cr_expect_str_eq(buf_text(&b), rows[i].want);
        buf_free(&b);
    }
}

static const struct outbound_mail sample = {
    .from = "Zo\xc3\xab & \xc3\x9cmit Studio <studio@example.test>",
    .to = "\"Anna \\\"A\\\" B\" <anna@example.test>",
    .reply_to = "reply@example.test",
    .subject = "30 days to go",
    .text = "Dear Anna,\n.\nsee you.\n",
    .message_id = "0190.7@usher.example.test",
    .date_us = INT64_C(1777712400000000),
};

Test(outbound_mime, builds_a_message)
{
    struct buf b = {0};
    struct outbound_address from;
    struct outbound_address to;
    cr_expect_eq(outbound_mime_build(&b, &sample, &from, &to, NULL), ERR_OK);
    cr_expect_str_eq(buf_text(&b), "Date: Sat, 02 May 2026 09:00:00 +0000\r\n"
                                   "From: =?UTF-8?B?Wm/DqyAmIMOcbWl0IFN0dWRpbw==?= <studio@example.test>\r\n"
                                   "To: \"Anna \\\"A\\\" B\" <anna@example.test>\r\n"
                                   "Reply-To: <reply@example.test>\r\n"
                                   "Subject: 30 days to go\r\n"
                                   "Message-ID: <0190.7@usher.example.test>\r\n"
                                   "Auto-Submitted: auto-generated\r\n"
                                   "MIME-Version: 1.0\r\n"
                                   "Content-Type: text/plain; charset=utf-8\r\n"
                                   "Content-Transfer-Encoding: quoted-printable\r\n"
                                   "\r\n"
                                   "Dear Anna,\r\n=2E\r\nsee you.\r\n");
    cr_expect_str_eq(from.addr, "studio@example.test");
    cr_expect_str_eq(to.addr, "anna@example.test");
    buf_free(&b);
}

Test(outbound_mime, builds_alternatives_that_no_body_can_end)
{
    struct outbound_mail mail = sample;
    struct buf b = {0};
    struct outbound_address from;
    struct outbound_address to;
    mail.text = "--=_usher_alternative--\n.\n";
    mail.html = "<p>--=_usher_alternative</p>\n.";
    mail.from = "A studio with a name so long that it can not stand in one line with its address <studio@example.test>";
    cr_expect_eq(outbound_mime_build(&b, &mail, &from, &to, NULL), ERR_OK);
    expect_mail_lines(&b);
    int boundaries = 0;
    for (const char *p = buf_text(&b); (p = strstr(p, "\r\n--=_usher_alternative")) != NULL; p++)
        boundaries++;
    cr_expect_eq(boundaries, 3);
    cr_expect(strstr(buf_text(&b), "--=3D_usher_alternative") != NULL);
    cr_expect(strstr(buf_text(&b), "Content-Type: multipart/alternative; boundary=\"=_usher_alternative\"\r\n\r\n") !=
              NULL);
    buf_free(&b);
}

static enum err build_with(void (*change)(struct outbound_mail *))
{
    struct outbound_mail mail = sample;
    struct buf b = {0};
    struct outbound_address from;
    struct outbound_address to;
    change(&mail);
    enum err e = outbound_mime_build(&b, &mail, &from, &to, NULL);
    buf_free(&b);
    return e;
}

static char huge[OUTBOUND_PART_MAX_BYTES + 2];

static void no_subject(struct outbound_mail *m)
{
    m->subject = NULL;
}
static void no_text(struct outbound_mail *m)
{
    m->text = NULL;
}
static void no_message_id(struct outbound_mail *m)
{
    m->message_id = NULL;
}
static void bracketed_message_id(struct outbound_mail *m)
{
    m->message_id = "<a@b>";
}
static void broken_message_id(struct outbound_mail *m)
{
    m->message_id = "a@b\r\nX: y";
}
static void broken_subject(struct outbound_mail *m)
{
    m->subject = "a\r\nX: y";
}
static void broken_reply_to(struct outbound_mail *m)
{
    m->reply_to = "a@b\r\nX: y";
}
static void latin_text(struct outbound_mail *m)
{
    m->text = "\xe9";
}
static void latin_html(struct outbound_mail *m)
{
    m->html = "\xe9";
}
static void far_date(struct outbound_mail *m)
{
    m->date_us = INT64_MAX;
}
static void huge_text(struct outbound_mail *m)
{
    m->text = huge;
}

Test(outbound_mime, refuses_mail_it_can_not_write_down)
{
    static void (*const changes[])(struct outbound_mail *) = {
        no_subject,        no_text,        no_message_id,   bracketed_message_id,
        broken_message_id, broken_subject, broken_reply_to, latin_text,
        latin_html,        far_date,       huge_text,
    };
    memset(huge, 'x', sizeof(huge) - 1);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        cr_expect_neq(build_with(changes[i]), ERR_OK, "change %zu", i);
}

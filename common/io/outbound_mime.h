/* outbound_mime: mail messages as text (RFC 5322, 2045, 2047). Pure; private to common/io/outbound*.c and its tests.
 *
 * Nothing that a caller hands in can end a header line: control characters are refused in every header value, text that is not plain
 * ASCII becomes encoded words, and bodies are quoted-printable, so the message is ASCII with lines of at most 78 characters and no
 * line begins with a dot (which is all that SMTP's transparency, RFC 5321 §4.5.2, asks for). */
#ifndef COMMON_IO_OUTBOUND_MIME_H
#define COMMON_IO_OUTBOUND_MIME_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/io/outbound.h"

#define OUTBOUND_ADDRESS_SIZE 256 /* RFC 5321 §4.5.3.1.3: a path is at most 256 with its brackets */
#define OUTBOUND_NAME_SIZE 256
#define OUTBOUND_SUBJECT_MAX_BYTES 998
#define OUTBOUND_PART_MAX_BYTES (4u << 20) /* of text and of html: relays refuse far less than what this becomes */

struct outbound_address {
    char addr[OUTBOUND_ADDRESS_SIZE]; /* local@domain */
    char name[OUTBOUND_NAME_SIZE];    /* UTF-8, unquoted; "" without */
};

/* Takes one address, "local@domain" or "Name <local@domain>"; ASCII only in the address itself. ERR_INVALID with the reason. */
enum err outbound_mime_address(const char *text, struct outbound_address *out, struct err_info *info) MUST_USE;

/* Appends "Name: value CRLF", encoded and folded where needed. `name` is ours. */
enum err outbound_mime_header(struct buf *out, const char *name, const char *value, struct err_info *info) MUST_USE;

/* Appends e.g. "Sat, 02 May 2026 09:00:00 +0000"; ERR_INVALID outside the years 1900 to 9999. */
enum err outbound_mime_date(struct buf *out, int64_t us) MUST_USE;

/* Appends `text` (UTF-8, any line ends) as quoted-printable with CRLF line ends, ending in CRLF. */
void outbound_mime_quoted(struct buf *out, const char *text);

/* Appends the whole message and returns both ends of the envelope. */
enum err outbound_mime_build(struct buf *out, const struct outbound_mail *mail, struct outbound_address *from,
                             struct outbound_address *to, struct err_info *info) MUST_USE;

#endif

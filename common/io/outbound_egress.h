/* outbound_egress: which addresses untrusted requests may reach. Pure; private to common/io/outbound*.c and its tests. */
#ifndef COMMON_IO_OUTBOUND_EGRESS_H
#define COMMON_IO_OUTBOUND_EGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

#define OUTBOUND_EGRESS_MAX 64 /* ranges in one allow-list; more is a mistake, not a policy */

struct outbound_range {
    bool v6;
    unsigned bits;
    uint8_t addr[16]; /* IPv4: the first four */
};

struct outbound_egress {
    size_t n;
    struct outbound_range allow[OUTBOUND_EGRESS_MAX];
};

/* Parses comma-separated CIDRs (an address alone is one host; NULL or "" is the empty list). On error `out` is empty. */
enum err outbound_egress_parse(struct outbound_egress *out, const char *text, struct err_info *info) MUST_USE;

/* `addr` points to 4 (v6 false) or 16 bytes in network order. */
bool outbound_egress_denied(const struct outbound_egress *e, bool v6, const uint8_t *addr);

/* The same for text; anything that is no address is denied. */
bool outbound_egress_denied_text(const struct outbound_egress *e, const char *ip);

#endif

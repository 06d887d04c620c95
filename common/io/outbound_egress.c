/* outbound_egress: the deny-list and the operator's exceptions.
 *
 * An address is denied when a row of the table covers it and no allowed range does. IPv6 denies everything outside 2000::/3
 * first, so ranges that IANA has not handed out yet, ::1, unique-local, link-local and multicast addresses need no trust
 * in the completeness of a list. Where an IPv6 address carries an IPv4 one (mapped, NAT64, 6to4), an exception for the prefix
 * is not enough: the carried address must be reachable too, or 64:ff9b::/96 would open 127.0.0.1 to tenants. */
#include "common/io/outbound_egress.h"

#include <arpa/inet.h>
#include <limits.h>
#include <string.h>

#include "common/base/str.h"
#include "common/io/outbound.h"

enum { V4_BYTES = 4, V6_BYTES = 16, V4_BITS = 32, V6_BITS = 128 };

/* IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190 and later additions). */
static const struct outbound_range denied_ranges[] = {
    {false, 8, {0}},                      /* this network, RFC 791 */
    {false, 8, {10}},                     /* private, RFC 1918 */
    {false, 10, {100, 64}},               /* shared (carrier NAT), RFC 6598 */
    {false, 8, {127}},                    /* loopback, RFC 1122 */
    {false, 16, {169, 254}},              /* link-local and cloud metadata, RFC 3927 */
    {false, 12, {172, 16}},               /* private, RFC 1918 */
    {false, 24, {192, 0, 0}},             /* IETF protocol assignments, RFC 6890 */
    {false, 24, {192, 0, 2}},             /* documentation, RFC 5737 */
    {false, 24, {192, 88, 99}},           /* 6to4 relays, RFC 7526 */
    {false, 16, {192, 168}},              /* private, RFC 1918 */
    {false, 15, {198, 18}},               /* benchmarks, RFC 2544 */
    {false, 24, {198, 51, 100}},          /* documentation, RFC 5737 */
    {false, 24, {203, 0, 113}},           /* documentation, RFC 5737 */
    {false, 4, {224}},                    /* multicast, RFC 5771 */
    {false, 4, {240}},                    /* reserved and broadcast, RFC 1112 */
    {true, 3, {0x00}},                    /* ::, ::1, mapped, NAT64 64:ff9b, discard 100:: : outside 2000::/3 */
    {true, 2, {0x40}},                    /* SRv6 5f00:: and unassigned */
    {true, 1, {0x80}},                    /* fc00::/7, fe80::/10, fec0::/10, ff00::/8 and unassigned */
    {true, 23, {0x20, 0x01}},             /* IETF protocol assignments with Teredo, RFC 2928 */
    {true, 32, {0x20, 0x01, 0x0d, 0xb8}}, /* documentation, RFC 3849 */
    {true, 16, {0x20, 0x02}},             /* 6to4, RFC 3056 */
    {true, 20, {0x3f, 0xff}},             /* documentation, RFC 9637 */
};

/* Prefixes whose addresses carry an IPv4 address, and where. */
static const struct {
    struct outbound_range range;
    size_t at;
} carriers[] = {
    {{true, 96, {[10] = 0xff, [11] = 0xff}}, 12},                    /* IPv4-mapped, RFC 4291 */
    {{true, 96, {0}}, 12},                                           /* IPv4-compatible, RFC 4291 (and ::, ::1) */
    {{true, 96, {[1] = 0x64, [2] = 0xff, [3] = 0x9b}}, 12},          /* NAT64, RFC 6052 */
    {{true, 48, {[1] = 0x64, [2] = 0xff, [3] = 0x9b, [5] = 1}}, 12}, /* local NAT64, RFC 8215, with /96 inside */
    {{true, 16, {0x20, 0x02}}, 2},                                   /* 6to4, RFC 3056 */
};

static bool covers(const struct outbound_range *r, bool v6, const uint8_t *addr)
{
    if (r->v6 != v6)
        return false;
    size_t whole = r->bits / CHAR_BIT;
    unsigned rest = r->bits % CHAR_BIT;
    if (memcmp(r->addr, addr, whole) != 0)
        return false;
    unsigned mask = 0xffU << (CHAR_BIT - rest);
    return rest == 0 || ((r->addr[whole] ^ addr[whole]) & mask & 0xffU) == 0;
}

static bool any_covers(const struct outbound_range *ranges, size_t n, bool v6, const uint8_t *addr)
{
    for (size_t i = 0; i < n; i++) {
        if (covers(&ranges[i], v6, addr))
            return true;
    }
    return false;
}

/* Denied by the table and not excepted, the address taken by itself. */
static bool denied_itself(const struct outbound_egress *e, bool v6, const uint8_t *addr)
{
    size_t n = sizeof(denied_ranges) / sizeof(denied_ranges[0]);
    return any_covers(denied_ranges, n, v6, addr) && !any_covers(e->allow, e->n, v6, addr);
}

/* An exception that names this very address (::1/128) needs no look at what the address may carry. */
static bool excepted_exactly(const struct outbound_egress *e, const uint8_t *addr)
{
    for (size_t i = 0; i < e->n; i++) {
        if (e->allow[i].bits == V6_BITS && covers(&e->allow[i], true, addr))
            return true;
    }
    return false;
}

bool outbound_egress_denied(const struct outbound_egress *e, bool v6, const uint8_t *addr)
{
    if (denied_itself(e, v6, addr))
        return true;
    if (!v6 || excepted_exactly(e, addr))
        return false;
    for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
        if (covers(&carriers[i].range, true, addr) && denied_itself(e, false, addr + carriers[i].at))
            return true;
    }
    return false;
}

static bool parse_address(const char *ip, bool *v6, uint8_t out[V6_BYTES])
{
    *v6 = strchr(ip, ':') != NULL;
    return inet_pton(*v6 ? AF_INET6 : AF_INET, ip, out) == 1;
}

bool outbound_egress_denied_text(const struct outbound_egress *e, const char *ip)
{
    bool v6;
    uint8_t addr[V6_BYTES] = {0};
    return ip == NULL || !parse_address(ip, &v6, addr) || outbound_egress_denied(e, v6, addr);
}

static bool parse_range(struct str item, struct outbound_range *out)
{
    char text[64];
    if (item.n == 0 || !str_copy_n(text, sizeof(text), item.p, item.n))
        return false;
    uint64_t bits = UINT64_MAX;
    char *slash = strchr(text, '/');
    if (slash != NULL) {
        *slash = '\0';
        if (str_to_u64(str_of(slash + 1), &bits) != ERR_OK)
            return false;
    }
    *out = (struct outbound_range){0};
    if (!parse_address(text, &out->v6, out->addr))
        return false;
    uint64_t most = out->v6 ? V6_BITS : V4_BITS;
    if (slash != NULL && bits > most)
        return false;
    out->bits = (unsigned)(slash == NULL ? most : bits);
    return true;
}

static struct str trimmed(const char *p, size_t n)
{
    while (n > 0 && *p == ' ') {
        p++;
        n--;
    }
    while (n > 0 && p[n - 1] == ' ')
        n--;
    return (struct str){p, n};
}

enum err outbound_egress_parse(struct outbound_egress *out, const char *text, struct err_info *info)
{
    enum err e = ERR_OK;
    out->n = 0;
    const char *p = text != NULL ? text : "";
    while (*p != '\0' && e == ERR_OK) {
        size_t n = strcspn(p, ",");
        struct str item = trimmed(p, n);
        if (out->n == OUTBOUND_EGRESS_MAX)
            e = err_set(info, ERR_LIMIT, "egress allow-list: more than %d ranges", OUTBOUND_EGRESS_MAX);
        else if (!parse_range(item, &out->allow[out->n]))
            e = err_set(info, ERR_INVALID, "egress allow-list: \"%.*s\" is no address or CIDR range", (int)item.n,
                        item.p);
        else
            out->n++;
        p += n + (p[n] == ',');
    }
    if (e != ERR_OK)
        out->n = 0;
    return e;
}

bool outbound_denied(const char *ip, const char *allow)
{
    struct outbound_egress e;
    (void)!outbound_egress_parse(&e, allow, NULL); /* a bad list allows nothing */
    return outbound_egress_denied_text(&e, ip);
}

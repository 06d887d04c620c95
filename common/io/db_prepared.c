/* db_prepared: which statements a connection has prepared. A statement called with other parameter types than the first
 * time (an untyped NULL, then an int8) gets another variant instead of a server error about the width of a value. */
#include "common/io/db_private.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

const int db_prepared_formats[DB_MAX_ARGS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                              1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static struct db_prepared *first_of(const struct db_prepared_set *set, const struct db_stmt *stmt)
{
    return map_get(&set->by_stmt, &stmt, sizeof(stmt));
}

static bool fits(const struct db_prepared *p, const struct db_args *args)
{
    int n = args ? args->n : 0;
    if (p->n != n)
        return false;
    for (int i = 0; i < n; i++)
        if (args->types[i] != DB_OID_NONE && args->types[i] != p->types[i])
            return false;
    return true;
}

struct db_prepared *db_prepared_find(const struct db_prepared_set *set, const struct db_stmt *stmt,
                                     const struct db_args *args)
{
    struct db_prepared *p = first_of(set, stmt);
    while (p && !fits(p, args))
        p = p->next;
    return p;
}

struct db_prepared *db_prepared_add(struct db_prepared_set *set, const struct db_stmt *stmt, const struct db_args *args)
{
    struct db_prepared *p = mem_zalloc(sizeof(*p));
    p->stmt = stmt;
    p->n = args ? args->n : 0;
    if (p->n > 0)
        memcpy(p->types, args->types, (size_t)p->n * sizeof(p->types[0]));
    snprintf(p->name, sizeof(p->name), "%.40s.%u", stmt->name, ++set->seq);
    p->next = map_put(&set->by_stmt, &stmt, sizeof(stmt), p);
    return p;
}

void db_prepared_remove(struct db_prepared_set *set, struct db_prepared *p)
{
    struct db_prepared *first = first_of(set, p->stmt);
    if (first == p && p->next)
        map_put(&set->by_stmt, &p->stmt, sizeof(p->stmt), p->next);
    else if (first == p)
        map_remove(&set->by_stmt, &p->stmt, sizeof(p->stmt));
    for (; first && first != p; first = first->next)
        if (first->next == p) {
            first->next = p->next;
            break;
        }
    mem_free(p);
}

void db_prepared_clear(struct db_prepared_set *set)
{
    size_t at = 0;
    const void *key = NULL;
    size_t key_n = 0;
    void *value = NULL;
    while (map_next(&set->by_stmt, &at, &key, &key_n, &value)) {
        struct db_prepared *p = value;
        while (p) {
            struct db_prepared *next = p->next;
            mem_free(p);
            p = next;
        }
    }
    map_free(&set->by_stmt);
}

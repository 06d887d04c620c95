/* sinks: see sinks.h. */
#include "cli/demo/sinks.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/dev/dev.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/core/key.h"

#define PYTHON "/usr/bin/python3" /* Debian's: python3-aiosmtpd belongs to it */
#define READY_MS 20000
#define TURN_MS 20
#define LINE_MAX_BYTES 8192

static enum err start(struct dev *dev, const char *programs, const char *name, const char *folder, struct err_info *info)
{
    char script[SINKS_PATH_MAX + 64], dir[SINKS_PATH_MAX + 64];
    char python[] = PYTHON, dir_flag[] = "--dir", detached[] = "--detached",
         secret[] = "WEBHOOK_SINK_SECRET=" SINKS_SECRET;
    char *argv[] = {python, script, dir_flag, dir, detached, NULL};
    char *env[] = {secret, NULL};
    snprintf(script, sizeof(script), "%s/%s_sink.py", programs, name);
    snprintf(dir, sizeof(dir), "%s/%s", folder, name);
    char label[32];
    snprintf(label, sizeof(label), "%s-sink", name);
    return dev_add_helper(dev, label, argv, env, info);
}

/* The first line of its log is {"port": N} once it listens. */
static int port_of(const char *log_path)
{
    char line[256];
    static const char head[] = "{\"port\": ";
    int port = 0;
    FILE *f = fopen(log_path, "re");
    while (f && port == 0 && fgets(line, sizeof(line), f))
        if (strncmp(line, head, sizeof(head) - 1) == 0)
            port = (int)strtol(line + sizeof(head) - 1, NULL, 10);
    if (f)
        (void)fclose(f);
    return port;
}

static enum err wait_port(struct dev *dev, const char *name, int *port, struct err_info *info)
{
    char path[SINKS_PATH_MAX + 64];
    int64_t until_ms = clock_mono_ms() + READY_MS;
    snprintf(path, sizeof(path), "%s/log/%s-sink.log", dev_data(dev), name);
    while ((*port = port_of(path)) == 0) {
        if (clock_mono_ms() > until_ms)
            return err_set(info, ERR_TIMEOUT, "%s sink: not ready after %d s, see %s", name, READY_MS / 1000, path);
        if (dev_turn(dev, TURN_MS, NULL) == DEV_INTERRUPTED)
            return err_set(info, ERR_CANCELED, "interrupted");
    }
    return ERR_OK;
}

enum err sinks_start(struct dev *dev, const char *programs, struct sinks *out, struct err_info *info)
{
    int smtp = 0, webhook = 0;
    snprintf(out->folder, sizeof(out->folder), "%s/sinks", dev_data(dev));
    (void)mkdir(out->folder, 0755);
    enum err err = start(dev, programs, "smtp", out->folder, info);
    if (err == ERR_OK)
        err = start(dev, programs, "webhook", out->folder, info);
    if (err == ERR_OK)
        err = wait_port(dev, "smtp", &smtp, info);
    if (err == ERR_OK)
        err = wait_port(dev, "webhook", &webhook, info);
    snprintf(out->smtp_url, sizeof(out->smtp_url), "smtp://127.0.0.1:%d", smtp);
    snprintf(out->webhook_url, sizeof(out->webhook_url), "http://127.0.0.1:%d", webhook);
    return err;
}

/* The ids that were accepted for the first time, in order of arrival. */
struct accepted {
    char **ids;
    size_t n, cap;
};

static void take_line(const json_t *line, const char *id_key, struct accepted *a, struct sinks_count *n)
{
    const char *id = json_string_value(json_object_get(line, id_key));
    const json_t *repeat = json_object_get(line, "repeat"), *status = json_object_get(line, "status");
    json_int_t code = json_integer_value(status);
    if (!id || (status && (code < 200 || code > 299)))
        return;
    if (json_is_true(repeat) || json_integer_value(repeat) > 0) {
        n->duplicates++;
        return;
    }
    if (a->n == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 256;
        a->ids = mem_realloc(a->ids, a->cap * sizeof(*a->ids));
    }
    a->ids[a->n++] = mem_strdup(id);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void finish_count(struct accepted *a, struct sinks_count *n)
{
    struct str *parts = mem_alloc((a->n + 1) * sizeof(*parts));
    if (a->n)
        qsort(a->ids, a->n, sizeof(*a->ids), by_text);
    for (size_t i = 0; i < a->n; i++)
        parts[i] = str_of(a->ids[i]);
    key_derive(&n->digest, "digest", parts, a->n);
    n->accepted = (int64_t)a->n;
    for (size_t i = 0; i < a->n; i++)
        mem_free(a->ids[i]);
    mem_free(a->ids);
    mem_free(parts);
}

static struct sinks_count count(const struct sinks *s, const char *file, const char *id_key)
{
    char path[SINKS_PATH_MAX + 64], line[LINE_MAX_BYTES];
    struct sinks_count n = {0};
    struct accepted accepted = {0};
    snprintf(path, sizeof(path), "%s/%s", s->folder, file);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        json_t *o = json_loads(line, 0, NULL);
        take_line(o, id_key, &accepted, &n);
        json_decref(o);
    }
    if (f)
        (void)fclose(f);
    finish_count(&accepted, &n);
    return n;
}

struct sinks_count sinks_mails(const struct sinks *s)
{
    return count(s, "smtp/accepted.jsonl", "message_id");
}

struct sinks_count sinks_webhooks(const struct sinks *s)
{
    return count(s, "webhook/received.jsonl", "webhook_id");
}

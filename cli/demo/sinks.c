/* sinks: see sinks.h. */
#include "cli/demo/sinks.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/dev/dev.h"
#include "common/base/clock.h"

#define PYTHON "/usr/bin/python3" /* Debian's: python3-aiosmtpd belongs to it */
#define READY_MS 20000
#define TURN_MS 20

static enum err start(struct dev *dev, const char *programs, const char *name, const char *folder, struct err_info *info)
{
    char script[SINKS_PATH_MAX + 64], dir[SINKS_PATH_MAX + 64];
    char python[] = PYTHON, dir_flag[] = "--dir", detached[] = "--detached", secret[] = "WEBHOOK_SINK_SECRET=" SINKS_SECRET;
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
    int port = 0;
    FILE *f = fopen(log_path, "re");
    while (f && port == 0 && fgets(line, sizeof(line), f))
        if (sscanf(line, "{\"port\": %d}", &port) != 1) port = 0;
    if (f) (void)fclose(f);
    return port;
}

static enum err wait_port(struct dev *dev, const char *name, int *port, struct err_info *info)
{
    char path[SINKS_PATH_MAX + 64];
    int64_t until_ms = clock_mono_ms() + READY_MS;
    snprintf(path, sizeof(path), "%s/log/%s-sink.log", dev_data(dev), name);
    while ((*port = port_of(path)) == 0) {
        if (clock_mono_ms() > until_ms) return err_set(info, ERR_TIMEOUT, "%s sink: not ready after %d s, see %s", name, READY_MS / 1000, path);
        if (dev_turn(dev, TURN_MS, NULL) == DEV_INTERRUPTED) return err_set(info, ERR_CANCELED, "interrupted");
    }
    return ERR_OK;
}

enum err sinks_start(struct dev *dev, const char *programs, struct sinks *out, struct err_info *info)
{
    int smtp = 0, webhook = 0;
    snprintf(out->folder, sizeof(out->folder), "%s/sinks", dev_data(dev));
    (void)mkdir(out->folder, 0755);
    enum err err = start(dev, programs, "smtp", out->folder, info);
    if (err == ERR_OK) err = start(dev, programs, "webhook", out->folder, info);
    if (err == ERR_OK) err = wait_port(dev, "smtp", &smtp, info);
    if (err == ERR_OK) err = wait_port(dev, "webhook", &webhook, info);
    snprintf(out->smtp_url, sizeof(out->smtp_url), "smtp://127.0.0.1:%d", smtp);
    snprintf(out->webhook_url, sizeof(out->webhook_url), "http://127.0.0.1:%d", webhook);
    return err;
}

static struct sinks_count count(const struct sinks *s, const char *file, bool any_status)
{
    char path[SINKS_PATH_MAX + 64], line[8192];
    struct sinks_count n = {0};
    snprintf(path, sizeof(path), "%s/%s", s->folder, file);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        json_t *o = json_loads(line, 0, NULL);
        json_t *repeat = json_object_get(o, "repeat");
        json_int_t status = json_integer_value(json_object_get(o, "status"));
        bool good = any_status || (status >= 200 && status < 300);
        if (o && good) {
            if (json_is_true(repeat) || json_integer_value(repeat) > 0) n.duplicates++;
            else n.accepted++;
        }
        json_decref(o);
    }
    if (f) (void)fclose(f);
    return n;
}

struct sinks_count sinks_mails(const struct sinks *s)
{
    return count(s, "smtp/accepted.jsonl", true);
}

struct sinks_count sinks_webhooks(const struct sinks *s)
{
    return count(s, "webhook/received.jsonl", false);
}

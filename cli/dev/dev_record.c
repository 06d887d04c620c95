/* The record is "boot id", then "pid start name" a line. Numbers of another boot mean other processes. */
#include "cli/dev/dev_record.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/str.h"

#define RECORD "processes"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_SIZE 64
#define LEFTOVER_MAX 64        /* processes looked at in one go */
#define LEFTOVER_GRACE_MS 5000 /* what a crash left got its death signal already */
#define LEFTOVER_END_MS 10000

static void read_boot_id(char out[BOOT_ID_SIZE])
{
    FILE *f = fopen(BOOT_ID, "re");

    if (f == NULL || fgets(out, BOOT_ID_SIZE, f) == NULL)
        (void)str_copy(out, BOOT_ID_SIZE, "unknown");
    out[strcspn(out, "\n")] = '\0';
    if (f != NULL)
        (void)fclose(f);
}

void dev_record_put(struct buf *lines, const struct dev_proc *p, const char *name)
{
    buf_printf(lines, "%d %llu %s\n", (int)p->pid, (unsigned long long)p->start, name);
}

void dev_record_write(const struct dev_folder *f, const struct buf *lines)
{
    char boot_id[BOOT_ID_SIZE];
    struct buf text = {0};
    struct err_info info = {0};

    read_boot_id(boot_id);
    buf_printf(&text, "%s\n%s", boot_id, buf_text(lines));
    if (dev_folder_write(f, RECORD, buf_text(&text), &info) != ERR_OK)
        log_warn("dev.record", L_STR("error", info.text));
    buf_free(&text);
}

void dev_record_remove(const struct dev_folder *f)
{
    dev_folder_remove(f, RECORD);
}

static size_t read_record(const struct dev_folder *f, struct dev_proc *out, size_t max)
{
    char boot_id[BOOT_ID_SIZE];
    char *text = dev_folder_read(f, RECORD);
    char *line = strchr(text, '\n');
    size_t n = 0;

    read_boot_id(boot_id);
    if (line != NULL && str_is((struct str){text, (size_t)(line - text)}, boot_id)) {
        for (line++; n < max && *line != '\0'; line += strcspn(line, "\n") + 1) {
            char *end = line;
            out[n].pid = (pid_t)strtol(line, &end, 10);
            out[n].start = strtoull(end, NULL, 10);
            if (strchr(line, '\n') == NULL)
                break;
            n += dev_proc_alive(&out[n]);
        }
    }
    mem_free(text);
    return n;
}

static size_t find_leftovers(const struct dev_folder *f, struct dev_proc *out)
{
    struct buf fresh = {0};
    size_t n = read_record(f, out, LEFTOVER_MAX);

    buf_printf(&fresh, "%s.new", f->pg); /* of an interrupted initdb */
    n += dev_proc_in_folder("postgres", f->pg, out + n, LEFTOVER_MAX - n);
    if (n < LEFTOVER_MAX)
        n += dev_proc_in_folder("postgres", buf_text(&fresh), out + n, LEFTOVER_MAX - n);
    if (n < LEFTOVER_MAX)
        n += dev_proc_in_folder("redis-server", f->redis, out + n, LEFTOVER_MAX - n);
    buf_free(&fresh);
    return n;
}

/* PostgreSQL's processes end at SIGQUIT without a trace that would need repair beyond its usual recovery. */
enum err dev_record_end_leftovers(const struct dev_folder *f, struct err_info *info)
{
    static const int signals[] = {0, SIGTERM, SIGQUIT, SIGKILL};
    struct dev_proc left[LEFTOVER_MAX];
    size_t n = find_leftovers(f, left);

    for (size_t i = 0; n > 0 && i < sizeof(signals) / sizeof(signals[0]); i++) {
        log_warn("dev.leftover", L_INT("processes", n), L_INT("first_pid", left[0].pid), L_INT("signal", signals[i]));
        dev_proc_signal(left, n, signals[i]);
        (void)dev_proc_wait(left, n, signals[i] == 0 ? LEFTOVER_GRACE_MS : LEFTOVER_END_MS);
        n = find_leftovers(f, left);
    }
    if (n > 0)
        return err_set(info, ERR_BUSY, "process %d of an earlier start does not end", (int)left[0].pid);
    return ERR_OK;
}

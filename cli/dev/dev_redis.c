#include "cli/dev/dev_redis.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/str.h"
#include "common/io/rconn.h"

#define SOCKET "redis.sock"
#define LEAST_VERSION 7
#define CONNECT_MS 2000

void dev_redis_spec(const struct dev_folder *f, struct arena *arena, struct dev_child_spec *spec)
{
    char *socket_path = arena_printf(arena, "%s/" SOCKET, f->run);
    /* The server starts in its folder, so that no path of the user's must pass Redis's own parser. */
    const char *const words[] = {
        "redis-server", "--port",     "0",     "--unixsocket",       socket_path,  "--unixsocketperm",
        "700",          "--dir",      ".",     "--appendonly",       "yes",        "--appendfsync",
        "everysec",     "--save",     "",      "--maxmemory-policy", "noeviction", "--daemonize",
        "no",           "--loglevel", "notice"};
    size_t n = sizeof(words) / sizeof(words[0]);
    char **argv = arena_zalloc(arena, (n + 1) * sizeof(*argv));
    char *log = dev_folder_log(f, "redis");

    (void)unlink(socket_path);
    for (size_t i = 0; i < n; i++)
        argv[i] = arena_strdup(arena, words[i]);
    *spec = (struct dev_child_spec){.name = "redis", .argv = argv, .cwd = f->redis, .user = &f->user};
    spec->log = log == NULL ? NULL : arena_strdup(arena, log);
    mem_free(log);
}

const char *dev_redis_url(const struct dev_folder *f, struct arena *arena)
{
    return arena_printf(arena, "unix://%s/" SOCKET, f->run);
}

static enum err check_version(struct rsession *redis, struct err_info *info)
{
    const struct str command[] = {STR("INFO"), STR("server")};
    const struct reply *reply = NULL;
    enum err err = rsession_command(redis, 2, command, &reply, info);

    if (err != ERR_OK)
        return err;
    const char *at = reply->s.p == NULL ? NULL : strstr(reply->s.p, "redis_version:");
    long version = at == NULL ? 0 : strtol(at + strlen("redis_version:"), NULL, 10);
    if (version < LEAST_VERSION)
        return err_set(info, ERR_DB_FEATURE, "Redis %ld is too old; at least %d is needed", version, LEAST_VERSION);
    return ERR_OK;
}

enum err dev_redis_ping(const struct dev_folder *f, struct err_info *info)
{
    const struct str ping[] = {STR("PING")};
    const struct reply *reply = NULL;
    struct arena arena = {0};
    struct rconn_config config = {.url = dev_redis_url(f, &arena), .name = "usher-dev", .connect_ms = CONNECT_MS};
    struct rsession *redis = NULL;
    enum err err = rsession_open(&config, &redis, info);

    if (err == ERR_OK)
        err = rsession_command(redis, 1, ping, &reply, info); /* LOADING until the append-only file is read */
    if (err == ERR_OK)
        err = check_version(redis, info);
    rsession_close(redis);
    arena_free(&arena);
    return err;
}

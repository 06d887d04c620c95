/* sign: see sign.h. */
#include "workers/sign.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/core/webhook.h"
#include "workers/worker.h"

size_t sign_headers(struct job *job, struct str body, struct outbound_header headers[SIGN_HEADERS])
{
    const char *secret = job->worker->settings->webhook_secret;
    struct buf signature = {0};
    char *id = arena_alloc(&job->arena, ID_TEXT_SIZE);
    int64_t now_s = clock_wall_us() / 1000000;
    size_t n = 0;
    id_format(&job->effect_key, id);
    headers[n++] = (struct outbound_header){"webhook-id", id};
    headers[n++] = (struct outbound_header){"webhook-timestamp", arena_printf(&job->arena, "%lld", (long long)now_s)};
    if (secret && webhook_sign(&signature, &secret, 1, id, now_s, body) == ERR_OK)
        headers[n++] = (struct outbound_header){"webhook-signature", arena_strdup(&job->arena, buf_text(&signature))};
    buf_free(&signature);
    return n;
}

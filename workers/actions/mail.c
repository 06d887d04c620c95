/* mail: send_email, notify_team, notify_vendor. The Message-ID derives from the job's effect key, so a repeat after
 * an unknown outcome is
 * recognised as the same message; the Date is domain time. */
#include <string.h>

#include "common/io/outbound.h"
#include "workers/action.h"
#include "workers/exec.h"
#include "workers/worker.h"

#define DEFAULT_FROM "automation@usher.invalid"

static void on_sent(void *arg, const struct outbound_result *result)
{
    struct job *job = arg;
    exec_outbound(job, result, job->step->next);
}

static const char *param(const struct job *job, const char *key)
{
    return json_string_value(json_object_get(job->step->params, key));
}

/* The part behind '@' of "Name <a@b>" or "a@b": the Message-ID's domain. */
static const char *domain_of(struct job *job, const char *address)
{
    const char *at = strrchr(address, '@');
    if (!at)
        return "usher.invalid";
    return arena_strndup(&job->arena, at + 1, strcspn(at + 1, "> \t"));
}

static void send(struct job *job, const char *to)
{
    struct worker *w = job->worker;
    char key[ID_TEXT_SIZE];
    const char *html = param(job, "html");
    struct outbound_mail mail = {.from = w->settings->mail_from ? w->settings->mail_from : DEFAULT_FROM,
                                 .to = to,
                                 .date_us = job->now_us,
                                 .deadline_ms = job->timeout_ms};
    mail.reply_to = json_string_value(json_object_get(json_object_get(job->context, "tenant"), "email"));
    mail.subject = action_render(job, param(job, "subject"), false);
    if (!mail.subject)
        return;
    mail.text = action_render(job, param(job, "text"), false);
    if (!mail.text)
        return;
    if (html && !(mail.html = action_render(job, html, true)))
        return;
    mail.message_id = arena_printf(&job->arena, "%s@%s", id_format(&job->effect_key, key), domain_of(job, mail.from));
    job->acted = true;
    job->handle = outbound_send_mail(w->outbound, &mail, on_sent, job);
}

static const char *vendor_address(const struct job *job, const char *role)
{
    json_t *vendor;
    size_t i;
    json_array_foreach(json_object_get(job->context, "vendors"), i, vendor)
    {
        const char *is = json_string_value(json_object_get(vendor, "role"));
        const char *email = json_string_value(json_object_get(vendor, "email"));
        if (is && email && strcmp(is, role) == 0)
            return email;
    }
    return NULL;
}

static const char *address_at(const struct job *job, const char *object)
{
    return json_string_value(json_object_get(json_object_get(job->context, object), "email"));
}

static void send_to(struct job *job, const char *to, const char *who)
{
    if (to && *to)
        send(job, to);
    else
        exec_dead(job, "no_recipient", arena_printf(&job->arena, "%s has no mail address", who));
}

static void start_email(struct job *job)
{
    static const char vendor[] = "vendor:";
    const char *to = param(job, "to");
    if (!to || strcmp(to, "client") == 0)
        send_to(job, address_at(job, "client"), "the client");
    else if (strcmp(to, "team") == 0)
        send_to(job, address_at(job, "tenant"), "the team");
    else if (strncmp(to, vendor, sizeof(vendor) - 1) == 0)
        send_to(job, vendor_address(job, to + sizeof(vendor) - 1), to);
    else if ((to = action_render(job, to, false)))
        send_to(job, to, "the recipient");
}

static void start_team(struct job *job)
{
    send_to(job, address_at(job, "tenant"), "the team");
}

static void start_vendor(struct job *job)
{
    const char *role = param(job, "role");
    send_to(job, role ? vendor_address(job, role) : NULL,
            role ? arena_printf(&job->arena, "vendor %s", role) : "the vendor");
}

const struct action action_send_email = {"send_email", start_email};
const struct action action_notify_team = {"notify_team", start_team};
const struct action action_notify_vendor = {"notify_vendor", start_vendor};

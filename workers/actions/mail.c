/* mail: send_email, notify_team, notify_vendor. The Message-ID derives from the job's effect key, so a repeat after
 * an unknown outcome is
 * recognised as the same message; the Date is domain time. */
#include <string.h>

#include "common/base/buf.h"
#include "common/core/message.h"
#include "common/core/recipient.h"
#include "common/io/outbound.h"
#include "workers/action.h"
#include "workers/approval.h"
#include "workers/exec.h"
#include "workers/worker.h"

#define DEFAULT_FROM "automation@usher.invalid"

static void on_sent(void *arg, const struct outbound_result *result)
{
    struct job *job = arg;
    exec_outbound(job, result, job->step->next);
}

/* The part behind '@' of "Name <a@b>" or "a@b": the Message-ID's domain. */
static const char *domain_of(struct job *job, const char *address)
{
    const char *at = strrchr(address, '@');
    if (!at)
        return "usher.invalid";
    return arena_strndup(&job->arena, at + 1, strcspn(at + 1, "> \t"));
}

/* What was approved is what goes out, whatever has changed since. */
static void use_approved(const struct job *job, struct outbound_mail *mail)
{
    const char *to = approval_text(job, "to");

    if (to == NULL)
        return;
    mail->to = to;
    mail->subject = approval_text(job, "subject");
    mail->text = approval_text(job, "text");
    mail->html = approval_text(job, "html");
}

static bool render(struct job *job, struct outbound_mail *mail)
{
    struct message texts;
    struct err_info info = {0};

    if (message_find(job->step->params, job->context, &texts, &info) != ERR_OK) {
        exec_dead(job, "missing_template", info.text);
        return false;
    }
    mail->subject = action_render(job, texts.subject, false);
    if (mail->subject != NULL)
        mail->text = action_render(job, texts.text, false);
    if (mail->text != NULL && texts.html != NULL)
        mail->html = action_render(job, texts.html, true);
    return mail->text != NULL && (texts.html == NULL || mail->html != NULL);
}

static void send(struct job *job, const char *to)
{
    struct worker *w = job->worker;
    char key[ID_TEXT_SIZE];
    struct outbound_mail mail = {.from = w->settings->mail_from ? w->settings->mail_from : DEFAULT_FROM,
                                 .to = to,
                                 .date_us = job->now_us,
                                 .deadline_ms = job->timeout_ms};
    mail.reply_to = json_string_value(json_object_get(json_object_get(job->context, "tenant"), "email"));
    use_approved(job, &mail);
    if (mail.text == NULL && !render(job, &mail))
        return;
    if (approval_wanted(job)) {
        approval_request(job, json_pack("{s:s,s:s,s:s,s:s*}", "to", to, "subject", mail.subject, "text", mail.text,
                                        "html", mail.html));
        return;
    }
    mail.message_id = arena_printf(&job->arena, "%s@%s", id_format(&job->effect_key, key), domain_of(job, mail.from));
    job->acted = true;
    job->handle = outbound_send_mail(w->outbound, &mail, on_sent, job);
}

static void start_mail(struct job *job)
{
    struct buf to = {0};
    struct err_info info = {0};
    const char *reason;
    enum err err = recipient_find(job->step->type, job->step->params, job->context, &to, &reason, &info);
    if (err == ERR_OK)
        send(job, arena_strndup(&job->arena, buf_text(&to), to.len));
    else
        exec_dead(job, reason, info.text);
    buf_free(&to);
}

const struct action action_send_email = {"send_email", start_mail};
const struct action action_notify_team = {"notify_team", start_mail};
const struct action action_notify_vendor = {"notify_vendor", start_mail};

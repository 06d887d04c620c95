/* outbound_mail: the relay's settings, and mails on their way into the pool of sessions (outbound_smtp.c). */
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "common/base/mem.h"
#include "common/io/outbound_impl.h"
#include "common/io/outbound_mime.h"

static enum err read_tls(const struct outbound_config *config, long *out, struct err_info *info)
{
    /* A password must not cross the net in the clear because a STARTTLS offer was cut out on the way. */
    const char *text = config->smtp_tls != NULL ? config->smtp_tls : config->smtp_user != NULL ? "require" : "try";
    static const struct {
        const char *name;
        long value;
    } policies[] = {{"none", CURLUSESSL_NONE}, {"try", CURLUSESSL_TRY}, {"require", CURLUSESSL_ALL}};
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        if (strcmp(text, policies[i].name) == 0) {
            *out = policies[i].value;
            return ERR_OK;
        }
    }
    return err_set(info, ERR_INVALID, "SMTP TLS policy \"%s\": none, try or require", text);
}

static bool is_smtp_scheme(CURLU *u)
{
    char *scheme = NULL;
    bool good = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                (strcmp(scheme, "smtp") == 0 || strcmp(scheme, "smtps") == 0);
    curl_free(scheme);
    return good;
}

static bool has_part(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

/* The name for EHLO is the path of curl's SMTP URL. The URL's text is never quoted in errors: it may hold a password. */
static enum err read_url(const struct outbound_config *config, char **out, struct err_info *info)
{
    enum err e = ERR_INVALID;
    char *text = NULL;
    CURLU *u = curl_url();
    if (u == NULL)
        return err_set(info, ERR_NOMEM, "SMTP URL: out of memory");
    if (curl_url_set(u, CURLUPART_URL, config->smtp_url, 0) != CURLUE_OK || !is_smtp_scheme(u) ||
        has_part(u, CURLUPART_QUERY) || has_part(u, CURLUPART_FRAGMENT)) {
        (void)err_set(info, e, "SMTP URL: not of the form smtp://host:port or smtps://host:port");
        goto out;
    }
    if (config->helo_name != NULL && curl_url_set(u, CURLUPART_PATH, config->helo_name, CURLU_URLENCODE) != CURLUE_OK) {
        (void)err_set(info, e, "SMTP: the host name for EHLO is not valid");
        goto out;
    }
    if (curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK) {
        *out = mem_strdup(text);
        e = ERR_OK;
    }
out:
    curl_free(text);
    curl_url_cleanup(u);
    return e;
}

/* Letters, digits, dots, dashes, and the brackets and colons of an address literal (RFC 5321 §4.1.3). */
static bool is_helo_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-[]:_");
    return n > 0 && n <= 255 && s[n] == '\0';
}

enum err outbound_smtp_open(struct outbound *o, const struct outbound_config *config, struct err_info *info)
{
    struct outbound_smtp *smtp = &o->smtp;
    list_init(&smtp->sessions);
    list_init(&smtp->idle);
    list_init(&smtp->waiting);
    enum err e = read_tls(config, &smtp->tls, info);
    if (e == ERR_OK && config->helo_name != NULL && !is_helo_name(config->helo_name))
        e = err_set(info, ERR_INVALID, "SMTP: the host name for EHLO is not valid");
    if (e == ERR_OK && config->smtp_url != NULL)
        e = read_url(config, &smtp->url, info);
    if (e != ERR_OK)
        return e;
    smtp->user = config->smtp_user != NULL ? mem_strdup(config->smtp_user) : NULL;
    smtp->password = config->smtp_password != NULL ? mem_strdup(config->smtp_password) : NULL;
    return ERR_OK;
}

void outbound_smtp_free(struct outbound *o)
{
    if (o->smtp.password != NULL)
        explicit_bzero(o->smtp.password, strlen(o->smtp.password));
    mem_free(o->smtp.password);
    mem_free(o->smtp.user);
    mem_free(o->smtp.url);
}

/* Builds message and envelope into the call. */
static enum err build(struct outbound_call *call, const struct outbound_mail *mail, struct err_info *info)
{
    struct outbound_letter *l = &call->letter;
    struct outbound_address from;
    struct outbound_address to;
    enum err e = outbound_mime_build(&l->content, mail, &from, &to, info);
    if (e != ERR_OK)
        return e;
    buf_put_str(&l->content, ".\r\n");
    memcpy(l->from, from.addr, sizeof(l->from));
    memcpy(l->to, to.addr, sizeof(l->to));
    return ERR_OK;
}

void *outbound_send_mail(struct outbound *o, const struct outbound_mail *mail, outbound_cb cb, void *arg)
{
    struct outbound_call *call = outbound_call_new(o, cb, arg, mail->deadline_ms);
    const char *barred = outbound_call_barred(o);
    struct err_info info = {.text = ""};
    call->is_mail = true;
    if (o->smtp.url == NULL)
        outbound_call_finish(call, OUTBOUND_REFUSED, 0, "no SMTP relay is configured");
    else if (barred != NULL)
        outbound_call_finish(call, OUTBOUND_TRY_LATER, 0, barred);
    else if (build(call, mail, &info) != ERR_OK)
        outbound_call_finish(call, OUTBOUND_REFUSED, 0, info.text);
    else
        outbound_smtp_submit(call);
    return call;
}

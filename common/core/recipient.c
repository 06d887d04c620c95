/* recipient: see recipient.h. An address that is there but empty is none. */
#include "common/core/recipient.h"

#include <string.h>

#include "common/base/str.h"
#include "common/core/template.h"

#define VENDOR "vendor:"

static const char *no_recipient = "no_recipient";

static enum err put(const char *address, const char *who, struct buf *to, const char **reason, struct err_info *info)
{
    if (address == NULL || address[0] == '\0') {
        *reason = no_recipient;
        return err_set(info, ERR_NOTFOUND, "%s has no mail address", who);
    }
    buf_put_str(to, address);
    return ERR_OK;
}

static const char *address_at(const json_t *context, const char *object)
{
    return json_string_value(json_object_get(json_object_get(context, object), "email"));
}

static const char *vendor_address(const json_t *context, const char *role)
{
    json_t *vendor;
    size_t i;

    json_array_foreach(json_object_get(context, "vendors"), i, vendor)
    {
        const char *is = json_string_value(json_object_get(vendor, "role"));
        const char *email = json_string_value(json_object_get(vendor, "email"));
        if (is != NULL && email != NULL && strcmp(is, role) == 0)
            return email;
    }
    return NULL;
}

static enum err put_rendered(const char *template, const json_t *context, struct buf *to, const char **reason,
                             struct err_info *info)
{
    struct buf text = {0};
    enum err err = template_render(str_of(template), context, TEMPLATE_TEXT, &text, info);

    if (err == ERR_OK)
        err = put(buf_text(&text), "the recipient", to, reason, info);
    else
        *reason = err == ERR_NOTFOUND ? "missing_variable" : "template";
    buf_free(&text);
    return err;
}

static enum err put_named(const char *name, const json_t *context, struct buf *to, const char **reason,
                          struct err_info *info)
{
    if (name == NULL || strcmp(name, "client") == 0)
        return put(address_at(context, "client"), "the client", to, reason, info);
    if (strcmp(name, "team") == 0)
        return put(address_at(context, "tenant"), "the team", to, reason, info);
    if (str_starts(str_of(name), VENDOR))
        return put(vendor_address(context, name + strlen(VENDOR)), name, to, reason, info);
    return put_rendered(name, context, to, reason, info);
}

static enum err put_vendor(const char *role, const json_t *context, struct buf *to, const char **reason,
                           struct err_info *info)
{
    struct buf who = {0};

    if (role == NULL)
        return put(NULL, "the vendor", to, reason, info);
    buf_printf(&who, "vendor %s", role);
    enum err err = put(vendor_address(context, role), buf_text(&who), to, reason, info);
    buf_free(&who);
    return err;
}

enum err recipient_find(enum action_type type, const json_t *params, const json_t *context, struct buf *to,
                        const char **reason, struct err_info *info)
{
    *reason = "";
    if (type == ACTION_SEND_EMAIL)
        return put_named(json_string_value(json_object_get(params, "to")), context, to, reason, info);
    if (type == ACTION_NOTIFY_TEAM)
        return put(address_at(context, "tenant"), "the team", to, reason, info);
    if (type == ACTION_NOTIFY_VENDOR)
        return put_vendor(json_string_value(json_object_get(params, "role")), context, to, reason, info);
    *reason = no_recipient;
    return err_set(info, ERR_STATE, "the action sends no mail");
}

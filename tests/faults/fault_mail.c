/* A wedding is cancelled while its mail is on the way. */
#include <stdio.h>

#include "tests/faults/cell.h"

static struct sink mail;

static void stop_mail(void)
{
    sink_stop(&mail);
    cell_close();
}

static void mail_cancelled_in_data(void);
Test(faults, mail_cancelled_in_data, .fini = stop_mail, .timeout = CELL_TIMEOUT_S)
{
    cell_cycles("mail_cancelled_in_data", CELL_SHARED_POSTGRES, mail_cancelled_in_data);
}

/* The relay has the content and thinks about its answer. What had been begun ends with what really happened; what had not is cancelled. */
static void mail_cancelled_in_data(void)
{
    char url[64];

    sink_start(&mail, "smtp_sink.py", NULL);
    snprintf(url, sizeof(url), "USHER_SMTP_URL=smtp://127.0.0.1:%d", mail.port);
    const char *const env[] = {url, "USHER_CONCURRENCY=1", "USHER_BATCH=1", NULL};
    system_sql("update automation.rules set definition = jsonb_set(definition, '{actions}',"
               " '[{\"type\":\"send_email\",\"params\":{\"to\":\"client\",\"subject\":\"s\",\"text\":\"t\"}}]') where "
               "name = 'r'");
    system_scheduler(NULL);
    system_until("select count(*) = 1 from automation.rules where validated_revision = revision");
    system_events(3);
    system_sql("update automation.weddings set client_email = 'a+slow3000@example.com' where title like 'W_'");
    system_worker(env);
    system_until("select count(*) = 1 from automation_priv.ledger where owner is not null and kind = 'send_email'");
    system_until("select count(*) = 3 from automation_priv.ledger");
    system_sql("update automation.weddings set status = 'cancelled' where title like 'W_'");
    cell_mended();
    cell_recovers();
    system_until_done();
    cell_demand(sink_lines(&mail, "accepted.jsonl", "message_id") == 1, "one mail was on its way");
    cell_demand(system_i64(
                    "select count(*) from automation.execution_logs where kind = 'send_email' and outcome = 0") == 1,
                "what happened is logged as done");
    cell_demand(system_i64(
                    "select count(*) from automation.execution_logs where kind = 'send_email' and outcome = 3") == 2,
                "the others are cancelled");
}

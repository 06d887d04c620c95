/* summary: what the demo says at its end, for people or as one JSON object. */
#ifndef CLI_DEMO_SUMMARY_H
#define CLI_DEMO_SUMMARY_H

#include <jansson.h>

/* Puts `changes` (store_demo_changes; taken) into the summary as "changes", with "sent_after_cancellation" beside it:
 * 0 where all is well. */
void summary_add_changes(json_t *summary, json_t *changes);

/* Lines for people: what became of weddings that changed, runs by state and reason, jobs, attempts by kind and outcome,
 * mails, webhooks, log rows per month, conservation. */
void summary_print(const json_t *summary);

#endif

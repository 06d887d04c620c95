/* summary: what the demo says at its end, for people or as one JSON object. */
#ifndef CLI_DEMO_SUMMARY_H
#define CLI_DEMO_SUMMARY_H

#include <jansson.h>

/* Lines for people: runs by state and reason, jobs, attempts by kind and outcome, mails, webhooks, log rows per
 * month, conservation. */
void summary_print(const json_t *summary);

#endif

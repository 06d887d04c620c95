/* port: a TCP port of 127.0.0.1 that nobody listens on, for servers that can not be told to take any. */
#ifndef TESTS_SUPPORT_PORT_H
#define TESTS_SUPPORT_PORT_H

int port_free(void); /* failures print and abort */

#endif

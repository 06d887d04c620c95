/* exit: what the exit code of a command says. One table; `usher help exit-codes` prints it. Codes from 64 on are those of
 * sysexits.h. */
#ifndef CLI_EXIT_H
#define CLI_EXIT_H

/* X(name, code, meaning) */
#define EXIT_MAP(X)                                                                                                    \
    X(EXIT_OK, 0, "done")                                                                                              \
    X(EXIT_FAILED, 1, "failed; the message says why")                                                                  \
    X(EXIT_USAGE, 2, "wrong usage: unknown command, option or operand")                                                \
    X(EXIT_NOT_FOUND, 3, "what was asked for does not exist")                                                          \
    X(EXIT_CONFLICT, 4, "not possible now: in use, already there, or a condition is not met")                          \
    X(EXIT_UNAVAILABLE, 69, "PostgreSQL, Redis or a needed program is not available")                                  \
    X(EXIT_TEMPORARY, 75, "failed for now; the same command may succeed later")                                        \
    X(EXIT_CONFIG, 78, "bad settings; restarting does not help")                                                       \
    X(EXIT_INTERRUPTED, 130, "interrupted from the keyboard")

#define EXIT_ENUM(name, code, meaning) name = (code),
enum exit_code { EXIT_MAP(EXIT_ENUM) };
#undef EXIT_ENUM

#endif

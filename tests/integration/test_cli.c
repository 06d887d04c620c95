/* The operator's commands are checked from outside, by a script that runs them on a real system. */
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

Test(cli, commands_do_what_they_say)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        (void)execl("tests/e2e/cli.sh", "cli.sh", (char *)NULL);
        _exit(127);
    }
    cr_assert_gt(pid, 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "tests/e2e/cli.sh failed; its output is above");
}

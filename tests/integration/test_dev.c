/* What `usher dev` promises is checked from outside, by a script that starts, kills and counts processes. */
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

Test(dev, keeps_its_promises)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        (void)execl("tests/e2e/dev.sh", "dev.sh", (char *)NULL);
        _exit(127);
    }
    cr_assert_gt(pid, 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "tests/e2e/dev.sh failed; its output is above");
}

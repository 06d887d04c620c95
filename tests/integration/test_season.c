/* A small season, played and compared by a script: the whole system from outside. */
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

Test(season, plays_the_same_whatever_is_killed)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        (void)execl("tests/e2e/season.sh", "season.sh", (char *)NULL);
        _exit(127);
    }
    cr_assert_gt(pid, 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "tests/e2e/season.sh failed; its output is above");
}

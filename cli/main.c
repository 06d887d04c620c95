/* usher: the operator's command. */
#include "cli/cmd.h"
#include "cli/table.h"

int main(int argc, char **argv)
{
    return cmd_main(table_commands, argc, argv);
}

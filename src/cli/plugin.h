/* The parts of `kaskad plugin`. */
#ifndef KSK_CLI_PLUGIN_H
#define KSK_CLI_PLUGIN_H

#include "cli/cli.h"

extern const ksk_command ksk_command_plugin_list, ksk_command_plugin_build, ksk_command_plugin_new;

/* `relative` from the folder of the running program; caller frees with ksk_free. NULL when memory
 * runs out or the program's path is unknown. */
char *ksk_beside_program(const char *relative);

#endif

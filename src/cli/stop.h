/* Long work that ends in good order when it is told to. */
#ifndef KSK_CLI_STOP_H
#define KSK_CLI_STOP_H

#include <stdbool.h>

/* From now on SIGINT and SIGTERM ask the work to end; a second one ends the program at once. A file
 * that may not grow is an error with a message, as a full disk is. */
void ksk_stop_catch(void);

/* Whether one has come. */
bool ksk_stop_asked(void);

/* Can be read once one has come; -1 before ksk_stop_catch. */
int ksk_stop_descriptor(void);

/* What a program that was asked to stop exits with, as a shell reports it: 130 after SIGINT, 143
 * after SIGTERM; 1 when it was not asked. */
int ksk_stop_status(void);

#endif

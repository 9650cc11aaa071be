/* Long work that ends in good order when it is told to. */
#ifndef KSK_CLI_STOP_H
#define KSK_CLI_STOP_H

#include <stdbool.h>

/* From now on SIGINT and SIGTERM ask the work to end; a second one ends the program at once. A file
 * that may not grow is an error with a message, as a full disk is. */
void ksk_stop_catch(void);

/* Whether one has come. */
bool ksk_stop_asked(void);

#endif

#include "cli/stop.h"

#include <signal.h>

static volatile sig_atomic_t asked;

/* The handler has been reset by then. */
static void stop(int number)
{
    (void)number;
    asked = 1;
}

void ksk_stop_catch(void)
{
    struct sigaction action = {.sa_handler = stop, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGXFSZ, SIG_IGN);
}

bool ksk_stop_asked(void)
{
    return asked;
}

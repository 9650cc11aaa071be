#include "cli/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t asked; /* the signal's number, or 0 */
static int ends[2] = {-1, -1};      /* of a pipe that has something in it then */

/* The handler has been reset by then. Any thread may run it, so a wait for input has to see the
 * pipe.
 */
static void stop(int number)
{
    const int before = errno;
    asked = number;
    const ssize_t written = write(ends[1], "", 1);
    (void)written;
    errno = before;
}

void ksk_stop_catch(void)
{
    struct sigaction action = {.sa_handler = stop, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        ends[0] = ends[1] = -1;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGXFSZ, SIG_IGN);
}

bool ksk_stop_asked(void)
{
    return asked;
}

int ksk_stop_descriptor(void)
{
    return ends[0];
}

int ksk_stop_status(void)
{
    return asked ? 128 + (int)asked : 1;
}

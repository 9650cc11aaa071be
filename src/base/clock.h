/* Time that only goes forward. */
#ifndef KSK_BASE_CLOCK_H
#define KSK_BASE_CLOCK_H

/* Seconds of the monotonic clock, which deadlines are in, too. */
double ksk_clock_now(void);

#endif

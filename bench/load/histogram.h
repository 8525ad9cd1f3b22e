/* How long messages took: a log-linear histogram, whose steps are less than one percent wide. */

#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

struct result {
    int64_t began, ended; /* when the measuring did, in nanoseconds */
    uint64_t total;       /* messages, with those of the warm-up */
    uint64_t lost;        /* datagrams that had to be sent again */
};

/* Count a message that took so long, in nanoseconds. */
void took(int64_t nanoseconds);

/* Print a result as one line of JSON; latencies are in microseconds. */
void report(const char *mode, const struct result *result);

#endif

#include "histogram.h"

#include <inttypes.h>
#include <stdio.h>

#define BITS 7 /* a power of two is divided into 2^BITS steps */
#define STEPS (1u << BITS)

static uint64_t counts[(64 - BITS + 1) * STEPS];
static uint64_t messages;
static int64_t longest;

static unsigned int step_of(uint64_t value)
{
    if (value < STEPS)
        return (unsigned int)value;
    unsigned int shift = 63u - (unsigned int)__builtin_clzll(value) - BITS;
    return shift * STEPS + (unsigned int)(value >> shift);
}

/* The middle of a step. */
static double value_of(unsigned int step)
{
    if (step < 2 * STEPS)
        return step;
    unsigned int shift = step / STEPS - 1;
    return ((step % STEPS + STEPS) + 0.5) * (double)(UINT64_C(1) << shift);
}

static double percentile(double fraction)
{
    uint64_t wanted = (uint64_t)(fraction * (double)messages), seen = 0;
    for (unsigned int step = 0; step < sizeof counts / sizeof *counts; step++) {
        seen += counts[step];
        if (seen > wanted)
            return value_of(step) / 1000;
    }
    return (double)longest / 1000;
}

void took(int64_t nanoseconds)
{
    counts[step_of((uint64_t)nanoseconds)]++;
    messages++;
    if (nanoseconds > longest)
        longest = nanoseconds;
}

void report(const char *mode, const struct result *result)
{
    printf("{\"mode\": \"%s\", \"seconds\": %.6f, \"messages\": %" PRIu64 ", \"total\": %" PRIu64
           ", \"lost\": %" PRIu64
           ", \"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, \"max\": %.2f}\n",
           mode, (double)(result->ended - result->began) / 1e9, messages, result->total,
           result->lost, percentile(0.50), percentile(0.90), percentile(0.99),
           (double)longest / 1000);
}

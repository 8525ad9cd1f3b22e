/* The modes of the load generator; each runs to its end and prints its line. */

#ifndef MODES_H
#define MODES_H

#include "common.h"

void run_tcp(const struct options *options);
void run_udp(const struct options *options);
void run_connect(const struct options *options);
void run_idle(const struct options *options);
void run_flood(const struct options *options);

#endif

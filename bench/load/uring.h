/* io_uring(7), as far as a client of many small messages needs it: every round sends what is to be
 * sent and brings what has arrived, with one system call in place of three for each message. */

#ifndef URING_H
#define URING_H

#include <stddef.h>
#include <stdint.h>

#define PIECE 4096 /* that one arrival has at most, in bytes */

struct arrival {
    uint32_t client;
    int result;                /* bytes, 0 at the end, or -errno */
    const unsigned char *data; /* until the next round */
    int is_last;               /* nothing more is received until that is asked for again */
};

/* Open the ring for so many clients; return 0 if this system, or its headers, have no such ring. */
int uring_open(int clients);

/* Receive from a client's socket from the next round on. */
void uring_receive(uint32_t client, int fd);

/* Send in the next round, all of it; the bytes must stay. */
void uring_send(uint32_t client, int fd, const void *data, size_t length);

/* Do what was asked for, without sleeping. */
void uring_round(void);

/* Take the next arrival; return 0 if there is none. */
int uring_take(struct arrival *arrival);

#endif

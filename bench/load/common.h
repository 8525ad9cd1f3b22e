/* What all modes of the load generator share: options, the clock, sockets, and the content. */

#ifndef COMMON_H
#define COMMON_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define SECOND 1000000000LL
#define PATIENCE_MS 10000 /* how long a server may keep all clients waiting */
#define LARGEST 65536     /* of a message, in bytes */
#define EVENTS 256        /* that one epoll_wait(2) returns at most */

struct options {
    struct sockaddr_in server;
    int clients;
    size_t size;     /* of a message, in bytes */
    int64_t warm_up; /* not measured, in nanoseconds */
    int64_t measure; /* in nanoseconds */
};

/* Say what failed and why (errno), and exit with status 1. */
_Noreturn void fail(const char *what);

/* The same where errno has nothing to say. */
_Noreturn void complain(const char *what);

/* Monotonic time in nanoseconds. */
int64_t now(void);

/* A new epoll. */
int new_epoll(void);

/* Add a descriptor to an epoll, or change what it waits for. */
void watch(int epoll, int operation, int fd, uint32_t events, void *data);

struct epoll_event;

/* epoll_wait(2) that does not sleep, for so many milliseconds at most: what it costs a processor,
   or a virtual machine, to wake up is not the server's. */
int wait_awake(int epoll, struct epoll_event *events, int patience);

/* A new client socket, bound to one of many loopback addresses: see the comment in common.c. */
int new_socket(const struct options *options, int type);

/* A connection that the server is known to have accepted: it has echoed a byte. */
int connect_and_echo(const struct options *options);

/* A connection that the kernel has made; the server may not have accepted it yet. */
int connect_only(const struct options *options);

void set_nonblocking(int fd);

/* The endless content of a stream, from a position on: at least LARGEST readable bytes. */
const unsigned char *content(uint64_t position);

/* Stop the program unless received bytes are the content at a position. */
void check(const unsigned char *received, size_t length, uint64_t position);

/* A buffer for what is received. */
extern unsigned char incoming[LARGEST];

#endif

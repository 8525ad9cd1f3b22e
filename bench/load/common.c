#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PERIOD 251 /* a prime: no power of two, at which buffers wrap, hides a shift */
#define EDGE 512   /* how much of each end of a large piece is checked, in bytes */
#define SOURCES 200

unsigned char incoming[LARGEST];

void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

void complain(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

int new_epoll(void)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        fail("epoll_create1");
    return epoll;
}

void watch(int epoll, int operation, int fd, uint32_t events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};
    if (epoll_ctl(epoll, operation, fd, &event) < 0)
        fail("epoll_ctl");
}

/* The client closes first, as clients do, and so it is the client's end that stays in TIME_WAIT
 * and keeps its address and port from being used again. One address has some 28,000 ephemeral
 * ports, which is less than a second's worth of connections. All of 127.0.0.0/8 is this machine:
 * each process takes addresses of its own, picked by its number, and goes round them.
 * IP_BIND_ADDRESS_NO_PORT leaves the port to connect(2), which knows that one port may serve
 * towards several servers. */
int new_socket(const struct options *options, int type)
{
    static unsigned int count;
    unsigned int process = (unsigned int)getpid();
    struct sockaddr_in source = {.sin_family = AF_INET};
    unsigned int network = 127u << 24 | (1 + process / 256 % 254) << 16 | process % 256 << 8;
    int yes = 1;

    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    source.sin_addr.s_addr = htonl(network | (1 + count++ % SOURCES));
    if (ntohl(options->server.sin_addr.s_addr) >> 24 != 127)
        return fd;
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes) < 0)
        fail("IP_BIND_ADDRESS_NO_PORT");
    if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0)
        fail("bind");
    return fd;
}

int connect_only(const struct options *options)
{
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int yes = 1;
    int fd = new_socket(options, SOCK_STREAM);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&options->server, sizeof options->server) < 0)
        fail("connect");
    return fd;
}

/* One after the other, each with a byte: servers with a short backlog are not overrun. */
int connect_and_echo(const struct options *options)
{
    char byte = 1;
    int fd = connect_only(options);
    if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
        fail("send of the first byte");
    if (recv(fd, &byte, 1, 0) != 1)
        complain("the first byte did not come back");
    return fd;
}

void set_nonblocking(int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        fail("fcntl");
}

int wait_awake(int epoll, struct epoll_event *events, int patience)
{
    int64_t end = now() + patience * (SECOND / 1000);
    int count;
    do
        count = epoll_wait(epoll, events, EVENTS, 0);
    while (count == 0 && now() < end);
    return count;
}

const unsigned char *content(uint64_t position)
{
    static unsigned char periods[LARGEST + PERIOD];
    if (!periods[1])
        for (size_t i = 0; i < sizeof periods; i++)
            periods[i] = (unsigned char)(i % PERIOD);
    return periods + position % PERIOD;
}

/* Of a large piece both ends are compared: that finds what is lost, doubled or shifted, and does
 * not make the load slower than the server that it measures. */
void check(const unsigned char *received, size_t length, uint64_t position)
{
    const unsigned char *expected = content(position);
    size_t edge = length > 2 * EDGE ? EDGE : length;
    if (memcmp(received, expected, edge) != 0 ||
        memcmp(received + length - edge, expected + length - edge, edge) != 0)
        complain("what came back is not what was sent");
}

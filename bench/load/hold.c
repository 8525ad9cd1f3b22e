/* Modes `idle` and `flood`: the company in which something else is measured.
 *
 * Both say `ready` once all clients are connected, and go on until their standard input ends. */

#include "modes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 32 /* connections that may wait in the server's backlog */

struct client {
    int fd;
    uint64_t sent, back;
};

static void say_ready(const char *mode, int clients)
{
    printf("{\"mode\": \"%s\", \"ready\": %d}\n", mode, clients);
    fflush(stdout);
}

/* Backlogs are first in, first out: who has been echoed a byte knows that all before are in. */
void run_idle(const struct options *options)
{
    char byte;
    for (int i = 1; i <= options->clients; i++) {
        connect_only(options);
        if (i % BATCH == 0 || i == options->clients)
            close(connect_and_echo(options));
    }
    say_ready("idle", options->clients);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
}

static void write_some(struct client *client)
{
    ssize_t n = send(client->fd, content(client->sent), LARGEST, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        fail("send");
    client->sent += n < 0 ? 0 : (uint64_t)n;
}

static void read_some(struct client *client)
{
    ssize_t n = recv(client->fd, incoming, sizeof incoming, 0);
    if (n == 0)
        complain("the server has closed a connection");
    if (n < 0) {
        if (errno != EAGAIN)
            fail("recv");
        return;
    }
    check(incoming, (size_t)n, client->back);
    client->back += (uint64_t)n;
}

static void flood_until(int epoll, int end)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (client->fd == end)
                return;
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                read_some(client);
            if (events[i].events & EPOLLOUT)
                write_some(client);
        }
    }
}

void run_flood(const struct options *options)
{
    struct client *clients = calloc((size_t)options->clients, sizeof *clients);
    struct client end = {.fd = STDIN_FILENO};
    uint64_t back = 0;
    int epoll = new_epoll();

    if (!clients)
        fail("calloc");
    for (int i = 0; i < options->clients; i++) {
        clients[i].fd = connect_and_echo(options);
        set_nonblocking(clients[i].fd);
        watch(epoll, EPOLL_CTL_ADD, clients[i].fd, EPOLLIN | EPOLLOUT, &clients[i]);
    }
    watch(epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, &end);
    say_ready("flood", options->clients);
    flood_until(epoll, STDIN_FILENO);
    for (int i = 0; i < options->clients; i++)
        back += clients[i].back;
    printf("{\"mode\": \"flood\", \"bytes\": %" PRIu64 "}\n", back);
    free(clients);
}

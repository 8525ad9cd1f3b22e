/* Mode `connect`: connect, send a byte, read it back, close, and again; so many at a time.
 *
 * The client closes first: see new_socket() for what that asks of its addresses. */

#include "histogram.h"
#include "modes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
    int fd;
    int has_sent;
    int64_t began;
};

static const struct options *options;
static struct result result;
static int epoll, alive;

static int send_byte(struct client *client)
{
    ssize_t n = send(client->fd, content(1), 1, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != ENOTCONN)
        fail("send of the byte");
    client->has_sent = n == 1;
    return client->has_sent;
}

/* On loopback the handshake is mostly over when connect(2) returns, so the byte is tried at once:
 * that saves a wait and lets the load keep ahead of the servers. */
static void begin(struct client *client, int64_t time)
{
    const struct sockaddr *server = (const struct sockaddr *)&options->server;
    client->began = time;
    client->fd = new_socket(options, SOCK_STREAM | SOCK_NONBLOCK);
    if (connect(client->fd, server, sizeof options->server) < 0 && errno != EINPROGRESS)
        fail("connect");
    watch(epoll, EPOLL_CTL_ADD, client->fd, send_byte(client) ? EPOLLIN : EPOLLOUT, client);
}

static void complete(struct client *client)
{
    int64_t time = now();
    close(client->fd);
    result.total++;
    if (time >= result.began && time <= result.ended)
        took(time - client->began);
    if (time < result.ended)
        begin(client, time);
    else
        alive--;
}

static void go_on(struct client *client)
{
    if (!client->has_sent) {
        if (send_byte(client))
            watch(epoll, EPOLL_CTL_MOD, client->fd, EPOLLIN, client);
        return;
    }
    ssize_t n = recv(client->fd, incoming, 1, 0);
    if (n < 0)
        fail("recv of the byte");
    if (n == 0)
        complain("the server has closed a connection");
    check(incoming, 1, 1);
    complete(client);
}

void run_connect(const struct options *given)
{
    struct client *clients = calloc((size_t)given->clients, sizeof *clients);
    struct epoll_event events[EVENTS];

    options = given;
    epoll = new_epoll();
    if (!clients)
        fail("calloc");
    result.began = now() + options->warm_up;
    result.ended = result.began + options->measure;
    for (alive = 0; alive < options->clients; alive++)
        begin(&clients[alive], now());
    while (alive) {
        int count = wait_awake(epoll, events, PATIENCE_MS);
        if (count <= 0)
            complain("the server does not answer any more");
        for (int i = 0; i < count; i++)
            go_on(events[i].data.ptr);
    }
    report("connect", &result);
    free(clients);
}

/* Mode `tcp`: each client sends a message, waits until all of it is back, and sends the next. */

#include "histogram.h"
#include "modes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
    int fd;
    int is_stuck;       /* waiting for room to send the rest of a message */
    size_t sent, back;  /* of the present message */
    uint64_t position;  /* where the present message begins in the stream */
    int64_t began;
};

static const struct options *options;
static struct result result;
static int epoll, alive;

static void send_rest(struct client *client)
{
    const unsigned char *rest = content(client->position + client->sent);
    ssize_t n = send(client->fd, rest, options->size - client->sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        fail("send");
    client->sent += n < 0 ? 0 : (size_t)n;

    int is_stuck = client->sent < options->size;
    if (is_stuck != client->is_stuck)
        watch(epoll, EPOLL_CTL_MOD, client->fd, is_stuck ? EPOLLIN | EPOLLOUT : EPOLLIN, client);
    client->is_stuck = is_stuck;
}

static void begin(struct client *client, int64_t time)
{
    client->began = time;
    client->sent = client->back = 0;
    send_rest(client);
}

static void complete(struct client *client)
{
    int64_t time = now();
    result.total++;
    if (time >= result.began && time <= result.ended)
        took(time - client->began);
    client->position += options->size;
    if (time < result.ended) {
        begin(client, time);
    } else {
        close(client->fd);
        alive--;
    }
}

static void receive(struct client *client)
{
    ssize_t n = recv(client->fd, incoming, options->size - client->back, 0);
    if (n == 0)
        complain("the server has closed a connection");
    if (n < 0) {
        if (errno != EAGAIN)
            fail("recv");
        return;
    }
    check(incoming, (size_t)n, client->position + client->back);
    client->back += (size_t)n;
    if (client->back == options->size)
        complete(client);
}

void run_tcp(const struct options *given)
{
    struct client *clients = calloc((size_t)given->clients, sizeof *clients);
    struct epoll_event events[EVENTS];

    options = given;
    epoll = new_epoll();
    if (!clients)
        fail("calloc");
    for (alive = 0; alive < options->clients; alive++) {
        clients[alive].fd = connect_and_echo(options);
        set_nonblocking(clients[alive].fd);
        watch(epoll, EPOLL_CTL_ADD, clients[alive].fd, EPOLLIN, &clients[alive]);
    }
    result.began = now() + options->warm_up;
    result.ended = result.began + options->measure;
    for (int i = 0; i < options->clients; i++)
        begin(&clients[i], now());
    while (alive) {
        int count = wait_awake(epoll, events, PATIENCE_MS);
        if (count <= 0)
            complain("the server does not answer any more");
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (client->is_stuck && events[i].events & EPOLLOUT)
                send_rest(client);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                receive(client);
        }
    }
    report("tcp", &result);
    free(clients);
}

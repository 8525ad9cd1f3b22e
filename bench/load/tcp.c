/* Mode `tcp`: each client sends a message, waits until all of it is back, and sends the next.
 *
 * Small messages go by io_uring(7) where the system has it, so that the load stays ahead of the
 * servers that it measures. Of large ones most of the time is the copying, whoever asks for it. */

#include "histogram.h"
#include "modes.h"
#include "uring.h"

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
static struct client *clients;
static int alive;

static void begin(struct client *client, int64_t time)
{
    client->began = time;
    client->sent = client->back = 0;
}

/* Count what came back; return whether there is a next message to be sent. */
static int goes_on(struct client *client, const unsigned char *data, size_t length)
{
    check(data, length, client->position + client->back);
    client->back += length;
    if (client->back < options->size)
        return 0;
    int64_t time = now();
    result.total++;
    if (time >= result.began && time <= result.ended)
        took(time - client->began);
    client->position += options->size;
    if (time < result.ended) {
        begin(client, time);
        return 1;
    }
    close(client->fd);
    client->fd = -1;
    alive--;
    return 0;
}

static void send_rest(int epoll, struct client *client)
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

static void receive(int epoll, struct client *client)
{
    ssize_t n = recv(client->fd, incoming, options->size - client->back, 0);
    if (n == 0)
        complain("the server has closed a connection");
    if (n < 0) {
        if (errno != EAGAIN)
            fail("recv");
        return;
    }
    if (goes_on(client, incoming, (size_t)n))
        send_rest(epoll, client);
}

static void run_by_epoll(void)
{
    struct epoll_event events[EVENTS];
    int epoll = new_epoll();

    for (int i = 0; i < options->clients; i++) {
        set_nonblocking(clients[i].fd);
        watch(epoll, EPOLL_CTL_ADD, clients[i].fd, EPOLLIN, &clients[i]);
        begin(&clients[i], now());
        send_rest(epoll, &clients[i]);
    }
    while (alive) {
        int count = wait_awake(epoll, events, PATIENCE_MS);
        if (count <= 0)
            complain("the server does not answer any more");
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (client->is_stuck && events[i].events & EPOLLOUT)
                send_rest(epoll, client);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                receive(epoll, client);
        }
    }
}

static void send_all(uint32_t number)
{
    uring_send(number, clients[number].fd, content(clients[number].position), options->size);
}

static void take(const struct arrival *arrival)
{
    struct client *client = &clients[arrival->client];
    if (arrival->result == 0)
        complain("the server has closed a connection");
    if (arrival->result > 0) {
        if (goes_on(client, arrival->data, (size_t)arrival->result))
            send_all(arrival->client);
    } else if (arrival->result != -ENOBUFS) { /* more has arrived than there are places for */
        errno = -arrival->result;
        fail("recv");
    }
    if (arrival->is_last && client->fd >= 0)
        uring_receive(arrival->client, client->fd);
}

static void run_by_uring(void)
{
    struct arrival arrival;
    int64_t heard = now();

    for (uint32_t i = 0; i < (uint32_t)options->clients; i++) {
        uring_receive(i, clients[i].fd);
        begin(&clients[i], now());
        send_all(i);
    }
    while (alive) {
        uring_round();
        if (uring_take(&arrival)) {
            do
                take(&arrival);
            while (uring_take(&arrival));
            heard = now();
        } else if (now() - heard > PATIENCE_MS * (SECOND / 1000)) {
            complain("the server does not answer any more");
        }
    }
}

void run_tcp(const struct options *given)
{
    options = given;
    clients = calloc((size_t)options->clients, sizeof *clients);
    if (!clients)
        fail("calloc");
    for (alive = 0; alive < options->clients; alive++)
        clients[alive].fd = connect_and_echo(options);
    result.began = now() + options->warm_up;
    result.ended = result.began + options->measure;
    if (options->size <= PIECE && uring_open(options->clients))
        run_by_uring();
    else
        run_by_epoll();
    report("tcp", &result);
    free(clients);
}

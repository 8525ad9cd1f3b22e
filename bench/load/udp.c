/* Mode `udp`: each client sends a datagram, waits for its answer, and sends the next.
 *
 * A datagram begins with its number. One that is not answered in time is sent again, and counted
 * as lost; an answer that comes after all is known by its number, and passed over. */

#include "histogram.h"
#include "modes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT (SECOND / 5)
#define LOOK_MS 50 /* how often time-outs are looked for */

struct client {
    int fd;
    uint64_t number; /* of the datagram whose answer is awaited */
    int64_t began;   /* when it was sent first */
    int64_t sent;    /* when it was sent last */
};

static const struct options *options;
static struct result result;
static int alive;

static void transmit(struct client *client, int64_t time)
{
    static unsigned char datagram[LARGEST];
    size_t head = sizeof client->number;
    memcpy(datagram, &client->number, head);
    memcpy(datagram + head, content(client->number), options->size - head);
    client->sent = time;
    if (send(client->fd, datagram, options->size, 0) < 0 && errno != EAGAIN)
        fail("send");
}

static void begin(struct client *client, int64_t time)
{
    client->number++;
    client->began = time;
    transmit(client, time);
}

static void receive(struct client *client)
{
    uint64_t number;
    ssize_t n = recv(client->fd, incoming, sizeof incoming, 0);
    if (n < 0) {
        if (errno != EAGAIN)
            fail("recv");
        return;
    }
    if ((size_t)n != options->size)
        complain("an answer has another length than the question");
    memcpy(&number, incoming, sizeof number);
    check(incoming + sizeof number, options->size - sizeof number, number);
    if (number != client->number)
        return;

    int64_t time = now();
    result.total++;
    if (time >= result.began && time <= result.ended)
        took(time - client->began);
    if (time < result.ended) {
        begin(client, time);
    } else {
        close(client->fd);
        client->fd = -1;
        alive--;
    }
}

static void send_again(struct client *clients, int64_t time)
{
    for (int i = 0; i < options->clients; i++) {
        struct client *client = &clients[i];
        if (client->fd < 0 || time - client->sent < TIMEOUT)
            continue;
        if (time - client->began > (int64_t)PATIENCE_MS * 1000000)
            complain("the server does not answer any more");
        result.lost++;
        transmit(client, time);
    }
}

void run_udp(const struct options *given)
{
    struct client *clients = calloc((size_t)given->clients, sizeof *clients);
    const struct sockaddr *server = (const struct sockaddr *)&given->server;
    struct epoll_event events[EVENTS];
    int epoll = new_epoll();
    int64_t looked = now();

    options = given;
    if (!clients)
        fail("calloc");
    if (options->size < sizeof clients->number)
        complain("a datagram has room for its number: 8 bytes or more");
    for (alive = 0; alive < options->clients; alive++) {
        clients[alive].fd = new_socket(options, SOCK_DGRAM | SOCK_NONBLOCK);
        if (connect(clients[alive].fd, server, sizeof options->server) < 0)
            fail("connect");
        watch(epoll, EPOLL_CTL_ADD, clients[alive].fd, EPOLLIN, &clients[alive]);
    }
    result.began = looked + options->warm_up;
    result.ended = result.began + options->measure;
    for (int i = 0; i < options->clients; i++)
        begin(&clients[i], now());
    while (alive) {
        int count = wait_awake(epoll, events, LOOK_MS);
        for (int i = 0; i < count; i++)
            receive(events[i].data.ptr);
        if (now() - looked > LOOK_MS * 1000000LL) {
            looked = now();
            send_again(clients, looked);
        }
    }
    report("udp", &result);
    free(clients);
}

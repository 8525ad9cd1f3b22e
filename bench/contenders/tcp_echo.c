/* The limit: a TCP echo server of system calls alone. One thread, one epoll, nothing counted.
 *
 * It reads a client's next bytes only when all before them are sent: so it keeps no more than one
 * buffer a client, and only of those that do not read. */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER 65536
#define EVENTS 256

struct client {
    int fd;
    char *rest; /* what could not be sent, or NULL */
    size_t length, sent;
};

static int epoll;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int operation, struct client *client, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};
    if (epoll_ctl(epoll, operation, client->fd, &event) < 0)
        fail("epoll_ctl");
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0)
        fail("bind");
    return fd;
}

static void accept_all(int listener)
{
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct client *client = calloc(1, sizeof *client);
        if (!client)
            fail("calloc");
        client->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        watch(EPOLL_CTL_ADD, client, EPOLLIN);
    }
}

static void hang_up(struct client *client)
{
    close(client->fd);
    free(client->rest);
    free(client);
}

static void keep(struct client *client, const char *rest, size_t length)
{
    client->rest = malloc(length);
    if (!client->rest)
        fail("malloc");
    memcpy(client->rest, rest, length);
    client->length = length;
    client->sent = 0;
    watch(EPOLL_CTL_MOD, client, EPOLLOUT);
}

static void send_rest(struct client *client)
{
    size_t left = client->length - client->sent;
    ssize_t n = send(client->fd, client->rest + client->sent, left, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        hang_up(client);
        return;
    }
    client->sent += n < 0 ? 0 : (size_t)n;
    if (client->sent == client->length) {
        free(client->rest);
        client->rest = NULL;
        watch(EPOLL_CTL_MOD, client, EPOLLIN);
    }
}

static void echo(struct client *client)
{
    static char buffer[BUFFER];
    ssize_t received = recv(client->fd, buffer, sizeof buffer, 0);
    if (received < 0 && errno == EAGAIN)
        return;
    if (received <= 0) {
        hang_up(client);
        return;
    }
    ssize_t sent = send(client->fd, buffer, (size_t)received, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        hang_up(client);
    else if (sent < received)
        keep(client, buffer + (sent < 0 ? 0 : sent), (size_t)(received - (sent < 0 ? 0 : sent)));
}

int main(int count, char **words)
{
    struct client listener = {.fd = listen_on((uint16_t)(count > 1 ? atoi(words[1]) : 0))};
    struct epoll_event events[EVENTS];

    epoll = epoll_create1(0);
    watch(EPOLL_CTL_ADD, &listener, EPOLLIN);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (client == &listener)
                accept_all(listener.fd);
            else if (client->rest)
                send_rest(client);
            else
                echo(client);
        }
    }
}

/* The limit for datagrams: one socket, a loop of recvfrom(2) and sendto(2), nothing kept. */

#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int count, char **words)
{
    static char datagram[65536];
    struct sockaddr_in address = {.sin_family = AF_INET}, peer;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    address.sin_port = htons((uint16_t)(count > 1 ? atoi(words[1]) : 0));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("bind");
        return 1;
    }
    for (;;) {
        socklen_t length = sizeof peer;
        ssize_t n = recvfrom(fd, datagram, sizeof datagram, 0, (struct sockaddr *)&peer, &length);
        if (n >= 0)
            sendto(fd, datagram, (size_t)n, 0, (struct sockaddr *)&peer, length);
    }
}

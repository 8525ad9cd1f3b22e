/* A load generator for echo servers: one thread, closed loop.
 *
 * Each client has one message in flight; what comes back is compared with what was sent. */

#include "modes.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct mode {
    const char *name;
    void (*run)(const struct options *);
} modes[] = {
    {"tcp", run_tcp},   {"udp", run_udp},     {"connect", run_connect},
    {"idle", run_idle}, {"flood", run_flood},
};

static _Noreturn void usage(void)
{
    fputs("usage: load tcp|udp|connect|idle|flood -p PORT [-a ADDRESS] [-c CLIENTS] [-s SIZE]\n"
          "            [-w SECONDS] [-t SECONDS]\n"
          "  -a  the server's IPv4 address (127.0.0.1)\n"
          "  -c  how many clients, or connections at a time (1)\n"
          "  -s  bytes of a message, 65536 at most (64)\n"
          "  -w  how long it warms up (0.2)\n"
          "  -t  how long it measures (1)\n"
          "idle and flood go on until standard input ends.\n",
          stderr);
    exit(2);
}

static struct options options_from(int count, char **words)
{
    struct options options = {
        .server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
        .clients = 1,
        .size = 64,
        .warm_up = SECOND / 5,
        .measure = SECOND,
    };
    for (int letter; (letter = getopt(count, words, "a:c:p:s:t:w:")) != -1;) {
        switch (letter) {
        case 'a':
            if (inet_pton(AF_INET, optarg, &options.server.sin_addr) != 1)
                usage();
            break;
        case 'c':
            options.clients = atoi(optarg);
            break;
        case 'p':
            options.server.sin_port = htons((uint16_t)atoi(optarg));
            break;
        case 's':
            options.size = (size_t)atoi(optarg);
            break;
        case 't':
            options.measure = (int64_t)(atof(optarg) * SECOND);
            break;
        case 'w':
            options.warm_up = (int64_t)(atof(optarg) * SECOND);
            break;
        default:
            usage();
        }
    }
    if (!options.server.sin_port || options.clients < 1 || options.size < 1 ||
        options.size > LARGEST || options.measure <= 0 || options.warm_up < 0)
        usage();
    return options;
}

int main(int count, char **words)
{
    if (count < 2)
        usage();
    struct options options = options_from(count - 1, words + 1);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(words[1], modes[i].name) == 0) {
            modes[i].run(&options);
            return 0;
        }
    }
    usage();
}

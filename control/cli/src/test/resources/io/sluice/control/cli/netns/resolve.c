/*
 * resolve NAME PORT: what getaddrinfo(3) of the C library it is built with makes of a name, and whether a connection opens:
 * "connected ADDRESS" or "timed out ADDRESS" for each address, or "unknown: REASON".
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int main(int count, char **words)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int failed;

    if (count != 3)
        return 2;
    failed = getaddrinfo(words[1], words[2], &hints, &found);
    if (failed) {
        printf("unknown: %s\n", gai_strerror(failed));
        return 1;
    }
    for (struct addrinfo *at = found; at; at = at->ai_next) {
        struct timeval limit = {.tv_sec = 2};
        char text[NI_MAXHOST];
        int opened = socket(at->ai_family, SOCK_STREAM, 0);

        setsockopt(opened, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
        printf("%s %s\n", connect(opened, at->ai_addr, at->ai_addrlen) ? "timed out" : "connected", text);
        close(opened);
    }
    return 0;
}

/*
 * A server and a client whose own cost is small beside what the network costs.
 *
 *   load serve PORT                          TCP requests, bulk and UDP echoes on PORT, until SIGTERM
 *   load ask MODE ADDRESS PORT SECONDS CONNECTIONS PAUSE_US
 *
 * MODE is keep (requests on kept connections), close (a connection each), udp (echoes), bulk (bytes
 * without end on kept connections). With a pause each connection waits so long between two requests.
 * SECONDS 0: until SIGTERM. A datagram without an answer is sent again every 250 ms, which is counted;
 * a request fails after 3 s. The client prints one JSON object: requests, bytes, errors with their
 * times (microseconds of CLOCK_MONOTONIC), and the processor time it used.
 *
 * Asked by SIGTERM to end, the server says so in its next answers ("connection: close") and ends
 * when the last connection does, as servers do that mean well. A request is 'R', its answer has
 * ANSWER bytes, the first of which is 'k' or 'c'; 'B' asks for bytes without end, 'U' for the
 * processor time that the server has used.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST = 64, ANSWER = 128, BULK = 262144, EVENTS = 256, CONNECTIONS_MAX = 1024 };
enum { ERRORS_MAX = 200 };
static const int64_t PATIENCE_US = 3000000, RESEND_US = 250000;

static volatile sig_atomic_t ending;
static char buffer[BULK];

static void on_term(int number) { (void)number; ending = 1; }

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static int64_t used_us(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000LL + used.ru_utime.tv_usec +
           used.ru_stime.tv_usec;
}

static void die(const char *what) { perror(what); exit(2); }

static int number_of(const char *text) { return (int)strtol(text, NULL, 10); }

static void watch(int epoll, int op, int fd, uint32_t events, uint64_t tag) {
    struct epoll_event event = {.events = events, .data.u64 = tag};
    if (epoll_ctl(epoll, op, fd, &event) != 0) die("epoll_ctl");
}

/* --- the server */

static int listen_at(int port, int kind) {
    int fd = socket(AF_INET, kind | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0) die("bind");
    if (kind == SOCK_STREAM && listen(fd, 4096) != 0) die("listen");
    return fd;
}

static void echo(int fd) {
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(fd, buffer, REQUEST, 0, (struct sockaddr *)&from, &length);
    if (got > 0) sendto(fd, buffer, (size_t)got, 0, (struct sockaddr *)&from, length);
}

/* Whether the connection goes on. */
static int answer(int epoll, int fd, uint32_t events) {
    char request[REQUEST];
    if (events & EPOLLOUT) return send(fd, buffer, BULK, MSG_NOSIGNAL) > 0 || errno == EAGAIN;
    ssize_t got = recv(fd, request, sizeof request, 0);
    if (got <= 0) return got < 0 && errno == EAGAIN;
    if (request[0] == 'B') {
        watch(epoll, EPOLL_CTL_MOD, fd, EPOLLOUT, (uint64_t)fd);
        return 1;
    }
    char said[ANSWER] = {ending ? 'c' : 'k'};
    if (request[0] == 'U') snprintf(said + 1, sizeof said - 1, "%lld", (long long)used_us());
    return send(fd, said, sizeof said, MSG_NOSIGNAL) == sizeof said;
}

static int serve(int port) {
    struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, NULL);
    int epoll = epoll_create1(0), open = 0, listening = 1;
    int stream = listen_at(port, SOCK_STREAM), datagram = listen_at(port, SOCK_DGRAM);
    watch(epoll, EPOLL_CTL_ADD, stream, EPOLLIN, (uint64_t)stream);
    watch(epoll, EPOLL_CTL_ADD, datagram, EPOLLIN, (uint64_t)datagram);
    while (!ending || open > 0) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, ending ? 50 : -1);
        for (int i = 0; i < count; i++) {
            int fd = (int)events[i].data.u64;
            if (fd == datagram) {
                echo(fd);
            } else if (fd == stream) {
                int one = 1, made = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
                if (made < 0) continue;
                setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                watch(epoll, EPOLL_CTL_ADD, made, EPOLLIN, (uint64_t)made);
                open++;
            } else if (!answer(epoll, fd, events[i].events)) {
                close(fd);
                open--;
            }
        }
        if (ending && listening) { /* what has been accepted by the kernel is still answered */
            int one = 1, made;
            while ((made = accept4(stream, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                watch(epoll, EPOLL_CTL_ADD, made, EPOLLIN, (uint64_t)made);
                open++;
            }
            close(stream);
            listening = 0;
        }
    }
    return 0;
}

/* --- the client */

typedef struct {
    int fd;         /* -1: none */
    int connecting; /* the request is sent once the connection is there */
    int waiting;    /* for an answer */
    int got;        /* bytes of it */
    char first;     /* its first byte */
    int64_t since;  /* when the request began */
    int64_t next;   /* when the next one may */
    int64_t sent;   /* when its datagram was sent last */
} Slot;

typedef struct {
    int64_t at, since;
    int number;
    const char *where;
} Failure;

static struct sockaddr_in server;
static Slot slots[CONNECTIONS_MAX];
static Failure failures[ERRORS_MAX];
static long long requests, bytes, errors, resent, longest_us;
static int client_epoll, keeps, is_udp, is_bulk;
static int64_t pause_us;

static void drop(Slot *slot) {
    if (slot->fd >= 0) close(slot->fd);
    slot->fd = -1;
    slot->waiting = slot->connecting = 0;
}

static void failed(Slot *slot, const char *where, int number) {
    if (errors < ERRORS_MAX) failures[errors] = (Failure){now_us(), slot->since, number, where};
    errors++;
    drop(slot);
    slot->next = now_us() + (pause_us > 1000 ? pause_us : 1000);
}

static void ask(Slot *slot) {
    char request[REQUEST] = {is_bulk ? 'B' : 'R'};
    if (send(slot->fd, request, sizeof request, MSG_NOSIGNAL) != sizeof request) {
        failed(slot, "send", errno);
        return;
    }
    slot->waiting = 1;
    slot->got = 0;
    slot->sent = now_us();
}

static void begin(Slot *slot) {
    slot->since = now_us();
    if (slot->fd >= 0) {
        ask(slot);
        return;
    }
    int one = 1, kind = is_udp ? SOCK_DGRAM : SOCK_STREAM;
    slot->fd = socket(AF_INET, kind | SOCK_NONBLOCK, 0);
    if (slot->fd < 0) die("socket");
    if (!is_udp) setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(client_epoll, EPOLL_CTL_ADD, slot->fd, is_udp ? EPOLLIN : EPOLLOUT,
          (uint64_t)(slot - slots));
    if (connect(slot->fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS) {
        failed(slot, "connect", errno);
        return;
    }
    if (is_udp) ask(slot);
    else slot->connecting = slot->waiting = 1;
}

static void done(Slot *slot) {
    int64_t now = now_us();
    requests++;
    if (now - slot->since > longest_us) longest_us = now - slot->since;
    slot->waiting = 0;
    slot->next = now + pause_us;
    if (!keeps || slot->first == 'c') drop(slot);
    if (!pause_us && !ending) begin(slot);
}

static void on_event(Slot *slot, uint32_t events) {
    int number = 0;
    socklen_t length = sizeof number;
    if (slot->fd < 0) return;
    if (slot->connecting) {
        getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &number, &length);
        if (number) {
            failed(slot, "connect", number);
            return;
        }
        if (!(events & EPOLLOUT)) return;
        slot->connecting = 0;
        watch(client_epoll, EPOLL_CTL_MOD, slot->fd, EPOLLIN, (uint64_t)(slot - slots));
        ask(slot);
        return;
    }
    ssize_t got = recv(slot->fd, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || is_udp)) return; /* a refused datagram is sent again */
    if (got <= 0) {
        if (slot->waiting) failed(slot, got ? "receive" : "closed", got ? errno : 0);
        else drop(slot); /* an idle connection was closed: no request is lost */
        return;
    }
    bytes += got;
    if (is_bulk) {
        slot->since = now_us();
        return;
    }
    if (!slot->got) slot->first = is_udp ? 'k' : buffer[0];
    slot->got += (int)got;
    if (slot->waiting && slot->got >= (is_udp ? REQUEST : ANSWER)) done(slot);
}

static void report(int64_t spent) {
    printf("{\"requests\": %lld, \"bytes\": %lld, \"errors\": %lld, \"resent\": %lld, \"spent_us\": %lld, "
           "\"used_us\": %lld, \"longest_us\": %lld, \"failures\": [",
           requests, bytes, errors, resent, (long long)spent, (long long)used_us(), longest_us);
    for (int i = 0; i < errors && i < ERRORS_MAX; i++)
        printf("%s{\"at_us\": %lld, \"since_us\": %lld, \"what\": \"%s: %s\"}", i ? ", " : "",
               (long long)failures[i].at, (long long)failures[i].since, failures[i].where,
               failures[i].number ? strerror(failures[i].number) : "-");
    printf("]}\n");
}

static int ask_all(const char *mode, int64_t seconds, int connections) {
    struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, NULL);
    keeps = strcmp(mode, "close") != 0;
    is_udp = strcmp(mode, "udp") == 0;
    is_bulk = strcmp(mode, "bulk") == 0;
    client_epoll = epoll_create1(0);
    int64_t begun = now_us(), until = seconds ? begun + seconds * 1000000 : INT64_MAX;
    for (int i = 0; i < connections; i++)
        slots[i] = (Slot){.fd = -1, .next = begun + (pause_us ? pause_us * i / connections : 0)};
    int64_t now = begun;
    while (!ending && now < until) {
        struct epoll_event events[EVENTS];
        int64_t soonest = now + 100000;
        for (int i = 0; i < connections; i++) {
            Slot *slot = &slots[i];
            if (slot->waiting) {
                if (!is_bulk && now - slot->since > PATIENCE_US) {
                    failed(slot, slot->connecting ? "connecting" : "waiting", ETIMEDOUT);
                } else if (is_udp && now - slot->sent > RESEND_US) {
                    resent++;
                    ask(slot);
                }
            } else if (slot->next <= now) {
                begin(slot);
            }
            if (!slot->waiting && slot->next < soonest) soonest = slot->next;
        }
        int wait_ms = soonest <= now ? 0 : (int)((soonest - now + 999) / 1000);
        int count = epoll_wait(client_epoll, events, EVENTS, wait_ms);
        for (int i = 0; i < count; i++) on_event(&slots[events[i].data.u64], events[i].events);
        now = now_us();
    }
    report(now - begun);
    return 0;
}

int main(int argc, char **argv) {
    if (argc >= 3 && strcmp(argv[1], "serve") == 0) return serve(number_of(argv[2]));
    if (argc == 8 && strcmp(argv[1], "ask") == 0) {
        server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number_of(argv[4]))};
        if (inet_pton(AF_INET, argv[3], &server.sin_addr) != 1) die("address");
        int connections = number_of(argv[6]);
        if (connections > CONNECTIONS_MAX) connections = CONNECTIONS_MAX;
        pause_us = number_of(argv[7]);
        return ask_all(argv[2], number_of(argv[5]), connections);
    }
    fprintf(stderr, "load serve PORT | load ask MODE ADDRESS PORT SECONDS CONNECTIONS PAUSE_US\n");
    return 2;
}

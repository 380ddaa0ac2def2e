/* An HTTP provider that takes everything: 202 with an X-Message-Id after a set delay. Linux (epoll).

   http_sink DELAY_MS   prints its port and runs until its standard input ends.

   POST anything   counted: one request, and as many messages as the JSON body has `"to":` keys.
                   A body with an address `"probe-<number>@...` notes when it came.
   GET /counts     "<requests> <messages>"
   GET /probes     a line "<number> <CLOCK_MONOTONIC in ns>" for each probe

   One request at a time or pipelined, keep-alive, a body by Content-Length. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 65536, EVENTS = 512, FIRST_BUFFER = 65536, REPLIES = 65536, PROBES = 1 << 20 };

typedef struct {
    char *data;
    size_t used, size;
    size_t request; /* bytes of the request being read, 0 until its header is complete */
    size_t header;  /* bytes of its header */
    uint64_t generation;
} Connection;

typedef struct {
    int fd;
    uint64_t generation, id, due;
} Delayed;

typedef struct {
    unsigned long number;
    uint64_t at;
} Probe;

static Connection connections[CONNECTIONS];
static Delayed *delayed; /* a ring: all delays are equal, so the oldest is always due first */
static size_t delayed_size = 1 << 16, delayed_head, delayed_tail;
static Probe *probes;
static size_t probe_count;
static uint64_t requests, messages, generations, delay;
static int poller;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *checked(void *memory) {
    if (!memory) {
        perror("http_sink");
        exit(1);
    }
    return memory;
}

static void hang_up(int fd) {
    Connection *c = &connections[fd];
    free(c->data);
    memset(c, 0, sizeof *c);
    close(fd);
}

static void answer(int fd, const char *text, size_t length) {
    if (write(fd, text, length) != (ssize_t)length) {
        fprintf(stderr, "http_sink: a client does not read its answers\n");
        hang_up(fd);
    }
}

static int accepted(char *out, uint64_t id) {
    return sprintf(out,
                   "HTTP/1.1 202 Accepted\r\nServer: sink\r\nContent-Type: text/plain\r\n"
                   "Content-Length: 0\r\nX-Message-Id: m%016llx\r\n\r\n",
                   (unsigned long long)id);
}

static void answer_later(int fd, uint64_t id) {
    if (delayed_tail - delayed_head == delayed_size) {
        Delayed *bigger = checked(malloc(2 * delayed_size * sizeof *bigger));
        for (size_t i = 0; i < delayed_size; i++)
            bigger[i] = delayed[(delayed_head + i) % delayed_size];
        free(delayed);
        delayed = bigger;
        delayed_head = 0;
        delayed_tail = delayed_size;
        delayed_size *= 2;
    }
    delayed[delayed_tail++ % delayed_size] =
        (Delayed){fd, connections[fd].generation, id, now() + delay};
}

static void answer_due(void) {
    uint64_t time = now();
    char out[256];
    while (delayed_head != delayed_tail && delayed[delayed_head % delayed_size].due <= time) {
        Delayed one = delayed[delayed_head++ % delayed_size];
        if (connections[one.fd].generation == one.generation)
            answer(one.fd, out, (size_t)accepted(out, one.id));
    }
}

static void count(const char *body, size_t length) {
    const char *end = body + length, *at = body;
    size_t found = 0;
    while ((at = memmem(at, (size_t)(end - at), "\"to\":", 5))) {
        found++;
        at += 5;
    }
    messages += found ? found : 1;
    at = memmem(body, length, "\"probe-", 7);
    if (at && probe_count < PROBES)
        probes[probe_count++] = (Probe){strtoul(at + 7, NULL, 10), now()};
}

static void answer_get(int fd, const char *path) {
    size_t size = 64 + 48 * probe_count, length = 0;
    char *body = checked(malloc(size)), header[128];
    if (!strncmp(path, "/probes", 7))
        for (size_t i = 0; i < probe_count; i++)
            length += (size_t)sprintf(body + length, "%lu %llu\n", probes[i].number,
                                      (unsigned long long)probes[i].at);
    else
        length = (size_t)sprintf(body, "%llu %llu\n", (unsigned long long)requests,
                                 (unsigned long long)messages);
    int head = sprintf(header, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
    if (write(fd, header, (size_t)head) == head)
        answer(fd, body, length);
    free(body);
}

/* Notes the lengths of the request that begins the buffer; 0 while its header is incomplete. */
static int read_header(Connection *c) {
    char *end = memmem(c->data, c->used, "\r\n\r\n", 4);
    if (!end)
        return 0;
    c->header = (size_t)(end - c->data) + 4;
    *end = 0;
    char *length = strcasestr(c->data, "\r\ncontent-length:");
    c->request = c->header + (length ? strtoul(length + 17, NULL, 10) : 0);
    *end = '\r';
    return 1;
}

/* Takes every complete request out of the buffer. */
static void take(int fd) {
    Connection *c = &connections[fd];
    char out[REPLIES];
    size_t replies = 0, done = 0;
    char *start = c->data;
    size_t used = c->used;
    for (;;) {
        c->data = start + done;
        c->used = used - done;
        if ((!c->request && !read_header(c)) || c->used < c->request)
            break;
        if (!strncmp(c->data, "GET ", 4)) {
            c->data = start;
            answer_get(fd, start + done + 4);
            if (!c->data)
                return; /* hung up */
            c->data = start + done;
        } else {
            requests++;
            count(c->data + c->header, c->request - c->header);
            if (delay)
                answer_later(fd, requests);
            else
                replies += (size_t)accepted(out + replies, requests);
        }
        done += c->request;
        c->request = 0;
        if (replies > REPLIES - 256) {
            c->data = start;
            answer(fd, out, replies);
            if (!c->data)
                return;
            replies = 0;
        }
    }
    c->data = start;
    c->used = used - done;
    memmove(start, start + done, c->used);
    if (replies)
        answer(fd, out, replies);
}

static void receive(int fd) {
    Connection *c = &connections[fd];
    if (c->size - c->used < FIRST_BUFFER / 2) {
        c->size *= 2;
        c->data = checked(realloc(c->data, c->size));
    }
    ssize_t got = read(fd, c->data + c->used, c->size - c->used - 1);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            hang_up(fd);
        return;
    }
    c->used += (size_t)got;
    c->data[c->used] = 0;
    take(fd);
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void welcome(int listener) {
    int yes = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (fd >= CONNECTIONS) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    connections[fd] = (Connection){.data = checked(malloc(FIRST_BUFFER)),
                                   .size = FIRST_BUFFER,
                                   .generation = ++generations};
    watch(fd);
}

static int listen_somewhere(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(fd, (struct sockaddr *)&address, length) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&address, &length)) {
        perror("http_sink");
        exit(1);
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

/* Milliseconds until the next delayed answer; -1 where there is none. */
static int patience(void) {
    if (delayed_head == delayed_tail)
        return -1;
    uint64_t due = delayed[delayed_head % delayed_size].due, time = now();
    return due > time ? (int)((due - time) / 1000000u) + 1 : 0;
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS];
    delay = argc > 1 ? strtoul(argv[1], NULL, 10) * 1000000u : 0;
    delayed = checked(malloc(delayed_size * sizeof *delayed));
    probes = checked(malloc(PROBES * sizeof *probes));
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_somewhere();
    watch(listener);
    watch(STDIN_FILENO);
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, patience());
        answer_due();
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO)
                return 0;
            if (fd == listener)
                welcome(fd);
            else if (connections[fd].data) /* not hung up by a late answer just now */
                receive(fd);
        }
    }
}

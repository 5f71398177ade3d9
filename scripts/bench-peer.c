/*
 * What the benchmarks of this folder need beside the switches: generators, receivers, and a switch that only copies. Compiled by
 * them when they run (build_peer of bench-lib.sh); needs nothing but libc and the kernel's headers. Traffic goes to the addresses
 * named on the command line and nowhere else; every mode ends by itself or with SIGTERM.
 *
 *   knock ADDRESS PORT US SECONDS
 *       a datagram every US microseconds, also while there is no route yet.
 *   first PORT SECONDS
 *       prints the time (ns since 1970) at which the first datagram to PORT arrived, and ends; fails after SECONDS.
 *   frames DEVICE MAC FROM TO PORT FLOWS RATE SECONDS [START]
 *       64-byte UDP frames (60 and the checksum that no virtual device has) as an AF_PACKET socket takes them, at most RATE a
 *       second, from FLOWS source ports and addresses of destination ports from PORT on, in turn, beginning at flow START.
 *       Prints "SENT REFUSED SECONDS": frames the device took, frames it had no room for.
 *   copy DEVICE DEVICE
 *       makes two TAP devices with offloads and copies every frame from one to the other: a switch that looks at nothing, one
 *       thread, poll and up to 64 frames of each in turn. Says "ready" when both are there.
 *   copy-uring DEVICE DEVICE
 *       the same with io_uring: 16 reads of each device in flight, a frame that was read is written from where it lies, and all
 *       that came of one look is submitted with the next.
 *   update CLIENT-NETNS SERVER-NETNS ADDRESS PORT0 COUNT PAUSE-MS api SOCKET FOLDER
 *   update CLIENT-NETNS SERVER-NETNS ADDRESS PORT0 COUNT PAUSE-MS exec NETNS FOLDER COMMAND...
 *       changes policy COUNT times and measures each: a thread sends a datagram to the port PORT0 + i, denied until change i, every
 *       50 us, and one to the port PORT0 - 1, which is allowed all the time; the change i is FOLDER/i, sent to an HTTP API on a
 *       Unix socket, or given to COMMAND as its last argument in NETNS (- for the namespace it was started in). Prints for each
 *       "LIVE CALL" in us: from the beginning of the change until the first datagram of its port arrived, and until the call came
 *       back; at the end "lost N of M", of the allowed ones. A denied datagram that came before its change began is an error.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
    fprintf(stderr, "bench-peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* Spins: a sleep is late by more than the intervals that are asked for. */
static void wait_for(int64_t deadline) {
    while (now_ns() < deadline) {
    }
}

static struct sockaddr_in address(const char *ip, int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, ip, &a.sin_addr) != 1) {
        errno = EINVAL;
        fail(ip);
    }
    return a;
}

static int udp_socket(void) {
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0) fail("socket");
    return s;
}

static int knock(char **v) {
    struct sockaddr_in to = address(v[0], atoi(v[1]));
    struct timespec pause = {0, atoi(v[2]) * 1000L};
    int64_t end = now_ns() + atoll(v[3]) * 1000000000LL;
    int s = udp_socket();
    while (now_ns() < end) {
        sendto(s, "knock", 5, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int first(char **v) {
    struct sockaddr_in here = address("0.0.0.0", atoi(v[0]));
    struct timeval limit = {atoi(v[1]), 0};
    char buffer[64];
    int s = udp_socket();
    if (bind(s, (struct sockaddr *)&here, sizeof here)) fail("bind");
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (recv(s, buffer, sizeof buffer, 0) < 0) fail("nothing arrived");
    printf("%lld\n", (long long)clock_ns(CLOCK_REALTIME));
    return 0;
}

static uint16_t fold(uint32_t sum) {
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

enum { BATCH = 32, FRAME = 60 };

static int frames(int count, char **v) {
    uint8_t frame[BATCH][FRAME];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct ifreq device = {0};
    unsigned mac[6];
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;
    if (s < 0) fail("AF_PACKET");
    strncpy(device.ifr_name, v[0], IFNAMSIZ - 1);
    if (ioctl(s, SIOCGIFINDEX, &device)) fail(v[0]);
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_ifindex = device.ifr_ifindex};
    if (bind(s, (struct sockaddr *)&link, sizeof link)) fail("bind");
    if (ioctl(s, SIOCGIFHWADDR, &device)) fail("hardware address");
    setsockopt(s, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    if (sscanf(v[1], "%x:%x:%x:%x:%x:%x", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6) {
        errno = EINVAL;
        fail(v[1]);
    }
    struct in_addr from = address(v[2], 0).sin_addr, to = address(v[3], 0).sin_addr;
    int port = atoi(v[4]);
    int64_t flows = atoll(v[5]), rate = atoll(v[6]), seconds = atoll(v[7]), flow = count > 8 ? atoll(v[8]) : 0;
    for (int i = 0; i < BATCH; i++) {
        uint8_t *f = frame[i];
        memset(f, 0, FRAME);
        for (int j = 0; j < 6; j++) f[j] = mac[j];
        memcpy(f + 6, device.ifr_hwaddr.sa_data, 6);
        f[12] = 8;
        uint8_t *ip = f + 14;
        ip[0] = 0x45;
        ip[3] = FRAME - 14;
        ip[6] = 0x40;
        ip[8] = 64;
        ip[9] = 17;
        memcpy(ip + 12, &from, 4);
        memcpy(ip + 16, &to, 4);
        uint32_t sum = 0;
        for (int j = 0; j < 20; j += 2) sum += ip[j] << 8 | ip[j + 1];
        uint16_t check = fold(sum);
        ip[10] = check >> 8;
        ip[11] = check;
        ip[25] = FRAME - 34;
        parts[i] = (struct iovec){f, FRAME};
        memset(&messages[i], 0, sizeof messages[i]);
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int64_t start = now_ns(), end = start + seconds * 1000000000LL, tried = 0, sent = 0, refused = 0, now;
    while ((now = now_ns()) < end) {
        /* 40,000 source ports from 20,000 on, then the next destination port. A UDP checksum of 0 is none. */
        for (int i = 0; i < BATCH; i++, flow++) {
            int64_t n = flow % flows;
            uint16_t source = 20000 + n % 40000, target = port + n / 40000;
            uint8_t *udp = frame[i] + 34;
            udp[0] = source >> 8;
            udp[1] = source;
            udp[2] = target >> 8;
            udp[3] = target;
        }
        int done = 0;
        while (done < BATCH) {
            int n = sendmmsg(s, messages + done, BATCH - done, MSG_DONTWAIT);
            if (n > 0) {
                done += n;
                sent += n;
            } else if (errno == ENOBUFS || errno == EAGAIN) {
                done++;
                refused++;
            } else {
                fail("sendmmsg");
            }
        }
        tried += BATCH;
        wait_for(start + tried * 1000000000LL / rate);
    }
    printf("%lld %lld %.3f\n", (long long)sent, (long long)refused, (now_ns() - start) / 1e9);
    return 0;
}

static int tap(const char *name) {
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), header = sizeof(struct virtio_net_hdr);
    struct ifreq device = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    if (fd < 0) fail("/dev/net/tun");
    strncpy(device.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &device)) fail(name);
    if (ioctl(fd, TUNSETVNETHDRSZ, &header)) fail("TUNSETVNETHDRSZ");
    if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)) fail("TUNSETOFFLOAD");
    return fd;
}

static int copy(char **v) {
    static char buffer[sizeof(struct virtio_net_hdr) + 65536 + 64];
    struct pollfd ports[2] = {{tap(v[0]), POLLIN, 0}, {tap(v[1]), POLLIN, 0}};
    puts("ready");
    fflush(stdout);
    for (;;) {
        int work = 0;
        for (int p = 0; p < 2; p++) {
            for (int i = 0; i < 64; i++) {
                ssize_t n = read(ports[p].fd, buffer, sizeof buffer);
                if (n < 0 && errno != EAGAIN && errno != EIO) fail("read");
                if (n <= 0) break;
                work = 1;
                /* A device that is down (EIO), or full, loses the frame, as any switch would. */
                if (write(ports[1 - p].fd, buffer, n) < 0 && errno != EIO && errno != EAGAIN && errno != ENOBUFS) fail("write");
            }
        }
        if (!work && poll(ports, 2, -1) < 0 && errno != EINTR) fail("poll");
    }
    return 0;
}

#ifndef IORING_SETUP_NO_SQARRAY /* Linux 6.6, newer than the headers that Debian has */
#define IORING_SETUP_NO_SQARRAY (1U << 16)
#endif

enum { IN_FLIGHT = 16, ENTRIES = 64 };

static struct {
    int fd;
    unsigned tail, *sq_tail, *cq_head, *cq_tail;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
} ring;

static void ring_open(void) {
    struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY};
    ring.fd = syscall(__NR_io_uring_setup, ENTRIES, &p);
    if (ring.fd < 0) fail("io_uring_setup");
    size_t bytes = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    char *rings = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQ_RING);
    ring.sqes = mmap(NULL, ENTRIES * sizeof *ring.sqes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQES);
    if (rings == MAP_FAILED || (void *)ring.sqes == MAP_FAILED || p.cq_entries != 2 * ENTRIES) fail("rings of io_uring");
    ring.sq_tail = (unsigned *)(rings + p.sq_off.tail);
    ring.cq_head = (unsigned *)(rings + p.cq_off.head);
    ring.cq_tail = (unsigned *)(rings + p.cq_off.tail);
    ring.cqes = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
}

/* At most one operation for each of the 2 * IN_FLIGHT buffers, so there is always room. */
static void ring_add(int operation, int fd, char *buffer, unsigned length, uint64_t tag) {
    struct io_uring_sqe *e = &ring.sqes[ring.tail++ & (ENTRIES - 1)];
    *e = (struct io_uring_sqe){.opcode = operation, .fd = fd, .addr = (uint64_t)buffer, .len = length, .off = -1, .user_data = tag};
}

static int copy_uring(char **v) {
    enum { ROOM = sizeof(struct virtio_net_hdr) + 65536 + 64 };
    static char buffer[2][IN_FLIGHT][ROOM];
    int fd[2] = {tap(v[0]), tap(v[1])};
    ring_open();
    for (int p = 0; p < 2; p++) {
        /* A read that would block is to wait in the ring, and not to say so. */
        if (fcntl(fd[p], F_SETFL, O_RDWR)) fail("fcntl");
        for (int i = 0; i < IN_FLIGHT; i++) ring_add(IORING_OP_READ, fd[p], buffer[p][i], ROOM, p << 8 | i << 1);
    }
    puts("ready");
    fflush(stdout);
    unsigned submitted = 0;
    for (;;) {
        __atomic_store_n(ring.sq_tail, ring.tail, __ATOMIC_RELEASE);
        int n = syscall(__NR_io_uring_enter, ring.fd, ring.tail - submitted, 1, IORING_ENTER_GETEVENTS, NULL, 0);
        if (n < 0 && errno != EINTR) fail("io_uring_enter");
        if (n > 0) submitted += n;
        unsigned head = *ring.cq_head, tail = __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE);
        for (; head != tail; head++) {
            struct io_uring_cqe *c = &ring.cqes[head & (2 * ENTRIES - 1)];
            int p = c->user_data >> 8, i = c->user_data >> 1 & (IN_FLIGHT - 1), was_write = c->user_data & 1;
            if (!was_write && c->res < 0 && c->res != -EAGAIN && c->res != -EIO && c->res != -EINTR) {
                errno = -c->res;
                fail("read");
            }
            if (!was_write && c->res > 0) {
                ring_add(IORING_OP_WRITE, fd[1 - p], buffer[p][i], c->res, c->user_data | 1);
            } else {
                ring_add(IORING_OP_READ, fd[p], buffer[p][i], ROOM, c->user_data & ~1ULL);
            }
        }
        __atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ update */

enum { INTERVAL_NS = 50000, CHANGES_MAX = 20000 };

/* Ports are from port0 - 1 (allowed) on; times are of CLOCK_REALTIME, as the kernel stamps what arrives. */
static int port0, changes, home;
static atomic_int change_now, over;
static _Atomic int64_t arrived[CHANGES_MAX], allowed_sent, allowed_received;
static struct sockaddr_in target;

static void enter(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "/run/netns/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET)) fail(path);
    close(fd);
}

static void leave(void) {
    if (setns(home, CLONE_NEWNET)) fail("setns");
}

static void *send_probes(void *socket) {
    int s = *(int *)socket;
    char payload[18] = {0};
    struct sockaddr_in probed = target, allowed = target;
    allowed.sin_port = htons(port0 - 1);
    prctl(PR_SET_TIMERSLACK, 1UL);
    int64_t next = now_ns();
    while (!over) {
        probed.sin_port = htons(port0 + change_now);
        sendto(s, payload, sizeof payload, MSG_DONTWAIT, (struct sockaddr *)&probed, sizeof probed);
        if (sendto(s, payload, sizeof payload, MSG_DONTWAIT, (struct sockaddr *)&allowed, sizeof allowed) > 0) allowed_sent++;
        next += INTERVAL_NS;
        /* Late by somebody else's slice of the processor: goes on from now, without a burst. */
        if (next < now_ns()) next = now_ns();
        struct timespec until = {next / 1000000000LL, next % 1000000000LL};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    return NULL;
}

static void *receive_probes(void *socket) {
    int s = *(int *)socket;
    uint8_t packet[256], control[128];
    struct iovec part = {packet, sizeof packet};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    for (;;) {
        message.msg_controllen = sizeof control;
        ssize_t n = recvmsg(s, &message, 0);
        if (n < 28) continue;
        int udp = (packet[0] & 15) * 4, change = (packet[udp + 2] << 8 | packet[udp + 3]) - port0;
        if (change == -1) allowed_received++;
        if (change < 0 || change >= changes || arrived[change]) continue;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
                struct timespec t;
                memcpy(&t, CMSG_DATA(c), sizeof t);
                arrived[change] = t.tv_sec * 1000000000LL + t.tv_nsec;
            }
        }
    }
    return NULL;
}

/* An AF_PACKET socket that sees the UDP of the namespace, each datagram with the kernel's time. */
static int listen_to_udp(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 256),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {4, code};
    int s = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1, room = 8 << 20;
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = if_nametoindex("eth0")};
    if (s < 0 || setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program)) fail("AF_PACKET");
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    setsockopt(s, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    if (bind(s, (struct sockaddr *)&link, sizeof link)) fail("bind to eth0");
    return s;
}

/* Sockets that nobody reads: without them the server would answer with ICMP errors. */
static void open_ports(void) {
    int least = 2048;
    for (int i = -1; i < changes; i++) {
        struct sockaddr_in here = address("0.0.0.0", port0 + i);
        int s = udp_socket();
        setsockopt(s, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
        if (bind(s, (struct sockaddr *)&here, sizeof here)) fail("bind");
    }
}

static void call_api(const char *path, const char *body, size_t length) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char head[256], answer[4096];
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof to)) fail(path);
    int n = snprintf(head, sizeof head, "POST /v1/objects?source=bench HTTP/1.1\r\nHost: sluice\r\nContent-Length: %zu\r\n\r\n", length);
    if (write(s, head, n) != n) fail("the API takes no request");
    for (size_t done = 0; done < length;) {
        ssize_t more = write(s, body + done, length - done);
        if (more < 0) fail("the API takes no request");
        done += more;
    }
    n = read(s, answer, sizeof answer - 1);
    close(s);
    answer[n < 0 ? 0 : n] = 0;
    if (strncmp(answer, "HTTP/1.1 200", 12)) {
        fprintf(stderr, "bench-peer: the API answered: %s\n", answer);
        exit(1);
    }
}

static void call_program(const char *netns, char **command) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        /* The load's processor is this process's, not the command's. */
        cpu_set_t set;
        memset(&set, 0xff, sizeof set);
        sched_setaffinity(0, sizeof set, &set);
        if (strcmp(netns, "-")) enter(netns);
        execvp(command[0], command);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) fail("fork");
    if (status) {
        fprintf(stderr, "bench-peer: %s failed with status %d\n", command[0], status);
        exit(1);
    }
}

static int update(int count, char **v) {
    if (count < 8) return 2;
    port0 = atoi(v[3]);
    changes = atoi(v[4]);
    if (changes < 1 || changes > CHANGES_MAX || port0 < 2 || port0 + changes > 65535) return 2;
    target = address(v[2], 0);
    int pause_ms = atoi(v[5]), api = !strcmp(v[6], "api");
    const char *folder = v[8];
    home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    enter(v[0]);
    int out = udp_socket();
    enter(v[1]);
    int in = listen_to_udp();
    open_ports();
    leave();
    pthread_t threads[2];
    if (pthread_create(threads, NULL, receive_probes, &in) || pthread_create(threads + 1, NULL, send_probes, &out)) fail("thread");
    usleep(500000);
    for (int i = 0; i < changes; i++) {
        static char body[16 << 20], path[4096];
        size_t length = 0;
        char *command[32] = {0};
        snprintf(path, sizeof path, "%s/%d", folder, i);
        if (api) {
            FILE *file = fopen(path, "r");
            if (!file) fail(path);
            length = fread(body, 1, sizeof body, file);
            fclose(file);
        } else {
            int n = 0;
            for (int j = 9; j < count && n < 30; j++) command[n++] = v[j];
            command[n] = path;
        }
        int64_t began = clock_ns(CLOCK_REALTIME);
        if (arrived[i]) {
            fprintf(stderr, "bench-peer: a datagram to port %d passed before the change that allows it\n", port0 + i);
            return 1;
        }
        if (api) {
            call_api(v[7], body, length);
        } else {
            call_program(v[7], command);
        }
        int64_t called = clock_ns(CLOCK_REALTIME), limit = called + 10000000000LL;
        while (!arrived[i]) {
            if (clock_ns(CLOCK_REALTIME) > limit) {
                fprintf(stderr, "bench-peer: 10 s after the change nothing arrives at port %d\n", port0 + i);
                return 1;
            }
            usleep(100);
        }
        printf("%.1f %.1f\n", (arrived[i] - began) / 1e3, (called - began) / 1e3);
        if (i + 1 < changes) change_now++;
        usleep(pause_ms * 1000);
    }
    over = 1;
    pthread_join(threads[1], NULL);
    /* What is still on its way. */
    usleep(200000);
    printf("lost %lld of %lld\n", (long long)(allowed_sent - allowed_received), (long long)allowed_sent);
    return 0;
}

int main(int count, char **v) {
    const char *mode = count > 1 ? v[1] : "";
    if (!strcmp(mode, "knock") && count == 6) return knock(v + 2);
    if (!strcmp(mode, "first") && count == 4) return first(v + 2);
    if (!strcmp(mode, "frames") && count >= 10) return frames(count - 2, v + 2);
    if (!strcmp(mode, "copy") && count == 4) return copy(v + 2);
    if (!strcmp(mode, "copy-uring") && count == 4) return copy_uring(v + 2);
    if (!strcmp(mode, "update") && count >= 11) return update(count - 2, v + 2);
    fprintf(stderr, "bench-peer: unknown mode or wrong number of arguments; the head of bench-peer.c has the list\n");
    return 2;
}

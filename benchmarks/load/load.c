/*
 * load: the load generator of the benchmarks, and a bare server to hold it against.
 *
 *     cc -O2 -std=gnu11 -Wall -Wextra -o /tmp/load load.c -lm
 *
 *     load call     requests in a closed loop, over WebSocket or HTTP: how many, and how long each took
 *     load push     one message makes the server push to many connections: until the last has it
 *     load connect  open, upgrade, close, and again
 *     load hold     open many, keep them, and send on all of them when stdin says so
 *     load echo     answer each request with the same text: the ceiling of what `call` can measure, and, with --push,
 *                   of what `push` can
 *
 * One thread and one epoll loop, so that it takes one core and no more. A read costs one recv and one send; what is
 * done between them is far below what a system call takes. Everything goes to 127.0.0.1.
 * The result is JSON on stdout, in one line; a failure is one line on stderr, and exit 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    OPENING_AT_ONCE = 50,   /* the backlog of a listening socket may be as short as 100 */
    SENDING_AT_ONCE = 50,   /* in `hold`: how many connections may wait for an answer */
    PATIENCE_SECONDS = 30,  /* so long without progress is a failure */
    SPREAD_FROM = 5000,     /* with more connections, more than one source address is used */
    SOURCE_ADDRESSES = 59,  /* 127.0.0.2 to 127.0.0.60, each with ports of its own */
    ROUNDS_UNMEASURED = 20, /* in `push --mode latency` */
    MAX_REPEATED = 64,      /* how often an option may be given */
    MAX_SUBSCRIBERS = 10000,
    MAX_PUSHES = 1000,      /* of `echo`, in one burst */
    MAX_TRIGGER = 256,      /* as much is read of what makes it push */
    FIRST_ID = 10000000,    /* eight digits, so that all frames of one message are of one length */
    ID_DIGITS = 8,
    MAX_FRAME_HEADER = 14,
    MAX_HEAD = 64 * 1024,
    MAX_MESSAGE = 1 << 30,
    BUFFER_SIZE = 256 * 1024,
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* What this process has used of the processor so far. */
static uint64_t cpu_ns(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000ull +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000ull;
}

/* ---------------------------------------------------------------- options */

static int argument_count;
static char **arguments;

/* The value of an option where it is given for the nth time, counted from 0, or NULL. */
static const char *option_nth(const char *name, size_t nth)
{
    for (int i = 2; i < argument_count; i += 2)
        if (strcmp(arguments[i], name) == 0 && !nth--)
            return arguments[i + 1];
    return NULL;
}

/* Where an option that has one value is given twice, the last one counts. */
static const char *option(const char *name, const char *otherwise)
{
    for (size_t nth = 0; option_nth(name, nth); nth++)
        otherwise = option_nth(name, nth);
    return otherwise;
}

static const char *needed(const char *name)
{
    const char *value = option(name, NULL);
    if (!value)
        die("%s is missing", name);
    return value;
}

static double seconds_option(const char *name, double otherwise)
{
    char *end = "";
    const char *value = option(name, NULL);
    double number = value ? strtod(value, &end) : otherwise;
    if (*end || end == value || !(number >= 0))
        die("%s: %s is no number of seconds", name, value);
    return number;
}

static size_t count_option(const char *name, size_t otherwise)
{
    double number = seconds_option(name, (double)otherwise);
    if (number < 1 || number > 1e9 || number != floor(number))
        die("%s: %g is no count", name, number);
    return (size_t)number;
}

static void check_options(void)
{
    static const char *const names[] = {
        "--port", "--path", "--connections", "--header", "--open", "--echo", "--ignore", "--transport", "--in-flight",
        "--seconds", "--warmup", "--request", "--expect", "--mode", "--trigger", "--pushes", "--marker", "--repeat",
        "--control-open", "--message", "--message-size", "--answer", "--push",
    };
    for (int i = 2; i < argument_count; i += 2) {
        bool known = false;
        for (size_t name = 0; name < sizeof names / sizeof *names; name++)
            known |= strcmp(arguments[i], names[name]) == 0;
        if (!known)
            die("%s: there is no such option", arguments[i]);
        if (i + 1 == argument_count)
            die("%s: the value is missing", arguments[i]);
        if (option_nth(arguments[i], MAX_REPEATED))
            die("%s: given more than %d times", arguments[i], MAX_REPEATED);
    }
}

/* ---------------------------------------------------------------- bytes */

struct bytes {
    char *data;
    size_t len, cap;
};

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        die("out of memory");
    return memory;
}

static void bytes_reserve(struct bytes *bytes, size_t more)
{
    if (bytes->cap - bytes->len >= more)
        return;
    bytes->cap = bytes->cap * 2 > bytes->len + more ? bytes->cap * 2 : bytes->len + more;
    bytes->data = realloc(bytes->data, bytes->cap);
    if (!bytes->data)
        die("out of memory");
}

static void bytes_append(struct bytes *bytes, const char *data, size_t len)
{
    if (!len)
        return;
    bytes_reserve(bytes, len);
    memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
}

/* Forget the first `len`. What is empty keeps no memory, since most of many connections have nothing to keep. */
static void bytes_drop(struct bytes *bytes, size_t len)
{
    bytes->len -= len;
    if (bytes->len && len)
        memmove(bytes->data, bytes->data + len, bytes->len);
    if (!bytes->len) {
        free(bytes->data);
        *bytes = (struct bytes){0};
    }
}

static struct bytes file_bytes(const char *path)
{
    struct bytes text = {0};
    FILE *file = fopen(path, "rb");
    size_t got = 1;
    while (file && got) {
        bytes_reserve(&text, 4096);
        got = fread(text.data + text.len, 1, text.cap - text.len, file);
        text.len += got;
    }
    if (!file || ferror(file))
        die("%s: %s", path, strerror(errno));
    fclose(file);
    return text;
}

static bool contains(const char *data, size_t len, const char *string)
{
    return len && memmem(data, len, string, strlen(string));
}

/* ---------------------------------------------------------------- latencies */

/* 64 buckets for each power of two, so that the middle of a bucket is at most 0.8 % off. */
enum { STEP_BITS = 6, STEPS = 1 << STEP_BITS, BUCKETS = (64 - STEP_BITS + 1) * STEPS };

struct histogram {
    uint64_t buckets[BUCKETS];
    uint64_t count, max;
};

static void histogram_add(struct histogram *histogram, uint64_t value)
{
    unsigned shift = value < STEPS ? 0 : 63 - STEP_BITS - __builtin_clzll(value);
    histogram->buckets[shift * STEPS + (value >> shift)]++;
    histogram->count++;
    if (value > histogram->max)
        histogram->max = value;
}

static double percentile_us(const struct histogram *histogram, double share)
{
    uint64_t rank = (uint64_t)ceil(share * (double)histogram->count), seen = 0;
    for (uint64_t bucket = 0; rank && bucket < BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen < rank)
            continue;
        unsigned shift = bucket < STEPS ? 0 : bucket / STEPS - 1;
        double middle = ldexp((double)(bucket - shift * STEPS) + 0.5, (int)shift);
        return fmin(middle, (double)histogram->max) / 1e3;
    }
    return 0;
}

/* ---------------------------------------------------------------- messages to send */

enum opcode { CONTINUATION = 0, TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };
enum framing { NO_FRAME, FROM_CLIENT, FROM_SERVER };

/* Any key will do but zeros, for which some servers have a way of their own. */
static const char MASK[4] = {0x37, (char)0xfa, 0x21, 0x3d};

static void append_frame(struct bytes *out, enum opcode opcode, const char *payload, size_t size, bool masked)
{
    unsigned length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
    bytes_reserve(out, size + MAX_FRAME_HEADER);
    char *at = out->data + out->len;
    *at++ = (char)(0x80 | opcode);
    *at++ = (char)((masked ? 0x80 : 0) | (length_bytes == 0 ? size : length_bytes == 2 ? 126 : 127));
    while (length_bytes--)
        *at++ = (char)(size >> (8 * length_bytes));
    for (size_t i = 0; masked && i < sizeof MASK; i++)
        *at++ = MASK[i];
    for (size_t i = 0; i < size; i++)
        *at++ = masked ? payload[i] ^ MASK[i % 4] : payload[i];
    out->len = at - out->data;
}

/*
 * A message, framed once, in as many copies as one write may take. Each copy stays as it is, but for the eight digits
 * that stand for {id}: those are written anew for each time that it is sent.
 */
struct message {
    struct bytes frames;
    size_t frame_size, copies;
    size_t id_in_frame, id_in_payload; /* the second is what the mask goes by */
    bool has_id;
};

static struct message make_message(const struct bytes *text, enum framing framing, size_t copies)
{
    struct message message = {.copies = copies};
    struct bytes payload = {0}, frame = {0};
    char *id = framing == FROM_CLIENT && text->len ? memmem(text->data, text->len, "{id}", 4) : NULL;
    size_t before = id ? (size_t)(id - text->data) : text->len;
    bytes_append(&payload, text->data, before);
    if (id) {
        bytes_append(&payload, "10000000", ID_DIGITS);
        bytes_append(&payload, id + 4, text->len - before - 4);
    }
    if (framing == NO_FRAME)
        bytes_append(&frame, payload.data, payload.len);
    else
        append_frame(&frame, TEXT, payload.data, payload.len, framing == FROM_CLIENT);
    for (size_t copy = 0; copy < copies; copy++)
        bytes_append(&message.frames, frame.data, frame.len);
    message.frame_size = frame.len;
    message.has_id = id;
    message.id_in_payload = before;
    message.id_in_frame = frame.len - payload.len + before;
    free(payload.data);
    free(frame.data);
    return message;
}

static void set_id(struct message *message, size_t copy, uint32_t id)
{
    char *at = message->frames.data + copy * message->frame_size + message->id_in_frame;
    for (size_t digit = ID_DIGITS; message->has_id && digit--; id /= 10)
        at[digit] = (char)('0' + id % 10) ^ MASK[(message->id_in_payload + digit) % 4];
}

/* What a connection says and waits for before it counts as open: --open and --control-open. */
struct script {
    struct step {
        struct bytes frame; /* empty where it only waits */
        bool waits;
    } *steps;
    size_t count;
};

static struct script load_script(const char *path)
{
    struct script script = {0};
    if (!path)
        return script;
    struct bytes text = file_bytes(path);
    bytes_append(&text, "\n", 2); /* with the zero that strtok_r needs */
    for (char *rest = text.data, *line; (line = strtok_r(rest, "\r\n", &rest));) {
        struct step step = {.waits = *line != '!'};
        char *said = line + (*line == '!');
        if (*line != '?')
            append_frame(&step.frame, TEXT, said, strlen(said), true);
        script.steps = reallocarray(script.steps, script.count + 1, sizeof step);
        if (!script.steps)
            die("out of memory");
        script.steps[script.count++] = step;
    }
    free(text.data);
    return script;
}

/* ---------------------------------------------------------------- connections */

enum state {
    CONNECTING,
    UPGRADING,
    IN_SCRIPT,
    READY,
    DONE, /* nothing more is taken from it */
    LISTENING,
    SERVING_UPGRADE,
    SERVING,
};

struct request {
    uint64_t sent_at; /* 0: none is in flight here */
    uint32_t id;
};

struct conn {
    int fd;
    enum state state;
    bool waits_to_write;
    size_t port; /* its place in `ports` */
    struct bytes unread; /* the beginning of what is not whole yet */
    struct bytes unsent;
    struct bytes joined; /* the fragments of a message, or the chunks of a body */
    const struct script *script;
    size_t step;
    uint32_t next_id;
    int status;               /* of the last HTTP answer */
    struct request *requests; /* `call`: as many as may be in flight */
    size_t cursor;            /* `call`: the request that most likely is answered next */
    size_t deliveries;        /* `push`: in this round */
    bool awaits_answer;       /* `hold` */
};

/* What a subcommand does with its connections. */
static struct {
    void (*ready)(struct conn *);
    void (*message)(struct conn *, const char *data, size_t len);
    void (*batch_end)(struct conn *); /* all that one read has brought is handled */
    void (*lost)(struct conn *, const char *reason);
} on;

static int epoll_fd;
static bool http; /* instead of WebSocket */
static size_t connection_count, port_count;
static uint16_t ports[MAX_REPEATED];
static struct bytes upgrades[MAX_REPEATED]; /* the request for the upgrade, for each port */
static const char *ignored[MAX_REPEATED + 1];
static struct bytes echo_from, echo_to;
static bool spread_sources;
static uint64_t read_at;  /* when that was read which is being handled */
static char trouble[256]; /* why the connection that is being handled cannot go on */

static size_t __attribute__((format(printf, 1, 2))) broken(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(trouble, sizeof trouble, format, values);
    va_end(values);
    return 0;
}

static void watch(struct conn *conn, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};
    if (epoll_ctl(epoll_fd, operation, conn->fd, &event) != 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void conn_flush(struct conn *conn)
{
    ssize_t sent = send(conn->fd, conn->unsent.data, conn->unsent.len, MSG_NOSIGNAL);
    if (sent > 0)
        bytes_drop(&conn->unsent, sent);
    if (!conn->unsent.len) {
        conn->waits_to_write = false;
        watch(conn, EPOLL_CTL_MOD, EPOLLIN);
    }
}

/* What goes wrong here is left to the next read, which tells it as well. */
static void conn_send(struct conn *conn, const char *data, size_t len)
{
    ssize_t sent = conn->waits_to_write ? 0 : send(conn->fd, data, len, MSG_NOSIGNAL);
    if (sent == (ssize_t)len)
        return;
    bytes_append(&conn->unsent, data + (sent > 0 ? sent : 0), len - (sent > 0 ? sent : 0));
    if (!conn->waits_to_write)
        watch(conn, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    conn->waits_to_write = true;
}

static void conn_close(struct conn *conn)
{
    close(conn->fd);
    bytes_drop(&conn->unread, conn->unread.len);
    bytes_drop(&conn->unsent, conn->unsent.len);
    bytes_drop(&conn->joined, conn->joined.len);
}

static int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    return fd;
}

static struct sockaddr_in address(uint32_t host, uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host)};
}

static void conn_open(struct conn *conn)
{
    static uint32_t opened;
    int yes = 1;
    conn->state = CONNECTING;
    conn->step = 0;
    conn->waits_to_write = false;
    conn->fd = tcp_socket();
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    /* The port that this takes may be one that a server wants next: it need not wait until TIME_WAIT is over. */
    setsockopt(conn->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (spread_sources) {
        struct sockaddr_in source = address(INADDR_LOOPBACK + 1 + opened++ % SOURCE_ADDRESSES, 0);
        setsockopt(conn->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
        if (bind(conn->fd, (struct sockaddr *)&source, sizeof source) != 0)
            die("bind: %s", strerror(errno));
    }
    struct sockaddr_in target = address(INADDR_LOOPBACK, ports[conn->port]);
    if (connect(conn->fd, (struct sockaddr *)&target, sizeof target) != 0 && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    watch(conn, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

/* Go on with the script until it waits. The message that it waits for leads here again. */
static void script_advance(struct conn *conn)
{
    while (conn->step < conn->script->count) {
        const struct step *step = &conn->script->steps[conn->step++];
        if (step->frame.len)
            conn_send(conn, step->frame.data, step->frame.len);
        if (step->waits)
            return;
    }
    conn->state = READY;
    on.ready(conn);
}

static void conn_connected(struct conn *conn)
{
    int error = 0;
    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    if (error) {
        on.lost(conn, strerror(error));
        return;
    }
    watch(conn, EPOLL_CTL_MOD, EPOLLIN);
    conn->state = http ? READY : UPGRADING;
    if (http)
        on.ready(conn);
    else
        conn_send(conn, upgrades[conn->port].data, upgrades[conn->port].len);
}

/*
 * ---------------------------------------------------------------- what comes in
 *
 * The functions take_… get what is read and not handled yet. They handle the first thing in it and return its length:
 * 0 where it is not whole yet, or broken.
 */

/* The value of a header, or NULL. */
static const char *header(const char *head, size_t head_len, const char *name, size_t *value_len)
{
    size_t name_len = strlen(name);
    const char *end = head + head_len, *line = head, *line_end;
    for (; line < end && (line_end = memchr(line, '\n', end - line)); line = line_end + 1) {
        if ((size_t)(line_end - line) <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0)
            continue;
        const char *value = line + name_len + 1;
        value += strspn(value, " \t");
        *value_len = strcspn(value, " \t\r\n");
        return value;
    }
    return NULL;
}

/* The length of a head with the empty line after it. */
static size_t head_length(const char *data, size_t len)
{
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    if (end)
        return end + 4 - data;
    return len > MAX_HEAD ? broken("a head of more than %d bytes", MAX_HEAD) : 0;
}

/* The chunks from `at` on, to the last one, joined. Returns where they end. */
static size_t take_chunks(struct conn *conn, const char *data, size_t len, size_t at)
{
    size_t size;
    conn->joined.len = 0;
    do {
        const char *line_end = memmem(data + at, len - at, "\r\n", 2);
        if (!line_end)
            return 0;
        size = strtoul(data + at, NULL, 16);
        at = line_end + 2 - data;
        if (size > MAX_MESSAGE)
            return broken("a chunk of %zu bytes", size);
        if (len - at < size + 2)
            return 0;
        if (memcmp(data + at + size, "\r\n", 2) != 0)
            return broken("a chunk that is longer than it says, or a trailer");
        bytes_append(&conn->joined, data + at, size);
        at += size + 2;
    } while (size);
    return at;
}

/* An answer or a request, with its body. */
static size_t take_http(struct conn *conn, const char *data, size_t len)
{
    size_t head_len = head_length(data, len), body_len = 0, value_len;
    if (!head_len)
        return 0;
    if (conn->state == READY) {
        if (head_len < 16 || memcmp(data, "HTTP/1.", 7) != 0)
            return broken("no HTTP answer: %.*s", (int)strcspn(data, "\r"), data);
        conn->status = atoi(data + strlen("HTTP/1.1 "));
    }
    const char *value = header(data, head_len, "Transfer-Encoding", &value_len);
    if (value && value_len == 7 && strncasecmp(value, "chunked", 7) == 0) {
        size_t end = take_chunks(conn, data, len, head_len);
        if (end)
            on.message(conn, conn->joined.data, conn->joined.len);
        return end;
    }
    value = header(data, head_len, "Content-Length", &value_len);
    if (value)
        body_len = strtoul(value, NULL, 10);
    else if (conn->state == READY && conn->status != 204 && conn->status != 304)
        return broken("an answer with neither Content-Length nor chunks");
    if (len - head_len < body_len)
        return 0;
    on.message(conn, data + head_len, body_len);
    return head_len + body_len;
}

/* The key is that of the example in RFC 6455, so that what is to be answered to it is known. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* The answer to the upgrade. */
static size_t take_upgrade(struct conn *conn, const char *data, size_t len)
{
    size_t head_len = head_length(data, len), value_len;
    if (!head_len)
        return 0;
    if (head_len < 16 || memcmp(data, "HTTP/1.1 101", 12) != 0)
        return broken("the upgrade was answered by %.*s", (int)strcspn(data, "\r"), data);
    const char *value = header(data, head_len, "Sec-WebSocket-Accept", &value_len);
    if (!value || value_len != strlen(ACCEPT) || memcmp(value, ACCEPT, value_len) != 0)
        return broken("the upgrade was answered with a wrong Sec-WebSocket-Accept");
    conn->state = IN_SCRIPT;
    script_advance(conn);
    return head_len;
}

static void got_message(struct conn *conn, const char *data, size_t len)
{
    if (conn->state != SERVING) {
        if (len && len == echo_from.len && memcmp(data, echo_from.data, len) == 0) {
            conn_send(conn, echo_to.data, echo_to.len);
            return;
        }
        for (const char **string = ignored; *string; string++)
            if (contains(data, len, *string))
                return;
    }
    if (conn->state == IN_SCRIPT)
        script_advance(conn);
    else
        on.message(conn, data, len);
}

static void got_control(struct conn *conn, enum opcode opcode, const char *payload, size_t size)
{
    struct bytes reply = {0};
    if (opcode == PONG)
        return;
    append_frame(&reply, opcode == PING ? PONG : CLOSE, payload, size, conn->state != SERVING);
    conn_send(conn, reply.data, reply.len);
    free(reply.data);
    if (opcode == PING)
        return;
    const uint8_t *code = (const uint8_t *)payload;
    if (size >= 2)
        broken("the peer closed with %d %.*s", code[0] << 8 | code[1], (int)size - 2, payload + 2);
    else
        broken("the peer closed without a code");
}

static size_t take_frame(struct conn *conn, char *data, size_t len)
{
    const uint8_t *head = (uint8_t *)data;
    if (len < 2)
        return 0;
    bool last = head[0] & 0x80, masked = head[1] & 0x80;
    enum opcode opcode = head[0] & 15;
    uint64_t size = head[1] & 127;
    size_t at = 2;
    if (size >= 126) {
        size_t length_bytes = size == 126 ? 2 : 8;
        if (len < at + length_bytes)
            return 0;
        for (size = 0; length_bytes--;)
            size = size << 8 | head[at++];
    }
    if (head[0] & 0x70)
        return broken("a frame with an extension that was not agreed on");
    if (masked != (conn->state == SERVING))
        return broken(masked ? "a masked frame from the server" : "a frame without a mask from the client");
    if (size > MAX_MESSAGE)
        return broken("a frame of %llu bytes", (unsigned long long)size);
    const char *key = data + at;
    at += masked ? 4 : 0;
    if (len < at || len - at < size)
        return 0;
    char *payload = data + at;
    if (opcode >= CLOSE) {
        for (size_t i = 0; masked && i < size; i++) /* messages stay masked: `echo` does not look into them */
            payload[i] ^= key[i % 4];
        got_control(conn, opcode, payload, size);
    } else if (last && opcode != CONTINUATION) {
        got_message(conn, payload, size);
    } else {
        bytes_append(&conn->joined, payload, size);
        if (last) {
            got_message(conn, conn->joined.data, conn->joined.len);
            bytes_drop(&conn->joined, conn->joined.len);
        }
    }
    return at + size;
}

/* In `echo`. Only the key of this program is known, whose answer need not be computed. */
static size_t take_upgrade_request(struct conn *conn, const char *data, size_t len)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n";
    size_t head_len = head_length(data, len), value_len;
    if (!head_len)
        return 0;
    const char *key = header(data, head_len, "Sec-WebSocket-Key", &value_len);
    if (!key || value_len != strlen(KEY) || memcmp(key, KEY, value_len) != 0)
        return broken("no upgrade, or none of this program");
    conn_send(conn, answer, strlen(answer));
    conn->state = SERVING;
    return head_len;
}

static size_t take(struct conn *conn, char *data, size_t len)
{
    switch (conn->state) {
    case UPGRADING: return take_upgrade(conn, data, len);
    case SERVING_UPGRADE: return take_upgrade_request(conn, data, len);
    case IN_SCRIPT: return take_frame(conn, data, len);
    case READY:
    case SERVING: return http ? take_http(conn, data, len) : take_frame(conn, data, len);
    default: return 0;
    }
}

/* ---------------------------------------------------------------- the loop */

/*
 * One read. All connections share a buffer, which so stays in the cache; only what is not whole yet goes into one of
 * the connection's own. What does not fit is left to the next turn, since the loop is level-triggered.
 */
static void conn_readable(struct conn *conn)
{
    static char shared[BUFFER_SIZE + 1]; /* with a zero at the end for the functions on strings */
    bool own = conn->unread.len;
    if (own)
        bytes_reserve(&conn->unread, BUFFER_SIZE + 1);
    char *data = own ? conn->unread.data : shared;
    size_t len = conn->unread.len, room = own ? conn->unread.cap - len - 1 : BUFFER_SIZE, done = 0, taken;
    ssize_t got = recv(conn->fd, data + len, room, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        on.lost(conn, got ? strerror(errno) : "the peer closed the connection");
        return;
    }
    read_at = now_ns();
    len += got;
    data[len] = 0;
    *trouble = 0;
    do
        done += taken = take(conn, data + done, len - done);
    while (taken && done < len && !*trouble);
    if (own) {
        conn->unread.len = len;
        bytes_drop(&conn->unread, done);
    } else if (done < len) {
        bytes_append(&conn->unread, data + done, len - done);
    }
    if (*trouble)
        on.lost(conn, trouble);
    else
        on.batch_end(conn);
}

static void conn_accept(struct conn *listener)
{
    for (int fd, yes = 1; (fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct conn *conn = zeroed(1, sizeof *conn);
        conn->fd = fd;
        conn->state = http ? SERVING : SERVING_UPGRADE;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        watch(conn, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void turn(int timeout_ms)
{
    struct epoll_event events[128];
    int count = epoll_wait(epoll_fd, events, 128, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct conn *conn = events[i].data.ptr;
        if (conn->state == LISTENING) {
            conn_accept(conn);
        } else if (conn->state == CONNECTING) {
            conn_connected(conn);
        } else {
            if (events[i].events & EPOLLOUT)
                conn_flush(conn);
            if (events[i].events & ~EPOLLOUT)
                conn_readable(conn);
        }
    }
}

static void turn_for(double seconds)
{
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    for (uint64_t now; (now = now_ns()) < end;)
        turn((int)((end - now) / 1000000) + 1);
}

/* Run until `left` is 0. False where nothing has changed it for so long. */
static bool turn_until_none(const size_t *left, unsigned patience_seconds)
{
    size_t before = *left;
    uint64_t changed = now_ns();
    while (*left) {
        turn(1000);
        if (*left != before) {
            before = *left;
            changed = now_ns();
        } else if (now_ns() - changed > patience_seconds * 1000000000ull) {
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------- opening many */

static struct conn *conns; /* those of --connections, and room for one more */
static struct script open_script;
static struct {
    struct conn *next, *end;
    size_t left;
} opening;

static void ignore_conn(struct conn *conn)
{
    (void)conn;
}

static void ignore_message(struct conn *conn, const char *data, size_t len)
{
    (void)conn, (void)data, (void)len;
}

static void lost_is_fatal(struct conn *conn, const char *reason)
{
    size_t index = conn - conns;
    if (index == connection_count)
        die("the control connection: %s", reason);
    die("connection %zu of %zu: %s", index + 1, connection_count, reason);
}

static void open_next(void)
{
    if (opening.next < opening.end)
        conn_open(opening.next++);
}

static void opened_one(struct conn *conn)
{
    (void)conn;
    opening.left--;
    open_next();
}

/* Open these connections, and wait until the script of each is done. */
static void open_all(struct conn *first, size_t count, const struct script *script)
{
    opening.next = first;
    opening.end = first + count;
    opening.left = count;
    on.ready = opened_one;
    for (size_t i = 0; i < count; i++) {
        first[i].script = script;
        first[i].next_id = FIRST_ID;
    }
    for (size_t i = 0; i < OPENING_AT_ONCE; i++)
        open_next();
    if (!turn_until_none(&opening.left, PATIENCE_SECONDS))
        die("%zu of %zu connections are not open, and none has opened for %d s", opening.left, count, PATIENCE_SECONDS);
    on.ready = ignore_conn;
}

static void read_ports(void)
{
    for (const char *port; (port = option_nth("--port", port_count)); port_count++) {
        unsigned long number = strtoul(port, NULL, 10);
        if (!number || number > 65535)
            die("--port: %s is no port", port);
        ports[port_count] = (uint16_t)number;
    }
    if (!port_count)
        die("--port is missing");
}

static void make_upgrade(struct bytes *out, uint16_t port)
{
    static const char format[] = "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n";
    char *head;
    int len = asprintf(&head, format, option("--path", "/isomor/ws"), port);
    bytes_append(out, head, len);
    free(head);
    const char *line;
    for (size_t i = 0; (line = option_nth("--header", i)); i++) {
        bytes_append(out, line, strlen(line));
        bytes_append(out, "\r\n", 2);
    }
    bytes_append(out, "\r\n", 2);
}

/* What all subcommands but `echo` begin with. */
static void prepare(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    connection_count = count_option("--connections", 50);
    if (connection_count + 16 > files.rlim_cur)
        die("--connections: no more than %zu files may be open", (size_t)files.rlim_cur);
    spread_sources |= connection_count > SPREAD_FROM;
    conns = zeroed(connection_count + 1, sizeof *conns);
    read_ports();
    for (size_t i = 0; i < port_count; i++)
        make_upgrade(&upgrades[i], ports[i]);
    for (size_t i = 0; i < connection_count; i++)
        conns[i].port = i % port_count;
    for (size_t i = 0; (ignored[i] = option_nth("--ignore", i)); i++)
        ;
    const char *echo = option("--echo", NULL), *equals = echo ? strchr(echo, '=') : NULL;
    if (echo && !equals)
        die("--echo: PREFIX=REPLY, not %s", echo);
    if (echo) {
        bytes_append(&echo_from, echo, equals - echo);
        append_frame(&echo_to, TEXT, equals + 1, strlen(equals + 1), true);
    }
    open_script = load_script(option("--open", NULL));
    on.ready = on.batch_end = ignore_conn;
    on.message = ignore_message;
    on.lost = lost_is_fatal;
}

static bool http_wanted(void)
{
    const char *transport = option("--transport", "ws");
    if (strcmp(transport, "ws") != 0 && strcmp(transport, "http") != 0)
        die("--transport: ws or http, not %s", transport);
    return strcmp(transport, "http") == 0;
}

/* ---------------------------------------------------------------- call */

static struct {
    struct message request;
    const char *expect;
    size_t each, in_flight; /* of one connection, and of all */
    struct request **due;   /* to be sent anew once the read has been handled */
    size_t due_count;
    bool measuring, stopping;
    size_t errors;
    struct histogram latencies;
} call;

/* Send those that are due, by one write. */
static void call_batch_end(struct conn *conn)
{
    uint64_t now = now_ns();
    for (size_t i = 0; i < call.due_count && !call.stopping; i++) {
        *call.due[i] = (struct request){.sent_at = now, .id = conn->next_id++};
        set_id(&call.request, i, call.due[i]->id);
    }
    if (call.due_count && !call.stopping) {
        call.in_flight += call.due_count;
        conn_send(conn, call.request.frames.data, call.due_count * call.request.frame_size);
    }
    call.due_count = 0;
}

/* An id that an answer has in it: the last eight digits of a number, if they are one that has been sent. Or 0. */
static uint32_t id_in(const struct conn *conn, const char *data, size_t len)
{
    for (size_t i = 0, digits = 0; i <= len; i++) {
        if (i < len && data[i] >= '0' && data[i] <= '9') {
            digits++;
            continue;
        }
        uint32_t id = 0;
        for (size_t digit = i - ID_DIGITS; digits >= ID_DIGITS && digit < i; digit++)
            id = id * 10 + (data[digit] - '0');
        if (id >= FIRST_ID && id < conn->next_id)
            return id;
        digits = 0;
    }
    return 0;
}

/* The request with that id. With 0, the one that has been in flight for longest, if all are answered in turn. */
static struct request *find_request(struct conn *conn, uint32_t id)
{
    for (size_t tried = 0; tried < call.each; tried++) {
        struct request *request = &conn->requests[conn->cursor];
        conn->cursor = conn->cursor + 1 < call.each ? conn->cursor + 1 : 0;
        if (request->sent_at && (!id || request->id == id))
            return request;
    }
    return NULL;
}

static void call_answered(struct conn *conn, const char *data, size_t len)
{
    /* Answers may come in another order. Of peers whose answers have no id, it is taken that they keep it. */
    uint32_t id = call.request.has_id && call.each > 1 ? id_in(conn, data, len) : 0;
    struct request *request = id ? find_request(conn, id) : NULL;
    if (!request)
        request = find_request(conn, 0);
    bool right = request && (!http || conn->status == 200) && contains(data, len, call.expect);
    if (!right && !call.errors++)
        fprintf(stderr, "load: a wrong answer (status %d): %.*s\n", conn->status, len < 300 ? (int)len : 300, data);
    if (!request)
        return;
    if (right && call.measuring)
        histogram_add(&call.latencies, read_at - request->sent_at);
    request->sent_at = 0;
    call.in_flight--;
    call.due[call.due_count++] = request;
}

static void command_call(void)
{
    http = http_wanted();
    call.expect = needed("--expect");
    call.each = count_option("--in-flight", 1);
    call.due = zeroed(call.each, sizeof *call.due);
    struct bytes text = file_bytes(needed("--request"));
    call.request = make_message(&text, http ? NO_FRAME : FROM_CLIENT, call.each);
    double warmup = seconds_option("--warmup", 1), seconds = seconds_option("--seconds", 5);
    prepare();
    open_all(conns, connection_count, &open_script);

    on.message = call_answered;
    on.batch_end = call_batch_end;
    for (struct conn *conn = conns; conn < conns + connection_count; conn++) {
        conn->requests = zeroed(call.each, sizeof *conn->requests);
        for (call.due_count = 0; call.due_count < call.each; call.due_count++)
            call.due[call.due_count] = &conn->requests[call.due_count];
        call_batch_end(conn);
    }
    turn_for(warmup);
    uint64_t start = now_ns(), cpu = cpu_ns();
    call.measuring = true;
    turn_for(seconds);
    call.measuring = false;
    seconds = (double)(now_ns() - start) / 1e9;
    double share = (double)(cpu_ns() - cpu) / 1e9 / seconds;

    /* What is in flight is waited for, so that the server ends in peace, and that what it never answers is found. */
    call.stopping = true;
    turn_until_none(&call.in_flight, 5);
    if (call.in_flight)
        fprintf(stderr, "load: %zu requests have not been answered\n", call.in_flight);
    const struct histogram *latencies = &call.latencies;
    printf("{\"calls\": %zu, \"seconds\": %.4f, \"rate\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
           "\"max_us\": %.1f, \"errors\": %zu, \"cpu\": %.3f}\n",
           (size_t)latencies->count, seconds, (double)latencies->count / seconds, percentile_us(latencies, 0.5),
           percentile_us(latencies, 0.9), percentile_us(latencies, 0.99), (double)latencies->max / 1e3,
           call.errors + call.in_flight, share);
}

/* ---------------------------------------------------------------- push */

static struct {
    struct conn *control;
    struct message trigger;
    const char *marker;
    size_t each, left, surplus; /* deliveries of a round: due to one connection, missing of all, too many */
    uint64_t cpu, wall;         /* of the rounds that are measured */
    char last_on_control[200];
} push;

static void push_got_message(struct conn *conn, const char *data, size_t len)
{
    if (conn == push.control) {
        snprintf(push.last_on_control, sizeof push.last_on_control, "%.*s", len < 199 ? (int)len : 199, data);
    } else if (contains(data, len, push.marker)) {
        bool expected = conn->deliveries++ < push.each;
        push.left -= expected;
        push.surplus += !expected;
    }
}

/* Send the trigger and wait for all deliveries. Returns how long it was to the last one, in nanoseconds. */
static uint64_t push_round(bool measured)
{
    push.left = connection_count * push.each;
    for (size_t i = 0; i < connection_count; i++)
        conns[i].deliveries = 0;
    set_id(&push.trigger, 0, push.control->next_id++);
    uint64_t cpu = cpu_ns(), start = now_ns();
    conn_send(push.control, push.trigger.frames.data, push.trigger.frame_size);
    if (!turn_until_none(&push.left, PATIENCE_SECONDS))
        die("%zu of %zu deliveries are missing after %d s without one; the last message on the control connection: %s",
            push.left, connection_count * push.each, PATIENCE_SECONDS,
            *push.last_on_control ? push.last_on_control : "none");
    uint64_t took = read_at - start;
    if (measured) {
        push.cpu += cpu_ns() - cpu;
        push.wall += now_ns() - start;
    }
    return took;
}

static int compare_doubles(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static void push_bursts(size_t pushes, size_t repeat)
{
    double *seconds = zeroed(repeat, sizeof *seconds);
    push.each = pushes;
    for (size_t i = 0; i < repeat; i++) {
        seconds[i] = (double)push_round(true) / 1e9;
        turn_for(0.2); /* what is delivered twice is found, and the next round begins in quiet */
    }
    printf("{\"deliveries\": %zu, \"seconds\": [", connection_count * pushes);
    for (size_t i = 0; i < repeat; i++)
        printf("%s%.6f", i ? ", " : "", seconds[i]);
    qsort(seconds, repeat, sizeof *seconds, compare_doubles);
    double median = (seconds[(repeat - 1) / 2] + seconds[repeat / 2]) / 2;
    printf("], \"rate\": %.1f, \"errors\": %zu, \"cpu\": %.3f}\n", (double)(connection_count * pushes) / median,
           push.surplus, (double)push.cpu / (double)push.wall);
}

static void push_latencies(size_t pushes)
{
    static struct histogram latencies;
    push.each = 1;
    for (size_t i = 0; i < ROUNDS_UNMEASURED; i++)
        push_round(false);
    for (size_t i = 0; i < pushes; i++)
        histogram_add(&latencies, push_round(true));
    printf("{\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"rate\": %.1f, \"errors\": %zu, \"cpu\": %.3f}\n",
           percentile_us(&latencies, 0.5), percentile_us(&latencies, 0.99), (double)latencies.max / 1e3,
           (double)(connection_count * pushes) * 1e9 / (double)push.wall, push.surplus,
           (double)push.cpu / (double)push.wall);
}

static void command_push(void)
{
    const char *mode = option("--mode", "burst");
    if (strcmp(mode, "burst") != 0 && strcmp(mode, "latency") != 0)
        die("--mode: burst or latency, not %s", mode);
    size_t pushes = count_option("--pushes", 300), repeat = count_option("--repeat", 1);
    struct bytes text = file_bytes(needed("--trigger"));
    push.trigger = make_message(&text, FROM_CLIENT, 1);
    push.marker = needed("--marker");
    struct script control_script = load_script(option("--control-open", NULL));
    prepare();
    open_all(conns, connection_count, &open_script);
    push.control = conns + connection_count;
    open_all(push.control, 1, &control_script);
    on.message = push_got_message;
    if (strcmp(mode, "burst") == 0)
        push_bursts(pushes, repeat);
    else
        push_latencies(pushes);
}

/* ---------------------------------------------------------------- connect */

static struct {
    size_t opened, errors;
    char last_error[256];
} connecting;

/* It is closed at the end of the batch: what is not read yet would make the close a reset. */
static void connect_ready(struct conn *conn)
{
    conn->state = DONE;
    connecting.opened++;
}

static void connect_batch_end(struct conn *conn)
{
    if (conn->state != DONE)
        return;
    conn_close(conn);
    conn_open(conn);
}

static void connect_lost(struct conn *conn, const char *reason)
{
    connecting.errors++;
    snprintf(connecting.last_error, sizeof connecting.last_error, "%s", reason);
    conn_close(conn);
    conn_open(conn);
}

static void command_connect(void)
{
    spread_sources = true; /* a port that was used is not free again for a minute */
    prepare();
    on.ready = connect_ready;
    on.batch_end = connect_batch_end;
    on.lost = connect_lost;
    uint64_t start = now_ns(), cpu = cpu_ns();
    for (size_t i = 0; i < connection_count; i++) {
        conns[i].script = &open_script;
        conn_open(&conns[i]);
    }
    turn_for(seconds_option("--seconds", 5));
    double seconds = (double)(now_ns() - start) / 1e9;
    if (!connecting.opened)
        die("none was opened in %.1f s; %zu errors, the last: %s", seconds, connecting.errors, connecting.last_error);
    printf("{\"opened\": %zu, \"rate\": %.1f, \"errors\": %zu, \"cpu\": %.3f}\n", connecting.opened,
           (double)connecting.opened / seconds, connecting.errors, (double)(cpu_ns() - cpu) / 1e9 / seconds);
}

/* ---------------------------------------------------------------- hold */

static struct {
    struct message message;
    struct conn *next;
    size_t left;
} hold;

static void hold_send_next(void)
{
    if (hold.next == conns + connection_count)
        return;
    struct conn *conn = hold.next++;
    conn->awaits_answer = true;
    set_id(&hold.message, 0, conn->next_id++);
    conn_send(conn, hold.message.frames.data, hold.message.frame_size);
}

static void hold_got_message(struct conn *conn, const char *data, size_t len)
{
    (void)data, (void)len;
    if (!conn->awaits_answer)
        return;
    conn->awaits_answer = false;
    hold.left--;
    hold_send_next();
}

/* Send the text of a file on each connection, filled up with blanks to --message-size. */
static void hold_send_all(const char *path)
{
    size_t size = count_option("--message-size", 1);
    struct bytes text = file_bytes(path);
    size_t id_growth = contains(text.data, text.len, "{id}") ? ID_DIGITS - strlen("{id}") : 0;
    while (text.len + id_growth < size)
        bytes_append(&text, " ", 1);
    hold.message = make_message(&text, FROM_CLIENT, 1);
    hold.next = conns;
    hold.left = connection_count;
    for (size_t i = 0; i < SENDING_AT_ONCE; i++)
        hold_send_next();
    if (!turn_until_none(&hold.left, PATIENCE_SECONDS))
        die("%zu of %zu answers are missing after %d s without one", hold.left, connection_count, PATIENCE_SECONDS);
    printf("{\"answered\": %zu}\n", connection_count);
    free(hold.message.frames.data);
    free(text.data);
}

/* One read from stdin, with the commands in it. False at the end. */
static bool hold_commands(void)
{
    static struct bytes input;
    bytes_reserve(&input, 4096);
    ssize_t got = read(STDIN_FILENO, input.data + input.len, 4096);
    if (got <= 0)
        return false;
    input.len += got;
    for (char *end; input.len && (end = memchr(input.data, '\n', input.len));) {
        *end = 0;
        if (strcmp(input.data, "quit") == 0)
            return false;
        if (strcmp(input.data, "send") == 0)
            hold_send_all(needed("--message"));
        else if (strncmp(input.data, "send ", 5) == 0)
            hold_send_all(input.data + 5);
        else
            die("stdin: send FILE, send or quit, not %s", input.data);
        bytes_drop(&input, end + 1 - input.data);
    }
    return true;
}

static void command_hold(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* whoever writes the commands reads the answers as they come */
    prepare();
    open_all(conns, connection_count, &open_script);
    on.message = hold_got_message;
    printf("{\"held\": %zu}\n", connection_count);
    /* stdin may be a file, which epoll does not take; poll takes both. */
    struct pollfd watched[] = {{.fd = epoll_fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    do {
        poll(watched, 2, -1);
        turn(0);
    } while (!watched[1].revents || hold_commands());
}

/* ---------------------------------------------------------------- echo */

static struct {
    struct message answer, pushed;
    size_t due;
    struct conn **subscribers;
    size_t subscriber_count;
} echo;

/* {"method":"subscribe"}; or {"method":"turns","args":[300,…]}: a write for each push; burst: one for all. */
static void echo_push(struct conn *conn, const char *masked, size_t len)
{
    char data[MAX_TRIGGER];
    if (len > MAX_TRIGGER)
        len = MAX_TRIGGER;
    for (size_t i = 0; i < len; i++) /* `load push` masks all it sends alike; `echo` has no need to read anything else */
        data[i] = masked[i] ^ MASK[i % 4];
    char *args = memmem(data, len, "\"args\":[", 8);
    size_t count = args ? strtoul(args + 8, NULL, 10) : 0;
    if (contains(data, len, "subscribe")) {
        if (echo.subscriber_count == MAX_SUBSCRIBERS)
            die("there are %d subscribers at most", MAX_SUBSCRIBERS);
        echo.subscribers[echo.subscriber_count++] = conn;
        return;
    }
    bool at_once = contains(data, len, "burst");
    if (count > MAX_PUSHES)
        die("%zu pushes are more than %d", count, MAX_PUSHES);
    for (size_t turn = 0; turn < (at_once ? 1 : count); turn++)
        for (size_t i = 0; i < echo.subscriber_count; i++)
            conn_send(echo.subscribers[i], echo.pushed.frames.data, (at_once ? count : 1) * echo.pushed.frame_size);
}

static void echo_got_message(struct conn *conn, const char *data, size_t len)
{
    echo.due++;
    if (echo.pushed.copies)
        echo_push(conn, data, len);
}

static void echo_batch_end(struct conn *conn)
{
    while (echo.due) {
        size_t count = echo.due < echo.answer.copies ? echo.due : echo.answer.copies;
        conn_send(conn, echo.answer.frames.data, count * echo.answer.frame_size);
        echo.due -= count;
    }
}

static void echo_lost(struct conn *conn, const char *reason)
{
    (void)reason;
    echo.due = 0;
    for (size_t i = echo.subscriber_count; i-- > 0;)
        if (echo.subscribers[i] == conn)
            echo.subscribers[i] = echo.subscribers[--echo.subscriber_count];
    conn_close(conn);
    free(conn);
}

static void exit_at_once(int signal)
{
    (void)signal;
    _exit(0);
}

static void command_echo(void)
{
    http = http_wanted();
    struct bytes text = file_bytes(needed("--answer")), answer = {0};
    char head[128] = "";
    if (http)
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                 text.len);
    bytes_append(&answer, head, strlen(head));
    bytes_append(&answer, text.data, text.len);
    size_t copies = 1 + BUFFER_SIZE / (answer.len + MAX_FRAME_HEADER);
    echo.answer = make_message(&answer, http ? NO_FRAME : FROM_SERVER, copies);
    if (option("--push", NULL)) {
        struct bytes payload = file_bytes(option("--push", NULL));
        echo.pushed = make_message(&payload, FROM_SERVER, MAX_PUSHES);
        echo.subscribers = zeroed(MAX_SUBSCRIBERS, sizeof *echo.subscribers);
    }
    on.message = echo_got_message;
    on.batch_end = echo_batch_end;
    on.lost = echo_lost;

    read_ports();
    struct conn listener = {.state = LISTENING, .fd = tcp_socket()};
    struct sockaddr_in local = address(INADDR_LOOPBACK, ports[0]);
    setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener.fd, (struct sockaddr *)&local, sizeof local) != 0 || listen(listener.fd, SOMAXCONN) != 0)
        die("port %d: %s", ports[0], strerror(errno));
    watch(&listener, EPOLL_CTL_ADD, EPOLLIN);
    signal(SIGTERM, exit_at_once);
    printf("{\"listening\": %d}\n", ports[0]);
    fflush(stdout);
    for (;;)
        turn(-1);
}

/* ---------------------------------------------------------------- main */

int main(int count, char **values)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } commands[] = {
        {"call", command_call}, {"push", command_push}, {"connect", command_connect},
        {"hold", command_hold}, {"echo", command_echo},
    };
    argument_count = count;
    arguments = values;
    check_options();
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; count > 1 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(values[1], commands[i].name) == 0) {
            commands[i].run();
            return 0;
        }
    die("one of call, push, connect, hold and echo, not %s", count > 1 ? values[1] : "nothing");
}

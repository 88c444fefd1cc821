/* Makes calls of a process fail as on a disk without room, or in a process without file descriptors, and shifts its wall clock:
   see shortage.rs. Preloaded into the process; SHORTAGE_STATE is a file that both sides have in memory. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { NOTHING, DISK_FULL, NO_DESCRIPTORS };

/* The same as in shortage.rs. */
struct state {
    _Atomic uint64_t kind;
    /* Calls that still succeed. */
    _Atomic uint64_t before;
    _Atomic uint64_t failed;
    /* A full disk is that of the files whose path begins with this. */
    char prefix[1024];
    /* What failed first. */
    char first[1024];
    /* Seconds by which the wall clock is ahead. */
    _Atomic int64_t clock_ahead;
};
static struct state *state;

#define REAL(result, name, ...)                                                                    \
    static result (*real)(__VA_ARGS__);                                                            \
    if (!real) real = dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    REAL(int, open, const char *, int, ...);
    const char *path = getenv("SHORTAGE_STATE");
    int fd = path ? real(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *map = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED) state = map;
}

/* Whether this call is to fail; `first` says whether it is the first one that does. */
static int hits(uint64_t kind, const char *call, const char *path, int *first) {
    if (!state || atomic_load(&state->kind) != kind) return 0;
    if (kind == DISK_FULL && (!path || strncmp(path, state->prefix, strlen(state->prefix)) != 0)) return 0;
    uint64_t before = atomic_load(&state->before);
    while (before > 0)
        if (atomic_compare_exchange_weak(&state->before, &before, before - 1)) return 0;
    *first = atomic_fetch_add(&state->failed, 1) == 0;
    if (*first) snprintf(state->first, sizeof state->first, "%s %s", call, path ? path : "");
    return 1;
}

static int is_full(const char *call, const char *path) {
    int first, error = errno, hit = hits(DISK_FULL, call, path, &first);
    errno = hit ? ENOSPC : error;
    return hit;
}

static int is_full_for(const char *call, int fd, int *first) {
    if (!state || atomic_load(&state->kind) != DISK_FULL) return 0;
    char link[64], path[4096];
    int error = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    int hit = 0;
    if (length > 0) {
        path[length] = 0;
        hit = hits(DISK_FULL, call, path, first);
    }
    errno = hit ? ENOSPC : error;
    return hit;
}

static int is_out(const char *call, const char *path) {
    int first, error = errno, hit = hits(NO_DESCRIPTORS, call, path, &first);
    errno = hit ? EMFILE : error;
    return hit;
}

static int makes_a_file(const char *path, int flags) {
    return (flags & O_CREAT) && access(path, F_OK) != 0;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        REAL(int, name, const char *, int, ...);                                                   \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = va_arg(rest, mode_t);                                                        \
        va_end(rest);                                                                              \
        if (is_out(#name, path)) return -1;                                                        \
        if (makes_a_file(path, flags) && is_full(#name, path)) return -1;                          \
        return real(path, flags, mode);                                                            \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
    int name(int folder, const char *path, int flags, ...) {                                       \
        REAL(int, name, int, const char *, int, ...);                                              \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = va_arg(rest, mode_t);                                                        \
        va_end(rest);                                                                              \
        if (is_out(#name, path)) return -1;                                                        \
        if (folder == AT_FDCWD && makes_a_file(path, flags) && is_full(#name, path)) return -1;    \
        return real(folder, path, flags, mode);                                                    \
    }
OPENAT(openat)
OPENAT(openat64)

/* The last bytes that there is room for are still written. */
ssize_t write(int fd, const void *data, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    int first = 0;
    if (!is_full_for("write", fd, &first)) return real(fd, data, length);
    if (!first || length < 2) return -1;
    return real(fd, data, length / 2);
}

#define PWRITE(name, offset_type)                                                                  \
    ssize_t name(int fd, const void *data, size_t length, offset_type offset) {                    \
        REAL(ssize_t, name, int, const void *, size_t, offset_type);                               \
        int first = 0;                                                                             \
        if (!is_full_for(#name, fd, &first)) return real(fd, data, length, offset);                \
        if (!first || length < 2) return -1;                                                       \
        return real(fd, data, length / 2, offset);                                                 \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    int first;
    return is_full_for("writev", fd, &first) ? -1 : real(fd, parts, count);
}
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t length, unsigned flags) {
    REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned);
    int first;
    return is_full_for("copy_file_range", to, &first) ? -1 : real(from, a, to, b, length, flags);
}

#define GROW(name, length_type)                                                                    \
    int name(int fd, length_type length) {                                                         \
        REAL(int, name, int, length_type);                                                         \
        struct stat facts;                                                                         \
        int first, grows = fstat(fd, &facts) == 0 && length > facts.st_size;                       \
        return grows && is_full_for(#name, fd, &first) ? -1 : real(fd, length);                    \
    }
GROW(ftruncate, off_t)
GROW(ftruncate64, off64_t)

#define ALLOCATE(name, offset_type)                                                                \
    int name(int fd, int mode, offset_type from, offset_type length) {                             \
        REAL(int, name, int, int, offset_type, offset_type);                                       \
        int first;                                                                                 \
        return is_full_for(#name, fd, &first) ? -1 : real(fd, mode, from, length);                 \
    }
ALLOCATE(fallocate, off_t)
ALLOCATE(fallocate64, off64_t)

/* These return the error. */
#define POSIX_ALLOCATE(name, offset_type)                                                          \
    int name(int fd, offset_type from, offset_type length) {                                       \
        REAL(int, name, int, offset_type, offset_type);                                            \
        int first;                                                                                 \
        return is_full_for(#name, fd, &first) ? ENOSPC : real(fd, from, length);                   \
    }
POSIX_ALLOCATE(posix_fallocate, off_t)
POSIX_ALLOCATE(posix_fallocate64, off64_t)

int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    return access(path, F_OK) != 0 && is_full("mkdir", path) ? -1 : real(path, mode);
}
int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    return is_full("rename", to) ? -1 : real(from, to);
}
int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    return is_full("link", to) ? -1 : real(from, to);
}

int socket(int domain, int type, int protocol) {
    REAL(int, socket, int, int, int);
    return is_out("socket", NULL) ? -1 : real(domain, type, protocol);
}
int accept(int fd, struct sockaddr *address, socklen_t *length) {
    REAL(int, accept, int, struct sockaddr *, socklen_t *);
    return is_out("accept", NULL) ? -1 : real(fd, address, length);
}
int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    REAL(int, accept4, int, struct sockaddr *, socklen_t *, int);
    return is_out("accept4", NULL) ? -1 : real(fd, address, length, flags);
}
int socketpair(int domain, int type, int protocol, int both[2]) {
    REAL(int, socketpair, int, int, int, int *);
    return is_out("socketpair", NULL) ? -1 : real(domain, type, protocol, both);
}
int pipe2(int both[2], int flags) {
    REAL(int, pipe2, int *, int);
    return is_out("pipe2", NULL) ? -1 : real(both, flags);
}
int eventfd(unsigned initial, int flags) {
    REAL(int, eventfd, unsigned, int);
    return is_out("eventfd", NULL) ? -1 : real(initial, flags);
}
int epoll_create1(int flags) {
    REAL(int, epoll_create1, int);
    return is_out("epoll_create1", NULL) ? -1 : real(flags);
}
#define FCNTL(name)                                                                                \
    int name(int fd, int command, ...) {                                                           \
        REAL(int, name, int, int, ...);                                                            \
        va_list rest;                                                                              \
        va_start(rest, command);                                                                   \
        void *argument = va_arg(rest, void *);                                                     \
        va_end(rest);                                                                              \
        int copies = command == F_DUPFD || command == F_DUPFD_CLOEXEC;                             \
        return copies && is_out(#name, NULL) ? -1 : real(fd, command, argument);                   \
    }
FCNTL(fcntl)
FCNTL(fcntl64)

/* The monotonic clock goes on as it does: only the time of day jumps. */
static int64_t ahead(void) { return state ? atomic_load(&state->clock_ahead) : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, clock_gettime, clockid_t, struct timespec *);
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += ahead();
    return result;
}
int gettimeofday(struct timeval *now, void *zone) {
    REAL(int, gettimeofday, struct timeval *, void *);
    int result = real(now, zone);
    if (result == 0) now->tv_sec += ahead();
    return result;
}
time_t time(time_t *now) {
    struct timespec found;
    if (clock_gettime(CLOCK_REALTIME, &found) != 0) return -1;
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}

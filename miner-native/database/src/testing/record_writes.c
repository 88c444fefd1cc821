/* Records what a process writes below RECORD_ROOT, and what of it it syncs, in RECORD_LOG: see power_loss.rs.
   Preloaded into the process. One call at a time, so that the log has the order in which things happened.
   A record: kind, two numbers of 8 bytes, a length of 4 bytes, as many bytes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_FDS 65536
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char *path_of[MOST_FDS];
static int log_fd = -1;
static const char *root;

#define REAL(result, name, ...)                                                                    \
    static result (*real)(__VA_ARGS__);                                                            \
    if (!real) real = dlsym(RTLD_NEXT, #name)

static ssize_t real_write(int fd, const void *data, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    return real(fd, data, length);
}

static void note(char kind, uint64_t a, uint64_t b, const void *data, uint32_t length) {
    char head[21];
    head[0] = kind;
    memcpy(head + 1, &a, 8);
    memcpy(head + 9, &b, 8);
    memcpy(head + 17, &length, 4);
    if (real_write(log_fd, head, sizeof head) != sizeof head) abort();
    const char *bytes = data;
    while (length > 0) {
        ssize_t done = real_write(log_fd, bytes, length);
        if (done <= 0) abort();
        bytes += done;
        length -= done;
    }
}

__attribute__((constructor)) static void begin(void) {
    REAL(int, open, const char *, int, ...);
    root = getenv("RECORD_ROOT");
    const char *log = getenv("RECORD_LOG");
    if (root && log) log_fd = real(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
}

static int is_ours(const char *path) {
    return log_fd >= 0 && path && strncmp(path, root, strlen(root)) == 0;
}

static int is_known(int fd) { return log_fd >= 0 && fd >= 0 && fd < MOST_FDS && path_of[fd]; }

static uint64_t inode(int fd) {
    struct stat facts;
    return fstat(fd, &facts) == 0 ? facts.st_ino : 0;
}

static int opened(int fd, const char *path, int flags) {
    struct stat facts;
    if (fd < 0 || fd >= MOST_FDS || !is_ours(path) || fstat(fd, &facts) != 0) return fd;
    free(path_of[fd]);
    path_of[fd] = strdup(path);
    if (S_ISREG(facts.st_mode)) note('O', facts.st_ino, (flags & O_TRUNC) != 0, path, strlen(path));
    return fd;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        REAL(int, name, const char *, int, ...);                                                   \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = va_arg(rest, mode_t);                                                        \
        va_end(rest);                                                                              \
        pthread_mutex_lock(&turn);                                                                 \
        int fd = opened(real(path, flags, mode), path, flags), error = errno;                      \
        pthread_mutex_unlock(&turn);                                                               \
        errno = error;                                                                             \
        return fd;                                                                                 \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    REAL(int, close, int);
    pthread_mutex_lock(&turn);
    if (is_known(fd)) {
        free(path_of[fd]);
        path_of[fd] = NULL;
    }
    int result = real(fd), error = errno;
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

/* Runs CALL in turn, and NOTE when it succeeded on a file of ours. */
#define IN_TURN(type, condition, call, noting)                                                     \
    if (!(condition)) return call;                                                                 \
    pthread_mutex_lock(&turn);                                                                     \
    type result = call;                                                                            \
    int error = errno;                                                                             \
    if (result >= 0) { noting; }                                                                   \
    pthread_mutex_unlock(&turn);                                                                   \
    errno = error;                                                                                 \
    return result

ssize_t write(int fd, const void *data, size_t length) {
    IN_TURN(ssize_t, is_known(fd), real_write(fd, data, length),
            note('W', inode(fd), lseek(fd, 0, SEEK_CUR) - result, data, result));
}

#define PWRITE(name, offset_type)                                                                  \
    ssize_t name(int fd, const void *data, size_t length, offset_type offset) {                    \
        REAL(ssize_t, name, int, const void *, size_t, offset_type);                               \
        IN_TURN(ssize_t, is_known(fd), real(fd, data, length, offset),                             \
                note('W', inode(fd), offset, data, result));                                       \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, length_type)                                                                \
    int name(int fd, length_type length) {                                                         \
        REAL(int, name, int, length_type);                                                         \
        IN_TURN(int, is_known(fd), real(fd, length), note('T', inode(fd), length, "", 0));         \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                                                                 \
    int name(int fd) {                                                                             \
        REAL(int, name, int);                                                                      \
        IN_TURN(int, is_known(fd), real(fd),                                                       \
                note('S', inode(fd), 0, path_of[fd], strlen(path_of[fd])));                        \
    }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    char both[8192];
    int length = snprintf(both, sizeof both, "%s\n%s", from, to);
    IN_TURN(int, is_ours(to), real(from, to), note('R', 0, 0, both, length));
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    IN_TURN(int, is_ours(path), real(path), note('U', 0, 0, path, strlen(path)));
}

/* A folder's removal, or one by its folder. */
int rmdir(const char *path) {
    REAL(int, rmdir, const char *);
    IN_TURN(int, is_ours(path), real(path), note('D', 0, 0, path, strlen(path)));
}
int unlinkat(int folder, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    char link[64], whole[8192];
    ssize_t length = 0;
    if (log_fd >= 0 && path[0] != '/' && folder != AT_FDCWD) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        length = readlink(link, whole, 4096);
    }
    if (length < 0) length = 0;
    snprintf(whole + length, sizeof whole - length, "%s%s", length ? "/" : "", path);
    char kind = flags & AT_REMOVEDIR ? 'D' : 'U';
    IN_TURN(int, is_ours(whole), real(folder, path, flags), note(kind, 0, 0, whole, strlen(whole)));
}

/* The callers then write in the ordinary way. */
ssize_t sendfile(int to, int from, off_t *at, size_t length) {
    REAL(ssize_t, sendfile, int, int, off_t *, size_t);
    if (!is_known(to)) return real(to, from, at, length);
    errno = EINVAL;
    return -1;
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t length) {
    REAL(ssize_t, sendfile64, int, int, off64_t *, size_t);
    if (!is_known(to)) return real(to, from, at, length);
    errno = EINVAL;
    return -1;
}
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t length, unsigned flags) {
    (void)from, (void)a, (void)to, (void)b, (void)length, (void)flags;
    errno = ENOSYS;
    return -1;
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    if (!is_known(fd)) return real(fd, parts, count);
    for (int i = 0; i < count; i++)
        if (parts[i].iov_len > 0) return write(fd, parts[i].iov_base, parts[i].iov_len);
    return 0;
}

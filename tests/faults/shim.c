/* What would survive a power cut?
 *
 * Preloaded into the store. After each fsync or fdatasync of an append-only file that succeeded, one line
 * "<bytes> <path>" goes to the file that SYNCED_SIZES names: so many bytes of it were there when the call began, and are
 * on stable storage now. A test kills the store and cuts its files to these sizes; what was only in the page cache
 * is gone, as it would be after a power cut. The note itself need not survive: the test's machine stays up.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int (*sync_call)(int);

static int noted(int fd, sync_call real) {
    char link[64], path[1024], line[1100];
    struct stat before;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    int ours = strstr(path, ".aof") != NULL && fstat(fd, &before) == 0;

    int result = real(fd);
    const char *sizes = getenv("SYNCED_SIZES");
    if (result == 0 && ours && sizes != NULL) {
        int written = snprintf(line, sizeof line, "%lld %s\n", (long long)before.st_size, path);
        int out = open(sizes, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (out >= 0) {
            if (write(out, line, (size_t)written) != written) abort();
            close(out);
        }
    }
    return result;
}

int fdatasync(int fd) {
    static sync_call real;
    if (real == NULL) real = (sync_call)dlsym(RTLD_NEXT, "fdatasync");
    return noted(fd, real);
}

int fsync(int fd) {
    static sync_call real;
    if (real == NULL) real = (sync_call)dlsym(RTLD_NEXT, "fsync");
    return noted(fd, real);
}

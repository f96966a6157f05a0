/* Bends what the system tells its process, from the moment that a file appears.
 *
 * Preloaded (LD_PRELOAD): while the file BENT_SYNCS exists, each fdatasync fails with EIO, as on a
 * disk that dies; once the file BENT_CLOCK exists, the monotonic clock has leapt eleven minutes
 * ahead and goes on from there. All else goes through untouched.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LEAP (11 * 60)

static atomic_int has_leapt;

static int is_there(const char *variable)
{
    const char *file = getenv(variable);
    int before = errno;
    int there = file && access(file, F_OK) == 0;
    errno = before;
    return there;
}

int fdatasync(int fd)
{
    static int (*real)(int);

    if (is_there("BENT_SYNCS")) {
        errno = EIO;
        return -1;
    }
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return real(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    int done;

    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    done = real(clock, now);
    if (done == 0 && clock == CLOCK_MONOTONIC) {
        if (!atomic_load(&has_leapt) && is_there("BENT_CLOCK"))
            atomic_store(&has_leapt, 1);
        if (atomic_load(&has_leapt))
            now->tv_sec += LEAP;
    }
    return done;
}

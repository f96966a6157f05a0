/* Kills its own process between a write and the sync that would make it durable.
 *
 * Preloaded (LD_PRELOAD), it stands in front of fdatasync. The process dies by SIGKILL, before
 * the real call, at the call number KILL_AT_SYNC_CALL, or at the first call that finds the file
 * KILL_AT_SYNC_TRIGGER, which it removes: a restarted process lives. Each hit adds one line to
 * the file KILL_AT_SYNC_NOTE. All other calls go through untouched.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_long calls;

static void die_here(void)
{
    const char *note = getenv("KILL_AT_SYNC_NOTE");
    if (note) {
        int fd = open(note, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd >= 0 && write(fd, "hit\n", 4) == 4)
            close(fd);
    }
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

int fdatasync(int fd)
{
    static int (*real)(int);
    const char *call = getenv("KILL_AT_SYNC_CALL");
    const char *trigger = getenv("KILL_AT_SYNC_TRIGGER");
    long number = atomic_fetch_add(&calls, 1) + 1;

    if (call && number == atol(call))
        die_here();
    if (trigger && unlink(trigger) == 0)
        die_here();
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return real(fd);
}

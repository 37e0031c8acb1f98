/*
 * Randomness that is the same in every run, preloaded into the measured program: the hash tables of Rust's standard library
 * draw their keys from here, and with other keys the same act takes some instructions more or less.
 */
#include <string.h>
#include <sys/types.h>

ssize_t getrandom(void *out, size_t length, unsigned flags) {
    (void)flags;
    memset(out, 7, length);
    return (ssize_t)length;
}

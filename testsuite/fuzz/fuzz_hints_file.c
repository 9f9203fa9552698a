/* Fuzz target: damaged files of hints databases, as they are looked at before LMDB gets them. */
#include "lookup/internal.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("hints", MFD_CLOEXEC);
    if (fd >= 0) {
        volatile bool sound = write_all(fd, data, size) == 0 && hints_file_sound(fd);
        (void)sound;
        close(fd);
    }
    return 0;
}

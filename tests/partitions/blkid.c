/* The partitions that libblkid finds. Reads paths of disk images from standard input, one a line, and answers each
 * with one line: number, first byte and size of every partition. */
#include <blkid.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void list(blkid_probe probe)
{
    blkid_partlist partitions = blkid_probe_get_partitions(probe);
    int count = partitions ? blkid_partlist_numof_partitions(partitions) : 0;

    for (int i = 0; i < count; i++) {
        blkid_partition p = blkid_partlist_get_partition(partitions, i);
        printf("%d:%llu:%llu ", blkid_partition_get_partno(p),
               512ULL * (unsigned long long)blkid_partition_get_start(p),
               512ULL * (unsigned long long)blkid_partition_get_size(p));
    }
}

int main(void)
{
    char path[4096];

    while (fgets(path, sizeof(path), stdin)) {
        path[strcspn(path, "\n")] = 0;
        int file = open(path, O_RDONLY | O_CLOEXEC);
        blkid_probe probe = file < 0 ? NULL : blkid_new_probe();
        if (!probe || blkid_probe_set_device(probe, file, 0, 0) != 0) {
            fprintf(stderr, "%s cannot be read\n", path);
            return 1;
        }
        blkid_probe_enable_partitions(probe, 1);
        list(probe);
        printf("\n");
        fflush(stdout);
        blkid_free_probe(probe);
        close(file);
    }
    return 0;
}

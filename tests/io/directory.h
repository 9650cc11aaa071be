/* A directory of the test's own, and files in it. */
#ifndef KSK_TESTS_IO_DIRECTORY_H
#define KSK_TESTS_IO_DIRECTORY_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "fault.h"

static char directory[] = "/tmp/kaskad-test-XXXXXX";

static int make_directory(void **state)
{
    return mkdtemp(directory) ? 0 : -1;
}

static void remove_file(const char *name)
{
    char *path = ksk_path(directory, name);
    unlink(path);
    ksk_free(path);
}

static int remove_directory(void **state)
{
    DIR *listing = opendir(directory);
    for (const struct dirent *entry; listing && (entry = readdir(listing));)
        remove_file(entry->d_name);
    closedir(listing);
    return rmdir(directory);
}

/* Removes the file first: some file systems wait for the disk when a file is overwritten. */
static void put_file(const char *name, const void *bytes, size_t size)
{
    remove_file(name);
    char *path = ksk_path(directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    ksk_free(path);
}

#endif

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "io/directory.h"

static char *in_directory(const char *name)
{
    char *path = ksk_path(directory, name);
    assert_non_null(path);
    return path;
}

static void expect_content(const char *path, const char *content)
{
    size_t size;
    ksk_error err = {0};
    char *text = ksk_file_read(path, 1 << 20, &size, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(size, strlen(content));
    assert_string_equal(text, content);
    ksk_free(text);
}

/* Files in the directory, `.` and `..` left out. */
static int count_files(void)
{
    int count = 0;
    DIR *listing = opendir(directory);
    for (const struct dirent *entry; (entry = readdir(listing));)
        count += entry->d_name[0] != '.';
    closedir(listing);
    return count;
}

static bool write_text(void *context, ksk_file_writer *writer, ksk_error *err)
{
    return ksk_file_put(writer, context, strlen(context), err);
}

static bool write_much(void *context, ksk_file_writer *writer, ksk_error *err)
{
    char piece[1000];
    memset(piece, 'x', sizeof piece);
    const int *pieces = context;
    bool well = true;
    for (int i = 0; well && i < *pieces; i++)
        well = ksk_file_put(writer, piece, sizeof piece - (size_t)i % 7, err);
    return well;
}

/* --- paths and reading ----------------------------------------------------------------------- */

static void test_paths(void **state)
{
    static const char *const cases[][3] = {{"a", "b", "a/b"},
                                           {"a/", "b", "a/b"},
                                           {"/", "b", "/b"},
                                           {"", "b", "b"},
                                           {"a/b", "c/d", "a/b/c/d"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = ksk_path(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        ksk_free(path);
    }
}

static void test_reads(void **state)
{
    char *path = in_directory("file");
    ksk_error err = {0};
    size_t size = 99;
    put_file("file", "", 0);
    expect_content(path, "");
    put_file("file", "a\0b", 3);
    char *text = ksk_file_read(path, 3, &size, &err);
    assert_memory_equal(text, "a\0b", 4);
    ksk_free(text);
    assert_null(ksk_file_read(path, 2, &size, &err));
    assert_int_equal(err.status, KSK_BAD_FORMAT);
    assert_non_null(strstr(err.message, "/file has more than 2 bytes"));
    assert_null(ksk_file_read(directory, 100, &size, &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    assert_non_null(strstr(err.message, "Is a directory"));
    /* A file that says it has no bytes. */
    text = ksk_file_read("/proc/self/status", 1 << 20, &size, &err);
    assert_memory_equal(text, "Name:", 5);
    assert_int_equal(strlen(text), size);
    ksk_free(text);
    assert_null(ksk_file_read("/dev/zero", 100000, &size, &err));
    assert_string_equal(err.message, "/dev/zero has more than 100000 bytes");
    remove_file("file");
    assert_null(ksk_file_read(path, 100, &size, &err));
    assert_non_null(strstr(err.message, "/file: No such file or directory"));
    ksk_free(path);
}

/* --- replacing ------------------------------------------------------------------------------- */

static void test_replaces(void **state)
{
    char *path = in_directory("file");
    ksk_error err = {0};
    assert_true(ksk_file_replace(path, write_text, (void *)"old", &err));
    expect_content(path, "old");
    assert_true(ksk_file_replace(path, write_text, (void *)"newer", &err));
    expect_content(path, "newer");
    assert_true(ksk_file_replace(path, write_text, (void *)"", &err));
    expect_content(path, "");
    int pieces = 500;
    assert_true(ksk_file_replace(path, write_much, &pieces, &err));
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 500 * 1000 - (500 / 7 * 21 + 0 + 1 + 2));
    assert_int_equal(count_files(), 1);
    ksk_free(path);
}

static void test_replaces_beside_the_working_directory(void **state)
{
    ksk_error err = {0};
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(directory), 0);
    const bool well = ksk_file_replace("file", write_text, (void *)"here", &err);
    assert_int_equal(chdir(before), 0);
    assert_true(well);
    char *path = in_directory("file");
    expect_content(path, "here");
    ksk_free(path);
}

static bool write_half_and_fail(void *context, ksk_file_writer *writer, ksk_error *err)
{
    int pieces = 100;
    return write_much(&pieces, writer, err) && ksk_fail(err, KSK_INTERRUPTED, "enough");
}

static bool write_half_and_die(void *context, ksk_file_writer *writer, ksk_error *err)
{
    int pieces = 100;
    if (write_much(&pieces, writer, err))
        _exit(7);
    return false;
}

static void test_interrupted_writers(void **state)
{
    char *path = in_directory("file");
    ksk_error err = {0};
    put_file("file", "old", 3);
    assert_false(ksk_file_replace(path, write_half_and_fail, NULL, &err));
    assert_int_equal(err.status, KSK_INTERRUPTED);
    assert_string_equal(err.message, "enough");
    expect_content(path, "old");
    assert_int_equal(count_files(), 1);

    const pid_t child = fork();
    if (child == 0) {
        ksk_file_replace(path, write_half_and_die, NULL, NULL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    expect_content(path, "old");
    assert_int_equal(count_files(), 2); /* what the dead writer left beside */
    assert_true(ksk_file_replace(path, write_text, (void *)"new", &err));
    expect_content(path, "new");
    ksk_free(path);
}

/* A limit on the size of files stands for a full disk. */
static void test_full_disk(void **state)
{
    char *path = in_directory("file");
    put_file("file", "old", 3);
    const int before = count_files();
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, 100000});
        ksk_error err = {0};
        int pieces = 200;
        const bool refused = !ksk_file_replace(path, write_much, &pieces, &err);
        ksk_free(path);
        _exit(refused && err.status == KSK_BAD_FILE && strstr(err.message, strerror(EFBIG)) ? 7
                                                                                            : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    expect_content(path, "old");
    assert_int_equal(count_files(), before);
    ksk_free(path);
}

static void test_places_that_cannot_be_written(void **state)
{
    ksk_error err = {0};
    assert_false(ksk_file_replace("/proc/kaskad", write_text, (void *)"a", &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    assert_non_null(strstr(err.message, "cannot create /proc/kaskad.tmp-"));
    assert_false(ksk_file_replace("/nonexistent/file", write_text, (void *)"a", &err));
    assert_non_null(strstr(err.message, "No such file or directory"));

    char name[400];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    char *path = in_directory(name);
    assert_false(ksk_file_replace(path, write_text, (void *)"a", &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    ksk_free(path);

    path = in_directory("inner"); /* a directory is not replaced by a file */
    assert_true(ksk_directory_make(path, &err));
    const int before = count_files();
    assert_false(ksk_file_replace(path, write_text, (void *)"a", &err));
    assert_non_null(strstr(err.message, "cannot replace "));
    assert_int_equal(count_files(), before);
    assert_int_equal(rmdir(path), 0);
    ksk_free(path);
}

/* Root may write anywhere, so the writer is somebody else. */
static void test_a_directory_without_permission(void **state)
{
    char *path = in_directory("file");
    put_file("file", "old", 3);
    assert_int_equal(chmod(directory, 0500), 0);
    const pid_t child = fork();
    if (child == 0) {
        ksk_error err = {0};
        if (geteuid() == 0 && seteuid(65534) != 0)
            _exit(1);
        const bool refused = !ksk_file_replace(path, write_text, (void *)"new", &err);
        ksk_free(path);
        _exit(refused && err.status == KSK_BAD_FILE && strstr(err.message, "Permission denied")
                  ? 7
                  : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(directory, 0700), 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    expect_content(path, "old");
    ksk_free(path);
}

/* --- directories and copies ------------------------------------------------------------------ */

static void test_directories(void **state)
{
    ksk_error err = {0};
    char *deep = in_directory("a//b/c/"), *b = in_directory("a/b"), *a = in_directory("a"),
         *c = in_directory("a/b/c"), *below = in_directory("a/file/c"),
         *file = in_directory("a/file");
    assert_true(ksk_directory_make(deep, &err));
    assert_true(ksk_directory_make(deep, &err));
    struct stat status;
    assert_true(stat(c, &status) == 0 && S_ISDIR(status.st_mode));
    put_file("a/file", "x", 1);
    assert_false(ksk_directory_make(file, &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    assert_non_null(strstr(err.message, "/a/file: File exists"));
    assert_false(ksk_directory_make(below, &err));
    assert_false(ksk_directory_make("", &err));
    assert_false(ksk_directory_make("/proc/kaskad/a", &err));
    remove_file("a/file");
    assert_true(rmdir(c) == 0 && rmdir(b) == 0 && rmdir(a) == 0);
    char *all[] = {deep, b, a, c, below, file};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ksk_free(all[i]);
}

static void test_copies(void **state)
{
    ksk_error err = {0};
    char *from = in_directory("from"), *to = in_directory("to");
    int pieces = 150;
    assert_true(ksk_file_replace(from, write_much, &pieces, &err));
    assert_true(ksk_file_copy(from, to, &err));
    size_t size, copied;
    char *text = ksk_file_read(from, 1 << 20, &size, &err);
    char *copy = ksk_file_read(to, 1 << 20, &copied, &err);
    assert_int_equal(size, copied);
    assert_memory_equal(text, copy, size);
    ksk_free(text);
    ksk_free(copy);
    remove_file("from");
    assert_false(ksk_file_copy(from, to, &err));
    assert_non_null(strstr(err.message, "/from: No such file or directory"));
    assert_false(ksk_file_copy(directory, to, &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    assert_null(ksk_file_read(to, 100, &size, &err)); /* still the long one */
    ksk_free(from);
    ksk_free(to);
}

static bool everything(void *context, ksk_error *err)
{
    char *file = ksk_path(directory, "file"), *copy = ksk_path(directory, "copy"), *text = NULL;
    size_t size;
    bool well = (file && copy) || ksk_fail_memory(err);
    well = well && ksk_directory_make(directory, err) &&
           ksk_file_replace(file, write_text, (void *)"text", err) &&
           ksk_file_copy(file, copy, err) && (text = ksk_file_read(copy, 99, &size, err));
    ksk_free(text);
    ksk_free(file);
    ksk_free(copy);
    return well;
}

static void test_memory_runs_out(void **state)
{
    const int before = count_files();
    assert_true(fault_sweep(everything, NULL) > 8);
    assert_int_equal(count_files(), before + 1); /* `copy`: nothing lies beside */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_replaces),
        cmocka_unit_test(test_replaces_beside_the_working_directory),
        cmocka_unit_test(test_interrupted_writers),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_places_that_cannot_be_written),
        cmocka_unit_test(test_a_directory_without_permission),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

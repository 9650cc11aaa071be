/* Rows of a .jsonl fixture: JSON arrays, one a line. */
#ifndef KSK_TESTS_TEXT_ROWS_H
#define KSK_TESTS_TEXT_ROWS_H

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Calls `check` for each row of tests/fixtures/NAME and gives how many there were. */
static inline int each_row(const char *name, void (*check)(void *context, const json_t *row),
                           void *context)
{
    char path[1000];
    snprintf(path, sizeof path, "%s/%s", KSK_FIXTURES, name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("cannot open %s", path);
    char *line = NULL;
    size_t room = 0;
    int rows = 0;
    for (ssize_t length; (length = getline(&line, &room, file)) > 0; rows++) {
        json_error_t problem;
        json_t *row = json_loadb(line, (size_t)length, 0, &problem);
        if (!row)
            fail_msg("%s:%d: %s", path, rows + 1, problem.text);
        check(context, row);
        json_decref(row);
    }
    free(line);
    fclose(file);
    return rows;
}

/* A text of a row and its length. */
static inline const char *cell(const json_t *row, size_t column, size_t *length)
{
    const json_t *text = json_array_get(row, column);
    *length = json_string_length(text);
    return json_string_value(text);
}

#endif

#include "cli/window.h"

#include <string.h>

#include "cli/cli.h"
#include "kaskad/memory.h"

enum { MOST_BYTES = 4 << 20 };

bool ksk_window_make(ksk_window *window, int capacity)
{
    *window = (ksk_window){
        .lines = ksk_calloc((size_t)capacity, sizeof *window->lines),
        .texts = ksk_calloc((size_t)capacity, sizeof *window->texts),
        .capacity = capacity,
        .first = 1,
    };
    if (window->lines && window->texts)
        return true;
    ksk_complain("out of memory");
    ksk_window_free(window);
    return false;
}

static void clear(ksk_window *window)
{
    for (int i = 0; i < window->count; i++)
        ksk_line_free(&window->lines[i]);
    window->first += window->count;
    window->count = 0;
}

void ksk_window_free(ksk_window *window)
{
    clear(window);
    ksk_free(window->lines);
    ksk_free(window->texts);
}

static ksk_lines_status take(ksk_window *window, ksk_lines *input, bool wait)
{
    ksk_line *line = &window->lines[window->count];
    const ksk_lines_status status = ksk_lines_next(input, wait, line);
    if (status == KSK_LINES_LINE)
        window->texts[window->count++] = line->text;
    return status;
}

ksk_lines_status ksk_window_fill(ksk_window *window, ksk_lines *input)
{
    clear(window);
    size_t bytes = 0;
    ksk_lines_status status = take(window, input, true);
    while (status == KSK_LINES_LINE && window->count < window->capacity) {
        bytes += strlen(window->texts[window->count - 1]);
        if (bytes >= MOST_BYTES)
            break;
        status = take(window, input, false);
    }
    return window->count ? KSK_LINES_LINE : status;
}

ksk_lines_status ksk_window_fill_exactly(ksk_window *window, ksk_lines *input, int count)
{
    clear(window);
    ksk_lines_status status = KSK_LINES_LINE;
    while (status == KSK_LINES_LINE && window->count < count)
        status = take(window, input, true);
    return window->count || status == KSK_LINES_LINE ? KSK_LINES_LINE : status;
}

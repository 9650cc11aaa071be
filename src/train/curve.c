#include "train/curve.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/string.h"
#include "kaskad/memory.h"

/* --- reading ------------------------------------------------------------------------------------
 */

enum { LOSS, DEV_LOSS, DEV_BLEU, SERIES };

static const struct {
    const char *key, *label, *colour;
} about[SERIES] = {
    {"loss", "training loss", "#9aa5b1"},
    {"dev_loss", "dev loss", "#1f6fb2"},
    {"dev_bleu", "dev BLEU", "#c2571a"},
};

typedef struct point {
    double update, value;
} point;

typedef struct series {
    point *points;
    size_t count, capacity;
} series;

static bool add_point(series *s, double update, double value)
{
    if (!ksk_grow(&s->points, &s->capacity, s->count + 1, sizeof *s->points))
        return false;
    s->points[s->count++] = (point){update, value};
    return true;
}

static bool read_line(const char *line, size_t length, series all[SERIES], ksk_error *err)
{
    json_t *object = json_loadb(line, length, 0, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return ksk_fail(err, KSK_BAD_FORMAT, "a line of the log is no JSON object");
    }
    const json_t *update = json_object_get(object, "update");
    bool ok = true;
    for (int i = 0; ok && i < SERIES; i++) {
        const json_t *value = json_object_get(object, about[i].key);
        if (json_is_number(update) && json_is_number(value))
            ok = add_point(&all[i], json_number_value(update), json_number_value(value));
    }
    json_decref(object);
    return ok || ksk_fail_memory(err);
}

static bool read_log(const char *path, series all[SERIES], ksk_error *err)
{
    size_t size;
    char *text = ksk_file_read(path, (size_t)1 << 31, &size, err);
    bool ok = text != NULL;
    for (char *at = text, *end; ok && at < text + size; at = end + 1) {
        end = memchr(at, '\n', size - (size_t)(at - text));
        if (!end)
            end = text + size;
        ok = read_line(at, (size_t)(end - at), all, err);
    }
    ksk_free(text);
    return ok;
}

/* --- drawing ------------------------------------------------------------------------------------
 */

enum { WIDTH = 860, HEIGHT = 460, LEFT = 60, RIGHT = 60, TOP = 40, BOTTOM = 50, TICKS = 5 };

/* Values of an axis, from its lowest to its highest. */
typedef struct axis {
    double low, high;
} axis;

static double nice_step(double span)
{
    const double step = span / TICKS, base = pow(10, floor(log10(step)));
    const double times = step / base;
    return base * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

static axis cover(const series *all, int first, int last)
{
    axis a = {INFINITY, -INFINITY};
    for (int s = first; s <= last; s++)
        for (size_t i = 0; i < all[s].count; i++) {
            a.low = fmin(a.low, all[s].points[i].value);
            a.high = fmax(a.high, all[s].points[i].value);
        }
    if (!(a.low <= a.high))
        return (axis){0, 1};
    const double step = nice_step(a.high > a.low ? a.high - a.low : fmax(1, fabs(a.high)));
    return (axis){floor(a.low / step) * step, (floor(a.high / step) + 1) * step};
}

static double last_update(const series *all)
{
    double last = 1;
    for (int s = 0; s < SERIES; s++)
        if (all[s].count)
            last = fmax(last, all[s].points[all[s].count - 1].update);
    return last;
}

static double x_of(double update, double last)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * update / last;
}

static double y_of(double value, axis a)
{
    return TOP + (HEIGHT - TOP - BOTTOM) * (a.high - value) / (a.high - a.low);
}

static void draw_label(ksk_string *svg, double x, double y, const char *anchor, double value)
{
    ksk_string_add(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%g</text>\n", x, y, anchor,
                   value);
}

static void draw_grid(ksk_string *svg, axis loss, axis bleu, double last)
{
    const double step = nice_step(last);
    for (int i = 0; i <= TICKS; i++) {
        const double part = (double)i / TICKS, y = y_of(part, (axis){0, 1});
        ksk_string_add(svg,
                       "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#e3e7eb\"/>\n",
                       LEFT, WIDTH - RIGHT, y, y);
        draw_label(svg, LEFT - 8, y + 4, "end", loss.low + part * (loss.high - loss.low));
        draw_label(svg, WIDTH - RIGHT + 8, y + 4, "start",
                   bleu.low + part * (bleu.high - bleu.low));
    }
    for (int i = 0; i * step <= last; i++)
        draw_label(svg, x_of(i * step, last), HEIGHT - BOTTOM + 18, "middle", i * step);
    ksk_string_add(svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">updates</text>\n",
                   WIDTH / 2, HEIGHT - 10);
}

static void draw_series(ksk_string *svg, const series *s, int which, axis a, double last)
{
    ksk_string_add(svg, "<text x=\"%d\" y=\"22\" fill=\"%s\">%s</text>\n", LEFT + 180 * which,
                   about[which].colour, about[which].label);
    ksk_string_add(svg, "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"%s\" points=\"",
                   about[which].colour);
    for (size_t i = 0; i < s->count; i++)
        ksk_string_add(svg, "%s%.1f,%.1f", i ? " " : "", x_of(s->points[i].update, last),
                       y_of(s->points[i].value, a));
    ksk_string_add(svg, "\"/>\n");
}

static char *draw(const series *all)
{
    ksk_string svg = {0};
    const axis loss = cover(all, LOSS, DEV_LOSS), bleu = cover(all, DEV_BLEU, DEV_BLEU);
    const double last = last_update(all);
    ksk_string_add(&svg,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                   "font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\">\n"
                   "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
                   WIDTH, HEIGHT, WIDTH, HEIGHT);
    draw_grid(&svg, loss, bleu, last);
    for (int i = 0; i < SERIES; i++)
        draw_series(&svg, &all[i], i, i == DEV_BLEU ? bleu : loss, last);
    ksk_string_add(&svg, "</svg>\n");
    return ksk_string_take(&svg);
}

static bool put(void *context, ksk_file_writer *writer, ksk_error *err)
{
    return ksk_file_put(writer, context, strlen(context), err);
}

bool ksk_curve_draw(const char *log, const char *svg, ksk_error *err)
{
    series all[SERIES] = {0};
    bool ok = read_log(log, all, err);
    char *text = ok ? draw(all) : NULL;
    ok = ok && (text ? ksk_file_replace(svg, put, text, err) : ksk_fail_memory(err));
    ksk_free(text);
    for (int i = 0; i < SERIES; i++)
        ksk_free(all[i].points);
    return ok;
}

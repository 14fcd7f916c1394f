/* The plot: loss, learning rate and the metric of evaluations over the steps, as an SVG for a browser. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/os.h"
#include "loader/json_text.h"
#include "loader/sealed.h"
#include "loader/staging.h"
#include "loop/loop.h"

enum { WIDTH = 960, LEFT = 90, RIGHT = 30, TOP = 64, GAP = 46, BOTTOM = 56, MOST_POINTS = 800, TICKS = 5 };

/* One of the charts, which share their steps. */
typedef struct chart {
    const char *name, *colour;
    const rp_loop_points *points;
    bool smooth, dots; /* also the mean of some neighbours; a dot for each point */
    int top, height;
    double low, high, tick;
} chart;

typedef struct plot {
    FILE *out;
    uint64_t steps;
    double step_tick;
} plot;

/* ---- numbers, whatever the locale ---- */

/* A coordinate. */
static void put(const plot *p, const char *before, double value) {
    long tenths = lround(10 * value);
    fprintf(p->out, "%s%s%ld.%ld", before, tenths < 0 ? "-" : "", labs(tenths) / 10, labs(tenths) % 10);
}

/* The largest of 1, 2 and 5 times a power of ten that is not above `x`, which is above 0. */
static double round_down(double x) {
    double power = pow(10, floor(log10(x))), digit = x / power;
    return power * (digit >= 5 ? 5 : digit >= 2 ? 2 : 1);
}

static const char *number_text(double value, char out[RP_JSON_NUMBER_SIZE]) {
    rp_json_float_text((float)value, out);
    size_t size = strlen(out);
    if (size > 2 && !strcmp(out + size - 2, ".0")) out[size - 2] = '\0';
    return out;
}

static double x_of(const plot *p, double step) {
    return LEFT + (WIDTH - LEFT - RIGHT) * (p->steps ? step / (double)p->steps : 0);
}

static double y_of(const chart *c, double value) {
    return c->top + c->height * (1 - (value - c->low) / (c->high - c->low));
}

/* ---- scales ---- */

/* From a multiple of the tick to another one, around all values. */
static void set_scale(chart *c, bool from_zero) {
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < c->points->count; i++) {
        low = fmin(low, c->points->items[i].value);
        high = fmax(high, c->points->items[i].value);
    }
    if (from_zero && low > 0) low = 0;
    if (!isfinite(low) || !isfinite(high)) low = 0, high = 1;
    if (!(high - low > 1e-9 * fabs(high)) || !(high - low > 1e-30)) {
        double more = high == 0 ? 1 : fabs(high) / 10;
        low -= from_zero ? 0 : more;
        high += more;
    }
    c->tick = round_down((high - low) / (TICKS - 1));
    c->low = floor(low / c->tick + 1e-6) * c->tick;
    c->high = ceil(high / c->tick - 1e-6) * c->tick;
    if (!(c->high > c->low)) c->high = c->low + c->tick;
}

static void put_text(const plot *p, double x, double y, const char *anchor, const char *style,
                     const char *text) {
    put(p, "<text x=\"", x);
    put(p, "\" y=\"", y);
    fprintf(p->out, "\" text-anchor=\"%s\"%s>", anchor, style);
    for (; *text; text++)
        if (*text == '&' || *text == '<' || *text == '>')
            fputs(*text == '&' ? "&amp;" : *text == '<' ? "&lt;" : "&gt;", p->out);
        else
            fputc(*text, p->out);
    fputs("</text>\n", p->out);
}

static void put_line(const plot *p, double x1, double y1, double x2, double y2, const char *class) {
    put(p, "<line x1=\"", x1);
    put(p, "\" y1=\"", y1);
    put(p, "\" x2=\"", x2);
    put(p, "\" y2=\"", y2);
    fprintf(p->out, "\" class=\"%s\"/>\n", class);
}

static void put_axes(const plot *p, const chart *c, bool last) {
    char text[RP_JSON_NUMBER_SIZE];
    double bottom = c->top + c->height;
    int count = (int)lround((c->high - c->low) / c->tick);
    for (int i = 0; i <= count && i < 20; i++) {
        double value = c->low + i * c->tick, y;
        if (fabs(value) < c->tick * 1e-6) value = 0;
        y = y_of(c, value);
        put_line(p, LEFT, y, WIDTH - RIGHT, y, "grid");
        put_text(p, LEFT - 8, y + 4, "end", "", number_text(value, text));
    }
    for (double step = 0; step <= (double)p->steps; step += p->step_tick) {
        put_line(p, x_of(p, step), bottom, x_of(p, step), bottom + 5, "axis");
        snprintf(text, sizeof text, "%.0f", step);
        if (last) put_text(p, x_of(p, step), bottom + 20, "middle", "", text);
    }
    put_line(p, LEFT, c->top, LEFT, bottom, "axis");
    put_line(p, LEFT, bottom, WIDTH - RIGHT, bottom, "axis");
    put_text(p, LEFT, c->top - 10, "start", " class=\"name\"", c->name);
    if (last) put_text(p, (LEFT + WIDTH - RIGHT) / 2.0, bottom + 42, "middle", "", "step");
}

/* ---- lines ---- */

/* The mean of the points around number `i`, as many on either side. */
static double mean_around(const rp_loop_points *points, size_t i, size_t side) {
    size_t first = i > side ? i - side : 0, last = i + side < points->count ? i + side : points->count - 1;
    double sum = 0;
    for (size_t k = first; k <= last; k++) sum += points->items[k].value;
    return sum / (double)(last - first + 1);
}

static void put_path(const plot *p, const chart *c, size_t side, const char *class) {
    const rp_loop_points *points = c->points;
    size_t stride = points->count / MOST_POINTS + 1;
    fprintf(p->out, "<polyline class=\"%s\" stroke=\"%s\" points=\"", class, c->colour);
    for (size_t i = 0; i < points->count; i += stride) {
        double value = side ? mean_around(points, i, side) : points->items[i].value;
        put(p, i ? " " : "", x_of(p, (double)points->items[i].step));
        put(p, ",", y_of(c, value));
    }
    fputs("\"/>\n", p->out);
}

static void put_dots(const plot *p, const chart *c, uint64_t best) {
    for (size_t i = 0; i < c->points->count; i++) {
        const rp_loop_point *at = &c->points->items[i];
        char text[RP_JSON_NUMBER_SIZE + 8];
        put(p, "<circle cx=\"", x_of(p, (double)at->step));
        put(p, "\" cy=\"", y_of(c, at->value));
        fprintf(p->out, "\" r=\"%s\" fill=\"%s\"/>\n", at->step == best ? "5" : "3", c->colour);
        if (at->step != best) continue;
        double x = x_of(p, (double)at->step);
        snprintf(text, sizeof text, "best: %.4f", at->value);
        for (char *comma = strchr(text, ','); comma; comma = NULL) *comma = '.'; /* of the locale */
        put_text(p, x, y_of(c, at->value) - 9, x > WIDTH - 120 ? "end" : "middle", " class=\"name\"", text);
    }
}

static double put_key(const plot *p, double x, const char *colour, const char *class, const char *name) {
    put(p, "<line x1=\"", x);
    put(p, "\" y1=\"40\" x2=\"", x + 26);
    fprintf(p->out, "\" y2=\"40\" class=\"%s\" stroke=\"%s\"/>\n", class, colour);
    put_text(p, x + 32, 44, "start", "", name);
    return x + 32 + 7 * (double)strlen(name) + 24;
}

/* ---- the whole ---- */

static void put_head(const plot *p, const rp_loop *loop, int height) {
    fprintf(p->out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "role=\"img\" aria-label=\"The course of a training\">\n"
            "<style>text{font:12px system-ui,sans-serif;fill:#333}.name{font-weight:600}"
            ".title{font-size:15px;font-weight:600}.grid{stroke:#e3e3e3}.axis{stroke:#666}"
            "polyline{fill:none;stroke-linejoin:round}.thin{stroke-width:1;opacity:.35}"
            ".thick{stroke-width:2}</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            WIDTH, height, WIDTH, height);
    char title[100];
    snprintf(title, sizeof title, "Training, step %llu of %llu", (unsigned long long)loop->last.step,
             (unsigned long long)loop->params.steps);
    put_text(p, LEFT, 24, "start", " class=\"title\"", title);
}

static void put_legend(const plot *p, const chart *charts, size_t count, size_t side) {
    double x = LEFT;
    char name[60];
    for (size_t i = 0; i < count; i++) {
        bool smooth = charts[i].smooth && side;
        x = put_key(p, x, charts[i].colour, smooth ? "thin" : "thick", charts[i].name);
        snprintf(name, sizeof name, "mean of %zu", 2 * side + 1);
        if (smooth) x = put_key(p, x, charts[i].colour, "thick", name);
    }
}

static size_t list_charts(const rp_loop *loop, const char *metric, chart charts[3]) {
    const rp_loop_history *h = &loop->history;
    size_t count = 0;
    charts[count++] = (chart){"loss", "#0072b2", &h->loss, .smooth = true, .height = 240};
    charts[count++] = (chart){"learning rate", "#d55e00", &h->rate, .height = 110};
    if (loop->task.evaluate)
        charts[count++] = (chart){metric, "#00805a", &h->dev, .dots = true, .height = 190};
    return count;
}

static void draw(const rp_loop *loop, FILE *out) {
    char metric[80];
    chart charts[3];
    plot p = {.out = out, .steps = loop->params.steps};
    snprintf(metric, sizeof metric, "eval_%.60s", rp_loop_metric(loop));
    size_t count = list_charts(loop, metric, charts), side = loop->history.loss.count / 80;
    int height = TOP + BOTTOM + GAP / 2;
    for (size_t i = 0; i < count; i++) {
        set_scale(&charts[i], i < 2);
        charts[i].top = height - BOTTOM;
        height += charts[i].height + (i + 1 < count ? GAP : 0);
    }
    p.step_tick = fmax(1, round_down(fmax(1, (double)p.steps) / (TICKS + 1)));
    put_head(&p, loop, height);
    put_legend(&p, charts, count, side);
    for (size_t i = 0; i < count; i++) {
        const chart *c = &charts[i];
        put_axes(&p, c, i + 1 == count);
        if (!c->points->count) continue;
        put_path(&p, c, 0, c->smooth && side ? "thin" : "thick");
        if (c->smooth && side) put_path(&p, c, side, "thick");
        if (c->dots) put_dots(&p, c, loop->saved ? loop->best_step : 0);
    }
    fputs("</svg>\n", out);
}

/* `path`.part, where the plot is written before it gets its name; freed by the caller. */
static char *part_of(const char *path, rp_error *err) {
    char *part = rp_new_array(char, strlen(path) + sizeof ".part");
    if (part)
        strcat(strcpy(part, path), ".part");
    else
        rp_fail_memory(err, "a path", strlen(path));
    return part;
}

static rp_status write_plot(const char *path, const char *text, size_t size, rp_error *err) {
    char *part = part_of(path, err);
    if (!part) return err->status;
    rp_os_unlink(part);
    rp_status status = rp_file_write(part, text, size, err);
    if (!status && rp_os_rename(part, path)) status = rp_fail_write(path, err);
    if (status) rp_os_unlink(part);
    free(part);
    return status;
}

rp_status rp_loop_plot_open(const rp_loop *loop, rp_error *err) {
    if (!loop->params.plot) return RP_OK;
    char *part = part_of(loop->params.plot, err);
    if (!part) return err->status;
    rp_os_unlink(part);
    rp_status status = rp_file_write(part, "", 0, err);
    rp_os_unlink(part);
    free(part);
    return status;
}

rp_status rp_loop_plot(const rp_loop *loop, rp_error *err) {
    char *text = NULL;
    size_t size = 0;
    if (!loop->params.plot) return RP_OK;
    FILE *out = rp_os_memory_open(&text, &size);
    if (!out) return rp_fail_memory(err, "a plot", 0);
    draw(loop, out);
    bool bad = ferror(out);
    bad = rp_os_memory_close(out, &text, &size) || bad;
    rp_status status =
        bad ? rp_fail_memory(err, "a plot", size) : write_plot(loop->params.plot, text, size, err);
    free(text);
    return status;
}

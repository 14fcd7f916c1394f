#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include "people.h"

#include <locale.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

void rp_cli_people_init(rp_cli_people *people, rp_cli_buffer *out, int fd) {
    setlocale(LC_CTYPE, ""); /* the width of characters; numbers keep their points */
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    bool terminal = isatty(fd) == 1;
    *people = (rp_cli_people){.out = out, .width = 200, .terminal = terminal};
    people->color = terminal && !(no_color && *no_color) && !(term && !strcmp(term, "dumb"));
    wchar_t line = 0; /* nl_langinfo would say so too, but not on older Androids */
    people->utf8 = mbtowc(&line, "\xe2\x94\x80", 3) == 3 && line == 0x2500;
    struct winsize size;
    if (terminal) {
        people->width = 80;
        if (!ioctl(fd, TIOCGWINSZ, &size) && size.ws_col >= 20) people->width = size.ws_col;
    }
}

void rp_cli_people_style(rp_cli_people *people, rp_cli_style style) {
    static const char *const codes[] = {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[7m"};
    if (people->color) rp_cli_puts(people->out, codes[style]);
}

/* What to show for the character at data[0..size): its bytes, their number and its columns. */
typedef struct shown {
    const char *bytes;
    size_t size, taken;
    int columns;
} shown;

static shown show(const rp_cli_people *people, const char *data, size_t size) {
    uint32_t point = 0;
    size_t length = rp_cli_utf8(data, size, &point);
    if (length && (point == '\t' || point == '\n' || point == '\r')) return (shown){" ", 1, length, 1};
    bool direction = (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
    bool separator = point == 0x2028 || point == 0x2029;
    if (!length || point < 0x20 || (point >= 0x7f && point < 0xa0) || direction || separator)
        return (shown){people->utf8 ? "\xef\xbf\xbd" : "?", people->utf8 ? 3 : 1, length ? length : 1, 1};
    int columns = point < 0x7f ? 1 : wcwidth((wchar_t)point);
    return (shown){data, length, length, columns < 0 ? 1 : columns};
}

/* The bytes of data[0..size) that fit into `columns`, and the columns they take. */
static size_t fit(const rp_cli_people *people, const char *data, size_t size, int columns, int *taken) {
    size_t at = 0;
    int used = 0;
    while (at < size) {
        shown one = show(people, data + at, size - at);
        if (columns && used + one.columns > columns) break;
        used += one.columns;
        at += one.taken;
    }
    *taken = used;
    return at;
}

int rp_cli_people_text(rp_cli_people *people, const char *data, size_t size, int columns) {
    int used = 0;
    size_t end = fit(people, data, size, columns, &used);
    bool cut = end < size;
    int dots = people->utf8 ? 1 : 3;
    if (cut) end = fit(people, data, size, columns > dots ? columns - dots : 1, &used);
    for (size_t at = 0; at < end;) {
        shown one = show(people, data + at, size - at);
        rp_cli_put(people->out, one.bytes, one.size);
        at += one.taken;
    }
    if (cut) {
        rp_cli_puts(people->out, people->utf8 ? "\xe2\x80\xa6" : "...");
        used += dots;
    }
    return used;
}

int rp_cli_people_width(rp_cli_people *people, const char *string, int columns) {
    int used = 0;
    size_t size = strlen(string);
    return fit(people, string, size, columns, &used) < size ? columns : used;
}

void rp_cli_people_cell(rp_cli_people *people, const char *string, int columns) {
    int used = rp_cli_people_text(people, string, strlen(string), columns);
    rp_cli_printf(people->out, "%*s", columns > used ? columns - used : 0, "");
}

void rp_cli_people_bar(rp_cli_people *people, double fraction, bool last) {
    enum { COLUMNS = 20 };
    double clipped = fraction > 0 ? fraction < 1 ? fraction : 1 : 0;
    int eighths = (int)(clipped * COLUMNS * 8 + 0.5), used = 0;
    if (last && !eighths) return;
    rp_cli_puts(people->out, "  ");
    rp_cli_people_style(people, RP_CLI_GREEN);
    for (; used < eighths / 8; used++) rp_cli_puts(people->out, people->utf8 ? "\xe2\x96\x88" : "#");
    if (people->utf8 && eighths % 8) {
        const char part[] = {'\xe2', '\x96', (char)(0x90 - eighths % 8), '\0'};
        rp_cli_puts(people->out, part);
        used++;
    }
    rp_cli_people_style(people, RP_CLI_PLAIN);
    if (!last) rp_cli_printf(people->out, "%*s", COLUMNS - used, "");
}

void rp_cli_people_heading(rp_cli_people *people, rp_text text, rp_text pair) {
    rp_cli_people_style(people, RP_CLI_BOLD);
    int room = pair.data ? (people->width - 4) / 2 : people->width;
    if (!text.size) rp_cli_puts(people->out, "(empty)");
    rp_cli_people_text(people, text.data, text.size, room);
    if (pair.data) {
        rp_cli_puts(people->out, people->utf8 ? " \xe2\x86\x92 " : " -> ");
        if (!pair.size) rp_cli_puts(people->out, "(empty)");
        rp_cli_people_text(people, pair.data, pair.size, room);
    }
    rp_cli_people_style(people, RP_CLI_PLAIN);
    rp_cli_puts(people->out, "\n");
}

/* ---- the progress bar ---- */

static atomic_bool progress_shown;

static void put_error(const char *text) {
    if (write(STDERR_FILENO, text, strlen(text)) < 0) progress_shown = false;
}

enum { BAR = 30 };

static void make_bar(char bar[BAR + 1], double fraction) {
    memset(bar, '.', BAR);
    memset(bar, '#', (size_t)((fraction < 1 ? fraction : 1) * BAR));
    bar[BAR] = '\0';
}

static double begun; /* seconds, by a clock that nobody sets */

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void rp_cli_progress_begin(void) {
    begun = seconds();
}

/* Write over the line that is shown, in no more columns than the terminal has. */
static void show_line(char *line, size_t size) {
    struct winsize terminal;
    size_t width = !ioctl(STDERR_FILENO, TIOCGWINSZ, &terminal) && terminal.ws_col ? terminal.ws_col : 80;
    if (width < size) line[width - 1] = '\0';
    progress_shown = true;
    put_error("\r\x1b[K");
    put_error(line);
}

/* 1:02:03 or 2:03. */
static void put_duration(char *out, size_t size, double left) {
    unsigned long long all = (unsigned long long)(left + 0.5);
    if (all >= 3600)
        snprintf(out, size, "%llu:%02llu:%02llu", all / 3600, all / 60 % 60, all % 60);
    else
        snprintf(out, size, "%llu:%02llu", all / 60, all % 60);
}

void rp_cli_progress(uint64_t done, uint64_t length, size_t inputs) {
    char line[160], bar[BAR + 1], left[40];
    double fraction = length ? (double)done / (double)length : 0, passed = seconds() - begun;
    make_bar(bar, fraction);
    int used = snprintf(line, sizeof line, "[%s] %3d%%  %zu input%s", bar, (int)(100 * fraction), inputs,
                        inputs == 1 ? "" : "s");
    if (passed > 0.5 && fraction > 0) {
        double rate = (double)inputs / passed;
        put_duration(left, sizeof left, fraction < 1 ? passed * (1 - fraction) / fraction : 0);
        snprintf(line + used, sizeof line - (size_t)used,
                 rate < 10 ? "  %.1f/s  %s left" : "  %.0f/s  %s left", rate, left);
    }
    show_line(line, sizeof line);
}

void rp_cli_progress_steps(uint64_t done, uint64_t length, uint64_t first, const char *said) {
    char line[256], bar[BAR + 1], left[40];
    double fraction = length ? (double)done / (double)length : 0, passed = seconds() - begun;
    make_bar(bar, fraction);
    int used = snprintf(line, sizeof line, "[%s] %3d%%  step %llu  %s", bar, (int)(100 * fraction),
                        (unsigned long long)done, said);
    if (done > first && used < (int)sizeof line) {
        put_duration(left, sizeof left, passed * (double)(length - done) / (double)(done - first));
        snprintf(line + used, sizeof line - (size_t)used, "  %s left", left);
    }
    show_line(line, sizeof line);
}

/* What a file on a server is called may hold anything. */
static void make_plain(char *name) {
    for (; *name; name++)
        if (*name < ' ' || *name > '~') *name = '?';
}

void rp_cli_progress_bytes(uint64_t done, uint64_t length, const char *name) {
    char line[256], bar[BAR + 1];
    double fraction = length ? (double)done / (double)length : 0;
    make_bar(bar, fraction);
    snprintf(line, sizeof line, "[%s] %3d%%  %.1f of %.1f MB  %s", bar, (int)(100 * fraction),
             (double)done / 1e6, (double)length / 1e6, name);
    make_plain(line);
    show_line(line, sizeof line);
}

void rp_cli_progress_end(void) {
    if (progress_shown) put_error("\r\x1b[K");
    progress_shown = false;
}

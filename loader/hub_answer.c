#define _GNU_SOURCE /* timegm */
#include "loader/hub_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/os.h"

bool rp_hub_is_hex(const char *text, size_t count) {
    return strspn(text, "0123456789abcdef") == count && !text[count];
}

bool rp_hub_commit_check(const char *commit) {
    return rp_hub_is_hex(commit, RP_HUB_COMMIT);
}

bool rp_hub_etag_check(const char *etag) {
    size_t size = strspn(etag, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_");
    return size && size <= RP_HUB_ETAG && !etag[size];
}

void rp_hub_answer_begin(rp_hub_answer *a) {
    memset(a, 0, sizeof *a);
    a->length = a->linked_size = a->range_start = a->range_total = UINT64_MAX;
    a->wait = -1;
}

/* One header: the part of its line behind the colon, without white space around it. */
typedef struct value {
    const char *text;
    size_t size;
} value;

static void refuse(rp_hub_answer *a, const char *header) {
    if (!a->bad) a->bad = header;
}

/* Copy `v` to out[0..size): false when it does not fit or holds control characters. */
static bool copy(value v, char *out, size_t size) {
    out[0] = '\0';
    if (v.size >= size) return false;
    for (size_t i = 0; i < v.size; i++)
        if ((unsigned char)v.text[i] < ' ' || v.text[i] == 127) return false;
    memcpy(out, v.text, v.size);
    out[v.size] = '\0';
    return true;
}

/* For a message: what fits, with a question mark in place of control characters. */
static void copy_shown(value v, char *out, size_t size) {
    size_t length = v.size < size ? v.size : size - 1;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)v.text[i];
        out[i] = c < ' ' || c > '~' ? '?' : (char)c;
    }
    out[length] = '\0';
}

/* A decimal number at the start of `v`, which is cut by what was read. */
static bool take_number(value *v, uint64_t *out) {
    size_t i = 0;
    *out = 0;
    for (; i < v->size && v->text[i] >= '0' && v->text[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(v->text[i] - '0');
        if (*out > (UINT64_MAX / 2 - digit) / 10) return false;
        *out = *out * 10 + digit;
    }
    v->text += i;
    v->size -= i;
    return i > 0;
}

static void set_size(rp_hub_answer *a, value v, uint64_t *out, const char *header) {
    if (take_number(&v, out) && !v.size) return;
    *out = UINT64_MAX;
    refuse(a, header);
}

static void set_etag(rp_hub_answer *a, value v, char *out, const char *header) {
    if (v.size > 2 && !strncmp(v.text, "W/", 2)) v.text += 2, v.size -= 2;
    if (v.size >= 2 && v.text[0] == '"' && v.text[v.size - 1] == '"') v.text++, v.size -= 2;
    if (copy(v, out, RP_HUB_ETAG + 1) && rp_hub_etag_check(out)) return;
    out[0] = '\0';
    if (out == a->linked_etag) refuse(a, header); /* servers of other makes have ETags of their own */
}

static void set_commit(rp_hub_answer *a, value v) {
    if (copy(v, a->commit, sizeof a->commit) && rp_hub_commit_check(a->commit)) return;
    a->commit[0] = '\0';
    refuse(a, "X-Repo-Commit");
}

/* "bytes 100-199/200"; the total may be "*", and so may the range where there is none. */
static void set_range(rp_hub_answer *a, value v) {
    uint64_t last = 0;
    bool good = v.size > 6 && !strncasecmp(v.text, "bytes ", 6);
    if (good) v.text += 6, v.size -= 6;
    if (good && v.text[0] == '*') {
        v.text++, v.size--;
    } else if (good) {
        good = take_number(&v, &a->range_start) && v.size && v.text[0] == '-';
        if (good) v.text++, v.size--;
        good = good && take_number(&v, &last) && last >= a->range_start;
    }
    good = good && v.size > 1 && v.text[0] == '/';
    if (good) v.text++, v.size--;
    if (good && !(v.size == 1 && v.text[0] == '*')) good = take_number(&v, &a->range_total) && !v.size;
    if (good) return;
    a->range_start = a->range_total = UINT64_MAX;
    refuse(a, "Content-Range");
}

/* "Wed, 21 Oct 2015 07:28:00 GMT" as seconds; negative: it is none. */
static double read_date(const char *text) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t = {0};
    char month[4] = "";
    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT", &t.tm_mday, month, &t.tm_year,
               &t.tm_hour, &t.tm_min, &t.tm_sec) != 6)
        return -1;
    const char *found = strlen(month) == 3 ? strstr(months, month) : NULL;
    if (!found || (found - months) % 3 || t.tm_year < 1970) return -1;
    t.tm_mon = (int)(found - months) / 3;
    t.tm_year -= 1900;
    return (double)timegm(&t);
}

/* Seconds, or a time of day. What is neither is passed over: there is a usual wait. */
static void set_retry_after(rp_hub_answer *a, value v, double now) {
    uint64_t seconds = 0;
    char text[40];
    value rest = v;
    if (take_number(&rest, &seconds) && !rest.size) {
        a->wait = (double)seconds;
    } else if (copy(v, text, sizeof text)) {
        double then = read_date(text);
        if (then >= 0) a->wait = then > now ? then - now : 0;
    }
}

/* "api";r=0;t=12: t seconds until more may be asked. */
static void set_rate_limit(rp_hub_answer *a, value v) {
    uint64_t seconds = 0;
    for (size_t i = 0; i + 2 < v.size; i++) {
        if (v.text[i] != 't' || v.text[i + 1] != '=' || (i && !strchr("; ", v.text[i - 1]))) continue;
        value number = {v.text + i + 2, v.size - i - 2};
        if (take_number(&number, &seconds) && a->wait < 0) a->wait = (double)seconds;
    }
}

static void begin_status(rp_hub_answer *a, const char *line, size_t size) {
    rp_hub_answer_begin(a);
    size_t space = 0;
    while (space < size && line[space] != ' ') space++;
    uint64_t status = 0;
    value v = {line + space + 1, space < size ? size - space - 1 : 0};
    if (take_number(&v, &status) && status >= 100 && status < 1000)
        a->status = (int)status;
    else
        refuse(a, "the status line");
}

static bool is(const char *name, size_t size, const char *wanted) {
    return size == strlen(wanted) && !strncasecmp(name, wanted, size);
}

static void take_header(rp_hub_answer *a, const char *name, size_t size, value v, double now) {
    if (is(name, size, "X-Repo-Commit"))
        set_commit(a, v);
    else if (is(name, size, "X-Linked-Etag"))
        set_etag(a, v, a->linked_etag, "X-Linked-Etag");
    else if (is(name, size, "ETag"))
        set_etag(a, v, a->etag, "ETag");
    else if (is(name, size, "X-Linked-Size"))
        set_size(a, v, &a->linked_size, "X-Linked-Size");
    else if (is(name, size, "Content-Length"))
        set_size(a, v, &a->length, "Content-Length");
    else if (is(name, size, "Content-Range"))
        set_range(a, v);
    else if (is(name, size, "Retry-After"))
        set_retry_after(a, v, now);
    else if (is(name, size, "RateLimit"))
        set_rate_limit(a, v);
    else if (is(name, size, "X-Error-Code"))
        copy_shown(v, a->error_code, sizeof a->error_code);
    else if (is(name, size, "X-Error-Message"))
        copy_shown(v, a->error_message, sizeof a->error_message);
    else if (is(name, size, "Location") && (!copy(v, a->location, sizeof a->location) || !v.size))
        refuse(a, "Location");
}

void rp_hub_answer_line(rp_hub_answer *a, const char *line, size_t size, double now) {
    while (size && strchr("\r\n \t", line[size - 1])) size--;
    if (size >= 5 && !strncasecmp(line, "HTTP/", 5)) {
        begin_status(a, line, size);
        return;
    }
    const char *colon = size ? memchr(line, ':', size) : NULL;
    if (!colon) return;
    value v = {colon + 1, size - (size_t)(colon + 1 - line)};
    while (v.size && (*v.text == ' ' || *v.text == '\t')) v.text++, v.size--;
    take_header(a, line, (size_t)(colon - line), v, now);
}

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

int ksk_complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("kaskad: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return KSK_EXIT_FAILURE;
}

bool ksk_flush_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    if (errno != EPIPE)
        ksk_complain("cannot write the output: %s", strerror(errno));
    return false;
}

/* --- suggestions ------------------------------------------------------------------------------ */

/* Edits (insert, delete, replace) between two short words. */
static int distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    const int m = (int)strlen(a), n = (int)strlen(b);
    if (m > LONGEST || n > LONGEST)
        return LONGEST;
    int row[LONGEST + 1];
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; i <= m; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            const int above = row[j];
            int best = diagonal + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[n];
}

const char *ksk_closest_name(const char *wrong, const char *const *names, int count)
{
    const char *closest = NULL;
    int least = 1 + (int)strlen(wrong) / 3; /* a third of the letters may be wrong */
    for (int i = 0; i < count; i++) {
        const int d = distance(wrong, names[i]);
        if (d <= least && (!closest || d < least)) {
            least = d;
            closest = names[i];
        }
    }
    return closest;
}

/* --- help ------------------------------------------------------------------------------------- */

static void print_option(const ksk_option *option)
{
    char left[64], letter[8] = "    ";
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->value ? " " : "",
             option->value ? option->value : "");
    if (strlen(left) <= 30)
        printf("  %-31s%s\n", left, option->help);
    else
        printf("  %s\n%-33s%s\n", left, "", option->help);
}

static const char *user_dir; /* --user-dir, which every command has */

static const ksk_option common[] = {
    KSK_TEXT("user-dir", 0, "DIR", "load the plugins there, not those in KASKAD_USER_DIR",
             &user_dir),
    KSK_OPTIONS_END,
};

static void print_help(const ksk_command *command, const ksk_option *options)
{
    printf("usage: kaskad %s %s\n\n%s\n", command->name, command->arguments, command->summary);
    if (command->details)
        printf("\n%s\n", command->details);
    if (options->kind != KSK_OPTION_HEADING)
        printf("\nOptions\n");
    for (const ksk_option *o = options; o->kind; o++) {
        if (o->kind == KSK_OPTION_HEADING)
            printf("\n%s\n", o->help);
        else
            print_option(o);
    }
    if (!command->without_plugins)
        print_option(common);
    printf("  -h, --help                     this text\n\nExample\n%s\n", command->example);
}

static bool misused(const ksk_command *command, int *status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool misused(const ksk_command *command, int *status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "kaskad %s: ", command->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n`kaskad %s --help` lists the options.\n", command->name);
    va_end(args);
    *status = KSK_EXIT_USAGE;
    return false;
}

/* --- values ----------------------------------------------------------------------------------- */

/* A decimal number that is the whole text; `integer` refuses a fraction. */
static bool read_number(const char *text, bool integer, double *value)
{
    if (!*text || strspn(text, integer ? "+-0123456789" : "+-.eE0123456789") != strlen(text))
        return false;
    char *end;
    *value = strtod(text, &end);
    return !*end && isfinite(*value);
}

static bool read_uint64(const char *text, uint64_t *value)
{
    if (!*text || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *value = strtoull(text, NULL, 10);
    return errno == 0;
}

/* Bytes, or so many K, M, G or T of them. */
static bool read_bytes(const char *text, int64_t *value)
{
    static const char units[] = "KMGT";
    uint64_t bytes;
    char digits[24];
    const size_t length = strspn(text, "0123456789");
    const char *const unit = text[length] ? strchr(units, text[length] & ~0x20) : NULL;
    const int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    if (length == 0 || length >= sizeof digits || (text[length] && (!unit || text[length + 1])))
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    if (!read_uint64(digits, &bytes) || bytes > (uint64_t)INT64_MAX >> shift)
        return false;
    *value = (int64_t)(bytes << shift);
    return true;
}

static int find_choice(const char *choices, const char *value)
{
    const size_t length = strlen(value);
    int index = 0;
    for (const char *at = choices; at; index++) {
        const char *bar = strchr(at, '|');
        const size_t width = bar ? (size_t)(bar - at) : strlen(at);
        if (width == length && !strncmp(at, value, length))
            return index;
        at = bar ? bar + 1 : NULL;
    }
    return -1;
}

static bool store_number(const ksk_command *command, const ksk_option *option, const char *text,
                         int *status)
{
    const bool integer = option->kind == KSK_OPTION_INT;
    double value;
    if (!read_number(text, integer, &value))
        return misused(command, status, "--%s takes %s, not '%s'", option->name,
                       integer ? "a whole number" : "a number", text);
    if (value < option->min || value > option->max)
        return misused(command, status, "--%s is %.10g to %.10g, not %s", option->name, option->min,
                       option->max, text);
    if (integer)
        *(int *)option->target = (int)value;
    else
        *(double *)option->target = value;
    return true;
}

static bool store(const ksk_command *command, const ksk_option *option, const char *text,
                  int *status)
{
    ksk_texts *texts = option->target;
    switch (option->kind) {
    case KSK_OPTION_INT:
    case KSK_OPTION_NUMBER:
        return store_number(command, option, text, status);
    case KSK_OPTION_UINT64:
        if (read_uint64(text, option->target))
            return true;
        return misused(command, status, "--%s takes a whole number from 0 to 2^64 - 1, not '%s'",
                       option->name, text);
    case KSK_OPTION_SIZE:
        if (read_bytes(text, option->target))
            return true;
        return misused(command, status,
                       "--%s takes a number of bytes, as 65536, 64K, 512M or 2G, "
                       "not '%s'",
                       option->name, text);
    case KSK_OPTION_CHOICE:
        *(int *)option->target = find_choice(option->value, text);
        if (*(int *)option->target >= 0)
            return true;
        return misused(command, status, "--%s is one of %s, not '%s'", option->name, option->value,
                       text);
    case KSK_OPTION_TEXTS:
        if (texts->count == KSK_MOST_TEXTS)
            return misused(command, status, "--%s may be given %d times at most", option->name,
                           KSK_MOST_TEXTS);
        texts->at[texts->count++] = text;
        return true;
    case KSK_OPTION_TEXT:
        *(const char **)option->target = text;
        return true;
    default:
        *(bool *)option->target = true;
        return true;
    }
}

/* --- parsing ---------------------------------------------------------------------------------- */

enum { MOST_OPTIONS = 96 };

typedef struct parser {
    const ksk_command *command;
    const ksk_option *options;
    int argc;
    char **argv;
    int next;
    bool seen[MOST_OPTIONS];
    int *status;
} parser;

static const ksk_option *find_long(const ksk_option *options, const char *name, size_t length)
{
    for (const ksk_option *o = options; o->kind; o++)
        if (o->name && strlen(o->name) == length && !strncmp(o->name, name, length))
            return o;
    return NULL;
}

static bool unknown_option(const parser *p, const char *given, const char *name)
{
    const char *names[MOST_OPTIONS + 1];
    int count = 0;
    for (const ksk_option *o = p->options; o->kind; o++)
        if (o->name && count < MOST_OPTIONS)
            names[count++] = o->name;
    if (!p->command->without_plugins)
        names[count++] = common->name;
    const char *closest = ksk_closest_name(name, names, count);
    if (closest)
        return misused(p->command, p->status, "there is no option %s; --%s?", given, closest);
    return misused(p->command, p->status, "there is no option %s", given);
}

/* Stores an option whose value is `attached` to it, or else the next argument. */
static bool take(parser *p, const ksk_option *option, const char *attached)
{
    const bool flag = option->kind == KSK_OPTION_FLAG;
    if (flag && attached)
        return misused(p->command, p->status, "--%s takes no value", option->name);
    if (!flag && !attached) {
        if (p->next == p->argc)
            return misused(p->command, p->status, "--%s needs a value (%s)", option->name,
                           option->value);
        attached = p->argv[p->next++];
    }
    if (option != common)
        p->seen[option - p->options] = true;
    return store(p->command, option, attached, p->status);
}

static bool take_long(parser *p, const char *argument)
{
    const char *name = argument + 2, *equals = strchr(name, '=');
    const size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const ksk_option *option = find_long(p->options, name, length);
    if (!option && !p->command->without_plugins)
        option = find_long(common, name, length);
    return option ? take(p, option, equals ? equals + 1 : NULL) : unknown_option(p, argument, name);
}

static bool take_short(parser *p, const char *argument)
{
    for (const ksk_option *o = p->options; o->kind; o++)
        if (o->letter && o->letter == argument[1])
            return take(p, o, argument[2] ? argument + 2 : NULL);
    return unknown_option(p, argument, argument + 1);
}

static bool take_rest(parser *p, const char *argument, ksk_texts *rest)
{
    if (!rest || rest->count == KSK_MOST_TEXTS)
        return misused(p->command, p->status, "'%s' is not expected here", argument);
    rest->at[rest->count++] = argument;
    return true;
}

static bool check_required(const parser *p)
{
    for (const ksk_option *o = p->options; o->kind; o++)
        if (o->required && !p->seen[o - p->options])
            return misused(p->command, p->status, "--%s %s is needed", o->name, o->value);
    return true;
}

bool ksk_options_parse(const ksk_command *command, const ksk_option *options, int argc, char **argv,
                       ksk_texts *rest, int *status)
{
    parser p = {
        .command = command, .options = options, .argc = argc, .argv = argv, .status = status};
    bool only_rest = false;
    for (p.next = 1; p.next < argc;) {
        const char *argument = argv[p.next++];
        bool ok;
        if (only_rest || argument[0] != '-' || !argument[1]) {
            ok = take_rest(&p, argument, rest);
        } else if (!strcmp(argument, "--")) {
            ok = only_rest = true;
        } else if (!strcmp(argument, "--help") || !strcmp(argument, "-h")) {
            print_help(command, options);
            *status = ksk_flush_output() ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
            return false;
        } else {
            ok = argument[1] == '-' ? take_long(&p, argument) : take_short(&p, argument);
        }
        if (!ok)
            return false;
    }
    if (!check_required(&p))
        return false;
    *status = KSK_EXIT_FAILURE;
    return command->without_plugins || ksk_load_user_dir(user_dir);
}

/* The command line: one file per command, over the library's public headers alone.
 *
 * Exit status: 0 done, 1 failed (the message says why), 2 used wrongly. */
#ifndef KSK_CLI_CLI_H
#define KSK_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KSK_EXIT_OK = 0, KSK_EXIT_FAILURE = 1, KSK_EXIT_USAGE = 2 };

/* --- options -------------------------------------------------------------------------------------
 */

typedef enum ksk_option_kind {
    KSK_OPTION_END,
    KSK_OPTION_HEADING,
    KSK_OPTION_FLAG,
    KSK_OPTION_INT,
    KSK_OPTION_UINT64,
    KSK_OPTION_SIZE,
    KSK_OPTION_NUMBER,
    KSK_OPTION_TEXT,
    KSK_OPTION_TEXTS,
    KSK_OPTION_CHOICE,
} ksk_option_kind;

/* One line of a table of options; made by the macros below. */
typedef struct ksk_option {
    ksk_option_kind kind;
    const char *name;  /* without the dashes */
    char letter;       /* 0 if there is no short form */
    const char *value; /* how the help text calls the value; for a choice the list "a|b|c" */
    const char *help;
    void *target; /* left alone when the option is not given */
    double min, max;
    bool required;
} ksk_option;

#define KSK_OPT(k, n, l, v, h, t)                                                                  \
    .kind = (k), .name = (n), .letter = (l), .value = (v), .help = (h), .target = (t)
/* bool *: set to true */
#define KSK_FLAG(name, letter, help, target)                                                       \
    {                                                                                              \
        KSK_OPT(KSK_OPTION_FLAG, name, letter, NULL, help, target)                                 \
    }
/* int *, double *: a number in [low, high] */
#define KSK_INT(name, letter, value, help, target, low, high)                                      \
    {                                                                                              \
        KSK_OPT(KSK_OPTION_INT, name, letter, value, help, target), .min = (low), .max = (high)    \
    }
#define KSK_NUMBER(name, letter, value, help, target, low, high)                                   \
    {                                                                                              \
        KSK_OPT(KSK_OPTION_NUMBER, name, letter, value, help, target), .min = (low), .max = (high) \
    }
/* uint64_t * */
#define KSK_UINT64(name, letter, value, help, target)                                              \
    {                                                                                              \
        KSK_OPT(KSK_OPTION_UINT64, name, letter, value, help, target)                              \
    }
/* int64_t *: bytes, as 4096, 64K, 512M, 2G */
#define KSK_BYTES(name, letter, help, target)                                                      \
    {                                                                                              \
        KSK_OPT(KSK_OPTION_SIZE, name, letter, "SIZE", help, target)                               \
    }
/* const char ** */
#define KSK_TEXT(name, letter, value, help, target)                                                \
    {                                                                                              \
        KSK_OPT(KSK_OPTION_TEXT, name, letter, value, help, target)                                \
    }
#define KSK_NEEDED(name, letter, value, help, target)                                              \
    {                                                                                              \
        KSK_OPT(KSK_OPTION_TEXT, name, letter, value, help, target), .required = true              \
    }
/* ksk_texts *: may be given again and again */
#define KSK_TEXTS_OF(name, letter, value, help, target)                                            \
    {                                                                                              \
        KSK_OPT(KSK_OPTION_TEXTS, name, letter, value, help, target)                               \
    }
#define KSK_NEEDED_TEXTS(name, letter, value, help, target)                                        \
    {                                                                                              \
        KSK_OPT(KSK_OPTION_TEXTS, name, letter, value, help, target), .required = true             \
    }
/* int *: index into the list */
#define KSK_CHOICE(name, letter, list, help, target)                                               \
    {                                                                                              \
        KSK_OPT(KSK_OPTION_CHOICE, name, letter, list, help, target)                               \
    }
#define KSK_HEADING(text)                                                                          \
    {                                                                                              \
        .kind = KSK_OPTION_HEADING, .help = (text)                                                 \
    }
#define KSK_OPTIONS_END                                                                            \
    {                                                                                              \
        .kind = KSK_OPTION_END                                                                     \
    }

enum { KSK_MOST_TEXTS = 64 };
typedef struct ksk_texts {
    const char *at[KSK_MOST_TEXTS];
    int count;
} ksk_texts;

typedef struct ksk_command {
    const char *name;
    const char *arguments; /* what follows the name on the usage line */
    const char *summary;   /* one line */
    const char *details;   /* may be NULL */
    const char *example;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
    bool without_plugins;              /* it loads none by itself */
} ksk_command;

/* Reads argv into the options' targets and what is no option into `rest` (may be NULL: then there
 * may be none), then loads the plugins of --user-dir. False when the command is over: *status is
 * the exit status; help or the mistake has been printed. `options` ends with KSK_OPTIONS_END. */
bool ksk_options_parse(const ksk_command *command, const ksk_option *options, int argc, char **argv,
                       ksk_texts *rest, int *status);

/* Loads the plugins of `directory`, or of KASKAD_USER_DIR when it is NULL, or none. What is refused
 * is said on stderr; false when the directory cannot be read. */
bool ksk_load_user_dir(const char *directory);

/* How many plugins have been refused so far. */
int ksk_refused_plugins(void);

/* The one of `count` names that `wrong` was probably meant to be, or NULL. */
const char *ksk_closest_name(const char *wrong, const char *const *names, int count);

/* --- messages ------------------------------------------------------------------------------------
 */

/* "kaskad: " and the message on stderr; returns KSK_EXIT_FAILURE. */
int ksk_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes out what stdout holds; false when that fails (said on stderr unless the reader has gone).
 */
bool ksk_flush_output(void);

/* --- commands ------------------------------------------------------------------------------------
 */

extern const ksk_command ksk_command_translate, ksk_command_score, ksk_command_metric,
    ksk_command_inspect, ksk_command_verify, ksk_command_convert, ksk_command_quantize,
    ksk_command_train, ksk_command_distill, ksk_command_shortlist, ksk_command_lattice,
    ksk_command_plugin, ksk_command_diagnose;

#endif

/* The shipped model's test set, and translating it whole, for the tests of this room. */
#ifndef API_LINES_H
#define API_LINES_H

#include "kaskad/kaskad.h"

#define SHIPPED_MODEL KSK_SOURCE "/models/tatoeba-deu-eng"
#define SMALL_MODEL   KSK_FIXTURES "/marian/tiny"

enum { lines_count = 1000 };

/* The German sides of test.tsv; they stay until the program ends. */
const char *const *lines_load(void);

/* KASKAD_QUICK=1 in the environment: few lines do, as when a sanitizer slows everything down. */
bool lines_quick(void);

ksk_model *load_model(const char *directory, ksk_precision precision);

/* Translates with a translator of its own; whatever fails fails the test. Clear the translations
 * with clear_translations. */
ksk_translation *translate_lines(const ksk_model *model, const ksk_translate_options *options,
                                 int count, const char *const *lines);
void clear_translations(ksk_translation *translations, int count);

/* The same ids, text and bits of the log-probability in every alternative. */
void assert_same_translations(const ksk_translation *a, const ksk_translation *b, int count);

#endif

#include "text/words.h"

#include <stddef.h>
#include <string.h>

static const char *const titles[] = {
    "b.sc",  "capt", "cf",  "col",  "d.h",   "dipl", "dr",      "dr.med", "e.g",   "fr",
    "frl",   "geb",  "gen", "gov",  "habil", "hon",  "hr",      "i.a",    "i.d.r", "i.e",
    "i.s.d", "i.v",  "ing", "lt",   "m.e",   "m.sc", "maj",     "messrs", "mlle",  "mme",
    "mr",    "mrs",  "ms",  "msgr", "mt",    "mx",   "o.b.d.a", "o.g",    "ph.d",  "pres",
    "prof",  "rep",  "rev", "s.o",  "s.u",   "sen",  "sgt",     "u.a.m",  "u.u",   "univ",
    "v.a",   "verh", "viz", "vs",   "z.b",   "z.hd", "z.t",     "z.zt",   NULL};

static const char *const before_numbers[] = {
    "abb",  "abs", "anm", "apr",  "art",  "aufl", "aug",  "az",  "bd",   "bde", "ca",   "ch",
    "chap", "dec", "dez", "eq",   "feb",  "fig",  "figs", "jan", "jg",   "jh",  "jul",  "jun",
    "kap",  "lit", "mar", "min",  "mind", "no",   "nos",  "nov", "nr",   "oct", "okt",  "op",
    "p",    "pos", "pp",  "rdnr", "rn",   "rz",   "s",    "sec", "sect", "sep", "sept", "tab",
    "tel",  "v",   "ver", "vol",  "vols", "zif",  "ziff", NULL};

static const char *const abbreviations[] = {
    "a.d",    "abzgl",  "allg",  "approx", "ave",   "bes",  "betr",   "bez",  "blvd",  "bros",
    "bspw",   "bzw",    "ca",    "dept",   "dergl", "dt",   "e.v",    "ehem", "eigtl", "einschl",
    "engl",   "entspr", "et",    "evtl",   "exkl",  "frz",  "ft",     "gebr", "gem",   "ggf",
    "griech", "hl",     "hrsg",  "inkl",   "insb",  "jr",   "kath",   "lat",  "lfd",   "mio",
    "mrd",    "n.a",    "nachm", "norddt", "p.a",   "resp", "röm",    "sek",  "sog",   "sr",
    "st",     "stck",   "std",   "str",    "stv",   "südd", "tsd",    "u.a",  "u.k",   "u.n",
    "u.s",    "urspr",  "usf",   "vgl",    "vorm",  "zzgl", "österr", NULL};

static const char *const starters[] = {
    "a",       "aber",    "after",   "all",    "alle",   "als",     "although", "am",     "an",
    "and",     "are",     "as",      "at",     "auch",   "auf",     "because",  "before", "bei",
    "bis",     "bitte",   "but",     "by",     "can",    "could",   "da",       "danach", "dann",
    "das",     "dein",    "deine",   "dem",    "den",    "der",     "des",      "did",    "die",
    "diese",   "diesen",  "dieser",  "dieses", "do",     "doch",    "does",     "dort",   "du",
    "durch",   "ein",     "eine",    "einem",  "einen",  "einer",   "eines",    "einige", "er",
    "es",      "for",     "from",    "für",    "gegen",  "gestern", "haben",    "had",    "has",
    "hat",     "hatte",   "have",    "he",     "her",    "here",    "heute",    "hier",   "his",
    "how",     "however", "i",       "ich",    "if",     "ihr",     "ihre",     "ihren",  "im",
    "in",      "is",      "ist",     "it",     "its",    "ja",      "jede",     "jeder",  "jetzt",
    "kann",    "kein",    "keine",   "können", "let",    "man",     "manche",   "many",   "mein",
    "meine",   "mit",     "morgen",  "most",   "my",     "nach",    "nein",     "nicht",  "no",
    "noch",    "not",     "now",     "nun",    "nur",    "obwohl",  "oder",     "ohne",   "on",
    "one",     "our",     "please",  "schon",  "sein",   "seine",   "seinen",   "seit",   "she",
    "sie",     "since",   "sind",    "so",     "some",   "that",    "the",      "their",  "then",
    "there",   "these",   "they",    "this",   "those",  "to",      "today",    "trotz",  "two",
    "um",      "und",     "unser",   "unsere", "unter",  "viele",   "vom",      "von",    "vor",
    "wann",    "war",     "waren",   "warum",  "was",    "we",      "wegen",    "weil",   "welche",
    "welcher", "welches", "wenn",    "wer",    "werden", "were",    "what",     "when",   "where",
    "which",   "while",   "who",     "why",    "wie",    "will",    "wir",      "wird",   "with",
    "wo",      "would",   "während", "würde",  "yes",    "you",     "your",     "zu",     "zum",
    "zur",     "über",    NULL};

static const char *const followers[] = {
    "advent",    "akt",         "apr",          "april",       "armee",     "auflage",
    "aug",       "august",      "band",         "bezirk",      "dez",       "dezember",
    "division",  "etage",       "feb",          "februar",     "folge",     "geburtstag",
    "jahrestag", "jahrhundert", "jahrhunderts", "jahrtausend", "jan",       "januar",
    "jh",        "jul",         "juli",         "jun",         "juni",      "jänner",
    "kapitel",   "klasse",      "korinther",    "lebensjahr",  "liga",      "mai",
    "mal",       "minute",      "monat",        "mose",        "mär",       "märz",
    "nov",       "november",    "okt",          "oktober",     "platz",     "quartal",
    "runde",     "semester",    "sep",          "sept",        "september", "sinfonie",
    "spieltag",  "staffel",     "stock",        "stunde",      "symphonie", "szene",
    "tag",       "teil",        "weltkrieg",    "woche",       NULL};

static const char *const leaders[] = {
    "ab",     "als",    "am",     "ans",    "auf",     "beim",    "bis",     "das",    "dein",
    "deine",  "deinem", "deinen", "dem",    "den",     "der",     "des",     "die",    "diese",
    "diesem", "diesen", "dieser", "dieses", "ein",     "eine",    "einem",   "einen",  "einer",
    "euer",   "eure",   "ihr",    "ihre",   "ihrem",   "ihren",   "ihrer",   "im",     "ins",
    "jede",   "jedem",  "jeden",  "jeder",  "jedes",   "mein",    "meine",   "meinem", "meinen",
    "meiner", "mit",    "nach",   "oder",   "sein",    "seine",   "seinem",  "seinen", "seiner",
    "seit",   "und",    "unser",  "unsere", "unserem", "unseren", "unserer", "vom",    "von",
    "vor",    "zum",    "zur",    NULL};

/* Asked at full stops only, so that a walk through the list is fast enough. */
static bool listed(const char *const *list, const char *word)
{
    while (*list && strcmp(*list, word) != 0)
        list++;
    return *list;
}

bool ksk_word_is_title(const char *word)
{
    return listed(titles, word);
}

bool ksk_word_is_before_number(const char *word)
{
    return listed(before_numbers, word);
}

bool ksk_word_is_abbreviation(const char *word)
{
    return listed(abbreviations, word);
}

bool ksk_word_starts_sentence(const char *word)
{
    return listed(starters, word);
}

bool ksk_word_follows_ordinal(const char *word)
{
    return listed(followers, word);
}

bool ksk_word_precedes_ordinal(const char *word)
{
    return listed(leaders, word);
}

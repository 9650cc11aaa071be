#include "kaskad/sink.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static ksk_sink current;

void ksk_sink_set(const ksk_sink *sink)
{
    current = sink ? *sink : (ksk_sink){NULL, NULL};
}

void ksk_say(ksk_level level, const char *format, ...)
{
    if (!current.write)
        return;
    char message[500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    current.write(current.context, level, message);
}

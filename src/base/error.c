#include "kaskad/error.h"

#include <stdarg.h>
#include <stdio.h>

bool ksk_fail(ksk_error *err, ksk_status status, const char *format, ...)
{
    if (!err)
        return false;
    err->status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return false;
}

bool ksk_fail_memory(ksk_error *err)
{
    return ksk_fail(err, KSK_OUT_OF_MEMORY, "out of memory");
}

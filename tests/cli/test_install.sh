#!/usr/bin/env bash
# What is installed suffices to build against, and the library exports its own names alone.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"
build=$(dirname "$program")

exported=$(nm -D --defined-only "$build/libkaskad.so" | awk '{ print $3 }' | sort -u)
check_has "ksk_ names are exported" "$exported" ksk_translate
check "nothing else is" "$(grep -v '^ksk_' <<<"$exported")" ""
declared=$(cat "$(dirname "$0")"/../../include/kaskad/*.h | tr '\n' ' ' |
    grep -oE 'KSK_API [^;(]*\(' | grep -oE 'ksk_[a-z0-9_]+\($' | tr -d '(' | sort -u)
check "what the headers declare, no more and no less" "$exported" "$declared"

if sanitized; then
    finish
fi
check_exit "install" 0 cmake --install "$build" --prefix "$work/usr"
for file in bin/kaskad include/kaskad/kaskad.h share/man/man1/kaskad.1; do
    [[ -f $work/usr/$file ]]
    check "$file" $? 0
done
cat >"$work/use.c" <<'END'
#include <kaskad/kaskad.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    ksk_error err = {0};
    ksk_model *model = ksk_model_load("nowhere", NULL, &err);
    printf("%d %s\n", model == NULL, err.message);
    return strcmp(ksk_version(), KSK_VERSION);
}
END
pc=$(dirname "$(find "$work/usr" -name kaskad.pc)")
sed -i "s|^prefix=.*|prefix=$work/usr|" "$pc/kaskad.pc"
flags=$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs kaskad)
libraries=$(dirname "$(find "$work/usr" -name libkaskad.so)")
# shellcheck disable=SC2086 # flags are several words
check_exit "compile" 0 cc -std=c17 -Wall -Werror -o "$work/use" "$work/use.c" $flags
check_exit "run" 0 env LD_LIBRARY_PATH="$libraries" "$work/use"
check_has "a message" "$(<"$work/out")" "1 "
cat >"$work/use.cc" <<'END'
#include <kaskad/kaskad.h>

int main()
{
    ksk_error err{};
    return ksk_model_load("nowhere", nullptr, &err) != nullptr;
}
END
# shellcheck disable=SC2086
check_exit "C++" 0 c++ -std=c++17 -Wall -Wextra -Werror -o "$work/use" "$work/use.cc" $flags
finish

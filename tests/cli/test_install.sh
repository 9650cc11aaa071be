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

# --- with pkg-config, from wherever the tree stands ---
mv "$work/usr" "$work/moved"
pc=$(dirname "$(find "$work/moved" -name kaskad.pc)")
flags=$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs kaskad)
libraries=$(dirname "$(find "$work/moved" -name libkaskad.so)")
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

# --- with CMake ---
mkdir "$work/project"
sed -n '/^<!-- CMakeLists.txt -->$/,/^```$/p' "$(dirname "$0")/../../docs/embed.md" | sed '1,2d;$d' \
    >"$work/project/CMakeLists.txt"
cp "$work/use.c" "$work/project/translate.c"
check_exit "configure" 0 cmake -G Ninja -S "$work/project" -B "$work/built" \
    -DCMAKE_PREFIX_PATH="$work/moved" -DCMAKE_C_FLAGS=-Werror
check_exit "build" 0 cmake --build "$work/built"
check_exit "run, without being told where the library is" 0 env -u LD_LIBRARY_PATH "$work/built/translate"
check_has "a message" "$(<"$work/out")" "1 "
check_has "linked to the soname" "$(readelf -d "$work/built/translate")" "[libkaskad.so.0]"
sed -i 's/kaskad 0.1/kaskad 0.2/' "$work/project/CMakeLists.txt"
check_exit "another version" 1 cmake -G Ninja -S "$work/project" -B "$work/other" \
    -DCMAKE_PREFIX_PATH="$work/moved"
check_has "both are named" "$(tr -s " \n" " " <"$work/err")" "compatible with requested version \"0.2\""
finish

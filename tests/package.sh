#!/usr/bin/env bash
# package.sh DEB...: whether Debian packages hold what they should. They are unpacked into an empty directory, where
# the program translates and verifies, and an example is built with what pkg-config and CMake find there.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/cli/lib.sh" ""
root=$(cd "$(dirname "$0")/.." && pwd)
model=$root/models/tatoeba-deu-eng
for package in "$@"; do
    check_exit "unpack $package" 0 dpkg-deb -x "$package" "$work/unpacked"
    check_has "its licence is there" "$(dpkg-deb -c "$package")" "/copyright"
done
depends=$(for package in "$@"; do dpkg-deb -f "$package" Package Depends; done)
for library in libc6 libdnnl2 libsentencepiece0 libjansson4 libutf8proc2 libyaml-0-2 zlib1g; do
    check_has "depends on" "$depends" "$library"
done
check_has "the headers' package on the library's" "$depends" "kaskad (= "
check "nothing outside /usr" "$(ls "$work/unpacked")" usr
kaskad=$work/unpacked/usr/bin/kaskad
library=$(find "$work/unpacked" -name 'libkaskad.so.[0-9]' -printf '%h')
line="Der Zug kam zu spät."
text=$("$kaskad" translate -m "$model" <<<"$line")
check_has "the program translates" "$text" "The train was"
check_exit "and verifies" 0 "$kaskad" verify -m "$model"
flags=$(PKG_CONFIG_PATH=$library/pkgconfig pkg-config --cflags --libs kaskad)
# shellcheck disable=SC2086 # flags are several words
check_exit "build an example" 0 \
    cc -o "$work/translate" "$work/unpacked/usr/share/doc/kaskad/examples/translate.c" $flags
check "which translates" "$(LD_LIBRARY_PATH=$library "$work/translate" "$model" <<<"$line")" "$text"
[[ -f $library/cmake/kaskad/kaskad-config.cmake ]]
check "the CMake package" $? 0
finish

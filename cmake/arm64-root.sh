#!/usr/bin/env bash
# arm64-root.sh DIRECTORY PACKAGE...: unpacks Debian packages for arm64, with all that they depend on, into
# DIRECTORY/root. This system's packages stay as they are: apt works with lists, status and cache of its own.
set -euo pipefail
mkdir -p "$1"
directory=$(cd "$1" && pwd)
[[ ${*:2} != "$(cat "$directory/packages" 2>/dev/null)" ]] || exit 0
mkdir -p "$directory"/{lists,archives}/partial "$directory/root"
: >"$directory/status"
apt() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User= \
        -o Dir::State="$directory" -o Dir::State::lists="$directory/lists" \
        -o Dir::State::status="$directory/status" -o Dir::Cache="$directory" \
        -o Dir::Cache::archives="$directory/archives" "$@" </dev/null
}
apt update
apt install -y --download-only --no-install-recommends "${@:2}"
for package in "$directory"/archives/*.deb; do
    dpkg-deb -x "$package" "$directory/root"
done
printf '%s' "${*:2}" >"$directory/packages"

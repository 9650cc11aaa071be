# What the script tests share. Source it with the program's path as argument 1.
# shellcheck shell=bash disable=SC2034
set -uo pipefail
program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mistakes=0

# check NAME FOUND EXPECTED: the two are the same text.
check() {
    [[ $2 == "$3" ]] && return
    printf 'wrong: %s\n  found:    %q\n  expected: %q\n' "$1" "${2:0:600}" "${3:0:600}"
    mistakes=$((mistakes + 1))
}

# check_has NAME FOUND PART: the part is in what was found.
check_has() {
    [[ $2 == *"$3"* ]] && return
    printf 'wrong: %s\n  found:   %q\n  without: %q\n' "$1" "${2:0:600}" "${3:0:600}"
    mistakes=$((mistakes + 1))
}

# check_exit NAME STATUS COMMAND...: the command ends with this status; its output goes to
# $work/out and $work/err.
check_exit() {
    local status=0
    "${@:3}" >"$work/out" 2>"$work/err" || status=$?
    [[ $status -eq $2 ]] && return
    printf 'wrong: %s\n  exit status %d instead of %d\n' "$1" "$status" "$2"
    cat "$work/err"
    mistakes=$((mistakes + 1))
}

# Whether the program is built with a sanitizer, which a plain compiler cannot link.
sanitized() { [[ $(nm "$program") == *__asan_init* ]]; }

finish() {
    [[ $mistakes -eq 0 ]] && echo "all as it should be"
    exit $((mistakes > 0))
}

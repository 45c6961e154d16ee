#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Gives what %install wrote the time of the release, $SOURCE_DATE_EPOCH, in place of the clock's. rpm
# runs it behind %install, before its own scripts compile or strip anything; rpm 4.8, which cannot clamp
# times itself, as well as newer ones.
#
# A compiled Python module holds the time of its source, and Python compiles anew when they differ. So
# that time is set with the source's; all else in the module stays as it was compiled.
# Source: Python's import.c, load_source_module(), and PEP 552 (four bytes of flags, 0, come first).
set -eu

: "${RPM_BUILD_ROOT:?}" "${SOURCE_DATE_EPOCH:?}"

# The time as printf's four octal bytes, the lowest first.
bytes=$(printf '\\%03o\\%03o\\%03o\\%03o' $((SOURCE_DATE_EPOCH & 255)) $((SOURCE_DATE_EPOCH >> 8 & 255)) \
    $((SOURCE_DATE_EPOCH >> 16 & 255)) $((SOURCE_DATE_EPOCH >> 24 & 255)))

stamp=$(mktemp)
trap 'rm -f "$stamp"' EXIT
touch --date="@$SOURCE_DATE_EPOCH" "$stamp"

find "$RPM_BUILD_ROOT" -type f -name '*.py' -newer "$stamp" | while IFS= read -r source; do
    name=${source##*/}
    for compiled in "${source}c" "${source}o" "${source%/*}/__pycache__/${name%.py}".*.pyc; do
        test -f "$compiled" || continue
        case $(od -A n -t u4 -j 4 -N 4 "$compiled") in *[1-9]*) offset=4 ;; *) offset=8 ;; esac
        # shellcheck disable=SC2059  # the format is the bytes
        printf "$bytes" | dd of="$compiled" bs=1 seek=$offset conv=notrunc 2>/dev/null
    done
done

find "$RPM_BUILD_ROOT" -newer "$stamp" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What rpm reads from a spec whose source package lies in SRPMS: a line for each capability, of kind, name, sign and
# version, with tabs between. What a spec's own commands print has no such form.
# $1: the spec, $2: whether to look for what it is built on, the rest: macros.
# Source: rpm(8) of rpm 4.8, which has no rpmspec; rpmspec(8); rpm's queryformat manual.
spec=$1 look=$2
shift 2
provides='[provides\t%{PROVIDENAME}\t%{PROVIDEFLAGS:depflags}\t%{PROVIDEVERSION}\n]'
requires='[requires\t%{REQUIRENAME}\t%{REQUIREFLAGS:depflags}\t%{REQUIREVERSION}\n]'
package='package\t%{NAME}\t=\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n'

if command -v rpmspec >/dev/null 2>&1; then
    rpmspec --query "$@" --queryformat "$package$provides$requires" "$spec" || exit
else
    rpm --query "$@" --queryformat "$package$provides$requires" --specfile "$spec" || exit
fi
cd SRPMS || exit
# Of rpm 4.8, only the source package says what a build requires.
rpm --query --queryformat "source\t\t\t\n$requires" --package ./*.src.rpm || exit
[ "$look" = yes ] || exit 0
# rpm finds by name and path, and takes no notice of versions: all that is there is told, and then what was found.
rpm --query --queryformat '[%{REQUIRENAME}\n]' --package ./*.src.rpm | sort -u | while read -r name; do
    rpm --query --queryformat "$provides" --whatprovides "$name" 2>/dev/null && printf 'found\t%s\t\t\n' "$name"
done
:

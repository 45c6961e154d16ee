#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What a release is without the pipeline: the same work by bare tools, one line each.
#
#   bare.sh WORK_DIR SRPM PATCHES_DIR TESTS_DIR RPMLINT_CONFIG DIST PYTHON MIRROR [ENGINE-WORDS…]
#
# ENGINE-WORDS go before each command that must run in the target (podman run … IMAGE); WORK_DIR is
# /workspace there. Without them this host is the target. BENCH_CHECKS=no leaves out the patch check and
# the unit tests, so that what is left is what the job was by hand.
set -eu
work=$1 srpm=$2 patches=$3 tests=$4 config=$5 dist=$6 python=$7 mirror=$8
shift 8
if [ $# -gt 0 ]; then inside=/workspace; else inside=$work; fi

rpm -i --define "_topdir $work" "$srpm" 2>/dev/null
set -- "$@" rpmbuild --nodeps --define "_topdir $inside" --define "dist $dist" --define "rhel 6" \
    --define "_binary_payload w9.gzdio" --define "_source_payload w9.gzdio" \
    --define "_build_id_links none" --define "_buildhost localhost"
spec=$work/SPECS/vdsm.spec
hand_over() { if [ "$inside" = /workspace ]; then chown -R 1000:1000 "$work"; fi; }
# The engine's words, then the tests' Python in place of rpmbuild.
run_tests() { ${BENCH_ENGINE:-} "$python" -B "$inside/tests/runner.py" "$1" "$inside/tests/$2" 2>/dev/null; }
mkdir -p "$work/BUILD" "$work/BUILDROOT" "$work/RPMS" "$work/SRPMS"

if [ "${BENCH_CHECKS:-yes}" = yes ]; then
    hand_over
    "$@" -bp "$inside/SPECS/vdsm.spec" >"$work/prep.log" 2>&1
    cp -r "$tests" "$work/tests"
    mv "$work/BUILD"/* "$work/step-0"
    step=0
    while read -r name; do
        cp -a "$work/step-$step" "$work/step-$((step + 1))"
        step=$((step + 1))
        (cd "$work/step-$step" && GIT_CEILING_DIRECTORIES="$work" git apply "$patches/$name")
    done <"$patches/series"
fi

number=0
: >"$work/tags"
: >"$work/lines"
while read -r name; do
    cp "$patches/$name" "$work/SOURCES/"
    echo "Patch$number: $name" >>"$work/tags"
    echo "%patch -P$number -p1" >>"$work/lines"
    number=$((number + 1))
done <"$patches/series"
sed -i -e "/^Source0:/r $work/tags" -e "/^%setup/r $work/lines" "$spec"
sed -i -e 's/^\(Release:.*\)$/\1.spicedisconnectactionsbackport.904/' -e '/^%changelog/a \
* Sat Nov 21 2026 bench <bench@example.org> - 904\
- bench\
' "$spec"

if [ "${BENCH_CHECKS:-yes}" = yes ]; then
    hand_over
    for folder in "$work"/step-*; do
        name=$(basename "$folder")
        run_tests "$inside/$name" vdsm >"$work/unit-$name.json"
    done
fi
hand_over
"$@" -ba "$inside/SPECS/vdsm.spec" >"$work/build.log" 2>&1
if [ "${BENCH_CHECKS:-yes}" = yes ]; then
    mkdir "$work/root"
    for rpm in "$work"/RPMS/*/*.rpm; do
        (cd "$work/root" && rpm2cpio "$rpm" | cpio --extract --make-directories --quiet)
    done
    hand_over
    for tree in "$inside/step-$step" "$inside/root/usr/share"; do
        run_tests "$tree" contracts/vdsm >>"$work/contracts.json"
    done
fi
rpmlint --config "$config" "$spec" "$work"/SRPMS/*.rpm "$work"/RPMS/*/*.rpm >"$work/lint.log" 2>&1 || true
mkdir "$work/repo"
cp "$work"/RPMS/*/*.rpm "$work/repo/"
if [ "${BENCH_CHECKS:-yes}" = yes ]; then
    # Signed with the key at hand, verified, and tried by a client: the vendor's set, ours, back, ours, nothing to do.
    find "$BENCH_BASELINE" -name '*.rpm' -exec cp {} "$work/repo/" \;
    home=$(mktemp -d /tmp/bench-gpg.XXXXXX)
    trap 'gpgconf --homedir "$home" --kill all; rm -rf "$home"' EXIT
    gpg --homedir "$home" --batch --quiet --import "$BENCH_KEY"
    id=$(gpg --homedir "$home" --with-colons --list-keys | sed -n 's/^fpr:*\([^:]*\):$/\1/p' | head -1)
    gpg --homedir "$home" --armor --export "$id" >"$work/key.asc"
    rpmsign --addsign --rpmv3 --define "__gpg $(command -v gpg)" --define "_gpg_path $home" \
        --define "_gpg_name $id" "$work"/repo/*.rpm >"$work/sign.log" 2>&1
    rpmkeys --define "_dbpath $work/keys" --define '_keyring rpmdb' --import "$work/key.asc"
    rpmkeys --define "_dbpath $work/keys" --define '_keyring rpmdb' --define '_pkgverify_level all' --checksig \
        "$work"/repo/*.rpm >"$work/checksig.log"
    createrepo_c --quiet --general-compress-type=gz --checksum sha256 "$work/repo"
    gpg --homedir "$home" --batch --armor --detach-sign "$work/repo/repodata/repomd.xml"
    mkdir -p "$work/stand-in"
    {
        printf '%s: 1\n' Version Release License Summary
        printf 'Name: stand-in\nBuildArch: noarch\n'
        rpm -qp --requires "$work"/repo/*.rpm | grep -v -e '^rpmlib' -e '^vdsm' -e '^config(' | sort -u |
            sed -e 's/ >= / = /' -e 's/ > \(.*\)/ = \1.1/' -e 's/^/Provides: /'
        printf '%%description\n%%files\n'
    } >"$work/stand-in/stand-in.spec"
    rpmbuild -bb --quiet --define "_rpmdir $work/stand-in" "$work/stand-in/stand-in.spec" >/dev/null 2>&1
    createrepo_c --quiet "$work/stand-in"
    client() {
        dnf --quiet --assumeyes --noplugins --installroot "$work/client" --releasever 6 --forcearch x86_64 \
            --disablerepo='*' --setopt=tsflags=noscripts --setopt=reposdir=/nonexistent --setopt=best=1 --setopt=metadata_expire=never \
            --repofrompath="ours,file://$work/repo" --repofrompath="host,file://$work/stand-in" \
            --setopt=ours.gpgcheck=1 --setopt=ours.repo_gpgcheck=1 --setopt=ours.gpgkey="file://$work/key.asc" \
            --setopt=host.gpgcheck=0 "$@" >>"$work/client.log" 2>&1
        rpm --root "$work/client" --dbpath /var/lib/rpm --verify --all >>"$work/client.log" 2>&1 || true
    }
    vendor=$(find "$BENCH_BASELINE" -name '*.rpm' ! -name '*.src.rpm' ! -name '*debug*' -exec basename {} .rpm \;)
    # shellcheck disable=SC2086  # the list is words
    client install $vendor
    client upgrade 'vdsm*'
    # shellcheck disable=SC2086
    client downgrade $vendor
    client upgrade 'vdsm*'
    client upgrade 'vdsm*'
else
    createrepo_c --quiet --general-compress-type=gz --checksum sha256 "$work/repo"
fi
rsync -a "$work/repo/" "$mirror/"

# SPDX-License-Identifier: GPL-2.0-or-later
"""Any number of tiny packages that are built on each other, in a copy of the checkout: a text and a patch each."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_SPEC = """\
Name: {name}
Version: 1.0
Release: 1%{{?dist}}
Summary: A small package
License: GPL-2.0-or-later
BuildArch: noarch
Source0: %{{name}}-%{{version}}.tar.gz
{needs}
%description
A small package.
%prep
%setup -q
%build
%install
mkdir -p %{{buildroot}}/usr/share/%{{name}}
cp text %{{buildroot}}/usr/share/%{{name}}/text
%files
/usr/share/%{{name}}
%changelog
* Mon Jan 05 2015 A Packager <packager@example.org> - 1.0-1
- first
"""
_TEMPLATE = """\
Release: {{ vendor.release }}.{{ label }}.{{ number }}
{% for patch in patches -%}
Patch{{ patch.number }}: {{ patch.file_name }}
{% endfor %}
{% for patch in patches -%}
Provides: {{ patch.capability }}
{% endfor %}
%prep
{% for patch in patches -%}
%patch -P{{ patch.number }} -p1
{% endfor %}
%changelog
{{ changelog(patches | map(attribute="subject")) }}
"""
_PATCH = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A Packager <packager@example.org>
Date: Tue, 6 Jan 2015 10:00:00 +0000
Subject: [PATCH] text: say another word

---
 text | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/text b/text
index 1111111..2222222 100644
--- a/text
+++ b/text
@@ -1 +1 @@
-{before}
+{after}
"""
_TEST = """\
import os
import unittest

PATCH = '0001'


class TextTest(unittest.TestCase):
    def test_the_text_has_the_other_word(self):
        with open(os.path.join(os.environ['PATCHED_TREE'], 'text')) as text:
            self.assertEqual('{after}\\n', text.read())
"""
_SETTINGS = """
[packages.{name}]
version = "1.0"
label = "ours"

[packages.{name}.sources]
demo = ["demo:tests/demo/{name}"]
el6 = ["demo:tests/demo/{name}"]
"""


def random_graph(count: int, *, seed: int = 7, at_most: int = 3) -> dict[str, tuple[str, ...]]:
    """Name -> the names that it is built on; without a cycle, in an order that is not that of the names."""
    chance = random.Random(seed)
    names = [f"p{number:03d}" for number in range(count)]
    chance.shuffle(names)
    needs: dict[str, tuple[str, ...]] = {}
    for number, name in enumerate(names):
        wanted = min(chance.randint(0, at_most), number)
        needs[name] = tuple(sorted(chance.sample(names[:number], wanted)))
    return dict(sorted(needs.items()))


def lay(checkout_dir: Path, needs: Mapping[str, Sequence[str]], *, only: bool = False) -> None:
    """Make these packages in a copy of the checkout; with `only`, no others are left in its settings."""
    path = checkout_dir / "pipeline.toml"
    text = path.read_text(encoding="utf-8")
    if only:
        text = re.sub(r"^\[packages\.(?s:.*?)(?=^\[(?!packages\.))", "", text, flags=re.MULTILINE)
    for name in needs:
        _lay_one(checkout_dir, name, needs[name])
        text += _SETTINGS.format(name=name)
    path.write_text(text, encoding="utf-8")


def source_package(checkout_dir: Path, name: str) -> Path:
    """The source RPM of a package that was laid, as a vendor would have it; made by rpmbuild."""
    made_dir, source_dir = checkout_dir / "srpms", checkout_dir / "tests" / "demo" / name
    made_dir.mkdir(exist_ok=True)
    archive = made_dir / f"{name}-1.0.tar.gz"
    subprocess.run(["tar", "--create", "--gzip", "--file", archive, f"{name}-1.0"], cwd=source_dir, check=True)
    defines = [f"_sourcedir {made_dir}", f"_srcrpmdir {made_dir}", "_source_payload w9.gzdio", "dist .el6"]
    words = [word for define in defines for word in ("--define", define)]
    subprocess.run(["rpmbuild", "-bs", "--quiet", "--nodeps", *words, source_dir / f"{name}.spec"], check=True)
    return made_dir / f"{name}-1.0-1.el6.src.rpm"


def _lay_one(checkout_dir: Path, name: str, needs: Sequence[str]) -> None:
    words = {"name": name, "before": f"the word of {name}", "after": f"another word of {name}"}
    required = "".join(f"BuildRequires: {need}\n" for need in needs)
    for place, text in {
        f"tests/demo/{name}/{name}.spec": _SPEC.format(**words, needs=required),
        f"tests/demo/{name}/{name}-1.0/text": f"{words['before']}\n",
        f"specs/{name}/{name}.spec.j2": _TEMPLATE,
        f"specs/{name}/rpmlint.toml": 'Filters = ["no-signature", "patch-not-applied", "no-packager-tag"]\n',
        f"patches/{name}/series": "0001-text.patch\n",
        f"patches/{name}/0001-text.patch": _PATCH.format(**words),
        f"tests/patched/{name}/test_text.py": _TEST.format(**words),
    }.items():
        path = checkout_dir / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

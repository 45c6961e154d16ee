# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and findings of an audit, without a mirror."""

from __future__ import annotations

import pytest

from pipeline.audit import listing
from pipeline.audit.findings import KINDS, finding, without_consequences
from pipeline.audit.listing import UNKNOWN_SIZE, Listing

LIST = """\
drwxr-xr-x          4,096 2026/11/21 11:20:14 grouped
drwxr-xr-x           4096 2026/11/21 11:20:14 noarch
-rw-r--r--             12 2026/11/21 11:20:14 noarch/a b\\#012c
-rw-r--r--      123456789 2026/11/21 11:20:14   spaced
lrwxrwxrwx             20 2026/11/21 11:20:14 repodata -> snapshots/5/repodata
a word of the day
"""


def test_rsyncs_list_is_read_whatever_the_names():
    found = listing.parse(LIST)
    assert found.files == {"noarch/a b\nc": 12, "  spaced": 123456789}
    assert found.links == {"repodata": "snapshots/5/repodata"}
    assert found.folders == {"noarch"}


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("snapshots/5/repodata/x", 1),
        ("repodata/x", 1),
        ("x", 1),
        ("snapshots/5/noarch/p", 2),
        ("repodata/none", None),
        ("repodata", None),
        ("loop/x", None),
        ("out/x", UNKNOWN_SIZE),
        ("above", UNKNOWN_SIZE),
    ],
)
def test_a_name_leads_through_links(name, size):
    links = {"repodata": "snapshots/5/repodata", "x": "repodata/x", "snapshots/5/noarch": "../../noarch",
             "loop": "loop", "out": "/etc", "above": "../y"}  # fmt: skip
    assert Listing(files={"snapshots/5/repodata/x": 1, "noarch/p": 2}, links=links).size(name) == size


def test_what_follows_from_a_finding_is_not_told_again():
    changed, tail, other = (finding(kind, "x", "why") for kind in ("repomd-signature", "log-tail", "file-extra"))
    assert without_consequences([changed, tail, other, other]) == (changed, other)
    assert without_consequences([tail]) == (tail,)


def test_an_expired_key_is_told_once_and_hides_no_other_fault():
    by_it = finding("package-signature", "a", "the key …ABCD that signed it expired on 2020-01-01")
    by_another = finding("package-signature", "b", "it is signed by another key, 1234")
    assert without_consequences([by_it, by_another], ["abcd"]) == (by_another,)
    assert without_consequences([by_it], ["9999"]) == (by_it,)


def test_every_kind_says_what_mends_it():
    assert all(mend and not mend.endswith(".") for _, mend in KINDS.values())

# SPDX-License-Identifier: GPL-2.0-or-later
"""Which keys are fit for rpm 4.8, and from when on an expiry is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.errors import SigningError
from pipeline.signing import fitness, listing
from pipeline.signing.listing import Listed, Subkey

DAY = 86400
NOW = 1_800_000_000
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
FIT = Listed(fingerprint=FINGERPRINT, algorithm="RSA", bits=4096, expires_seconds=NOW + 400 * DAY, may="sc",
             validity="u", has_secret=True, own_digest="SHA-256")  # fmt: skip


def test_a_fit_key_has_nothing_against_it():
    assert list(fitness.problems(FIT)) == []
    assert fitness.warning(FIT, NOW) == ""
    fitness.refuse(FIT, "here", NOW)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"algorithm": "EdDSA", "bits": 255}, "it is EdDSA-255, and rpm 4.8 knows RSA alone"),
        ({"algorithm": "DSA", "bits": 2048}, "it is DSA-2048, and rpm 4.8 knows RSA alone"),
        ({"bits": 2047}, "it has 2047 bits, and fewer than 2048 are no protection"),
        ({"own_digest": "SHA-1"}, "its own signature is made with SHA-1"),
        ({"validity": "r"}, "it is revoked"),
        ({"may": "c"}, "it does not sign, and rpm 4.8 verifies with the primary key alone"),
        (
            {"may": "c", "subkeys": [Subkey(may="e"), Subkey(fingerprint="AB" * 20, may="s")]},
            f"a subkey signs ({'ab' * 8}), and rpm 4.8 verifies with the primary key alone",
        ),
    ],
)
def test_what_rpm_4_8_cannot_use_is_told(change, problem):
    assert list(fitness.problems(replace(FIT, **change))) == [problem]


def test_a_subkey_beside_a_primary_key_that_signs_is_not_used_and_does_no_harm():
    assert list(fitness.problems(replace(FIT, subkeys=[Subkey(may="s")]))) == []


@pytest.mark.parametrize(("seconds", "over"), [(NOW, True), (NOW - 1, True), (NOW + 1, False), (0, False)])
def test_a_key_is_refused_from_the_second_that_it_expires(seconds, over):
    key = replace(FIT, expires_seconds=seconds)
    assert fitness.expired(key, NOW) is over
    if over:
        with pytest.raises(
            SigningError, match=f"the signing key {FINGERPRINT} \\(here\\) expired on 2027-01-15"
        ) as told:
            fitness.refuse(key, "here", NOW)
        assert "--rotate" in told.value.hint


@pytest.mark.parametrize(("days", "told"), [(61, False), (60, True), (1, True)])
def test_sixty_days_ahead_it_is_warned_of(days, told):
    warning = fitness.warning(replace(FIT, expires_seconds=NOW + days * DAY), NOW)
    assert bool(warning) is told
    assert not told or f"in {days} days" in warning


def test_a_key_that_never_expires_is_not_warned_of():
    assert fitness.warning(replace(FIT, expires_seconds=0), NOW) == ""
    assert replace(FIT, expires_seconds=0).expiry == "never"


COLONS = f"""tru:o:1:1795257821:1:3:1:5
pub:u:3072:1:89ABCDEF01234567:1795257821:1826793821::u:::scESC::::::23::0:
fpr:::::::::{FINGERPRINT}:
grp:::::::::GRIP:
uid:u::::1795257821::HASH::A\\x3a Name <a@example.org>::::::::::0:
sig:::1:89ABCDEF01234567:1795257821::::A:13x::{FINGERPRINT}:::10:
sig:::1:89ABCDEF01234567:1795257822::::A:13x::{FINGERPRINT}:::2:
sig:::1:1111111111111111:1795257999::::B:10x::1111:::1:
sub:u:3072:1:2222222222222222:1795257821::::::e::::::23:
fpr:::::::::{"2" * 40}:
grp:::::::::OTHER:
sub:r:3072:1:3333333333333333:1795257821::::::s::::::23:
sec:e:255:22:4444444444444444:1795257821:1795257830::u:::sc:::+:::ed25519::0:
fpr:::::::::{"4" * 40}:
"""


def test_gpg_s_lines_are_read():
    first, second = listing._read(COLONS)
    assert (first.fingerprint, first.key_id, first.keygrip) == (FINGERPRINT, FINGERPRINT[-16:].lower(), "GRIP")
    assert (first.kind, first.may, first.uid, first.has_secret) == ("RSA-3072", "sc", "A: Name <a@example.org>", False)
    assert first.own_digest == "SHA-1"  # the newest of its own
    assert [(subkey.key_id, subkey.may) for subkey in first.subkeys] == [("2" * 16, "e"), ("", "")]
    assert (second.algorithm, second.has_secret, second.validity, second.expiry) == ("EdDSA", True, "e", "2026-11-21")
    assert listing._read("") == ()

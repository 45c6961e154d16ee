# SPDX-License-Identifier: GPL-2.0-or-later
"""snapshots, rollback, promote and prune as people and programs run them, on the demo."""

from __future__ import annotations

import json

import jsonschema
import pytest

from tests.integration.checkout import ROOT, Checkout, Result


def run(checkout: Checkout, *words: str) -> Result:
    """A command that ended well; its document is what the schema says."""
    done = checkout.run(*words)
    assert done.code == 0, done.stderr
    jsonschema.Draft202012Validator(json.loads((ROOT / "schema" / "mirror.schema.json").read_text())).validate(
        done.document
    )
    return done


def snapshots(checkout: Checkout, *words: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = run(checkout, "snapshots", *words).document["repositories"][0]["snapshots"]
    return found


def test_snapshots_fit_80_columns_and_say_all_as_json(released: Checkout) -> None:
    done = run(released, "snapshots")
    assert max(len(line) for line in done.stderr.splitlines()[1:]) <= 80
    (only,) = done.document["repositories"][0]["snapshots"]
    assert str(only["revision"]) in done.stderr
    assert (only["action"], only["stands"], only["there"]) == ("publish", True, True)
    assert str(only["detail"]).startswith("the vendor's: ")


def test_an_empty_mirror_says_so(released: Checkout) -> None:
    done = run(released, "snapshots", "--mirror", "./nowhere")
    assert "nothing is there yet" in done.stderr
    assert done.document["repositories"][0]["snapshots"] == []


def test_a_revision_that_was_never_there(released: Checkout) -> None:
    done = released.run("rollback", "--to", "7")
    assert done.code == 31
    assert "the revision 7 of" in done.error_line
    assert done.document["error"]["reference"] == "snapshot-gone"


def test_promote_and_back(released: Checkout) -> None:
    with (released.root / "pipeline.toml").open("a") as stream:
        stream.write('\n[mirrors.stable]\ndestination = "out/stable"\n')
    promote = ("promote", "--from", "local", "--to", "stable")
    assert "comes: vdsm-" in run(released, *promote, "--dry-run").stderr
    assert not (released.out / "stable").exists()
    (done,) = run(released, *promote).document["repositories"]
    assert done["changed"]
    (entry,) = snapshots(released, "--mirror", "stable")
    assert (entry["action"], entry["revision"]) == ("promote", done["revision"])
    (again,) = run(released, *promote).document["repositories"]
    assert not again["changed"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--from", "nowhere", "--to", "local"), 2, "there is no mirror 'nowhere'"),
        (("--from", "local", "--to", "nowhere"), 2, "there is no mirror 'nowhere'"),
        (("--from", "local", "--to", "local"), 2, "is the channel itself"),
        (("--from", "local", "--to", "rsync://127.0.0.1:9/repo"), 31, "is not a directory of this machine"),
    ],
)
def test_what_cannot_be_promoted(released: Checkout, words: tuple[str, ...], code: int, told: str) -> None:
    done = released.run("promote", *words)
    assert told in done.error_line
    assert done.code == code


def test_prune_tells_and_removes_nothing_that_stands(released: Checkout) -> None:
    (place,) = run(released, "prune", "--remove").document["places"]
    assert (place["snapshots"], place["packages"], place["kept"]) == ([], [], 1)

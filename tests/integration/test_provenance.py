# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands beside the demo's packages, and that `verify` finds whatever does not fit, with real tools."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from pipeline import files
from pipeline.attestation import header, statement, verify
from tests.integration.checkout import ROOT, Checkout, copy_checkout

# The digest of the first patch, as packages provide it, and another one.
FIRST = files.sha256_of(next((ROOT / "patches/vdsm").glob("0001-*.patch")))[:12]
OTHER = ("1" if FIRST[0] == "0" else "0") + FIRST[1:]

Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout, in no git repository, whose demo was built once; not to be changed."""
    return build(tmp_path_factory.mktemp("checkout"))


def build(root: Path, *words: str) -> Checkout:
    checkout = copy_checkout(root)
    result = checkout.run("provenance", *words)
    assert result.code == 0, result.stderr
    return checkout


def packages(checkout: Checkout) -> list[Path]:
    return sorted([*checkout.job.glob("RPMS/*/*.rpm"), *checkout.job.glob("SRPMS/*.rpm")])


def commit(root: Path) -> str:
    """Make the folder a repository with all in it committed."""
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"]
    (root / ".gitignore").write_text("out/\n__pycache__/\n")
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "all"]):
        subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True)
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=root, text=True).strip()


@pytest.fixture
def package(built: Checkout, tmp_path: Path) -> Path:
    """A package with its statement and SBOM, to be spoilt."""
    (path,) = built.job.glob("RPMS/x86_64/*.rpm")
    for part in path.parent.glob(f"{path.name}*"):
        shutil.copy(part, tmp_path)
    assert verify.examine([tmp_path / path.name])[0].problems == ()
    return tmp_path / path.name


@pytest.fixture
def signed(released: Checkout) -> Path:
    """One of our packages as it was published, to be spoilt."""
    (path,) = (released.mirror / "x86_64").glob("vdsm-4*904.x86_64.rpm")
    assert verify.examine([path])[0].problems == ()
    return path


def beside(package: Path, suffix: str) -> Path:
    return package.with_name(package.name + suffix)


def test_every_package_says_each_of_its_patches(built: Checkout) -> None:
    series = (built.root / "patches/vdsm/series").read_text().split()
    for path in built.job.glob("RPMS/*/*.rpm"):
        told = subprocess.check_output(["rpm", "-qp", "--provides", path], text=True).splitlines()
        versions = [line.rpartition(" = ")[2] for line in told if line.startswith("patch(vdsm-")]
        digests = [subprocess.check_output(["sha256sum", built.root / "patches/vdsm" / name], text=True)[:12]
                   for name in series]  # fmt: skip
        assert sorted(versions) == sorted(digests)


def test_every_package_has_a_statement_and_an_sbom_that_the_libraries_take(built: Checkout) -> None:
    assert len(packages(built)) == 8
    for path in packages(built):
        claim = statement.read(beside(path, ".intoto.json").read_text())
        sbom = beside(path, ".cdx.json").read_text()
        assert claim.sha256 == subprocess.check_output(["sha256sum", path], text=True).split()[0]
        assert claim.sha256 in sbom
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom) is None
        assert str(built.root) not in beside(path, ".intoto.json").read_text() + sbom
        assert (claim.commit, claim.dirty) == ("", False)


def test_what_is_said_is_the_same_in_another_folder_but_for_the_package_s_own_digest(
    built: Checkout, tmp_path: Path
) -> None:
    source = tmp_path / "vdsm.src.rpm"
    shutil.copy(next((built.job / "srpm").rglob("*.src.rpm")), source)
    checkouts = []
    for name in ("one", "two with a longer name"):
        (tmp_path / name).mkdir()
        checkouts.append(build(tmp_path / name, "--source", f"srpm:{source}"))
    for one, two in zip(*map(packages, checkouts), strict=True):
        for suffix in (".intoto.json", ".cdx.json"):
            assert _blank(beside(one, suffix)) == _blank(beside(two, suffix))


def _blank(path: Path) -> str:
    """The text without the digests of package and statement, and what is made from these."""
    text = path.read_text()
    package = path.with_name(path.name.partition(".rpm.")[0] + ".rpm")
    for each in (package, beside(package, ".intoto.json")):
        digest = subprocess.check_output(["sha256sum", each], text=True).split()[0]
        text = text.replace(digest, "DIGEST")
    document = json.loads(text)
    document.pop("serialNumber", None)
    return json.dumps(document, indent=1)


def test_what_is_said_of_the_same_package_is_the_same_to_the_byte(built: Checkout, tmp_path: Path) -> None:
    texts = {path: path.read_bytes() for path in built.job.rglob("*.rpm.*.json")}
    assert len(texts) == 16
    for path in texts:
        path.unlink()
    result = built.run("provenance")
    assert result.stages["build"] == "cached"
    assert result.stages["provenance"] == "ok"
    assert {path: path.read_bytes() for path in built.job.rglob("*.rpm.*.json")} == texts


def test_verify_holds_what_was_built_and_tells_where_from(built: Checkout) -> None:
    result = built.run("verify", *map(str, packages(built)))

    assert result.code == 0, result.stderr
    assert result.document["status"] == "ok"
    for row in result.document["files"]:
        assert row["problems"] == []
        assert len(row["provenance"]["patches"]) == 6
        assert row["provenance"]["source"]["file"] == "vdsm-4.16.30-0.demo.src.rpm"
        assert row["provenance"]["number"] == 904


def test_verify_ends_with_16_and_a_line_for_each_file_that_does_not_hold(built: Checkout, package: Path) -> None:
    beside(package, ".cdx.json").unlink()
    good = packages(built)[0]

    result = built.run("verify", str(good), str(package), "none.rpm")

    assert result.code == 16
    told = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert told == [
        f"warning: {package}: its SBOM {package.name}.cdx.json: it does not exist",
        "warning: none.rpm: it does not exist",
    ]
    assert result.error_line.startswith("error: 2 of 3 packages are not what is said of them")
    assert [bool(row["problems"]) for row in result.document["files"]] == [False, True, True]
    assert result.document["status"] == "failed"


def test_verify_without_a_file_is_the_stage_of_that_name(built: Checkout) -> None:
    result = built.run("verify", "--dry-run")
    assert result.code == 0, result.stderr
    assert [*result.stages][-1] == "verify"


def _replace(suffix: str, before: str, after: str) -> Edit:
    def edit(package: Path) -> None:
        path = beside(package, suffix)
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    return edit


def _append(package: Path) -> None:
    with package.open("ab") as stream:
        stream.write(b"\0")


def _cut(package: Path) -> None:
    package.write_bytes(package.read_bytes()[:-1])


def _flip(package: Path) -> None:
    content = bytearray(package.read_bytes())
    content[-20] ^= 1
    package.write_bytes(content)


def _flip_header(package: Path) -> None:
    """A letter of the summary, behind the signatures."""
    content = package.read_bytes()
    end = content.index(b"\x8e\xad\xe8\x01", content.index(b"\x8e\xad\xe8\x01") + 4)
    at = content.index(b"4.16.30", end)
    package.write_bytes(content[:at] + b"5" + content[at + 1 :])


def _text(package: Path) -> None:
    package.write_text("no package")


def _folder(package: Path) -> None:
    package.unlink()
    package.mkdir()


def _other_digest(package: Path) -> None:
    (subject,) = json.loads(beside(package, ".intoto.json").read_text())["subject"]
    _replace(".intoto.json", subject["digest"]["sha256"], "0" * 64)(package)


def _foreign_statement(package: Path) -> None:
    (subject,) = json.loads(beside(package, ".intoto.json").read_text())["subject"]
    _other_digest(package)
    _replace(".intoto.json", subject["annotations"]["headerPayloadSha256"], "1" * 64)(package)


def _whole(suffix: str, content: bytes) -> Edit:
    def write(package: Path) -> None:
        beside(package, suffix).write_bytes(content)

    return write


def _rename(package: Path) -> None:
    for suffix in (".intoto.json", ".cdx.json", ""):
        beside(package, suffix).rename(package.with_name(f"vdsm-new.rpm{suffix}"))
    shutil.copy(package.with_name("vdsm-new.rpm"), package)
    for suffix in (".intoto.json", ".cdx.json"):
        package.with_name(f"vdsm-new.rpm{suffix}").rename(beside(package, suffix))
    _replace(".intoto.json", '"name": "vdsm-4.16.30-0.demo.spicedisconnectactionsbackport.904.x86_64.rpm"',
             '"name": "vdsm-new.rpm"')(package)  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (_append, "it is no RPM, or was changed or cut short ("),
        (_cut, "it is no RPM, or was changed or cut short ("),
        (_flip, "it is no RPM, or was changed or cut short ("),
        (_text, "it is no RPM, or was changed or cut short ("),
        (_folder, "it is no file"),
        (_foreign_statement, "its statement is about another file: sha256 000000000000, this one has"),
        (_other_digest, "its SBOM says another sha256"),
        (_rename, "its statement is about vdsm-new.rpm"),
        (lambda package: beside(package, ".intoto.json").unlink(), "rpm.intoto.json: it does not exist"),
        (lambda package: beside(package, ".cdx.json").unlink(), "rpm.cdx.json: it does not exist"),
        (_whole(".intoto.json", b"{"), "rpm.intoto.json: Expecting property name"),
        (_whole(".intoto.json", b"\xff"), "can't decode byte 0xff"),
        (_whole(".cdx.json", b"{}"), "rpm.cdx.json: 'bomFormat' is a required property"),
        (_whole(".cdx.json", b'{"bomFormat": "CycloneDX", "specVersion": "1.6"}'), "SBOM says another serial number"),
        (_replace(".intoto.json", '"package": "vdsm"', '"package": "other"'), "is about the package other"),
        (_replace(".intoto.json", '"evr": "4.16.30-0', '"evr": "4.16.31-0'), "says the release is 4.16.31"),
        (_replace(".intoto.json", '"number": 904', '"number": 905'), "says number 905, given out as 904"),
        (_replace(".intoto.json", '"number": 904,\n     "remote"', '"number": 905,\n     "remote"'), "out as 905"),
        (_replace(".intoto.json", f"= {FIRST}", f"= {OTHER}"), "names a patch that the package does not prov"),
        (_replace(".intoto.json", f'"{FIRST}', f'"{OTHER}'), f"another digest than it provides: {OTHER}"),
        (_replace(".intoto.json", '"provides": "patch(vdsm-vm-act-on', '"was": "patch(vdsm-vm-act-on'),
         "does not name a patch that the package provides: patch(vdsm-vm-act-on-console-disconnect)"),
        (_replace(".intoto.json", '"python": "3', '"python": "4'), "its SBOM says another statement: "),
        (_replace(".intoto.json", "demo:tests/demo/vdsm", "demo:elsewhere"), "its SBOM says another statement: "),
        (_replace(".cdx.json", '"purl": "pkg:rpm/vdsm@4.16.30-0.demo?', '"purl": "pkg:rpm/vdsm@4.1-0.demo?'),
         "its SBOM says another source package"),
        (_replace(".cdx.json", f'"{FIRST}', f'"{OTHER}'), "its SBOM says another digests of the patches"),
        (_replace(".cdx.json", "GPL-2.0-or-later", "MIT"), "its SBOM says another licence"),
        (_replace(".cdx.json", "demo:tests/demo/vdsm", "demo:elsewhere"), "SBOM says another origin of the source"),
        (_replace(".cdx.json", "T00:00:00", "T00:00:01"), "its SBOM says another time"),
    ],
)  # fmt: skip
def test_verify_finds_what_does_not_fit(package: Path, edit: Edit, told: str) -> None:
    edit(package)
    problems = verify.examine([package])[0].problems
    assert any(told in problem for problem in problems), problems
    assert all("\n" not in problem for problem in problems)


def test_a_package_that_says_nothing_of_its_patches_is_found(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = header.read(package)
    for name, problems in (("vdsm", 6), ("vdsm-debuginfo", 0)):
        silent = replace(told, name=name, capabilities=())
        monkeypatch.setattr("pipeline.attestation.header.read", lambda path, silent=silent: silent)
        found = [line for line in verify.examine([package])[0].problems if "does not provide" in line]
        assert len(found) == problems


def test_a_package_with_other_provides_than_patches_is_found(package: Path, built: Checkout) -> None:
    """The vendor's own, with papers that somebody made for it."""
    vendor = next((built.job / "srpm").rglob("*.src.rpm"))
    ours = beside(package, ".intoto.json").read_text()
    other = package.with_name("other.src.rpm")
    shutil.copy(vendor, other)
    digest = json.loads(ours)["subject"][0]["digest"]["sha256"]
    own = subprocess.check_output(["sha256sum", other], text=True).split()[0]
    beside(other, ".intoto.json").write_text(ours.replace(digest, own).replace(package.name, other.name))
    problems = verify.examine([other])[0].problems
    assert any("says the release is" in problem for problem in problems)
    assert any("the package has None" in problem for problem in problems)


def test_the_build_fails_where_the_template_does_not_say_the_patches(checkout: Checkout) -> None:
    checkout.edit("specs/vdsm/vdsm.spec.j2", "Provides: {{ patch.capability }}\n", "")
    result = checkout.run("provenance")
    assert result.code == 10
    assert "provides other patches than it has: patch(vdsm-vm-act-on-console-disconnect)" in result.error_line
    assert not list(checkout.job.rglob("*.intoto.json"))


def test_a_commit_and_its_changes_are_told_and_a_later_commit_is_not(checkout: Checkout) -> None:
    first = commit(checkout.root)
    assert checkout.run("provenance").code == 0
    (path,) = checkout.job.glob("SRPMS/*.intoto.json")
    assert (statement.read(path.read_text()).commit, statement.read(path.read_text()).dirty) == (first, False)

    (checkout.root / "pipeline/more.py").write_text("")
    result = checkout.run("provenance")
    assert result.stages["build"] == "cached"
    assert "warning: uncommitted changes in the checkout: the provenance says dirty" in result.stderr
    assert statement.read(path.read_text()).dirty
    assert '"dirty": true' in path.read_text()

    second = commit(checkout.root)
    assert checkout.run("provenance").stages["provenance"] == "ok"
    assert (statement.read(path.read_text()).commit, statement.read(path.read_text()).dirty) == (second, False)

    (checkout.root / "README.md").write_text("")
    commit(checkout.root)
    assert checkout.run("provenance").stages["provenance"] == "cached"


def test_a_real_release_from_uncommitted_changes_is_refused_before_anything_is_made(checkout: Checkout) -> None:
    commit(checkout.root)
    (checkout.root / "patches/vdsm/notes").write_text("")
    words = (
        "--target",
        "el6",
        "--engine",
        "host",
        "--source",
        "srpm:none.src.rpm",
    )

    for command in ("release", "publish"):
        result = checkout.run(command, *words)
        assert result.code == 15
        assert result.document["error"]["reference"] == "checkout-dirty"
        assert "uncommitted changes (patches/vdsm/notes)" in result.error_line
        assert not checkout.out.exists()

    assert "a release would be refused: the checkout has uncommitted" in checkout.run("plan", *words).stderr
    for allowed in (checkout.run("release", *words, "--allow-dirty"), checkout.run("repo", *words)):
        assert allowed.document["error"]["reference"] == "srpm-missing"
    assert checkout.run("release", "--source", "demo").code == 0


# ---- what is published: signed copies, with the statements of what was built beside them


def published(checkout: Checkout) -> list[Path]:
    return sorted(path for path in checkout.mirror.rglob("*.rpm") if "snapshots" not in path.parts)


def test_verify_takes_a_signed_copy_and_says_so(released: Checkout, tmp_path: Path) -> None:
    ours = [path for path in published(released) if beside(path, ".intoto.json").exists()]
    result = released.run("verify", *map(str, ours))
    assert result.code == 0, result.stderr
    assert len(ours) == 8
    assert all(row["signed_copy"] for row in result.document["files"])
    assert f"{ours[0].name} holds: it is a signed copy of what was built" in result.stderr

    vendor = next(path for path in published(released) if path not in ours)
    other = next(path for path in ours if path.name.startswith("vdsm-4") and "x86_64" in path.name)
    for path, by in ((vendor, vendor), (other, vendor), (other, other)):
        spoilt = tmp_path / path.name
        for suffix in ("", ".intoto.json", ".cdx.json"):
            if (source := beside(path if suffix else by, suffix)).exists():
                shutil.copy(source, tmp_path / f"{path.name}{suffix}")
        (verdict,) = verify.examine([spoilt])
        if by is other:
            assert verdict.problems == ()
            beside(spoilt, ".cdx.json").unlink()
            assert "SBOM" in verify.examine([spoilt])[0].problems[0]
        elif path is vendor:
            assert verdict.problems == (f"nothing is said of it: {vendor.name}.intoto.json: it does not exist",)
        else:
            assert verdict.problems[0].startswith("its statement is about another file: sha256 ")


@pytest.mark.parametrize("edit", [_flip, _cut, _append, _flip_header])
def test_an_edited_signed_copy_is_refused(signed: Path, edit: Edit) -> None:
    edit(signed)
    assert verify.examine([signed])[0].problems


def test_a_copy_whose_header_and_payload_are_others_is_refused_by_its_statement(signed: Path) -> None:
    """As if its own digests had been made to fit."""
    for edit in (_flip, _flip_header):
        edit(signed)
        (problem,) = verify.hold(signed, files.sha256_of(signed)).problems[:1]
        assert problem.startswith(("its statement is about another file: sha256 ", "it is no RPM"))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Custom VM properties: what is read, what ours become in it, and that the undone text is the first, byte for byte."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engineproperties import regex
from pipeline.engineproperties.merge import merge_all
from pipeline.engineproperties.printed import read_texts
from pipeline.engineproperties.telling import diff, warnings
from pipeline.engineproperties.text import NAME, read_properties
from pipeline.errors import SettingsError, UsageError
from pipeline.settings import read_settings

ACTION, WAIT = "spice_disconnect_action", "spice_disconnect_waittime_seconds"
OURS = {ACTION: "^(noop|lock|logoff|shutdown|reboot)$", WAIT: "^[0-9]+$"}
ACTIONS = ("noop", "lock", "logoff", "shutdown", "reboot")
OTHERS = "hostusb=^0x[0-9a-fA-F]{4}:0x[0-9a-fA-F]{4}$;floppy=^.*$"

PRINTED = f"""\
{NAME}:  version: 3.0
{NAME}: sap_agent=^(true|false)$ version: 3.1
{NAME}:  version: 3.2
{NAME}: floppy=^.*$; version: 3.3
{NAME}: {ACTION}=^lock$ version: 3.4
{NAME}: {OTHERS} version: 3.5
"""

# Pieces of which any row is a regex that Java takes, and none of which a ';' alone.
PIECES = ("a", "^", "$", ".*", "[;=]", "[]b;c=]", "[^];]", "(x;b=1)", "(?:a|;)", r"\;", r"\\", r"\[", r"\Q;k=(\E",
          "[0-9]{2}", "=", "'", '"', "`", "!", "!!", "$HOME", "$(id)", "#", "~", " ", "ä", "a?",
          r"\p{Alpha}")  # fmt: skip
REGEXES = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
KEYS = st.one_of(st.sampled_from((ACTION, WAIT, "floppy")), st.from_regex("[A-Za-z0-9_]{1,8}", fullmatch=True))


@st.composite
def property_texts(draw) -> str:
    pairs = draw(st.lists(st.tuples(KEYS, REGEXES), max_size=6, unique_by=lambda pair: pair[0]))
    end = ";" if pairs and draw(st.booleans()) else ""
    return ";".join(f"{key}={value}" for key, value in pairs) + end


def merged(text: str, version: str = "3.5"):
    (merge,) = merge_all({version: text}, OURS)
    return merge


def text_of(line: str) -> str:
    """The text that a printed line sets."""
    name, option, setting, version = shlex.split(line)
    assert (name, option, version) == ("engine-config", "-s", "--cver=3.5")
    return setting.removeprefix(f"{NAME}=")


@pytest.mark.parametrize(
    "text",
    ["", OTHERS, f"{OTHERS};", f"floppy=^.*$;{ACTION}=^(lock|reboot)$;sap_agent=^(true|false)$",
     f"{WAIT}=^.*$;{ACTION}=^.*$;", "a=^[;]$;b=^(x;c=1)$;d=^x;y$", r"a=^\;c=1$;b=^'\"`!$(id)$", "a=;b=^=;=$"],
    ids=["nothing", "others", "trailing", "ours", "ours-other-order", "semicolons", "quotes", "empty-regex"],
)  # fmt: skip
def test_a_merge_is_the_golden_one(text, snapshot):
    merge = merged(text)
    told = [f"< {merge.former}", f"> {merge.new}", *diff(merge), *warnings(merge), merge.set_line, merge.undo_line]
    assert "\n".join(told) == snapshot


def test_version_by_version_is_the_golden_one(snapshot):
    versions = ("3.0", "3.1", "3.2", "3.3", "3.4", "3.5")
    merges = merge_all(read_texts(PRINTED, versions), OURS)
    assert "\n".join(line for each in merges for line in (each.set_line, each.undo_line)) == snapshot


@given(property_texts())
def test_others_stay_in_their_order_ours_are_there_once_and_twice_changes_nothing(text):
    merge = merged(text)
    before, after = read_properties(text, "it"), read_properties(merge.new, "it")
    assert str(before) == text
    assert after.has_trailing_semicolon == before.has_trailing_semicolon
    keys = [each.key for each in before.properties]
    assert [each.key for each in after.properties] == [*keys, *(key for key in OURS if key not in keys)]
    former = {each.key: each.regex for each in before.properties}
    assert {each.key: each.regex for each in after.properties} == {**former, **OURS}
    assert (merged(merge.new).new, merged(merge.new).is_changed) == (merge.new, False)


@given(property_texts())
def test_the_lines_set_and_undo_byte_for_byte(text):
    merge = merged(text)
    assert text_of(merge.set_line).encode() == merge.new.encode()
    assert text_of(merge.undo_line).encode() == text.encode()
    assert merged(text_of(merge.undo_line)).new == merge.new


@given(st.one_of(st.text(max_size=40), st.text(st.sampled_from("ab=;()[]^$\\QE|{}?<'"), max_size=40)))
def test_any_text_is_read_byte_for_byte_or_refused(text):
    try:
        assert str(read_properties(text, "it")) == text
    except UsageError as error:
        assert error.exit_code == 2
        assert error.message.startswith("it: ")
    else:
        assert merged(merged(text).new).is_changed is False


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("a=1;b=2", ["a", "b"]),
        ("a=^[;];b=2", ["a", "b"]),
        ("a=^(x;y=1)$;b=2", ["a", "b"]),
        ("a=^[(];b=2", ["a", "b"]),
        ("a=^[]];b=2", ["a", "b"]),
        ("a=^[^];x=];b=2", ["a", "b"]),
        ("a=^[a[;b=]]$;b=2", ["a", "b"]),
        (r"a=^\[;b=2", ["a", "b"]),
        (r"a=^\;b=2", ["a"]),
        (r"a=^\\;b=2", ["a", "b"]),
        (r"a=^\Q(;\E;b=2", ["a", "b"]),
        ("a=x;y;b=2", ["a", "b"]),
        ("a=x;;b=2", ["a", "b"]),
        ("a=x=y;b==", ["a", "b"]),
    ],
)
def test_a_semicolon_separates_outside_of_a_regex_and_before_a_key(text, keys):
    read = read_properties(text, "it")
    assert [each.key for each in read.properties] == keys
    assert str(read) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a=1;a=2", "'a' is there 2 times"),
        ("a=^(x$", "the regex of 'a' does not compile: a '(' is not closed"),
        ("a=^(x$;b=^y$", "the regex of 'a' does not compile: a '(' is not closed"),
        ("a=^[[]$;b=1", "the regex of 'a' does not compile: a '[' is not closed"),
        ("a=^x)$", "the regex of 'a' does not compile: unbalanced parenthesis"),
        (r"a=^\Qx;b=1", r"the regex of 'a' does not compile: a '\Q' is not closed"),
        ("a=*", "the regex of 'a' does not compile: nothing to repeat"),
        ("a=x{9999999999999}", "the regex of 'a' does not compile: the repetition number is too large"),
        (r"a=\y", r"the regex of 'a' does not compile: bad escape \y"),
        ("a=(?P<n>x)", "the regex of 'a' does not compile: Java knows no '(?P'"),
        ("nothing", "'nothing' does not begin with key=, where a key is of letters, digits and _"),
        ("a-b=1", "'a-b=1' does not begin with key=, where a key is of letters, digits and _"),
        (";", "'' does not begin with key=, where a key is of letters, digits and _"),
        (f"{NAME}=a=^1$", f"it begins with {NAME}=, which is no property"),
        ("a=\x1b[31m", "there is a control or invisible character, U+001B, at character 3"),
        ("a=1\x00", "there is a control or invisible character, U+0000, at character 4"),
        ("a=\u202ex", "there is a control or invisible character, U+202E, at character 3"),
        ("a=\udcff", "there is no UTF-8 at character 3"),
    ],
)
def test_a_text_that_cannot_be_meant_is_told_in_one_line(text, told):
    with pytest.raises(UsageError) as caught:
        read_properties(text, "version 3.5")
    assert caught.value.message == f"version 3.5: {told}"
    assert caught.value.hint


def test_a_text_that_the_engine_has_no_room_for_is_refused():
    room = 4000 - len(merged("a=").new)
    assert len(merged("a=" + "x" * room).new) == 4000
    with pytest.raises(UsageError, match="version 3.5: the new text has 4001 characters, and the engine keeps 4000"):
        merged("a=" + "x" * (room + 1))


@pytest.mark.parametrize(
    "java",
    [r"^\p{Alnum}+$", r"^\PL$", r"^\Q(\E$", r"(?<name>a)\k<name>", r"\x{1F600}", r"[\x{41}-\x{5a}]", r"^a\z",
     r"\ca", "^(?i)a$", "a++", "(?>a)", "[a-z&&[^bc]]", "(?<=a{1,3})b", r"\h\R", r"[\p{L}\s]", "[]a]", "[a[bc]]",
     r"\u0041", ""],
)  # fmt: skip
def test_what_java_takes_compiles(java):
    assert regex.fault(java) == ""


def test_only_the_asked_versions_are_read():
    printed = f"{NAME}: a=( version: 3.0\r\n{NAME} : b=1 version: 3.4  version: 3.5\r\n\n"
    assert read_texts(printed, ("3.5",)) == {"3.5": "b=1 version: 3.4 "}


@pytest.mark.parametrize("printed", ["", "\n", f"{NAME}:  version: 3.5", f"{NAME}:  version: 3.5\n"])
def test_nothing_is_an_empty_text(printed):
    assert read_texts(printed, ("3.5",)) == {"3.5": ""}


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (PRINTED + f"{NAME}:  version: 3.5\n", "version 3.5 has two values, in lines 6 and 7"),
        (PRINTED.replace("3.1", "3.0"), "version 3.0 has two values, in lines 1 and 2"),
        (PRINTED.replace("3.5", "3.6"), "the text has no version 3.5"),
        (PRINTED + "oops\n", "line 7 is no version's: 'oops'"),
        (PRINTED.replace(" version: 3.0", ""), f"line 1 is no version's: '{NAME}: '"),
        ("a=1\nb=2\n", "line 1 of 2 is no version's"),
    ],
)
def test_printed_text_that_cannot_be_meant_is_told(printed, told):
    with pytest.raises(UsageError) as caught:
        read_texts(printed, ("3.5",))
    assert (caught.value.message, caught.value.exit_code) == (told, 2)
    assert caught.value.hint


def test_a_value_alone_is_of_one_version():
    with pytest.raises(UsageError, match="the text is of one version, and 2 are asked for"):
        read_texts("a=1", ("3.4", "3.5"))


@pytest.fixture
def shipped(root_dir):
    return read_settings(root_dir, environ={}).packages["vdsm"]


def test_the_shipped_properties_are_those_of_the_patch(root_dir, shipped):
    assert shipped.engine_properties == OURS
    assert shipped.engine_versions[-1] == "3.5"
    (patch,) = (root_dir / "patches/vdsm").glob("0001-*.patch")
    (actions,) = re.findall(r"^\+ +_DISCONNECT_ACTIONS = \((.*)\)$", patch.read_text(), re.MULTILINE)
    assert tuple(re.findall(r"'(\w+)'", actions)) == ACTIONS
    for key in OURS:
        assert f"'{key}'" in patch.read_text()


@given(
    st.one_of(
        st.sampled_from(ACTIONS),
        st.text(max_size=10),
        st.lists(st.sampled_from([*ACTIONS, "\n", "|", " "]), max_size=3).map("".join),
    )
)
def test_our_action_is_one_of_five_and_nothing_else(value):
    assert bool(re.fullmatch(OURS[ACTION], value)) == (value in ACTIONS)


@given(st.one_of(st.integers(0).map(str), st.text(max_size=6), st.floats().map(str)))
def test_our_wait_is_whole_seconds(value):
    assert bool(re.fullmatch(OURS[WAIT], value)) == bool(value and set(value) <= set("0123456789"))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("a = 'lock'", "packages.vdsm.engine_properties.a: 'lock' should be about the whole value: write ^…$"),
        (r"a = '^lock\$'", "packages.vdsm.engine_properties.a: '^lock\\$' should be about the whole value: write ^…$"),
        ("a = '^a$|^b$'", "packages.vdsm.engine_properties.a: '^a$|^b$' should be about the whole value: write ^…$"),
        ("a = '^(a$'", "packages.vdsm.engine_properties.a: '^(a$' does not compile: a '(' is not closed"),
        ("a = '^*$'", "packages.vdsm.engine_properties.a: '^*$' does not compile: nothing to repeat"),
        (r'a = "^a\n$"', "packages.vdsm.engine_properties.a: a regex of the engine has no ';', where it would be cut"),
        ("a = '^[;]$'", "packages.vdsm.engine_properties.a: a regex of the engine has no ';', where it would be cut"),
        ("'a-b' = '^a$'", "packages.vdsm.engine_properties.a-b.[key]: string should match pattern"),
    ],
)  # fmt: skip
def test_a_property_of_ours_that_the_engine_would_not_take_is_a_wrong_setting(checkout_dir, settings_text, line, told):
    path = checkout_dir / "pipeline.toml"
    path.write_text(f"{settings_text}\n[packages.vdsm.engine_properties]\n{line}\n")
    with pytest.raises(SettingsError, match=re.escape(told)):
        read_settings(checkout_dir, environ={})

# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of packages: what each needs, what cannot be ordered, and what rpm prints of a spec."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from graphlib import TopologicalSorter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import rpmquery
from pipeline.errors import BuildError, OrderError
from pipeline.model import BinaryRelations, Relations
from pipeline.order import graph
from pipeline.rpmheaders import Dependency


def relations(name, *build_requires, devel=(), main=(), provides=(), missing=(), version="1-1") -> Relations:
    """A package `name` with a subpackage -devel; `main` and `devel` are what these require."""
    return Relations(
        packages=(
            BinaryRelations(name=name, provides=(f"{name} = {version}",), requires=main),
            BinaryRelations(name=f"{name}-devel", provides=(f"{name}-devel = {version}",), requires=devel),
        ),
        build_requires=build_requires,
        provides=provides,
        missing=missing,
    )


def needs_of(told: Mapping[str, Relations]) -> dict[str, tuple[str, ...]]:
    """The needs of an order without a fault; the first fault is raised."""
    order = graph.order_among(told)
    for error in order.faults.values():
        raise error
    return order.needs


def order_of(needed: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(TopologicalSorter(needed).static_order())


def needs(**told: Relations) -> dict[str, tuple[str, ...]]:
    return {name: needed for name, needed in needs_of(told).items() if needed}


def test_a_package_needs_the_makers_of_what_it_requires_to_be_built():
    assert needs(a=relations("a", "b-devel", "gcc"), b=relations("b", "gcc"), c=relations("c")) == {"a": ("b",)}


def test_it_needs_what_is_installed_with_these():
    """And no more: that c is needed to build b is b's business."""
    told = {
        "a": relations("a", "b-devel"),
        "b": relations("b", "c-devel", devel=("b = 1-1", "d"), main=("e",)),
        "c": relations("c"),
        "d": relations("d"),
        "e": relations("e"),
        "f": relations("f"),
    }
    assert needs(**told) == {"a": ("b", "d", "e"), "b": ("c",)}


def test_what_a_subpackage_requires_that_nobody_installs_does_not_count():
    told = {"a": relations("a", "b-devel"), "b": relations("b", main=("c",)), "c": relations("c", "a-devel")}
    assert needs(**told) == {"a": ("b",), "c": ("a",)}


def test_packages_that_require_each_other_when_they_run_are_no_cycle():
    told = {"a": relations("a", main=("b",)), "b": relations("b", main=("a",)), "c": relations("c", "a")}
    assert needs(**told) == {"c": ("a", "b")}


@pytest.mark.parametrize(
    ("wanted", "needed"),
    [
        ("b", True),
        ("b >= 1.2", True),
        ("b >= 1.10", True),
        ("b > 1.10", False),
        ("b = 1.10", True),
        ("b = 0:1.10-3", True),
        ("b = 1:1.10", False),
        ("b < 2", True),
        ("b <= 1.9", False),
        ("bb", False),
    ],
)
def test_versions_are_compared_as_rpm_does(wanted, needed):
    told = {"a": relations("a", wanted), "b": relations("b", version="1.10-3")}
    assert needs(**told) == ({"a": ("b",)} if needed else {})


def test_a_package_that_requires_what_it_makes_needs_nobody():
    assert needs(a=relations("a", "a-devel"), b=relations("b")) == {}


def test_what_the_settings_say_of_a_package_is_provided_by_any_of_its_own():
    told = {"a": relations("a", "pkgconfig(b) >= 2"), "b": relations("b", provides=("pkgconfig(b) = 2.1",))}
    assert needs(**told) == {"a": ("b",)}
    assert needs(**told | {"b": relations("b", provides=("pkgconfig(b) = 1.9",))}) == {}


def test_two_that_make_one_rpm_are_both_named():
    told = {"a": relations("a"), "b": relations("b"), "c": relations("a")}
    with pytest.raises(OrderError) as caught:
        needs_of(told)
    assert caught.value.message == "a and c both make an RPM of the name a"
    assert caught.value.exit_code == 10


@pytest.mark.parametrize("names", ["abc", "bca", "cab"])
def test_a_cycle_is_shown_as_one_wherever_it_is_found(names):
    behind = {"a": "b", "b": "c", "c": "a"}
    told = {name: relations(name, f"{behind[name]}-devel") for name in names} | {"d": relations("d", "a")}
    with pytest.raises(OrderError) as caught:
        needs_of(told)
    assert caught.value.message == "packages need each other to be built: a -> b -> c -> a"
    assert "take one BuildRequires of these out of a spec" in caught.value.hint


def test_a_package_that_nobody_has_read_gives_what_others_ask_for_under_its_name():
    told = {"b": relations("b", "a-devel >= 2", "pkgconfig(a)", "ab-devel", "liba", "a(x)")}
    (guessed,) = graph.guessed(["a"], told)["a"].packages
    assert guessed.provides == ("a(x)", "a-devel >= 2", "pkgconfig(a)")
    assert needs_of({**told, **graph.guessed(["a"], told)})["b"] == ("a",)


def test_what_reads_like_a_longer_name_or_is_given_is_no_unread_package_s():
    told = {
        "a-protocol": relations("a-protocol"),
        "b": relations("b", "a-protocol-extra", "a-protocol-devel", "a-devel"),
    }
    assert graph.guessed(["a"], told)["a"].packages[0].provides == ("a-devel",)


def test_only_those_at_fault_have_no_order():
    told = {
        "a": relations("a", "b-devel"), "b": relations("b", "a-devel"), "c": relations("c", "a-devel"),
        "d": replace(relations("d", "gcc", "cc1"), missing=("cc1", "gcc")),
        "e": relations("e"), "f": relations("f", "e-devel"),
    }  # fmt: skip
    order = graph.order_among(told)
    assert sorted(order.faults) == ["a", "b", "d"]
    assert order.faults["a"] is order.faults["b"]
    assert order.faults["d"].message.startswith("d requires cc1, gcc to be built, and nobody has them: ")
    assert (order.needs["c"], order.needs["e"], order.needs["f"], order.needs["a"]) == (("a",), (), ("e",), ())


def test_two_cycles_are_told_apart():
    told = {name: relations(name, f"{other}-devel") for name, other in ("ab", "ba", "cd", "dc")}
    faults = graph.order_among(told).faults
    assert faults["a"].message.endswith("a -> b -> a") and faults["c"].message.endswith("c -> d -> c")


def test_a_version_that_the_other_has_not_is_told_where_nobody_checks_it():
    told = {"a": relations("a"), "b": relations("b", "a-devel >= 9")}
    (sentence,) = graph.near_misses(told)
    assert sentence.startswith("b requires a-devel >= 9 to be built, and is not built on it: a has a-devel = ")
    assert graph.near_misses({"a": relations("a"), "b": relations("b", "a-devel", "gcc >= 9")}) == ()


def test_what_the_engine_is_known_to_have_is_no_unread_package_s():
    told = {"b": replace(relations("b", "a-devel", "c-devel"), missing=("c-devel",))}
    assert graph.guessed(["a", "c"], told)["a"].packages[0].provides == ()
    assert graph.guessed(["a", "c"], told)["c"].packages[0].provides == ("c-devel",)


def test_what_is_installed_for_a_build_may_close_a_cycle():
    told = {"a": relations("a", "b-devel"), "b": relations("b", devel=("c",)), "c": relations("c", "a-devel")}
    with pytest.raises(OrderError, match="a -> c -> a"):
        needs_of(told)


def test_what_nobody_has_is_told_unless_a_package_of_the_run_makes_it():
    told = {"a": relations("a", "b-devel", missing=("b-devel",)), "b": relations("b")}
    assert needs(**told) == {"a": ("b",)}
    with pytest.raises(OrderError) as caught:
        needs_of({"a": told["a"]})
    assert caught.value.message.startswith("a requires b-devel to be built, and nobody has it: not the engine")
    assert "`provides`" in caught.value.hint


def test_a_version_that_nobody_has_is_told_with_the_one_there_is():
    told = {"a": relations("a", "b >= 2", missing=("b >= 2",)), "b": relations("b", version="1-1")}
    with pytest.raises(OrderError, match=r"no package of this run \(b has b = 1-1\)"):
        needs_of(told)


def test_what_a_build_turns_out_to_provide_is_told_where_nobody_knew():
    told = {"a": relations("a", "pkgconfig(b)"), "b": relations("b")}
    graph.refuse_unsaid(told, {"b": ("pkgconfig(c)", "b = 1-1"), "a": ("pkgconfig(b) = 1",)})
    with pytest.raises(OrderError) as caught:
        graph.refuse_unsaid(told, {"b": ("pkgconfig(b) = 1",)})
    assert caught.value.message.startswith("a requires pkgconfig(b) to be built, which b turned out to provide")
    assert caught.value.hint == 'write provides = ["pkgconfig(b)"] under [packages.b] in pipeline.toml'
    graph.refuse_unsaid({**told, "b": relations("b", provides=("pkgconfig(b)",))}, {"b": ("pkgconfig(b) = 1",)})
    graph.refuse_unsaid({**told, "a": relations("a", "pkgconfig(b) > 1")}, {"b": ("pkgconfig(b) = 1",)})


@st.composite
def graphs(draw: st.DrawFn, *, cyclic: bool) -> dict[str, Relations]:
    """Packages that require -devel packages of others; without `cyclic`, of those before them alone."""
    count = draw(st.integers(min_value=1, max_value=40 if cyclic else 200))
    names = [f"p{number}" for number in range(count)]
    told: dict[str, Relations] = {}
    for number, name in enumerate(names):
        others = names if cyclic else names[:number]
        chosen = draw(st.lists(st.sampled_from(others), max_size=5)) if others else []
        told[name] = relations(name, *(f"{other}-devel >= 1" for other in chosen), devel=(f"{name} = 1-1",))
    shuffled = draw(st.permutations(names))
    return {name: told[name] for name in shuffled}


def wanted_by(told: dict[str, Relations], name: str) -> set[str]:
    """By the names alone, which is how the graphs are made."""
    return {each.partition("-devel")[0] for each in told[name].build_requires} - {name}


@settings(max_examples=40, deadline=None)
@given(graphs(cyclic=False))
def test_each_package_is_behind_all_that_it_needs(told):
    started = time.monotonic()
    needed = needs_of(told)
    order = order_of(needed)
    assert time.monotonic() - started < 1
    assert sorted(order) == sorted(told)
    place = {name: number for number, name in enumerate(order)}
    for name in told:
        assert set(needed[name]) == wanted_by(told, name)
        assert all(place[need] < place[name] for need in needed[name])


@settings(max_examples=100, deadline=None)
@given(graphs(cyclic=True))
def test_a_cycle_that_is_told_is_really_one_and_without_one_there_is_an_order(told):
    try:
        order = order_of(needs_of(told))
    except OrderError as error:
        shown = error.message.partition(": ")[2].split(" -> ")
        assert shown[0] == shown[-1]
        assert len(set(shown)) == len(shown) - 1 >= 2
        for first, second in pairwise(shown):
            assert second in wanted_by(told, first)
    else:
        place = {name: number for number, name in enumerate(order)}
        assert all(place[need] < place[name] for name in told for need in wanted_by(told, name))


def test_two_hundred_packages_are_ordered_well_within_a_second():
    """The worst there is: each needs all before it, and all are compared."""
    told = {
        f"p{number}": relations(f"p{number}", *(f"p{other}-devel >= 1" for other in range(number)))
        for number in range(200)
    }
    started = time.monotonic()
    assert len(needs_of(told)["p199"]) == 199
    assert time.monotonic() - started < 1


PRINTED = """\
a word of a spec's own command
package\tlib\t=\t2:1.0-1.el6
provides\tlib\t=\t2:1.0-1.el6
provides\tlib(x86-64)\t=\t2:1.0-1.el6
requires\trpmlib(PayloadFilesHavePrefix)\t<=\t4.0-1
requires\tother\t>\t1:2
package\tlib-devel\t=\t2:1.0-1.el6
requires\tlib\t=\t2:1.0-1.el6
source\t\t\t
requires\t(gcc or clang)\t\t
requires\trpmlib(CompressedFileNames)\t<=\t3.0.4-1
requires\tmake\t>=\t3.8
requires\t/usr/bin/sed\t\t
requires\tcmake\t >= \t3
requires\tgmake\t>\t1:3
requires\tnone\t\t
no package provides none
provides\tmake\t=\t1:3.7
provides\tgmake\t=\t1:3.7
found\tmake\t\t
found\tgmake\t\t
found\t/usr/bin/sed\t\t
provides\tcmake\t=\t2.8
found\tcmake\t\t
"""


def test_what_rpm_prints_is_read():
    told = rpmquery.read(PRINTED, provides=("pkgconfig(lib)",), looked=True)
    assert told.makes == ("lib", "lib-devel")
    assert told.packages[0].provides == ("lib = 2:1.0-1.el6", "lib(x86-64) = 2:1.0-1.el6")
    assert told.packages[0].requires == ("other > 1:2",)
    assert told.packages[1] == BinaryRelations(
        name="lib-devel", provides=("lib-devel = 2:1.0-1.el6",), requires=("lib = 2:1.0-1.el6",)
    )
    assert told.build_requires == ("(gcc or clang)", "/usr/bin/sed", "cmake >= 3", "gmake > 1:3", "make >= 3.8", "none")
    assert told.missing == ("cmake >= 3", "none")
    assert told.provides == ("pkgconfig(lib)",)


def test_what_nobody_looked_for_is_not_missing():
    assert rpmquery.read(PRINTED).missing == ()


@pytest.mark.parametrize(
    "text", ["a", "a = 1", "a >= 1:2-3", "(a or b)", "(a >= 1 if b)", "(a >= 1)", "pkgconfig(x) < 2"]
)
def test_a_capability_is_read_as_it_is_told(text):
    assert str(Dependency.read(text)) == text
    assert Dependency.read("a >= 1") == Dependency(name="a", operator=">=", evr="1")


@pytest.mark.parametrize("printed", ["", "provides\ta\t\t\nsource\t\t\t\n", "a word\n"])
def test_a_spec_without_packages_is_told(printed):
    with pytest.raises(BuildError, match="rpm tells of no package in the spec"):
        rpmquery.read(printed)


def test_what_a_spec_prints_itself_is_no_package_s():
    assert rpmquery.read(f"requires\tgcc\t\t\nprovides\n\t\t\t\n{PRINTED}", looked=True) == rpmquery.read(
        PRINTED, looked=True
    )

# SPDX-License-Identifier: GPL-2.0-or-later
"""The stages in order: what each is given, what it makes, and the error its failures become."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import takewhile
from typing import Any

from pipeline import errors, model


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One step: the records it is given (`needs`, in order), and what must have passed before it (`gates`).

    Its module has `inputs(*given, context) -> {name: digest or value}`, all that decides the result
    besides the records, and `run(*given, context) -> record`. `version` rises when its code makes
    something else of the same inputs. A stage that `changes_its_inputs` (the image it finds, the
    mirror it writes) is kept under what they are after it ran; those of any other must not change
    meanwhile. One that is done `alone` uses what all jobs of this process share: only one job is at it
    at a time. What is done `in_engine` can be done wherever there is such an engine. Where cores are
    few, commands of a stage with more `patience` let those with less go first: long ones begin early,
    and short ones fill the places that they leave.
    """

    name: str
    needs: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    record: type
    error: type[errors.PipelineError]
    version: int = 1
    changes_its_inputs: bool = False
    alone: bool = False
    in_engine: bool = False
    patience: int = 0

    def module(self) -> Any:
        """The stage's module, imported when it is first needed: starting stays quick."""
        name = f"pipeline.stages.{self.name}"
        module = sys.modules.get(name)
        # One that another thread is about to import is waited for; to ask for one that is there takes time, too.
        if module is None or getattr(getattr(module, "__spec__", None), "_initializing", False):
            module = import_module(name)
        return module


# For one package and one target.
JOB_STAGES = (
    Stage(
        name="image",
        record=model.Image,
        in_engine=True,
        error=errors.EngineError,
        changes_its_inputs=True,
        alone=True,  # jobs of a target share it
    ),
    Stage(name="fetch", needs=("image",), record=model.Srpm, error=errors.NetworkError, version=2, in_engine=True),
    Stage(
        name="patch",
        needs=("fetch", "image"),
        record=model.PatchedTree,
        error=errors.PatchError,
        version=3,
        in_engine=True,
    ),
    Stage(name="relations", needs=("patch", "image"), record=model.Relations, error=errors.OrderError, in_engine=True),
    Stage(
        name="reserve",
        needs=("patch", "image"),
        gates=("relations",),  # they say what it is built on, which decides its number
        record=model.Reservation,
        error=errors.ReleaseError,
        changes_its_inputs=True,  # the number that it gives out is the highest then
        alone=True,  # the copy of the mirror's metadata
    ),
    Stage(
        name="render",
        needs=("patch", "reserve"),
        record=model.RenderedSpec,
        error=errors.SettingsError,
        version=2,
    ),
    Stage(
        name="unit",
        needs=("patch", "image"),
        record=model.UnitReport,
        error=errors.UnitError,
        version=2,
        in_engine=True,
        patience=1,
    ),
    Stage(
        name="baseline",
        needs=("fetch", "image"),
        gates=("relations",),
        in_engine=True,
        record=model.BuildResult,
        error=errors.BuildError,
    ),
    Stage(name="build", needs=("render", "image"), record=model.BuildResult, error=errors.BuildError, in_engine=True),
    Stage(
        name="contracts",
        needs=("patch", "build", "image"),
        in_engine=True,
        record=model.ContractReport,
        error=errors.UnitError,
        version=2,
        patience=2,
    ),
    Stage(name="lint", needs=("build", "baseline"), record=model.LintReport, error=errors.LintError, patience=2),
    Stage(name="changes", needs=("build", "baseline"), record=model.Changes, error=errors.BuildError),
    Stage(
        name="provenance",
        needs=("render", "build", "image"),
        record=model.Provenance,
        error=errors.BuildError,
        version=3,
    ),
    Stage(name="vendor", needs=("fetch", "baseline"), record=model.VendorSet, error=errors.NetworkError),
    Stage(
        name="sign",
        needs=("build", "vendor", "provenance"),
        gates=("unit", "contracts", "lint", "changes"),
        record=model.SignedSet,
        error=errors.SigningError,
        version=2,
        changes_its_inputs=True,  # it makes the key for trying
        alone=True,
    ),
    Stage(name="gate", needs=("sign", "build"), record=model.GateReport, error=errors.GateError),
)

# For one target: these are given the builds of all its packages at once.
TARGET_STAGES = (
    Stage(
        name="repo",
        needs=("sign",),
        gates=("unit", "contracts", "lint", "changes", "gate"),
        record=model.Repository,
        error=errors.PublishError,
        version=3,
        changes_its_inputs=True,  # it is staged for what stands then
    ),
    Stage(name="verify", needs=("repo",), record=model.ProofReport, error=errors.VerifyError),
    Stage(
        name="publish",
        needs=("repo",),
        gates=("verify",),
        record=model.Publication,
        error=errors.PublishError,
        version=2,
        changes_its_inputs=True,
    ),
)

# What another machine may do: all of a job that needs no key. As a last stage, it is named so.
KEYLESS_STAGES = tuple(takewhile(lambda stage: stage.name != "sign", JOB_STAGES))
KEYLESS = "job"

STAGES = {stage.name: stage for stage in (*JOB_STAGES, *TARGET_STAGES)}


@lru_cache
def needed_for(last: str) -> frozenset[str]:
    """The names of the stages that must have passed for `last` to be done, itself included."""
    if last == KEYLESS:
        return frozenset(stage.name for stage in KEYLESS_STAGES)
    stage = STAGES[last]
    return frozenset({last}).union(*(needed_for(name) for name in (*stage.needs, *stage.gates)))

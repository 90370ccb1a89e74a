"""From a job to its steps; pure, so that the workflow stays deterministic and small."""

from dataclasses import dataclass
from typing import Final

from jobs.images.contract import MAIN, ImageFile, ImageJob, ImageResult, StepTime, Variant
from jobs.images.operations import (
    AutoOrient,
    Change,
    Compress,
    Convert,
    Operation,
    Output,
    Resize,
)
from jobs.images.steps import Branch, Encoding, StepOutcome

SOURCE: Final = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step, what it reads, and under which names later steps read what it keeps."""

    name: str
    reads: str
    """``source``, ``main``, or a variant's name."""
    branches: list[Branch]
    keeps: list[str]
    """One name per branch."""


def plan(job: ImageJob) -> list[PlannedStep]:
    """Return the steps of ``job``, at least one.

    Each operation on pixels is a step; the first one also opens the source, because a JPEG decodes
    several times faster if the first resize is known. ``compress`` and ``convert`` are one step at
    the end; without them the last operation's step encodes. Then comes a step per variant.
    """
    changes = pixel_changes(job.operations)
    parts = [[change] for change in changes]
    names: list[str] = [change.type for change in changes]
    if writing := [
        operation.type for operation in job.operations if isinstance(operation, Compress | Convert)
    ]:
        parts.append([])
        names.append(", ".join(writing))
    if not parts:
        parts, names = [[]], ["auto_orient"]
    wanted = any(variant.start == "result" for variant in job.variants)
    steps = []
    for index, (name, part) in enumerate(zip(names, parts, strict=True)):
        final = index == len(parts) - 1
        # an encode that reads a kept picture leaves it for the variants
        keep = not final or (wanted and (bool(part) or index == 0))
        branch = Branch(
            changes=part,
            keep=keep,
            encoding=encoding(MAIN, job.operations, job.output) if final else None,
        )
        reads = MAIN if index else SOURCE
        steps.append(PlannedStep(name=name, reads=reads, branches=[branch], keeps=[MAIN]))
    for variant in job.variants:
        steps.append(plan_variant(variant, steps[0]))
    return steps


def plan_variant(variant: Variant, first: PlannedStep) -> PlannedStep:
    """Return the step of ``variant``; one that starts with the source has a branch in ``first``."""
    changes = pixel_changes(variant.operations)
    reads = MAIN
    if variant.start == "source":
        opening = [change for change in changes[:1] if isinstance(change, Resize)]
        changes = changes[len(opening) :]
        first.branches.append(Branch(changes=opening, keep=True))
        first.keeps.append(variant.name)
        reads = variant.name
    branch = Branch(
        changes=changes, encoding=encoding(variant.name, variant.operations, variant.output)
    )
    return PlannedStep(
        name=f"variant {variant.name}", reads=reads, branches=[branch], keeps=[variant.name]
    )


def pixel_changes(operations: list[Operation]) -> list[Change]:
    """Return the operations that change pixels, in order."""
    return [
        operation
        for operation in operations
        if not isinstance(operation, AutoOrient | Compress | Convert)
    ]


def encoding(name: str, operations: list[Operation], output: Output) -> Encoding:
    """Return how the file ``name`` is written; ``convert`` stands for ``output``."""
    compress = None
    for operation in operations:
        match operation:
            case Convert():
                output = Output.model_validate(operation.model_dump(exclude={"type"}))
            case Compress():
                compress = operation
            case _:
                pass
    return Encoding(name=name, output=output, compress=compress)


def sum_up(
    steps: list[PlannedStep], outcomes: list[StepOutcome], files: list[ImageFile]
) -> ImageResult:
    """Return the job's result."""
    source = outcomes[0].source
    branches = [branch for outcome in outcomes for branch in outcome.outcomes]
    shown = next((branch for branch in branches if branch.placeholder is not None), None)
    if source is None or shown is None or shown.placeholder is None:
        msg = "the first step tells of the source, and one step makes the main file"
        raise AssertionError(msg)
    main = next(file for file in files if file.name == MAIN)
    return ImageResult(
        files=files,
        placeholder=shown.placeholder,
        blurhash=shown.blurhash,
        warnings=sorted({warning for outcome in outcomes for warning in outcome.warnings}),
        source=source,
        saved_percent=round(100 * (1 - main.bytes / source.bytes), 1),
        steps=[
            StepTime(name=step.name, ms=outcome.ms, cpu_ms=outcome.cpu_ms)
            for step, outcome in zip(steps, outcomes, strict=True)
        ],
    )

"""Steps of the image job.

Their effects are files, so each is idempotent by name: a picture between two steps is named after
all it was made from, a finished file after its content, so that repeating a step writes the same
objects. The engine works on local files; what a step makes goes through the storage, so that the
next step may run on another machine.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from temporalio import activity

from activities.images.beating import Tracker, beating
from activities.images.needs import ImageCatalog, ImageEngine, ImageStorage, Scratch
from activities.progress import report
from activities.working import job_folder
from jobs.errors import TransientError
from jobs.files import ObjectNotFound, ObjectTooLarge
from jobs.images.contract import ImageFile, SourceFacts
from jobs.images.errors import (
    FileTooBig,
    IntermediateLost,
    SourceMissing,
    SourceNotVisible,
    WatermarkMissing,
)
from jobs.images.operations import Watermark
from jobs.images.steps import (
    Abandonment,
    Branch,
    BranchOutcome,
    BranchWork,
    ImageClaim,
    ImageOutcome,
    ImageSource,
    ImageStep,
    ImageWork,
    Made,
    Nothing,
    Picture,
    StepOutcome,
    WorkDone,
)

WORK: Final = "work"
"""Where pictures between steps are stored, ``work/<job id>/``."""
LEFTOVER_AGE: Final = timedelta(hours=24)
"""Longer than the kind's deadline: no job can still need what is older."""
SWEEP_INTERVAL_S: Final = 3600
MARGIN: Final = timedelta(seconds=5)
"""Kept free at the end of a step's time, so that its own limit is reached before Temporal's."""
LEAST: Final = timedelta(seconds=1)
EXTENSIONS: Final = {"jpeg": "jpg"}


@dataclass(slots=True)
class Broom:
    """When this worker last swept the storage."""

    swept_at: float | None = None

    def is_due(self) -> bool:
        """Tell whether it is time to sweep, once per interval."""
        now = time.monotonic()
        if self.swept_at is not None and now - self.swept_at < SWEEP_INTERVAL_S:
            return False
        self.swept_at = now
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageActivities:
    """Steps of the image job."""

    storage: ImageStorage
    engine: ImageEngine
    scratch: Scratch
    catalog: ImageCatalog
    max_bytes: int = 30_000_000
    remote_storage: bool = False
    """Whether an object that was stored a moment ago may not be visible yet."""
    broom: Broom = field(default_factory=Broom)

    @activity.defn(name="images.claim")
    async def claim(self, claim: ImageClaim) -> ImageSource:
        """Mark the catalogue's picture as being processed and return where its file is.

        Idempotent by the job id, which the catalogue keeps as the claim.
        """
        job_id = activity.info().workflow_id or ""
        return ImageSource(source=await self.catalog.claim(claim.image_id, claim.owner, job_id))

    @activity.defn(name="images.apply")
    async def apply(self, step: ImageStep) -> StepOutcome:
        """Read a picture, change it, and store what is asked for: pictures to go on with, files.

        Idempotent by names made from content (see the module). ``last`` deletes the pictures
        between the steps; a repetition after that raises ``IntermediateLost``, and the workflow
        begins again from the source, to the same files.
        """
        began = time.monotonic()
        tracker = Tracker(step=step.name, total=len(step.branches) + 3)
        async with beating(tracker):
            with self.scratch.room() as room:
                done, outcomes, source = await self._apply(step, room, tracker)
            if step.last:
                await self._clear()
            if self.broom.is_due():
                with suppress(TransientError):  # it is no part of this step
                    await self.sweep()
        return StepOutcome(
            outcomes=outcomes,
            source=source,
            warnings=done.warnings,
            ms=round(1000 * (time.monotonic() - began)),
            cpu_ms=done.cpu_ms,
        )

    @activity.defn(name="images.complete")
    async def complete(self, outcome: ImageOutcome) -> Nothing:
        """Record the files in the catalogue; idempotent by the claim."""
        job_id = activity.info().workflow_id or ""
        await self.catalog.complete(outcome.image_id, job_id, outcome.files)
        return Nothing()

    @activity.defn(name="images.abandon")
    async def abandon(self, abandonment: Abandonment) -> Nothing:
        """Delete what a failed or cancelled job left, and record the failure; both can be repeated.

        Files that are finished go too: nobody was told of them.
        """
        job_id = activity.info().workflow_id or ""
        report(0, 2)
        await self._clear()
        report(1, 2)
        for file in abandonment.files:
            await self.storage.delete(file.key)
        if abandonment.image_id is not None:
            await self.catalog.fail(abandonment.image_id, job_id, abandonment.error)
        return Nothing()

    def all(self) -> Sequence[Callable[..., object]]:
        """Every step, for the worker to register."""
        return (self.claim, self.apply, self.complete, self.abandon)

    async def sweep(self, now: datetime | None = None) -> int:
        """Delete pictures between steps that no job can still need, and return their number.

        Jobs delete theirs; this is for jobs that were terminated. No step of its own: each worker
        does it once an hour, after a step.
        """
        oldest = (now or datetime.now(UTC)) - LEFTOVER_AGE
        old = [
            found.key
            async for found in self.storage.list(f"{WORK}/")
            if found.modified_at is not None and found.modified_at < oldest
        ]
        for key in old:
            await self.storage.delete(key)
        return len(old)

    async def _apply(
        self, step: ImageStep, room: Path, tracker: Tracker
    ) -> tuple[WorkDone, list[BranchOutcome], SourceFacts | None]:
        path, digest, size = await self._input(step, room)
        marks = await self._marks(step.branches, room)
        tracker.done, tracker.child = 1, room / "progress"
        work = ImageWork(
            path=path,
            is_source=step.source is not None,
            source_format="" if step.picture is None else step.picture.source_format,
            branches=[
                BranchWork(
                    changes=branch.changes,
                    marks={key: mark for key, (mark, _) in marks.items()},
                    keep=room / f"{index}.tiff" if branch.keep else None,
                    file=room / f"{index}.file" if branch.encoding else None,
                    encoding=branch.encoding,
                )
                for index, branch in enumerate(step.branches)
            ],
            on_animated=step.on_animated,
            metadata=step.metadata,
            progress=room / "progress",
        )
        done = await self.engine.run(work, self._time_left())
        made_from = self._digest(step, digest, {key: sha for key, (_, sha) in marks.items()})
        source_format = str(done.facts.get("format", work.source_format))
        outcomes = [
            await self._store(branch, made, f"{made_from}-{index}", source_format)
            for index, (branch, made) in enumerate(zip(work.branches, done.made, strict=True))
        ]
        facts = SourceFacts(**done.facts, bytes=size, sha256=digest) if done.facts else None
        return done, outcomes, facts

    async def _input(self, step: ImageStep, room: Path) -> tuple[Path, str, int]:
        """Return the local file, what it was made from, and its size."""
        path = room / "input"
        if step.picture is not None:
            kept = self.scratch.find(step.picture.key)
            if kept is not None:
                return kept, step.picture.digest, 0
            try:
                await self.storage.fetch(step.picture.key, path)
            except ObjectNotFound as error:
                msg = "the picture of the step before is gone from storage"
                raise IntermediateLost(msg) from error
            return path, step.picture.digest, 0
        try:
            found = await self.storage.fetch(step.source or "", path, limit=self.max_bytes)
        except ObjectTooLarge as error:
            msg = f"source: the file is larger than the {self.max_bytes:,} bytes that are read"
            raise FileTooBig(msg) from error
        except ObjectNotFound as error:
            if self.remote_storage:
                msg = "source: the storage does not show this object"
                raise SourceNotVisible(msg) from error
            raise SourceMissing("source: there is no such object in storage") from error
        return path, found.sha256 or "", found.size

    async def _marks(self, branches: Iterable[Branch], room: Path) -> dict[str, tuple[Path, str]]:
        """Fetch the watermark pictures; return local file and SHA-256 by key."""
        keys = {
            change.image
            for branch in branches
            for change in branch.changes
            if isinstance(change, Watermark) and change.image is not None
        }
        marks = {}
        for index, key in enumerate(sorted(keys)):
            path = room / f"mark-{index}"
            try:
                found = await self.storage.fetch(key, path, limit=self.max_bytes)
            except ObjectTooLarge as error:
                msg = f"watermark.image: larger than the {self.max_bytes:,} bytes that are read"
                raise FileTooBig(msg) from error
            except ObjectNotFound as error:
                msg = "watermark.image: there is no such object in storage"
                raise WatermarkMissing(msg) from error
            marks[key] = (path, found.sha256 or "")
        return marks

    def _digest(self, step: ImageStep, before: str, marks: dict[str, str]) -> str:
        """Return the SHA-256 of everything that the pixels of this step depend on."""
        recipe: dict[str, Any] = {
            "engine": self.engine.fingerprint,
            "before": before,
            "marks": marks,
            "branches": [branch.model_dump(mode="json") for branch in step.branches],
            "metadata": step.metadata,
        }
        canonical = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    async def _store(
        self, branch: BranchWork, made: Made, digest: str, source_format: str
    ) -> BranchOutcome:
        picture = None
        if branch.keep is not None:
            key = f"{work_prefix()}{digest}.tiff"
            await self.storage.put_file(key, branch.keep)
            self.scratch.keep(key, branch.keep)
            picture = Picture(key=key, digest=digest, source_format=source_format)
        if branch.file is None or branch.encoding is None or made.format is None:
            return BranchOutcome(picture=picture)
        name = branch.encoding.name
        extension = EXTENSIONS.get(made.format, made.format)
        key = f"jobs/{job_folder()}/{name}-{made.sha256[:16]}.{extension}"
        await self.storage.put_file(key, branch.file, create=True)
        file = ImageFile(
            name=name,
            key=key,
            width=made.width,
            height=made.height,
            format=made.format,
            bytes=made.size,
            sha256=made.sha256,
            mime=f"image/{made.format}",
            has_alpha=made.has_alpha,
            quality_used=made.quality_used,
        )
        return BranchOutcome(
            picture=picture, file=file, placeholder=made.placeholder, blurhash=made.blurhash
        )

    async def _clear(self) -> None:
        await self.storage.delete_prefix(work_prefix())
        self.scratch.forget(work_prefix())

    def _time_left(self) -> timedelta:
        """Return how long the engine may take, so that its limit ends before Temporal's."""
        info = activity.info()
        whole = info.start_to_close_timeout or timedelta.max
        used = datetime.now(UTC) - info.started_time
        return max(LEAST, whole - used - MARGIN)


def work_prefix() -> str:
    """Return where the running job's pictures between steps are stored."""
    return f"{WORK}/{job_folder()}/"

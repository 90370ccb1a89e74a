"""What acts on many jobs share: by their ids or by a filter, with a look before and a question."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

import typer

import exits
from cli import output

if TYPE_CHECKING:
    from jobs.client import JobFilter

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


class Found(Protocol):
    """What an act by a filter came to."""

    @property
    def count(self) -> int:
        """How many jobs it meets."""
        ...


FoundT = TypeVar("FoundT", bound=Found)


async def each(job_ids: Sequence[str], act: Callable[[str], Awaitable[str]]) -> int:
    """Do something to each job and say what came of it; return the worst exit code."""
    from jobs.errors import ConveyorError

    worst = exits.OK
    for job_id in job_ids:
        try:
            output.say(f"{job_id}: {await act(job_id)}")
        except ConveyorError as error:
            output.say(f"error: {error}")
            worst = max(worst, exits.code_for(error))
    return worst


def wanted_jobs(
    *,
    kind: str | None,
    owner: str | None,
    tag: str | None,
    since: str | None,
    error: str | None = None,
    state: str | None = None,
) -> "JobFilter":
    """Return the filter that the options write.

    Raises:
        InvalidInputError: A state, a tag or an instant is none.
    """
    from cli.parsing import parse_pair, parse_state
    from jobs.client import JobFilter
    from jobs.times import parse_since

    return JobFilter(
        kind=kind,
        state=parse_state(state),
        owner=owner,
        error=error,
        tag=parse_pair("tag", tag) if tag else None,
        since=parse_since("since", since) if since else None,
    )


def by_id_or_filter(job_ids: Sequence[str] | None, *options: str | None) -> None:
    """Refuse ids together with options of a filter: which would bind?"""
    if job_ids and any(option is not None for option in options):
        raise typer.BadParameter("name jobs or a filter, not both")


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless ``yes`` was said before; leave at a no."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


async def to_matching(
    act: Callable[[bool], Awaitable[FoundT]], *, verb: str, dry_run: bool, yes: bool
) -> FoundT:
    """Look at what a filter matches; ask, and act on it.

    Args:
        act: Does it, or with ``True`` only counts.
        verb: What it does, for the question.
        dry_run: Whether to look and no more.
        yes: Whether to act without asking.
    """
    found = await act(True)
    if found.count and not dry_run:
        confirm(f"{verb} {found.count:,} jobs?", yes=yes)
        found = await act(False)
    return found

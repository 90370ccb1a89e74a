"""Options as people type them: pairs, states."""

from jobs.errors import InvalidInputError, Problem
from jobs.status import JobState
from jobs.validation import nearest


def parse_pair(option: str, text: str) -> tuple[str, str]:
    """Read ``K=V``."""
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidInputError([Problem(option, f"{text!r}: write K=V")])
    return name, value


def parse_state(text: str | None) -> JobState | None:
    """Read a state of jobs.

    Raises:
        InvalidInputError: there is none of that name; names the nearest.
    """
    if text is None:
        return None
    try:
        return JobState(text)
    except ValueError:
        problem = Problem("state", f"no state {text!r}; {nearest(text, list(JobState))}")
        raise InvalidInputError([problem]) from None

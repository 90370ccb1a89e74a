"""The list of job kinds. A new kind is one line here and one in ``wiring.wire``."""

from collections.abc import Mapping
from typing import Any, Final

from jobs.base import JobKind
from jobs.batches import BATCH
from jobs.deliveries import DELIVERY
from jobs.emails import EMAIL
from jobs.errors import InvalidInputError, Problem
from jobs.events import EVENT
from jobs.exports import EXPORT
from jobs.images import IMAGE
from jobs.imports import IMPORT
from jobs.mailings import MAILING
from jobs.reminders import REMINDER
from jobs.reports import REPORT
from jobs.validation import nearest
from jobs.webhooks import WEBHOOK

ALL: Final[tuple[JobKind[Any, Any], ...]] = (
    EMAIL,
    REMINDER,
    MAILING,
    IMAGE,
    EVENT,
    DELIVERY,
    WEBHOOK,
    REPORT,
    IMPORT,
    EXPORT,
    BATCH,
)

KINDS: Final[Mapping[str, JobKind[Any, Any]]] = {kind.name: kind for kind in ALL}
KINDS_BY_WORKFLOW: Final[Mapping[str, JobKind[Any, Any]]] = {kind.workflow: kind for kind in ALL}


def find(name: str) -> JobKind[Any, Any]:
    """Return the kind of that name.

    Raises:
        InvalidInputError: there is none, with the nearest name.
    """
    if name not in KINDS:
        problem = Problem("kind", f"no kind {name!r}; {nearest(name, list(KINDS))}")
        raise InvalidInputError([problem])
    return KINDS[name]

"""What is recorded: jobs of every kind, each on one of the ways that its workflow can take."""

from collections.abc import Sequence
from typing import Final

from tests.replay.scenarios import (
    batches,
    events,
    every_kind,
    images,
    mails,
    reports,
    system,
    transfers,
    webhooks,
)
from tests.replay.scenarios.scenario import Scenario

ALL: Final[Sequence[Scenario]] = (
    *every_kind.ALL,
    *mails.ALL,
    *images.ALL,
    *events.ALL,
    *webhooks.ALL,
    *reports.ALL,
    *transfers.ALL,
    *batches.ALL,
    *system.ALL,
)

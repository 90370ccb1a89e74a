"""The step that makes one attempt of a delivery."""

from dataclasses import dataclass, field
from datetime import datetime

from temporalio.testing import ActivityEnvironment

from activities.deliveries import DeliveryActivities
from jobs.deliveries import Attempt, AttemptOutcome, Closing, DeliveryState
from jobs.deliveries.answers import Answer
from jobs.deliveries.records import Dispatch
from jobs.errors import DatabaseUnavailable
from tests.webhooks import ScriptedSender


@dataclass
class FlickeringLog:
    """Loses the database when it is to record an answer, ``outages`` times."""

    outages: int
    recorded: list[Answer] = field(default_factory=list)

    async def begin(self, attempt: Attempt, now: datetime) -> Dispatch:
        return Dispatch(
            token="t",  # noqa: S106 (of a claim)
            url="https://a.example.com",
            body=b"{}",
            keys=(),
            headers={},
            timeout_s=1,
        )

    async def finish(
        self, attempt: Attempt, token: str, answer: Answer, now: datetime
    ) -> AttemptOutcome:
        if self.outages:
            self.outages -= 1
            raise DatabaseUnavailable("away")
        self.recorded.append(answer)
        return AttemptOutcome(state=DeliveryState.DELIVERED)

    async def close(self, closing: Closing, now: datetime) -> None:
        """Nothing is closed here."""


async def test_an_answer_is_recorded_when_the_database_comes_back_and_not_asked_for_again() -> None:
    log, sender = FlickeringLog(outages=2), ScriptedSender()
    steps = DeliveryActivities(log, sender, record_waits_s=(0.0, 0.0))
    attempt = Attempt(delivery_id="d", run_id="r", event_id="e", endpoint_id="ep", number=1)

    outcome = await ActivityEnvironment().run(steps.attempt, attempt)

    assert outcome.state is DeliveryState.DELIVERED
    assert len(sender.requests) == len(log.recorded) == 1

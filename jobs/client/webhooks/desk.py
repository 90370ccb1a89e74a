"""What the command line and the HTTP API do with endpoints and deliveries.

Every method takes the owner who asks; what belongs to another is not found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from temporalio.client import Client

from jobs import validation
from jobs.client.connection import RPC_TIMEOUT, translated_errors
from jobs.client.submission import Submission, submit
from jobs.client.webhooks.stores import DeliveryStore, EndpointStore, EventStore
from jobs.deliveries import DELIVERY, DeliverWebhook, DeliveryState
from jobs.deliveries.records import AttemptRecord, DeliveryRecord
from jobs.endpoints import (
    MAX_ENDPOINTS,
    ROTATION_OVERLAP,
    Endpoint,
    EndpointOptions,
    EndpointState,
    NewEndpoint,
    check_url,
)
from jobs.errors import ConflictError, InvalidInputError, JobNotFoundError, Problem
from jobs.events import EVENT, TEST_EVENT
from jobs.signatures import standard

MAX_REPLAYS: Final = 10_000
SWITCHED_OFF: Final = "switched off by its owner"


class EndpointNotFoundError(JobNotFoundError):
    """No endpoint or delivery of that id, or another owner's."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(name)
        self.args = (f"no {what} {name!r}: `starter.py endpoints list` shows those that are there",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFilter:
    """Which deliveries to make again: one, or those that were missed and not made again since."""

    delivery_id: str | None = None
    since: datetime | None = None
    event_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDesk:
    """Registers endpoints, shows their deliveries, tests and replays."""

    temporal: Client
    endpoints: EndpointStore
    events: EventStore
    deliveries: DeliveryStore
    allow_http: bool = False
    allow_ports: bool = False

    async def add(self, owner: str, data: Mapping[str, Any]) -> tuple[Endpoint, str]:
        """Register an endpoint; the key that receivers verify with is shown this once.

        Raises:
            InvalidInputError: A field is wrong, or the owner has too many endpoints.
        """
        new = validation.validate(NewEndpoint, data)
        check_url(new.url, allow_http=self.allow_http, allow_ports=self.allow_ports)
        if await self.endpoints.count(owner) >= MAX_ENDPOINTS:
            problem = Problem(
                "", f"{MAX_ENDPOINTS:,} endpoints are the most that an owner may have"
            )
            raise InvalidInputError([problem])
        key = standard.new_key(new.algorithm)
        now = datetime.now(UTC)
        endpoint = await self.endpoints.add(f"ep_{uuid4().hex[:20]}", owner, new, key, now)
        return endpoint, standard.verification_key(key)

    async def list(self, owner: str) -> Sequence[Endpoint]:
        """Return the owner's endpoints."""
        return await self.endpoints.of_owner(owner)

    async def show(self, owner: str, endpoint_id: str) -> Endpoint:
        """Return one endpoint; raises ``EndpointNotFoundError``."""
        endpoint = await self.endpoints.find(owner, endpoint_id)
        if endpoint is None:
            raise EndpointNotFoundError("endpoint", endpoint_id)
        return endpoint

    async def change(self, owner: str, endpoint_id: str, data: Mapping[str, Any]) -> Endpoint:
        """Change options of an endpoint; what ``data`` doesn't name stays.

        URL, headers and signature stay for good: register another endpoint for others.

        Raises:
            EndpointNotFoundError: There is no such endpoint of the owner's.
            InvalidInputError: A field is wrong.
        """
        endpoint = await self.show(owner, endpoint_id)
        present = endpoint.model_dump(include=set(EndpointOptions.model_fields))
        if "algorithm" in data:
            problem = Problem("algorithm", "can't be changed: register another endpoint")
            raise InvalidInputError([problem])
        options = validation.validate(EndpointOptions, {**present, **data})
        await self.endpoints.set_options(endpoint_id, options)
        return await self.show(owner, endpoint_id)

    async def payload_key(self, owner: str, event_id: str) -> str:
        """Return where the data of a thin event lie, for the door that its link leads to.

        Raises:
            EndpointNotFoundError: There is no such event of the owner's, or it had no link.
        """
        key = await self.events.payload_of(owner, event_id)
        if key is None:
            raise EndpointNotFoundError("event", event_id)
        return key

    async def enable(self, owner: str, endpoint_id: str) -> Endpoint:
        """Deliver again; what was missed is replayed on request."""
        return await self._set_state(owner, endpoint_id, EndpointState.ACTIVE, None)

    async def pause(self, owner: str, endpoint_id: str) -> Endpoint:
        """Let deliveries wait."""
        return await self._set_state(owner, endpoint_id, EndpointState.PAUSED, None)

    async def disable(self, owner: str, endpoint_id: str, reason: str = SWITCHED_OFF) -> Endpoint:
        """End deliveries, and make no new ones."""
        return await self._set_state(owner, endpoint_id, EndpointState.DISABLED, reason)

    async def _set_state(
        self, owner: str, endpoint_id: str, state: EndpointState, reason: str | None
    ) -> Endpoint:
        await self.show(owner, endpoint_id)
        await self.endpoints.set_state(endpoint_id, state, reason)
        return await self.show(owner, endpoint_id)

    async def rotate(self, owner: str, endpoint_id: str) -> tuple[Endpoint, str]:
        """Make a new key; for a day requests carry a signature of the old one too."""
        endpoint = await self.show(owner, endpoint_id)
        key = standard.new_key(endpoint.algorithm)
        await self.endpoints.rotate(endpoint_id, key, datetime.now(UTC) + ROTATION_OVERLAP)
        return await self.show(owner, endpoint_id), standard.verification_key(key)

    async def remove(self, owner: str, endpoint_id: str) -> None:
        """Forget an endpoint."""
        await self.show(owner, endpoint_id)
        await self.endpoints.remove(endpoint_id)

    async def test(self, owner: str, endpoint_id: str) -> str:
        """Send a ``webhook.test`` event to one endpoint; return the id of its job."""
        await self.show(owner, endpoint_id)
        data = {
            "event_type": TEST_EVENT,
            "payload": {"message": "It works.", "endpoint": endpoint_id},
            "endpoint_ids": [endpoint_id],
        }
        return (await submit(self.temporal, EVENT, data, Submission(owner=owner or None))).job_id

    async def log(
        self, owner: str, endpoint_id: str, *, state: DeliveryState | None = None, limit: int = 100
    ) -> Sequence[DeliveryRecord]:
        """Return the deliveries to an endpoint, newest first."""
        await self.show(owner, endpoint_id)
        return await self.deliveries.of_endpoint(endpoint_id, state=state, limit=limit)

    async def attempts(
        self, owner: str, delivery_id: str
    ) -> tuple[DeliveryRecord, Sequence[AttemptRecord]]:
        """Return a delivery with its attempts; raises ``EndpointNotFoundError``."""
        delivery = await self._delivery(owner, delivery_id)
        return delivery, await self.deliveries.attempts_of(delivery_id)

    async def _delivery(self, owner: str, delivery_id: str) -> DeliveryRecord:
        delivery = await self.deliveries.find(delivery_id)
        if delivery is None or await self.endpoints.find(owner, delivery.endpoint_id) is None:
            raise EndpointNotFoundError("delivery", delivery_id)
        return delivery

    async def retry_now(self, owner: str, delivery_id: str) -> None:
        """Make the next attempt of a waiting delivery at once.

        Raises:
            ConflictError: It waits no more.
        """
        await self._update(owner, delivery_id, "retry_now")

    async def cancel(self, owner: str, delivery_id: str) -> None:
        """Make no further attempt of a waiting delivery; raises as ``retry_now``."""
        await self._update(owner, delivery_id, "cancel")

    async def _update(self, owner: str, delivery_id: str, name: str) -> None:
        delivery = await self._delivery(owner, delivery_id)
        if delivery.state.final:
            msg = f"delivery {delivery_id!r} is {delivery.state}; replay it instead"
            raise ConflictError(msg)
        handle = self.temporal.get_workflow_handle(delivery_id)
        try:
            with translated_errors(delivery_id):
                await handle.execute_update(name, rpc_timeout=RPC_TIMEOUT)
        except JobNotFoundError:
            msg = f"delivery {delivery_id!r} has just ended, or its job was terminated"
            raise ConflictError(msg) from None

    async def replayable(
        self, owner: str, endpoint_id: str, wanted: ReplayFilter
    ) -> Sequence[DeliveryRecord]:
        """Return the deliveries that ``replay`` would make again, oldest first."""
        await self.show(owner, endpoint_id)
        if wanted.delivery_id is not None:
            return [await self._delivery(owner, wanted.delivery_id)]
        return await self.deliveries.missed(
            endpoint_id,
            since=wanted.since,
            event_type=wanted.event_type,
            limit=MAX_REPLAYS,
        )

    async def replay(self, owner: str, endpoint_id: str, wanted: ReplayFilter) -> Sequence[str]:
        """Make deliveries again, as new jobs with the same ``webhook-id``; return their ids."""
        endpoint = await self.show(owner, endpoint_id)
        replayed = []
        for delivery in await self.replayable(owner, endpoint_id, wanted):
            job = DeliverWebhook(
                event_id=delivery.event_id, endpoint_id=endpoint_id, schedule=endpoint.schedule
            )
            key = f"{delivery.event_id}:{endpoint_id}:replay:{uuid4().hex[:8]}"
            options = Submission(key=key, owner=owner or None)
            made = await submit(self.temporal, DELIVERY, job.model_dump(mode="json"), options)
            replayed.append(made.job_id)
        return replayed

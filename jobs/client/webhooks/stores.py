"""What the desk needs from whatever keeps endpoints, events and deliveries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from jobs.deliveries import DeliveryState
from jobs.deliveries.records import AttemptRecord, DeliveryRecord
from jobs.endpoints import Endpoint, EndpointOptions, EndpointState, NewEndpoint


class EndpointStore(Protocol):
    """What is needed from the registry of endpoints."""

    async def add(
        self, endpoint_id: str, owner: str, new: NewEndpoint, key: str, now: datetime
    ) -> Endpoint:
        """Register an endpoint."""
        ...

    async def count(self, owner: str) -> int:
        """Return how many endpoints an owner has."""
        ...

    async def find(self, owner: str, endpoint_id: str) -> Endpoint | None:
        """Return an endpoint of the owner's."""
        ...

    async def of_owner(self, owner: str) -> Sequence[Endpoint]:
        """Return the endpoints of an owner."""
        ...

    async def set_state(self, endpoint_id: str, state: EndpointState, reason: str | None) -> None:
        """Pause, disable or enable."""
        ...

    async def set_options(self, endpoint_id: str, options: EndpointOptions) -> None:
        """Replace an endpoint's options."""
        ...

    async def rotate(self, endpoint_id: str, key: str, previous_until: datetime) -> None:
        """Sign with a new key, and for a time with the old one too."""
        ...

    async def remove(self, endpoint_id: str) -> None:
        """Forget an endpoint."""
        ...


class EventStore(Protocol):
    """What is needed from the log of published events."""

    async def payload_of(self, owner: str, event_id: str) -> str | None:
        """Return where the data of an event of the owner's lie, if they lie in storage."""
        ...


class DeliveryStore(Protocol):
    """What is needed from the log of deliveries."""

    async def of_endpoint(
        self, endpoint_id: str, *, state: DeliveryState | None = None, limit: int = 100
    ) -> Sequence[DeliveryRecord]:
        """Return deliveries to an endpoint, newest first."""
        ...

    async def missed(
        self,
        endpoint_id: str,
        *,
        since: datetime | None = None,
        event_type: str | None = None,
        limit: int = 100,
    ) -> Sequence[DeliveryRecord]:
        """Return deliveries that failed and were not made again since, oldest first."""
        ...

    async def find(self, delivery_id: str) -> DeliveryRecord | None:
        """Return one delivery."""
        ...

    async def attempts_of(self, delivery_id: str) -> Sequence[AttemptRecord]:
        """Return the attempts of a delivery."""
        ...

"""Everything that routes work with, opened once."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

import opening
from adapters.database import Database
from adapters.database.access import ApiKeys
from adapters.database.emails import EmailLedger
from adapters.database.images import Images
from adapters.storage import Storage
from adapters.traces import Traces
from api.access import Caller, Gate, Rates
from api.links import FileLinks
from api.sessions import Sessions
from api.tokens import TokenVerifier
from api.watching import Hub
from jobs.client import JobClient
from jobs.client.webhooks import EndpointDesk
from jobs.mail_tokens import MailTokens
from jobs.schedules.client import ScheduleClient
from jobs.webhooks.door import InboundDoor
from settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What is open while the API serves."""

    settings: Settings
    jobs: JobClient
    database: Database
    storage: Storage
    images: Images
    endpoints: EndpointDesk
    inbound: InboundDoor
    schedules: ScheduleClient
    mail_tokens: MailTokens
    ledger: EmailLedger
    gate: Gate
    rates: Rates
    links: FileLinks
    sessions: Sessions
    hub: Hub

    @property
    def traces(self) -> Traces:
        """What erases the files and ledgers of jobs."""
        return Traces(self.storage, self.database)

    def jobs_of(self, caller: Caller) -> JobClient:
        """Return a client of the jobs that the caller may see."""
        return self.jobs.of(caller.sees)


@asynccontextmanager
async def open_services(settings: Settings, jobs: JobClient) -> AsyncIterator[Services]:
    """Open everything, and close it afterwards.

    Raises:
        SettingsError: the database lacks migrations, or an address can't be used.
    """
    await opening.require_migrations(settings)
    secret = opening.secret_key(settings)
    async with AsyncExitStack() as stack:
        database = opening.open_database(settings)
        stack.push_async_callback(database.close)
        storage = opening.open_storage(settings)
        gate = Gate(ApiKeys(database), open_verifier(settings))
        stack.push_async_callback(gate.close)
        hub = Hub(jobs)
        stack.push_async_callback(hub.close)
        yield Services(
            settings=settings,
            jobs=jobs,
            database=database,
            storage=storage,
            images=Images(database),
            endpoints=opening.open_endpoint_desk(settings, database, jobs.temporal),
            inbound=opening.open_inbound_door(settings, database, storage, jobs.temporal),
            schedules=ScheduleClient(jobs.temporal),
            mail_tokens=MailTokens(secret),
            ledger=EmailLedger(database),
            gate=gate,
            rates=Rates(settings.api_rate),
            links=FileLinks(secret, storage, settings.api_link_ttl),
            sessions=Sessions(secret, secure=settings.public_url.startswith("https:")),
            hub=hub,
        )


def open_verifier(settings: Settings) -> TokenVerifier | None:
    """Return what verifies an identity provider's tokens, if the settings name one."""
    if settings.jwt_issuer is None or settings.jwt_audience is None or settings.jwt_jwks is None:
        return None
    return TokenVerifier(
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        source=settings.jwt_jwks,
        algorithms=settings.jwt_algorithms,
        owner_claim=settings.jwt_owner_claim,
        scope_claim=settings.jwt_scope_claim,
    )


async def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Open = Annotated[Services, Depends(_services)]

"""From settings to what every door opens; what only workers need is in ``equipment.py``."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Final

from temporalio.client import Client

from adapters.database import Database, Patience, migrate, pending
from adapters.database.webhooks.deliveries import DeliveryBook
from adapters.database.webhooks.endpoints import Endpoints
from adapters.database.webhooks.events import Events
from adapters.database.webhooks.inbound import InboundEvents
from adapters.sealing import SecretBox
from adapters.storage import Storage
from adapters.traces import Traces
from jobs.client.webhooks import EndpointDesk, InboundStarter
from jobs.webhooks.door import InboundDoor
from settings import Settings, SettingsError

TEMPLATES: Final = Path(__file__).parent / "templates"
KEY_FILE: Final = "secret.key"
KEY_BYTES: Final = 48


async def require_migrations(settings: Settings) -> None:
    """Bring the default database up to date; refuse another one that is not.

    Raises:
        SettingsError: migrations are missing; names them and the command that applies them.
    """
    if settings.database_url is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        await migrate(settings.database)
        return
    try:
        missing = await pending(settings.database)
    except ValueError as error:
        msg = f"CONVEYOR_DATABASE_URL: {error}"
        raise SettingsError(msg) from None
    if missing:
        msg = (
            f"CONVEYOR_DATABASE_URL: the database lacks {len(missing)} migrations "
            f"({', '.join(missing)}): run `python starter.py setup`"
        )
        raise SettingsError(msg)


def open_database(settings: Settings, *, patience: Patience = nullcontext) -> Database:
    """Open the database that the settings name; ``patience`` is entered around its waits."""
    try:
        return Database.open(
            settings.database, pool_size=settings.database_pool_size, patience=patience
        )
    except ValueError as error:
        msg = f"CONVEYOR_DATABASE_URL: {error}"
        raise SettingsError(msg) from None


def open_storage(settings: Settings) -> Storage:
    """Open the storage that the settings name."""
    try:
        return Storage.open(settings.storage, **settings.storage_options)
    except ValueError as error:
        msg = f"CONVEYOR_STORAGE_URL: {error}"
        raise SettingsError(msg) from None


@asynccontextmanager
async def open_traces(settings: Settings) -> AsyncIterator[Traces]:
    """Open what erases the traces of jobs, and close it afterwards."""
    await require_migrations(settings)
    database = open_database(settings)
    try:
        yield Traces(open_storage(settings), database)
    finally:
        await database.close()


def open_webhook_secrets(secret: bytes) -> SecretBox:
    """Return what seals the keys of endpoints under the installation's secret."""
    return SecretBox(secret, "webhook endpoints")


def open_endpoint_desk(settings: Settings, database: Database, temporal: Client) -> EndpointDesk:
    """Return what registers endpoints and shows their deliveries."""
    box = open_webhook_secrets(secret_key(settings))
    return EndpointDesk(
        temporal=temporal,
        endpoints=Endpoints(database, box),
        events=Events(database),
        deliveries=DeliveryBook(database),
        allow_http=settings.webhook_allow_http,
        allow_ports=settings.webhook_allow_ports,
    )


def open_inbound_door(
    settings: Settings, database: Database, storage: Storage, temporal: Client | None
) -> InboundDoor:
    """Return the door for inbound webhooks; without a server it stores and starts nothing."""
    return InboundDoor(
        settings.webhook_sources, InboundEvents(database), storage, InboundStarter(temporal)
    )


def secret_key(settings: Settings) -> bytes:
    """Return the installation's secret; one is made and kept in the data folder if none is set."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    path = settings.data_dir / KEY_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_urlsafe(KEY_BYTES).encode())
    return path.read_bytes()

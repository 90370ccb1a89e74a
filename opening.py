"""From settings to open adapters; the doors open what they need here and nowhere else."""

import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from temporalio.client import Client

from activities.pruning import PruneActivities
from adapters.database import Database, migrate, pending
from adapters.database.ledgers import Ledgers
from adapters.database.webhooks.deliveries import DeliveryLog
from adapters.database.webhooks.endpoints import Endpoints
from adapters.database.webhooks.events import Events
from adapters.database.webhooks.inbound import InboundEvents
from adapters.error_tracking import Reporters
from adapters.http import WebhookSender
from adapters.imaging.pool import ImagePool
from adapters.imaging.scratch import Scratch
from adapters.mail_rendering import DkimSigner, MailComposer
from adapters.mailers import open_mailer
from adapters.outbox import Outbox
from adapters.sealing import SecretBox
from adapters.smtp import SmtpMailer
from adapters.storage import Storage
from adapters.traces import Traces
from jobs.client.pruning import Pruner
from jobs.client.webhooks import EndpointDesk, InboundStarter
from jobs.errors import JobError
from jobs.mail_tokens import MailTokens
from jobs.webhooks.door import InboundDoor
from settings import Settings, SettingsError

logger: Final = logging.getLogger(__name__)

TEMPLATES: Final = Path(__file__).parent / "templates"
KEY_FILE: Final = "secret.key"
KEY_BYTES: Final = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """Everything open that steps need."""

    settings: Settings
    storage: Storage
    database: Database
    mailer: SmtpMailer | Outbox
    composer: MailComposer
    mail_tokens: MailTokens
    image_pool: ImagePool
    scratch: Scratch
    webhook_sender: WebhookSender
    webhook_secrets: SecretBox
    reporters: Reporters


@asynccontextmanager
async def open_adapters(
    settings: Settings, *, emails_at_once: int = 5, images_at_once: int = 2
) -> AsyncIterator[Adapters]:
    """Open everything that steps need, and close it afterwards.

    Raises:
        SettingsError: the database lacks migrations, or an address can't be used.
    """
    await require_migrations(settings)
    secret = secret_key(settings)
    async with AsyncExitStack() as stack:
        database = open_database(settings)
        stack.push_async_callback(database.close)
        mailer = open_configured_mailer(settings, connections=emails_at_once)
        stack.push_async_callback(mailer.close)
        pool = ImagePool(
            processes=images_at_once,
            max_pixels=settings.image_max_pixels,
            step_limit=settings.image_step_limit,
        )
        stack.push_async_callback(pool.close)
        networks = settings.webhook_allowed_networks
        sender = await stack.enter_async_context(WebhookSender.open(allowed_networks=networks))
        storage = open_storage(settings)
        await sweep(storage)
        reporters = open_reporters(settings)
        stack.push_async_callback(reporters.close)
        yield Adapters(
            settings=settings,
            database=database,
            storage=storage,
            mailer=mailer,
            composer=open_composer(settings),
            mail_tokens=MailTokens(secret),
            image_pool=pool,
            scratch=Scratch(settings.data_dir / "scratch"),
            webhook_sender=sender,
            webhook_secrets=open_webhook_secrets(secret),
            reporters=reporters,
        )


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


def open_database(settings: Settings) -> Database:
    """Open the database that the settings name."""
    try:
        return Database.open(settings.database, pool_size=settings.database_pool_size)
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


def open_configured_mailer(settings: Settings, *, connections: int) -> SmtpMailer | Outbox:
    """Return what sends mails, as the settings say."""
    try:
        return open_mailer(**settings.mailer_options, connections=connections)
    except (ValueError, OSError) as error:
        msg = f"CONVEYOR_SMTP_URL: {error}"
        raise SettingsError(msg) from None


def open_reporters(settings: Settings) -> Reporters:
    """Return what tells of final failures, as the settings say."""
    dsn = settings.sentry_dsn.get_secret_value() if settings.sentry_dsn else None
    try:
        return Reporters.open(dsn)
    except ValueError as error:
        msg = f"CONVEYOR_SENTRY_DSN: {error}"
        raise SettingsError(msg) from None


async def sweep(storage: Storage) -> None:
    """Delete leftovers of writes that were cut; a store that is away is no reason not to start."""
    try:
        await storage.sweep()
    except JobError as error:
        logger.warning("storage was not swept", extra={"error": error.type})


def open_composer(settings: Settings) -> MailComposer:
    """Return what builds mails, as the settings want them."""
    signer = None
    if settings.dkim_key is not None and settings.dkim_selector is not None:
        domain = settings.mail_from.rpartition("@")[2].strip("> ")
        signer = DkimSigner(settings.dkim_selector, domain, settings.dkim_key.get_secret_value())
    return MailComposer(
        TEMPLATES / "mail",
        sender=settings.mail_from,
        product=settings.product_name,
        public_url=settings.public_url,
        signer=signer,
    )


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
        deliveries=DeliveryLog(database, box),
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


@asynccontextmanager
async def open_pruning(settings: Settings, temporal: Client) -> AsyncIterator[PruneActivities]:
    """Open what forgets jobs, for a dry run; a worker's own are over its adapters."""
    database = open_database(settings)
    try:
        yield pruning_over(database, open_storage(settings), temporal)
    finally:
        await database.close()


def pruning_over(database: Database, storage: Storage, temporal: Client) -> PruneActivities:
    """Return the steps of forgetting."""
    return PruneActivities(Pruner(temporal), Traces(storage, database), storage, Ledgers(database))

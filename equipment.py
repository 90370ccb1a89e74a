"""From settings to everything that a worker's steps need, open.

Apart from ``opening.py``, so that the API doesn't hold in memory what only workers use: decoders of
pictures, the mail library, the senders of webhooks and of error reports.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from temporalio.client import Client

from activities.progress import repeating
from activities.pruning import PruneActivities
from adapters.database import Database
from adapters.database.ledgers import Ledgers
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
from jobs.errors import JobError
from jobs.mail_tokens import MailTokens
from opening import (
    TEMPLATES,
    open_database,
    open_storage,
    open_webhook_secrets,
    require_migrations,
    secret_key,
)
from settings import Settings, SettingsError

logger: Final = logging.getLogger(__name__)


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
        database = open_database(settings, patience=repeating)
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

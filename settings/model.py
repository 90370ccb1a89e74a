"""Every setting: its name, default, bounds and meaning."""

from collections.abc import Sequence
from datetime import timedelta
from email.utils import parseaddr
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Self, TypedDict

from pydantic import Field, IPvAnyAddress, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from jobs.encryption import EncryptionKey, parse_keys
from settings.values import (
    Algorithms,
    Duration,
    KeySecret,
    KeySet,
    LongSecret,
    MailAddresses,
    Networks,
    Origins,
    QueueRates,
    QueueSlots,
    Rate,
    WebhookSources,
    ZoneName,
)
from settings.variables import PREFIX, FileVariables


class StorageOptions(TypedDict):
    """How to reach an S3-compatible store."""

    endpoint: str | None
    region: str
    access_key_id: str | None
    secret_access_key: str | None


class MailerOptions(TypedDict):
    """Where mails go."""

    url: str | None
    outbox: Path
    envelope_sender: str
    ca_file: Path | None


class Settings(BaseSettings):
    """Everything that differs between deployments, besides the connection to Temporal.

    Each field is read from ``CONVEYOR_<NAME>``, or from the file that ``CONVEYOR_<NAME>_FILE``
    names (for mounted secrets).
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    data_dir: Path = Path(".conveyor")
    """Folder of the embedded server's file and, by default, of database, storage and outbox."""

    database_url: SecretStr | None = None
    """Application database, ``postgresql://user:password@host/name`` or ``sqlite:///path``.
    Default: a SQLite file in the data folder."""
    database_pool_size: int = Field(default=5, ge=1, le=100)
    """Open connections to the database per process."""

    storage_url: str = ""
    """Where files are kept, ``file:///folder`` or ``s3://bucket/prefix``. Default: a folder in the
    data folder."""
    s3_endpoint: str | None = None
    """Address of an S3-compatible store; unset for AWS."""
    s3_region: str = "us-east-1"
    """Region of the bucket."""
    s3_access_key_id: SecretStr | None = None
    """Access key of the bucket."""
    s3_secret_access_key: SecretStr | None = None
    """Secret key of the bucket."""

    smtp_url: SecretStr | None = None
    """The mail relay, ``smtp://user:password@host:587`` (STARTTLS, demanded) or ``smtps://...:465``
    (TLS from the start). ``?tls=none`` is accepted for a relay on this machine only. Default: mails
    are written as ``.eml`` files to ``outbox/`` in the data folder."""
    smtp_ca_file: Path | None = None
    """PEM file of a private certificate authority that signed the relay's certificate."""
    mail_from: str = "Conveyor <jobs@example.com>"
    """The From header of every mail."""
    mail_bounce_to: str | None = None
    """Envelope sender, where bounces go. Default: the address in ``mail_from``."""
    alerts_to: MailAddresses = Field(default_factory=list)
    """Who is mailed when jobs are held until somebody mends something, ``ops@example.com,...``.
    Default: alerts are only errors in the worker's log."""
    dkim_selector: str | None = None
    """DKIM selector; set it together with ``dkim_key`` to sign mails here and not at the relay."""
    dkim_key: SecretStr | None = None
    """PEM private key for DKIM."""

    secret_key: LongSecret | None = None
    """At least 32 characters. Derives password-reset and unsubscribe tokens and signed links.
    Default: made once and kept in the data folder."""
    encryption_keys: KeySecret | None = None
    """Encrypts what jobs hold, ``id:base64,...``: the first key writes, all read. ``starter.py
    encryption-key`` makes one. Default: nothing is encrypted."""
    public_url: str = "http://127.0.0.1:8000"
    """Address under which people reach this application; links in mails begin with it."""
    temporal_ui_url: str | None = None
    """Address of the Temporal Web UI, for links; its pages may ask ``/codec`` to decrypt. Default:
    that of the embedded server."""
    product_name: str = "Conveyor"
    """The name that mails and reports show."""
    time_zone: ZoneName = "UTC"
    """IANA name of the zone for schedules and reports that name none."""

    slots: QueueSlots = Field(default_factory=dict)
    """Steps at once per worker and queue, ``emails=5,images=2``. Default: 5 emails, 2 images,
    20 webhooks, 2 reports, 2 transfers, 10 batches."""
    rates: QueueRates = Field(default_factory=dict)
    """Most steps started per queue, over all workers, ``images=10/m``; ``starter.py setup`` and
    each worker's start apply them, unless ``starter.py limits set`` said otherwise. Default:
    unlimited."""
    shutdown_grace: Duration = timedelta(seconds=30)
    """How long a stopping worker lets running steps finish; below the platform's kill time."""

    sentry_dsn: SecretStr | None = None
    """Where final failures go, besides the log: ``https://KEY@HOST/PROJECT`` of an error tracker
    that speaks the Sentry protocol."""
    metrics_host: IPvAnyAddress = Field(default=IPv4Address("127.0.0.1"))
    """IP address on which a worker serves metrics (``--metrics-port``); ``0.0.0.0`` for all."""
    probe_host: IPvAnyAddress = Field(default=IPv4Address("127.0.0.1"))
    """IP address on which a worker answers probes (``--probe-port``); ``0.0.0.0`` for all."""

    webhook_allowed_networks: Networks = Field(default_factory=list)
    """Networks that deliveries may reach besides the public internet, ``127.0.0.0/8,::1/128``. For
    tests, and for receivers of your own."""
    webhook_allow_http: bool = False
    """Accept endpoints at ``http:``."""
    webhook_allow_ports: bool = False
    """Accept endpoints at ports from 1024 on."""
    webhook_sources: WebhookSources = Field(default_factory=dict)
    """Who may send webhooks here, as JSON, best given as a file:
    ``{"github": {"scheme": "github", "secrets": ["..."]}}``. Schemes: standard, github, stripe,
    slack, generic."""

    api_rate: Rate = 100.0
    """Most submissions per key, ``100/s``, ``600/m``; a minute's worth may come at once."""
    api_max_body: int = Field(default=1_048_576, ge=1024, le=100_000_000)
    """Largest JSON body of a request, in bytes; uploads and webhooks have their own limits."""
    api_cors_origins: Origins = Field(default_factory=list)
    """Origins whose pages may call the API from a browser, ``https://app.example.com``."""
    api_link_ttl: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(days=7))] = timedelta(
        minutes=15
    )
    """How long a link to a file of a result works."""

    jwt_issuer: str | None = None
    """``iss`` of the identity provider whose tokens are accepted as well as keys; set it together
    with ``jwt_audience`` and ``jwt_jwks``."""
    jwt_audience: str | None = None
    """``aud`` that a token must be for."""
    jwt_jwks: KeySet | None = None
    """The provider's public keys: an ``https:`` address, or the path of a file."""
    jwt_algorithms: Algorithms = Field(default=["RS256", "ES256", "EdDSA"])
    """Accepted signatures of tokens; none with a shared secret."""
    jwt_owner_claim: str = "sub"
    """Claim that names the owner."""
    jwt_scope_claim: str = "scope"
    """Claim with the scopes, a list or words with spaces between."""

    image_max_pixels: int = Field(default=64_000_000, ge=1)
    """Largest picture that is decoded, width times height."""
    image_max_bytes: int = Field(default=30_000_000, ge=1)
    """Largest image file that is read, in bytes."""
    image_step_limit: Duration = timedelta(seconds=45)
    """Time limit of one image step, after which its child process is killed."""

    @property
    def database(self) -> str:
        """URL of the database, the default one filled in."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.absolute() / 'conveyor.db'}"

    @property
    def encryption(self) -> Sequence[EncryptionKey]:
        """The keys of payloads, the one that writes first; none where nothing is encrypted."""
        return parse_keys(self.encryption_keys.get_secret_value()) if self.encryption_keys else ()

    @property
    def outbox(self) -> Path:
        """Folder of mails that were written instead of sent."""
        return self.data_dir / "outbox"

    @property
    def mailer_options(self) -> MailerOptions:
        """What ``open_mailer`` needs."""
        return MailerOptions(
            url=self.smtp_url.get_secret_value() if self.smtp_url else None,
            outbox=self.outbox,
            envelope_sender=self.mail_bounce_to or parseaddr(self.mail_from)[1],
            ca_file=self.smtp_ca_file,
        )

    @property
    def storage(self) -> str:
        """URL of the storage, the default one filled in."""
        return self.storage_url or (self.data_dir.absolute() / "storage").as_uri()

    @property
    def storage_options(self) -> StorageOptions:
        """What ``Storage.open`` needs besides the URL."""
        keys = (self.s3_access_key_id, self.s3_secret_access_key)
        access, secret = (key.get_secret_value() if key else None for key in keys)
        return StorageOptions(
            endpoint=self.s3_endpoint,
            region=self.s3_region,
            access_key_id=access,
            secret_access_key=secret,
        )

    @model_validator(mode="after")
    def _whole_jwt(self) -> Self:
        parts = {
            "jwt_issuer": self.jwt_issuer,
            "jwt_audience": self.jwt_audience,
            "jwt_jwks": self.jwt_jwks,
        }
        missing = [name for name, value in parts.items() if not value]
        if 0 < len(missing) < len(parts):
            msg = f"tokens need also {' and '.join(f'{PREFIX}{n.upper()}' for n in missing)}"
            raise ValueError(msg)
        return self

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, FileVariables(settings_cls)

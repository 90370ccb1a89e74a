"""The environment, read once.

The connection to Temporal is not here: it comes from ``temporalio.envconfig``
(``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, TLS, profiles). What is the
same in every deployment (timeouts, attempts, retention of a kind) is in ``jobs/<kind>.py``.
"""

import difflib
import ipaddress
import json
import os
import re
from collections.abc import Sequence
from datetime import timedelta
from email.utils import parseaddr
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BeforeValidator,
    Field,
    IPvAnyAddress,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from typing_extensions import override

from jobs.addresses import MailAddress
from jobs.base import Queue
from jobs.encryption import EncryptionKey, parse_keys
from jobs.limits import UNITS_S, parse_rate
from jobs.validation import nearest
from jobs.webhooks.sources import WebhookSource

PREFIX: Final = "CONVEYOR_"
FILE_SUFFIX: Final = "_FILE"

PUBLIC_KEY_ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)

OF_COMMANDS: Final = {f"{PREFIX}OWNER", f"{PREFIX}QUEUES"}
"""Variables that stand for an option of a command, and are no settings."""


class SettingsError(Exception):
    """A variable is wrong or misspelt; the message names it and the fix."""


def parse_pairs(value: Any) -> Any:
    """Read ``emails=5,images=2`` as a mapping."""
    if not isinstance(value, str):
        return value
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    if bad := [name for name, equals, _ in pairs if not equals]:
        msg = f"write NAME=VALUE,NAME=VALUE; {bad[0]!r} has no '='"
        raise ValueError(msg)
    return {name.strip(): amount.strip() for name, _, amount in pairs}


def parse_duration(value: Any) -> Any:
    """Read ``30s``, ``5m`` or ``2h`` as a time span."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value) if isinstance(value, str) else None
    return timedelta(seconds=float(match[1]) * UNITS_S[match[2]]) if match else value


def parse_json(value: Any) -> Any:
    """Read JSON text as the value that it writes."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        msg = f"is not JSON: {error}"
        raise ValueError(msg) from None


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Rate = Annotated[float, BeforeValidator(parse_rate), Field(gt=0)]


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
    alerts_to: Annotated[list[MailAddress], NoDecode] = Field(default_factory=list)
    """Who is mailed when jobs are held until somebody mends something, ``ops@example.com,...``.
    Default: alerts are only errors in the worker's log."""
    dkim_selector: str | None = None
    """DKIM selector; set it together with ``dkim_key`` to sign mails here and not at the relay."""
    dkim_key: SecretStr | None = None
    """PEM private key for DKIM."""

    secret_key: SecretStr | None = None
    """At least 32 characters. Derives password-reset and unsubscribe tokens and signed links.
    Default: made once and kept in the data folder."""
    encryption_keys: SecretStr | None = None
    """Encrypts what jobs hold, ``id:base64,...``: the first key writes, all read. ``starter.py
    encryption-key`` makes one. Default: nothing is encrypted."""
    public_url: str = "http://127.0.0.1:8000"
    """Address under which people reach this application; links in mails begin with it."""
    temporal_ui_url: str | None = None
    """Address of the Temporal Web UI, for links; its pages may ask ``/codec`` to decrypt. Default:
    that of the embedded server."""
    product_name: str = "Conveyor"
    """The name that mails and reports show."""
    time_zone: str = "UTC"
    """IANA name of the zone for schedules and reports that name none."""

    slots: Annotated[dict[str, Annotated[int, Field(ge=1, le=1000)]], NoDecode] = Field(
        default_factory=dict
    )
    """Steps at once per worker and queue, ``emails=5,images=2``. Default: 5 emails, 2 images,
    20 webhooks, 2 reports, 2 transfers, 10 batches."""
    rates: Annotated[dict[str, Rate], NoDecode] = Field(default_factory=dict)
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

    webhook_allowed_networks: Annotated[list[str], NoDecode] = Field(default_factory=list)
    """Networks that deliveries may reach besides the public internet, ``127.0.0.0/8,::1/128``. For
    tests, and for receivers of your own."""
    webhook_allow_http: bool = False
    """Accept endpoints at ``http:``."""
    webhook_allow_ports: bool = False
    """Accept endpoints at ports from 1024 on."""
    webhook_sources: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")], WebhookSource], NoDecode
    ] = Field(default_factory=dict)
    """Who may send webhooks here, as JSON, best given as a file:
    ``{"github": {"scheme": "github", "secrets": ["..."]}}``. Schemes: standard, github, stripe,
    slack, generic."""

    api_rate: Rate = 100.0
    """Most submissions per key, ``100/s``, ``600/m``; a minute's worth may come at once."""
    api_max_body: int = Field(default=1_048_576, ge=1024, le=100_000_000)
    """Largest JSON body of a request, in bytes; uploads and webhooks have their own limits."""
    api_cors_origins: Annotated[list[str], NoDecode] = Field(default_factory=list)
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
    jwt_jwks: str | None = None
    """The provider's public keys: an ``https:`` address, or the path of a file."""
    jwt_algorithms: Annotated[list[str], NoDecode] = Field(default=["RS256", "ES256", "EdDSA"])
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

    @field_validator("slots", "rates", mode="before")
    @classmethod
    def _read_pairs(cls, value: Any) -> Any:
        return parse_pairs(value)

    @field_validator("slots", "rates")
    @classmethod
    def _name_queues(cls, value: dict[str, Any]) -> dict[str, Any]:
        if unknown := [name for name in value if name not in list(Queue)]:
            msg = f"no queue {unknown[0]!r}; {nearest(unknown[0], list(Queue))}"
            raise ValueError(msg)
        return value

    @field_validator("webhook_sources", mode="before")
    @classmethod
    def _read_sources(cls, value: Any) -> Any:
        return parse_json(value)

    @field_validator(
        "webhook_allowed_networks", "api_cors_origins", "jwt_algorithms", "alerts_to", mode="before"
    )
    @classmethod
    def _read_list(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return [part.strip() for part in value.split(",") if part.strip()]

    @field_validator("webhook_allowed_networks")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @field_validator("api_cors_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        if bad := [origin for origin in value if not re.fullmatch(r"https?://[^/*\s]+", origin)]:
            msg = f"{bad[0]!r}: write scheme and host, https://app.example.com, and no '*'"
            raise ValueError(msg)
        return value

    @field_validator("jwt_algorithms")
    @classmethod
    def _are_public_key_algorithms(cls, value: list[str]) -> list[str]:
        if not value or set(value) - PUBLIC_KEY_ALGORITHMS:
            msg = f"use some of {', '.join(sorted(PUBLIC_KEY_ALGORITHMS))}"
            raise ValueError(msg)
        return value

    @field_validator("jwt_jwks")
    @classmethod
    def _are_safe_keys(cls, value: str | None) -> str | None:
        if value is not None and value.startswith("http:"):
            msg = "whoever is in between could give other keys: use https, or a file"
            raise ValueError(msg)
        return value

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

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        shortest = 32
        if value is not None and len(value.get_secret_value()) < shortest:
            msg = f"must have at least {shortest} characters"
            raise ValueError(msg)
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_keys(value.get_secret_value())
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            msg = f"{value!r} is no IANA time zone such as Europe/Berlin"
            raise ValueError(msg) from None
        return value

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


class FileVariables(PydanticBaseSettingsSource):
    """Reads a setting from the file that ``CONVEYOR_<NAME>_FILE`` names."""

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{PREFIX}{field_name.upper()}{FILE_SUFFIX}"
        path = os.environ.get(variable)
        if path is None:
            return None, field_name, False
        try:
            value = Path(path).read_text().strip()
        except OSError as error:
            msg = f"{variable}: {path} can't be read: {error.strerror}"
            raise SettingsError(msg) from None
        if not value:  # a secret that was never filled in must not mean the default
            msg = f"{variable}: {path} is empty"
            raise SettingsError(msg)
        return value, field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        values = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in values.items() if value is not None}


def load(**overrides: Any) -> Settings:
    """Read the settings from the environment; ``overrides`` win.

    Raises:
        SettingsError: a variable is wrong or misspelt, with its name and the fix.
    """
    _refuse_unknown_variables()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [
            f"{PREFIX}{'.'.join(str(part) for part in problem['loc']).upper()}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        raise SettingsError("\n".join(lines)) from None


def _refuse_unknown_variables() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {name + FILE_SUFFIX for name in known} | OF_COMMANDS
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            fix = (
                f"did you mean {near[0]}?" if near else "docs/reference/settings.md lists them all"
            )
            msg = f"{name}: no such setting; {fix}"
            raise SettingsError(msg)

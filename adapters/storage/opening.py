"""From a storage URL to an open store."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from obstore.store import LocalStore, MemoryStore, S3Store

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Config

FIX: Final = "write file:///folder, s3://bucket/prefix or memory:"

CLIENT: "Final[ClientConfig]" = {
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=30),  # silence; a large object may take its time
    "timeout": timedelta(hours=1),
}
RETRIES: "Final[RetryConfig]" = {"max_retries": 2, "retry_timeout": timedelta(seconds=5)}
"""For a blink of the network; what lasts longer is left to the job's own retries."""


def open_store(
    url: str,
    *,
    endpoint: str | None,
    region: str,
    access_key_id: str | None,
    secret_access_key: str | None,
) -> "tuple[ObjectStore, Path | None]":
    """Return the store at ``url``, and its folder if it is a local one.

    Raises:
        ValueError: ``url`` names no store, or its folder can't be made.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "file" if parts.netloc in {"", "localhost"} and parts.path:
            folder = Path(unquote(parts.path)).absolute()
            make_private(folder)
            return LocalStore(folder, automatic_cleanup=True), folder
        case "memory":
            return MemoryStore(), None
        case "s3" if parts.netloc:
            config: S3Config = {
                "region": region,
                "virtual_hosted_style_request": endpoint is None,
                "copy_if_not_exists": "multipart",
            }
            if endpoint is not None:
                config["endpoint"] = endpoint
            if access_key_id and secret_access_key:
                config["access_key_id"] = access_key_id
                config["secret_access_key"] = secret_access_key
            plain = endpoint is not None and endpoint.startswith("http://")
            store = S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                config=config,
                client_options={**CLIENT, "allow_http": plain},
                retry_config=RETRIES,
            )
            return store, None
        case _:
            msg = f"the storage URL names no store: {FIX}"
            raise ValueError(msg)


def make_private(folder: Path) -> None:
    """Make ``folder`` with access for its owner only, unless it is there already."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        msg = f"the storage folder {folder} can't be made: {error.strerror}"
        raise ValueError(msg) from None

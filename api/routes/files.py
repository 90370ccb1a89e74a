"""Stored files, by links that work for a time."""

from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from api.problems import ApiError, documented
from api.services import Open
from jobs.base import check_key
from jobs.files import InvalidKey

router = APIRouter(prefix="/v1/files", tags=["files"])

TYPES: Final = {
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp",
    ".avif": "image/avif", ".gif": "image/gif", ".pdf": "application/pdf", ".json":
    "application/json", ".jsonl": "application/jsonl", ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8", ".txt": "text/plain; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet", ".gz": "application/gzip",
    ".zst": "application/zstd",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
SHOWN_INLINE: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".pdf"})
FILE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@router.get(
    "/{key:path}",
    response_model=None,
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file",
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
        },
        **documented(403, 404, 422, 503),
    },
)
async def download(
    services: Open,
    key: Annotated[str, Path(max_length=600)],
    expires: Annotated[int, Query(ge=0, le=10**11)],
    signature: Annotated[str, Query(max_length=128)],
) -> Response:
    """Download a file; the links are in results and records, and need no key."""
    services.links.verify(key, expires, signature)
    try:
        found = await services.storage.stat(check_key(key))
    except (ValueError, InvalidKey):
        found = None
    if found is None:
        raise ApiError(404, "the file has been deleted")
    name = PurePosixPath(key).name
    ending = PurePosixPath(key).suffix.lower()
    shape = "inline" if ending in SHOWN_INLINE else "attachment"
    headers = {
        "Content-Length": str(found.size),
        "Content-Disposition": f'{shape}; filename="{name}"',
        "Content-Security-Policy": FILE_POLICY,
        "Cache-Control": "private, max-age=300",
    }
    media_type = TYPES.get(ending, "application/octet-stream")
    return StreamingResponse(_content(services, key), media_type=media_type, headers=headers)


async def _content(services: Open, key: str) -> AsyncIterator[bytes]:
    async for piece in services.storage.stream(key):
        yield piece

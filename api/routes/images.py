"""Pictures: upload, process, and where the processing is."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field
from starlette.datastructures import UploadFile
from uuid6 import uuid7

from adapters.imaging.sniffing import LOOK, sniff
from api.access import Caller, Writer
from api.access import Reader as ReaderOf
from api.answers import (
    Body,
    IdempotencyKey,
    NewJob,
    Prefer,
    answer,
    idempotency_key,
)
from api.problems import ApiError, documented
from api.routes.jobs.reading import with_urls
from api.routes.jobs.submitting import JOB, start, started
from api.services import Open, Services
from jobs.access import upload_prefix
from jobs.images.records import ImageRecord, ImageStatus

router = APIRouter(prefix="/v1/images", tags=["images"])

PIECE_BYTES: Final = 256 * 1024
LONGEST_NAME: Final = 200
FORM: Final = "multipart/form-data"

ImageId = Annotated[str, Path(max_length=100, examples=["img-019abf3e7d3f7c1c9a532f3e8c7d1a11"])]

UPLOAD: Final = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


class ImageOrder(Body):
    """What to do with a picture; as the input of an image job, without the picture."""

    operations: list[dict[str, Any]] = Field(
        min_length=1, max_length=20, examples=[[{"type": "resize", "width": 800}]]
    )
    """In this order."""
    output: dict[str, Any] | None = None
    variants: list[dict[str, Any]] | None = Field(default=None, max_length=10)
    """More files from the same picture."""
    on_animated: str | None = Field(default=None, max_length=32)
    metadata: str | None = Field(default=None, max_length=32)


@router.post(
    "",
    status_code=201,
    response_model=None,
    responses={
        201: {"model": ImageRecord, "description": "It is stored",
              "headers": {"Location": {"schema": {"type": "string"}}}},
        **documented(400, 401, 403, 408, 413, 415, 422, 429, 503),
    },
    openapi_extra=UPLOAD,
)  # fmt: skip
async def upload(
    request: Request,
    caller: Writer,
    services: Open,
    name: Annotated[
        str, Query(max_length=LONGEST_NAME, description="File name, where the body is the file.")
    ] = "",
) -> Response:
    """Store a picture: a form with the field `file`, or the file itself as the body."""
    services.rates.take(caller.name)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == FORM:
        async with request.form(max_files=1, max_fields=10) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise ApiError(422, "the form needs a field `file` with the picture")
            pieces = pieces_of(file)
            record = await store_image(services, caller, file.filename or "", pieces)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        async with aclosing(request.stream()) as pieces:
            record = await store_image(services, caller, name, pieces)
    else:
        raise ApiError(415, f"send the picture as {FORM}, image/* or application/octet-stream")
    headers = {"Location": f"/v1/images/{record.id}"}
    return answer(await shown(services, record), 201, headers)


async def pieces_of(file: UploadFile) -> AsyncIterator[bytes]:
    """Yield the content of a form's file."""
    while piece := await file.read(PIECE_BYTES):
        yield piece


async def store_image(
    services: Services, caller: Caller, name: str, pieces: AsyncIterator[bytes]
) -> ImageRecord:
    """Store a picture as it comes, and record it as pending.

    Raises:
        ApiError: 415 if its first bytes are those of no picture that can be read, 413 if it is too
            large; nothing is kept.
    """
    head = b""
    while len(head) < LOOK and (piece := await anext(pieces, b"")):
        head += piece
    family, format_name = sniff(head[:LOOK])
    if family != "readable":
        raise ApiError(415, f"this is no picture that can be read: it is {format_name}")
    image_id = f"img-{uuid7().hex}"
    key = f"{upload_prefix(caller.owner)}{image_id}.{format_name.lower()}"
    size = 0
    async with services.storage.writer(key) as writer:
        async for piece in _following(head, pieces):
            size += len(piece)
            if size > services.settings.image_max_bytes:
                most = services.settings.image_max_bytes
                raise ApiError(413, f"a picture may have {most:,} bytes at most")
            await writer.write(piece)
    now = datetime.now(UTC)
    record = ImageRecord(
        id=image_id,
        owner=caller.owner,
        source=key,
        file_name=name[:LONGEST_NAME],
        bytes=size,
        sha256=writer.stored.sha256 or "",
        status=ImageStatus.PENDING,
        created_at=now,
        updated_at=now,
    )
    await services.images.add(record)
    return record


async def _following(head: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in pieces:
        yield piece


async def shown(services: Services, record: ImageRecord) -> dict[str, Any]:
    """Return a record with a link at each of its files."""
    data: dict[str, Any] = await with_urls(services, record.model_dump(mode="json"))
    return data


async def find_image(services: Services, caller: Caller, image_id: str) -> ImageRecord:
    """Return a record that the caller may see.

    Raises:
        ApiError: 404, also if it is another owner's.
    """
    record = await services.images.find(image_id, caller.sees)
    if record is None:
        raise ApiError(404, "there is no such thing here")
    return record


@router.get(
    "/{image_id}",
    response_model=None,
    responses={
        200: {"model": ImageRecord, "description": "Each of its files has a `url` for a while"},
        **documented(401, 403, 404, 422, 503),
    },
)
async def show(caller: ReaderOf, services: Open, image_id: ImageId) -> Response:
    """Show a picture's record: pending, processing, processed or failed."""
    return answer(await shown(services, await find_image(services, caller, image_id)))


@router.post(
    "/{image_id}/process",
    status_code=202,
    response_model=None,
    responses={**JOB, **documented(400, 401, 403, 404, 409, 413, 415, 422, 429, 503)},
)
async def process(
    caller: Writer,
    services: Open,
    image_id: ImageId,
    order: ImageOrder,
    key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Start processing a stored picture."""
    services.rates.take(caller.name)
    record = await find_image(services, caller, image_id)
    data = {"image_id": record.id, **order.model_dump(exclude_none=True)}
    owner = Caller(record.owner, caller.scopes, caller.name)  # an admin processes for the owner
    job = await start(services, owner, NewJob(kind="image", input=data), idempotency_key(key))
    return await started(services, caller, job, prefer)

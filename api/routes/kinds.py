"""Kinds of jobs: what each takes and gives."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from api.access import Reader
from api.answers import answer
from api.problems import ApiError, documented
from jobs.access import INTERNAL_KINDS
from jobs.base import JobKind
from jobs.kinds import KINDS

router = APIRouter(prefix="/v1/kinds", tags=["kinds"])

KindName = Annotated[str, Path(max_length=64, examples=["image"])]


class KindInfo(BaseModel):
    """A kind of job."""

    name: str
    summary: str
    queue: str
    deadline_s: float
    """Longest run time."""
    kept_completed_s: float
    """How long a completed job can be looked at, in seconds."""
    kept_failed_s: float
    """How long a failed one can."""
    submittable: bool
    """False for kinds that only the service itself starts."""
    example: dict[str, Any]
    """An input that works as it stands."""


class KindList(BaseModel):
    """The kinds."""

    data: list[KindInfo]


def _info(kind: JobKind[Any, Any]) -> KindInfo:
    return KindInfo(
        name=kind.name,
        summary=(kind.input.__doc__ or "").partition("\n")[0],
        queue=kind.queue,
        deadline_s=kind.deadline.total_seconds(),
        kept_completed_s=kind.retention.completed.total_seconds(),
        kept_failed_s=kind.retention.failed.total_seconds(),
        submittable=kind.name not in INTERNAL_KINDS,
        example=dict(kind.example),
    )


def _find(name: str) -> JobKind[Any, Any]:
    if name not in KINDS:
        raise ApiError(404, "there is no such kind; GET /v1/kinds lists them")
    return KINDS[name]


@router.get(
    "", response_model=None, responses={200: {"model": KindList}, **documented(401, 403, 503)}
)
async def list_kinds(_: Reader) -> Response:
    """List the kinds."""
    return answer({"data": [_info(kind) for kind in KINDS.values()]})


@router.get(
    "/{kind}",
    response_model=None,
    responses={200: {"model": KindInfo}, **documented(401, 403, 404, 422, 503)},
)
async def show(_: Reader, kind: KindName) -> Response:
    """Show one kind."""
    return answer(_info(_find(kind)))


@router.get(
    "/{kind}/schema",
    response_model=None,
    responses={
        200: {
            "description": "JSON Schema of `input`",
            "content": {"application/schema+json": {"schema": {"type": "object"}}},
        },
        **documented(401, 403, 404, 422, 503),
    },
)
async def schema(_: Reader, kind: KindName) -> Response:
    """Return the JSON Schema of a kind's input."""
    found = answer(_find(kind).input.model_json_schema())
    found.headers["Content-Type"] = "application/schema+json"
    return found

"""Outbound webhooks: events, the endpoints that they go to, and what became of deliveries."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from api.access import Reader, Writer
from api.answers import Body, IdempotencyKey, Instant, NewJob, Prefer, answer, idempotency_key
from api.problems import ApiError, documented, field_problems
from api.routes.jobs.submitting import JOB, start, started
from api.services import Open
from jobs.client.webhooks import ReplayFilter
from jobs.deliveries import DeliveryState
from jobs.deliveries.records import AttemptRecord, DeliveryRecord
from jobs.endpoints import Endpoint
from jobs.errors import InvalidInputError, JobNotFoundError

router = APIRouter(prefix="/v1", tags=["outbound webhooks"])

Id = Annotated[str, Path(max_length=200)]
WRITES: Final = documented(400, 401, 403, 404, 409, 413, 415, 422, 429, 503)
READS: Final = documented(401, 403, 404, 422, 503)


class NewEvent(Body):
    """An event to publish: one delivery per endpoint that subscribes to its type."""

    event_type: str = Field(max_length=200, examples=["invoice.paid"])
    payload: dict[str, Any] | None = Field(default=None, examples=[{"invoice": "in_17"}])
    payload_ref: str | None = Field(default=None, max_length=512)
    """Key of stored JSON, instead of ``payload``."""
    occurred_at: Instant | None = None
    endpoint_ids: list[str] | None = Field(default=None, max_length=100)
    """Only to these."""


class NewEndpointBody(Body):
    """An endpoint to register; more options are in ``options``."""

    url: str = Field(max_length=2048, examples=["https://app.example.com/hooks"])
    event_types: list[str] = Field(default=["*"], max_length=50)
    """Types, prefixes such as ``invoice.*``, or ``*``."""
    description: str = Field(default="", max_length=200)
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)
    """Added to every request; shown by name only."""
    options: dict[str, Any] = Field(default_factory=dict)
    """``format``, ``algorithm``, ``schedule``, ``timeout_s``, ``max_concurrency``, ``rate_per_s``,
    ``ordered``, ``notify_user``."""


class EndpointWithKey(BaseModel):
    """An endpoint and the key that its receiver verifies with, shown this once."""

    endpoint: Endpoint
    key: str


class EndpointList(BaseModel):
    """Endpoints."""

    data: list[Endpoint]


class DeliveryList(BaseModel):
    """Deliveries, newest first."""

    data: list[DeliveryRecord]


class DeliveryWithAttempts(BaseModel):
    """A delivery and its attempts."""

    delivery: DeliveryRecord
    attempts: list[AttemptRecord]


class Replayed(BaseModel):
    """Ids of the jobs that deliver again."""

    data: list[str]


class Replay(Body):
    """Which deliveries to make again: one, or those that were missed."""

    delivery_id: str | None = Field(default=None, max_length=300)
    since: Instant | None = None
    event_type: str | None = Field(default=None, max_length=200)


@router.post("/events", status_code=202, response_model=None, responses={**JOB, **WRITES})
async def publish(
    caller: Writer,
    services: Open,
    event: NewEvent,
    key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Publish an event."""
    services.rates.take(caller.name)
    data = event.model_dump(mode="json", exclude_none=True)
    job = await start(services, caller, NewJob(kind="event", input=data), idempotency_key(key))
    return await started(services, caller, job, prefer)


@router.get(
    "/events/{event_id}/payload",
    response_model=None,
    response_class=StreamingResponse,
    responses={200: {"content": {"application/json": {"schema": {}}}}, **READS},
)
async def payload(caller: Reader, services: Open, event_id: Id) -> Response:
    """Return the data of an event whose deliveries carried a link only."""
    stored = await services.endpoints.payload_key(caller.owner, event_id)
    return StreamingResponse(services.storage.stream(stored), media_type="application/json")


@router.post(
    "/endpoints",
    status_code=201,
    response_model=None,
    responses={201: {"model": EndpointWithKey}, **WRITES},
)
async def add(caller: Writer, services: Open, new: NewEndpointBody) -> Response:
    """Register an endpoint; the key for its receiver is shown this once."""
    services.rates.take(caller.name)
    data = {**new.options, **new.model_dump(exclude={"options"})}
    try:
        endpoint, key = await services.endpoints.add(caller.owner, data)
    except InvalidInputError as error:
        detail = "the endpoint is not valid; nothing was registered"
        raise ApiError(422, detail, errors=field_problems(error.problems)) from None
    headers = {"Location": f"/v1/endpoints/{endpoint.id}"}
    return answer({"endpoint": endpoint, "key": key}, 201, headers)


@router.get("/endpoints", response_model=None, responses={200: {"model": EndpointList}, **READS})
async def list_endpoints(caller: Reader, services: Open) -> Response:
    """List one's own endpoints."""
    return answer({"data": await services.endpoints.list(caller.owner)})


@router.get(
    "/endpoints/{endpoint_id}", response_model=None, responses={200: {"model": Endpoint}, **READS}
)
async def show(caller: Reader, services: Open, endpoint_id: Id) -> Response:
    """Show an endpoint and how it does."""
    return answer(await services.endpoints.show(caller.owner, endpoint_id))


@router.delete(
    "/endpoints/{endpoint_id}",
    status_code=204,
    response_model=None,
    responses={204: {"description": "It is forgotten"}, **READS},
)
async def remove(caller: Writer, services: Open, endpoint_id: Id) -> Response:
    """Forget an endpoint."""
    await services.endpoints.remove(caller.owner, endpoint_id)
    return Response(status_code=204)


@router.post(
    "/endpoints/{endpoint_id}/enable",
    response_model=None,
    responses={200: {"model": Endpoint}, **WRITES},
)
async def enable(caller: Writer, services: Open, endpoint_id: Id) -> Response:
    """Deliver again; what was missed is replayed on request."""
    return answer(await services.endpoints.enable(caller.owner, endpoint_id))


@router.post(
    "/endpoints/{endpoint_id}/pause",
    response_model=None,
    responses={200: {"model": Endpoint}, **WRITES},
)
async def pause(caller: Writer, services: Open, endpoint_id: Id) -> Response:
    """Let deliveries wait."""
    return answer(await services.endpoints.pause(caller.owner, endpoint_id))


@router.post(
    "/endpoints/{endpoint_id}/disable",
    response_model=None,
    responses={200: {"model": Endpoint}, **WRITES},
)
async def disable(caller: Writer, services: Open, endpoint_id: Id) -> Response:
    """End deliveries, and make no new ones."""
    return answer(await services.endpoints.disable(caller.owner, endpoint_id))


@router.post(
    "/endpoints/{endpoint_id}/rotate",
    response_model=None,
    responses={200: {"model": EndpointWithKey}, **WRITES},
)
async def rotate(caller: Writer, services: Open, endpoint_id: Id) -> Response:
    """Make a new key; for a day requests carry a signature of the old one too."""
    endpoint, key = await services.endpoints.rotate(caller.owner, endpoint_id)
    return answer({"endpoint": endpoint, "key": key})


class TestSent(BaseModel):
    """The job that sends a test."""

    job_id: str


@router.post(
    "/endpoints/{endpoint_id}/test",
    status_code=202,
    response_model=None,
    responses={202: {"model": TestSent}, **WRITES},
)
async def test(caller: Writer, services: Open, endpoint_id: Id) -> Response:
    """Send a test event to an endpoint."""
    services.rates.take(caller.name)
    job_id = await services.endpoints.test(caller.owner, endpoint_id)
    return answer({"job_id": job_id}, 202, {"Location": f"/v1/jobs/{job_id}"})


@router.get(
    "/endpoints/{endpoint_id}/deliveries",
    response_model=None,
    responses={200: {"model": DeliveryList}, **READS},
)
async def deliveries(
    caller: Reader,
    services: Open,
    endpoint_id: Id,
    state: DeliveryState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """List the deliveries to an endpoint."""
    found = await services.endpoints.log(caller.owner, endpoint_id, state=state, limit=limit)
    return answer({"data": found})


@router.get(
    "/endpoints/{endpoint_id}/deliveries/{delivery_id}",
    response_model=None,
    responses={200: {"model": DeliveryWithAttempts}, **READS},
)
async def delivery(caller: Reader, services: Open, endpoint_id: Id, delivery_id: Id) -> Response:
    """Show a delivery with every attempt."""
    found, attempts = await services.endpoints.attempts(caller.owner, delivery_id)
    if found.endpoint_id != endpoint_id:
        raise JobNotFoundError(delivery_id)
    return answer({"delivery": found, "attempts": attempts})


@router.post(
    "/endpoints/{endpoint_id}/replay",
    status_code=202,
    response_model=None,
    responses={202: {"model": Replayed}, **WRITES},
)
async def replay(caller: Writer, services: Open, endpoint_id: Id, wanted: Replay) -> Response:
    """Make deliveries again, as new jobs with the same ``webhook-id``."""
    services.rates.take(caller.name)
    chosen = ReplayFilter(
        delivery_id=wanted.delivery_id, since=wanted.since, event_type=wanted.event_type
    )
    return answer({"data": await services.endpoints.replay(caller.owner, endpoint_id, chosen)}, 202)

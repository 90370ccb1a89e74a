"""Probes, metrics, and the description of the API for people."""

import asyncio
from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from api.answers import answer
from api.reference import render
from api.services import Open
from jobs.errors import TransientError

router = APIRouter(tags=["service"])

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
)
HEALTH_TIMEOUT: Final = timedelta(seconds=2)


class Health(BaseModel):
    """Whether the process works."""

    ok: bool


class Readiness(BaseModel):
    """Whether what the API needs answers."""

    temporal: bool
    database: bool


@router.get("/healthz", response_model=None, responses={200: {"model": Health}})
async def live() -> Response:
    """Tell that the process works."""
    return answer({"ok": True})


@router.get(
    "/readyz",
    response_model=None,
    responses={
        200: {"model": Readiness},
        503: {"model": Readiness, "description": "One of them is away"},
    },
)
async def ready(services: Open) -> Response:
    """Tell whether the Temporal server and the database answer."""
    temporal, database = await asyncio.gather(_temporal(services), _database(services))
    state = Readiness(temporal=temporal, database=database)
    return answer(state, 200 if temporal and database else 503)


async def _temporal(services: Open) -> bool:
    try:
        return await services.jobs.temporal.service_client.check_health(timeout=HEALTH_TIMEOUT)
    except RuntimeError:
        return False


async def _database(services: Open) -> bool:
    try:
        async with services.database.snapshot():
            return True
    except TransientError:
        return False


@router.get(
    "/metrics",
    response_model=None,
    responses={200: {"description": "Prometheus text", "content": {"text/plain": {}}}},
)
async def metrics(request: Request, services: Open) -> Response:
    """Metrics of this process for Prometheus, and of the queues, worker or not."""
    await request.app.state.metrics.queues.refresh(services.jobs.temporal)
    text = generate_latest(request.app.state.metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """Show the description for people."""
    page = render(request.app.openapi())
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})

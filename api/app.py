"""The application: routes, limits, problems, and what is open while it serves."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.cors import CORSMiddleware

from api import pages, problems
from api.limits import BULK_FACTOR, BodyLimits, SafeHeaders
from api.metrics import Measured, Metrics
from api.problems import ProblemDetails
from api.routes import (
    codec,
    endpoints,
    files,
    hooks,
    images,
    jobs,
    kinds,
    queues,
    redrives,
    schedules,
    system,
)
from api.services import Services
from jobs._version import __version__
from settings import Settings

DESCRIPTION: Final = """
Durable background jobs. Submit one with `POST /v1/jobs`, follow it with `GET /v1/jobs/{id}` or its
events, act on it. Every key belongs to an owner, who sees and acts on their own jobs only; what is
another's is answered like what never was. Errors are problems (RFC 9457).
"""

ROUTERS: Final = (
    *jobs.ROUTERS,
    redrives.router,
    images.router,
    files.router,
    kinds.router,
    endpoints.router,
    hooks.router,
    queues.router,
    schedules.router,
    system.router,
    codec.router,
    pages.router,
)

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]


def create_app(settings: Settings, open_services: OpenServices) -> FastAPI:
    """Return the application; ``open_services`` is entered while it serves."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services() as services:
            app.state.services = services
            app.state.metrics.of_hub(services.hub)
            yield

    app = FastAPI(
        title="Conveyor",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.metrics = Metrics()
    problems.install(app)
    app.add_exception_handler(pages.NotSignedIn, pages.to_sign_in)
    for router in ROUTERS:
        app.include_router(router)
    _add_limits(app, settings)
    app.openapi = lambda: _description(app)  # type: ignore[method-assign] # FastAPI's own way
    return app


def _add_limits(app: FastAPI, settings: Settings) -> None:
    largest_hook = max((s.max_bytes for s in settings.webhook_sources.values()), default=0)
    app.add_middleware(
        BodyLimits,
        max_json=settings.api_max_body,
        larger={
            "/v1/jobs/bulk": settings.api_max_body * BULK_FACTOR,
            codec.PREFIX: codec.MAX_BYTES,
            "/v1/images": settings.image_max_bytes + settings.api_max_body,
            "/pictures": settings.image_max_bytes + settings.api_max_body,
            "/v1/hooks/": max(largest_hook, settings.api_max_body),
        },
    )
    app.add_middleware(SafeHeaders, https=settings.public_url.startswith("https:"))
    if settings.api_cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.api_cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Prefer",
                           "If-None-Match", "Last-Event-ID"],
            expose_headers=["Location", "ETag", "Link", "Retry-After", "Preference-Applied"],
            max_age=600,
        )  # fmt: skip
    app.add_middleware(codec.CodecCors)
    app.add_middleware(Measured, metrics=app.state.metrics)


def _description(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        schemas = document["components"]["schemas"]
        schemas["ProblemDetails"] = ProblemDetails.model_json_schema(
            ref_template="#/components/schemas/{model}"
        )
        schemas.update(schemas["ProblemDetails"].pop("$defs"))
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        app.openapi_schema = document
    return app.openapi_schema

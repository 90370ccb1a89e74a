"""Jobs: submit, look, follow, act."""

from typing import Final

from fastapi import APIRouter

from api.routes.jobs import acts, reading, submitting

ROUTERS: Final[tuple[APIRouter, ...]] = (
    submitting.router,
    reading.router,
    acts.router,
    reading.stats,
)

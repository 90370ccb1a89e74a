"""Jobs: submit, look, follow, act."""

from typing import Final

from fastapi import APIRouter

from api.routes.jobs import acts, items, reading, submitting

ROUTERS: Final[tuple[APIRouter, ...]] = (
    submitting.router,
    reading.router,
    acts.router,
    items.router,
    reading.stats,
)

"""The buttons of a job, and the form for a picture."""

from typing import Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import UploadFile

from api.answers import JobId, NewJob
from api.pages.people import Someone, check_token, checked_form
from api.problems import ApiError
from api.routes.images import pieces_of, store_image
from api.routes.jobs.submitting import start
from api.services import Open
from jobs.access import Scope
from jobs.client.retrying import RETRIED
from jobs.errors import ConveyorError
from jobs.status import FINAL, JobState

router = APIRouter(include_in_schema=False)
DEFAULT_WIDTH: Final = 800
BUTTONS: Final = {
    "cancel": frozenset(JobState) - FINAL,
    "promote": frozenset({JobState.SCHEDULED}),
    "retry": RETRIED | {JobState.RETRYING},
    "release": frozenset({JobState.HELD}),
}
"""States of a job in which each act is offered."""
LABELS: Final = {
    "cancel": "Cancel",
    "promote": "Begin now",
    "retry": "Retry",
    "release": "Release",
}


@router.post("/jobs/{job_id}/cancel")
async def cancel(request: Request, services: Open, person: Someone, job_id: JobId) -> Response:
    """Ask a job to stop."""
    await checked_form(request, person)
    person.caller.require(Scope.WRITE)
    return await _acted(services.jobs_of(person.caller).cancel(job_id), job_id)


@router.post("/jobs/{job_id}/promote")
async def promote(request: Request, services: Open, person: Someone, job_id: JobId) -> Response:
    """Let a job that waits for its time begin now."""
    await checked_form(request, person)
    person.caller.require(Scope.WRITE)
    return await _acted(services.jobs_of(person.caller).promote(job_id), job_id)


@router.post("/jobs/{job_id}/retry")
async def retry(request: Request, services: Open, person: Someone, job_id: JobId) -> Response:
    """Let a job go on from its failed step, or make the attempt that it waits for."""
    await checked_form(request, person)
    person.caller.require(Scope.WRITE)
    return await _acted(services.jobs_of(person.caller).retry(job_id, now=True), job_id)


@router.post("/jobs/{job_id}/release")
async def release(request: Request, services: Open, person: Someone, job_id: JobId) -> Response:
    """Let a held job go on."""
    await checked_form(request, person)
    person.caller.require(Scope.WRITE)
    return await _acted(services.jobs_of(person.caller).release(job_id), job_id)


async def _acted(act: Any, job_id: str) -> Response:
    back = f"/jobs/{quote(job_id)}"
    try:
        await act
    except ConveyorError as error:
        return RedirectResponse(f"{back}?{urlencode({'wrong': str(error)[:300]})}", 303)
    return RedirectResponse(back, 303)


@router.post("/pictures")
async def picture(request: Request, services: Open, person: Someone) -> Response:
    """Upload a picture and have it resized."""
    person.caller.require(Scope.WRITE)
    services.rates.take(person.caller.name)
    async with request.form(max_files=1, max_fields=10) as form:
        check_token(person, form.get("csrf"))
        file, width = form.get("file"), str(form.get("width", ""))
        if not isinstance(file, UploadFile) or not file.filename:
            return _back("choose a picture")
        try:
            record = await store_image(services, person.caller, file.filename, pieces_of(file))
        except ApiError as error:
            return _back(str(error))
    wanted = int(width) if width.isascii() and width.isdigit() else DEFAULT_WIDTH
    data = {
        "image_id": record.id,
        "operations": [{"type": "resize", "width": wanted}, {"type": "compress", "quality": 82}],
    }
    try:
        made = await start(services, person.caller, NewJob(kind="image", input=data), None)
    except ApiError as error:
        return _back("; ".join(problem.detail for problem in error.errors) or str(error))
    return RedirectResponse(f"/jobs/{quote(made.id)}", 303)


def _back(wrong: str) -> Response:
    return RedirectResponse(f"/?{urlencode({'wrong': wrong[:300]})}", 303)

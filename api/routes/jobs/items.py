"""The items of a batch."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from adapters.database.batches import BatchLedger
from api.access import Reader
from api.answers import JobId, answer
from api.problems import documented
from api.routes.jobs.reading import parameters_refused
from api.services import Open
from jobs.base import Contract
from jobs.batches import MAX_ITEMS, ItemState, ItemView
from jobs.client.batches import MAX_PAGE, BatchDesk
from jobs.errors import InvalidInputError

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


class Items(Contract):
    """Items in the order of the list."""

    data: list[ItemView]


@router.get(
    "/{job_id}/items",
    response_model=None,
    responses={
        200: {"model": Items, "description": "In the order of the list, those that have begun"},
        **documented(401, 403, 404, 409, 422, 503),
    },
)
async def items(
    caller: Reader,
    services: Open,
    job_id: JobId,
    index: Annotated[
        int | None, Query(ge=0, lt=MAX_ITEMS, description="Only the item at this place, from 0.")
    ] = None,
    state: ItemState | None = None,
    after: Annotated[
        int, Query(ge=-1, lt=MAX_ITEMS, description="Only those behind this place.")
    ] = -1,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> Response:
    """Tell what became of the items of a batch; all of them are in the file of its result."""
    desk = BatchDesk(services.jobs.temporal, BatchLedger(services.database), caller.sees)
    try:
        if index is not None:
            return answer(Items(data=[await desk.item(job_id, index)]))
        states = [state] if state is not None else []
        found = await desk.items(job_id, states=states, after=after, limit=limit)
    except InvalidInputError as wrong:
        raise parameters_refused(wrong) from None
    return answer(Items(data=list(found)))

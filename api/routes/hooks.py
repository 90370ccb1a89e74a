"""What comes in from others without a key: webhooks by signature, unsubscriptions by token."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from api.answers import answer
from api.problems import ApiError, details, documented, respond
from api.services import Open
from jobs.emails.ledger import SuppressionReason

router = APIRouter(prefix="/v1", tags=["from outside"])

BODY_TIMEOUT_S: Final = 10
RATE_RETRY_S: Final = "60"
AWAY_RETRY_S: Final = "30"

Token = Annotated[str, Path(max_length=400)]


class HookReceipt(BaseModel):
    """What became of an event."""

    id: str
    duplicate: bool


@router.post(
    "/hooks/{source}",
    status_code=202,
    response_model=None,
    responses={
        202: {"model": HookReceipt, "description": "It is stored, also while Temporal is away"},
        200: {"description": "It was stored before; or a challenge is echoed"},
        **documented(400, 401, 404, 408, 413, 415, 422, 429, 503),
    },
    openapi_extra={
        "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}
    },
)
async def receive(
    request: Request, services: Open, source: Annotated[str, Path(max_length=64)]
) -> Response:
    """Take in a webhook: its signature is over the raw bytes."""
    most = services.inbound.max_bytes(source)
    if most is None:
        raise ApiError(404, "there is no such thing here")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    break
    except TimeoutError:
        raise ApiError(408, "the body came too slowly") from None
    receipt = await services.inbound.receive(source, request.headers.items(), bytes(body))
    if receipt.refusal is None:
        return answer(receipt.body, receipt.status)
    waits = {429: RATE_RETRY_S, 503: AWAY_RETRY_S}
    headers = {"Retry-After": waits[receipt.status]} if receipt.status in waits else {}
    return respond(details(receipt.status), headers)


UNSUBSCRIBE_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<body><main><h1>{title}</h1><p>{text}</p>{form}</main></body></html>"""
UNSUBSCRIBE_FORM: Final = '<form method="post"><button>Unsubscribe</button></form>'
PAGE_POLICY: Final = "default-src 'none'; form-action 'self'; frame-ancestors 'none'"


def _page(title: str, text: str, form: str = "", status: int = 200) -> Response:
    page = UNSUBSCRIBE_PAGE.format(title=title, text=text, form=form)
    return HTMLResponse(page, status, {"Content-Security-Policy": PAGE_POLICY})


@router.get(
    "/unsubscribe/{token}",
    response_model=None,
    response_class=HTMLResponse,
    responses={404: {"description": "No such link", "content": {"text/html": {}}},
               **documented(422)},
)  # fmt: skip
async def ask_unsubscribe(services: Open, token: Token) -> Response:
    """Ask a person whether to unsubscribe; a mail program's look at the link changes nothing."""
    if services.mail_tokens.read_unsubscribe_token(token) is None:
        return _page("Unknown link", "This link is not complete, or not ours.", status=404)
    return _page("Unsubscribe", "You will get no more mails of this list.", UNSUBSCRIBE_FORM)


@router.post(
    "/unsubscribe/{token}",
    response_model=None,
    response_class=HTMLResponse,
    responses={404: {"description": "No such link", "content": {"text/html": {}}},
               **documented(413, 422, 503)},
)  # fmt: skip
async def unsubscribe(services: Open, token: Token) -> Response:
    """Unsubscribe, by one click in the mail program (RFC 8058) or on the page."""
    wanted = services.mail_tokens.read_unsubscribe_token(token)
    if wanted is None:
        return _page("Unknown link", "This link is not complete, or not ours.", status=404)
    await services.ledger.suppress(
        wanted.address_hash, SuppressionReason.UNSUBSCRIBE, scope=wanted.list_name, source="link"
    )
    return _page("Unsubscribed", "You will get no more mails of this list.")

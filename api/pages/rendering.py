"""What a page is made of, and what it may load."""

from typing import Any
from urllib.parse import urlsplit

from fastapi import Response
from fastapi.responses import HTMLResponse

from api.pages.people import Person
from api.reference import environment
from api.services import Open
from jobs.wording import ago, duration


def render(services: Open, name: str, status: int = 200, **values: Any) -> Response:
    """Return a template as a page, that of a person or of nobody."""
    values.setdefault("person", None)
    text = (
        environment()
        .get_template(name)
        .render(product=services.settings.product_name, ago=ago, duration=duration, **values)
    )
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": policy(services)}
    return HTMLResponse(text, status, headers)


def policy(services: Open) -> str:
    """Return what a page may load: nothing from elsewhere, but pictures from the bucket."""
    bucket = services.settings.s3_endpoint or ""
    parts = urlsplit(bucket)
    pictures = f" {parts.scheme}://{parts.netloc}" if bucket else " https://*.amazonaws.com"
    pictures = pictures if services.settings.storage.startswith("s3:") else ""
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        f"img-src 'self' data:{pictures}; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )


def page(services: Open, name: str, person: Person, **values: Any) -> Response:
    """Return a template as a page of a person, with the token of their forms."""
    return render(services, name, person=person, csrf=person.session.csrf, **values)

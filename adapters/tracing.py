"""Traces by OpenTelemetry: submit, workflow, step, and the call that leaves the house.

On where the standard variable ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or that of traces alone) is set,
with the others that OpenTelemetry knows; else nothing of it is even imported. Spans hold names,
sizes and answers, never an address, an input or the words of an error:
``tracing_export.scrubbed``. A collector that is away costs spans and one warning, never a job.
"""

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from jobs.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer
    from temporalio.contrib.opentelemetry import TracingInterceptor

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP: Final = "http/protobuf"

FLUSH_S: Final = 2.0
"""How long a leaving process waits for the collector."""

Attribute = str | int | float | bool


class Span(Protocol):
    """A call that is being made."""

    def set_attribute(self, key: str, value: Attribute) -> None:
        """Note a fact about it."""
        ...


class NoSpan:
    """What stands for a span while traces are off."""

    def set_attribute(self, key: str, value: Attribute) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """Traces of this process, on or off."""

    interceptors: "Sequence[TracingInterceptor]" = ()
    """For the client; its workers have them too."""
    provider: "TracerProvider | None" = None

    async def close(self) -> None:
        """Send what is waiting, within ``FLUSH_S``."""
        if self.provider is not None:
            last = threading.Thread(target=self.provider.force_flush, daemon=True)
            last.start()
            await asyncio.to_thread(last.join, FLUSH_S)


class Process:
    """The tracer of this process, as OpenTelemetry too has one for each."""

    tracer: "Tracer | None" = None


def collector() -> str | None:
    """Return where traces go, or None if they are off."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if off or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    if traces := os.environ.get(TRACES_ENDPOINT):
        return traces
    base = os.environ.get(ENDPOINT)
    return f"{base.rstrip('/')}/v1/traces" if base else None


def open_tracing(service: str) -> Tracing:
    """Return the traces of this process; off, and nothing imported, where no collector is named.

    Args:
        service: Name of this process where ``OTEL_SERVICE_NAME`` gives none.

    Raises:
        InvalidInputError: a variable names no address, or a protocol that is not spoken here.
    """
    endpoint = collector()
    if endpoint is None:
        return Tracing()
    _check(endpoint)
    from adapters.tracing_export import interceptor, provider_for

    provider = provider_for(service)
    Process.tracer = provider.get_tracer("conveyor")
    return Tracing((interceptor(Process.tracer),), provider)


def _check(endpoint: str) -> None:
    address = urlsplit(endpoint)
    if address.scheme not in {"http", "https"} or not address.hostname:
        problem = Problem(ENDPOINT, "is no address: write http://collector:4318")
        raise InvalidInputError([problem])
    for name in PROTOCOLS:
        if os.environ.get(name, HTTP) != HTTP:
            problem = Problem(
                name, f"only {HTTP} is spoken here: set it so, and take the collector's port 4318"
            )
            raise InvalidInputError([problem])


@contextmanager
def span(name: str, **attributes: Attribute) -> Iterator[Span]:
    """Trace a call to another system, a step's span above it.

    Args:
        name: What is done: ``smtp.send``.
        attributes: Facts, ``_`` for ``.`` in their names; no address, no secret.
    """
    if Process.tracer is None:
        yield NoSpan()
        return
    from opentelemetry.trace import SpanKind, Status, StatusCode

    facts: dict[str, Any] = {key.replace("_", "."): value for key, value in attributes.items()}
    with Process.tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=facts, record_exception=False
    ) as opened:
        try:
            yield opened
        except Exception as error:
            opened.set_attribute("error.type", type(error).__name__)
            opened.set_status(Status(StatusCode.ERROR))
            raise

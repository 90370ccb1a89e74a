"""The part of ``adapters.tracing`` that imports OpenTelemetry: what is traced, how it leaves."""

import logging
import os
from collections.abc import Sequence
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status, Tracer, get_current_span
from temporalio import activity
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput
from typing_extensions import override

from jobs._version import __version__
from jobs.metrics import error_label, kind_label

logger: Final = logging.getLogger("conveyor.traces")

EXCEPTION_TYPE: Final = "exception.type"


def provider_for(service: str) -> TracerProvider:
    """Return a provider that sends to the collector of the ``OTEL_*`` variables."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # ``Careful`` tells, once
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": service}
    resource = Resource.create({**named, "service.version": __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Careful(OTLPSpanExporter())))
    return provider


def interceptor(tracer: Tracer) -> TracingInterceptor:
    """Return what traces submissions, workflows and steps."""
    return JobTracing(tracer)


class JobTracing(TracingInterceptor):
    """The SDK's own tracing, and on a step's span which kind and attempt it is, and what failed."""

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return super().intercept_activity(_StepFacts(next))


class _StepFacts(ActivityInboundInterceptor):
    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info, span = activity.info(), get_current_span()
        span.set_attribute("conveyor.kind", kind_label(info.workflow_type))
        span.set_attribute("conveyor.attempt", info.attempt)
        try:
            return await super().execute_activity(input)
        except ApplicationError as error:
            span.set_attribute("error.type", error_label(error.type))
            raise


class Careful(SpanExporter):
    """Sends spans without the text of errors; tells once that the collector is away, and back."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._away = False

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export([scrubbed(span) for span in spans])
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            logger.warning("the collector does not take traces: they are dropped until it does")
        elif self._away and not away:
            logger.warning("the collector takes traces again")
        self._away = away
        return result

    @override
    def shutdown(self) -> None:
        self._inner.shutdown()

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def scrubbed(span: ReadableSpan) -> ReadableSpan:
    """Return ``span`` with the types of errors, without their words, which may quote an input."""
    events = [
        Event(
            event.name,
            {
                name: value
                for name, value in (event.attributes or {}).items()
                if name == EXCEPTION_TYPE
            },
            event.timestamp,
        )
        for event in span.events
    ]
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=events,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )

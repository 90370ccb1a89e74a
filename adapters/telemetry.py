"""Logs, metrics and the runtime of the Temporal SDK; one runtime per process."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from typing_extensions import override

from jobs import metrics
from jobs.errors import InvalidInputError, Problem
from jobs.failures import FinalFailure

LogFormat = Literal["auto", "text", "json"]

QUIET: Final = logging.WARNING
"""Level for commands that end by themselves."""

CORE_LOGGER: Final = "temporalio.core"

LOOPBACK: Final = "127.0.0.1"

RECORD_FIELDS: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
"""What every log record has; anything else came in by ``extra``."""

CONTEXT_FIELDS: Final = frozenset({"temporal_activity", "temporal_workflow"})
"""The SDK's own context on a record, from which ``CONTEXT_NAMES`` are taken."""

CONTEXT_NAMES: Final = ("workflow_id", "workflow_type", "activity_id", "activity_type", "attempt")


class LogReporter:
    """Reports final failures as a log line each."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("conveyor.failures")

    async def report(self, failure: FinalFailure) -> None:
        """Log ``failure``."""
        self._logger.error("job failed for good", extra=failure.model_dump())


class JsonFormatter(logging.Formatter):
    """One JSON object a line; facts from ``extra`` are fields of their own."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **facts(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Time, level and message, then the facts as ``key=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        told = " ".join(f"{name}={value!s}" for name, value in facts(record).items())
        line = super().formatMessage(record).replace("\n", " ")
        return f"{line} {told}".rstrip()


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record says besides its message: ``extra``, and which job and step it is of."""
    context: dict[str, Any] = {}
    for field in sorted(CONTEXT_FIELDS):
        context |= getattr(record, field, None) or {}
    told = {name: context[name] for name in CONTEXT_NAMES if name in context}
    extra = {
        name: value
        for name, value in record.__dict__.items()
        if name not in RECORD_FIELDS | CONTEXT_FIELDS and not name.startswith("__")
    }
    return told | extra


def log_format(text: str) -> LogFormat:
    """Return ``text`` as a format of logs.

    Raises:
        InvalidInputError: it is none.
    """
    match text:
        case "auto" | "text" | "json":
            return text
        case _:
            problem = Problem("log-format", f"{text!r}: use auto, text or json")
            raise InvalidInputError([problem])


def set_up_logging(log_format: LogFormat, *, level: int = logging.INFO) -> None:
    """Log to standard error: text on a terminal, else JSON, unless ``log_format`` says which."""
    handler = logging.StreamHandler(sys.stderr)
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for chatty in (CORE_LOGGER, "alembic"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    for activity_or_workflow in ("temporalio.activity", "temporalio.workflow"):
        # The context goes into fields, not into each message as well.
        logging.getLogger(activity_or_workflow).setLevel(level)


def open_runtime(metrics_host: str = LOOPBACK, metrics_port: int | None = None) -> Runtime:
    """Return the SDK's runtime, its own logs forwarded to Python's.

    Forwarded since the core writes to standard output by itself, where a full pipe would stop the
    worker for good.

    Args:
        metrics_host: IP address on which metrics are served, the SDK's and our own.
        metrics_port: Port for Prometheus to read; none by default.

    Raises:
        InvalidInputError: the port is taken, or the address is none of this machine.
    """
    shown = f"[{metrics_host}]" if ":" in metrics_host else metrics_host
    config = _prometheus(f"{shown}:{metrics_port}") if metrics_port is not None else None
    try:
        return Runtime(
            telemetry=TelemetryConfig(
                logging=LoggingConfig(
                    filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                    forwarding=LogForwardingConfig(logger=logging.getLogger(CORE_LOGGER)),
                ),
                metrics=config,
                attach_service_name=False,
            )
        )
    except ValueError as error:
        if config is None:
            raise
        raise InvalidInputError([_metrics_problem(str(error), config.bind_address)]) from None


def _prometheus(address: str) -> PrometheusConfig:
    return PrometheusConfig(
        bind_address=address,
        counters_total_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides={
            metric.name: metric.buckets for metric in metrics.ALL if metric.buckets
        },
    )


def _metrics_problem(error: str, address: str) -> Problem:
    if "in use" in error:
        return Problem(
            "metrics-port",
            f"{address} is taken: choose another port, or end what listens there "
            "(two workers on one machine need two ports)",
        )
    return Problem(
        "metrics-port",
        f"metrics can't be served at {address}: set CONVEYOR_METRICS_HOST to an IP address of this "
        "machine, and a port that this user may take",
    )

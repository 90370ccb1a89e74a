"""Logs, metrics and the runtime of the Temporal SDK; one runtime per process."""

import hashlib
import json
import logging
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError
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

RECORD_FIELDS: Final = frozenset(logging.makeLogRecord({}).__dict__) | {
    *("message", "asctime"),
    "color_message",  # uvicorn's: the message again, in colours
}
"""What a log record has anyway; anything else came in by ``extra``."""

CONTEXT_FIELDS: Final = frozenset({"temporal_activity", "temporal_workflow"})
"""The SDK's own context on a record, which tells of the job."""

OWNER_DIGEST_BYTES: Final = 6


class LogReporter:
    """Reports final failures as a log line each."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("conveyor.failures")

    async def report(self, failure: FinalFailure) -> None:
        """Log ``failure``."""
        self._logger.error("job failed for good", extra=failure.model_dump())


class _Formatter(logging.Formatter):
    """Shows the traceback of what nobody expected; our own errors say all in their message."""

    @override
    def formatException(self, ei: Any) -> str:
        if isinstance(ei[1], ApplicationError):
            return str(ei[1])
        return super().formatException(ei)


class JsonFormatter(_Formatter):
    """One JSON object a line; the job and facts from ``extra`` are fields of their own."""

    def __init__(self, owners: "OwnerNames") -> None:
        super().__init__()
        self._owners = owners

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **facts(record, self._owners),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(_Formatter):
    """Time, level and message, then the facts as ``key=value``."""

    def __init__(self, owners: "OwnerNames") -> None:
        self._owners = owners
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        told = " ".join(f"{name}={value!s}" for name, value in facts(record, self._owners).items())
        line = super().formatMessage(record).replace("\n", " ")
        return f"{line} {told}".rstrip()


@dataclass(frozen=True, slots=True)
class OwnerNames:
    """Names owners in logs by a digest, the same in every process that has the same secret."""

    secret: bytes = b""

    def digest(self, owner: str) -> str:
        """Return what stands for ``owner``; without the secret, no guess at one can be checked."""
        key = hashlib.sha256(self.secret).digest()
        return hashlib.blake2b(owner.encode(), key=key, digest_size=OWNER_DIGEST_BYTES).hexdigest()


def facts(record: logging.LogRecord, owners: OwnerNames) -> dict[str, Any]:
    """Return what a record says besides its message: the job and its owner, and ``extra``."""
    extra = {
        name: value
        for name, value in record.__dict__.items()
        if name not in RECORD_FIELDS | CONTEXT_FIELDS and not name.startswith("__")
    }
    if owner := extra.pop("owner", None):
        extra["owner"] = owners.digest(owner)
    return _job_of(record, owners) | extra


def _job_of(record: logging.LogRecord, owners: OwnerNames) -> dict[str, Any]:
    """Return the job in whose course something is logged, by whatever logger."""
    context: dict[str, Any] = {}
    for field in sorted(CONTEXT_FIELDS):
        context |= getattr(record, field, None) or {}
    owner = None
    if activity.in_activity():
        step = activity.info()
        context |= {
            "workflow_id": step.workflow_id,
            "workflow_type": step.workflow_type,
            "activity_type": step.activity_type,
            "attempt": step.attempt,
        }
        owner = step.priority.fairness_key
    elif workflow.in_workflow():
        job = workflow.info()
        context |= {"workflow_id": job.workflow_id, "workflow_type": job.workflow_type}
        owner = job.priority.fairness_key
    if "workflow_id" not in context:
        return {}
    told = {"job_id": context["workflow_id"], "kind": metrics.kind_label(context["workflow_type"])}
    if "activity_type" in context:
        told |= {"step": context["activity_type"], "attempt": context["attempt"]}
    return told | ({"owner": owners.digest(owner)} if owner else {})


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


def set_up_logging(
    log_format: LogFormat, *, level: int = logging.INFO, secret: bytes = b""
) -> None:
    """Log to standard error: text on a terminal, else JSON, unless ``log_format`` says which.

    Args:
        log_format: ``auto``, ``text`` or ``json``.
        level: The least that is logged.
        secret: The installation's, by which owners are named.
    """
    owners = OwnerNames(secret)
    handler = logging.StreamHandler(sys.stderr)
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler.setFormatter(TextFormatter(owners) if as_text else JsonFormatter(owners))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for chatty in (CORE_LOGGER, "alembic"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    # The context goes into fields, not into each message as well.
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False
    # It says once for each queue, as information, what the worker's own line says once for all.
    logging.getLogger("temporalio.worker._worker").setLevel(max(level, logging.WARNING))


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

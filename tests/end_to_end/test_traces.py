"""One trace from the command line to the call that leaves the house, at a real collector."""

import asyncio
import subprocess
import sys

import pytest

from adapters.tracing import open_tracing
from jobs.errors import InvalidInputError
from tests.end_to_end.installation import ROOT, Installation
from tests.end_to_end.test_webhooks import OPEN, receiving
from tests.end_to_end.test_worker import WELCOME, free_port
from tests.mail_relay import mail_relay
from tests.receivers import Collector

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "operate" / "observe.md"
SECRETS = (b"ada@example.com", b"hush", b"Ada")
"""Of the mail and of the endpoint's address: in no span."""


def traced(collector: Collector) -> dict[str, str]:
    """The variables of a process that sends its spans at once."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}


async def test_a_mail_and_a_delivery_are_one_trace_each_as_the_page_shows(
    installation: Installation,
) -> None:
    async with Collector().running() as collector, mail_relay() as relay:
        variables = {
            **OPEN,
            **traced(collector),
            "CONVEYOR_SMTP_URL": f"smtp://127.0.0.1:{relay.port}?tls=none",
        }
        await asyncio.to_thread(send_and_deliver, installation, variables)
    page = PAGE.read_text()
    for root in ("StartWorkflow:SendEmail", "StartWorkflow:PublishEvent"):
        tree = collector.tree(root)
        assert tree in page, tree
    (post,) = [span for span in collector.spans if span.name == "http.post"]
    assert post.attributes["http.response.status_code"] == 204
    (smtp,) = [span for span in collector.spans if span.name == "smtp.send"]
    assert smtp.attributes["smtp.reply.code"] == 250
    assert not [secret for secret in SECRETS if secret in collector.raw]


def send_and_deliver(installation: Installation, variables: dict[str, str]) -> None:
    """Send a mail and publish an event to an endpoint, everything traced."""
    with receiving(204) as receiver, installation.worker(**variables):
        sent = installation.run("submit", "email", *WELCOME, "--wait", **variables)
        assert sent.code == 0, sent.err
        added = installation.run("endpoints", "add", "--url", receiver.url, "--json", **variables)
        published = installation.run("endpoints", "test", added.json()["id"], **variables)
        installation.until(published.out.strip(), "completed")


def test_a_collector_that_is_away_costs_a_warning_and_no_job(installation: Installation) -> None:
    away = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    with installation.worker(**away) as worker:
        for _ in range(2):
            sent = installation.run("submit", "email", *WELCOME, "--wait", **away)
            assert sent.code == 0, sent.err
            assert sent.err.count("collector") <= 1
        assert worker.stop() == 0
        assert worker.text().count("the collector does not take traces") == 1
        lines = worker.text().splitlines()
        assert not [line for line in lines if "Traceback" in line and "opentelemetry" in line]


def test_without_a_collector_and_a_tracker_their_libraries_are_not_imported() -> None:
    script = (
        "import sys, worker, asyncio; from adapters.error_tracking import Reporters; "
        "from adapters.tracing import open_tracing; open_tracing('x'); Reporters.open(None); "
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"opentelemetry.sdk", "opentelemetry.exporter", "sentry_sdk"}
    assert heavy.isdisjoint(done.stdout.split())


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector", "write http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "only http/protobuf is spoken here"),
    ],
)
def test_a_collector_that_can_not_be_used_is_refused_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInputError, match=told):
        open_tracing("conveyor")

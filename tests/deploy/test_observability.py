"""Alerts and dashboard: they parse, name what is really exported, and lead to the runbook."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from jobs import metrics
from jobs.client import connect
from jobs.client.webhooks import ensure_sweep
from tests.deploy.test_compose import composed
from tests.end_to_end.installation import PATIENCE_S, Installation
from tests.end_to_end.test_worker import WELCOME, free_port
from tests.scraping import Sample, scrape, total

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "observability"
ALERTS = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((FOLDER / "grafana" / "conveyor.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RUNBOOK = (ROOT / "docs" / "operate" / "runbook.md").read_text()
OF_PROMETHEUS = {"up"}
"""Made by Prometheus itself."""


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression with what it is for; Grafana's variables as it would fill them in."""
    for rule in ALERTS:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")


def names(expression: Any) -> Iterator[str]:
    """The metrics that a parsed expression names."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield str(expression.name)
    for part in ("lhs", "rhs", "expr", "vector_selector", "param"):
        if (inner := getattr(expression, part, None)) is not None:
            yield from names(inner)
    for argument in getattr(expression, "args", ()):
        yield from names(argument)


@pytest.mark.parametrize(("title", "expression"), list(expressions()))
def test_every_expression_is_promql(title: str, expression: str) -> None:
    assert list(names(promql_parser.parse(expression))), title


@contextmanager
def measured_worker(installation: Installation) -> Iterator[str]:
    """Run a worker that serves metrics, at a port that nobody took before it; gives the address."""
    while True:
        port = free_port()
        with ExitStack() as stack:
            try:
                stack.enter_context(installation.worker("--metrics-port", str(port)))
            except AssertionError as error:
                if f"{port} is taken" not in str(error):
                    raise
            else:
                yield f"http://127.0.0.1:{port}/metrics"
                return


def scrape_all(addresses: Collection[str], wanted: Collection[str]) -> list[Sample]:
    """Read all metrics, when all that are wanted are there: gauges are read now and then."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = [sample for address in addresses for sample in scrape(address)]
        if set(wanted) <= {sample.name for sample in found} or time.monotonic() > deadline:
            return found
        time.sleep(0.5)  # between looks


async def test_every_metric_that_is_asked_for_is_exported_by_a_real_worker_and_api(
    installation: Installation,
) -> None:
    await ensure_sweep(await connect(address=installation.variables["TEMPORAL_ADDRESS"]))
    asked = {
        name for _, expression in expressions() for name in names(promql_parser.parse(expression))
    }
    # The worker will make the same schedule: a call to Temporal that fails.
    with measured_worker(installation) as worker, installation.api() as api:
        sent = installation.run("submit", "email", *WELCOME, "--wait")
        assert sent.code == 0, sent.err
        (installation.folder / "broken.jpg").write_bytes(b"no picture")
        broken = ("source=@broken.jpg", 'operations:=[{"type": "grayscale"}]')
        assert installation.run("submit", "image", *broken, "--wait").code == 4
        found = scrape_all([worker, f"{api}/metrics"], asked - OF_PROMETHEUS)
    exported = {sample.name for sample in found}
    assert asked - OF_PROMETHEUS - exported == set()
    assert {metric.name for metric in metrics.ALL} <= {
        re.sub("_(total|bucket|count|sum)$", "", name) for name in exported
    }
    assert total(found, "conveyor_jobs_finished_total", kind="email", outcome="completed") == 1
    assert total(found, "conveyor_job_failures_total", kind="image", error="NotAnImage") == 1
    finished = [s for s in found if s.name == "conveyor_jobs_finished_total"]
    of_emails = [s for s in finished if s.labels["kind"] == "email"]
    assert sorted(s.labels["outcome"] for s in of_emails) == ["cancelled", "completed", "failed"]
    assert len({frozenset(s.labels) for s in of_emails}) == 1  # shown from 0, each once
    assert {"emails", "batches"} <= {
        sample.labels["queue"] for sample in found if sample.name == "conveyor_queue_waiting"
    }


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_every_alert_leads_to_its_section_of_the_runbook(rule: dict[str, Any]) -> None:
    name = rule["alert"]
    assert rule["annotations"]["runbook"] == f"docs/operate/runbook.md#{name.lower()}"
    assert rule["labels"]["severity"] in {"warning", "critical"}
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", RUNBOOK, re.DOTALL | re.MULTILINE)
    assert section, name
    assert [
        part for part in ("**Means.**", "**Look.**", "**Mend.**") if part not in section[1]
    ] == []


def test_the_runbook_has_no_section_without_an_alert() -> None:
    assert re.findall(r"^## (\w+)", RUNBOOK, re.MULTILINE) == [rule["alert"] for rule in ALERTS]


def test_the_dashboard_asks_the_data_source_that_is_provisioned() -> None:
    provisioned = yaml.safe_load((FOLDER / "grafana" / "datasources.yaml").read_text())
    (source,) = provisioned["datasources"]
    used = {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    assert used == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"


def test_the_panels_of_the_dashboard_are_named_told_and_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert taken.isdisjoint(cells), panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert [panel["title"] for panel in PANELS if not panel["description"]] == []


def test_prometheus_reads_every_worker_at_the_port_that_it_serves() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    found = {
        job["job_name"]: job.get("dns_sd_configs", [{}])[0] for job in config["scrape_configs"]
    }
    services = composed("core")["services"]
    workers = {name: service for name, service in services.items() if name.startswith("worker")}
    assert set(found["conveyor-worker"]["names"]) == set(workers)
    for service in workers.values():
        command = service["command"]
        port = command[command.index("--metrics-port") + 1]
        assert port == str(found["conveyor-worker"]["port"])
        assert service["environment"]["CONVEYOR_METRICS_HOST"] == "0.0.0.0"  # noqa: S104 - of a container


@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", FOLDER / "prometheus.yml"),
        ("check", "rules", FOLDER / "alerts.yml"),
        ("test", "rules", Path(__file__).with_name("alerts.yml")),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_prometheus_own_tool_accepts_the_files_and_plays_the_alerts(
    words: tuple[str | Path, ...],
) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no `promtool`: it comes with Debian's package prometheus")
    done = subprocess.run([promtool, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize("metric", metrics.ALL, ids=lambda metric: str(metric.name))
def test_the_page_tells_of_every_metric(metric: metrics.Metric) -> None:
    page = (ROOT / "docs" / "operate" / "observe.md").read_text()
    row = next((line for line in page.splitlines() if line.startswith(f"| `{metric.name}")), "")
    assert row, metric.name
    assert [label for label in metric.labels if f"`{label}`" not in row] == []

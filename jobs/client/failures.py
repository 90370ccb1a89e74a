"""Failures as an encrypting codec leaves them, made readable.

The codec's failure converter moves message and stack trace into a payload, and leaves the words
"Encoded failure". What comes raw from the server is put right where it comes in, so that everything
behind reads ``failure.message``.
"""

from collections.abc import Iterable

from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from jobs.encryption import EncryptionKeyMissing


async def open_failures(client: Client, failures: Iterable[Failure]) -> None:
    """Put the messages of ``failures`` and of their causes in place.

    One under a key that is missing here says so instead: that it failed is worth telling.
    """
    for outer in failures:
        failure = outer
        while True:
            if failure.HasField("encoded_attributes"):
                failure.message = await _message(client, failure)
                failure.ClearField("encoded_attributes")
            if not failure.HasField("cause"):
                break
            failure = failure.cause


async def open_event(client: Client, event: HistoryEvent) -> None:
    """Put the messages of the failures in an event in place."""
    name = event.WhichOneof("attributes")
    if name is not None:
        values = (value for _, value in getattr(event, name).ListFields())
        await open_failures(client, (value for value in values if isinstance(value, Failure)))


async def _message(client: Client, failure: Failure) -> str:
    try:
        (attributes,) = await client.data_converter.decode([failure.encoded_attributes])
    except EncryptionKeyMissing as error:
        return str(error)
    return str(attributes.get("message", "")) if isinstance(attributes, dict) else failure.message

"""The data converter of client, worker and tests: pydantic models as JSON.

A payload that does not fit its model fails the job. The stock converter would fail the workflow
task instead, which the server repeats for ever while the job looks running.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    PayloadCodec,
    PayloadConverter,
    create_payload_validation_error,
)
from typing_extensions import override

from jobs.encryption import EncryptionKeyMissing, key_id_of

UNREADABLE: Final = "Failed decoding arguments"
"""What the SDK says of an argument that it could not read."""


class StrictPayloadConverter(PydanticPayloadConverter):
    """Turns a payload that doesn't fit into a failure of the job, without quoting the input.

    One that is still encrypted names its key: this process has none.
    """

    @override
    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        for payload in payloads:
            if (key_id := key_id_of(payload)) is not None:
                raise EncryptionKeyMissing(key_id)
        try:
            return super().from_payloads(payloads, type_hints)
        except ValidationError as error:
            raise create_payload_validation_error(
                error.errors(include_input=False, include_url=False, include_context=False)
            ) from None


class PlainFailureConverter(DefaultFailureConverter):
    """Tells why an argument could not be read, which the SDK wraps in an error of no type."""

    @override
    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        cause = exception.__cause__
        told = cause if cause is not None and str(exception) == UNREADABLE else exception
        super().to_failure(told, payload_converter, failure)


class EncodingFailureConverter(PlainFailureConverter):
    """Moves message and stack trace to where the codec encrypts them."""

    def __init__(self) -> None:
        super().__init__(encode_common_attributes=True)


DATA_CONVERTER: Final = DataConverter(
    payload_converter_class=StrictPayloadConverter, failure_converter_class=PlainFailureConverter
)


def data_converter(codec: PayloadCodec | None) -> DataConverter:
    """Return the converter with a codec, which then encodes the words of failures as well."""
    if codec is None:
        return DATA_CONVERTER
    return replace(
        DATA_CONVERTER,
        payload_codec=codec,
        failure_converter_class=EncodingFailureConverter,
    )

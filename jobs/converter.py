"""The data converter of client, worker and tests: pydantic models as JSON.

A payload that does not fit its model fails the job. The stock converter would fail the workflow
task instead, which the server repeats for ever while the job looks running.
"""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DataConverter, create_payload_validation_error
from typing_extensions import override


class StrictPayloadConverter(PydanticPayloadConverter):
    """Turns a payload that doesn't fit into a failure of the job, without quoting the input."""

    @override
    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        try:
            return super().from_payloads(payloads, type_hints)
        except ValidationError as error:
            raise create_payload_validation_error(
                error.errors(include_input=False, include_url=False, include_context=False)
            ) from None


DATA_CONVERTER: Final = DataConverter(payload_converter_class=StrictPayloadConverter)

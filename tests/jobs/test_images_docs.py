"""The page on image jobs names everything that there is."""

import inspect
import json
import re
from pathlib import Path
from typing import get_args

import pytest

from jobs.errors import JobError
from jobs.images import ImageJob, ImageResult, Output, Variant, errors
from jobs.images.contract import ImageFile, SourceFacts, StepTime
from jobs.images.operations import Gravity, Operation
from jobs.validation import validate

PAGE = (Path(__file__).parents[2] / "docs" / "jobs" / "images.md").read_text()
OPERATIONS = get_args(get_args(Operation)[0])
MODELS = [ImageJob, Variant, Output, ImageResult, ImageFile, SourceFacts, StepTime, *OPERATIONS]
ERRORS = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, JobError) and error.__module__ == errors.__name__
]


def test_every_field_and_operation_is_named() -> None:
    words = {name for model in MODELS for name in model.model_fields}
    words |= {model.model_fields["type"].default for model in OPERATIONS} | set(get_args(Gravity))
    assert {word for word in words if f"`{word}`" not in PAGE} == set()


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_named_with_its_retry(error: type[JobError]) -> None:
    assert f"`{error.__name__}`" in PAGE
    again = f"`{error.__name__}` (again)" in PAGE
    assert again is not error.non_retryable_by_default


def test_the_example_of_variants_is_valid() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    job = validate(ImageJob, json.loads(example))
    assert [variant.name for variant in job.variants] == ["webp", "avif", "thumb", "thumb2x"]

"""What an image job accepts, and how it is laid out into steps."""

from typing import Any

import pytest

from jobs.errors import InvalidInputError
from jobs.images import IMAGE, ImageJob
from jobs.images.planning import plan
from jobs.validation import validate

RESIZE = {"type": "resize", "width": 800}
COMPRESS = {"type": "compress", "quality": 80}
WATERMARK = {"type": "watermark", "text": "© Ada"}


def job(*operations: dict[str, Any], **fields: Any) -> ImageJob:
    return validate(ImageJob, {"source": "in/photo.jpg", "operations": operations, **fields})


def test_the_example_is_valid_and_summarised() -> None:
    example = validate(ImageJob, IMAGE.example)
    assert IMAGE.summarize(example) == "resize, compress, watermark"
    assert validate(ImageJob, example.model_dump(mode="json")) == example


@pytest.mark.parametrize(
    ("operations", "field", "problem"),
    [
        ([], "operations", "at least 1 item"),
        ([{"type": "sharpen"}], "operations.0", "'resize', 'crop'"),
        ([{"width": 5}], "operations.0", "needs a 'type'"),
        ([{"type": "resize", "widht": 5}], "operations.0.widht", "did you mean 'width'?"),
        ([{"type": "resize"}], "operations.0", "a width, a height or both"),
        ([{"type": "resize", "width": 0}], "operations.0.width", "greater than or equal to 1"),
        ([{"type": "resize", "width": 16384}], "operations.0.width", "16383"),
        ([{**RESIZE, "fit": "cover"}], "operations.0", "needs both width and height"),
        ([{**RESIZE, "fit": "crop"}], "operations.0.fit", "'cover'"),
        ([{**RESIZE, "background": "red"}], "operations.0.background", "pattern"),
        ([{"type": "crop", "left": -1, "top": 0, "width": 1, "height": 1}], "operations.0.left",
         "greater than or equal to 0"),
        ([{"type": "rotate", "angle": 45}], "operations.0.angle", "90, 180 or 270"),
        ([{"type": "blur", "radius": 0}], "operations.0.radius", "greater than 0"),
        ([{"type": "watermark"}], "operations.0", "either text or image"),
        ([{**WATERMARK, "image": "logo.png"}], "operations.0", "either text or image"),
        ([{**WATERMARK, "text": "a\x00b"}], "operations.0.text", "control characters"),
        ([{**WATERMARK, "text": "a\nb"}], "operations.0.text", "one line"),
        ([{**WATERMARK, "text": "  "}], "operations.0.text", "can be seen"),
        ([{**WATERMARK, "text": "x" * 201}], "operations.0.text", "200 characters"),
        ([{**WATERMARK, "opacity": 2}], "operations.0.opacity", "less than or equal to 1"),
        ([{"type": "watermark", "image": "../../etc/passwd"}], "operations.0.image", "'..'"),
        ([{"type": "compress"}], "operations.0", "quality, max_bytes or both"),
        ([{"type": "compress", "quality": "high"}], "operations.0.quality", "integer"),
        ([{"type": "convert", "format": "gif"}], "operations.0.format", "'avif'"),
        ([{"type": "convert", "format": "jpeg", "lossless": True}], "operations.0", "lossless"),
        ([{"type": "convert", "format": "webp", "palette": True}], "operations.0", "no palette"),
        ([COMPRESS, RESIZE, COMPRESS], "", "2 'compress' operations"),
        ([RESIZE, {"type": "auto_orient"}], "", "always done first"),
        ([RESIZE] * 21, "operations", "at most 20 items"),
    ],
)  # fmt: skip
def test_an_operation_that_can_not_be_is_refused_by_field(
    operations: list[dict[str, Any]], field: str, problem: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        job(*operations)
    assert [found.field for found in caught.value.problems] == [field]
    assert problem in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"source": None}, "either source or image_id"),
        ({"image_id": "cat"}, "either source or image_id"),
        ({"source": "/etc/passwd"}, "'/'"),
        ({"output": {"format": "png"}, "operations": [{"type": "convert", "format": "webp"}]},
         "set twice"),
        ({"output": {"format": "webp", "lossless": True}, "operations": [COMPRESS]},
         "lossless has no quality"),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, "more than one file 'a'"),
        ({"variants": [{"name": "main"}]}, "more than one file 'main'"),
        ({"variants": [{"name": "../x"}]}, "pattern"),
        ({"variants": [{"name": "a", "operations": [COMPRESS, COMPRESS]}]}, "2 'compress'"),
        ({"on_animated": "all"}, "'first_frame' or 'reject'"),
        ({"metadata": "keep"}, "'strip' or 'copyright'"),
        ({"limits": {"pixels": 9}}, "no such field"),
    ],
)  # fmt: skip
def test_fields_that_contradict_each_other_are_refused(
    fields: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        job(*fields.pop("operations", [RESIZE]), **fields)


@pytest.mark.parametrize(
    ("operations", "names"),
    [
        ([RESIZE], ["resize"]),
        ([RESIZE, COMPRESS, WATERMARK], ["resize", "watermark", "compress"]),
        ([COMPRESS], ["compress"]),
        ([{"type": "convert", "format": "webp"}, COMPRESS], ["convert, compress"]),
        ([{"type": "auto_orient"}], ["auto_orient"]),
        ([{"type": "auto_orient"}, RESIZE], ["resize"]),
    ],
)
def test_each_operation_is_a_step_and_the_encode_is_one(
    operations: list[dict[str, Any]], names: list[str]
) -> None:
    steps = plan(job(*operations))
    assert [step.name for step in steps] == names
    assert [step.reads for step in steps] == ["source", *["main"] * (len(steps) - 1)]
    encoding = [step.branches[0].encoding is not None for step in steps]
    assert encoding == [False] * (len(steps) - 1) + [True]


def test_variants_share_one_decode() -> None:
    variants = [
        {"name": "thumb", "start": "source", "operations": [{"type": "resize", "width": 80}]},
        {"name": "sibling", "output": {"format": "webp"}},
    ]
    steps = plan(job(RESIZE, WATERMARK, variants=variants))
    assert [step.reads for step in steps] == ["source", "main", "thumb", "main"]
    assert steps[0].keeps == ["main", "thumb"]
    assert [branch.keep for branch in steps[0].branches] == [True, True]
    assert steps[1].branches[0].keep  # for the sibling
    assert steps[2].branches[0].changes == []  # its resize is done with the decode


def test_newer_fields_are_ignored_once_a_job_is_on_the_wire() -> None:
    data = {"source": "x", "operations": [{**RESIZE, "new": 1}], "newer": 2}
    assert ImageJob.model_validate(data).operations[0].type == "resize"

"""The jobs of the demo, and how each result is looked at."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from PIL import Image

from cli.demo import batches, reports, transfers, webhooks
from cli.demo.stage import Act, Stage, Unexpected, require_completed
from jobs.status import JobStatus

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"


async def welcome(_: Stage) -> Mapping[str, Any]:
    """A mail to a user of the directory."""
    return {"template": "welcome", "user_id": "ada"}


async def notification(_: Stage) -> Mapping[str, Any]:
    """A mail with facts in it."""
    return {
        "template": "notification",
        "user_id": "grace",
        "data": {"title": "Your export is ready", "message": "1,204 rows, kept for seven days."},
    }


async def password_reset(_: Stage) -> Mapping[str, Any]:
    """A mail whose link is derived in the step, so that no job or log holds it."""
    return {"template": "password-reset", "user_id": "ada", "request_id": "demo-1"}


async def mail_was_caught(stage: Stage, job: JobStatus) -> str:
    """Find the mail that the job sent among those that came in over SMTP."""
    result = require_completed(job)
    if result["delivery"] != "sent":
        raise Unexpected(f"delivery is {result['delivery']}")
    mails = [
        entry
        for entry in stage.outbox.entries()
        if str(stage.outbox.read(entry.name)["Message-ID"]) == result["message_id"]
    ]
    if len(mails) != 1:
        raise Unexpected(f"{len(mails)} mails came in, not 1")
    return f"{stage.outbox.folder}/{mails[0].name}.eml"


async def photo(stage: Stage) -> Mapping[str, Any]:
    """A photo from the camera: smaller, signed, in three sizes and formats."""
    stored = await stage.storage.put_file("uploads/demo-photo.jpg", EXAMPLES / "photo.jpg")
    return {
        "source": stored.key,
        "operations": [
            {"type": "resize", "width": 800},
            {"type": "compress", "quality": 80},
            {"type": "watermark", "text": "© Ada"},
        ],
    }


async def picture_is_right(stage: Stage, job: JobStatus) -> str:
    """Fetch the picture and open it with another reader than the job's own."""
    file = require_completed(job)["files"][0]
    data = await stage.storage.get(file["key"])
    with Image.open(io.BytesIO(data)) as picture:
        if picture.format != "JPEG" or max(picture.size) > 800:  # noqa: PLR2004
            raise Unexpected(f"the result is {picture.format} of {picture.size}")
    path = stage.results / "photo.jpg"
    path.write_bytes(data)
    return f"{path}  {file['width']} × {file['height']}, {file['bytes']:,} bytes"


ACTS: Final[Sequence[Act]] = (
    Act(title="welcome mail", kind="email", input=welcome, expect=mail_was_caught),
    Act(title="notification", kind="email", input=notification, expect=mail_was_caught),
    Act(title="password reset", kind="email", input=password_reset, expect=mail_was_caught),
    Act(title="photo", kind="image", input=photo, expect=picture_is_right),
    *webhooks.ACTS,
    *reports.ACTS,
    *transfers.ACTS,
    *batches.ACTS,
)

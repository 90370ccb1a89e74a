"""Files of results in a bucket: the API leads to the bucket's own links, which expire."""

import hashlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from jobs.client import JobClient
from jobs.images.contract import ImageFile
from settings import Settings
from tests.adapters.conftest import s3
from tests.api.conftest import PATIENCE_S, Api, serving
from tests.api.test_access import PNG
from tests.servers import S3Server

__all__ = ["s3"]

FILE = ImageFile(
    name="main",
    key="",
    width=1,
    height=1,
    format="PNG",
    bytes=len(PNG),
    sha256=hashlib.sha256(PNG).hexdigest(),
    mime="image/png",
    has_alpha=True,
)


@pytest.fixture
async def over_s3(
    api: Api, api_settings: Settings, s3: S3Server, unique: str
) -> AsyncIterator[Api]:
    """The API over a real bucket."""
    place = {
        "storage_url": f"s3://{s3.bucket}/{unique}",
        "s3_endpoint": s3.endpoint,
        "s3_access_key_id": SecretStr(s3.access_key_id),
        "s3_secret_access_key": SecretStr(s3.secret_access_key),
    }
    settings = api_settings.model_copy(update=place)
    async with serving(settings, JobClient(api.services.jobs.temporal)) as served:
        yield served


async def test_a_picture_is_fetched_from_the_bucket_by_a_link_that_expires(over_s3: Api) -> None:
    async with over_s3.as_owner("ada") as http:
        headers = {"Content-Type": "image/png"}
        stored = (await http.post("/v1/images", content=PNG, headers=headers)).json()
        images = over_s3.services.images
        made = FILE.model_copy(update={"key": await images.claim(stored["id"], "ada", "image-1")})
        await images.complete(stored["id"], "image-1", [made])
        [file] = (await http.get(f"/v1/images/{stored['id']}")).json()["files"]
    link = file["url"]
    query = parse_qs(urlsplit(link).query)
    assert link.startswith(str(over_s3.services.settings.s3_endpoint))
    assert query["X-Amz-Expires"] == [f"{over_s3.services.settings.api_link_ttl.seconds}"]
    async with httpx.AsyncClient(timeout=PATIENCE_S) as stranger:
        assert (await stranger.get(link)).content == PNG
        other = link.replace(made.key, f"{made.key}x")
        assert (await stranger.get(other)).status_code == 403
        assert (await stranger.get(link.partition("?")[0])).status_code == 403

"""Where the three stores differ under one API: what ``adapters.storage`` must make up for.

If a new version of the library changes one of these rows, code here can be simplified, or has to
be mended.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import cast

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, GenericError, PreconditionError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from adapters.storage import Storage

Outcome = type[BaseException] | None
"""The error that a case ends with, or None if it passes."""


async def create_over_an_object(store: ObjectStore) -> None:
    await obstore.put_async(store, "there", b"new", mode="create")


async def create_over_an_object_from_an_iterator(store: ObjectStore) -> None:
    await obstore.put_async(store, "there", iter([b"new"]), mode="create")


async def replace_the_known_version(store: ObjectStore) -> None:
    tag = (await obstore.head_async(store, "there"))["e_tag"]
    await obstore.put_async(store, "there", b"new", mode={"e_tag": tag})


async def replace_another_version(store: ObjectStore) -> None:
    await obstore.put_async(store, "there", b"new", mode={"e_tag": '"another"'})


async def put_with_a_content_type(store: ObjectStore) -> None:
    await obstore.put_async(store, "typed", b"{}", attributes={"Content-Type": "application/json"})


async def get_a_missing_object(store: ObjectStore) -> None:
    await obstore.get_async(store, "missing")


async def describe_a_missing_object(store: ObjectStore) -> None:
    await obstore.head_async(store, "missing")


async def delete_a_missing_object(store: ObjectStore) -> None:
    await obstore.delete_async(store, "missing")


async def copy_over_an_object(store: ObjectStore) -> None:
    await obstore.put_async(store, "source", b"new")
    await obstore.copy_async(store, "source", "there", overwrite=False)


async def sign_a_link(store: ObjectStore) -> None:
    # Only S3Store is declared to sign; that the others can't is this case's point.
    signer = cast("S3Store", store)
    await obstore.sign_async(signer, "GET", "there", timedelta(minutes=1))


async def read_from_the_end_on(store: ObjectStore) -> None:
    found = await obstore.get_async(store, "there", options={"range": {"offset": 3}})
    await found.bytes_async()


async def put_under_a_name_that_a_folder_keeps_for_itself(store: ObjectStore) -> None:
    await obstore.put_async(store, "name#1", b"new")


async def rename_an_object(store: ObjectStore) -> None:
    await obstore.rename_async(store, "there", "moved")


TABLE: dict[Callable[[ObjectStore], Awaitable[None]], tuple[Outcome, Outcome, Outcome]] = {
    # case: (local folder, memory, S3)
    create_over_an_object: (AlreadyExistsError,) * 3,
    create_over_an_object_from_an_iterator: (AlreadyExistsError,) * 3,
    replace_the_known_version: (NotImplementedError, None, None),
    replace_another_version: (NotImplementedError, PreconditionError, PreconditionError),
    put_with_a_content_type: (NotImplementedError, None, None),
    get_a_missing_object: (FileNotFoundError,) * 3,
    describe_a_missing_object: (FileNotFoundError,) * 3,
    delete_a_missing_object: (FileNotFoundError, None, None),
    copy_over_an_object: (AlreadyExistsError,) * 3,
    rename_an_object: (None, None, None),
    sign_a_link: (ValueError, ValueError, None),
    read_from_the_end_on: (GenericError,) * 3,
    put_under_a_name_that_a_folder_keeps_for_itself: (GenericError, None, None),
}
STORES = (LocalStore, MemoryStore, S3Store)


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.__name__)
async def test_each_store_behaves_as_the_table_says(
    storage: Storage, case: Callable[[ObjectStore], Awaitable[None]]
) -> None:
    store = storage._store
    await obstore.put_async(store, "there", b"old")
    expected = TABLE[case][STORES.index(type(store))]

    outcome: Outcome = None
    try:
        await case(store)
    except Exception as error:  # noqa: BLE001 - which one it is, is what is tested
        outcome = type(error)

    assert outcome is expected

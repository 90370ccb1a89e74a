"""Encrypts the payloads of jobs before they reach the Temporal server: AES-256-GCM.

Everything that carries data is a payload: inputs, results, heartbeats, memo, summaries, signals and
the messages of failures. Ids, kinds, owners, tags and error types are not. A payload names its key,
so that old keys go on reading after a rotation, and is bound to its job: one that was copied into
another job, or altered, is refused. Payloads from before encryption was switched on are read as
they are.

Nonces are 96 random bits, which suffices for 2^32 payloads under one key.
"""

import copy
import re
import secrets
from collections.abc import Sequence
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from typing_extensions import override

from jobs.encryption import (
    ENCODING,
    METADATA_KEY_ID,
    EncryptionKey,
    EncryptionKeyMissing,
    PayloadAltered,
    key_id_of,
)

CIPHER: Final = b"AES-256-GCM"
METADATA_JOB: Final = "job"
PURPOSE: Final = b"conveyor payload 1"
NONCE_BYTES: Final = 12
OF_SCHEDULE: Final = re.compile(r"-\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
"""What the server puts after the id of a job that a schedule starts."""


class EncryptionCodec(PayloadCodec, WithSerializationContext):
    """Encrypts under the first key; decrypts under any.

    Args:
        keys: At least one.
    """

    def __init__(self, keys: Sequence[EncryptionKey]) -> None:
        self._ciphers = {key.id: AESGCM(key.secret) for key in keys}
        self._writing = keys[0].id
        self._job: str | None = None

    @override
    def with_context(self, context: SerializationContext) -> Self:
        match context:
            case WorkflowSerializationContext() | ActivitySerializationContext():
                bound = copy.copy(self)
                bound._job = context.workflow_id
                return bound
            case _:
                return self

    @override
    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._encrypt(payload) for payload in payloads]

    @override
    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._decrypt(payload) for payload in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        key_id, job = self._writing.encode(), (self._job or "").encode()
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._ciphers[self._writing].encrypt(
            nonce, payload.SerializeToString(), _bound(key_id, job)
        )
        metadata = {"encoding": ENCODING, "encryption-cipher": CIPHER, METADATA_KEY_ID: key_id}
        if job:
            metadata[METADATA_JOB] = job
        return Payload(metadata=metadata, data=nonce + sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        key_id = key_id_of(payload)
        if key_id is None:
            return payload
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise EncryptionKeyMissing(key_id)
        job = payload.metadata.get(METADATA_JOB, b"")
        self._check_job(job.decode(errors="replace"))
        nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        try:
            opened = cipher.decrypt(nonce, sealed, _bound(key_id.encode(), job))
        except (InvalidTag, ValueError):
            msg = f"a payload under the key id {key_id!r} was altered, or its key is another one"
            raise PayloadAltered(msg) from None
        return Payload.FromString(opened)

    def _check_job(self, written_for: str) -> None:
        """Refuse a payload of another job; a schedule writes before it knows the whole id."""
        if not self._job or not written_for or self._job == written_for:
            return
        rest = self._job.removeprefix(written_for)
        if rest == self._job or not OF_SCHEDULE.fullmatch(rest):
            msg = f"a payload of job {written_for!r} was found in job {self._job!r}"
            raise PayloadAltered(msg)


def _bound(key_id: bytes, job: bytes) -> bytes:
    """Return what is authenticated beside the payload."""
    return b"\0".join((PURPOSE, key_id, job))


def open_codec(keys: Sequence[EncryptionKey]) -> EncryptionCodec | None:
    """Return what encrypts under the first of ``keys``; None if there is none."""
    return EncryptionCodec(keys) if keys else None

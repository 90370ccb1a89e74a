"""Send one template to many, chunk by chunk."""

from contextlib import suppress

from temporalio import workflow

from activities.mailings import MailingActivities
from jobs.errors import PoisonJob
from jobs.mailings import (
    FINISH,
    MAILING,
    PREPARE,
    SEND_CHUNK,
    WAITS_FOR_DEFERRED,
    Carried,
    Chunk,
    Mailing,
    MailingJob,
    MailingResult,
    Prepared,
)
from workflows.base import JobWorkflow

MAX_POISONED = 5
"""So many times three workers may be lost in one chunk."""
AROUND_CHUNKS = 3
"""Steps besides the chunks: preparing, further passes over those deferred, finishing."""


@workflow.defn(name=MAILING.workflow)
class SendMailingWorkflow(JobWorkflow):
    """Send to every recipient once; done when each has an outcome."""

    @workflow.run
    async def run(self, mailing: MailingJob) -> MailingResult:
        """Send ``mailing``, from the beginning or from where an earlier run of the job stopped."""
        carried = mailing.carried
        if carried is None:
            prepared = await self.step(
                MailingActivities.prepare,
                mailing,
                PREPARE,
                place=(1, AROUND_CHUNKS),
                summary="read the list of recipients",
            )
            carried = Carried(prepared=prepared)
        deferred = await self._send_all(mailing, carried)
        await self._send_deferred(mailing, carried.prepared, deferred)
        steps = len(carried.prepared.offsets) + AROUND_CHUNKS
        return await self.step(
            MailingActivities.finish,
            carried.prepared,
            FINISH,
            place=(steps, steps),
            summary="write the outcomes",
        )

    async def _send_all(self, mailing: Mailing, carried: Carried) -> list[int]:
        """Send every chunk; return those that have deferred recipients."""
        prepared, deferred = carried.prepared, list(carried.deferred)
        for index in range(carried.next_chunk, len(prepared.offsets)):
            if await self._send_chunk(mailing, prepared, index, place=index + 2):
                deferred.append(index)
            if self._long_enough():
                rest = Carried(prepared=prepared, next_chunk=index + 1, deferred=deferred)
                self.go_on(mailing.model_copy(update={"carried": rest}))
        return deferred

    def _long_enough(self) -> bool:
        """Return whether to go on in a new run, to keep the history short."""
        return workflow.info().is_continue_as_new_suggested()

    async def _send_deferred(self, mailing: Mailing, prepared: Prepared, chunks: list[int]) -> None:
        """Come back to chunks whose recipients' servers said "later"."""
        place = len(prepared.offsets) + AROUND_CHUNKS - 1
        for wait in WAITS_FOR_DEFERRED:
            if not chunks:
                return
            again_at = workflow.now() + wait
            workflow.set_current_details(
                f"Some servers said: later. Tried again at {again_at:%Y-%m-%d %H:%M} UTC."
            )
            await workflow.sleep(wait, summary="until deferred recipients are tried again")
            workflow.set_current_details("")
            chunks = [
                index
                for index in chunks
                if await self._send_chunk(mailing, prepared, index, place=place)
            ]

    async def _send_chunk(
        self, mailing: Mailing, prepared: Prepared, index: int, *, place: int
    ) -> bool:
        """Send one chunk; return whether it has deferred recipients."""
        template = mailing.mail_template
        position = index * prepared.chunk
        count = min(prepared.chunk, prepared.total - position)
        chunk = Chunk(
            mailing=prepared.mailing,
            source=prepared.source,
            offset=prepared.offsets[index],
            position=position,
            count=count,
            template=template.name,
            data=mailing.data,
            locale=mailing.locale or "en",
            list_name=mailing.list_name or template.name,
            on_unknown=mailing.on_unknown or template.on_unknown,
        )
        summary = f"recipients {position + 1:,} to {position + count:,} of {prepared.total:,}"
        of = len(prepared.offsets) + AROUND_CHUNKS
        for _ in range(MAX_POISONED - 1):
            # Each loss of a worker leaves fewer recipients to send to, so it proves no poison yet.
            with suppress(PoisonJob):
                return await self._pass(chunk, place=(place, of), summary=summary)
        return await self._pass(chunk, place=(place, of), summary=summary)

    async def _pass(self, chunk: Chunk, *, place: tuple[int, int], summary: str) -> bool:
        result = await self.step(
            MailingActivities.send_chunk, chunk, SEND_CHUNK, place=place, summary=summary
        )
        return result.deferred > 0

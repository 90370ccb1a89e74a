"""Redrive every job that a filter matches, page by page."""

from temporalio import workflow

from activities.redrives import RedriveActivities
from jobs.redrives import (
    GO_ON,
    MEMO_COUNTS,
    MOST_PAGES,
    WORKFLOW,
    PageRedriven,
    Redrive,
    Redriven,
    RedrivePage,
    page_size,
)
from workflows.base import JobWorkflow


@workflow.defn(name=WORKFLOW)
class RedriveWorkflow(JobWorkflow):
    """Done when every job that matched goes on, was skipped, or could not be made to go on."""

    @workflow.run
    async def run(self, redrive: Redrive) -> Redriven:
        """Go through the pages from where ``redrive`` says."""
        while True:
            page = await self._page(redrive)
            workflow.upsert_memo({MEMO_COUNTS: page.counts})
            if page.next_token is None:
                folder = f"jobs/{workflow.info().workflow_id}/" if page.counts.done else None
                return Redriven(counts=page.counts, outcomes=folder)
            redrive = redrive.model_copy(
                update={
                    "counts": page.counts,
                    "token": page.next_token,
                    "page": redrive.page + 1,
                }
            )
            if redrive.page % MOST_PAGES == 0 or workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(redrive)

    async def _page(self, redrive: Redrive) -> PageRedriven:
        page = RedrivePage(
            wanted=redrive.wanted,
            before=redrive.before,
            rate=redrive.rate,
            size=page_size(redrive.rate),
            counts=redrive.counts,
            token=redrive.token,
            page=redrive.page,
        )
        return await self.step(
            RedriveActivities.page, page, GO_ON, place=(1, 1), summary=f"page {redrive.page + 1}"
        )

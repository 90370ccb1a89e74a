"""Jobs that a job starts: found by lists and status like any other."""

from collections.abc import Mapping
from typing import Any, TypedDict

from temporalio import workflow
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.workflow import ParentClosePolicy

from jobs import validation
from jobs.attributes import JOB_KIND, JOB_OWNER, JOB_TAGS
from jobs.base import Contract, JobKind


class ChildOptions(TypedDict):
    """Arguments of ``workflow.start_child_workflow``."""

    id: str
    task_queue: str
    execution_timeout: Any
    id_reuse_policy: WorkflowIDReusePolicy
    parent_close_policy: ParentClosePolicy
    memo: Mapping[str, str]
    search_attributes: TypedSearchAttributes
    static_summary: str
    priority: Priority


def child_options(kind: JobKind[Any, Any], job: Contract, key: str) -> ChildOptions:
    """Return how to start ``job`` as a child with the id ``<kind>-<key>``.

    It has its parent's owner, tags and priority, goes on if the parent ends, and is refused with
    ``WorkflowAlreadyStartedError`` while a job of that id runs or once one has completed.
    """
    info = workflow.info()
    owner = info.typed_search_attributes.get(JOB_OWNER)
    pairs: list[SearchAttributePair[Any]] = [SearchAttributePair(JOB_KIND, kind.name)]
    if owner is not None:
        pairs.append(SearchAttributePair(JOB_OWNER, owner))
    if tags := info.typed_search_attributes.get(JOB_TAGS):
        pairs.append(SearchAttributePair(JOB_TAGS, tags))
    return {
        "id": f"{kind.name}-{key}",
        "task_queue": kind.queue,
        "execution_timeout": kind.deadline,
        "id_reuse_policy": WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
        "parent_close_policy": ParentClosePolicy.ABANDON,
        "memo": {"fingerprint": validation.fingerprint(job)},
        "search_attributes": TypedSearchAttributes(pairs),
        "static_summary": kind.summarize(job),
        "priority": info.priority,
    }

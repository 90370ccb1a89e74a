"""The sandbox that workflows run in, the same for the worker and for every replay."""

from typing import Final

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

RUNNER: Final = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "jobs", "activities", "workflows.base"
    )
)
"""Contracts and steps are loaded once, not anew for each workflow: they hold no state of one."""

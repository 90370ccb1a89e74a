"""The sandbox in which tests run workflows and replay histories.

It refuses what a replay could not repeat: the clock, chance, files, the network. ``worker.py`` runs
the same code without it, for a tenth less CPU of each job.
"""

from typing import Final

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

RUNNER: Final = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "jobs", "activities", "workflows.base"
    )
)
"""Contracts and steps are loaded once, not anew for each workflow: they hold no state of one."""

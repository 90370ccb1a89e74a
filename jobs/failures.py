"""What is recorded of a job that failed for good."""

from jobs.base import Contract


class FinalFailure(Contract):
    """One job's end; holds nothing of its input, and no message, which might quote it."""

    job_id: str
    run_id: str
    workflow: str
    """Workflow type."""
    type: str
    """Class of the error."""
    owner: str | None = None
    """Whose job it was; logs show a digest of it."""
    attempts: int = 0
    """Attempts of the step that failed; 0 where no step was begun."""

"""Progress of a step, carried by its heartbeats."""

from temporalio import activity

from jobs.status import Progress


def report(
    done: int, total: int | None = None, unit: str = "", message: str = "", step: str = ""
) -> None:
    """Heartbeat how far this step is; call it after each real unit of work, as often as you like.

    The worker sends at most one heartbeat a second, and cancellation arrives with its answer.
    ``step`` is its name where the activity's own says too little.
    """
    step = step or activity.info().activity_type.partition(".")[2]
    activity.heartbeat(Progress(step=step, done=done, total=total, unit=unit, message=message))

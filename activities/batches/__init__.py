"""Steps of the batch job: read the list, do its chunks, hand out jobs, write the outcomes."""

from activities.batches.needs import Performer
from activities.batches.steps import BatchActivities

__all__ = ["BatchActivities", "Performer"]

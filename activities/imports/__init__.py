"""Steps of the import job: inspect the file, load it, say how far it is, write the rejects file."""

from activities.imports.steps import ImportActivities

__all__ = ["ImportActivities"]

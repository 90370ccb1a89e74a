"""Schedules: what runs when, as ``schedules.toml`` says it.

``definitions`` reads and checks the file, ``cron`` knows when clocks get in the way, ``client``
applies definitions to the server and acts on them, ``watching`` is what the watch reports.
"""

from jobs.schedules.definitions import Overlap, ScheduleDefinition, ScheduleFile, read_schedules

__all__ = ["Overlap", "ScheduleDefinition", "ScheduleFile", "read_schedules"]

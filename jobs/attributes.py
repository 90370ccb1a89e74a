"""The search attributes of a job, by which lists are filtered, and a memo that the client writes.

Attributes are never encrypted: no address and no secret may stand in one.
"""

from typing import Final

from temporalio.common import SearchAttributeKey

JOB_KIND: Final = SearchAttributeKey.for_keyword("JobKind")
JOB_OWNER: Final = SearchAttributeKey.for_keyword("JobOwner")
JOB_STATE: Final = SearchAttributeKey.for_keyword("JobState")
"""Only what Temporal can't tell by itself: ``held``."""
JOB_ERROR: Final = SearchAttributeKey.for_keyword("JobError")
"""Type of the final failure."""
JOB_TAGS: Final = SearchAttributeKey.for_keyword_list("JobTags")
"""``key=value``."""

MEMO_MOVED: Final = "moved_to"
"""Memo field of a job that was rescheduled or promoted: the instant it was moved to."""

ALL: Final = (JOB_KIND, JOB_OWNER, JOB_STATE, JOB_ERROR, JOB_TAGS)

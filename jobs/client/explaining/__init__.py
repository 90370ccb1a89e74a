"""Why a job is where it is: all that the server tells of it and its queue, put into a sentence."""

from jobs.client.explaining.facts import Explanation, Reason
from jobs.client.explaining.gathering import explain

__all__ = ["Explanation", "Reason", "explain"]

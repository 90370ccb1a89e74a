"""Contract and activity of the bare workflow."""

from pydantic import BaseModel
from temporalio import activity


class Ping(BaseModel):
    """What goes in and comes out."""

    text: str
    steps: int = 1


@activity.defn(name="bare.nothing")
async def nothing(ping: Ping) -> Ping:
    """Do nothing."""
    return ping

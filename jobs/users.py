"""Users as jobs see them: whom a mail can be sent to by id."""

from typing import Annotated

from pydantic import AwareDatetime

from jobs.base import Contract, Identifier, Personal


class User(Contract):
    """One entry of the directory of users."""

    id: Identifier
    email: Annotated[str, Personal]
    name: Annotated[str, Personal]
    locale: str = "en"
    """BCP 47 tag, ``de-AT``."""
    time_zone: str = "UTC"
    """IANA name, ``Europe/Vienna``."""
    created_at: AwareDatetime

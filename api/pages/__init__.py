"""The page for people: their jobs, live; works without JavaScript and better with it.

Signing in with a key begins a session (``api.sessions``). Every act is a form with its token.
"""

from fastapi import APIRouter

from api.pages import acting, looking, signing_in
from api.pages.people import NotSignedIn, to_sign_in

__all__ = ["NotSignedIn", "router", "to_sign_in"]

router = APIRouter()
for part in (signing_in, looking, acting):
    router.include_router(part.router)

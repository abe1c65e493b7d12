"""A page in the browser, and the same as an HTTP API, on Starlette and uvicorn.

* ``app``: `create_app`, which makes one application of its sections.
* ``section``: `Section`, a tab of the page with its routes; `refusal`, the one way to say no.
* ``guard``: every request passes it: Host, Origin, tokens, size and time of a body, headers.
* ``limits``: `Limits`, what a server allows. ``tokens``: `Tokens`, who may use it.
* ``openapi``: the schema of the API. ``server``: `listen` and `serve`, the process that answers.
* ``photos``: a room of its own, the section *Try*: a photo in, its garments out.
* ``scores``: the section *Score*: submissions, and the leaderboard of a board.
* ``page.html``, ``page.css``, ``page.js``: the page, served as they are.

A second set of routes is a further section: ``create_app([photo_section(worker), board], ...)``.
The guard stands before all of them. What a section must do itself: name its paths that need no
token (`Section.open_paths`) and those that take more than a small body (`Section.body_limits`), and
read forms with `read_form`. `token_holder` says who asks. The page shows a tab for each section in
``/about``: its panel is the element of ``page.html`` whose id is the section's name.
"""

from df2_landmarks.web.app import create_app
from df2_landmarks.web.guard import token_holder
from df2_landmarks.web.limits import Limits
from df2_landmarks.web.photos import (
    PredictOptions,
    Worker,
    photo_section,
)
from df2_landmarks.web.scores import score_section
from df2_landmarks.web.section import ErrorRecord, Section, json_answer, read_form, refusal
from df2_landmarks.web.server import is_loopback, listen, serve
from df2_landmarks.web.tokens import Tokens, new_token

__all__ = [
    "ErrorRecord",
    "Limits",
    "PredictOptions",
    "Section",
    "Tokens",
    "Worker",
    "create_app",
    "is_loopback",
    "json_answer",
    "listen",
    "new_token",
    "photo_section",
    "read_form",
    "refusal",
    "score_section",
    "serve",
    "token_holder",
]

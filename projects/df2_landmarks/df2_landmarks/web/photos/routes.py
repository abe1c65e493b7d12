"""The section *Try*: a photo in, its garments out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from df2_landmarks.predict import PictureRecord
from df2_landmarks.taxonomy import LOW_CONFIDENCE
from df2_landmarks.web.limits import MEGABYTE
from df2_landmarks.web.openapi import COMMON_REFUSALS, answers, reference
from df2_landmarks.web.photos.records import PredictOptions, Task
from df2_landmarks.web.photos.worker import Worker
from df2_landmarks.web.section import Section, read_form, refusal

NAME = "try"
PATH = "/predict"
FIELD = "photo"
MAX_NAME = 200
FORM_BYTES = 100_000
"""Of a request beside the photo: boundaries and options."""


def photo_section(worker: Worker) -> Section:
    """Return the section.

    Args:
        worker: has been started; it is closed when the server ends.
    """

    async def predict(request: Request) -> Response:
        worker.refuse_if_busy()
        async with read_form(request) as form:
            photo, options = _parts(form)
            task = Task(file=(photo.filename or FIELD)[:MAX_NAME], options=options)
            answer = await worker.predict(task, photo.read, request.is_disconnected)
        return Response(answer.content, media_type=answer.media_type)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.to_thread(worker.close)

    def about() -> dict[str, Any]:
        return {
            "model": worker.loaded.fingerprint,
            "categories": worker.loaded.categories,
            "low_confidence": LOW_CONFIDENCE,
            "upload_mb": worker.limits.upload_mb,
            "megapixels": worker.limits.megapixels,
        }

    def health() -> dict[str, Any]:
        return {
            "ok": worker.is_running,
            "model": worker.loaded.fingerprint,
            "in_queue": worker.num_in_queue,
            "queue": worker.limits.queue,
        }

    return Section(
        name=NAME,
        routes=[Route(PATH, predict, methods=["POST"])],
        body_limits={PATH: int(worker.limits.upload_mb * MEGABYTE) + FORM_BYTES},
        about=about,
        health=health,
        paths={PATH: {"post": _operation()}},
        structs=(PictureRecord,),
        lifespan=lifespan,
    )


def _parts(form: FormData) -> tuple[UploadFile, PredictOptions]:
    """Return the photo and the options of a form.

    Raises:
        HTTPException: 400, one of them is missing, wrong or there twice.
    """
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name in fields:
            raise refusal(400, f"the field {name!r} is there twice")
        fields[name] = value
    photo = fields.pop(FIELD, None)
    if not isinstance(photo, UploadFile):
        raise refusal(400, f"the field {FIELD!r} must be one file")
    try:
        return photo, msgspec.convert(fields, PredictOptions, strict=False)
    except msgspec.ValidationError as error:
        raise refusal(400, str(error)) from None


def _operation() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components([PredictOptions])
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    body = schemas[PredictOptions.__name__]
    body["properties"] = {FIELD: file, **body["properties"]}
    body["required"] = [FIELD]
    return {
        "summary": "Find the garments in a photo.",
        "operationId": "predict",
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": body}}},
        "responses": answers(
            {
                "application/json": reference(PictureRecord),
                "text/csv": {"type": "string"},
                "image/jpeg": file,
            },
            {
                **COMMON_REFUSALS,
                413: "The photo has too many bytes or pixels, or needs too much memory.",
                415: "It is not a picture that can be read.",
                502: "The process with the model ended while it had the photo.",
                504: "The photo took too long.",
                507: "The disk of the server is full.",
            },
        ),
    }

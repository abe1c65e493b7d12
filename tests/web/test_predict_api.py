"""What `/predict` answers is what `df2 predict` writes, as the OpenAPI document says."""

from __future__ import annotations

import csv
import io
from functools import partial

import cv2
import jsonschema
import msgspec
import numpy as np
import pytest

from df2_landmarks.formats import Garment
from df2_landmarks.predict import PictureRecord, Predictor, picture_record
from tests.predict.fake_model import FakeModel
from tests.web.served import Server, form, grey_photo, served


def expected(min_score: float = 0.4, **options: object) -> dict:
    rgb = np.full((320, 336, 3), 90, np.uint8)
    garments = Predictor(FakeModel(), min_score=min_score)(rgb, channels="RGB")
    measured = partial(Garment.measurements, pixels_per_cm=options.pop("pixels_per_cm", None))
    return picture_record(
        "photo.png", FakeModel().fingerprint, garments, measure=measured, **options
    )


def test_the_answer_is_the_record_of_df2_predict(server: Server) -> None:
    answer = server.predict(grey_photo())
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json == expected()
    assert msgspec.json.decode(answer.body, type=PictureRecord).garments[0].category == "skirt"


def test_the_options_do_what_they_say(server: Server) -> None:
    assert server.predict(grey_photo(), min_score=0.8).json == expected(min_score=0.8)
    assert server.predict(grey_photo(), min_score=0.8).json["garments"] == []
    assert server.predict(grey_photo(), masks="false").json == expected(with_masks=False)
    assert server.predict(grey_photo(), pixels_per_cm=2).json == expected(pixels_per_cm=2)
    (garment,) = server.predict(grey_photo(), measure="false").json["garments"]
    assert "measurements" not in garment


@pytest.mark.parametrize(
    ("kind", "key", "count"), [("csv", "landmark", 8), ("measurements", "measurement", 5)]
)
def test_tables_have_a_row_for_each(server: Server, kind: str, key: str, count: int) -> None:
    answer = server.predict(grey_photo(), answer=kind)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    (garment,) = expected()["garments"]
    named = garment["landmarks" if kind == "csv" else "measurements"]
    assert [row[key] for row in rows] == list(named)
    assert len(rows) == count
    assert {row["file"] for row in rows} == {"photo.png"}


def test_the_drawing_shows_the_garment_and_keeps_the_size(server: Server) -> None:
    plain = server.predict(grey_photo(), answer="drawing", min_score=0.8)
    drawn = server.predict(grey_photo(), answer="drawing")
    assert drawn.headers["Content-Type"] == "image/jpeg"
    pictures = [cv2.imdecode(np.frombuffer(a.body, np.uint8), 1) for a in (plain, drawn)]
    assert [picture.shape for picture in pictures] == [(320, 336, 3)] * 2
    difference = np.abs(pictures[0].astype(int) - pictures[1]).max(axis=2)
    assert difference[260:].max() < 20 < difference[160, 100:240].max()
    named = server.predict(grey_photo(), answer="drawing", landmark_text="names")
    assert named.body != drawn.body


def test_the_same_photo_gives_the_same_bytes(server: Server) -> None:
    for kind in ("json", "csv", "drawing"):
        first, second = (server.predict(grey_photo(), answer=kind).body for _ in range(2))
        assert first == second


def test_a_photo_may_have_any_name(server: Server) -> None:
    name = "<img src=x onerror=alert(1)>{{7*7}} ü.png"
    answer = server.predict(grey_photo(), name=name)
    assert answer.json["file"] == name
    long = server.predict(grey_photo(), name="x" * 3000)
    assert long.json["file"] == "x" * 200


def test_answers_are_as_the_openapi_document_says(server: Server) -> None:
    document = server.ask("openapi.json").json
    operation = document["paths"]["/predict"]["post"]

    def check(answer, status: int) -> None:
        content = operation["responses"][str(status)]["content"]["application/json"]
        schema = {**content["schema"], "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json)

    check(server.predict(grey_photo()), 200)
    check(server.predict(grey_photo(), min_score=2), 400)
    check(server.predict(b"no picture"), 415)
    with pytest.raises(jsonschema.ValidationError):
        check(server.ask("about"), 200)
    fields = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert set(fields) == {
        *("photo", "answer", "min_score", "masks", "measure", "pixels_per_cm", "landmark_text")
    }
    for name, schema in fields.items():
        if "default" in schema and schema["default"] is not None:
            assert server.predict(grey_photo(), **{name: schema["default"]}).status == 200


def test_the_document_names_what_an_answer_may_contain(server: Server) -> None:
    schemas = server.ask("openapi.json").json["components"]["schemas"]
    assert set(schemas["LandmarkRecord"]["properties"]) >= {"number", "x", "y", "confidence"}
    assert schemas["ErrorRecord"]["required"] == ["error"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([("min_score", "2")], "min_score"),
        ([("min_score", "nan")], "min_score"),
        ([("min_score", "much")], "min_score"),
        ([("answer", "xml")], "answer"),
        ([("colour", "red")], "colour"),
        ([("masks", "perhaps")], "masks"),
        ([("pixels_per_cm", "0")], "pixels_per_cm"),
        ([("masks", "true"), ("masks", "false")], "masks"),
    ],
)
def test_a_wrong_option_is_named(server: Server, fields: list, said: str) -> None:
    kind, body = form([("photo", "a.png", grey_photo())], fields)
    answer = server.ask("predict", body, Content_Type=kind)
    assert (answer.status, said in answer.error) == (400, True), answer.error


def test_it_must_be_one_photo(server: Server) -> None:
    assert "'photo' must be one file" in server.predict(None).error
    kind, body = form([], [("photo", "text")])
    assert server.ask("predict", body, Content_Type=kind).status == 400
    kind, body = form([("photo", f"{n}.png", grey_photo()) for n in range(40)], [])
    answer = server.ask("predict", body, Content_Type=kind)
    assert answer.status == 400
    assert "Maximum number of files is 1" in answer.error
    kind, body = form([("picture", "a.png", grey_photo())], [])
    assert server.ask("predict", body, Content_Type=kind).status == 400


def test_other_categories_are_found_and_described(tmp_path) -> None:
    file = tmp_path / "taxonomy.yaml"
    file.write_text(
        "categories:\n- id: 7\n  name: glove <b>\n  keypoints: [wrist, thumb, '{{tip}}']\n"
        "  skeleton: [[1, 2], [2, 3]]\n"
    )
    with served(taxonomy=str(file)) as server:
        (garment,) = server.predict(grey_photo()).json["garments"]
        rows = server.predict(grey_photo(), answer="csv").body.decode().splitlines()
        (category,) = server.ask("about").json["sections"]["try"]["categories"]
    assert garment["category"] == category["name"] == "glove <b>"
    assert garment["category_id"] == category["id"] == 1
    assert list(garment["landmarks"]) == category["keypoints"] == ["wrist", "thumb", "{{tip}}"]
    assert len(rows) == 1 + 3

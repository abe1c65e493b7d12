"""The files in a bundle, as the server finds them."""

from __future__ import annotations

import io
import re
import shlex
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from df2_landmarks.challenge.bundle.competition import COMPETITION_FILE
from df2_landmarks.common import UserError, check_input_file

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""Of a data set that is on the server already."""
IMAGE_FORMATS = {".jpg": "JPEG", ".png": "PNG", ".gif": "GIF", ".webp": "WEBP"}
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError),
    *(NotImplementedError, RuntimeError),  # of another compression, encrypted
)
"""What the standard library raises on a damaged or encrypted zip."""
NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)
"""What is raised on a text that is not YAML, or has a date or a number that does not exist."""
_REPLACED = (
    "input|output|program|ingestion_program|submission_program|predictions|hidden|shared|tmp"
)
SHELL = re.compile(rf"[&|;<>*?`]|\$(?!({_REPLACED})\b)")
"""What only a shell would understand; the names are those that the server still replaces."""


class BundleFiles:
    """The zip of a bundle.

    Args:
        path: the zip.

    Raises:
        UserError: it is not a zip, or competition.yaml is not at its root.
    """

    def __init__(self, path: Path) -> None:
        check_input_file(path)
        try:
            self._archive = zipfile.ZipFile(path)
            damaged = self._archive.testzip()
        except DAMAGE as error:
            raise UserError(f"{path}: must be a zip without a password, but: {error}") from None
        if damaged is not None:
            raise UserError(f"{path}: {damaged!r} is damaged; copy or pack it again")
        self._infos = {info.filename: info for info in self._archive.infolist()}
        if COMPETITION_FILE not in self._infos:
            inside = [name for name in self._infos if name.endswith(f"/{COMPETITION_FILE}")]
            found = f", but is at {inside[0]!r}; zip the files, not their folder" if inside else ""
            raise UserError(f"{path}: {COMPETITION_FILE} must be at the root of the zip{found}")

    def close(self) -> None:
        """Close the zip."""
        self._archive.close()

    def check_names(self) -> Iterator[str]:
        """Yield a line for each file whose name or kind is dangerous or ambiguous."""
        names = self._archive.namelist()
        for name, info in self._infos.items():
            shown = repr(name[:80])
            if names.count(name) > 1:
                yield f"{shown}: is twice in the zip; pack it again"
            if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name:
                yield f"{shown}: must be a path inside the zip; pack it again"
            if stat.S_ISLNK(info.external_attr >> 16):
                yield f"{shown}: must be a file, but is a link; pack what it names"

    def competition(self) -> Any:
        """Return the content of competition.yaml.

        Raises:
            UserError: it is not YAML.
        """
        try:
            return yaml.safe_load(self._archive.read(COMPETITION_FILE))
        except NOT_YAML as error:
            message = " ".join(str(error).split()) or "it is nested too deeply"
            raise UserError(f"{COMPETITION_FILE}: must be YAML, but: {message}") from None

    def check_text(self, place: str, name: Any) -> Iterator[str]:
        """Yield a line if a page is missing or empty."""
        problems = list(self._check_reference(place, name))
        yield from problems
        if not problems and not self._archive.read(name).strip():
            yield f"{place}: {name} must not be empty; the server refuses it"

    def check_image(self, place: str, name: Any) -> Iterator[str]:
        """Yield a line if the logo is missing or not of a kind that the server takes."""
        from PIL import Image

        problems = list(self._check_reference(place, name))
        yield from problems
        if problems:
            return
        expected = IMAGE_FORMATS.get(PurePosixPath(name).suffix.lower())
        if expected is None:
            yield f"{place}: {name} must be {', '.join(IMAGE_FORMATS)} (not SVG); convert it"
            return
        try:
            with Image.open(io.BytesIO(self._archive.read(name))) as picture:
                found = picture.format
        except (OSError, ValueError, Image.DecompressionBombError):
            found = "none that can be read"
        if found != expected:
            yield f"{place}: {name} must hold {expected}, but holds {found}; convert it"

    def check_zip(self, place: str, name: Any) -> Iterator[str]:
        """Yield a line unless this is a zip in the bundle, or a data set on the server."""
        if isinstance(name, str) and UUID.fullmatch(name):
            return
        problems = list(self._check_reference(place, name))
        yield from problems
        if not problems and self._opened(name) is None:
            yield f"{place}: {name} must be a whole zip; pack its files, without their folder"

    def check_program(self, place: str, name: Any, keys: list[str]) -> Iterator[str]:
        """Yield a line for what keeps a scoring program from running or from filling a column.

        Args:
            place: in competition.yaml.
            name: of its zip.
            keys: of the columns that it must write.
        """
        archive = self._opened(name)
        if archive is None:  # said by check_zip, or on the server
            return
        names = archive.namelist()
        where = f"{place}, {name}"
        found = next((n for n in ("metadata.yaml", "metadata") if n in names), None)
        if found is None:
            inside = [n for n in names if n.endswith(("/metadata.yaml", "/metadata"))]
            advice = f" (it is at {inside[0]!r}: zip the files, not their folder)" if inside else ""
            yield f"{where}: needs metadata.yaml with a command at its root{advice}"
            return
        yield from _check_command(f"{where}, {found}", archive.read(found), names)
        source = b"".join(archive.read(n) for n in names if n.endswith(".py"))
        for key in keys:
            if key.encode() not in source:
                yield (
                    f"{where}: never writes {key!r}, a column of the leaderboard, which would be "
                    "n/a, and n/a ranks first; remove the column or write the number"
                )

    def size(self, name: str) -> int:
        """Return the bytes of a file in the bundle; 0 where it is on the server."""
        return self._infos[name].file_size if name in self._infos else 0

    def _opened(self, name: Any) -> zipfile.ZipFile | None:
        """Return a zip in the bundle; None if it is not one, or is damaged."""
        if not isinstance(name, str) or name not in self._infos:
            return None
        try:
            archive = zipfile.ZipFile(self._archive.open(name))
            return archive if archive.testzip() is None else None
        except DAMAGE:
            return None

    def _check_reference(self, place: str, name: Any) -> Iterator[str]:
        if not isinstance(name, str):  # said by check_keys
            yield f"{place}: must name a file of the bundle"
        elif any(other.startswith(f"{name.rstrip('/')}/") for other in self._infos):
            yield (
                f"{place}: {name} is a folder, which the server would pack where other bundles are "
                "unpacked; pack its files as a .zip and name that"
            )
        elif name not in self._infos:
            yield f"{place}: there is no file {name!r} in the bundle; paths begin at its root"


def _check_command(where: str, text: bytes, names: list[str]) -> Iterator[str]:
    try:
        content = yaml.safe_load(text)
    except NOT_YAML:
        content = None
    command = content.get("command") if isinstance(content, dict) else None
    if not isinstance(command, str) or not command.strip():
        yield f"{where}: must have a command, as `command: python3 score.py`"
        return
    if SHELL.search(command):
        yield (
            f"{where}: no shell runs the command {command!r}: &, |, ;, <, >, *, ? and variables "
            "do nothing; write one program with its arguments"
        )
        return
    try:
        words = shlex.split(command)
    except ValueError as error:
        yield f"{where}: the command {command!r} cannot be split: {error}"
        return
    for word in words:
        script = word.replace("$program/", "").removeprefix("/app/program/").removeprefix("./")
        if script.endswith(".py") and script not in names:
            yield f"{where}: the command runs {word}, which is not in the zip"

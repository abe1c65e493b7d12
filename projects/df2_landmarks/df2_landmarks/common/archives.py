"""Zips that are the same bytes for the same content."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from df2_landmarks.common.files import atomic_path

_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can hold."""


def zip_member(name: str) -> zipfile.ZipInfo:
    """Return a member of a zip, to be deflated: a plain file that says nothing of its time."""
    member = zipfile.ZipInfo(name, _TIMESTAMP)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    return member


def write_zip(path: str | Path, members: Mapping[str, bytes | str | Path]) -> None:
    """Write a zip; the same members give the same bytes. It appears whole or not at all.

    Args:
        path: the zip.
        members: name -> content, text (UTF-8), or the file that has the content.

    Raises:
        UserError: the file cannot be written.

    Example:
        >>> import zipfile
        >>> from df2_landmarks.common import write_zip
        >>> write_zip("kit.zip", {"README.md": "# Starting kit"})
        >>> zipfile.ZipFile("kit.zip").read("README.md")
        b'# Starting kit'
    """
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in members.items():
            member = zip_member(name)
            if not isinstance(content, Path):
                archive.writestr(member, content)
                continue
            if content.suffix == ".zip":  # does not become smaller
                member.compress_type = zipfile.ZIP_STORED
            with content.open("rb") as source, archive.open(member, "w", force_zip64=True) as file:
                shutil.copyfileobj(source, file, 1 << 20)

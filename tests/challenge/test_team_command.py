"""`df2 challenge team`: a token, shown once."""

from __future__ import annotations

from pathlib import Path

import pytest

from df2_landmarks.challenge.board import open_store
from df2_landmarks.cli import challenge


def test_a_team_gets_a_token_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(tmp_path / "board")
    assert challenge.main(["team", data, "the <b>tailors</b>"]) == 0
    token = capsys.readouterr().out.splitlines()[0]
    assert challenge.main(["team", data, "the <b>tailors</b>"]) == 2
    assert capsys.readouterr().err == (
        "df2 challenge: there is a team 'the <b>tailors</b>' already; --new-token replaces its "
        "token\n"
    )
    assert challenge.main(["team", data, "the <b>tailors</b>", "--new-token"]) == 0
    new = capsys.readouterr().out.splitlines()[0]
    with open_store(Path(data)) as store:
        team = store.team_of(new)
        assert team is not None and team.name == "the <b>tailors</b>"
        assert store.team_of(token) is None

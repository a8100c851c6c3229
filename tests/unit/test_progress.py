"""A bar for whoever watches."""

from __future__ import annotations

import pytest

from runtime.progress import WIDTH, bar, watched


def test_the_bar_grows_with_what_is_done() -> None:
    assert bar(0, 4) == f"[{' ' * WIDTH}] 0/4"
    assert bar(4, 4) == f"[{'#' * WIDTH}] 4/4"


def test_whoever_watches_sees_it_and_others_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(watched([1, 2])) == [1, 2]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert list(watched([1, 2])) == [1, 2]
    assert capsys.readouterr().err.endswith("] 2/2\n")

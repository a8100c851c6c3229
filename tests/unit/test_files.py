"""Which file a process has: told apart by host and file, not by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime import files
from runtime.errors import StartError


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:var/task.db", "var/task.db"),
        ("sqlite:/abs/task.db?synchronous=normal", "/abs/task.db"),
        ("file:var/media", "var/media"),
        ("file:///abs/my%20media", "/abs/my media"),
        ("postgresql://h/d", None),
        ("s3://bucket", None),
    ],
)
def test_an_embedded_url_names_a_path(url: str, path: str | None) -> None:
    assert files.path_of(url) == (None if path is None else Path(path))


def test_one_file_has_one_fingerprint_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "b").touch()
    a, link, b = [files.fingerprint(tmp_path / name) for name in ("a", "link", "b")]
    assert a == link != b
    assert all(0 <= each < 2**31 for each in (a, b))


def test_a_folder_is_made_and_one_that_cannot_be_is_said(tmp_path: Path) -> None:
    assert files.fingerprint(tmp_path / "var" / "media") == files.fingerprint(tmp_path / "var" / "media")
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"cannot make .*/file/media: Not a directory"):
        files.fingerprint(tmp_path / "file" / "media")


def test_the_same_file_on_another_host_has_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = files.fingerprint(tmp_path)
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("another kernel")
    monkeypatch.setattr(files, "BOOT_ID", boot_id)
    assert files.fingerprint(tmp_path) != here
    monkeypatch.setattr(files, "BOOT_ID", tmp_path / "none")
    assert files.fingerprint(tmp_path) != here

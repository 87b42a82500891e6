"""The way into custody, where a crash has been before."""

from pathlib import Path

from tidewaiter.daemon.custody import _make_room


def test_a_new_read_begins_in_an_empty_folder(tmp_path: Path) -> None:
    """Whatever an interrupted read had written is gone: half of a body, and a manifest under its passing name."""
    folder = tmp_path / "execution" / "object"
    folder.mkdir(parents=True)
    for name in ("data.tmp", "data.csv", "manifest.json", "manifest.json.0RX9.tmp"):
        (folder / name).write_text("half")
    _make_room(folder / "data.tmp")
    assert list(folder.iterdir()) == []


def test_the_first_read_makes_its_folder(tmp_path: Path) -> None:
    """It is for this user's eyes only."""
    _make_room(tmp_path / "execution" / "object" / "data.tmp")
    assert (tmp_path / "execution" / "object").stat().st_mode & 0o777 == 0o700

"""The files in a directory that globs match."""

import os
from pathlib import Path

import pytest

from tidewaiter.config.errors import TaskError
from tidewaiter.tasks.globs import captured, regular_files


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    root = tmp_path / "root[1]"
    for name in ("a.csv", "b.txt", ".dot.csv", "sub/c.csv", "sub/deep/d.csv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def names(root: Path, *patterns: str) -> list[str]:
    return [name for name, _ in captured(root, patterns)]


class TestCaptured:
    @pytest.mark.parametrize(
        ("patterns", "expected"),
        [
            (["*.csv"], [".dot.csv", "a.csv"]),
            (["a.csv", "b.txt", "a.*"], ["a.csv", "b.txt"]),
            (["**/*.csv"], ["sub/c.csv", "sub/deep/d.csv"]),
            (["./a.csv", "/b.txt"], ["a.csv", "b.txt"]),
            (["regex:.*/sub/[^/]*"], ["sub/c.csv"]),
            (["glob:**/deep/*"], ["sub/deep/d.csv"]),
            ([], []),
        ],
    )
    def test_patterns(self, tree, patterns, expected):
        """Files matching any pattern are found once, with their relative paths, in order."""
        assert expected == names(tree, *patterns)

    def test_links_are_left_out(self, tree):
        """Neither a link to a file nor what lies behind a link to a directory is found."""
        (tree / "link.csv").symlink_to("/etc/hostname")
        (tree / "etc").symlink_to("/etc")

        assert names(tree, "**") == [".dot.csv", "a.csv", "b.txt", "sub/c.csv", "sub/deep/d.csv"]

    def test_other_kinds_of_files_are_left_out(self, tree):
        """A pipe is not opened, which would block for ever."""
        os.mkfifo(tree / "pipe.csv")

        assert "pipe.csv" not in names(tree, "*")

    def test_root_replaced_by_a_link(self, tree, tmp_path):
        """A working directory that turned into a link is refused."""
        (tmp_path / "link").symlink_to(tree)

        with pytest.raises(TaskError, match="link"):
            captured(tmp_path / "link", ["**"])

    def test_very_deep_tree(self, tmp_path):
        """A directory nested as deep as paths allow is walked, not stumbled over."""
        path = tmp_path
        for _ in range(700):
            path /= "d"
            path.mkdir()
        (path / "f").touch()

        assert len(list(regular_files(tmp_path))) == 1

    def test_malformed_pattern(self, tree):
        """A malformed pattern is a task error."""
        with pytest.raises(TaskError, match="glob"):
            captured(tree, ["{a"])

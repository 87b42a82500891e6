"""Files into and out of a working directory."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tidewaiter.config.errors import TaskError
from tidewaiter.config.spec import concrete
from tidewaiter.tasks.files import (
    LocalFiles,
    NamespaceFiles,
    capture,
    confined_directory,
    place,
    place_namespace_files,
    run_local_files,
)

HOSTILE_NAMES = [
    "",
    ".",
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "/etc/x",
    "//x",
    "a\0b",
    "a/",
    "./",
    "a/./../x",
    "x" * 300,
    "\ud800",
]


def written(workdir: Path) -> dict[str, str]:
    return {str(p.relative_to(workdir)): p.read_text() for p in sorted(workdir.rglob("*")) if p.is_file()}


class TestPlace:
    async def test_contents(self, context, files):
        """URIs become the stored content, other values are content themselves, None is left out, parents are made."""
        await place({"a.csv": files.put("1,2"), "d/e/b.txt": "kestra is text", "none": None, "empty": ""}, context)

        assert written(context.workdir) == {"a.csv": "1,2", "d/e/b.txt": "kestra is text", "empty": ""}

    @pytest.mark.parametrize(
        ("value", "text"),
        [({"a": ["é"]}, '{"a": ["é"]}'), (3, "3"), (True, "true"), ("\r\n", "\r\n")],
    )
    async def test_values_that_are_not_text(self, context, value, text):
        """Maps, lists and numbers are written as JSON; line ends are left alone."""
        await place({"x": value}, context)

        assert (context.workdir / "x").read_bytes().decode() == text

    async def test_existing_file_is_replaced(self, context, files):
        """A file that is there already is replaced, by a literal and by a stored file."""
        for name in ("a", "b"):
            (context.workdir / name).write_text("old and longer")
        await place({"a": "new", "./b": files.put("new")}, context)

        assert written(context.workdir) == {"a": "new", "b": "new"}

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    async def test_names_that_lead_outside(self, context, tmp_path, name):
        """A name that is no file inside the working directory is refused, and nothing is written anywhere."""
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(TaskError):
            await place({name: "content"}, context)

        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.parametrize("name", ["$(id)", "-rf", "{{7*7}}", "a\nb", "C:\\x", "\u202ex", " ", "...", "a//b"])
    async def test_odd_names_are_just_names(self, context, name):
        """A name that is odd but inside is used as it is."""
        await place({name: "content"}, context)

        assert list(written(context.workdir)) == [name.replace("//", "/")]

    async def test_link_to_a_directory_is_not_followed(self, context, tmp_path):
        """A link on the way, left by an earlier task, cannot lead the file outside."""
        (tmp_path / "outside").mkdir()
        (context.workdir / "link").symlink_to(tmp_path / "outside")
        with pytest.raises(TaskError, match="link/x"):
            await place({"link/x": "content"}, context)

        assert not list((tmp_path / "outside").iterdir())

    async def test_link_to_a_file_is_replaced(self, context, files, tmp_path):
        """A link in the place of the file is replaced, not written through."""
        (tmp_path / "outside").write_text("precious")
        (context.workdir / "x").symlink_to(tmp_path / "outside")
        await place({"x": files.put("content")}, context)

        assert (written(context.workdir), (tmp_path / "outside").read_text()) == ({"x": "content"}, "precious")

    async def test_missing_stored_file(self, context):
        """A URI without a file is an error, and leaves nothing behind."""
        with pytest.raises(TaskError, match="kestra:///gone"):
            await place({"x": "kestra:///gone"}, context)

        assert not written(context.workdir)

    async def test_directory_in_the_way(self, context):
        """A directory is not replaced by a file."""
        (context.workdir / "x").mkdir()
        with pytest.raises(TaskError, match="'x'"):
            await place({"x": "content"}, context)


class TestCapture:
    async def test_files_are_stored_and_stay(self, context, files):
        """Captured files are in internal storage under their relative path, and still in the directory (D23)."""
        await place({"a.csv": "1", "d/b.csv": "2", "c.txt": "3"}, context)
        captured = await capture(("*.csv", "d/**"), context)

        assert {name: files.text(uri) for name, uri in captured.items()} == {"a.csv": "1", "d/b.csv": "2"}
        assert len(written(context.workdir)) == 3

    async def test_pattern_without_a_match(self, context, log):
        """A pattern that matches nothing is said in the log, with what is there."""
        await place({f"f{n:02}": "" for n in range(12)}, context)
        assert await capture(("f*", "*.parquet"), context)

        assert len(log.at("WARN")) == 1
        assert "'*.parquet'" in log.at("WARN")[0]
        assert "'f09' and 2 more" in log.at("WARN")[0]

    async def test_name_that_is_not_text(self, context):
        """A file name that is not UTF-8 can still be told as JSON."""
        Path(context.workdir / "a\udcff.csv").write_text("1")

        assert json.dumps(list(await capture(("*",), context)), ensure_ascii=False).encode()


class TestLocalFiles:
    async def test_inputs_then_outputs(self, context, files):
        """Inputs are placed before outputs are taken, which have both of their names."""
        spec = LocalFiles(id="t", type="storage.LocalFiles", inputs={"in.csv": "x"}, outputs=("*.csv",))
        outputs = (await run_local_files(spec, context)).outputs

        assert files.text(outputs["uris"]["in.csv"]) == "x"
        assert outputs["outputFiles"] == outputs["uris"]

    async def test_inputs_as_json(self, context):
        """Inputs may be one expression that renders to a JSON map."""
        spec = LocalFiles(id="t", type="storage.LocalFiles", inputs="{{ files }}")
        await run_local_files(concrete(spec, lambda _: '{"a": "1", "b": null}'), context)

        assert written(context.workdir) == {"a": "1"}

    @pytest.mark.parametrize("name", LocalFiles.NAMES)
    def test_names(self, name):
        """Current and older type names are accepted."""
        assert name in LocalFiles.accepted_names()

    def test_malformed_glob(self):
        """A malformed glob is found when the flow is read."""
        with pytest.raises(ValidationError, match="glob"):
            LocalFiles(id="t", type="storage.LocalFiles", outputs=("{a",))


class TestNamespaceFiles:
    @pytest.fixture(name="namespace")
    def _namespace(self, make_context: Any, tmp_path: Path) -> Any:
        folder = tmp_path / "namespace"
        for name in ("top.py", "scripts/a.py", "scripts/deep/b.py", "data/c.csv"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
        (folder / "link").symlink_to("/etc/hostname")
        return make_context(namespace_files=folder)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({}, ["data/c.csv", "scripts/a.py", "scripts/deep/b.py", "top.py"]),
            ({"include": ["*.py"]}, ["scripts/a.py", "scripts/deep/b.py", "top.py"]),
            ({"include": ["/top.py", "data/**"]}, ["data/c.csv", "top.py"]),
            ({"include": ["scripts/*"], "exclude": ["a.py"]}, []),
            ({"exclude": ["/scripts/**"]}, ["data/c.csv", "top.py"]),
            ({"enabled": False}, []),
        ],
    )
    async def test_selection(self, namespace, given, expected):
        """Included files that are not excluded are copied; links are not."""
        await place_namespace_files(NamespaceFiles.model_validate(given), namespace)

        assert sorted(written(namespace.workdir)) == expected

    async def test_no_folder(self, context, log):
        """A namespace without files is worth a warning, not a failure."""
        await place_namespace_files(NamespaceFiles(), context)

        assert len(log.at("WARN")) == 1

    @pytest.fixture(name="others")
    def _others(self, namespace: Any) -> Any:
        """Two more namespaces, with a file of the same name each."""
        for name in ("base", "company.team"):
            folder = namespace.namespace_files.with_name(name)
            folder.mkdir()
            (folder / "top.py").write_text(name)
        return namespace

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"namespaces": ["base", "company.team"]}, {"top.py": "company.team"}),
            ({"namespaces": ["company.team", "base"]}, {"top.py": "base"}),
            (
                {"namespaces": ["base", "company.team"], "folderPerNamespace": True},
                {"base/top.py": "base", "company.team/top.py": "company.team"},
            ),
        ],
    )
    async def test_several_namespaces(self, others, given, expected):
        """The last one counts, unless each has a folder of its own."""
        await place_namespace_files(NamespaceFiles.model_validate(given), others)

        assert written(others.workdir) == expected

    @pytest.mark.parametrize(("choice", "kept"), [("OVERWRITE", "base"), ("WARN", "mine"), ("IGNORE", "mine")])
    async def test_a_file_that_is_there_already(self, others, choice, kept):
        """It is replaced or left, as ifExists says."""
        (others.workdir / "top.py").write_text("mine")
        await place_namespace_files(NamespaceFiles(namespaces=("base",), if_exists=choice), others)

        assert written(others.workdir) == {"top.py": kept}

    async def test_a_file_that_must_not_be_there(self, others):
        """That is a failure which names it."""
        (others.workdir / "top.py").write_text("mine")
        with pytest.raises(TaskError, match="'top.py' is there already"):
            await place_namespace_files(NamespaceFiles(namespaces=("base",), if_exists="FAIL"), others)

    @pytest.mark.parametrize("name", ["..", "a/b", ""])
    def test_a_namespace_is_no_path(self, name):
        """It cannot lead out of the folder of namespaces."""
        with pytest.raises(ValidationError):
            NamespaceFiles.model_validate({"namespaces": [name]})


class TestConfinedDirectory:
    @pytest.mark.parametrize("name", [".", "a", "a/b/", "./a//b"])
    def test_inside(self, tmp_path, name):
        """The directory is made, also when it is there already."""
        for _ in range(2):
            assert confined_directory(tmp_path, name).is_dir()

    @pytest.mark.parametrize("name", ["..", "/tmp", "a/../..", "file", "link"])
    def test_outside_or_taken(self, tmp_path, name):
        """A directory outside, a file and a link are refused."""
        (tmp_path / "file").touch()
        (tmp_path / "link").symlink_to("/tmp")
        with pytest.raises(TaskError):
            confined_directory(tmp_path, name)

"""Internal storage: files appear whole and durable, URIs lead nowhere else, tasks see their own."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from workshop.builders import TRIGGER, Intake

from tidewaiter.config.errors import StorageError, StorageFullError, TaskError, storage_error
from tidewaiter.daemon.records import Execution, ExecutionState
from tidewaiter.daemon.storage import ExecutionFiles, Storage

EXECUTION = Execution(
    id="e1", batch_id="b1", namespace="demo.sub", flow_id="orders", flow_revision=1, trigger="demo.sub/orders/t",
    trigger_type="x", state=ExecutionState.RUNNING, held=False, attempts=1, created_at="",
)  # fmt: skip
FOLDER = "demo/sub/orders/executions"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    made = Storage(tmp_path / "storage")
    made.open()
    return made


@pytest.fixture
def files(storage: Storage) -> ExecutionFiles:
    return ExecutionFiles.of(storage, EXECUTION, "wdir/task", "run1")


def put(storage: Storage, relative: str, content: str = "x") -> str:
    path = storage.root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return storage.uri(path)


def test_the_folder_is_private(storage: Storage) -> None:
    """Nobody else on this machine looks in."""
    assert storage.root.stat().st_mode & 0o777 == 0o700


def test_a_uri_is_the_path_below_the_folder(storage: Storage) -> None:
    """Path and URI lead to each other."""
    uri = put(storage, "demo/orders/executions/e/x.csv")
    assert uri == "kestra:///demo/orders/executions/e/x.csv"
    assert storage.path(uri).read_text() == "x"


@pytest.mark.parametrize(
    "uri",
    [
        "kestra:///../x", "kestra:///a/../../x", "kestra:///a/./x", "kestra:///..", "kestra:///", "kestra://a/x",
        "kestra:///a//x", "/etc/passwd", "file:///etc/passwd", "kestra:///a/x\0", "kestra:///a/x\n", "kestra:///a/%2e%2e/x",
        "kestra:///a\\..\\x", "", "kestra:///a/é",
    ],
)  # fmt: skip
def test_no_uri_leaves_the_folder(storage: Storage, uri: str) -> None:
    """Dots, other schemes and odd characters are refused."""
    with pytest.raises(StorageError):
        storage.path(uri)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("raw/a.csv", "data.csv"), ("a.tar.gz", "data.gz"), ("../../etc/passwd", "data"), ("a.$(id)", "data"),
        ("a.b/c", "data"), ("x.csv\n", "data"), (".csv", "data"), ("a." + "x" * 50, "data"), ("a.é", "data"),
        ("a.csv ", "data"),
    ],
)  # fmt: skip
async def test_an_object_is_kept_under_a_name_of_ours(storage: Storage, intake: Intake, key: str, name: str) -> None:
    """A key is data: only a harmless suffix of it appears in a path."""
    [detection] = await intake.claim(key)
    path = storage.object_path(TRIGGER, detection)
    folder = f"demo/orders/executions/{detection.execution_id}/trigger/arrival/{detection.id}"
    assert path == storage.root / folder / name


async def test_keeping_moves_a_file_and_says_what_it_is(storage: Storage) -> None:
    """The file has its name, the manifest stands beside it, nothing temporary is left."""
    final = storage.root / "demo" / "x" / "data.csv"
    final.parent.mkdir(parents=True)
    (final.parent / "data.tmp").write_text("content")
    uri = await storage.keep(final.parent / "data.tmp", final, {"key": "é"})
    assert storage.path(uri).read_text() == "content"
    assert json.loads((final.parent / "manifest.json").read_text()) == {"key": "é"}
    assert sorted(path.name for path in final.parent.iterdir()) == ["data.csv", "manifest.json"]


async def test_the_manifest_is_there_before_the_file(storage: Storage) -> None:
    """Whoever finds the file finds what it is: if the file cannot get its name, the manifest stands already."""
    final = storage.root / "x" / "data"
    (final / "in the way").mkdir(parents=True)
    (final.parent / "data.tmp").write_text("content")
    with pytest.raises(StorageError):
        await storage.keep(final.parent / "data.tmp", final, {})
    assert (final.parent / "manifest.json").exists()


async def test_keeping_again_replaces(storage: Storage) -> None:
    """A step repeated after a crash finds its own work and does it again."""
    final = storage.root / "x" / "data"
    final.parent.mkdir()
    for _ in range(2):
        (final.parent / "data.tmp").write_text("content")
        await storage.keep(final.parent / "data.tmp", final, {"n": 1})
    assert final.read_text() == "content"


async def test_every_new_folder_up_to_the_top_is_synced(storage: Storage, tmp_path: Path) -> None:
    """After a power cut the whole path is there, not only its last part."""
    synced: list[Path] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and watching and Path(str(arguments[0])).is_dir():
            synced.append(Path(str(arguments[0])))

    watching = True
    sys.addaudithook(watch)
    (storage.root / "a/b/c").mkdir(parents=True)
    (storage.root / "a/b/c/t").write_text("x")
    await storage.keep(storage.root / "a/b/c/t", storage.root / "a/b/c/data", {})
    watching = False
    assert [path.relative_to(tmp_path).as_posix() for path in synced] == [
        "storage/a/b/c",
        "storage/a/b",
        "storage/a",
        "storage",
    ]


async def test_a_task_stores_a_copy_below_its_own_run(files: ExecutionFiles, tmp_path: Path) -> None:
    """The file stays where it was; its copy is named after it."""
    (tmp_path / "out.csv").write_text("result")
    uri = await files.store(tmp_path / "out.csv", "sub/out.csv")
    assert uri.startswith(f"kestra:///{FOLDER}/e1/tasks/wdir.task/run1/")
    assert uri.endswith("-out.csv")
    assert (files.path(uri).read_text(), (tmp_path / "out.csv").exists()) == ("result", True)


@pytest.mark.parametrize(
    "name", ["../../x", "..", ".", "", "/", "a b;$(id)`'\"", ".hidden", "\0", "é" * 300, "x" * 5000, "-rf", "a\nb"]
)
async def test_hostile_names_become_harmless(files: ExecutionFiles, tmp_path: Path, name: str) -> None:
    """Whatever a file is called, its URI is one that can be read back, and it lies where it should."""
    (tmp_path / "f").write_text("x")
    uri = await files.store(tmp_path / "f", name)
    assert files.path(uri).parent == files.storage.root / files.folder
    assert files.path(uri).read_text() == "x"


async def test_equal_names_do_not_overwrite_each_other(files: ExecutionFiles, tmp_path: Path) -> None:
    """Two files of one name are two files."""
    (tmp_path / "f").write_text("x")
    assert await files.store(tmp_path / "f", "a/x") != await files.store(tmp_path / "f", "b/x")


async def test_a_link_is_not_followed(files: ExecutionFiles, tmp_path: Path) -> None:
    """A link in a working directory does not bring in a file of the host."""
    (tmp_path / "secret").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(StorageError):
        await files.store(tmp_path / "link", "link")


async def test_a_task_fetches_files_of_its_execution(files: ExecutionFiles, tmp_path: Path) -> None:
    """A copy is put where it is wanted."""
    uri = put(files.storage, f"{FOLDER}/e1/trigger/t/d/data.csv", "content")
    await files.fetch(uri, tmp_path / "here.csv")
    assert (tmp_path / "here.csv").read_text() == "content"


@pytest.mark.parametrize("folder", ["e2", "e11", "e", "e1x"])
def test_another_executions_files_are_out_of_reach(files: ExecutionFiles, folder: str) -> None:
    """Even if the ids begin alike."""
    with pytest.raises(TaskError, match="belongs to another execution"):
        files.path(put(files.storage, f"{FOLDER}/{folder}/x"))


def test_a_replay_reads_the_originals_files(storage: Storage) -> None:
    """The objects were kept with the execution they arrived for; outsiders stay out."""
    files = ExecutionFiles.of(storage, replace(EXECUTION, id="e9", original_id="e1"), "t", "run")
    assert files.path(put(storage, f"{FOLDER}/e1/x")).exists()
    with pytest.raises(TaskError, match="belongs to another execution"):
        files.path(put(storage, f"{FOLDER}/e2/x"))


def test_a_missing_file_and_a_bad_uri_are_task_errors(files: ExecutionFiles) -> None:
    """What a flow asks for wrongly fails its task, with the URI named."""
    with pytest.raises(TaskError, match="there is no file 'kestra:///demo/sub/orders/executions/e1/nope'"):
        files.path(f"kestra:///{FOLDER}/e1/nope")
    with pytest.raises(TaskError, match="leaves internal storage"):
        files.path(f"kestra:///{FOLDER}/e1/../e2/x")


async def test_a_task_deletes_what_a_task_made(files: ExecutionFiles, tmp_path: Path) -> None:
    """It tells whether the file was there, so repeating it is harmless."""
    (tmp_path / "f").write_text("x")
    uri = await files.store(tmp_path / "f", "f")
    assert [await files.delete(uri), await files.delete(uri)] == [True, False]
    assert not (files.storage.root / uri.removeprefix("kestra:///")).exists()


@pytest.mark.parametrize("place", ["e1/trigger/t/d/data.csv", "e1/.forgotten", "e2/tasks/t/r/f"])
async def test_nothing_else_is_deleted(files: ExecutionFiles, place: str) -> None:
    """Neither an object in custody nor another execution's file."""
    uri = put(files.storage, f"{FOLDER}/{place}")
    with pytest.raises(TaskError):
        await files.delete(uri)
    assert files.storage.path(uri).exists()


def test_which_texts_are_uris(files: ExecutionFiles) -> None:
    """Only our scheme is ours."""
    assert [files.owns(text) for text in ("kestra:///a/b", "s3://a/b", "kestra", "")] == [True, False, False, False]


def test_no_space_is_an_error_of_its_own() -> None:
    """Who waits for space can tell it from other trouble; both name the path."""
    full, other = (storage_error(OSError(number, "reason"), Path("/x")) for number in (28, 13))
    assert (type(full), type(other)) == (StorageFullError, StorageError)
    assert ("/x" in full.message, "/x" in other.message) == (True, True)

"""A folder of flow files, and what happens when they change, break and come back."""

import os
from pathlib import Path

import pytest

from tidewaiter.config.errors import ConfigError
from tidewaiter.config.expression import Expressions
from tidewaiter.config.spec import concrete
from tidewaiter.daemon.flows import FlowSet, changed, flow_files, load_flows, parse_flow, read_flow


def flow(identifier: str, message: str = "hi", namespace: str = "demo") -> str:
    return f"id: {identifier}\nnamespace: {namespace}\ntasks: [{{id: hello, type: log.Log, message: {message}}}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flows").mkdir()
    return tmp_path / "flows"


def write(path: Path, text: str) -> None:
    """Write as an editor may: the file is as new as it can be told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    if path.stat().st_mtime_ns == before:
        os.utime(path, ns=(before + 1, before + 1))


def load(folder: Path, expressions: Expressions, before: FlowSet | None = None) -> FlowSet:
    return load_flows([folder], expressions, before)


def texts(flows: FlowSet) -> dict[str, object]:
    return {name: file.flow.tasks[0].message for name, file in flows.flows.items()}  # type: ignore[attr-defined] # all are Log


def test_files_are_found_in_folders_and_sorted(folder: Path) -> None:
    """Folders are walked; other files, hidden ones and folders named like files are left out."""
    for name in ("b.yaml", "a.yml", "sub/c.yaml", ".hidden.yaml", ".git/d.yaml", "notes.txt", "x.yaml.bak"):
        write(folder / name, flow("x"))
    (folder / "folder.yaml").mkdir()
    assert [path.relative_to(folder).as_posix() for path in flow_files([folder])] == ["a.yml", "b.yaml", "sub/c.yaml"]


def test_a_named_file_counts_whatever_it_is_called_and_once(folder: Path) -> None:
    """What the user names is meant, also twice."""
    write(folder / "flow.txt", flow("x"))
    write(folder / "a.yaml", flow("y"))
    found = flow_files([folder / "flow.txt", folder, folder / "a.yaml"])
    assert [path.name for path in found] == ["flow.txt", "a.yaml"]


def test_links_to_files_are_followed_but_not_to_folders(folder: Path, tmp_path: Path) -> None:
    """Files of a Kubernetes ConfigMap are links; a linked folder may lead anywhere."""
    write(tmp_path / "data" / "real.yaml", flow("x"))
    (folder / "link.yaml").symlink_to(tmp_path / "data" / "real.yaml")
    (folder / "linked").symlink_to(tmp_path / "data")
    assert [path.name for path in flow_files([folder])] == ["link.yaml"]


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    """A mistyped folder is not an empty one."""
    with pytest.raises(ConfigError, match="no such file or folder"):
        flow_files([tmp_path / "nope"])


def test_flows_are_known_by_their_full_name(folder: Path, expressions: Expressions) -> None:
    """Two namespaces may use one id."""
    write(folder / "a.yaml", flow("x", "one"))
    write(folder / "b.yaml", flow("x", "two", "other"))
    assert texts(load(folder, expressions)) == {"demo.x": "one", "other.x": "two"}


def test_a_broken_file_does_not_hinder_the_others(folder: Path, expressions: Expressions) -> None:
    """What is right is served, what is wrong is told."""
    write(folder / "bad.yaml", "id: x\n")
    write(folder / "good.yaml", flow("y"))
    flows = load(folder, expressions)
    assert (list(flows.flows), {problem.file for problem in flows.problems}) == (["demo.y"], {str(folder / "bad.yaml")})


def test_a_file_that_breaks_keeps_its_flow_and_says_why(folder: Path, expressions: Expressions) -> None:
    """Triggers go on with the flow they had, however long it takes."""
    write(folder / "a.yaml", flow("x", "old"))
    first = load(folder, expressions)
    write(folder / "a.yaml", "id: [")
    second = load(folder, expressions, first)
    third = load(folder, expressions, second)
    assert [texts(flows) for flows in (second, third)] == [{"demo.x": "old"}] * 2
    assert [len(flows.problems) for flows in (first, second, third)] == [0, 1, 1]


def test_a_mended_file_counts_again(folder: Path, expressions: Expressions) -> None:
    """The problem is gone with its cause."""
    write(folder / "a.yaml", "id: [")
    broken = load(folder, expressions)
    write(folder / "a.yaml", flow("x", "new"))
    mended = load(folder, expressions, broken)
    assert (texts(mended), mended.problems) == ({"demo.x": "new"}, ())


def test_a_removed_file_takes_its_flow_with_it(folder: Path, expressions: Expressions) -> None:
    """Also if it was broken before."""
    write(folder / "a.yaml", flow("x"))
    first = load(folder, expressions)
    (folder / "a.yaml").unlink()
    assert load(folder, expressions, first).flows == {}


def test_an_edited_file_gives_the_new_flow(folder: Path, expressions: Expressions) -> None:
    """Content counts, also under another id."""
    write(folder / "a.yaml", flow("x", "old"))
    first = load(folder, expressions)
    write(folder / "a.yaml", flow("y", "new"))
    assert texts(load(folder, expressions, first)) == {"demo.y": "new"}


def test_an_unchanged_file_is_not_read_again(folder: Path, expressions: Expressions) -> None:
    """Its flow stays the same object, so that nothing is restarted."""
    write(folder / "a.yaml", flow("x"))
    first = load(folder, expressions)
    write(folder / "b.yaml", flow("y"))
    assert load(folder, expressions, first).flows["demo.x"] is first.flows["demo.x"]


def test_of_two_files_with_one_flow_the_first_counts(folder: Path, expressions: Expressions) -> None:
    """The second is told, with where the first is, as long as both are there."""
    write(folder / "a.yaml", flow("x", "one"))
    write(folder / "b.yaml", flow("x", "two"))
    both = load(folder, expressions)
    assert (texts(both), [problem.file for problem in both.problems]) == ({"demo.x": "one"}, [str(folder / "b.yaml")])
    assert str(folder / "a.yaml") in both.problems[0].message
    (folder / "a.yaml").unlink()
    one = load(folder, expressions, both)
    assert (texts(one), one.problems) == ({"demo.x": "two"}, ())


@pytest.mark.parametrize("content", [b"\xff\xfe", b"id: \x80"])
def test_a_file_that_is_not_utf_8_is_told(folder: Path, expressions: Expressions, content: bytes) -> None:
    """It is a problem of that file, not a crash."""
    (folder / "a.yaml").write_bytes(content)
    assert "cannot be read" in load(folder, expressions).problems[0].message


def test_a_link_to_nowhere_is_told(folder: Path, expressions: Expressions) -> None:
    """So is a file that is named but not there."""
    (folder / "a.yaml").symlink_to(folder / "nope")
    assert "cannot be read" in load(folder, expressions).problems[0].message


def test_changes_are_noticed(folder: Path, expressions: Expressions) -> None:
    """Edits, additions, removals and replacements; nothing else."""
    write(folder / "a.yaml", flow("x"))
    seen: list[bool] = []
    for change in (
        lambda: None,
        lambda: write(folder / "a.yaml", flow("x", "ho")),
        lambda: write(folder / "b.yaml", "id: ["),
        lambda: write(folder / "notes.txt", "x"),
        lambda: (folder / "b.yaml").rename(folder / "a.yaml"),
        (folder / "a.yaml").unlink,
    ):
        flows = load(folder, expressions)
        change()
        seen.append(changed([folder], flows))
    assert seen == [False, True, True, False, True, True]


def test_a_folder_that_vanished_is_a_change(folder: Path, expressions: Expressions) -> None:
    """It will be told; an empty set had nothing to lose."""
    write(folder / "a.yaml", flow("x"))
    flows = load(folder, expressions)
    (folder / "a.yaml").unlink()
    folder.rmdir()
    assert changed([folder], flows)
    assert not changed([folder], FlowSet())


def test_a_flow_knows_its_file_and_text(folder: Path, expressions: Expressions) -> None:
    """The text is what the journal keeps as a revision."""
    write(folder / "a.yaml", flow("x"))
    file = read_flow(folder / "a.yaml", expressions)
    assert (file.path, file.source, file.flow.path) == (folder / "a.yaml", flow("x"), "demo.x")


def test_a_flow_set_cannot_be_changed(folder: Path, expressions: Expressions) -> None:
    """Whoever holds one has the flows of one moment."""
    flows = load(folder, expressions)
    with pytest.raises(TypeError):
        flows.flows["x"] = None  # type: ignore[index] # that is the test


def watching(identifier: str, trigger: str) -> str:
    return f"{flow(identifier)}triggers:\n  - {{id: in, type: aws.s3.Trigger, bucket: harbour, {trigger}}}\n"


def test_of_two_flows_in_each_others_way_the_first_counts(folder: Path, expressions: Expressions) -> None:
    """The later file is rejected with both places; the others are served."""
    write(folder / "a.yaml", watching("a", "prefix: raw/, action: DELETE"))
    write(folder / "b.yaml", watching("b", "prefix: raw/sub/, action: NONE"))
    write(folder / "c.yaml", watching("c", "prefix: other/, action: DELETE"))

    flows = load(folder, expressions)

    assert list(flows.flows) == ["demo.a", "demo.c"]
    [problem] = flows.problems
    assert (problem.file, problem.line, problem.column) == (str(folder / "b.yaml"), 5, 5)
    assert f"demo.a/in ({folder / 'a.yaml'}:5:5)" in problem.message


def test_a_flow_that_gets_in_the_way_keeps_what_it_had(folder: Path, expressions: Expressions) -> None:
    """As any wrong file does, as long as that is in nobody's way."""
    write(folder / "a.yaml", watching("a", "prefix: raw/, action: DELETE"))
    write(folder / "b.yaml", watching("b", "prefix: b/, action: DELETE"))
    flows = load(folder, expressions)
    write(folder / "b.yaml", watching("b", "prefix: raw/, action: DELETE"))

    flows = load(folder, expressions, flows)

    assert flows.flows["demo.b"].flow.triggers[0].prefix == "b/"
    assert [problem.file for problem in flows.problems] == [str(folder / "b.yaml")]


def test_what_a_flow_had_does_not_count_when_another_takes_its_place(folder: Path, expressions: Expressions) -> None:
    """The first file may well be the one that changed; two never take the same objects."""
    write(folder / "a.yaml", watching("a", "prefix: a/, action: DELETE"))
    write(folder / "b.yaml", watching("b", "prefix: b/, action: DELETE"))
    flows = load(folder, expressions)
    write(folder / "a.yaml", watching("a", "prefix: b/, action: DELETE"))

    flows = load(folder, expressions, flows)

    assert (list(flows.flows), len(flows.problems)) == (["demo.a"], 1)


@pytest.mark.parametrize("disabled", ["disabled: true\n", "    disabled: true\n"])
def test_what_is_disabled_is_in_nobodys_way(folder: Path, expressions: Expressions, disabled: str) -> None:
    """A disabled flow or trigger takes no objects."""
    write(folder / "a.yaml", watching("a", "prefix: raw/, action: DELETE"))
    trigger = "  - id: in\n    type: aws.s3.Trigger\n    bucket: harbour\n    action: DELETE\n"
    top = disabled if not disabled.startswith(" ") else ""
    inner = disabled if disabled.startswith(" ") else ""
    write(folder / "b.yaml", f"{top}{flow('b')}triggers:\n{trigger}{inner}")
    assert load(folder, expressions).problems == ()


def test_rendered_values_are_compared(folder: Path, expressions: Expressions) -> None:
    """What expressions hide from a file is seen by whoever can render them."""
    write(folder / "a.yaml", watching("a", "prefix: raw/, action: DELETE"))
    write(folder / "b.yaml", watching("b", 'prefix: "{{ envs.where }}", action: DELETE'))

    written = load(folder, expressions)
    rendered = load_flows([folder], expressions, None, lambda _flow, spec: concrete(spec, lambda _text: "raw/"))

    assert (len(written.problems), len(rendered.problems)) == (0, 1)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "examples").glob("*.yaml")), ids=lambda path: path.name
)
def test_our_examples_are_flows(path: Path, expressions: Expressions) -> None:
    """What we show works."""
    assert parse_flow(path.read_text(), path.name, expressions).tasks

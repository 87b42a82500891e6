"""All task types together."""

import inspect
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tidewaiter.config.spec import concrete
from tidewaiter.tasks.directory import enter, leave
from tidewaiter.tasks.files import place
from tidewaiter.tasks.log import Log
from tidewaiter.tasks.runnable import RUNNABLE, task_type
from tidewaiter.tasks.tree import AnyTask, WorkingDirectory

ANY_TASK: TypeAdapter[Any] = TypeAdapter(AnyTask)
LOG = {"id": "log", "type": "log.Log", "message": "m"}


def working_directory(**properties: Any) -> dict[str, Any]:
    return {"id": "w", "type": "flow.WorkingDirectory", "tasks": [LOG], **properties}


def read(given: dict[str, Any]) -> Any:
    return ANY_TASK.validate_python(given, by_name=False)


class TestTypes:
    def test_names_are_unique(self):
        """No type name selects two specs."""
        names = [name for kind in RUNNABLE for name in kind.spec.accepted_names()]

        assert len(names) == len(set(names))

    @pytest.mark.parametrize("kind", RUNNABLE, ids=lambda kind: kind.spec.__name__)
    def test_functions(self, kind):
        """Every task type has an asynchronous function and a documented spec."""
        assert inspect.iscoroutinefunction(kind.run)
        assert kind.spec.__doc__ != TypeAdapter.__doc__

    @pytest.mark.parametrize(
        ("name", "spec"),
        [("io.kestra.core.tasks.log.Log", "Log"), ("log.Log", "Log"), ("io.kestra.core.tasks.debugs.Echo", "Echo")],
    )
    def test_selection(self, name, spec):
        """The type selects the spec, by its long, old or short name."""
        given = {"id": "t", "type": name, **({"message": "m"} if spec == "Log" else {})}

        assert type(read(given)).__name__ == spec

    def test_task_type(self):
        """A spec leads to the function that does it."""
        assert task_type(read(LOG)).spec is Log
        with pytest.raises(KeyError):
            task_type(read(working_directory()))

    def test_unknown_type(self):
        """An unknown type is an error."""
        with pytest.raises(ValidationError):
            read({"id": "t", "type": "log.Lag"})

    def test_unknown_property(self):
        """An unknown property is an error."""
        with pytest.raises(ValidationError, match="massage"):
            read({**LOG, "massage": "m"})


class TestWorkingDirectory:
    @pytest.mark.parametrize("name", WorkingDirectory.NAMES)
    def test_names(self, name):
        """Current and older names are accepted, and the children are known."""
        assert [child.id for child in read(working_directory(type=name)).children()] == ["log"]

    @pytest.mark.parametrize(
        "given",
        [{"tasks": []}, {"tasks": None}, {"tasks": [working_directory()]}, {"cache": {}}, {"cache": {"patterns": []}}],
    )
    def test_what_it_may_not_hold(self, given):
        """Without children, with children that are no plain tasks, or with what is not supported yet, it is refused."""
        with pytest.raises(ValidationError):
            read(working_directory(**given))

    def test_rendering_leaves_the_children_alone(self):
        """Its own properties are rendered; those of its children wait until they run."""
        child = {**LOG, "message": "{{ later }}"}
        spec = concrete(read(working_directory(tasks=[child], inputFiles={"a": "{{ now }}"})), lambda _: "rendered")

        assert spec.input_files == {"a": "rendered"}
        assert concrete(spec.tasks[0], lambda _: "now").message == "now"

    async def test_enter_and_leave(self, make_context, files, tmp_path):
        """Namespace files come first and input files over them; output files are taken in the end."""
        (tmp_path / "namespace").mkdir()
        for name in ("a", "b"):
            (tmp_path / "namespace" / name).write_text("namespace")
        context = make_context(namespace_files=tmp_path / "namespace")
        given = {"namespaceFiles": {}, "inputFiles": {"b": "input"}, "outputFiles": ["a", "b", "c"]}
        spec = read(working_directory(**given))
        await enter(spec, context)
        await place({"c": "by a task"}, context)
        outputs = await leave(spec, context, succeeded=True)

        contents = {name: files.text(uri) for name, uri in outputs["outputFiles"].items()}
        assert contents == {"a": "namespace", "b": "input", "c": "by a task"}

    async def test_nothing_to_leave(self, context):
        """Without outputFiles there are no outputs."""
        assert await leave(read(working_directory()), context, succeeded=False) == {}

    @pytest.mark.parametrize("succeeded", [True, False])
    async def test_cache(self, make_context, tmp_path, succeeded):
        """What the tasks made is there the next time if they succeeded; input files win over it."""
        spec = read(working_directory(cache={"patterns": ["kept/**"]}, inputFiles={"kept/in": "input"}))
        first = make_context(task_key=("demo", "f", "w"))
        await enter(spec, first)
        await place({"kept/made": "by a task", "kept/in": "changed", "other": "by a task"}, first)
        await leave(spec, first, succeeded=succeeded)
        (tmp_path / "next").mkdir()
        await enter(spec, make_context(task_key=("demo", "f", "w"), workdir=tmp_path / "next"))

        found = {str(path.relative_to(tmp_path / "next")) for path in (tmp_path / "next").rglob("*") if path.is_file()}
        assert found == ({"kept/made", "kept/in"} if succeeded else {"kept/in"})
        assert (tmp_path / "next" / "kept" / "in").read_text() == "input"

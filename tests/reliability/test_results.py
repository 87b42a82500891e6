"""What is kept, shown, and written into the document."""

import json
from pathlib import Path

import pytest
from reliability.experiment import Figure, Scale
from reliability.results import Result, Results, as_text, renewed, upper_bound

ZERO = Figure("objects lost", "0", "0 of 3,000 kills", met=True, detail={"trials": 3000})
CONTROL = Figure("control: a wrong order", "> 0", "7 of 90 kills", met=True, control=True, detail={"trials": 90})
MISSED = Figure("objects | doubled", "0", "1 of 3,000 kills", met=False, detail={"trials": 3000})


def results(*figures: Figure) -> Results:
    return Results().with_("crash", Result(7, Scale.SHORT, 12, figures))


def test_results_are_kept(tmp_path: Path) -> None:
    """What is saved is there after loading, and says of which version and machine it is."""
    saved = results(ZERO, CONTROL)
    saved.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == saved
    assert {"tidewaiter", "date", "machine", "store"} <= json.loads((tmp_path / "results.json").read_text()).keys()


def test_what_was_measured_so_needs_no_second_run() -> None:
    """Scale and seed tell whether an experiment has been run."""
    known = results(ZERO)
    assert known.has("crash", Scale.SHORT, 7)
    assert not known.has("crash", Scale.FULL, 7)
    assert not known.has("crash", Scale.SHORT, 8)
    assert not known.has("storm", Scale.SHORT, 7)


def test_one_figure_not_met_is_all_not_met() -> None:
    """The whole is met when every figure is."""
    assert results(ZERO, CONTROL).met
    assert not results(ZERO, MISSED).met


@pytest.mark.parametrize(("figure", "bound"), [(ZERO, "< 0.1 %"), (CONTROL, ""), (MISSED, "")])
def test_a_zero_has_a_bound(figure: Figure, bound: str) -> None:
    """The rule of three: 0 of 3,000 is below 0.1 %."""
    assert upper_bound(figure) == bound


def test_the_table_says_what_is_not_met() -> None:
    """In capitals, at the end of its line."""
    table = as_text(results(ZERO, MISSED)).splitlines()
    assert [line.split()[-1] for line in table] == ["met", "yes", "NO"]


def test_the_document_is_renewed_between_its_marks(tmp_path: Path) -> None:
    """The prose around the figures stays; the method is the experiment's own docstring; the command repeats it."""
    document = Path(__file__).parents[2] / "docs" / "reliability.md"
    copy = tmp_path / "reliability.md"
    copy.write_text(document.read_text())
    results(ZERO, MISSED).save(tmp_path / "reliability.json")
    written = copy.read_text()
    assert "| objects \\| doubled | 0 | 1 of 3,000 kills | NO |" in written
    assert "``kill -9`` of the daemon at one system call after another" in written
    assert "make reliability ARGS='--only crash --scale short --seed 7'" in written
    assert renewed(written, "figures") == renewed(document.read_text(), "figures")

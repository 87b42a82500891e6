"""The reference says everything about every type, and is current."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from tidewaiter.config.descriptions import description, property_descriptions
from tidewaiter.config.parts import models_of, written_names
from tidewaiter.daemon.cli import main
from tidewaiter.daemon.flows import AnyFlow
from tidewaiter.daemon.lint import RULES
from tidewaiter.daemon.reference import MADE, pages

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
MODELS = models_of(AnyFlow)


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__[:20])
def test_every_property_has_a_description(model: type[BaseModel]) -> None:
    """A string stands under it; so has the type itself."""
    described = property_descriptions(model)
    assert ([name for name in model.model_fields if name not in described], bool(description(model))) == ([], True)


def test_the_pages_are_current(made: dict[str, str]) -> None:
    """'make reference' would change nothing."""
    written = {page.name: page.read_text() for page in FOLDER.glob("*.md")}
    assert {name for name in made.keys() | written.keys() if made.get(name) != written.get(name)} == set()


def test_a_page_has_every_property(made: dict[str, str]) -> None:
    """Each in a row with what it takes, under its name in YAML."""
    page = made["aws.s3.Trigger.md"]
    trigger = next(model for model in MODELS if model.__name__ == "S3Trigger")
    names = [written_names(name, field)[0] for name, field in trigger.model_fields.items()]
    assert [name for name in names if f"\n| `{name}` |" not in page] == []


@pytest.mark.parametrize(
    ("page", "row"),
    [
        ("flow.ForEach.md", "| `concurrencyLimit` | whole number, at least 0 | `1` |  | How many values at once"),
        ("Flow.md", "| `namespace` | text | **required** |  | Where it belongs"),
        ("log.Log.md", "| `message` | text or list of text | **required** | yes | What to write"),
        ("log.Log.md", "| `retry` | [Retry](Retry.md) |"),
        ("Retry.md", "| `interval` | duration |"),
    ],
)
def test_a_row_tells_type_default_and_expressions(made: dict[str, str], page: str, row: str) -> None:
    """In a few words."""
    assert row in made[page]


def test_old_names_are_told(made: dict[str, str]) -> None:
    """Those of types and of properties."""
    assert "- `io.kestra.core.tasks.log.Log`, an old name\n" in made["log.Log.md"]
    assert "Before: `taskDefaults`." in made["Flow.md"]


def test_every_rule_of_lint_is_told(made: dict[str, str]) -> None:
    """With its code, and why it is there."""
    assert [rule.code for rule in RULES if f"\n## {rule.code}: {rule.title}\n" not in made["lint.md"]] == []
    assert [rule.code for rule in RULES if not rule.find.__doc__] == []


def test_the_index_leads_to_every_page(made: dict[str, str]) -> None:
    """No page is lost."""
    assert [name for name in made if name != "index.md" and f"]({name})" not in made["index.md"]] == []


def test_pages_of_former_types_are_removed(tmp_path: Path) -> None:
    """What was made before and is no more goes; what somebody wrote stays."""
    (tmp_path / "old.md").write_text(f"{MADE}\n# old\n")
    (tmp_path / "own.md").write_text("# own\n")
    assert main(["schema", "--reference", str(tmp_path)]) == 0
    assert ((tmp_path / "old.md").exists(), (tmp_path / "own.md").exists()) == (False, True)

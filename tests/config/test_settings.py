"""Settings from a file, the environment and flags, the later winning."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.config.document import parse
from tidewaiter.config.errors import ConfigError
from tidewaiter.config.settings import Settings, load_settings


def load(text: str | None = None, environment: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    document = parse(text, "tidewaiter.yaml") if text is not None else None
    return load_settings(document, environment or {}, flags)


def refusal(*given: Any, **flags: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(*given, **flags)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_has_to_be_set() -> None:
    """Every setting has a default."""
    assert load() == Settings()


def test_the_environment_wins_over_the_file() -> None:
    """A variable is nearer to the run than a file."""
    assert load("log_level: debug", {"TIDEWAITER_LOG_LEVEL": "error"}).log_level == "error"


def test_flags_win_over_the_environment() -> None:
    """A flag is nearest of all."""
    assert load("log_level: debug", {"TIDEWAITER_LOG_LEVEL": "error"}, log_level="warning").log_level == "warning"


def test_a_flag_not_given_does_not_count() -> None:
    """None means that the user said nothing."""
    assert load("listen: 127.0.0.1:1", {}, listen=None, log_level=None).listen == "127.0.0.1:1"


def test_a_group_is_merged_setting_by_setting() -> None:
    """A variable for one setting of a group leaves the others of the file."""
    settings = load("retry: {attempts: 3, initial: PT2S}", {"TIDEWAITER_RETRY__ATTEMPTS": "7"})
    assert (settings.retry.attempts, settings.retry.initial) == (7, timedelta(seconds=2))


def test_double_underscores_lead_into_a_group() -> None:
    """TIDEWAITER_RUNNERS__DOCKER is runners.docker."""
    assert load(None, {"TIDEWAITER_RUNNERS__DOCKER": "process"}).runners.docker == "process"


def test_below_a_map_the_case_is_kept() -> None:
    """Names of variables for programs are not made small."""
    environment = {
        "TIDEWAITER_RUNNERS__ENVIRONMENT__HTTP_PROXY": "http://p",
        "TIDEWAITER_RUNNERS__ENVIRONMENT__a__B": "1",
    }
    assert load(None, environment).runners.environment == {"HTTP_PROXY": "http://p", "a__B": "1"}


@pytest.mark.parametrize("text", ["a,b", "a, b", ",a,,b,"])
def test_lists_are_separated_by_commas(text: str) -> None:
    """Spaces and empty parts do not matter."""
    assert load(None, {"TIDEWAITER_FLOWS": text}).flows == (Path("a"), Path("b"))


def test_an_empty_variable_is_an_empty_list() -> None:
    """It never stands for the present folder."""
    assert load(None, {"TIDEWAITER_FLOWS": ""}).flows == ()


def test_other_variables_do_not_matter() -> None:
    """Only our own prefix counts; what we set for programs of tasks is not a setting."""
    assert load(None, {"PATH": "/bin", "TIDEWAITER_TASK_RUN_ID": "x", "TIDEWAITERS": "y"}) == Settings()


@pytest.mark.parametrize(
    "variable",
    [
        "TIDEWAITER_STATE_DIRECTORY",
        "TIDEWAITER_RUNNERS__DOKCER",
        "TIDEWAITER_STATE_DIR__X",
        "TIDEWAITER_",
        "TIDEWAITER_A__B",
    ],
)
def test_an_unknown_variable_is_refused_by_name(variable: str) -> None:
    """A typing mistake does not go unnoticed."""
    assert refusal(None, {variable: "x"}) == [f"{variable}: unknown setting (see 'tidewaiter schema --settings')"]


def test_a_variable_that_names_a_group_is_refused() -> None:
    """The hint shows how a setting in it is named."""
    assert refusal(None, {"TIDEWAITER_GIT": "x", "TIDEWAITER_GIT__CONFIG_FILE": "y"}) == [
        "TIDEWAITER_GIT: names a group of settings (set one of them, as TIDEWAITER_GIT__ALLOWED_PROTOCOLS)"
    ]


def test_an_unknown_setting_in_the_file_has_its_place() -> None:
    """The file is checked like a flow, with the nearest name."""
    assert refusal("retry:\n  atempts: 3\n") == [
        "tidewaiter.yaml:2:3: unknown property 'atempts' (did you mean 'attempts'?)"
    ]


def test_names_in_the_file_are_written_with_underscores() -> None:
    """CamelCase belongs to flows."""
    assert refusal("stateDir: x") == ["tidewaiter.yaml:1:1: unknown property 'stateDir' (did you mean 'state_dir'?)"]


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        (
            "TIDEWAITER_LOG_LEVEL",
            "loud",
            "property 'log_level': should be 'debug', 'info', 'warning' or 'error', got 'loud'",
        ),
        ("TIDEWAITER_RETRY__ATTEMPTS", "0", "property 'attempts': should be greater than or equal to 1, got '0'"),
        ("TIDEWAITER_GRACE_PERIOD", "5m", "property 'grace_period': '5m' is not an ISO-8601 duration"),
    ],
)
def test_a_bad_value_is_told_with_the_variable(variable: str, value: str, reason: str) -> None:
    """One sees at once which variable to mend."""
    [problem] = refusal(None, {variable: value})
    assert problem.startswith(f"{variable}: {reason}")


def test_a_bad_value_of_a_flag_is_told_with_the_flag() -> None:
    """A flag is named as it is typed."""
    assert refusal(grace_period="5m")[0].startswith("--grace-period: property 'grace_period': '5m' is not an ISO-8601")


def test_a_mistake_in_the_file_is_told_even_if_a_variable_overrides_it() -> None:
    """A wrong file is wrong, whatever is set today."""
    assert refusal("log_level: loud", {"TIDEWAITER_LOG_LEVEL": "info"})[0].startswith("tidewaiter.yaml:1:12: ")


@pytest.mark.parametrize("text", ["", "# nothing is set\n"])
def test_an_empty_file_sets_nothing(text: str) -> None:
    """A file with everything commented out is fine."""
    assert load(text) == Settings()


def test_a_file_that_is_no_map_is_refused() -> None:
    """A list cannot be settings."""
    assert refusal("- a") == ["tidewaiter.yaml:1:1: expected a map of properties"]

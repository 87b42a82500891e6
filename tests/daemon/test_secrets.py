"""Secrets: where they come from, and how they are kept out of every text."""

import base64
import json
import urllib.parse
from pathlib import Path

import pytest

from tidewaiter.config.errors import ConfigError, SecretMissingError
from tidewaiter.daemon.secrets import Secrets


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    return tmp_path / "secrets"


def known(*values: str) -> Secrets:
    """Secrets that have all been given out."""
    secrets = Secrets({f"S{number}": value for number, value in enumerate(values)})
    for number in range(len(values)):
        secrets.get(f"S{number}")
    return secrets


def test_secrets_are_taken_out_of_the_environment() -> None:
    """They are decoded, and nothing else can hand them out afterwards."""
    environment = {"SECRET_TOKEN": encoded("pässword"), "PATH": "/bin"}
    assert Secrets.take(environment, []).get("TOKEN") == "pässword"
    assert environment == {"PATH": "/bin"}


def test_names_do_not_depend_on_case() -> None:
    """Kestra's names are in capitals, authors' fingers are not."""
    assert Secrets.take({"SECRET_my_key": encoded("x")}, []).get("My_Key") == "x"


def test_base64_may_be_wrapped() -> None:
    """base64 without -w0 breaks lines."""
    assert Secrets.take({"SECRET_A": "YW\nJj\n"}, []).get("A") == "abc"


@pytest.mark.parametrize("value", ["not base64!", "YQ", encoded("x")[:-1], "/w=="])
def test_a_value_that_is_not_base64_is_refused_by_name(value: str) -> None:
    """The daemon does not start with half a secret; the value is not repeated."""
    with pytest.raises(ConfigError, match="SECRET_A: the value is not base64") as caught:
        Secrets.take({"SECRET_A": value}, [])
    assert value not in str(caught.value)


def test_a_file_is_a_secret(folder: Path) -> None:
    """Its name is the secret's, one line end after the value does not count."""
    (folder / "TOKEN").write_text("value\n\n")
    assert Secrets({}, (folder,)).get("TOKEN") == "value\n"


@pytest.mark.parametrize("name", ["token", "Token", "TOKEN"])
def test_a_file_may_be_named_in_either_case(folder: Path, name: str) -> None:
    """Systemd credentials are often in small letters."""
    (folder / "token").write_text("value")
    assert Secrets({}, (folder,)).get(name) == "value"


def test_the_environment_comes_before_folders_and_those_in_order(folder: Path, tmp_path: Path) -> None:
    """The first source that has it wins."""
    (folder / "A").write_text("first")
    (folder / "B").write_text("first")
    (tmp_path / "B").write_text("second")
    (tmp_path / "C").write_text("second")
    secrets = Secrets({"A": "environment"}, (folder, tmp_path))
    assert [secrets.get(name) for name in "ABC"] == ["environment", "first", "second"]


def test_a_rotated_secret_counts_at_once(folder: Path) -> None:
    """Files are read anew; both values are masked from then on."""
    secrets = Secrets({}, (folder,))
    (folder / "A").write_text("old-value")
    assert secrets.get("A") == "old-value"
    (folder / "A").write_text("new-value")
    assert secrets.get("A") == "new-value"
    assert secrets.mask("old-value new-value") == "****** ******"


def test_a_missing_secret_says_how_to_give_it() -> None:
    """The name is told, and what to set."""
    with pytest.raises(SecretMissingError, match="there is no secret 'Token'") as caught:
        Secrets({}).get("Token")
    assert "SECRET_TOKEN" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "/etc/passwd", "", ".", "a\0b", "a\nb"])
def test_no_name_leaves_the_folder(folder: Path, name: str) -> None:
    """A name is a file's name, never a path."""
    (folder.parent / "x").write_text("outside")
    with pytest.raises(SecretMissingError):
        Secrets({}, (folder,)).get(name)


def test_a_folder_that_is_not_there_has_no_secrets(tmp_path: Path) -> None:
    """It may be mounted later."""
    with pytest.raises(SecretMissingError, match="there is no secret"):
        Secrets({}, (tmp_path / "nope",)).get("A")


def test_a_file_that_cannot_be_read_says_why(folder: Path) -> None:
    """It is not passed over as missing."""
    (folder / "A").mkdir()
    with pytest.raises(SecretMissingError, match="cannot be read"):
        Secrets({}, (folder,)).get("A")


def test_a_secret_is_masked_in_every_spelling() -> None:
    """Raw, base64, URL and JSON."""
    value = 'p"ss wörd/+&'
    spellings = [value, encoded(value), urllib.parse.quote(value, safe=""), json.dumps(value)]
    masked = known(value).mask(" | ".join(spellings))
    assert masked == '****** | ****** | ****** | "******"'


def test_only_what_was_given_out_is_masked() -> None:
    """A secret that no flow has asked for is nowhere to be found."""
    assert Secrets({"A": "value-of-a"}).mask("value-of-a") == "value-of-a"


@pytest.mark.parametrize("values", [("abcd", "abcdefgh"), ("abcdefgh", "abcd")])
def test_a_secret_that_begins_with_another_is_masked_whole(values: tuple[str, str]) -> None:
    """No tail of the longer one is left to be read."""
    assert known(*values).mask("x abcdefgh y abcd z") == "x ****** y ****** z"


def test_a_secret_of_several_lines_is_masked_line_by_line() -> None:
    """A program that prints a key prints one line at a time."""
    secrets = known("-----BEGIN KEY-----\nc2VjcmV0LWxpbmUtb25l\nab\n-----END KEY-----\n")
    assert [secrets.mask(line) for line in ("> c2VjcmV0LWxpbmUtb25l", "ab")] == ["> ******", "ab"]


def test_a_very_short_secret_is_not_masked() -> None:
    """It could not be told from other text."""
    assert known("a", "abc").mask("abc banana") == "abc banana"

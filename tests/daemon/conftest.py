"""What daemon tests share: a journal in a folder of its own, and a place to run flows in."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from workshop.builders import Intake, Workshop

from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.database.sqlite import SqliteDatabase, database_at
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.scope import Host
from tidewaiter.daemon.secrets import Secrets
from tidewaiter.daemon.situation import Workplace
from tidewaiter.daemon.storage import Storage
from tidewaiter.tasks.context import GitSettings, RunnerSettings
from tidewaiter.triggers.aws import Clients


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Keep the daemon's own log out of the tests' output; TRACE has no method in structlog's default set-up."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=False)
    yield
    structlog.reset_defaults()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """A database of its own, closed in the end."""
    async with database_at(tmp_path / "state" / "tidewaiter.db") as opened:
        yield opened


@pytest.fixture
async def journal(database: SqliteDatabase) -> Journal:
    """An empty journal."""
    return await Journal.over(database)


@pytest.fixture
def intake(journal: Journal) -> Intake:
    """Takes objects for a trigger with action DELETE."""
    return Intake(journal)


@pytest.fixture(scope="session")
def expressions() -> Expressions:
    """One engine, which keeps what it has compiled."""
    return Expressions()


@pytest.fixture
def workshop(tmp_path: Path, journal: Journal, expressions: Expressions, clients: Clients) -> Workshop:
    """A place to run flows in, with the secret TOKEN."""
    host = Host(Secrets({"TOKEN": "s3cr3t-t0k3n"}), {"home": "harbour"}, kv=journal.kv)
    place = Workplace(
        journal=journal,
        storage=Storage(tmp_path / "state" / "storage"),
        expressions=expressions,
        host=host,
        work=tmp_path / "state" / "work",
        cache=tmp_path / "state" / "cache",
        runners=RunnerSettings(docker="process", kill_grace_seconds=1.0),
        git=GitSettings(),
        stores=clients.plain,
        log_lines=200,
    )
    place.storage.open()
    return Workshop(place, tmp_path)

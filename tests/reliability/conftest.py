"""The short version of every experiment is a test: seconds each, on a store shared by all of them."""

from pathlib import Path

import pytest
from reliability.experiment import Scale, Setting
from stores.seaweedfs import Store


@pytest.fixture
def setting(tmp_path: Path, seaweedfs: Store) -> Setting:
    """The smallest scale, with a seed of its own."""
    return Setting(Scale.SHORT, 1, tmp_path, seaweedfs)

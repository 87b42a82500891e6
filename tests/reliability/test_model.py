"""The model of custody: the protocol holds in every state, and no weakened one does."""

import pytest
from reliability.experiment import Setting
from reliability.model import SOUND, WEAK, model, search
from reliability.model_protocol import Broken, Rules


async def test_every_figure_of_the_model_is_met(setting: Setting) -> None:
    """No invariant breaks in the protocol as it is; each weakness breaks the one it is known for."""
    figures = await model(setting)
    assert [figure for figure in figures if not figure.met] == []
    assert len(figures) == 1 + len(WEAK)


@pytest.mark.parametrize("rules", SOUND, ids=str)
def test_something_happens_in_each_configuration(rules: Rules) -> None:
    """A model that cannot move would hold, too."""
    assert search(rules).states > 1000


def test_the_shortest_way_to_a_loss_is_told() -> None:
    """Without any condition, an upload between our GET and our DELETE is enough."""
    way = search(Rules("DELETE", "blind", crashes=0)).broken[Broken.BYTES]
    assert way == ("upload a", "LIST", "commit: claimed", "GET", "upload b", "commit: stored", "DELETE")

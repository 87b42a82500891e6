"""The model of custody: the protocol holds in every state, and no weakened one does."""

from reliability.experiment import Setting
from reliability.model import WEAK, model, search
from reliability.model_protocol import Broken, Rules


async def test_every_figure_of_the_model_is_met(setting: Setting) -> None:
    """No invariant breaks in the protocol as it is; each weakness breaks the one it is known for."""
    figures = await model(setting)
    assert [figure for figure in figures if not figure.met] == []
    assert len(figures) == 1 + len(WEAK)
    # A model that cannot move would hold, too.
    assert min(figures[0].detail["states"].values()) > 500


def test_the_shortest_way_to_a_loss_is_told() -> None:
    """Without any condition, an upload between our GET and our DELETE is enough."""
    way = search(Rules("DELETE", "blind", crashes=0)).broken[Broken.BYTES]
    assert way == ("upload a", "LIST", "commit: claimed", "GET", "upload b", "commit: stored", "DELETE")

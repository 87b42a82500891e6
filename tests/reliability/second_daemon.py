"""A second daemon on the state directory of the first."""

from acceptance.driver import Daemon
from reliability.experiment import Figure, Setting
from reliability.scene import contents, scene


async def second_daemon(setting: Setting) -> list[Figure]:
    """It refuses to start, says why, and the first one goes on as if nothing had happened."""
    put = contents(1, "second")
    async with scene(setting, "second") as place:
        place.watch()
        place.daemon.start()
        await place.daemon.ready()
        second = Daemon(place.daemon.folder / "second", place.daemon.environment)
        second.state.symlink_to(place.daemon.state)
        second.add_flow((place.daemon.flows / "flow.yaml").read_text())
        code = await second.once()
        told = f"another tidewaiter uses the state directory {second.state}" in second.last_words()
        await place.fill(put)
        completed = await place.done(len(put), seconds=60)
        wrong = await place.violations(put)
    return [
        Figure(
            "a second daemon on one state directory",
            "refuses: exit code 1, the reason told",
            f"exit code {code}, reason {'told' if told else 'not told'}; the first "
            f"{'goes on' if completed and not wrong else 'is disturbed'}",
            detail={"told": second.last_words().replace(f"{second.folder}/", "")},
            met=(code, told, completed, wrong) == (1, True, True, []),
        )
    ]

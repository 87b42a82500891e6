"""Where objects go after their execution has ended (outcome routing), and how far they are."""

from datetime import timedelta

from tidewaiter.daemon.database import Database, Row, Transaction
from tidewaiter.daemon.records import (
    Detection,
    Place,
    Route,
    RoutePurpose,
    RouteState,
    new_id,
    now,
    parse_timestamp,
    storable,
)


class Routes:
    """Every read and write of routes; see `tidewaiter.daemon.records.Route`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, limit: int) -> list[Route]:
        """
        Routes with work left that may be done now: of each object the first, of each trigger new ones first, and all
        triggers in turn; never of an object whose action is still due.
        """
        rows = await self._database.read(lambda tx: tx.all("due_routes", now=now(), limit=limit))
        return [_route(row) for row in rows]

    async def wait(self) -> timedelta | None:
        """How long until the next postponed route is due; None if there is none."""
        present = now()
        row = await self._database.read(lambda tx: tx.one("next_route", now=present))
        moment = row["moment"] if row else None
        return parse_timestamp(moment) - parse_timestamp(present) if moment else None

    async def untried(self) -> bool:
        """Whether there are routes that have not failed yet."""
        row = await self._database.read(lambda tx: tx.one("untried_routes"))
        return bool(row and row["number"])

    async def of(self, detection_id: str) -> list[Route]:
        """Every route of an object, in the order they were taken."""
        rows = await self._database.read(lambda tx: tx.all("routes_of", detection_id=detection_id))
        return [_route(row) for row in rows]

    async def aim(self, route: Route, bucket: str, key: str) -> None:
        """Record where the object will go, before anything is done; what was recorded first stands."""
        await self._database.write(
            lambda tx: tx.run("aim_route", id=route.id, dest_bucket=bucket, dest_key=key, updated_at=now())
        )

    async def placed(self, route: Route, place: Place | None) -> bool:
        """PENDING → PLACED: the object is at *place* as well; None for one that is only to be removed."""
        bucket, key, etag = (place.bucket, place.key, place.etag) if place else (None, None, None)
        to = {"dest_bucket": bucket, "dest_key": key, "dest_etag": etag}
        return bool(await self._database.write(lambda tx: tx.run("place_route", id=route.id, **to, updated_at=now())))

    async def done(self, route: Route, detection: Detection, *, freed: bool) -> bool:
        """
        PLACED → DONE. *freed*: the content is no longer at its source, so whatever comes there next is new; what has
        come and was claimed already stays known.
        """

        def work(tx: Transaction) -> bool:
            won = tx.run("finish_route", id=route.id, updated_at=now())
            if won and freed:
                where = {"trigger_key": detection.trigger, "bucket": detection.bucket, "object_key": detection.key}
                tx.run("forget_content", **where, etag=detection.etag, last_modified=detection.last_modified)
            return bool(won)

        return await self._database.write(work)

    async def postpone(self, route: Route, *, next_try: str, error: str) -> None:
        """Note a failed step, to be tried again at *next_try*."""
        reason = storable(error)
        await self._database.write(
            lambda tx: tx.run("postpone_route", id=route.id, next_try=next_try, error=reason, updated_at=now())
        )

    async def hasten(self, detection_id: str) -> bool:
        """Try postponed routes of an object at once; False if it has none with work left."""
        return bool(await self._database.write(lambda tx: tx.run("hasten_routes", detection_id=detection_id)))

    async def redrive(self, detection: Detection) -> bool:
        """Send a quarantined object back to where it was found; False if it is not in quarantine any more."""

        def work(tx: Transaction) -> bool:
            last = tx.one("last_route", detection_id=detection.id)
            quarantined = last is not None and (last["purpose"], last["state"]) == (
                RoutePurpose.FAILURE,
                RouteState.DONE,
            )
            if quarantined:
                _begin(tx, detection.id, detection.trigger, None, RoutePurpose.REDRIVE)
            return quarantined

        return await self._database.write(work)

    async def whereabouts(self, detection: Detection) -> Place | None:
        """Where the content of a settled detection is now, as far as we put it there; None if nowhere in the store."""
        ended = [route for route in await self.of(detection.id) if route.state is RouteState.DONE]
        if ended:
            return _destination(ended[-1])
        if detection.dest_etag is not None or detection.action == "MOVE":
            return Place(detection.dest_bucket or detection.bucket, detection.dest_key or "", detection.dest_etag)
        return None if detection.action == "DELETE" else Place(detection.bucket, detection.key, detection.etag)


def begin_routes(tx: Transaction, execution_id: str, purpose: RoutePurpose) -> None:
    """Begin a route for each object of an execution, within the transaction that ends it."""
    for row in tx.all("execution_detections", id=execution_id):
        _begin(tx, row["id"], row["trigger_key"], execution_id, purpose)


def _begin(tx: Transaction, detection_id: str, trigger: str, execution_id: str | None, purpose: RoutePurpose) -> None:
    tx.run(
        "insert_route",
        id=new_id(),
        detection_id=detection_id,
        trigger_key=trigger,
        execution_id=execution_id,
        purpose=purpose,
        dest_bucket=None,
        dest_key=None,
        created_at=now(),
    )


def _destination(route: Route) -> Place | None:
    if route.dest_key is None or route.purpose is RoutePurpose.REDRIVE:
        return None
    quarantined = route.purpose is RoutePurpose.FAILURE
    return Place(route.dest_bucket or "", route.dest_key, route.dest_etag, quarantined=quarantined)


def _route(row: Row) -> Route:
    values = {name: row[name] for name in Route.__slots__ if name != "trigger"}
    purpose, state = RoutePurpose(values["purpose"]), RouteState(values["state"])
    return Route(**{**values, "trigger": row["trigger_key"], "purpose": purpose, "state": state})

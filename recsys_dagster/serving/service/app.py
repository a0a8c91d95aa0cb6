"""The application: one function for each endpoint."""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from fastapi import FastAPI, Query, Response
from fastapi.middleware.cors import CORSMiddleware
from numpy.typing import NDArray
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.versions import code_version
from recsys_dagster.serving.feedback import FeedbackSpool
from recsys_dagster.serving.item_finder import normalise
from recsys_dagster.serving.rules import Balance
from recsys_dagster.serving.service.answers import (
    Filters,
    history_fact,
    items_answer,
    list_answer,
    new_list_id,
    published_facts,
    score_facts,
)
from recsys_dagster.serving.service.bodies import MAX_N, Event, NewUser
from recsys_dagster.serving.service.choosing import choose, requested_balance
from recsys_dagster.serving.service.comparisons import Comparisons
from recsys_dagster.serving.service.inputs import check_ratings, find_item
from recsys_dagster.serving.service.limits import Guard
from recsys_dagster.serving.service.live import LiveModels, Ranking
from recsys_dagster.serving.service.measures import Measures
from recsys_dagster.serving.service.problems import ProblemError, install_problems
from recsys_dagster.serving.service.publications import Publications
from recsys_dagster.serving.service.queries import ListQuery, LookUpRoute, parameters, read_query
from recsys_dagster.serving.service.snapshot import Snapshot
from recsys_dagster.serving.service.users import find_user, stored_user
from recsys_dagster.settings import Settings, read_settings

JSON = "application/json"
MAX_CLOCK_ERROR = timedelta(minutes=5)
"""How far the clock of a client may be ahead; the time of such an event is that of its arrival."""
_EXPLORE = Path(__file__).parent / "explore"
_ROUTE = "route"
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])
Year = Annotated[int | None, Query(ge=0, le=9999)]
Number = Annotated[int, Query(ge=1, le=MAX_N, description="Length of the list.")]


def create_app(settings: Settings | None = None, cache: Path | None = None) -> FastAPI:
    """Return the application.

    Args:
        settings: of the deployment; None: those of the environment.
        cache: folder for the snapshots; None: a temporary one.
    """
    settings = settings or read_settings()
    with contextlib.ExitStack() as stack:
        folder = cache or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recsys-serve-")))
        publications = Publications(Layout(settings.home), folder)
        resources = stack.pop_all()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with resources, publications:
            yield

    app = FastAPI(
        title="recsys",
        version=code_version(),
        summary="Published recommendations, and lists for new users.",
        lifespan=lifespan,
    )
    measures = Measures(publications)
    install_problems(app)
    _add_operations(app, publications, measures)
    _Endpoints(settings, publications, measures).add_to(app)
    app.mount("/explore", StaticFiles(directory=_EXPLORE))
    app.add_api_route("/", _explore, include_in_schema=False)
    if settings.serve_cors:
        app.add_middleware(CORSMiddleware, allow_origins=settings.serve_cors, allow_methods=["GET", "POST"])
    token = settings.serve_token.get_secret_value() if settings.serve_token else None
    app.add_middleware(Guard, measures=measures, token=token)
    return app


async def _explore() -> FileResponse:
    """The explore page."""
    return FileResponse(_EXPLORE / "index.html")


def _add_operations(app: FastAPI, publications: Publications, measures: Measures) -> None:
    @app.get("/healthz", tags=["operations"])
    async def healthz() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operations"])
    async def readyz() -> dict[str, list[str]]:
        """Whether there is a publication that can be read."""
        if not publications.snapshots:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "nothing is published yet; run `recsys run`")
        return {"domains": sorted(publications.snapshots)}

    @app.get("/metrics", tags=["operations"])
    async def metrics() -> Response:
        """Requests, latencies, fallbacks, and the age and version of the lists, for Prometheus."""
        return Response(measures.text(), media_type="text/plain; version=0.0.4")


def endpoint(method: str, path: str, query: type[BaseModel] | None = None) -> Callable[[_Endpoint], _Endpoint]:
    """Mark a method of `_Endpoints` as the one that answers these requests.

    Args:
        method, path: of the requests.
        query: what the method reads from its `request` by `read_query`; None: FastAPI reads the arguments.
    """

    def mark(function: _Endpoint) -> _Endpoint:
        setattr(function, _ROUTE, (method, path, query))
        return function

    return mark


class _Endpoints:
    """The endpoints under /v1; each method with the mark `endpoint` is one."""

    def __init__(self, settings: Settings, publications: Publications, measures: Measures) -> None:
        layout = Layout(settings.home)
        self._settings = settings
        self._publications = publications
        self._measures = measures
        self._live = LiveModels(layout)
        self._comparisons = Comparisons(layout)
        self._spool = FeedbackSpool(layout) if settings.feedback else None

    def add_to(self, app: FastAPI) -> None:
        """Register every endpoint."""
        for name, function in vars(type(self)).items():
            if route := getattr(function, _ROUTE, None):
                method, path, query = route
                app.add_api_route(
                    path,
                    getattr(self, name),
                    methods=[method],
                    tags=["recommendations"],
                    response_class=Response,
                    openapi_extra={"parameters": parameters(path, query)} if query else None,
                )
                if query:
                    # It is matched before FastAPI's, which is on the OpenAPI page and would look for arguments.
                    app.router.routes.insert(0, LookUpRoute(path, getattr(self, name), methods=[method]))

    @endpoint("GET", "/v1/domains")
    async def domains(self) -> Response:
        """The published domains, with the champion, the data and the time of each."""
        listed = [
            {
                "domain": domain,
                "model": snapshot.provenance.model,
                "version": snapshot.provenance.version,
                "dataset": snapshot.provenance.dataset,
                "licence": snapshot.provenance.licence,
                "scale": snapshot.provenance.scale,
                "published_at": f"{snapshot.provenance.created_at.isoformat()}Z",
                "users": len(snapshot.users),
                "items": len(snapshot.items),
                "kinds": snapshot.kind_names,
                "genres": snapshot.genre_names,
                "live_models": self._live.names(snapshot),
            }
            for domain, snapshot in sorted(self._publications.snapshots.items())
        ]
        return Response(json.dumps({"domains": listed}, ensure_ascii=False), media_type=JSON)

    @endpoint("GET", "/v1/{domain}/users/{user_id:path}/recommendations", ListQuery)
    async def user_recommendations(self, request: Request) -> Response:
        """The published list of a user. An unknown user gets the most popular items, and `fallback` says so."""
        query = read_query(ListQuery, request)
        domain, user_id = request.path_params["domain"], request.path_params["user_id"]
        snapshot = self._snapshot(domain)
        filters = Filters(query.kind, query.genre, query.year_from, query.include_adult, query.exclude)
        balance = requested_balance(snapshot, query.diversity, query.calibration)
        user = find_user(snapshot, user_id, self._settings)
        head: dict[str, Any] = {"domain": domain, "user_id": user_id if user is None else snapshot.users[user]}
        start = 0
        if user is None:
            head["fallback"] = "popular"
            self._measures.fallbacks.labels(domain).inc()
            items = snapshot.popular_items()
            history, scores = items[:0], -np.arange(len(items), dtype=np.float32)
        else:
            start = int(snapshot.lists.offsets[user])
            items, scores = snapshot.lists.of(user)
            history = snapshot.histories.of(user)[0]
        allowed = np.flatnonzero(filters.allow(snapshot, items))
        if balance is not None:  # a list that was balanced when it was made is not in the order of the scores
            allowed = allowed[np.argsort(-scores[allowed], kind="stable")]
        allowed = await choose(snapshot, allowed, items, scores, query.n, history, balance or Balance())
        facts = None if user is None else published_facts(snapshot, start + allowed)
        return self._list(snapshot, head, items[allowed], facts)

    @endpoint("GET", "/v1/{domain}/users/{user_id:path}/history")
    async def history(self, domain: str, user_id: str, n: Number = 10) -> Response:
        """The latest interactions of a user, the newest first."""
        snapshot = self._snapshot(domain)
        user = find_user(snapshot, user_id, self._settings)
        if user is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"unknown user {user_id!r}", "user_id")
        start, stop = (int(offset) for offset in snapshot.histories.offsets[user : user + 2])
        rows = range(start, min(stop, start + n))
        facts = [history_fact(snapshot, row) for row in rows]
        head = {"domain": domain, "user_id": snapshot.users[user]}
        items = snapshot.histories.items[start : start + len(rows)].tolist()
        return Response(items_answer(snapshot, head, items, facts, name="history"), media_type=JSON)

    @endpoint("GET", "/v1/{domain}/users/{user_id:path}/changes")
    async def user_changes(self, domain: str, user_id: str, n: Number = 20) -> Response:
        """The list of a user beside the one of the publication before."""
        snapshot = self._snapshot(domain)
        user = find_user(snapshot, user_id, self._settings)
        if user is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"unknown user {user_id!r}", "user_id")
        return Response(await asyncio.to_thread(self._comparisons.of_user, snapshot, user, n), media_type=JSON)

    @endpoint("GET", "/v1/{domain}/changes")
    async def changes(self, domain: str) -> Response:
        """How the lists differ from those of the publication before, and the users whose lists differ most."""
        snapshot = self._snapshot(domain)
        return Response(await asyncio.to_thread(self._comparisons.of_all, snapshot), media_type=JSON)

    @endpoint("GET", "/v1/{domain}/users")
    async def users(self, domain: str, like: Literal["light", "heavy", "niche"], n: Number = 10) -> Response:
        """Users to look at: with few interactions, with many, or with rare tastes."""
        snapshot = self._snapshot(domain)
        lengths = np.diff(snapshot.histories.offsets)
        order = {"light": lengths, "heavy": -lengths, "niche": -snapshot.rarity}[like]
        known = np.flatnonzero(lengths)
        chosen = known[np.argsort(order[known], kind="stable")[:n]]
        listed = [{"user_id": snapshot.users[user], "interactions": int(lengths[user])} for user in chosen.tolist()]
        return Response(json.dumps({"domain": domain, "users": listed}, ensure_ascii=False), media_type=JSON)

    @endpoint("POST", "/v1/{domain}/recommendations")
    async def recommendations(self, domain: str, user: NewUser) -> Response:
        """A list for a user who is not in the data, by ratings or a history of items, or by ratings of genres."""
        snapshot = self._snapshot(domain)
        filters = Filters(user.kind, user.genre, user.year_from, user.include_adult, [str(id_) for id_ in user.exclude])
        check_ratings(snapshot, [entry.rating for entry in user.history], "history.rating")
        check_ratings(snapshot, list(user.tastes.values()), "tastes")
        balance = requested_balance(snapshot, user.diversity, user.calibration)
        ranking = await asyncio.to_thread(self._rank, snapshot, user)
        allowed = np.flatnonzero(filters.allow(snapshot, ranking.items))
        weights = snapshot.rules.balance if balance is None else balance
        allowed = await choose(snapshot, allowed, ranking.items, ranking.scores, user.n, ranking.history, weights)
        head = {"domain": domain, "model": ranking.model, "version": ranking.version}
        return self._list(snapshot, head, ranking.items[allowed], score_facts(ranking.scores[allowed]))

    def _rank(self, snapshot: Snapshot, user: NewUser) -> Ranking:
        """Return the ranking for a new user; it may take a while, so it runs in a thread."""
        if user.history:
            places = [find_item(snapshot, entry.item, "history.item") for entry in user.history]
            return self._live.by_history(snapshot, places, [entry.rating for entry in user.history], user.model)
        if user.tastes:
            known = {normalise(genre): genre for genre in snapshot.model_genres}
            unknown = [genre for genre in user.tastes if normalise(genre) not in known]
            if unknown:
                names = ", ".join(known.values())
                detail = f"unknown genre {unknown[0]!r}; known: {names}"
                raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, "tastes")
            return self._live.by_tastes(
                snapshot, {known[normalise(genre)]: value for genre, value in user.tastes.items()}
            )
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "give `history` or `tastes`", "history")

    @endpoint("GET", "/v1/{domain}/items/popular")
    async def popular(
        self,
        domain: str,
        window: Annotated[
            int | None, Query(description="Days before the last interaction; all time if absent.")
        ] = None,
        n: Number = 10,
        kind: str | None = None,
        genre: str | None = None,
        year_from: Year = None,
        include_adult: bool = False,
    ) -> Response:
        """The items with the most interactions, of all time or of the last days of the data."""
        snapshot = self._snapshot(domain)
        windows = [days for days in snapshot.popular_days if days]
        if window is not None and window not in windows:
            known = f"days that are counted: {', '.join(map(str, windows))}" if windows else "this domain has no times"
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{window}: {known}", "window")
        items = snapshot.popular_items(window or 0)
        allowed = Filters(kind, genre, year_from, include_adult).allow(snapshot, items)
        head = {"domain": domain} | ({} if window is None else {"window": window})
        return Response(items_answer(snapshot, head, items[allowed][:n].tolist()), media_type=JSON)

    @endpoint("GET", "/v1/{domain}/items/{item_id:path}/similar")
    async def similar(self, domain: str, item_id: str, n: Number = 10) -> Response:
        """The items that most resemble an item, by the users that they have in common."""
        snapshot = self._snapshot(domain)
        item = snapshot.items.find(item_id)
        if item is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"unknown item {item_id!r}", "item_id")
        neighbours, similarities = snapshot.similar.of(item)
        allowed = snapshot.rules.allowed[neighbours]
        items, scores = (values[allowed][:n].tolist() for values in (neighbours, similarities))
        extras = [b'"score":%.7g' % score for score in scores]
        head = {"domain": domain, "item_id": snapshot.items[item]}
        return Response(items_answer(snapshot, head, items, extras), media_type=JSON)

    @endpoint("GET", "/v1/{domain}/items")
    async def search(self, domain: str, query: Annotated[str, Query(min_length=1, max_length=200)]) -> Response:
        """The items whose names match best."""
        snapshot = self._snapshot(domain)
        found = await asyncio.to_thread(snapshot.finder.similar, query)
        places = [snapshot.items.find(str(item.item_id)) for item in found]
        return Response(
            items_answer(snapshot, {"domain": domain}, [place for place in places if place is not None]),
            media_type=JSON,
        )

    @endpoint("GET", "/v1/{domain}/leaderboard")
    async def leaderboard(self, domain: str) -> Response:
        """The metrics of every model, with 95 % intervals; the champion was chosen on validation."""
        snapshot = self._snapshot(domain)
        board = {"domain": domain, "champion": snapshot.provenance.model, "metrics": snapshot.leaderboard}
        return Response(json.dumps(board), media_type=JSON)

    @endpoint("POST", "/v1/{domain}/feedback")
    async def feedback(self, domain: str, event: Event) -> Response:
        """Store what a user did with an item; the answer comes when it is on the disk."""
        snapshot = self._snapshot(domain)
        if self._spool is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "feedback is off; the operator sets RECSYS_FEEDBACK=on")
        place = snapshot.items.find(str(event.item_id))
        if place is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"unknown item {event.item_id!r}", "item_id")
        check_ratings(snapshot, [event.rating], "rating")
        now = datetime.now(UTC)
        time = event.time or now
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
        if time > now + MAX_CLOCK_ERROR:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{time.isoformat()} is in the future", "time")
        record = {
            "user_id": stored_user(snapshot, str(event.user_id), self._settings),
            "item_id": snapshot.items[place],
            "event": event.event,
            "rating": event.rating,
            "time": min(time, now).isoformat(),
            "list_id": event.list_id,
            "dataset": snapshot.provenance.dataset,
        }
        await asyncio.to_thread(self._spool.add_event, domain, record)
        self._measures.feedback.labels(domain).inc()
        return Response(b'{"stored":true}', HTTPStatus.CREATED, media_type=JSON)

    def _snapshot(self, domain: str) -> Snapshot:
        snapshots = self._publications.snapshots
        snapshot = snapshots.get(domain)
        if snapshot is None:
            if not snapshots:
                raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "nothing is published yet; run `recsys run`")
            known = ", ".join(sorted(snapshots))
            raise ProblemError(HTTPStatus.NOT_FOUND, f"unknown domain {domain!r}; published: {known}", "domain")
        return snapshot

    def _list(
        self,
        snapshot: Snapshot,
        head: dict[str, Any],
        items: NDArray[np.int32],
        facts: Sequence[bytes] | None,
    ) -> Response:
        """Return the answer with a list, and note the list if feedback is collected."""
        origin = snapshot.provenance
        head = {"model": origin.model, "version": origin.version, **head, "list_id": new_list_id()}
        if self._spool is not None:
            served = {"list_id": head["list_id"], "model": "popular" if "fallback" in head else head["model"]}
            ids = [snapshot.items[item] for item in items.tolist()]
            time = datetime.now(UTC).isoformat()
            self._spool.add_list(origin.domain, served | {"version": head["version"], "time": time, "items": ids})
        return Response(list_answer(snapshot, head, items, facts), media_type=JSON)

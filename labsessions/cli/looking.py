"""Commands that look at a running service and change nothing: sessions, one user, history, audit, deployments."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from labsessions.cli.operating import DEFAULT_URL, Url, User, ask, fail, plain, show_json, wrong
from labsessions.cli.root import EXIT_FAULTY, OPERATE, Json, app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labsessions.cli.client import Service

All = Annotated[bool, typer.Option("--all", help="All of them, not only the first page.")]
Limit = Annotated[int, typer.Option(min=1, max=500, help="How many to show.")]
Instant = Annotated[str | None, typer.Option(metavar="INSTANT", help="ISO 8601, e.g. 2026-11-25T08:00:00Z, or a date.")]

# The first five are what the query of the replaced system has always shown.
_SESSION_COLUMNS: Final = (
    "user_id",
    "lab_request_id",
    "duration",
    "expires_at",
    "status",
    "left",
    "state",
    "attempts",
    "next_attempt_at",
    "last_error",
)
_HISTORY_COLUMNS: Final = (
    "user_id",
    "id",
    "labId",
    "created_at",
    "expires_at",
    "ended_at",
    "reason",
    "attempts",
    "lateness_seconds",
    "last_error",
)
_EVENTS_SHOWN: Final = 20


@app.command(rich_help_panel=OPERATE)
def sessions(
    *,
    status: Annotated[str | None, typer.Option(help="Only those that are active, cleaning or stuck.")] = None,
    overdue: Annotated[
        bool | None, typer.Option("--overdue/--not-overdue", help="Only those whose deadline has passed, or has not.")
    ] = None,
    ending_within: Annotated[float | None, typer.Option(help="Only those that end within so many minutes.")] = None,
    lab: Annotated[str | None, typer.Option(help="Only those of this labId.")] = None,
    group: Annotated[str | None, typer.Option(help="Only those of this labGroupID.")] = None,
    query: Annotated[
        str | None, typer.Option("--query", help="Beginning of a user_id; or an id or lab_request_id.")
    ] = None,
    error: Annotated[str | None, typer.Option(help="Only those with this in their last error.")] = None,
    order: Annotated[str, typer.Option(help="What comes first: by expires_at or by user_id.")] = "expires_at",
    limit: Limit = 100,
    all_: All = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """List the sessions of a running service; EXPIRED are those whose deadline has passed."""
    asked = {
        "status": status,
        "overdue": overdue,
        "ending_within": ending_within,
        "lab_id": lab,
        "group_id": group,
        "q": query,
        "error": error,
        "order": order,
    }
    most = None if all_ else limit
    found = ask(url, lambda service: _listed(service, "/sessions", "sessions", asked, most), json=json)
    if json:
        show_json(found)
        return
    from labsessions.cli.tables import note, show_table

    show_table(_SESSION_COLUMNS, [_session_row(each) for each in found["sessions"]], numbers=("duration", "attempts"))
    if found["next_cursor"] is not None:
        total = found.get("total")
        note(f"{len(found['sessions'])} of {'more' if total is None else total} sessions; --all shows all")


@app.command(rich_help_panel=OPERATE)
def show(user: User, *, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Show all that is known of one user: session, VMs that are owed, what has happened; exit status 1 if nothing."""
    from labsessions.cli.client import segment

    found = ask(url, lambda service: service.get(f"/sessions/{segment(user)}"), json=json)
    unknown = not any(found.values())
    if json:
        show_json(found)
        raise typer.Exit(EXIT_FAULTY if unknown else 0)
    if unknown:
        fail(f"nothing is known of a user {user!r}", EXIT_FAULTY)
    _show_user(found)


@app.command(rich_help_panel=OPERATE)
def history(
    *,
    user: Annotated[str | None, typer.Option(help="Only those of this user.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only those that ended so, e.g. expired or deleted.")] = None,
    lab: Annotated[str | None, typer.Option(help="Only those of this labId.")] = None,
    since: Instant = None,
    until: Instant = None,
    limit: Limit = 100,
    all_: All = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV (RFC 4180).")] = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """List the sessions that have ended, the latest first."""
    if csv and json:
        wrong("give either --csv or --json")
    asked = {"user_id": user, "reason": reason, "lab_id": lab, "since": since, "until": until}
    found = ask(url, lambda service: _listed(service, "/history", "ended", asked, None if all_ else limit), json=json)
    if json:
        show_json(found)
        return
    from labsessions.cli.tables import csv_lines, instant, note, show_table

    ended = found["ended"]
    if csv:
        rows = [[each[name] for name in _HISTORY_COLUMNS] for each in ended]
        typer.echo(csv_lines([_HISTORY_COLUMNS, *rows]), nl=False)
    else:
        shown = [
            [instant(each[name]) if name.endswith("_at") else each[name] for name in _HISTORY_COLUMNS] for each in ended
        ]
        show_table(_HISTORY_COLUMNS, shown, numbers=("attempts", "lateness_seconds"))
    if found["next_cursor"] is not None:
        note(f"the latest {len(ended)}; --all shows all")


@app.command(rich_help_panel=OPERATE)
def audit(*, limit: Limit = 100, all_: All = False, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """List what operators have done, the newest first: who, what, why, and what came of it."""
    found = ask(url, lambda service: _listed(service, "/audit", "entries", {}, None if all_ else limit), json=json)
    if json:
        show_json(found)
        return
    from labsessions.cli.tables import instant, note, show_table

    columns = ("who", "action", "user_id", "outcome", "reason")
    rows = [
        (instant(each["at"]), *(each[name] for name in columns), _pairs(each["detail"])) for each in found["entries"]
    ]
    show_table(("at", *columns, "detail"), rows)
    if found["next_cursor"] is not None:
        note(f"the newest {len(rows)}; --all shows all")


@app.command(rich_help_panel=OPERATE)
def deployments(*, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """List the starts of the service, the newest first: release, schema, settings, and how each ended."""
    found = ask(url, lambda service: service.get("/deployments"), json=json)
    if json:
        show_json(found)
        return
    from labsessions.cli.tables import instant, show_table

    ended = {True: "in order", False: "died", None: "running"}
    rows = [
        (
            instant(each["started_at"]),
            instant(each["stopped_at"]),
            ended[each["clean"]],
            *(each[name] for name in ("version", "schema", "settings_fingerprint", "pid", "host")),
        )
        for each in found["deployments"]
    ]
    show_table(("started_at", "stopped_at", "ended", "version", "schema", "settings", "pid", "host"), rows)


def _pairs(members: "Mapping[str, Any]") -> str:
    return ", ".join(f"{name}={plain(value)}" for name, value in members.items())


async def _listed(
    service: "Service", path: str, member: str, query: "Mapping[str, Any]", limit: int | None
) -> dict[str, Any]:
    """A page of so many, or all pages as one."""
    if limit is not None:
        return await service.get(path, **query, limit=limit)
    from labsessions.progress import progress_bar

    items: list[Any] = []
    page: dict[str, Any] = {}
    with progress_bar("Reading") as progress:
        async for page in service.pages(path, member, query, progress):
            items += page[member]
    return {**page, member: items}


def _show_user(found: "Mapping[str, Any]") -> None:
    from labsessions.cli.tables import instant, show_fields, show_table, span

    session = found["session"]
    if session is None:
        typer.echo("no session")
    else:
        shown = {**session, "status": f"{'EXPIRED' if session['overdue'] else 'ACTIVE'} ({session['status']})"}
        shown["left"] = span(shown.pop("remaining_seconds"))
        show_fields({name: value for name, value in shown.items() if value is not None and name != "overdue"})
    if found["owed"]:
        typer.echo("\nVMs of deleted sessions that are owed:")
        columns = ("lab_request_id", "since", "attempts", "status", "next_attempt_at", "last_error")
        show_table(columns, [[each[name] for name in columns] for each in found["owed"]], numbers=("attempts",))
    if found["last_ended"] is not None:
        typer.echo("\nThe last session that has ended:")
        show_fields({name: value for name, value in found["last_ended"].items() if value is not None})
    if found["events"]:
        typer.echo("\nWhat has happened, the newest first:")
        rows = [(instant(each["at"]), each["type"], _pairs(each["data"])) for each in found["events"][:_EVENTS_SHOWN]]
        show_table(("at", "event", "data"), rows)


def _session_row(each: "Mapping[str, Any]") -> tuple[Any, ...]:
    from labsessions.cli.tables import instant, span

    return (
        each["user_id"],
        each["lab_request_id"],
        each["duration"],
        instant(each["expires_at"]),
        "EXPIRED" if each["overdue"] else "ACTIVE",
        span(each["remaining_seconds"]),
        each["status"],
        each["attempts"],
        instant(each["next_attempt_at"]),
        each["last_error"],
    )

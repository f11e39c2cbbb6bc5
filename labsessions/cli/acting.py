"""Commands by which an operator acts on a running service. Each stands in its audit: who, what, why, the outcome."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from labsessions.cli.operating import DEFAULT_URL, Url, User, Yes, ask, confirm, plain, show_json, wrong
from labsessions.cli.root import EXIT_FAULTY, OPERATE, Json, app

if TYPE_CHECKING:
    from collections.abc import Sequence

Reason = Annotated[str | None, typer.Option(help="Why; stands in the audit.")]
Minutes = Annotated[float | None, typer.Option(help="So many minutes.")]
Until = Annotated[str | None, typer.Option(metavar="INSTANT", help="Until then: ISO 8601 with an offset, or Z.")]


@app.command(rich_help_panel=OPERATE)
def extend(
    user: User,
    *,
    minutes: Minutes = None,
    until: Until = None,
    reason: Reason = None,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Give a user's session more time, or less with a negative number of minutes; within the limit that users have."""
    _one_of(minutes, until, json=json)
    done = _post(url, user, "extend", json=json, minutes=minutes, until=until, reason=reason)
    if json:
        show_json(done)
        return
    from labsessions.cli.tables import instant, span

    moved = done["extension"]
    words = f"it ends at {instant(done['expires_at'])} UTC, {span(abs(moved['granted_seconds']))} "
    words += "later" if moved["granted_seconds"] >= 0 else "earlier"
    typer.echo(words + (", which is all that the limit allows" if moved["partial"] else ""))


@app.command(rich_help_panel=OPERATE)
def end(user: User, *, reason: Reason = None, url: Url = DEFAULT_URL, yes: Yes = False, json: Json = False) -> None:
    """End a user's session now; the ordinary cleanup deletes its VMs."""
    confirm(f"End the session of {user!r} now, and delete its VMs?", yes=yes, json=json)
    done = _post(url, user, "end", json=json, reason=reason)
    if json:
        show_json(done)
    else:
        typer.echo("it ends now; its VMs are being deleted")


@app.command(rich_help_panel=OPERATE)
def retry(
    user: Annotated[str | None, typer.Argument(help="The user's id.", show_default=False)] = None,
    *,
    all_stuck: Annotated[bool, typer.Option("--all-stuck", help="All that are stuck.")] = False,
    error: Annotated[str | None, typer.Option(help="All with this in their last error.")] = None,
    reason: Reason = None,
    url: Url = DEFAULT_URL,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Make the next cleanup attempt due now: of one user, or of many that wait for a retry, after a preview."""
    many = all_stuck or error is not None
    if many == (user is not None):
        wrong("say which: USER, or --all-stuck, or --error TEXT", json=json)
    if user is not None:
        done = _post(url, user, "retry", json=json, reason=reason)
        if json:
            show_json(done)
        else:
            typer.echo(f"the next attempt is due now, for {_named(done['vms'])}")
        return
    _retry_many(url, {"status": "stuck" if all_stuck else None, "error": error, "reason": reason}, yes=yes, json=json)


@app.command(rich_help_panel=OPERATE)
def forget(
    user: User,
    *,
    reason: Annotated[str, typer.Option(help="Why; stands in the audit.", show_default=False)],
    session_id: Annotated[str | None, typer.Option(help="Only if the session still has this id.")] = None,
    url: Url = DEFAULT_URL,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Give up a user's session, and what is owed of earlier ones: nothing deletes the VMs, which may still run."""
    question = f"Forget the session of {user!r}? Its VMs may still run, and nothing will delete them."
    confirm(question, yes=yes, json=json)
    done = _post(url, user, "forget", json=json, reason=reason, session_id=session_id)
    if json:
        show_json(done)
    elif done["vms"]:
        typer.echo(f"forgotten; look at the backend, these may still run: {_named(done['vms'])}")
    else:
        typer.echo("forgotten; all of its VMs had been confirmed")


@app.command(rich_help_panel=OPERATE)
def pause(
    *,
    minutes: Minutes = None,
    until: Until = None,
    reason: Annotated[str | None, typer.Option(help="Why; is shown as long as it lasts.")] = None,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Hold all cleanups back for a while, at most a day; deadlines keep their meaning. Without options: is it so?"""
    if minutes is None and until is None and reason is None:
        state = ask(url, lambda service: service.get("/pause"), json=json)
    else:
        _one_of(minutes, until, json=json)
        if reason is None:
            wrong("--reason is missing: it is shown as long as cleanups are paused", json=json)
        state = ask(url, lambda service: service.post("/pause", minutes=minutes, until=until, reason=reason), json=json)
    _show_pause(state, json=json)


@app.command(rich_help_panel=OPERATE)
def resume(*, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Let cleanups go on; what has become due meanwhile is done at the usual pace, the oldest first."""
    _show_pause(ask(url, lambda service: service.post("/resume"), json=json), json=json)


def _post(url: str, user: str, action: str, *, json: bool, **body: Any) -> dict[str, Any]:
    from labsessions.cli.client import segment

    return ask(url, lambda service: service.post(f"/sessions/{segment(user)}/{action}", **body), json=json)


def _retry_many(url: str, which: dict[str, Any], *, yes: bool, json: bool) -> None:
    from labsessions.progress import progress_bar

    preview = ask(url, lambda service: service.post("/retry", **which, dry_run=True), json=json)
    matched = preview["matched"]
    if matched == 0:
        if json:
            show_json(preview)
        else:
            typer.echo("none waits for a retry")
        return
    confirm(f"Make the next attempt of {matched} cleanups due now?", yes=yes, json=json)
    with progress_bar("Retrying"):
        done = ask(url, lambda service: service.post("/retry", **which, dry_run=False, expected=matched), json=json)
    if json:
        show_json(done)
    else:
        typer.echo(f"{done['retried']} of {done['matched']} are due now; they are tried at the usual pace")
        if done["running"]:
            typer.echo(f"{done['running']} are being tried already")
    if done["failed"]:
        typer.echo(f"labsessions: {done['failed']} could not be told: see the service's log, and try again", err=True)
        raise typer.Exit(EXIT_FAULTY)


def _show_pause(state: dict[str, Any], *, json: bool) -> None:
    if json:
        show_json(state)
        return
    from labsessions.cli.tables import instant

    paused = state.get("paused")
    if paused is None:
        typer.echo("cleanups are not paused")
    else:
        words = f"cleanups are paused until {instant(paused['until'])} UTC"
        typer.echo(f"{words}, by {plain(paused['by'])}: {plain(paused['reason'])}")


def _one_of(minutes: float | None, until: str | None, *, json: bool) -> None:
    if (minutes is None) == (until is None):
        wrong("give either --minutes or --until", json=json)


def _named(vms: "Sequence[str]") -> str:
    return ", ".join(plain(vm) for vm in vms) or "no VM"

"""The command about VMs that the backend has and no session speaks of: a report, and with `--sweep` their deletion."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from labsessions.cli.operating import DEFAULT_URL, Url, Yes, ask, confirm, show_json, wrong
from labsessions.cli.root import EXIT_FAULTY, OPERATE, Json, app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labsessions.cli.client import Progress, Service

_COLUMNS: Final = ("lab_request_id", "created_at", "age", "user_id")
# Each request answers when all of its VMs are done, at five a second: so that the bar moves.
_PER_REQUEST: Final = 10


@app.command(rich_help_panel=OPERATE)
def orphans(
    *,
    sweep: Annotated[bool, typer.Option("--sweep", help="Delete them, after a preview.")] = False,
    min_age: Annotated[float, typer.Option(min=5, help="None younger than so many minutes.")] = 60,
    max_: Annotated[int, typer.Option("--max", min=1, max=500, help="No more than so many, the oldest first.")] = 50,
    unknown_age: Annotated[bool, typer.Option("--unknown-age", help="Those whose age isn't known, too.")] = False,
    none_known: Annotated[
        bool, typer.Option("--none-known", help="Also if the service knows not one VM of the whole list.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Why; stands in the audit.")] = None,
    url: Url = DEFAULT_URL,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Show VMs that the backend lists and no session speaks of, or delete them; exit status 1 if there are any."""
    if sweep:
        order = {"min_age_minutes": min_age, "unknown_age": unknown_age, "none_known": none_known, "reason": reason}
        _sweep(url, order, max_, yes=yes, json=json)
        return
    if yes or unknown_age or none_known:
        wrong("--yes, --unknown-age and --none-known belong to --sweep", json=json)
    found = ask(url, lambda service: service.get("/orphans"), json=json)
    if json:
        show_json(found)
    else:
        _show(found["orphans"])
        typer.echo(f"{found['total']} of {found['listed']} VMs are orphans, {found['known']} are known here")
    raise typer.Exit(EXIT_FAULTY if found["total"] else 0)


def _sweep(url: str, order: dict[str, Any], most: int, *, yes: bool, json: bool) -> None:
    preview = ask(url, lambda service: service.post("/orphans/sweep", **order, max=most, dry_run=True), json=json)
    chosen = [each["lab_request_id"] for each in preview["vms"]]
    if not chosen:
        if json:
            show_json(preview)
        else:
            typer.echo("no orphan of that age")
        return
    if not json:
        _show(preview["vms"])
    confirm(f"Delete these {len(chosen)} VMs, of {preview['matched']} orphans of that age?", yes=yes, json=json)
    from labsessions.progress import progress_bar

    with progress_bar("Deleting") as progress:
        swept = ask(url, lambda service: _in_slices(service, order, chosen, progress), json=json)
    if json:
        show_json(swept)
    else:
        typer.echo(f"{swept['deleted']} deleted, {swept['failed']} failed, of {len(chosen)}")
        for each in swept["vms"]:
            if each["error"] is not None:
                typer.echo(f"labsessions: {each['lab_request_id']}: {each['error']}", err=True)
        if swept["stopped"] is not None:
            typer.echo(f"labsessions: ended early: {swept['stopped']}", err=True)
    raise typer.Exit(EXIT_FAULTY if swept["failed"] or swept["stopped"] is not None else 0)


async def _in_slices(
    service: "Service", order: dict[str, Any], chosen: "Sequence[str]", progress: "Progress"
) -> dict[str, Any]:
    """What was shown and confirmed, and nothing that has come since; one part after the other."""
    total: dict[str, Any] = {"matched": len(chosen), "deleted": 0, "failed": 0, "stopped": None, "vms": []}
    progress(0, len(chosen))
    for start in range(0, len(chosen), _PER_REQUEST):
        some = chosen[start : start + _PER_REQUEST]
        part = await service.post("/orphans/sweep", **order, max=len(some), dry_run=False, lab_request_ids=some)
        for name in ("deleted", "failed", "vms"):
            total[name] += part[name]
        progress(start + len(some), len(chosen))
        if part["stopped"] is not None:
            return {**total, "stopped": part["stopped"]}
    return total


def _show(vms: "Sequence[dict[str, Any]]") -> None:
    from labsessions.cli.tables import instant, show_table, span

    rows = [
        (each["lab_request_id"], instant(each["created_at"]), span(each["age_seconds"]) or "unknown", each["user_id"])
        for each in vms
    ]
    show_table(_COLUMNS, rows)

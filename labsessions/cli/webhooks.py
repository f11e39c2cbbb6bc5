"""Commands about webhooks: where each endpoint stands, what was given up, sending it once more, calling again."""

from typing import Annotated, Any

import typer

from labsessions.cli.operating import DEFAULT_URL, Url, ask, show_json, wrong
from labsessions.cli.root import OPERATE, Json, app

group = typer.Typer(help="Look at the webhooks of a running service, and send events once more.", no_args_is_help=True)
app.add_typer(group, name="webhooks", rich_help_panel=OPERATE)

Name = Annotated[str, typer.Argument(help="The webhook's name.", show_default=False)]


@group.command("list")
def list_(*, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Show where each webhook stands."""
    found = ask(url, lambda service: service.get("/webhooks"), json=json)
    if json:
        show_json(found)
        return
    from labsessions.cli.tables import instant, show_table

    rows = [
        (
            *(each[name] for name in ("name", "url", "state", "lag", "dead_letters")),
            instant(each["next_attempt_at"]),
            each["last_error"],
        )
        for each in found["endpoints"]
    ]
    columns = ("name", "url", "state", "lag", "dead_letters", "next_attempt_at", "last_error")
    show_table(columns, rows, numbers=("lag", "dead_letters"))


@group.command("dead-letters")
def dead_letters(name: Name, *, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Show the events that a webhook has given up."""
    letters = ask(url, lambda service: _letters(service, name), json=json)
    if json:
        show_json({"dead_letters": letters})
        return
    from labsessions.cli.tables import instant, show_table

    rows = [
        (
            each["seq"],
            each["type"],
            instant(each["at"]),
            each["attempts"],
            instant(each["given_up_at"]),
            each["last_error"],
        )
        for each in letters
    ]
    show_table(("seq", "type", "at", "attempts", "given_up_at", "last_error"), rows, numbers=("seq", "attempts"))


@group.command()
def replay(
    name: Name,
    *,
    from_seq: Annotated[int | None, typer.Option(min=1, help="All events from this number on.")] = None,
    dead_letters: Annotated[bool, typer.Option("--dead-letters", help="Those that were given up.")] = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Send a webhook's events once more, with the same ids."""
    if from_seq is None and not dead_letters:
        wrong("say what: --from-seq N, or --dead-letters, or both", json=json)
    from labsessions.cli.client import segment

    begun = ask(
        url,
        lambda service: service.post(
            f"/webhooks/{segment(name)}/replay", from_seq=from_seq, dead_letters=dead_letters or None
        ),
        json=json,
    )
    if json:
        show_json(begun)
    else:
        typer.echo(f"{begun['events']} events and {begun['dead_letters']} dead letters are sent once more")


@group.command()
def enable(name: Name, *, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Call a webhook's endpoint again, at once, whatever it said last."""
    from labsessions.cli.client import segment

    now = ask(url, lambda service: service.post(f"/webhooks/{segment(name)}/enable"), json=json)
    if json:
        show_json(now)
    else:
        typer.echo(f"{now['name']} is {now['state']}")


async def _letters(service: Any, name: str) -> list[dict[str, Any]]:
    from labsessions.cli.client import segment

    letters: list[dict[str, Any]] = []
    after = None
    while True:
        page = await service.get(f"/webhooks/{segment(name)}/dead-letters", after=after)
        letters += page["dead_letters"]
        after = page["next_after"]
        if after is None:
            return letters

"""``bikecollect feeds``: the catalogue, and what is at an address."""

import click

from bikecollect.cli.options import say

FORMAT = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text"
)


@click.group(invoke_without_command=True)
@click.pass_context
def feeds(ctx: click.Context) -> None:
    """List the systems we know, show one, or try an address."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(listed)


@feeds.command("list")
@click.argument("words", nargs=-1)
@FORMAT
def listed(*, words: tuple[str, ...] = (), form: str = "text") -> None:
    """List the systems we know, or those whose id or name holds all WORDS."""
    import json  # noqa: PLC0415 - only here

    from bikecollect import catalogue  # noqa: PLC0415 - only here
    from bikecollect.errors import UsageError  # noqa: PLC0415 - only here
    from bikecollect.screens import feeds as screens  # noqa: PLC0415 - only here

    entries = catalogue.search(" ".join(words))
    if not entries:
        raise UsageError(
            f'the catalogue has nothing like "{" ".join(words)}"; any other system: '
            "bikecollect feeds try URL"
        )
    if form == "json":
        lines = (json.dumps(each._asdict(), ensure_ascii=False) for each in entries)
        say("".join(f"{line}\n" for line in lines))
    else:
        say(screens.listing(entries))


@feeds.command("show")
@click.argument("system_id", metavar="ID")
@FORMAT
def show(*, system_id: str, form: str) -> None:
    """Show the system ID of the catalogue."""
    import difflib  # noqa: PLC0415 - only here
    import json  # noqa: PLC0415 - only here

    from bikecollect import catalogue  # noqa: PLC0415 - only here
    from bikecollect.errors import UsageError  # noqa: PLC0415 - only here
    from bikecollect.screens import feeds as screens  # noqa: PLC0415 - only here

    known = catalogue.find(system_id)
    if known is None:
        ids = [each.system_id for each in catalogue.CATALOGUE]
        near = difflib.get_close_matches(system_id, ids, 1)
        hint = f'did you mean "{near[0]}"?' if near else "see: bikecollect feeds"
        raise UsageError(f'no system of the catalogue is called "{system_id}"; {hint}')
    say(
        f"{json.dumps(known._asdict(), ensure_ascii=False)}\n"
        if form == "json"
        else screens.entry(known)
    )


@feeds.command("try")
@click.argument("target", metavar="URL")
@click.option("--timezone", default="", help="IANA name, where the feed says none.")
@click.option("--feed", default="", help="The dialect, where it is not found out.")
@FORMAT
@click.pass_context
def attempt(
    ctx: click.Context, *, target: str, timezone: str, feed: str, form: str
) -> None:
    """Ask URL, or a system that you have set up or that we know, and say what it is.

    Nothing is written. Prints the lines to paste into the settings.
    """
    from bikecollect import process  # noqa: PLC0415 - heavy
    from bikecollect.cli.options import Shared  # noqa: PLC0415 - only here
    from bikecollect.probe import probe  # noqa: PLC0415 - heavy
    from bikecollect.screens import feeds as screens  # noqa: PLC0415 - only here

    stop = process.Stop()
    process.listen(stop)
    system = ctx.ensure_object(Shared).settings().systems.get(target)
    if system is not None:
        what = probe(
            system.url,
            timezone=system.timezone,
            headers=system.headers,
            feed=system.feed if system.feed != "mapped" else "",
            stop=stop,
        )
    else:
        what = probe(target, timezone=timezone, feed=feed, stop=stop)
    say(f"{screens.as_json(what)}\n" if form == "json" else screens.found(what))

"""`retempo devices`: what is there to publish from."""

import typer

from retempo.cli.options import Json, print_json

EXAMPLE = "Example: retempo devices --json"


def run(json: Json = False) -> None:
    """List the cameras and microphones that are there, and which package is missing for what."""
    from retempo.sensors.devices import look

    looked = look()
    if json:
        print_json(
            {
                "devices": [found for each in looked for found in each.found],
                "packages": [
                    {
                        "kind": each.kind,
                        "package": each.package,
                        "missing": each.missing or None,
                        "failed": each.failed or None,
                    }
                    for each in looked
                ],
            }
        )
        return
    for each in looked:
        for found in each.found:
            about = f" ({found.about})" if found.about else ""
            typer.echo(f"{found.kind:<12} {found.name}{about}: retempo publish {found.source}")
            if found.trouble:
                typer.echo(f"{'':<12} {found.trouble}")
        if each.missing:
            typer.echo(f"{each.kind:<12} {each.package} is missing: {each.missing}")
        elif each.failed:
            typer.echo(f"{each.kind:<12} {each.failed}")
    if not any(each.found for each in looked):
        typer.echo("none found")

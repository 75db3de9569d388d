"""Commands that speak, or show how a text is said. They need no server."""

from __future__ import annotations

import json

import click

from monica import logs
from monica.cli.output import FORMAT_HELP, encoder_for, write_sound
from monica.cli.remote import TIMEOUT_S, Remote, exit_on_error
from monica.config import Settings
from monica.engine.selection import choose_name
from monica.service import Service
from monica.speech import SpeechRequest
from monica.text.frontend import TextFrontend


@click.command()
@click.argument("text")
@click.option("-o", "--output", default="monica.wav", help=f"The file to write{FORMAT_HELP}")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="The same seed gives the same take.")
@click.option("--url", help="Let the Monica server at this URL speak.")
def say(text: str, output: str, seed: int | None, url: str | None) -> None:
    """Speak TEXT into a file: .wav, .flac, .mp3, .opus, .ogg, .aac or .pcm. Needs no server unless --url is given."""
    settings = Settings.from_env()
    encode = encoder_for(output)
    if url is not None:
        body = {"text": text} if seed is None else {"text": text, "seed": seed}
        with exit_on_error():
            wav = Remote(url, settings).fetch("POST", "/blabla", body, max(TIMEOUT_S, settings.deadline_s + 5))
        write_sound(encode(wav), output)
        return
    logs.set_up(settings.log_level)
    service = Service(settings)
    try:
        service.start_and_wait()
        said = service.announcer.announce(SpeechRequest(text=text, seed=seed))
    finally:
        service.close()
    write_sound(encode(said.wav), output)
    click.echo(f"{output}: {said.duration_s:.2f} s, {said.engine}", err=True)


@click.command()
@click.argument("text")
def text(text: str) -> None:
    """Show how TEXT is said: in words, sentence by sentence, and which rules changed it."""
    # Not through a Service, which would create the stores and fail if the cache folder cannot be written to.
    settings = Settings.from_env()
    prepared = TextFrontend(settings).prepare(text, choose_name(settings)[0])
    click.echo(json.dumps(prepared.as_dict(), ensure_ascii=False, indent=2))

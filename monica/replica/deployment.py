"""The replica as a deployment of Ray Serve: `monica.replica.deployment:app`."""

from __future__ import annotations

import os

from ray import serve
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from monica import logs
from monica.config import Settings
from monica.engine import wire
from monica.errors import MonicaError
from monica.replica.speaker import ForeignEngine, Speaker


class Replica:
    """A Speaker behind HTTP. Serve makes one in each of its processes, and sends it no request before it is loaded."""

    def __init__(self) -> None:
        settings = Settings.from_env()
        logs.set_up(settings.log_level)
        self._token = wire.read_token(settings.ray_token_file)
        self._speaker = Speaker(settings)
        self._speaker.start_and_wait(on_lost=lambda _: os._exit(1))

    async def __call__(self, request: Request) -> Response:
        if not wire.is_authorized(request.headers.get("authorization"), self._token):
            return PlainTextResponse("This is not the token.", 401)
        path = request.url.path
        if path.endswith(wire.IDENTITY):
            return Response(self._speaker.identity().to_json(), media_type="application/json")
        try:
            header, attachment = wire.unpack_request(await request.body())
            self._speaker.check(header)
            if path.endswith(wire.TAKE):
                frames = self._speaker.speak(header, attachment)
                return StreamingResponse(frames, media_type="application/octet-stream")
            if path.endswith(wire.VOICE):
                await self._speaker.learn_voice(header, attachment)
                return Response()
            if path.endswith(wire.CONDITIONALS):
                return Response(await self._speaker.make_conditionals(header, attachment))
        except ForeignEngine as error:
            return PlainTextResponse(str(error), 409)
        except (KeyError, TypeError, ValueError) as error:
            return PlainTextResponse(str(error), 400)
        except MonicaError as error:
            return PlainTextResponse(error.message, 503 if error.status == 503 else 500)
        return PlainTextResponse("There is nothing here.", 404)


app = serve.deployment()(Replica).bind()

"""People at the page and programs at its API, as clients: the road that a browser takes (upload, queue, events), and the HTTP API."""

from __future__ import annotations

import asyncio
import html
import json
import re
import time
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

TOLD = 503
"""The status by which the page says that it is busy."""
_PATIENCE = 120.0


@dataclass
class Reply:
    """What came back for one file."""

    file: Path
    seconds: float
    said: str = ""
    """All text of the page's answer, without markup; of the API's, the error's code."""
    content: dict[str, Any] = field(default_factory=dict)
    """The API's answer."""
    told: bool = False
    """That the page is busy, and to come again."""
    error: str = ""


class Visitor:
    """One browser: a cookie and a session of its own."""

    def __init__(self, address: str):
        self.client = httpx.AsyncClient(base_url=address, timeout=_PATIENCE, trust_env=False)
        self.session = uuid.uuid4().hex
        self.events: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        """Loads the page: which events there are."""
        (await self.client.get("/")).raise_for_status()
        self.events = (await self.client.get("/config")).json()["dependencies"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def ask(self, file: Path, label: str) -> Reply:
        """Drop a file on the page and wait until the answer is there."""
        start = time.perf_counter()
        try:
            said, told = await self._asked(file, label)
            return Reply(file, time.perf_counter() - start, said, told=told)
        except Exception as error:
            return Reply(file, time.perf_counter() - start, error=f"{type(error).__name__}: {error}"[:200])

    async def _asked(self, file: Path, label: str) -> tuple[str, bool]:
        sent = await self.client.post("/gradio_api/upload", files={"files": (file.name, file.read_bytes())})
        if sent.status_code == TOLD:
            return "", True
        upload = {"path": sent.raise_for_status().json()[0], "orig_name": file.name, "meta": {"_type": "gradio.FileData"}}
        answer = next(each for each in self.events if each["api_name"] == "answer")
        values = await self._event(answer, [label, [upload], None, False, None])
        for each in self.events:  # what the page does by itself after an answer
            if values is not None and each.get("trigger_after") == answer["id"]:
                await self._event(each, [None] * len(each["inputs"]))
        return ("", True) if values is None else (_plain(values), False)

    async def _event(self, event: dict[str, Any], given: list[Any]) -> list[Any] | None:
        """The event's values, None where the queue is full."""
        body = {"data": given, "fn_index": event["id"], "session_hash": self.session, "event_data": None, "trigger_id": None}
        joined = await self.client.post("/gradio_api/queue/join", json=body)
        if joined.status_code == TOLD:
            return None
        number = joined.raise_for_status().json()["event_id"]
        async with self.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed" and message.get("event_id") == number:
                    if not message["success"]:
                        raise RuntimeError(str(message["output"])[:200])
                    return list(message["output"]["data"])
        raise RuntimeError("the events ended before the answer")


async def program(address: str, file: Path, saliency: bool = True, patient: bool = True) -> Reply:
    """One request to the API; `patient`: comes again when it is told that the page is busy."""
    start, told = time.perf_counter(), False
    async with httpx.AsyncClient(base_url=address, timeout=_PATIENCE, trust_env=False) as client:
        while True:
            try:
                answer = await client.post(
                    "/api/v1/predict", params={"saliency": saliency}, files={"image": (file.name, file.read_bytes())}
                )
            except httpx.HTTPError as error:
                return Reply(file, time.perf_counter() - start, told=told, error=f"{type(error).__name__}: {error}"[:200])
            if answer.status_code != TOLD or not patient:
                break
            told = True
            await asyncio.sleep(1)
    content, seconds = answer.json(), time.perf_counter() - start
    if answer.status_code == 200:
        return Reply(file, seconds, content=content, told=told)
    code = content.get("error", {}).get("code", "")
    broken = f"{answer.status_code} {code}" if answer.status_code >= 500 and answer.status_code != TOLD else ""
    return Reply(file, seconds, said=code, told=told or answer.status_code == TOLD, error=broken)


async def together(asked: Sequence[Coroutine[Any, Any, Reply]]) -> list[Reply]:
    """All at once."""
    return list(await asyncio.gather(*asked))


def _plain(values: Sequence[Any]) -> str:
    texts = [each.get("value", "") if isinstance(each, dict) else each for each in values]
    whole = " ".join(each for each in texts if isinstance(each, str))
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", whole).split()))

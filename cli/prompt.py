"""`hardcut prompt show`: exactly what a teacher would be sent about a video."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.preview import messages


def show(task: str, video: str | None, run: Path, config: Path | None, cache: Path | None, *, as_json: bool) -> int:
    """Prints every request of a task about a video: options, system text, each frame at its place, text."""
    requests = asyncio.run(messages(task, video, run, config, cache_folder(cache)))
    if as_json:
        print(json.dumps({"requests": requests}, indent=2, ensure_ascii=False))
        return 0
    for number, request in enumerate(requests, 1):
        print(f"=== {number} of {len(requests)}, {request['stage']} asks {request['teacher']}")
        print(json.dumps(request["options"], ensure_ascii=False))
        for message in request["messages"]:
            print(f"--- {message['role']}")
            for part in message["content"]:
                print(part["text"] if part["type"] == "text" else f"[{part['path']}, sha256 {part['sha256']}]")
    return 0

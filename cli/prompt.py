"""`hardcut prompt show`: exactly what a teacher would be sent about a video."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, get_args

from hardcut.cli.asked import TASKS, Asked, asked
from hardcut.cli.paths import cache_folder
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.teacher.generation import prompt_of
from hardcut.teacher.protocol import Task
from hardcut.teacher.registry import prompts_of


def show(name: str, video: str, run: Path, config: Path | None, cache: Path | None, *, as_json: bool) -> int:
    """Prints every request of a task about a video: options, system text, each frame at its place, text.

    Raises UsageError for an unknown prompt or video, and where the run has not come far enough to ask it.
    """
    task: Task | None = next((each for each in get_args(Task) if each == name), None)
    if task is None:
        raise UsageError(f"no prompt {name!r}; there are: {', '.join(TASKS)}")
    own = run / "run.toml"
    settings = load_settings(config or (own if own.exists() else None))
    found = asyncio.run(asked(settings, run, cache_folder(cache), [task], video))
    if not found:
        raise UsageError(
            f"{run}: nothing is asked about {video!r} at {TASKS[task]} yet: its frames or the records before that "
            f"stage are missing; `hardcut run` with --until brings them"
        )
    requests = [_request(each) for each in found]
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


def _request(each: Asked) -> dict[str, Any]:
    request = each.request
    text = prompts_of(each.teacher).fill(request)
    prompt = prompt_of(request, text)
    images: list[dict[str, object]] = [
        {"type": "image", "path": str(frame.path), "sha256": frame.sha256} for frame in request.frames
    ]
    options: dict[str, Any] = request.sampling.model_dump(mode="json")
    if prompt.schema is not None:
        options["schema"] = prompt.schema
    return {
        "stage": each.stage,
        "teacher": each.teacher.spec,
        "options": options,
        "messages": prompt.messages(images),
    }

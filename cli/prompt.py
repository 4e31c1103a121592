"""`hardcut prompt show`: exactly what a teacher would be sent about a video."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

from hardcut.cli.asked import TASKS, Asked, asked
from hardcut.cli.paths import cache_folder
from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.teacher.local.generation import prompt_of
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
    where = cache_folder(cache)
    with ExitStack() as stack:
        replies = stack.enter_context(ReplyCache(where.replies)) if where.replies.exists() else None
        heard = asyncio.run(asked(settings, run, where, [TASKS[task]], video, replies))
    found = [each for each in heard if each.request.task == task]
    if not found:
        raise UsageError(
            f"{run}: stage {TASKS[task]} asks no {name} about {video!r} yet: its frames, or the records and replies "
            f"before that are missing (`hardcut run` with --until brings them), or nothing calls for it"
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
        {"type": "image", "path": str(frame.path), "sha256": frame.sha256} for _, frame in request.pictures
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

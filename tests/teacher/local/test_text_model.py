"""`transformers:` with a model of text alone: it serves every role that is shown no pictures."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.budget import current_stage
from hardcut.media.frames import Frame
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Sampling
from hardcut.schemas.resources import Resources
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.confidence import confidence
from hardcut.teacher.protocol import Reply, Request
from hardcut.teacher.registry import open_teacher

needs_torch = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("torch", "transformers")), reason="torch is not installed"
)
TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content + '' }}"
    "{% if not (loop.last and continue_final_message) %}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
"""Takes a message's text as a string alone, as text models do: a list of parts is an error."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from hardcut.reranker.tiny import make_processor

    path = tmp_path_factory.mktemp("text-model")
    tokenizer = make_processor(["does the video answer the query? yes no Yes No"] * 50, 600, 64 * 64).tokenizer
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=4096, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def asked(folder: Path, max_frames: int, **sampling: Any) -> Any:
    current_stage.set("test")
    settings = TeacherSettings(
        spec=f"transformers:{folder}", sampling=Sampling(max_frames=max_frames, reasoning=False, **sampling)
    )
    return open_teacher(settings, Resources()), settings.sampling


@pytest.mark.torch
@needs_torch
async def test_a_text_model_judges_with_its_own_logits(folder: Path, inputs: dict[str, Any]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from hardcut.teacher.prompts.render import Prompts
    from hardcut.teacher.spellings import spellings_of

    teacher, sampling = asked(folder, max_frames=0)
    queries = ["a hotel before a train", "a train that is a good deal longer than the other query"]
    requests = [Request("judge", {**inputs["judge"], "query": query}, sampling) for query in queries]
    replies = await teacher.complete(requests)
    await teacher.close()
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    spelled = spellings_of(tokenizer)
    for request, reply in zip(requests, replies, strict=True):
        assert isinstance(reply, Reply), reply
        told = confidence(reply.answer)
        prompt = Prompts().fill(request)
        text = f"system: {prompt.system}\nuser: {prompt.user}\nassistant: <answer>"
        with torch.inference_mode():
            out = model(**tokenizer(text, return_tensors="pt", add_special_tokens=False)).logits
        logits = out[0, -1].log_softmax(-1)
        mass = {
            word: torch.logsumexp(
                torch.stack([logits[id] for id, said in zip(spelled.ids, spelled.texts, strict=True)
                             if said.strip().lower() == word]), 0)
            for word in (b"yes", b"no")
        }  # fmt: skip
        assert told.exact and told.logit_margin == pytest.approx(float(mass[b"yes"] - mass[b"no"]), abs=1e-3)


@pytest.mark.torch
@needs_torch
async def test_a_text_model_is_shown_no_pictures(folder: Path, inputs: dict[str, Any]) -> None:
    teacher, sampling = asked(folder, max_frames=4)
    frames = (Frame(Path("0.jpg"), 0.5, "0" * 64),)
    with pytest.raises(UsageError, match=r"model of text alone: set sampling\.max_frames = 0"):
        await teacher.complete([Request("judge", inputs["judge"], sampling, frames)])
    await teacher.close()

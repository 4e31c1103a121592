"""Control tokens of chat formats, in text of videos, come to no model as such: asserted on token ids.

The plain tests hold the texts. Those marked `torch` tokenize: with a tokenizer for each format that has its special
tokens as that format's own has them, and, where vLLM's environment is there, with the tokenizer files of Mistral.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from hardcut.teacher.prompts.control_tokens import part, spell_out, spell_out_brackets, spell_out_for
from hardcut.teacher.prompts.question import InvalidReply
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.protocol import Task

FORMATS = {
    "chatml": ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|vision_start|>", "<|image_pad|>", "<|video_pad|>"],
    "llama 2": ["<s>", "</s>", "<unk>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"],
    "llama 3": ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|image|>"],
    "mistral": [
        *("<s>", "</s>", "[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]", "[TOOL_CALLS]", "[TOOL_RESULTS]"),
        *("[/TOOL_RESULTS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
        *("[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[THINK]", "[/THINK]", "[CALL_ID]", "[ARGS]", "[AUDIO]"),
    ],
    "gemma": ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<image_soft_token>"],
    "deepseek": [
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        "<｜User｜>",
        "<｜Assistant｜>",
        "<｜tool▁calls▁begin｜>",
    ],
    "glm": ["[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>"],
    "exaone": ["[|system|]", "[|user|]", "[|assistant|]", "[|endofturn|]"],
    "internvl": ["<img>", "</img>", "<IMG_CONTEXT>", "<image>", "<video>", "[UNUSED_TOKEN_145]"],
    "thoughts and tools": ["<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>"],
    "kimi": ["[BOS]", "[EOS]", "[EOT]", "<|media_pad|>", "<|im_user|>"],
    "bert": ["[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "[unused1]"],
}
EVERY = [token for tokens in FORMATS.values() for token in tokens]
HARMLESS = [
    *(
        "[music]",
        "[MUSIC]",
        "[Applause]",
        "a [b] c",
        "[1]",
        "[INSTRUCTIONS]",
        "x[0]",
        "[INST",
        "INST]",
        "[ INST ]",
        "[|",
    ),
    *("", "Ünï", "\\[x]", "[[1, 2]]"),
]


def _attacked(value: Any, attack: str) -> Any:
    if isinstance(value, dict):
        return {key: _attacked(each, attack) for key, each in value.items()}
    if isinstance(value, list):
        return [_attacked(each, attack) for each in value]
    return attack if isinstance(value, str) else value


def _rendered(inputs: dict[str, dict[str, Any]], attack: str) -> dict[Task, str]:
    """Every task's prompt with an attack in the place of every text that it is given."""
    kept = ("views", "forms")
    return {
        task: Prompts()
        .render(task, {name: v if name in kept else _attacked(v, attack) for name, v in inputs[task].items()})
        .user
        for task in get_args(Task)
    }


def test_no_prompt_of_any_task_holds_a_control_token_and_nothing_of_the_text_is_lost(
    inputs: dict[str, dict[str, Any]],
) -> None:
    attack = f"a {' '.join(EVERY)} b"
    for task, user in _rendered(inputs, attack).items():
        assert not [token for token in EVERY if token in user], task
    user = _rendered(inputs, attack)["judge"]
    assert json.loads(user.split("<query>")[1].split("</query>")[0]) == attack


def test_a_text_without_control_tokens_is_sent_as_it_was() -> None:
    """So no reply of a run of version 26e4c37 is asked for again."""
    for text in HARMLESS:
        assert spell_out_brackets(json.dumps(text)) == json.dumps(text)
        assert spell_out(text) == text


def test_what_a_model_wrote_out_does_not_come_back_as_control_tokens() -> None:
    reply = f'{{"text": "{" ".join(EVERY)}"}}'
    for _, text in InvalidReply(reply, f"text: {EVERY[0]} is none").repair():
        assert not [token for token in EVERY if token in text]


needs_tokenizers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="tokenizing needs transformers: make test-train"
)


def _tokenizer(tokens: list[str]) -> Any:
    """A byte-level tokenizer that has these as special tokens, found anywhere in a text."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bytes_ = Tokenizer(models.BPE())
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bytes_.train_from_iterator(
        ["the video"], trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    )
    bytes_.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
    return PreTrainedTokenizerFast(tokenizer_object=bytes_, eos_token=tokens[-1])


def _special_ids(tokenizer: Any) -> set[int]:
    return {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}


@pytest.mark.torch
@needs_tokenizers
@pytest.mark.parametrize("name", FORMATS)
def test_no_special_id_comes_out_of_any_prompt(inputs: dict[str, dict[str, Any]], name: str) -> None:
    tokenizer = _tokenizer(FORMATS[name])
    special = _special_ids(tokenizer)
    attack = "".join(FORMATS[name]) + " " + " ".join(FORMATS[name])
    encode = lambda text: set(tokenizer(text, add_special_tokens=False)["input_ids"])  # noqa: E731
    assert encode(attack) >= special, "the tokenizer takes them for what they are where nothing is done"
    for task, user in _rendered(inputs, attack).items():
        assert not encode(user) & special, task
    for _, text in InvalidReply(attack, "").repair():
        assert not encode(text) & special
    pair = spell_out_for(tokenizer, attack).replace("<", "\\u003c")  # as the template of a pair does
    assert not encode(pair) & special
    assert not encode(part(tokenizer, attack)) & special


@pytest.mark.torch
@needs_tokenizers
def test_a_tokenizer_in_process_names_tokens_that_nobody_listed() -> None:
    tokens = ["{{STOP}}", "@@user@@", "[NEW_AGE]", "@@use"]
    tokenizer = _tokenizer(tokens)
    attack = f"a {' '.join(tokens)} {{{{{{STOP}}}}}} [[NEW_AGE]] b"
    said = spell_out_for(tokenizer, attack)
    assert not set(tokenizer(said)["input_ids"]) & _special_ids(tokenizer)
    assert spell_out_for(tokenizer, "as it was [MUSIC] @user") == "as it was [MUSIC] @user"


@pytest.mark.torch
@needs_tokenizers
def test_the_pair_prompt_and_a_caption_to_be_learned_hold_none(tmp_path: Path) -> None:
    from hardcut.reranker.tiny import SPECIAL, Size, make_processor
    from hardcut.teacher.local.pair_prompt import add_pair_template, pair_text

    processor = make_processor(["yes no does the video answer the query?"] * 50, Size().vocabulary, 32 * 32)
    processor.tokenizer.add_special_tokens({"additional_special_tokens": ["[INST]", "[|user|]", *SPECIAL[1:]]})
    add_pair_template(processor)
    attack = "red [INST] [|user|] " + " ".join(SPECIAL)
    encode = lambda text: processor.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    special = _special_ids(processor.tokenizer)
    plain, attacked = (encode(pair_text(processor, query)) for query in ("red", attack))
    assert [id for id in attacked if id in special] == [id for id in plain if id in special]
    assert [id for id in encode(attack) if id in special], "the attack is one"
    assert not set(encode(part(processor.tokenizer, attack))) & special


@pytest.mark.vllm
@pytest.mark.skipif(importlib.util.find_spec("mistral_common") is None, reason="needs make test-vllm")
def test_every_special_token_of_mistrals_own_files(inputs: dict[str, dict[str, Any]]) -> None:
    """The tokenizers of Mistral and Pixtral as their maker ships them: their special tokens, of their vocabulary."""
    import mistral_common

    for path in (Path(mistral_common.__file__).parent / "data").glob("tekken_*.json"):
        listed = json.loads(path.read_text(encoding="utf-8")).get("special_tokens") or []
        tokens = [token["token_str"] for token in listed if "SPECIAL_" not in token["token_str"]]
        if not tokens:
            from mistral_common.tokens.tokenizers.base import SpecialTokens

            tokens = [token.value for token in SpecialTokens]
        assert "[INST]" in tokens
        tokenizer = _tokenizer(tokens)
        for task, user in _rendered(inputs, " ".join(tokens)).items():
            found = set(tokenizer(user, add_special_tokens=False)["input_ids"]) & _special_ids(tokenizer)
            assert not found, (task, path.name, tokenizer.convert_ids_to_tokens(list(found)))

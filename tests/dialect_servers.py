"""How servers that speak "the OpenAI API" differ: what each refuses, in its own words and form, and how it answers.

Words and forms are those of the servers themselves, of late 2025 and 2026: from their sources, their documentation, and
what users report of them. Load it by its path (see conftest.py); it is no part of Hardcut.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

Body = dict[str, Any]
Refused = tuple[int, Any] | None

MODEL = "some/model"
OURS = ("repetition_penalty", "top_k", "min_p", "logprob_token_ids", "include_stop_str_in_output")
"""Options that OpenAI's API does not have."""
SPELLED = {"yes": 11, "no": 12, "Yes": 13}


def _openai_error(message: str, param: str | None = None, code: str | None = None) -> tuple[int, Any]:
    return 400, {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def _pictures(body: Body) -> bool:
    return any(
        part["type"] == "image_url"
        for message in body["messages"]
        if isinstance(message["content"], list)
        for part in message["content"]
    )


def _form(body: Body) -> Body:
    form: Body = body.get("response_format", {})
    return form


def _says(body: Body, word: str) -> bool:
    return word in json.dumps(body["messages"]).lower()


def _keywords(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        return set(schema).union(*map(_keywords, schema.values()))
    return set().union(*map(_keywords, schema)) if isinstance(schema, list) else set()


def _openai(body: Body) -> Refused:
    """Strict schemas take a part of what JSON Schema can say; JSON mode wants the word."""
    if unknown := next((name for name in OURS if name in body), None):
        return _openai_error(f"Unrecognized request argument supplied: {unknown}")
    if body.get("top_logprobs", 0) > 20:
        return _openai_error("Invalid value for 'top_logprobs': must be less than or equal to 20.", "top_logprobs")
    described = _form(body).get("json_schema", {})
    if described.get("strict") and (barred := sorted({"minLength", "maxLength"} & _keywords(described["schema"]))):
        return _openai_error(
            f"Invalid schema for response_format '{described['name']}': In context=('properties', 'short'), "
            f"'{barred[0]}' is not permitted.",
            "response_format",
        )
    if _form(body).get("type") == "json_object" and not _says(body, "json"):
        return _openai_error("'messages' must contain the word 'json' in some form, to use 'response_format'.")
    return None


def _openai_reasoning(body: Body) -> Refused:
    if "max_tokens" in body:
        return _openai_error(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
            "instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    if body.get("temperature", 1) != 1:
        return _openai_error(
            "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is "
            "supported.",
            "temperature",
            "unsupported_value",
        )
    for name in ("stop", "logprobs", "top_logprobs"):
        if name in body:
            return _openai_error(
                f"Unsupported parameter: '{name}' is not supported with this model.", name, "unsupported_parameter"
            )
    return _openai(body)


def _thinks_unseen(body: Body, reply: Body) -> Body:
    """Its thoughts are shown to nobody, and count: a small limit leaves nothing for the reply."""
    if body["max_completion_tokens"] <= 700:
        reply["choices"][0]["message"]["content"] = ""
        reply["choices"][0]["finish_reason"] = "length"
    return reply


def _azure(body: Body) -> Refused:
    if body.get("top_logprobs", 0) > 5:
        return _openai_error("Invalid value for 'top_logprobs': must be less than or equal to 5.", "top_logprobs")
    return _openai(body)


def _azure_reply(body: Body, reply: Body) -> Body:
    """With what its filter says of prompt and reply."""
    verdict = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "violence")}
    reply["choices"][0]["content_filter_results"] = verdict
    return {**reply, "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": verdict}]}


def _vllm(body: Body) -> Refused:
    if body.get("top_logprobs", 0) > 20:
        message = "Requested sample logprobs of 21, which is greater than max allowed: 20"
        return 400, {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}}
    return None


def _stopped(body: Body, reply: Body) -> Body:
    """Without the text that it stops at, unless that is wanted; so do all servers."""
    choice = reply["choices"][0]
    for stop in () if body.get("include_stop_str_in_output") else body.get("stop") or ():
        text, found, _ = choice["message"]["content"].partition(stop)
        choice["message"]["content"] = text
        tokens = (choice.get("logprobs") or {}).get("content")
        while found and tokens and "".join(each["token"] for each in tokens) != text:
            tokens.pop()
    return reply


def _tokens_of(body: Body) -> Any:
    """vLLM and SGLang."""
    text = body["prompt"]
    tokens = [SPELLED[text]] if text in SPELLED else list(text.encode())
    return {"tokens": tokens, "count": len(tokens), "max_model_len": 32768}


def _sglang(body: Body) -> Refused:
    """It takes whatever it does not know; its errors are flat."""
    if body.get("top_logprobs", 0) > 20:
        return 400, {"object": "error", "message": "top_logprobs must be at most 20", "type": "BadRequestError",
                     "param": None, "code": 400}  # fmt: skip
    return None


def _sglang_reply(body: Body, reply: Body) -> Body:
    """Tokens that are asked for by id are not among those that it shows; thoughts are apart."""
    reply = copy.deepcopy(_stopped(body, reply))
    choice = reply["choices"][0]
    choice["message"]["reasoning_content"] = None
    for token in (choice.get("logprobs") or {}).get("content") or ():
        token["top_logprobs"] = [each for each in token["top_logprobs"] if each["token"] != "Yes"]
    return {**reply, "metadata": {"weight_version": "default"}}


def _llama_cpp(body: Body) -> Refused:
    """A model without a projector of pictures: what it cannot do is an error of 500."""
    if _pictures(body):
        message = "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"
        return 500, {"error": {"code": 500, "message": message, "type": "server_error"}}
    return None


def _ollama(body: Body) -> Refused:
    return None


def _ollama_text(body: Body) -> Refused:
    if _pictures(body):
        return _openai_error("this model does not support image input (ref: b8bd630e-4a39-4b57-82af-9158ee9d5703)")
    return None


def _without_logprobs(body: Body, reply: Body) -> Body:
    """It drops what it does not know without a word."""
    reply = _stopped(body, reply)
    reply["choices"][0].pop("logprobs", None)
    return {**reply, "system_fingerprint": "fp_ollama"}


def _litellm(body: Body) -> Refused:
    if "seed" in body:
        message = (
            "litellm.UnsupportedParamsError: hosted_vllm does not support parameters: ['seed'], for model=some-model. "
            "To drop these, set `litellm.drop_params=True` or for proxy:\n\n`litellm_settings:\n drop_params: true`\n."
            " \n If you want to use these params dynamically send allowed_openai_params=['seed'] in your request."
            "No fallback model group found for original model_group=some/model. Fallbacks=[{}]. Received Model "
            "Group=some/model\nAvailable Model Group Fallbacks=None"
        )
        return 400, {"error": {"message": message, "type": "None", "param": None, "code": "400"}}
    return None


def _litellm_reply(body: Body, reply: Body) -> Body:
    reply = _stopped(body, reply)
    reply["choices"][0]["message"] |= {"tool_calls": None, "function_call": None, "provider_specific_fields": {}}
    return reply


def _gemini(body: Body) -> Refused:
    """Errors come in a list, and name every field that is unknown."""

    def error(message: str) -> tuple[int, Any]:
        return 400, [{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}]

    if unknown := [name for name in (*OURS, "seed") if name in body]:
        said = "\n".join(
            f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.' for name in unknown
        )
        return error(said)
    if body.get("logprobs"):
        return error("Logprobs is not enabled for models/some/model")
    return None


def _stream_only(body: Body) -> Refused:
    """As some models of DashScope."""
    if not body.get("stream"):
        message = "This model only support stream mode, please enable the stream parameter to access the model. "
        return 400, {"error": {"code": "invalid_parameter_error", "param": None, "message": message,
                               "type": "invalid_request_error"}, "request_id": "x"}  # fmt: skip
    return None


def _listed(*names: str, owner: str, **more: Any) -> Any:
    data = [{"id": name, "object": "model", "created": 1, "owned_by": owner, **more} for name in names]
    return {"object": "list", "data": data}


def manners(make: Callable[..., Any]) -> dict[str, Any]:
    """All kinds of servers by name; `make` is `teacher_server.Manner`."""
    thinking = (
        '{"prompt_tokens": 100, "completion_tokens": 310, "total_tokens": 410, '
        '"completion_tokens_details": {"reasoning_tokens": 300}}'
    )
    made = (
        make("openai", _openai, _stopped, _listed(MODEL, "other", owner="system")),
        make("openai-reasoning", _openai_reasoning, _thinks_unseen, _listed(MODEL, owner="system"), usage=thinking),
        make("vllm", _vllm, _stopped, _listed(MODEL, owner="vllm", max_model_len=32768), _tokens_of),
        make("sglang", _sglang, _sglang_reply, _listed(MODEL, owner="sglang"), _tokens_of),
        make("llama.cpp", _llama_cpp, _stopped, _listed(MODEL, owner="llamacpp"), lambda body: {"tokens": []}),
        make("ollama", _ollama, _without_logprobs, _listed(f"{MODEL}:latest", owner="library")),
        make("ollama-text", _ollama_text, _stopped, _listed(f"{MODEL}:latest", owner="library")),
        make("litellm", _litellm, _litellm_reply, _listed(MODEL, owner="openai")),
        make("gemini", _gemini, _stopped, _listed(f"models/{MODEL}", "models/other", owner="google")),
        make(
            "azure",
            _azure,
            lambda body, reply: _azure_reply(body, _stopped(body, reply)),
            _listed("gpt-4o-2024-11-20", "gpt-5-2025-08-07", owner="", lifecycle_status="generally-available"),
        ),
        make("stream-only", _stream_only, _stopped, _listed(MODEL, owner="system"), streams=True),
    )
    return {each.name: each for each in made}

"""Speech recognised at a server: through the same cache, budget, pace and stop as a teacher."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.budget import CallBudget, current_stage
from hardcut.engine.ledger import Ledger
from hardcut.engine.pool import WorkerPool
from hardcut.engine.reply_cache import ReplyCache
from hardcut.engine.stage import Unit
from hardcut.engine.status import read_status
from hardcut.schemas.errors import BudgetReached, HardcutError, ItemError, MissingDependency, UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Evidence, Video
from hardcut.schemas.resources import Budget, Resources
from hardcut.schemas.settings import EvidenceSettings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.synth.evidence.recognisers import open_recogniser
from hardcut.synth.evidence.speech import Recogniser, Spoken
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.evidence.transcription import PIECE_S, wav_pieces
from hardcut.synth.frame_source import FrameSource

RESOURCES = Resources(max_attempts=3, request_timeout_s=10)
MakeSound = Callable[..., Path]


@pytest.fixture
def own_pool() -> Iterator[WorkerPool]:
    """Not the session's: it is waited for, and waiting binds it to one event loop."""
    with WorkerPool(1, timeout_s=120) as running:
        yield running


@asynccontextmanager
async def opened(url: str, pool: WorkerPool, **more: Any) -> AsyncIterator[Recogniser]:
    hearing = open_recogniser(f"server:whisper-1@{url}", pool, RESOURCES, **more)
    assert hearing is not None
    yield hearing
    await hearing.close()


async def test_a_server_is_asked_with_the_sound_and_tried_again(
    speech_server: Any, pool: WorkerPool, tmp_path: Path, make_sound: MakeSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARDCUT_API_KEY", "secret-key-123")
    speech_server.faults.extend([429, 503])
    async with opened(speech_server.url, pool) as hearing:
        [spoken] = await hearing.hear(make_sound(tmp_path / "a.mkv", 4.0, (1.0, 3.0)), 4.0)
    assert (spoken.start, spoken.end, spoken.text, spoken.language) == (0.5, 4.0, " piece 3", "en")
    assert spoken.confidence == pytest.approx(0.905, abs=0.001)
    assert len(speech_server.forms) == 3
    assert speech_server.forms[0] == {
        "model": "whisper-1", "response_format": "verbose_json", "temperature": "0",
        "seconds": pytest.approx(4, abs=0.01),
    }  # fmt: skip
    assert speech_server.headers[0]["Authorization"] == "Bearer secret-key-123"
    assert "secret" not in json.dumps(hearing.settings)


async def test_a_server_that_fails_or_says_something_else(
    speech_server: Any, pool: WorkerPool, tmp_path: Path, make_sound: MakeSound
) -> None:
    path = make_sound(tmp_path / "a.mkv", 2.0, (0.0, 2.0))
    async with opened(speech_server.url, pool) as hearing:
        await hearing.hear(path, 2.0)
        speech_server.faults.extend([500] * 3)
        with pytest.raises(ItemError) as error:
            await hearing.hear(path, 2.0)
        assert (error.value.reason, error.value.raw) == ("http_500", "busy")
        speech_server.faults.append(413)
        with pytest.raises(ItemError, match="http_413"):
            await hearing.hear(path, 2.0)
        speech_server.reply = '{"text": "without times"}'
        with pytest.raises(ItemError) as error:
            await hearing.hear(path, 2.0)
        assert (error.value.reason, error.value.raw) == ("invalid_reply", speech_server.reply)


SEGMENT = '{"id": 0, "start": %s, "end": %s, "text": "hello", "avg_logprob": %s}'


@pytest.mark.parametrize(
    "numbers",
    [("NaN", "1", "-0.1"), ("0", "1e400", "-0.1"), ("-3", "1", "-0.1"), ("0", "1", "1e9"), ("0", "1" + "0" * 30, "-1"),
     ("0", '"x"', "-0.1"), ("0", "1", "-Infinity")],
)  # fmt: skip
async def test_absurd_numbers_make_one_reply_unreadable(
    speech_server: Any, pool: WorkerPool, tmp_path: Path, make_sound: MakeSound, numbers: tuple[str, str, str]
) -> None:
    speech_server.reply = f'{{"language": "en", "segments": [{SEGMENT % numbers}]}}'
    async with opened(speech_server.url, pool) as hearing:
        with pytest.raises(ItemError, match="invalid_reply"):
            await hearing.hear(make_sound(tmp_path / "a.mkv", 2.0, (0.0, 2.0)), 2.0)
    assert len(speech_server.forms) == 1, "it is paid for, and not asked for again"


@pytest.mark.parametrize(
    ("measures", "why"),
    [
        ({"no_speech_prob": 0.94, "avg_logprob": -1.6}, "nobody speaks there (probability 0.94"),
        ({"avg_logprob": -1.2}, "it is a guess (mean log-probability -1.20"),
        ({"avg_logprob": -0.2, "compression_ratio": 9.2}, "it repeats itself (compression ratio 9.2"),
        ({"text": "so " * 60}, "it repeats itself (compression ratio"),
        ({"no_speech_prob": 0.94, "avg_logprob": -0.3}, None),
        ({"avg_logprob": -0.9, "compression_ratio": 2.3}, None),
        ({}, None),
    ],
)
async def test_what_a_recogniser_makes_up_is_listed(
    speech_server: Any, frames: FrameSource, make_sound: MakeSound, measures: dict[str, Any], why: str | None
) -> None:
    """As for `noise.mp4`: "Thank you for watching!" over noise."""
    path = make_sound(frames.root / "noise.mkv", 3.0, (0.0, 3.0))
    segment = {"start": 0.5, "end": 2.0, "text": "Thank you for watching!", **measures}
    speech_server.reply = json.dumps({"language": "en", "segments": [segment]})
    video = Video(
        video_id="noise", path=path.name, sha256="0" * 64, size_bytes=1, duration_s=3.0, fps=25, width=2, height=2,
        codec="h264", video_streams=1, has_audio=True, complete=True,
    )  # fmt: skip
    async with opened(speech_server.url, frames.pool) as hearing:
        options = EvidenceSettings(ocr="off", shots=False, motion=False, speech="server:m@" + speech_server.url)
        output = await EvidenceStage(frames, options, hearing).run(Unit("noise", records=(video,)))
    told = [item.detail for item in output.dropped if item.reason == "no_speech"]
    spoken = [item for item in output.records if isinstance(item, Evidence) and item.kind == "speech"]
    assert (len(spoken), len(told)) == ((1, 0) if why is None else (0, 1))
    if why:
        assert told[0].startswith(f"0.5-2.0 s: '{segment['text'].strip()[:70]}")
        assert why in told[0]


async def test_replies_are_kept_and_calls_are_booked(
    speech_server: Any, pool: WorkerPool, tmp_path: Path, make_sound: MakeSound
) -> None:
    path = make_sound(tmp_path / "a.mkv", PIECE_S + 20, (0.0, PIECE_S + 20))
    copy = tmp_path / "copy.mkv"
    copy.write_bytes(path.read_bytes())
    token = current_stage.set("evidence")
    heard: list[list[Spoken]] = []
    try:
        for address in (speech_server.url, speech_server.url.replace("127.0.0.1", "localhost") + "/"):
            with ReplyCache(tmp_path / "replies.sqlite") as replies, Ledger(tmp_path / "run") as ledger:
                budget = CallBudget(ledger)
                async with opened(address, pool, replies=lambda kept=replies: kept, budget=budget) as hearing:
                    heard += await asyncio.gather(hearing.hear(path, 320), hearing.hear(copy, 320))
                await budget.close()
    finally:
        current_stage.reset(token)
    assert len(speech_server.forms) == 2, "two pieces, each once: of a copy, by a second run, at another address"
    assert all(each == heard[0] for each in heard) and heard[0][1].start > PIECE_S - 6
    (spend,) = read_status(tmp_path / "run").spend
    assert (spend.stage, spend.teacher, spend.calls) == ("evidence", f"server:whisper-1@{speech_server.url}", 2)


async def test_a_reply_that_was_kept_under_an_address_is_not_paid_again(
    speech_server: Any, own_pool: WorkerPool, tmp_path: Path, make_sound: MakeSound
) -> None:
    """As version 1 of the calls kept it."""
    path = make_sound(tmp_path / "a.mkv", 2.0, (0.0, 2.0))
    [(_, sound)], _ = wav_pieces(str(path))
    kept = digest("transcription", 1, "whisper-1", speech_server.url, sha256(sound).hexdigest())
    with ReplyCache(tmp_path / "replies.sqlite") as replies:
        await replies.put(kept, '{"language": "en", "segments": [{"start": 0, "end": 1, "text": "as before"}]}')
        async with opened(speech_server.url, own_pool, replies=lambda: replies) as hearing:
            [heard] = await hearing.hear(path, 2.0)
    assert (heard.text, speech_server.forms) == ("as before", [])


async def test_a_run_knows_a_server_by_its_model_and_what_it_had_by_the_address(
    frames: FrameSource, own_pool: WorkerPool
) -> None:
    def stage(spec: str) -> EvidenceStage:
        options = EvidenceSettings(ocr="off", shots=False, motion=False, speech=spec)
        return EvidenceStage(frames, options, open_recogniser(spec, own_pool, RESOURCES))

    here, there, other = (
        stage(f"server:{name}@http://{host}/v1") for name, host in (("m", "a:1"), ("m", "b:2"), ("n", "a:1"))
    )
    assert here.settings == there.settings != other.settings
    before = next(each for each in here.earlier if each.version == 9)  # the last one that knew a server by its address
    assert before.settings["speech"] == "server:m@http://a:1/v1"
    assert before.settings["versions"]["speech"] == {"model": "m", "url": "http://a:1/v1"}  # type: ignore[index,call-overload]


async def test_a_budget_of_calls_holds(
    speech_server: Any, own_pool: WorkerPool, tmp_path: Path, make_sound: MakeSound
) -> None:
    paths = [make_sound(tmp_path / f"{n}.mkv", 2.0, (0.0, 1.0 + n / 10)) for n in range(4)]
    token = current_stage.set("evidence")
    try:
        with Ledger(tmp_path / "run") as ledger:
            budget = CallBudget(ledger, Budget(calls=2))
            async with opened(speech_server.url, own_pool, budget=budget) as hearing:
                ends = await asyncio.gather(*(hearing.hear(path, 2.0) for path in paths), return_exceptions=True)
            await budget.close()
    finally:
        current_stage.reset(token)
    assert [type(end) for end in ends if isinstance(end, Exception)] == [BudgetReached] * 2
    assert len(speech_server.forms) == 2


async def test_no_more_than_the_allowed_requests_are_in_flight(
    speech_server: Any, own_pool: WorkerPool, tmp_path: Path, make_sound: MakeSound
) -> None:
    speech_server.latency_s = 0.2
    paths = [make_sound(tmp_path / f"{n}.mkv", 2.0, (0.0, 1.0 + n / 10)) for n in range(6)]
    resources = RESOURCES.model_copy(update={"concurrency": 2})
    hearing = open_recogniser(f"server:w@{speech_server.url}", own_pool, resources)
    assert hearing is not None
    await asyncio.gather(*(hearing.hear(path, 2.0) for path in paths))
    await hearing.close()
    assert speech_server.most_in_flight == 2 and len(speech_server.forms) == 6


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [(401, "no", UsageError), (402, "Insufficient Balance", MissingDependency), (400, "Invalid API key", UsageError),
     (404, "The model `whisper-1` does not exist", UsageError), (429, "insufficient_quota", MissingDependency)],
)  # fmt: skip
async def test_what_concerns_the_account_ends_the_run(
    speech_server: Any, pool: WorkerPool, tmp_path: Path, make_sound: MakeSound, status: int, words: str, kind: Any
) -> None:
    speech_server.always, speech_server.words = status, words
    async with opened(speech_server.url, pool) as hearing:
        with pytest.raises(kind, match=words):
            await hearing.hear(make_sound(tmp_path / "a.mkv", 2.0, (0.0, 2.0)), 2.0)
    assert len(speech_server.forms) == 1


async def test_a_long_wait_ends_the_run(
    speech_server: Any, pool: WorkerPool, tmp_path: Path, make_sound: MakeSound
) -> None:
    speech_server.always, speech_server.retry_after = 503, "7200"
    async with opened(speech_server.url, pool) as hearing:
        with pytest.raises(MissingDependency, match="start again after 20"):
            await hearing.hear(make_sound(tmp_path / "a.mkv", 2.0, (0.0, 2.0)), 2.0)


async def test_nobody_there_ends_the_run(pool: WorkerPool, tmp_path: Path, make_sound: MakeSound) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        async with opened(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", pool) as hearing:
            with pytest.raises(HardcutError, match="start the server") as caught:
                await hearing.hear(make_sound(tmp_path / "a.mkv", 2.0, (0.0, 2.0)), 2.0)
    assert caught.value.status == 4


async def test_the_main_teachers_key_is_not_for_a_speech_server_at_another_host(
    speech_server: Any, pool: WorkerPool, tmp_path: Path, make_sound: MakeSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARDCUT_API_KEY", "secret-key-123")
    monkeypatch.setenv("SPEECH_KEY", "speech-key-456")
    path = make_sound(tmp_path / "a.mkv", 2.0, (0.0, 2.0))
    elsewhere = TeacherSettings(spec="openai:m@http://127.0.0.1:9/v1")
    here = TeacherSettings(spec=f"openai:m@{speech_server.url}")
    local = TeacherSettings(spec="evidence")
    for main, named, sent in (
        (elsewhere, None, None),
        (local, None, None),
        (elsewhere, "SPEECH_KEY", "Bearer speech-key-456"),
        (here, None, "Bearer secret-key-123"),
    ):
        async with opened(speech_server.url, pool, main=main, key_variable=named) as hearing:
            await hearing.hear(path, 2.0)
        assert speech_server.headers[-1].get("Authorization") == sent
    speech_server.always = 401
    async with opened(speech_server.url, pool, main=local) as hearing:
        with pytest.raises(UsageError, match=r"evidence\.speech_key_variable"):
            await hearing.hear(path, 2.0)

"""Speech beside subtitles: a Whisper made here, and a transcription server on loopback."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from hardcut.data.render import render_world
from hardcut.data.truth import truth_record
from hardcut.data.world import make_world
from hardcut.engine.pool import WorkerPool
from hardcut.engine.stage import Unit
from hardcut.media.collection import scan
from hardcut.schemas.errors import ItemError, MissingDependency, UsageError
from hardcut.schemas.records import Evidence, Video
from hardcut.schemas.resources import Resources
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence import whisper
from hardcut.synth.evidence.recognisers import open_recogniser
from hardcut.synth.evidence.speech import Spoken, pieces, recognised_evidence
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.evidence.transcription import wav_pieces
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.probe import ProbeStage
from hardcut.synth.request_inputs import video_inputs

ONLY_SPEECH = {"ocr": "off", "shots": False, "motion": False, "metadata_fields": ()}
RESOURCES = Resources(max_attempts=3, request_timeout_s=10)
MakeSound = Callable[..., Path]


async def test_silence_is_not_sent(speech_server: Any, pool: WorkerPool, tmp_path: Path, make_sound: MakeSound) -> None:
    hearing = open_recogniser(f"server:whisper-1@{speech_server.url}", pool, RESOURCES)
    assert hearing is not None
    assert await hearing.hear(make_sound(tmp_path / "a.mkv", 3.0), 3.0) == []
    assert speech_server.forms == []


def test_long_sound_is_cut_where_it_is_quiet() -> None:
    rate = 1000
    sound = np.ones(70 * rate, dtype=np.float32)
    sound[28 * rate : 29 * rate] = 0  # a pause before the end of the first piece
    found = [(round(start, 1), len(piece) / rate) for start, piece in pieces(iter(np.split(sound, 7)), 30.0, rate)]
    assert 28 <= found[1][0] <= 29
    assert all(length <= 30 for _, length in found)
    assert sum(length for _, length in found) == pytest.approx(70)
    assert list(pieces(iter([np.zeros(5 * rate, dtype=np.float32)]), 30.0, rate)) == []


def test_pieces_of_a_file_are_wav_of_16_khz(tmp_path: Path, make_sound: MakeSound) -> None:
    ([(start, data)], _) = wav_pieces(str(make_sound(tmp_path / "a.mkv", 2.0, (0.0, 2.0))))
    with wave.open(io.BytesIO(data)) as file:
        assert (start, file.getframerate(), file.getnchannels(), file.getnframes()) == (0.0, 16_000, 1, 32_000)


@pytest.mark.parametrize("spec", ["whisper:", "server:model", "server:m@ftp://x", "aloud", "server:m@http://u:pw@host"])
def test_a_wrong_spec_is_told_in_one_line(spec: str, pool: WorkerPool) -> None:
    with pytest.raises(UsageError, match=r"evidence\.speech") as error:
        open_recogniser(spec, pool, RESOURCES)
    assert "\n" not in str(error.value)
    assert "pw" not in str(error.value) or spec != "server:m@http://u:pw@host"


def test_without_transformers_it_says_how_to_get_them(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    hearing = open_recogniser("whisper:tiny", pool, RESOURCES)
    assert hearing is not None

    def missing(package: str, extra: str, otherwise: str = "") -> str:
        raise MissingDependency(f"{package} {extra} {otherwise}")

    monkeypatch.setattr(whisper, "installed", missing)
    with pytest.raises(MissingDependency, match="torch asr"):
        _ = hearing.settings


async def test_subtitles_win_and_both_are_kept(speech_server: Any, pool: WorkerPool, tmp_path: Path) -> None:
    """On a rendered world: subtitles right to 0.5 s; what a server hears at the same time is kept, and not told."""
    world = make_world(31, clips=2, families=("talk",))
    render_world(world, tmp_path / "world")
    collection = scan(tmp_path / "world" / "videos")
    store, media = tmp_path / "store", MediaSettings()
    hearing = open_recogniser(f"server:whisper-1@{speech_server.url}", pool, RESOURCES)
    stage = EvidenceStage(
        FrameSource(collection.root, store, media, pool), EvidenceSettings.model_validate(ONLY_SPEECH), hearing
    )
    for file, clip in zip(collection.files, world.clips, strict=True):
        [video] = (await ProbeStage(pool, collection.root, store, media).run(Unit(file.video_id, payload=file))).records
        assert isinstance(video, Video)
        assert video.has_audio
        found = [
            e for e in (await stage.run(Unit(video.video_id, records=(video,)))).records if isinstance(e, Evidence)
        ]
        truth = truth_record(clip)["speech"]
        subtitles = sorted(
            (e for e in found if e.extractor in ("srt", "vtt")), key=lambda e: e.span.start if e.span else 0
        )
        assert [e.text for e in subtitles] == [sentence["text"] for sentence in truth]
        for item, sentence in zip(subtitles, truth, strict=True):
            assert item.span is not None
            assert abs(item.span.start - sentence["span"]["start"]) <= 0.5
            assert abs(item.span.end - sentence["span"]["end"]) <= 0.5
        assert [e.extractor for e in found if e not in subtitles] == ["transcription"]
        told = video_inputs(video, found)["evidence"]
        assert isinstance(told, list)
        assert len(told) == len(subtitles)


def test_what_is_heard_where_no_subtitle_is_gets_told(make_video) -> None:
    video = make_video(duration_s=20.0)
    cue = Evidence.create(
        video_id=video.video_id, kind="speech", text="Good morning", span={"start": 1, "end": 3}, extractor="srt"
    )
    heard = recognised_evidence(
        video,
        [Spoken(1.2, 2.9, "good mourning"), Spoken(8, 9, "Later"), Spoken(19, 25, "The end"), Spoken(3, 4, " … ")],
        "whisper",
    )
    assert [item.text for item in heard] == ["good mourning", "Later", "The end"]
    assert heard[-1].span is not None and heard[-1].span.end == 20.0
    told = video_inputs(video, [cue, *heard])["evidence"]
    assert isinstance(told, list)
    assert [item["text"] for item in told if isinstance(item, dict)] == ["Good morning", "Later", "The end"]


@pytest.fixture(scope="module")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Whisper of two small layers and random weights, with a tokenizer trained on one sentence."""
    pytest.importorskip("torch", reason='needs pip install "hardcut[asr]"')
    transformers = pytest.importorskip("transformers", reason='needs pip install "hardcut[asr]"')
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    folder = tmp_path_factory.mktemp("whisper")
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    words.train_from_iterator(["hello world this is speech"] * 20, trainer)
    special = [
        "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|translate|>", "<|startoflm|>",
        "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>", *(f"<|{i * 0.02:.2f}|>" for i in range(1501)),
    ]  # fmt: skip
    words.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    end = "<|endoftext|>"
    tokenizer = transformers.WhisperTokenizerFast(
        tokenizer_object=words, unk_token=end, bos_token=end, eos_token=end, pad_token=end
    )
    number = tokenizer.convert_tokens_to_ids
    config = transformers.WhisperConfig(
        vocab_size=len(tokenizer), d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, pad_token_id=number(end),
        bos_token_id=number(end), eos_token_id=number(end), decoder_start_token_id=number("<|startoftranscript|>"),
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.WhisperForConditionalGeneration(config)
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=number(end), pad_token_id=number(end), decoder_start_token_id=number("<|startoftranscript|>"),
        no_timestamps_token_id=number("<|notimestamps|>"), is_multilingual=True,
        lang_to_id={"<|en|>": number("<|en|>")},
        task_to_id={"transcribe": number("<|transcribe|>"), "translate": number("<|translate|>")}, max_length=40,
        begin_suppress_tokens=[], suppress_tokens=[], max_initial_timestamp_index=50, return_timestamps=False,
        prev_sot_token_id=number("<|startofprev|>"), alignment_heads=[[0, 0]],
    )  # fmt: skip
    model.save_pretrained(folder)
    transformers.WhisperProcessor(transformers.WhisperFeatureExtractor(feature_size=80), tokenizer).save_pretrained(
        folder
    )
    return folder


@pytest.mark.torch
async def test_whisper_out_of_a_folder(
    tiny_whisper: Path, pool: WorkerPool, tmp_path: Path, make_sound: MakeSound
) -> None:
    """Random weights say nonsense: what is held is that it is heard in a worker, within the sound, the same twice."""
    hearing = open_recogniser(f"whisper:{tiny_whisper}", pool, RESOURCES)
    assert hearing is not None
    assert isinstance(hearing.settings, dict)
    path = make_sound(tmp_path / "a.mkv", 40.0, (0.0, 26.0), (27.0, 40.0))
    spoken = await hearing.hear(path, 40.0)
    assert spoken
    assert all(0 <= item.start <= item.end <= 40 for item in spoken)
    assert {item.start >= 25 for item in spoken} == {False, True}  # both pieces were heard
    assert {item.language for item in spoken} <= {"en", "english", None}
    assert await hearing.hear(path, 40.0) == spoken
    assert await hearing.hear(make_sound(tmp_path / "b.mkv", 3.0), 3.0) == []


@pytest.mark.torch
async def test_whisper_that_is_not_there(
    tiny_whisper: Path, pool: WorkerPool, tmp_path: Path, make_sound: MakeSound
) -> None:
    hearing = open_recogniser(f"whisper:{tmp_path / 'nothing'}", pool, RESOURCES)
    assert hearing is not None
    with pytest.raises(MissingDependency, match="cannot be loaded"):
        await hearing.hear(make_sound(tmp_path / "a.mkv", 1.0, (0.0, 1.0)), 1.0)


def test_words_are_joined_to_lines() -> None:
    words = [(" Hello", 0.0, 0.4), (" there.", 0.5, 0.9), (" How", 1.0, 1.2), (" are", 1.3, 1.4), (" you", 3.0, 3.2)]
    chunks = [{"text": text, "timestamp": (start, end), "language": "en"} for text, start, end in words]
    found = list(whisper._lines([*chunks, {"text": "?", "timestamp": (3.2, None)}], 10.0, 5.0))
    assert [(item.text, item.start, item.end) for item in found][:3] == [
        (" Hello there.", 10.0, 10.9), (" How are", 11.0, 11.4), (" you", 13.0, 13.2),
    ]  # fmt: skip
    assert found[3].end == 15.0


def test_a_file_without_sound_is_dropped_with_a_word(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "still.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height = 32, 32
        container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(stream.encode())
    with pytest.raises(ItemError) as error:
        wav_pieces(str(tmp_path / "still.mp4"))
    assert error.value.reason == "no_audio"

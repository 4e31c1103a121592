"""Reranking: one decode and one vision encoding a video, the same scores as one by one, nothing lost on the way."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.media.frames import FrameSet
from hardcut.reranker import reranking as module
from hardcut.reranker.reranking import RerankJob, RerankSummary, rerank
from hardcut.schemas.errors import ItemError, StorageError, UsageError
from hardcut.schemas.records import Tokens
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.trec import ranking, read_run
from hardcut.teacher.confidence import TokenScore
from hardcut.teacher.local.generation import Generated, GenerationFailed, ModelOptions, Prompt, Scored, pair_prompt

RUN = {
    "q1": {"a": 5.0, "b": 4.0, "c": 3.0, "d": 2.0},
    "q2": {"a": 1.0, "gone": 3.0, "c": 2.0},
    "q3": {"b": 2.0, "a": 1.0},
}
WANTED = {("q1", "a"): -1.0, ("q1", "b"): 2.0, ("q1", "c"): 0.5, ("q2", "a"): 4.0, ("q2", "c"): -4.0}


class Model:
    """Answers by a table, and counts."""

    def __init__(self, fail: str | None = None, stop_after: int = 10**9, shown: str | None = None) -> None:
        self.calls: list[list[str]] = []
        self._shown = shown
        self._fail, self._stop_after = fail, stop_after

    async def generate(self, prompts: Sequence[Prompt]) -> list[Generated | GenerationFailed]:
        if len(self.calls) >= self._stop_after:
            raise KeyboardInterrupt
        video = prompts[0].frames[0][0].name
        assert all(prompt.pair and prompt.frames == prompts[0].frames for prompt in prompts)
        self.calls.append([f"{prompt.user} {video}" for prompt in prompts])
        found: list[Generated | GenerationFailed] = []
        for prompt in prompts:
            if prompt.user == self._fail:
                found.append(GenerationFailed("refused", "too long"))
                continue
            margin = WANTED[prompt.user, video]
            top = ((b"yes", -9.0), (b"no", -9.0 - margin), (b" Yes", -0.5))
            scores = (TokenScore(b"yes", -1.0, top),)
            found.append(Generated("", "stop", Tokens(prompt=100, cached=90), scores, self._shown))
        return found


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RerankJob]:
    """Videos whose one frame is named like them; `broken` files cannot be read."""

    def fake(path: str, *_: Any) -> Any:
        if Path(path).read_text() == "broken":
            raise ItemError("unreadable", "no video in it")
        frame = type("Frame", (), {"path": Path(Path(path).stem), "time_s": 0.0})
        return type("Ingested", (), {"frames": FrameSet((frame,), 1.0, True)})  # type: ignore[arg-type]

    monkeypatch.setattr(module, "ingest", fake)
    for name in "abcd":
        (tmp_path / f"{name}.mp4").write_text(name)
    videos = {name: tmp_path / f"{name}.mp4" for name in "abcd"}
    queries = {"q1": "q1", "q2": "q2"}
    yield RerankJob(RUN, queries, videos, tmp_path / "out.trec", tmp_path, MediaSettings(), "m", depth=3, frames=4)


def _do(job: RerankJob, model: Model) -> RerankSummary:
    return asyncio.run(rerank(job, model))


def test_the_best_are_reordered_and_the_rest_follow(job: RerankJob) -> None:
    model = Model()
    done = _do(job, model)
    scores = read_run(job.out).scores
    assert ranking(scores["q1"]) == ["b", "c", "a", "d"], "d is below the depth"
    assert scores["q1"]["b"] == pytest.approx(2.0) and scores["q1"]["a"] == pytest.approx(-1.0)
    assert ranking(scores["q2"]) == ["a", "c", "gone"]
    assert scores["q3"] == RUN["q3"], "a query without a text keeps its order"
    assert done.unknown_queries == ("q3",) and set(done.missing_videos) == {"gone"} and not done.failed
    assert done.pairs == 5 and (done.cached_tokens, done.prompt_tokens) == (450, 500)
    assert sorted(model.calls) == [["q1 a", "q2 a"], ["q1 b"], ["q1 c", "q2 c"]], "one call a video"
    assert not list(job.out.parent.glob("*.partial*"))


def test_what_a_video_scores_when_nothing_is_asked_is_taken_away(
    job: RerankJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted prior: `a` gets 5 more and `b` 5 less, whatever is asked."""
    plain = _do(job, Model())
    wanted = read_run(job.out).scores
    shift = {"a": 5.0, "b": -5.0, "c": 0.25}
    biased = {(query, video): score + shift[video] for (query, video), score in WANTED.items()}
    monkeypatch.setattr(sys.modules[__name__], "WANTED", biased | {("", video): each for video, each in shift.items()})
    _do(job, Model())
    assert ranking(read_run(job.out).scores["q1"])[0] == "a"
    model = Model()
    done = _do(replace(job, prior=1.0), model)
    assert read_run(job.out).scores == wanted and done.pairs == plain.pairs
    assert sorted(model.calls) == [["q1 a", "q2 a", " a"], ["q1 b", " b"], ["q1 c", "q2 c", " c"]]
    _do(replace(job, prior=0.5), Model())
    assert read_run(job.out).scores["q1"]["a"] == pytest.approx(-1.0 + 2.5)
    unanswered = _do(replace(job, prior=1.0), Model(fail=""))
    assert set(unanswered.missing_videos) == {"a", "b", "c", "gone"}, "a score with its prior in it is none"
    assert read_run(job.out).scores["q1"].keys() == RUN["q1"].keys() and unanswered.pairs == 0


def test_what_cannot_be_scored_is_named_and_stays_in_order(job: RerankJob) -> None:
    job.videos["b"].write_text("broken")
    done = _do(job, Model(fail="q2"))
    assert done.missing_videos["b"].startswith("unreadable") and set(done.failed) == {"q2 a", "q2 c"}
    scores = read_run(job.out).scores
    assert ranking(scores["q1"]) == ["c", "a", "b", "d"] and ranking(scores["q2"]) == ranking(RUN["q2"])


@pytest.mark.parametrize("read_only", [False, True])
def test_a_disk_that_is_full_or_read_only(job: RerankJob, small_disk: Any, fill: Any, read_only: bool) -> None:
    disk = small_disk()
    fill(disk, read_only=read_only)
    with pytest.raises(StorageError, match="read-only" if read_only else "no space is left"):
        _do(replace(job, out=disk / "out.trec"), Model())
    assert not (disk / "out.trec").exists()


def test_an_interrupted_call_goes_on_and_pays_for_nothing_twice(job: RerankJob, tmp_path: Path) -> None:
    whole = _do(replace(job, out=tmp_path / "whole.trec"), Model())
    with pytest.raises(KeyboardInterrupt):
        _do(job, Model(stop_after=1))
    partial = job.out.with_name("out.trec.partial.jsonl")
    assert not job.out.exists() and len(partial.read_text().splitlines()) == 2
    with partial.open("a") as file:
        file.write('{"video": "b", "sco')  # torn
    (tmp_path / "new.mp4").write_text("new")
    rest = Model()
    again = _do(replace(job, videos={**job.videos, "new": tmp_path / "new.mp4"}), rest)
    assert len(rest.calls) == 2 and again.pairs == whole.pairs
    assert job.out.read_bytes() == (tmp_path / "whole.trec").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        _do(job, Model(stop_after=1))
    other = Model()
    _do(replace(job, model="another"), other)
    assert len(other.calls) == 3, "another model's scores are no scores of this one"


def test_a_run_says_how_its_pairs_were_shown_and_mixes_no_two_ways(job: RerankJob) -> None:
    assert _do(job, Model(shown="aaaa (transformers 5.9.0)")).shown == "aaaa (transformers 5.9.0)"
    told = json.loads(job.out.with_name("out.trec.shown.json").read_text())
    assert told == {"model": "m", "shown": "aaaa (transformers 5.9.0)", "depth": 3, "frames": 4}
    with pytest.raises(KeyboardInterrupt):
        _do(job, Model(stop_after=1, shown="aaaa (transformers 5.9.0)"))
    with pytest.raises(UsageError, match=r"out.trec.partial.jsonl: .*shown as aaaa .* now it is as bbbb"):
        _do(job, Model(shown="bbbb"))
    assert _do(job, Model(shown="aaaa (transformers 5.10.0)")).pairs == 5, "the same, by another version"
    assert _do(job, Model()).shown is None, "of a server nobody knows it"
    assert json.loads(job.out.with_name("out.trec.shown.json").read_text())["shown"] is None


class Shower:
    """Notes what it is shown of each query: the reference's name and the video's; scores all alike."""

    def __init__(self) -> None:
        self.shown: set[tuple[str, str, str]] = set()

    async def generate(self, prompts: Sequence[Prompt]) -> list[Scored]:
        for prompt in prompts:
            reference = prompt.reference[0][0].name if prompt.reference else ""
            self.shown.add((prompt.user, reference, prompt.frames[0][0].name))
        assert len({prompt.reference for prompt in prompts}) == 1
        return [Scored(1.0, Tokens()) for _ in prompts]


def test_a_composed_query_is_asked_with_the_video_that_it_starts_from(job: RerankJob) -> None:
    shower = Shower()
    done = asyncio.run(rerank(replace(job, references={"q1": "d"}, prior=1.0), shower))
    assert done.pairs == 5 and not done.failed
    assert shower.shown == {
        *(("q1", "d", video) for video in "abc"), *(("", "d", video) for video in "abc"),
        *(("q2", "", video) for video in "ac"), *(("", "", video) for video in "ac"),
    }  # fmt: skip
    lost = asyncio.run(rerank(replace(job, references={"q1": "nowhere"}), Shower()))
    assert set(lost.failed) == {f"q1 {video}" for video in "abc"}
    assert all("the video nowhere, which the query starts from" in why for why in lost.failed.values())
    assert lost.pairs == 2 and ranking(read_run(job.out).scores["q1"]) == ranking(RUN["q1"])


def test_an_interrupted_call_does_not_go_on_with_another_reference(job: RerankJob) -> None:
    composed = replace(job, references={"q1": "d"})
    with pytest.raises(KeyboardInterrupt):
        _do(composed, Model(stop_after=1))
    other = Model()
    _do(replace(job, references={"q1": "c"}), other)
    assert sum(map(len, other.calls)) == 5, "all pairs again"


@pytest.mark.torch
def test_twenty_queries_cost_one_decode_one_encoding_and_a_fifth_of_the_time(tmp_path: Path, tiny: str) -> None:
    """The ratio within one run: the same model in the same process, 24 frames as by default."""
    import torch
    from PIL import Image

    from hardcut.teacher.local.transformers_model import TransformersGenerator

    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    frames = []
    for number in range(24):
        picture = Image.fromarray(draw.integers(0, 255, (128, 192, 3), dtype=np.uint8))
        picture.save(tmp_path / f"{number:05}.jpg")
        frames.append((tmp_path / f"{number:05}.jpg", number / 2))
    generator = TransformersGenerator(ModelOptions(tiny, None, 0, None, 0.9, 1, batch=20, videos=1))
    seen = {"encoded": 0, "read": 0}
    visual = generator._model.model.visual
    visual.register_forward_hook(lambda *_: seen.update(encoded=seen["encoded"] + 1))
    texts = ["", *(f"a red square moves left {'and right ' * (n % 4)}{n}" for n in range(1, 20))]
    prompts = [pair_prompt(text, tuple(frames)) for text in texts]

    def margins(found: Sequence[Any]) -> list[float]:
        return [dict(each.scores[0].top)[b"yes"] - dict(each.scores[0].top)[b"no"] for each in found]

    list(generator.generate(prompts[:1]))
    seen["encoded"] = 0
    started = time.process_time()
    together = [result for _, result in sorted(generator.generate(prompts), key=lambda each: each[0])]
    shared = time.process_time() - started
    assert seen["encoded"] == 1
    started = time.process_time()
    apart = [result for prompt in prompts for _, result in generator.generate([prompt])]
    separate = time.process_time() - started
    assert seen["encoded"] == 21
    assert margins(together) == pytest.approx(margins(apart), abs=1e-4)
    assert [each.tokens.cached > 0 for each in together] == [False] + [True] * 19  # type: ignore[union-attr]
    assert separate > 5 * shared, f"{separate:.2f} s one by one, {shared:.2f} s together"
    print(f"\nratio {separate / shared:.1f}")


@pytest.mark.torch
def test_a_model_in_bfloat16_ties_no_two_videos_in_the_first_ten_of_100_queries(tiny: str) -> None:
    """And its scores are those of the hidden states in float32, in a row of their own too."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from hardcut.teacher.local.answer_head import next_logprobs
    from hardcut.teacher.local.pair_prompt import DecodedClip, add_pair_template, pair_inputs
    from hardcut.teacher.local.shared_prefix import SharedPrefix

    model = AutoModelForImageTextToText.from_pretrained(tiny, dtype=torch.bfloat16).eval()
    processor = AutoProcessor.from_pretrained(tiny)
    add_pair_template(processor)
    yes, no = answers = [processor.tokenizer.encode(word, add_special_tokens=False)[0] for word in ("yes", "no")]
    draw = np.random.default_rng(0)
    words = [line.split()[1] for line in ("a red", "a green", "a blue", "a square", "a moves", "a left", "a right")]
    queries = [" ".join(draw.choice(words, 4)) + f" {number}" for number in range(100)]
    pictures = draw.integers(0, 255, (12, 4, 2, 3, 3), dtype=np.uint8).repeat(32, 2).repeat(32, 3)
    clips = [DecodedClip(each, (0.0, 0.5, 1.0, 1.5)) for each in pictures]
    prefix = SharedPrefix(model, processor, 100)
    scores = np.array([prefix.logprobs(prefix.prepare_pairs(clip, queries), answers) for clip in clips])
    margins = scores[..., 0] - scores[..., 1]
    first_ten = -np.sort(-margins, axis=0)[:10]
    assert margins.shape == (12, 100) and (np.diff(first_ten, axis=0) < 0).all()
    inputs = pair_inputs(processor, [(queries[0], clips[0])])
    kept: list[Any] = []
    watch = model.lm_head.register_forward_pre_hook(lambda _, given: kept.append(given[0].float()))
    with torch.inference_mode():
        found = next_logprobs(model, answers, {**inputs, "logits_to_keep": 1})[0, -1]
        rounded = model(**inputs, logits_to_keep=1).logits[0, -1].float()
    watch.remove()
    weights = model.lm_head.weight.detach().float()
    assert float(found[0] - found[1]) == pytest.approx(float(kept[0][0, -1] @ (weights[yes] - weights[no])), abs=1e-5)
    assert found.tolist() == pytest.approx(rounded.log_softmax(-1)[answers].tolist(), abs=0.02)
    model.config.get_text_config().final_logit_softcapping = 30.0
    with torch.inference_mode():
        capped = next_logprobs(model, answers, {**inputs, "logits_to_keep": 1})[0, -1]
    assert capped.tolist() == pytest.approx(rounded.log_softmax(-1)[answers].tolist(), abs=1e-6), "left as they are"


@pytest.mark.torch
def test_from_the_command_a_video_is_decoded_once(tiny: str, hardcut_command: Any, tmp_path: Path) -> None:
    from hardcut.data.bundled import sample_files
    from hardcut.media.probe import probe
    from hardcut.media.store import FrameStore

    with sample_files() as sample:
        first = read_run(sample / "first_stage.trec").scores
        chosen = [query for query in sorted(first) if "signs/order-01-a" in first[query]][:6]
        lines = [f"{query} Q0 {video} 1 {first[query][video]} f\n" for query in chosen for video in
                 ("signs/order-01-a", "motion/ball-01-a") if video in first[query]]  # fmt: skip
        (tmp_path / "first.trec").write_text("".join(lines) + "nobody Q0 signs/order-01-a 1 1.0 f\n")
        config = tmp_path / "s.toml"
        config.write_text("[train.ranking]\nframes = 6\n")
        given = ("--run", tmp_path / "first.trec", "--queries", sample / "queries.tsv", "--videos", sample / "videos")
        out = ("--out", tmp_path / "out.trec", "--cache", tmp_path / "cache", "--config", config, "--json")
        done = hardcut_command("rerank", "--model", tiny, *given, *out)
        assert done.returncode == 1, done.stderr
        told = json.loads(done.stdout)
        assert told["unknown_queries"] == ["nobody"] and not told["missing_videos"] and not told["failed"]
        assert told["pairs"] == len(lines) and told["cached_tokens"] > 0
        sha = probe(str(sample / "videos" / "signs" / "order-01-a.mp4")).sha256
    assert FrameStore(tmp_path / "cache" / "frames").decodes(sha, MediaSettings()) == 1


@pytest.mark.torch
def test_from_a_script_without_a_guard_the_scores_are_those_of_the_command(
    tiny: str, hardcut_command: Any, tmp_path: Path
) -> None:
    """The script is the last block of docs/python.md."""
    from hardcut.data.bundled import sample_files

    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "first").symlink_to(tiny)
    (tmp_path / "videos").mkdir()
    with sample_files() as sample:
        for name, clip in (("again.mkv", "signs/order-01-a.mp4"), ("bird.mkv", "motion/ball-01-a.mp4")):
            shutil.copy(sample / "videos" / clip, tmp_path / "videos" / name)
    page = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
    block = page.split("<!-- needs: train -->\n```python\n")[1].split("```")[0]
    (tmp_path / "script.py").write_text("import hardcut\n" + block)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    (tmp_path / "first.trec").write_text("q Q0 again 1 1.0 f\nq Q0 bird 2 0.5 f\n")
    (tmp_path / "queries.tsv").write_text("q\ta hand moves down\n")
    given = ("--run", tmp_path / "first.trec", "--queries", tmp_path / "queries.tsv", "--videos", tmp_path / "videos")
    ran = hardcut_command("rerank", "--model", tiny, *given, "--out", tmp_path / "o.trec", "--cache", tmp_path / "c")
    assert ran.returncode == 0, ran.stderr
    found = read_run(tmp_path / "o.trec").scores["q"]
    assert scores == pytest.approx([found["again"], found["bird"]], abs=1e-4)

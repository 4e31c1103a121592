#!/usr/bin/env bash
# Makes the environment of `make test-train` and `make demo-train` in the folder given, with torch for CPUs.
# Where something cannot be installed, the reason is left in FOLDER/.skipped and the tests are skipped.
set -euo pipefail
folder=$1
rm -rf "$folder"
"${PYTHON:-python3.11}" -m venv "$folder"
pip=("$folder/bin/python" -m pip install --quiet)
install() {
  "${pip[@]}" --upgrade pip
  "${pip[@]}" torch==2.13.0  # first and alone: a build for CPUs, where there is one
  "${pip[@]}" torch==2.13.0 -e '.[train,qlora,demo]' pytest pytest-asyncio pytest-timeout hypothesis nbclient ipykernel
  local site
  site=$("$folder/bin/python" -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")
  cp tests/tools/torchvision_on_cpu.py "$site/"
  echo "import torchvision_on_cpu" > "$site/torchvision_on_cpu.pth"
  "$folder/bin/python" -c "import torch, torchvision, transformers, peft, accelerate, sentence_transformers, bitsandbytes"
}
if ! (set -e; install) 2> "$folder/install.log"; then
  echo "SKIPPED make test-train: $(tail -n 1 "$folder/install.log") (all of it: $folder/install.log)" > "$folder/.skipped"
fi

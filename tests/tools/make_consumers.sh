#!/usr/bin/env bash
# Makes the environments of `make test-consumers` in the folder given, one for each library that reads our files, on top
# of the environment of training (torch for CPUs) that is given second. What cannot be installed is told and passed over.
set -euo pipefail
folder=$1 train=$2
python=${PYTHON:-$(tests/tools/find_python.sh 3.11)}
site=$("$train/bin/python" -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")
mkdir -p "$folder"
make() {  # NAME, BASE (bare or on top of training), what pip installs
  local name=$1 base=$2; shift 2
  "$python" -m venv "$folder/$name"
  if [ "$base" = train ]; then
    echo "import site; site.addsitedir('$site')" > \
      "$("$folder/$name/bin/python" -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")/train.pth"
  fi
  "$folder/$name/bin/python" -m pip install --quiet "$@" || { echo "SKIPPED $name"; rm -rf "${folder:?}/$name"; }
}
make datasets-3 bare 'datasets==3.2.0' 'huggingface_hub==0.27.0'
make mteb train mteb
make trl train --no-deps trl
make ms-swift train ms-swift modelscope
make flag-embedding train --no-deps FlagEmbedding ir-datasets
if [ -d "$folder/flag-embedding" ]; then "$folder/flag-embedding/bin/python" -m pip install --quiet 'transformers<5' 'datasets<4'; fi
make llama-factory train --no-deps llamafactory
if [ -d "$folder/llama-factory" ]; then
  "$folder/llama-factory/bin/python" -m pip install --quiet fire omegaconf hydra-core librosa tyro sse-starlette matplotlib trl
  # It imports torchaudio, of which there is none for this torch, and no audio is read here.
  mkdir -p "$("$folder/llama-factory/bin/python" -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")/torchaudio"
fi

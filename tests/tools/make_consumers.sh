#!/usr/bin/env bash
# Makes the environments of `make test-consumers` in the folder given, one for each library that reads our files, on top
# of the environment of training (torch for CPUs) that is given second. What cannot be installed is told and passed over.
# uv, given third, installs: all share what it has unpacked once.
set -euo pipefail
folder=$1 train=$2 uv=$3
python=${PYTHON:-$(tests/tools/find_python.sh 3.11)}
site=$("$train/bin/python" -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")
mkdir -p "$folder"
# What training has is there already: as a requirement of others it is left out.
"$uv" pip list --quiet --python "$train/bin/python" --format freeze |
  sed -n 's/^\([A-Za-z0-9._-]*\)[ =].*/\1 ; sys_platform == "none"/p' > "$folder/of_training.txt"
install() {  # NAME, BASE (bare or on top of training), what uv installs
  local name=$1 base=$2; shift 2
  if [ "$base" = train ] && [ "$1" != --no-deps ]; then set -- --override "$folder/of_training.txt" "$@"; fi
  "$uv" pip install --quiet --python "$folder/$name/bin/python" "$@"
}
make() {  # as install
  local name=$1 base=$2; shift 2
  "$uv" venv --quiet --clear --python "$python" "$folder/$name"
  if [ "$base" = train ]; then
    echo "import site; site.addsitedir('$site')" > \
      "$("$folder/$name/bin/python" -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")/train.pth"
  fi
  install "$name" "$base" "$@" || { echo "SKIPPED $name"; rm -rf "${folder:?}/$name"; }
}
torchaudio() {  # NAME: LLaMA-Factory imports it, there is none for this torch, and no audio is read here
  mkdir -p "$("$folder/$1/bin/python" -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")/torchaudio"
}
also() {  # as install, where that environment could be made
  if [ -d "$folder/$1" ]; then install "$@"; fi
}
# Each in its newest version, and beside it in a pinned older one: the oldest that goes with this torch and transformers.
make datasets-old bare 'datasets==3.2.0' 'huggingface_hub==0.27.0'
make light-old bare 'pandas==2.2.3' 'pyarrow==18.1.0' 'polars==1.20.0' 'duckdb==1.1.3' 'numpy<2.3' 'ir_measures==0.4.1'
make sentence-transformers-old train --no-deps 'sentence-transformers==6.0.0'
make mteb train mteb
make mteb-old train 'mteb==2.1.0'
make trl train --no-deps trl
make trl-old train --no-deps 'trl==1.0.0'
make rankvideo train --no-deps trl qwen-vl-utils decord
make ms-swift train ms-swift modelscope
make ms-swift-old train 'ms-swift==4.1.0' modelscope
make flag-embedding train --no-deps FlagEmbedding ir-datasets
make flag-embedding-old train --no-deps 'FlagEmbedding==1.3.5' ir-datasets
for name in flag-embedding flag-embedding-old; do also $name bare 'transformers<5' 'datasets<4'; done
make llama-factory train --no-deps llamafactory
make llama-factory-old train --no-deps 'llamafactory==0.9.4'
for name in llama-factory llama-factory-old; do
  also $name train fire omegaconf hydra-core librosa tyro sse-starlette matplotlib trl
  if [ -d "$folder/$name" ]; then torchaudio $name; fi
done

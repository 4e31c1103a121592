#!/usr/bin/env bash
# Makes an environment for each tool that saturation.py compares with: FOLDER/NAME (default .venv-peers at the top). Where
# one cannot be installed, the reason is left in FOLDER/NAME.skipped, and its figure is missing.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../../.venv-peers}
mkdir -p "$folder"
for file in "$here"/requirements-*.txt; do
  name=$(basename "$file" .txt)
  name=${name#requirements-}
  rm -rf "${folder:?}/$name" "$folder/$name.skipped"
  if ! { "${PYTHON:-python3.11}" -m venv "$folder/$name" &&
    "$folder/$name/bin/python" -m pip install --quiet --prefer-binary -r "$file"; } 2> "$folder/$name.log"; then
    rm -rf "${folder:?}/$name"
    tail -n 1 "$folder/$name.log" | tee "$folder/$name.skipped"
  fi
done

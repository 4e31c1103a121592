#!/usr/bin/env bash
# try_wheel.sh FOLDER WHEEL UV: the demo from a wheel, with the oldest and the newest Python here, with the lowest and the
# newest direct dependencies that pyproject.toml allows; before that, what a bare `pip install` says.
set -euo pipefail
away=$(realpath "$1") wheel=$(realpath "$2") uv=$(realpath -s "$3") tools=$(realpath "$(dirname "$0")")
export UV_CACHE_DIR=$away/uv UV_PYTHON_DOWNLOADS=never
cd "$away"
pythons=()
for version in 3.11 3.12 3.13; do
  if python=$("$tools/find_python.sh" $version 2> /dev/null); then pythons+=("$python"); fi
done

demo() { # environment
  echo "-- demo: $("$1/bin/python" --version), $2"
  "$1/bin/hardcut" demo --out "$1/demo" --cache "$1/cache" --json > "$1/demo.json"
  "$1/bin/python" -P "$tools/check_demo.py" "$1/demo.json"
  rm -rf "$1"
}

for python in "${pythons[0]}" "${pythons[-1]}"; do
  env=$away/lowest
  "$uv" venv --quiet --python "$python" "$env"
  "$uv" pip install --quiet --python "$env/bin/python" --only-binary :all: --resolution lowest-direct "$wheel[default]"
  demo "$env" "lowest direct dependencies"

  env=$away/newest  # as anybody would, with pip
  "$python" -m venv "$env"
  "$env/bin/python" -m pip install --quiet --upgrade pip
  "$env/bin/python" -m pip install --quiet "$wheel"
  status=0
  "$env/bin/hardcut" demo --out "$env/demo" --cache "$env/cache" > "$env/told" 2>&1 || status=$?
  cat "$env/told"
  [ $status = 4 ] && [ "$(wc -l < "$env/told")" = 1 ] && grep -q 'pip install "hardcut\[default\]"' "$env/told"
  "$env/bin/python" -m pip install --quiet "$wheel[default]"
  demo "$env" "newest dependencies"
  if [ "${pythons[0]}" = "${pythons[-1]}" ]; then break; fi
done

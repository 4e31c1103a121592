#!/bin/sh
# find_python.sh [VERSION...]: prints the first Python of these versions that works here; by default of those that
# Hardcut is tried with, newest first. Looks along PATH and where pyenv keeps its own: a shim of pyenv's on PATH may
# name a Python that is not switched on. A Python without venv and pip can make no environment and does not count.
set -u
[ $# -gt 0 ] || set -- 3.13 3.12 3.11

works() { # path, version
  "$1" -c "import sys, venv, ensurepip; sys.exit('.'.join(map(str, sys.version_info[:2])) != '$2')" > /dev/null 2>&1
}

for version in "$@"; do
  IFS=:
  for folder in $PATH; do
    for name in "python$version" python3; do
      if [ -x "$folder/$name" ] && works "$folder/$name" "$version"; then
        echo "$folder/$name"
        exit 0
      fi
    done
  done
  unset IFS
  for path in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/"python$version"; do
    if [ -x "$path" ] && works "$path" "$version"; then
      echo "$path"
      exit 0
    fi
  done
done
echo "no Python $(echo "$*" | sed 's/ / or /g') with venv here: install one (such as the packages python$1 and python$1-venv), or name it: make PYTHON=/path/to/python" >&2
exit 1

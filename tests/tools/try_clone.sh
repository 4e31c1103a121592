#!/usr/bin/env bash
# try_clone.sh FOLDER: `make demo` in a clean clone, on a machine whose only Python is the newest one here.
set -euo pipefail
away=$(realpath "$1") root=$(realpath "$(dirname "$0")/../..")
python=$("$root/tests/tools/find_python.sh")
mkdir -p "$away/only" "$away/home"
for tool in /usr/bin/* /bin/*; do
  case $(basename "$tool") in
    python* | pip* | pydoc*) ;;
    *) ln -sf "$tool" "$away/only/" ;;
  esac
done
ln -s "$python" "$away/only/$(basename "$python")"
git clone --quiet "$root" "$away/clone"
cd "$away/clone"
env -u PYENV_ROOT -u PYTHON PATH="$away/only" HOME="$away/home" make demo
[ "$(.venv/bin/python -c 'import sys; print(sys.version_info[:2])')" = "$("$python" -c 'import sys; print(sys.version_info[:2])')" ]
[ -f runs/demo/dataset/README.md ]
rm -rf "$away/clone"

#!/usr/bin/env bash
# run_tests.sh TARGET: `make TARGET`. On a machine that stands still for a moment a test may run out of its time: at most
# three that failed are run once more, by themselves, and it is said which. More, or one that fails again, is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=.pytest_cache/$1
export PYTEST_ADDOPTS="-o cache_dir=$cache"
rm -rf "$cache"
if make "$1"; then exit 0; fi
if [ ! -s "$cache/v/cache/lastfailed" ]; then exit 1; fi  # it was no test that failed
failed=$("${PYTHON:-python3}" -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n")' "$cache/v/cache/lastfailed")
if [ "$(wc -l <<< "$failed")" -gt 3 ]; then exit 1; fi
printf '== failed, and run once more by themselves:\n%s\n' "$failed"
PYTEST_ADDOPTS+=" --last-failed --last-failed-no-failures none"
make "$1"

"""`hardcut publish` and `hardcut pull`: datasets to the Hub and back."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from hardcut.cli.gate import gate_status, print_gate
from hardcut.publish.dataset import Dataset
from hardcut.publish.gate import check, gate_settings, refuse_damaged, stopped
from hardcut.publish.hub import Choices, Upload
from hardcut.publish.hub import publish as upload
from hardcut.publish.hub import publish_model as upload_model
from hardcut.publish.hub import pull as download


def publish(folder: Path, repo_id: str, choices: Choices, *, as_json: bool) -> int:
    """Checks the dataset, uploads what changed and says what that was. A dataset that fails a check is not uploaded.

    What its card says is allowed stops nothing. Raises DamagedDataset where files were altered.
    """
    dataset = Dataset(folder)
    results = check(dataset, gate_settings(dataset))
    refuse_damaged(results)
    wrong = stopped(results)
    if wrong and as_json:
        print(json.dumps({"url": None, "checks": [result.as_json() for result in wrong]}, indent=2))
    elif wrong:
        print_gate(wrong)
        print("not published: mend it, or `hardcut export` again with what may stay, so that the card says so")
    if wrong:
        return gate_status(results)
    done = upload(folder, repo_id, choices)
    _say(done, choices, as_json=as_json)
    return 0


def publish_model(folder: Path, repo_id: str, choices: Choices, *, as_json: bool) -> int:
    """Uploads what changed of a trained model and says what that was."""
    done = upload_model(folder, repo_id, choices)
    _say(done, choices, as_json=as_json)
    return 0


def pull(repo_id: str, out: Path, revision: str | None, *, as_json: bool) -> int:
    """Fetches a dataset and verifies every digest."""
    pulled = download(repo_id, out, revision)
    dataset = pulled.dataset
    rows = {config: dataset.count(config) for config in dataset.configs}
    if as_json:
        told = {"repo_id": repo_id, "dataset": str(out), "rows": rows, "is_card_edited": pulled.is_card_edited}
        print(json.dumps(told, indent=2))
    else:
        print(f"pulled {repo_id} to {out}: {sum(rows.values()):,} rows, every file as it was published")
        if pulled.is_card_edited:
            print("          but the card, which people edited on the Hub")
    return 0


def _say(done: Upload, choices: Choices, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(done), indent=2))
        return
    if choices.dry_run:
        for name in done.sent:
            print(f"would {'replace' if name in done.replaced else 'add'} {name}")
        for name in done.deleted:
            print(f"would remove {name}")
        print(f"nothing was sent to {done.url}; {done.unchanged} files are there as they are here")
        return
    tagged = f", tagged {done.tag}" if done.tag else ""
    if done.sent or done.deleted:
        print(f"published {done.url}{tagged}: {len(done.sent)} files sent, {len(done.deleted)} removed,")
        print(f"          {done.unchanged} were there already; it is {'private' if done.private else 'public'}")
    else:
        print(f"unchanged {done.url}: nothing was sent{tagged}")
    if choices.public and done.private:
        print("          it was private before and stays so: make it public in its settings on the Hub")

"""Datasets and models to the Hugging Face Hub, and datasets back, through its own client.

The token is the client's business: it reads `HF_TOKEN` or the login of `hf auth login`; nothing here sees or writes it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import re
import shutil
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hardcut.engine.files import disk_error, sha256_of
from hardcut.publish._folder import MARKER, replaced_folder
from hardcut.publish.dataset import Dataset, digests, verify
from hardcut.schemas.errors import HardcutError, MissingDependency, UsageError

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

_OURS = re.compile(r"(data|plots)/.*|README\.md|hardcut\.json|left_out\.jsonl")
"""Files of a repository that belong to the dataset; others, such as a licence text, are left alone."""
_MODEL = frozenset({".json", ".jinja", ".jsonl", ".md", ".model", ".safetensors", ".txt"})
_OURS_OF_MODEL = re.compile(r".*\.(safetensors|jinja|json|jsonl)|README\.md")
_VERSION = re.compile(r"v(\d+)")


class HubError(HardcutError):
    """The Hub cannot be reached, or refuses. What was sent is kept there: the same command again goes on."""

    status = 4


@dataclass(frozen=True, slots=True)
class Upload:
    """What an upload did. `sent` and `deleted` are paths; `tag` is `None` where what is there has one already and none
    was asked; `private` is what the repository is now, which only its creation decides."""

    url: str
    private: bool
    sent: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: int
    tag: str | None


def publish(folder: Path, repo_id: str, *, public: bool = False, tag: str | None = None) -> Upload:
    """Makes the repository (private, unless `public`) hold exactly the dataset of `folder`, and tags the version.

    Only what differs from what is there is sent: large files first, each kept by the Hub as soon as it is through, so
    that an upload that was interrupted goes on where it stopped; then one commit, so that readers see the old version
    or the new one. `tag` is by default `v1`, `v2`, ... for every version that has no tag yet, also one whose upload
    was interrupted after its commit.

    Raises UsageError where the folder is not as its marker says, where `tag` is another version's, or where the Hub
    finds fault with the card; HubError where the Hub cannot be reached or refuses.
    """
    wrong = verify(folder)
    if wrong:
        raise UsageError(
            f"{folder}: {wrong[0]}{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''}: export it again"
        )
    local = {**{name: told["sha256"] for name, told in digests(folder).items()}, MARKER: sha256_of(folder / MARKER)}
    return _upload(folder, repo_id, "dataset", local, _OURS, public=public, tag=tag)


def publish_model(folder: Path, repo_id: str, *, public: bool = False, tag: str | None = None) -> Upload:
    """The same for a model that `hardcut train` wrote: weights, processor, chat template and card, no checkpoints.

    Raises UsageError where the folder holds no finished training, HubError where the Hub cannot be reached or refuses.
    """
    if not (folder / "train.json").is_file() or not (folder / "modules.json").is_file():
        raise UsageError(f"{folder}: no finished training in it: name a folder that `hardcut train` wrote")
    base = _base_model(folder)
    if base is not None and Path(base).is_dir():
        raise UsageError(
            f"{folder}: an adapter of {base}, which nobody else has: the same training with --merge writes all weights"
        )
    local = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] != "checkpoints" and not any(part.startswith(".") for part in name.parts):
            if path.suffix not in _MODEL:
                raise UsageError(f"{path}: no file of a model of ours, and other files are not sent: move it elsewhere")
            local[name.as_posix()] = sha256_of(path)
    return _upload(folder, repo_id, "model", local, _OURS_OF_MODEL, public=public, tag=tag)


def _base_model(folder: Path) -> str | None:
    """What an adapter is for; None where all weights are there."""
    try:
        return str(json.loads((folder / "adapter_config.json").read_text("utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _upload(
    folder: Path,
    repo_id: str,
    kind: Literal["dataset", "model"],
    local: Mapping[str, str],
    ours: re.Pattern[str],
    *,
    public: bool,
    tag: str | None,
) -> Upload:
    """Makes a repository hold the files of `local`, digests by path; what of it is `ours` and not among them goes."""
    with _reported_errors(repo_id):
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        api = _api()
        url = str(api.create_repo(repo_id, repo_type=kind, private=not public, exist_ok=True))
        info = api.repo_info(repo_id, repo_type=kind)
        head, remote, tags = info.sha, _remote(api, repo_id, kind, info.sha), _tags(api, repo_id, kind)
        changed = [name for name in sorted(local) if not _same(folder / name, local[name], remote.get(name))]
        stale = sorted(name for name in remote if ours.fullmatch(name) and name not in local)
        if tag in tags and (changed or stale or tags[tag] != head):
            raise UsageError(f"{repo_id}: the tag {tag} is another version's: name another one; nothing was sent")
        if changed or stale:
            additions = [CommitOperationAdd(name, str(folder / name)) for name in changed]
            for addition in additions:
                api.preupload_lfs_files(repo_id, [addition], repo_type=kind, free_memory=False)
            operations: list[CommitOperationAdd | CommitOperationDelete] = [*additions]
            operations += [CommitOperationDelete(name) for name in stale]
            head = api.create_commit(
                repo_id, operations, repo_type=kind, parent_commit=head,
                commit_message=f"Hardcut {kind}, {len(changed)} files changed",
            ).oid  # fmt: skip
        if tag is None and head not in tags.values():
            tag = _next_version(tags)
        if tag is not None:
            api.create_tag(repo_id, tag=tag, revision=head, repo_type=kind, exist_ok=True)
    return Upload(url, bool(info.private), tuple(changed), tuple(stale), len(local) - len(changed), tag)


def pull(repo_id: str, out: Path, revision: str | None = None) -> Dataset:
    """Fetches a dataset into the folder `out`, which is swapped in whole once every digest is verified.

    Raises UsageError where the repository holds no dataset of Hardcut's or its files are not what its marker says,
    HubError where the Hub cannot be reached or refuses.
    """
    with replaced_folder(out) as folder:
        with _reported_errors(repo_id), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Not enough free disk space")  # told as an error when it comes to that
            # Through the hub's cache, so that a download that was interrupted goes on where it stopped.
            found = _api().snapshot_download(
                repo_id, repo_type="dataset", revision=revision,
                allow_patterns=["data/*", "plots/*", "README.md", MARKER, "left_out.jsonl"],
            )  # fmt: skip
        if Path(found).is_dir():
            shutil.copytree(found, folder, dirs_exist_ok=True)
        if not (folder / MARKER).is_file():
            raise UsageError(f"{repo_id}: no {MARKER} in it, so it is no dataset of Hardcut's; nothing was kept")
        wrong = verify(folder)
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            raise UsageError(f"{repo_id}: {wrong[0]}{more}: it was changed after it was published; nothing was kept")
    return Dataset(out)


def _api() -> HfApi:
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    logging.getLogger("huggingface_hub").setLevel(
        logging.ERROR
    )  # what it warns of, such as a cache that cannot be written, ends in an error where it matters
    if not sys.stderr.isatty():
        disable_progress_bars()
    return HfApi(library_name="hardcut")


def _remote(api: HfApi, repo_id: str, kind: str, revision: str | None) -> dict[str, Any]:
    """The files of the repository by path."""
    from huggingface_hub.hf_api import RepoFile

    tree = api.list_repo_tree(repo_id, repo_type=kind, revision=revision, recursive=True)
    return {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}


def _tags(api: HfApi, repo_id: str, kind: str) -> dict[str, str]:
    """The commit of each tag."""
    return {ref.name: ref.target_commit for ref in api.list_repo_refs(repo_id, repo_type=kind).tags}


def _same(path: Path, sha256: str, there: Any) -> bool:
    """Whether a remote file has this content: large files are known by their sha256, small ones by git's own digest."""
    if there is None or there.size != path.stat().st_size:
        return False
    if there.lfs is not None:
        return bool(there.lfs.sha256 == sha256)
    content = path.read_bytes()
    return bool(there.blob_id == hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest())


def _next_version(tags: Iterable[str]) -> str:
    return f"v{max((int(match[1]) for tag in tags if (match := _VERSION.fullmatch(tag))), default=0) + 1}"


@contextmanager
def _reported_errors(repo_id: str) -> Iterator[None]:
    """Errors of the client as ours, with what to do. Their texts carry addresses and no token."""
    try:
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalTokenNotFoundError,
            OfflineModeIsEnabled,
        )
    except ImportError as error:
        raise MissingDependency("huggingface_hub is too old: pip install -U huggingface_hub") from error
    try:
        yield
    except HFValidationError as error:
        raise UsageError(f"{repo_id!r} is no name on the Hub: give ORG/NAME ({error})") from error
    except (LocalTokenNotFoundError, OfflineModeIsEnabled) as error:
        raise HubError(f"{repo_id}: {error}") from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403, 404):
            advice = "set HF_TOKEN to a token that may write there, or `hf auth login`, and look at the name"
            raise HubError(f"{repo_id}: the Hub answers {status}: {advice}") from error
        raise HubError(f"{repo_id}: the Hub answers {status}: start the same command again to go on") from error
    except ValueError as error:
        raise UsageError(f"{repo_id}: the card cannot be sent ({' '.join(str(error).split())})") from error
    except _network_errors() as error:
        if (full := disk_error(error)) is not None:  # of the Hub's cache, or of the folder that is fetched into
            raise full from error
        raise HubError(
            f"{repo_id}: the Hub cannot be reached ({type(error).__name__}): start again to go on"
        ) from error


def _network_errors() -> tuple[type[Exception], ...]:
    """What the client's transport raises; which one it is depends on the client's version."""
    found: list[type[Exception]] = [OSError]
    for name in ("httpx2", "httpx"):
        try:
            found.append(importlib.import_module(name).HTTPError)
        except ImportError:
            continue
    return tuple(found)

"""Datasets and models to the Hugging Face Hub, and datasets back, through its own client."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardcut.engine.files import sha256_of
from hardcut.publish._folder import MARKER, replaced_folder
from hardcut.publish.card_merge import CardConflict, merge_cards
from hardcut.publish.changes import version_of
from hardcut.publish.dataset import FILES, Dataset, digests, verify
from hardcut.publish.export_dataset import write_marker
from hardcut.publish.hub_client import open_api, reported_errors
from hardcut.publish.hub_files import (
    CARD,
    DATASET,
    DATASET_FILES,
    GENERATED,
    LIST,
    MODEL,
    SHARD,
    Kind,
    There,
    fetch,
    put_there,
    refuse_others_work,
    written_last,
)
from hardcut.schemas.errors import UsageError

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

_MODEL = frozenset({".json", ".jinja", ".jsonl", ".md", ".model", ".safetensors", ".txt"})
_VERSION = re.compile(r"v(\d+)")
_SMALL = 10_000_000
"""Bytes of a file that is read once: so what is sent is what was looked at. The Hub keeps all larger ones by digest."""
_OF_THE_HUB = frozenset({".gitattributes"})
"""Files that the Hub puts into every new repository."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What an upload did, or would do. `sent`, `replaced` (those of them that were there already) and `deleted` are
    paths. `tag` is `None` where what is there has one already and none was asked. `private` is what the repository is
    now, which only its creation decides."""

    url: str
    private: bool
    sent: tuple[str, ...]
    replaced: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: int
    tag: str | None


@dataclass(frozen=True, slots=True)
class Choices:
    """How something is published. `public` decides at creation alone. `adopt` takes over a repository that Hardcut did
    not make, and replaces a card that cannot be merged. With `dry_run` nothing is sent."""

    public: bool = False
    tag: str | None = None
    adopt: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class _File:
    """A file that the repository is to hold."""

    source: Path | bytes
    sha256: str

    @property
    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    def read(self) -> bytes:
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    def operation(self, name: str) -> CommitOperationAdd:
        """What is sent. Raises UsageError where the file is not the one any more that was looked at."""
        from huggingface_hub import CommitOperationAdd

        whole = isinstance(self.source, bytes) or self.size <= _SMALL
        addition = CommitOperationAdd(name, self.read() if whole else str(self.source))
        if addition.upload_info.sha256.hex() != self.sha256:
            raise UsageError(f"{name}: it was changed while it was sent: nothing is published; start again")
        return addition


def publish(folder: Path, repo_id: str, choices: Choices = Choices()) -> Upload:
    """Makes the repository hold exactly the dataset of `folder`, and tags the version.

    Only what differs from what is there is sent: large files first, each kept by the Hub as soon as it is through, so
    that an upload that was interrupted goes on where it stopped; then one commit, so that readers see the old version
    or the new one. The tag is by default the version that the dataset's card and marker have, `v1.2.0`, also of one
    whose upload was interrupted after its commit; tags `v1`, `v2` of earlier versions of Hardcut stay. What people
    edited in the card on the Hub is kept there.

    Raises UsageError where the folder is not as its marker says, where Hardcut did not make the repository, where `tag`
    is another version's, or where the Hub finds fault with the card; CardConflict where people edited what this version
    changes too; HubError where the Hub cannot be reached or refuses.
    """
    wrong = verify(folder)
    if wrong:
        raise UsageError(
            f"{folder}: {wrong[0]}{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''}: export it again"
        )
    local = {**{name: told["sha256"] for name, told in digests(folder).items()}, MARKER: sha256_of(folder / MARKER)}
    return _upload(folder, repo_id, DATASET, local, choices, f"v{version_of(Dataset(folder))}")


def publish_model(folder: Path, repo_id: str, choices: Choices = Choices()) -> Upload:
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
    return _upload(folder, repo_id, MODEL, local, choices)


def _base_model(folder: Path) -> str | None:
    """What an adapter is for; None where all weights are there."""
    try:
        return str(json.loads((folder / "adapter_config.json").read_text("utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _upload(
    folder: Path, repo_id: str, kind: Kind, local: Mapping[str, str], choices: Choices, version: str | None = None
) -> Upload:
    """Makes a repository hold the files of `local`, digests by path; what of it is ours and not among them goes. The
    tag is by default `version`, or without one the next of `v1`, `v2`, ..."""
    with reported_errors(repo_id):
        from huggingface_hub import CommitOperationDelete

        api = open_api()
        there = _look(api, repo_id, kind, choices)
        _refuse_foreign(repo_id, kind, there, choices)
        files = {name: _File(folder / name, digest) for name, digest in local.items()}
        if CARD in files:
            files |= {GENERATED: files[CARD], CARD: _card(api, repo_id, kind, there, files[CARD], choices)}
        if kind.mark != MARKER:
            listed = {name: files[name].sha256 for name in sorted(files)}
            files[LIST] = _made(json.dumps(listed, indent=2, ensure_ascii=False) + "\n")
        changed = [name for name in sorted(files) if not _same(files[name], there.files.get(name))]
        written = written_last(api, repo_id, kind, there)
        stale = sorted(put_there(repo_id, kind, there, files, written, adopt=choices.adopt) - files.keys())
        if not choices.adopt:
            refuse_others_work(api, repo_id, kind, there, [*changed, *stale], written)
        head, tag = there.head, choices.tag
        if tag is not None and tag in there.tags and (changed or stale or there.tags[tag] != head):
            raise UsageError(f"{repo_id}: the tag {tag} is another version's: name another one; nothing was sent")
        if tag is None and (changed or stale or head not in there.tags.values()):
            tag = _default_tag(repo_id, version, there, is_new=bool(changed or stale))
        if (changed or stale) and not choices.dry_run:
            additions = [files[name].operation(name) for name in changed]
            for addition in additions:
                api.preupload_lfs_files(repo_id, [addition], repo_type=kind.name, free_memory=False)
            operations: list[CommitOperationAdd | CommitOperationDelete] = [*additions]
            operations += [CommitOperationDelete(name) for name in stale]
            head = api.create_commit(
                repo_id, operations, repo_type=kind.name, parent_commit=head,
                commit_message=f"Hardcut {kind.name}, {len(changed)} files changed",
            ).oid  # fmt: skip
        if tag is not None and not choices.dry_run:
            api.create_tag(repo_id, tag=tag, revision=head, repo_type=kind.name, exist_ok=True)
    replaced = tuple(name for name in changed if name in there.files)
    return Upload(there.url, there.private, tuple(changed), replaced, tuple(stale), len(files) - len(changed), tag)


def _look(api: HfApi, repo_id: str, kind: Kind, choices: Choices) -> There:
    """The repository, which is made where it is not there. A dry run makes none and finds it empty."""
    from huggingface_hub.errors import RepositoryNotFoundError

    if choices.dry_run:
        try:
            info = api.repo_info(repo_id, repo_type=kind.name)
        except RepositoryNotFoundError:
            return There(repo_id, not choices.public, None, {}, {})
        url = repo_id
    else:
        url = str(api.create_repo(repo_id, repo_type=kind.name, private=not choices.public, exist_ok=True))
        info = api.repo_info(repo_id, repo_type=kind.name)
    files, tags = _remote(api, repo_id, kind.name, info.sha), _tags(api, repo_id, kind.name)
    return There(url, bool(info.private), info.sha, files, tags)


def _refuse_foreign(repo_id: str, kind: Kind, there: There, choices: Choices) -> None:
    """Raises UsageError for a repository with files in it that Hardcut did not make."""
    others = sorted(there.files.keys() - _OF_THE_HUB)
    if not others or kind.mark in there.files or choices.adopt:
        return
    raise UsageError(
        f"{repo_id}: Hardcut did not make this repository (no {kind.mark} in it, but {len(others)} files such as "
        f"{others[0]}): name another one; --adopt takes it over, and --adopt --dry-run shows what would go"
    )


def _card(api: HfApi, repo_id: str, kind: Kind, there: There, ours: _File, choices: Choices) -> _File:
    """The new card, with what people edited in the one that is there.

    Raises CardConflict where both changed the same lines, and UsageError where an earlier version of Hardcut kept no
    copy to tell the edits by.
    """
    card, generated = there.files.get(CARD), there.files.get(GENERATED)
    if card is None or kind.mark not in there.files or _same(ours, card):
        return ours
    if generated is None:
        if choices.adopt or (kind.mark == MARKER and _is_as_listed(api, repo_id, kind, there)):
            return ours
        raise UsageError(
            f"{repo_id}: its card may have been edited there, and the version of Hardcut that wrote it kept no copy to "
            "tell: save what people wrote; --adopt replaces it"
        )
    if card.blob_id == generated.blob_id:
        return ours
    texts = (fetch(api, repo_id, kind, name, there.head) for name in (GENERATED, CARD))
    before, theirs = (text.decode("utf-8", "replace") for text in texts)
    try:
        text = merge_cards(before, theirs, ours.read().decode("utf-8"))
    except CardConflict as error:
        if choices.adopt:
            return ours
        raise CardConflict(
            f"{repo_id}: its card: {error}: take that edit back there, or --adopt replaces the whole card"
        ) from error
    return _made(text)


def _made(text: str) -> _File:
    data = text.encode("utf-8")
    return _File(data, hashlib.sha256(data).hexdigest())


def _is_as_listed(api: HfApi, repo_id: str, kind: Kind, there: There) -> bool:
    """Whether the dataset's marker lists the card that is there."""
    card = fetch(api, repo_id, kind, CARD, there.head)
    return (written_last(api, repo_id, kind, there) or {}).get(CARD) == hashlib.sha256(card).hexdigest()


@dataclass(frozen=True, slots=True)
class Pulled:
    """A dataset that was fetched. `is_card_edited`: people changed its card on the Hub, and it is kept as they have
    it."""

    dataset: Dataset
    is_card_edited: bool


def pull(repo_id: str, out: Path, revision: str | None = None) -> Pulled:
    """Fetches a dataset into the folder `out`, which is swapped in whole once every digest is verified. The card alone
    may be another: people edit it on the Hub.

    Raises UsageError where the repository holds no dataset of Hardcut's or its files are not what its marker says,
    HubError where the Hub cannot be reached or refuses.
    """
    with replaced_folder(out) as folder:
        named = f"{repo_id}@{revision}" if revision else repo_id
        with reported_errors(named), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Not enough free disk space")  # told as an error when it comes to that
            # Through the hub's cache, so that a download that was interrupted goes on where it stopped.
            found = open_api().snapshot_download(
                repo_id, repo_type="dataset", revision=revision,
                allow_patterns=["data/*", "plots/*", *DATASET_FILES],
            )  # fmt: skip
        if Path(found).is_dir():
            shutil.copytree(found, folder, dirs_exist_ok=True)
        if not (folder / MARKER).is_file():
            raise UsageError(f"{repo_id}: no {MARKER} in it, so it is no dataset of Hardcut's; nothing was kept")
        _leave_theirs(folder)
        wrong = verify(folder)
        is_edited = f"{CARD}: altered" in wrong
        if is_edited:
            wrong.remove(f"{CARD}: altered")
            _list_card(folder)
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            raise UsageError(f"{repo_id}: {wrong[0]}{more}: it was changed after it was published; nothing was kept")
    return Pulled(Dataset(out), is_edited)


def _leave_theirs(folder: Path) -> None:
    """Removes what people put beside the dataset's files: it is not ours to verify. A part of a table stays."""
    listed = Dataset(folder).marker.get(FILES)
    if isinstance(listed, dict):
        for name in digests(folder).keys() - listed.keys():
            if not SHARD.fullmatch(name):
                (folder / name).unlink()


def _list_card(folder: Path) -> None:
    """Notes the card as it is in the marker."""
    marker = Dataset(folder).marker
    write_marker(folder, marker, {**marker[FILES], **digests(folder, (CARD,))})


def _remote(api: HfApi, repo_id: str, kind: str, revision: str | None) -> dict[str, Any]:
    """The files of the repository by path."""
    from huggingface_hub.hf_api import RepoFile

    tree = api.list_repo_tree(repo_id, repo_type=kind, revision=revision, recursive=True)
    return {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}


def _tags(api: HfApi, repo_id: str, kind: str) -> dict[str, str]:
    """The commit of each tag."""
    return {ref.name: ref.target_commit for ref in api.list_repo_refs(repo_id, repo_type=kind).tags}


def _same(file: _File, there: Any) -> bool:
    """Whether a remote file has this content: large files are known by their sha256, small ones by git's own digest."""
    if there is None or there.size != file.size:
        return False
    if there.lfs is not None:
        return bool(there.lfs.sha256 == file.sha256)
    content = file.read()
    return bool(there.blob_id == hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest())


def _default_tag(repo_id: str, version: str | None, there: There, *, is_new: bool) -> str | None:
    """The tag of what is sent, or of what is there without one; None where its version is tagged already and nothing of
    it is new, such as where people edited the card since."""
    if version is None:
        return _next_version(there.tags)
    if version not in there.tags:
        return version
    if not is_new:
        return None
    raise UsageError(
        f"{repo_id}: {version} is there already, and this is another dataset: export it with --like and the version "
        f"before it (`hardcut pull {repo_id}`), so that its version counts up, or name a tag with --tag; nothing was "
        "sent"
    )


def _next_version(tags: Iterable[str]) -> str:
    return f"v{max((int(match[1]) for tag in tags if (match := _VERSION.fullmatch(tag))), default=0) + 1}"

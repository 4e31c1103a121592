"""Teachers by name. A new backend gets its line in `_BACKENDS`; one of others registers under `hardcut.backends`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from hardcut.engine.budget import CallBudget
from hardcut.engine.file_digests import FileDigests
from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.addresses import canonical_name, model_and_address
from hardcut.schemas.errors import UsageError
from hardcut.schemas.extensions import extended, loaded
from hardcut.schemas.resources import Resources
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.backend import Backend
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.local.generation import ModelOptions
from hardcut.teacher.local.process import Kind
from hardcut.teacher.local.ray_models import ModelNodes, RayModels
from hardcut.teacher.needs import Need
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.protocol import Teacher
from hardcut.teacher.rules.teacher import EvidenceTeacher
from hardcut.teacher.server.keys import KeySource, key_source


@dataclass(frozen=True, slots=True)
class BackendContext:
    """All that a backend can be made with. `main` is the main teacher of the run, often the same. `profiles` is the
    folder where profiles of endpoints are kept, `needs` what the run has for this teacher to do. `without_margin`: a
    judge may answer without log-probabilities. Models in process go to the nodes that `nodes` gives."""

    settings: TeacherSettings
    resources: Resources
    replies: ReplyCache | None
    budget: CallBudget | None
    main: TeacherSettings
    digests: FileDigests | None = None
    profiles: Path | None = None
    needs: Collection[Need] = ()
    without_margin: bool = False
    nodes: Callable[[], ModelNodes] | None = None

    @property
    def prompts(self) -> Prompts:
        return prompts_of(self.settings)

    def key(self, url: str) -> KeySource:
        """Where the key of this teacher's server is."""
        if self.settings == self.main:
            return main_key(self.settings)
        return key_of(url, self.settings.key_variable, "key_variable in [[scores.teachers]]", self.main)

    def cached(self, backend: Backend) -> Teacher:
        """The backend behind the cache of replies and the budget."""
        return CachedTeacher(backend, self.replies, self.budget, self.settings.price, name=booked_as(self.settings))


def prompts_of(settings: TeacherSettings) -> Prompts:
    """The prompts in force: ours, with those of the user's folder in their place."""
    return Prompts(Path(settings.prompts).expanduser() if settings.prompts else None)


def booked_as(settings: TeacherSettings) -> str:
    """The name under which a run's books have the teacher."""
    return canonical_name(settings.spec)


def main_key(settings: TeacherSettings) -> KeySource:
    """Where the key of a run's main teacher is: in the variable that its settings name, or in the default ones."""
    return KeySource((settings.key_variable,), named=True) if settings.key_variable else KeySource()


def key_of(url: str, named: str | None, setting: str, main: TeacherSettings) -> KeySource:
    """Where the key of another server of a run is, whose `setting` may have `named` a variable: the main teacher's key
    is for the main teacher's host only."""
    backend, _, rest = main.spec.partition(":")
    at = model_and_address(rest) if backend == "openai" else None
    return key_source(url, named, setting, (at[1], main_key(main)) if at else None)


def open_teacher(
    settings: TeacherSettings,
    resources: Resources | None = None,
    *,
    main: TeacherSettings | None = None,
    replies: ReplyCache | None = None,
    budget: CallBudget | None = None,
    digests: FileDigests | None = None,
    profiles: Path | None = None,
    needs: Collection[Need] = (),
    without_margin: bool = False,
    nodes: Callable[[], ModelNodes] | None = None,
) -> Teacher:
    """The teacher that `settings.spec` names. Connects to nothing yet.

    `main` is the main teacher of the run that this is a judge of, to whose host alone the default API key goes; without
    it, this is the main teacher. Without `replies` nothing is kept. `digests` knows models in folders again. With the
    folder `profiles`, a server is asked once what it can do, and told where that is less than `needs`.
    `without_margin`: labels without a margin are taken. A model in process goes to the nodes that `nodes` gives.

    Raises UsageError for a spec that names no teacher.
    """
    name, _, rest = settings.spec.partition(":")
    backends = extended(_BACKENDS, "hardcut.backends")
    if name not in backends:
        others = sorted(set(backends) - set(_BACKENDS))
        raise UsageError(f"teacher {settings.spec!r}: unknown backend; there are: {', '.join([*_FORMS, *others])}")
    if settings.extra is not None and name != "openai":
        raise UsageError(f"teacher {settings.spec!r}: teacher.extra is for openai:MODEL@URL alone")
    context = BackendContext(
        settings, resources or Resources(), replies, budget, main or settings, digests, profiles, needs, without_margin,
        nodes,
    )  # fmt: skip
    return loaded(backends[name])(rest, context)


def _evidence(rest: str, context: BackendContext) -> Teacher:
    if rest:
        raise UsageError(f"teacher 'evidence:{rest}': it is called evidence and nothing more")
    return EvidenceTeacher()


def _openai(rest: str, context: BackendContext) -> Teacher:
    from hardcut.teacher.server.openai import OpenAITeacher
    from hardcut.teacher.server.profile import Profiles
    from hardcut.teacher.server.replicas import Replicas

    found = model_and_address(rest)
    if found is None:
        raise UsageError("teacher openai: give openai:MODEL@URL, such as openai:Qwen3-VL-8B@http://127.0.0.1:8000/v1")
    model, url = found
    addresses = (url, *context.settings.urls)
    profiles = Profiles(context.profiles, context.settings.extra) if context.profiles else None

    def at(address: str) -> OpenAITeacher:
        return OpenAITeacher(
            model,
            address,
            revision=context.settings.revision,
            prompts=context.prompts,
            key=context.key(address),
            concurrency=context.settings.concurrency or context.resources.concurrency,
            timeout_s=context.resources.request_timeout_s,
            attempts=context.resources.max_attempts,
            others=[other for other in addresses if other != address],
            profiles=profiles,
            needs=context.needs,
            without_margin=context.without_margin,
            extra=context.settings.extra,
        )

    replicas = [at(address) for address in dict.fromkeys(addresses)]
    return context.cached(replicas[0] if len(replicas) == 1 else Replicas(replicas))


def _local(kind: Kind) -> Callable[[str, BackendContext], Teacher]:
    def make(model: str, context: BackendContext) -> Teacher:
        from hardcut.teacher.local.teacher import LocalTeacher

        if not model:
            raise UsageError(f"teacher {kind}: give {kind}:MODEL, a model's name on the hub or its folder")
        resources, sampling = context.resources, context.settings.sampling
        options = ModelOptions(
            model,
            context.settings.revision,
            max_images=sampling.max_frames + sampling.max_reference_frames,
            max_model_len=resources.max_model_len,
            gpu_memory=resources.gpu_memory,
            gpus=resources.gpus,
            batch=resources.batch,
        )
        model_there = RayModels(kind, options, context.nodes) if context.nodes else None
        return context.cached(LocalTeacher(kind, options, context.prompts, context.digests, model_there))

    return make


BackendMaker = Callable[[str, BackendContext], Teacher]
"""Makes a teacher out of what stands behind the colon of its spec."""

_BACKENDS: Mapping[str, BackendMaker | str] = {
    "evidence": _evidence,
    "function": "hardcut.teacher.function:open_function",
    "openai": _openai,
    "vllm": _local("vllm"),
    "transformers": _local("transformers"),
}
"""By the name that a spec begins with: the function, or `module:function`, which is imported when it is used."""
_FORMS = ("evidence", "openai:MODEL@URL", "vllm:MODEL", "transformers:MODEL")

"""The small questions that teach what an endpoint can do, and what is told where that is not enough for a role.

Two as a rule: one that asks for a caption as writers do, one that asks for yes or no as judges do. They are built as
all others are, so that what is taken here is taken later. A refusal costs nothing and tells how to ask instead. One of
them shows a picture where a role is shown pictures; where it is refused, the same question without it tells why. A
server that tells tokens, as vLLM does, is asked two more about a picture: whether it keeps it under a name.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Sampling, TeacherRef
from hardcut.teacher.backend import Meter, Question
from hardcut.teacher.needs import Need
from hardcut.teacher.prompts.render import Rendered
from hardcut.teacher.prompts.reply_models import CaptionReply
from hardcut.teacher.protocol import Refusal, Reply, Request, Task
from hardcut.teacher.server.chat_call import ChatCall, ServerTraits, no_margin
from hardcut.teacher.server.completion import Completion, Unreadable
from hardcut.teacher.server.dialect import FIRST_GUESS
from hardcut.teacher.server.faults import RequestFailed, RequestRejected
from hardcut.teacher.server.profile import Profile, Profiles
from hardcut.teacher.server.request import named_part, picture_part
from hardcut.teacher.server.sent_pictures import Pictures
from hardcut.teacher.server.stream import assembled

SYSTEM = "This is a short test of a connection. Reply exactly as you are told, with one JSON object or one tag."
"""The system text of the small questions."""
_WRITE = 'Reply with the JSON object {"short": "ready", "claims": []} and nothing else.'
_JUDGE = "Reply with <answer>yes</answer> and nothing else."
_MOST_TOKENS = 64
_LABEL = "<0.0 s>"
_SIDE = 64
"""Pixels of the picture's sides: models that cut pictures into patches refuse smaller ones."""


@dataclass(slots=True, eq=False)
class SmallQuestion(ChatCall):
    """One question that is asked for what its answer shows of the endpoint: `heard`, or why it was `rejected`; neither
    where the server could not answer at all."""

    heard: Completion | None = None
    rejected: RequestRejected | None = None

    @property
    def kind(self) -> str:
        return "profile"

    async def take(self, data: bytes) -> Reply | Refusal:
        """Books what the answer took. Raises RequestFailed for what is no completion."""
        try:
            completion = Completion.read(assembled(data) if self.known.dialect.stream else data)
            tokens = completion.tokens()
        except Unreadable as error:
            self.lost()
            raise RequestFailed("bad_response", f"not a chat completion: {error}") from error
        self._book(tokens, completion.written)
        self.heard = completion
        return Reply(completion.text, self.question.teacher)


Send = Callable[[SmallQuestion], Awaitable[None]]
"""Asks one small question, in another way as long as refusals teach one."""


TellsTokens = Callable[[], Awaitable[bool]]
"""Whether the server tells the tokens of a text, which costs nothing."""


class Learner:
    """Knows the profile of one endpoint, and asks for what it does not know yet.

    `declared` is what the run wants of it: all of that is learned and held against it before the first call. A role
    that is not declared is held against it when it is first asked.
    """

    def __init__(
        self, model: str, url: str, profiles: Profiles, known: ServerTraits, declared: Collection[Need] = ()
    ) -> None:
        self._model = model
        self._url = url
        self._profiles = profiles
        self._known = known
        self._declared = frozenset(declared)
        self._held: frozenset[Need] = frozenset()
        self._profile: Profile | None = None
        self._asking = asyncio.Lock()
        self._waiting = 0

    async def learn(
        self, needs: Iterable[Need], who: TeacherRef, meter: Meter, send: Send, tells_tokens: TellsTokens
    ) -> None:
        """Makes sure that the endpoint can do what is needed. Costs nothing where that is known. Raises UsageError
        where it cannot, in a line that says what to do."""
        if self._held and self._held.issuperset(needs):
            return
        wanted = self._declared.union(needs)
        self._waiting += 1
        try:
            async with self._asking:
                if not (self._held and self._held.issuperset(wanted)):
                    await self._hold(wanted, _Lesson(self._model, self._known, who, meter, send, tells_tokens))
        except UsageError:
            if self._waiting == 1:  # once nobody asks any more the server may be mended, and is asked again
                self._profile = None
            raise
        finally:
            self._waiting -= 1

    async def _hold(self, wanted: frozenset[Need], lesson: _Lesson) -> None:
        """Learns what is not known, keeps it, and holds what is wanted against it."""
        async with self._profiles.turn(self._model, self._url):
            self._profile = await lesson.learned(self._profile or self._kept(wanted), wanted)
            if self._profile != self._profiles.find(self._model, self._url):
                self._profiles.keep(self._model, self._url, self._profile)
        for need in sorted(wanted):
            if missing := self._missing(self._profile, need):
                raise UsageError(missing)
        self._held |= wanted

    def narrowed(self) -> None:
        """Keeps what a refusal has taught of the dialect."""
        if self._profile and self._profile.dialect != self._known.dialect:
            self._profile = replace(self._profile, dialect=self._known.dialect)
            self._profiles.keep(self._model, self._url, self._profile)

    @property
    def profile(self) -> Profile:
        """As far as it is known."""
        return self._profile or Profile(self._known.dialect)

    def _kept(self, wanted: Iterable[Need]) -> Profile:
        """What is kept, unless it would end the run: the server may have been mended since, so it is asked again."""
        kept = self._profiles.find(self._model, self._url)
        if kept is None or any(self._missing(kept, need) for need in wanted):
            self._known.dialect, self._known.by_id, self._known.names = FIRST_GUESS, True, False
            return Profile()
        self._known.dialect = kept.dialect
        self._known.by_id = kept.logprobs in (None, "by id")
        self._known.names = bool(kept.names)
        self._known.thinks = self._known.thinks or bool(kept.thoughts)
        return kept

    def _missing(self, profile: Profile, need: Need) -> str:
        """What the endpoint cannot do that a role needs, and what to do; empty where it can."""
        who = f"{self._model} at {self._url}"
        if need.judges and profile.logprobs == "none" and not self._known.without_margin:
            return no_margin(who)
        if need.pictures and profile.pictures is False:
            return (
                f"{need.role}: {who} takes no pictures, and this role is shown frames: name another teacher for it "
                "([roles]), or give this one sampling.max_frames = 0, so that it is told what was found in a video"
            )
        return ""


@dataclass(frozen=True, slots=True)
class _Lesson:
    """Asks one endpoint."""

    model: str
    known: ServerTraits
    who: TeacherRef
    meter: Meter
    send: Send
    tells_tokens: TellsTokens

    async def learned(self, profile: Profile, wanted: Collection[Need]) -> Profile:
        """The profile with all that is wanted and was not known; what no answer tells stays unknown."""
        shown = any(need.pictures for need in wanted)
        if any(not need.judges for need in wanted) and (not profile.structured or (shown and profile.pictures is None)):
            profile = await self._ask("caption", profile, shown=shown and profile.pictures is None)
        if any(need.judges for need in wanted) and (profile.logprobs is None or (shown and profile.pictures is None)):
            profile = await self._ask("judge", profile, shown=shown and profile.pictures is None)
        if shown and profile.pictures and profile.names is None:
            profile = replace(profile, names=await self._keeps_pictures())
            self.known.names = bool(profile.names)
        return replace(profile, dialect=self.known.dialect)

    async def _keeps_pictures(self) -> bool:
        """Shows a picture with a name, then the name alone: a server that keeps it takes both, for as many tokens."""
        if not await self.tells_tokens():
            return False
        took = []
        for whole in (True, False):
            question = small_question(self.model, "caption", self.who, self.meter, self.known, _named(whole))
            await self.send(question)
            tokens = question.heard.tokens() if question.heard else None
            if tokens is None:
                return False
            took.append(tokens.prompt)
        return took[0] == took[1]

    async def _ask(self, task: Task, profile: Profile, *, shown: bool) -> Profile:
        before = self.known.dialect
        question = await self._sent(task, shown=shown)
        if shown and question.rejected:
            self.known.dialect = before  # what was learned may have been of the picture
            plain = await self._sent(task, shown=False)
            profile = replace(profile, pictures=False) if plain.heard else profile
            question = plain
        elif shown and question.heard:
            profile = replace(profile, pictures=True)
        return self._read(question, profile)

    async def _sent(self, task: Task, *, shown: bool) -> SmallQuestion:
        shows = _Picture(_picture()) if shown else Pictures()
        question = small_question(self.model, task, self.who, self.meter, self.known, shows)
        await self.send(question)
        if question.judges and question.rejected and "logprob" in question.rejected.raw.lower():
            asked, self.known.dialect = self.known.dialect, replace(self.known.dialect, logprobs=False)
            if asked.logprobs and self.known.without_margin:
                return await self._sent(task, shown=shown)
        return question

    def _read(self, question: SmallQuestion, profile: Profile) -> Profile:
        """What an answer shows beside that it was given."""
        heard = question.heard
        if not self.known.dialect.logprobs:
            profile = replace(profile, logprobs="none")
        if heard is None:
            return profile
        thoughts = heard.thoughts_field
        profile = replace(profile, usage=heard.tokens() is not None, thoughts=thoughts or profile.thoughts)
        self.known.thinks = self.known.thinks or bool(thoughts)
        if not question.judges:
            return replace(profile, structured=True)
        if question.exact and heard.generated and heard.scores_all(0, question.exact):
            self.known.proven = True
            return replace(profile, logprobs="by id")
        self.known.by_id = False
        if any(heard.scores_words(at) for at in range(len(heard.generated))):
            self.known.proven = True
            return replace(profile, logprobs="top")
        if heard.text or heard.generated:
            return replace(profile, logprobs="none")
        return profile


def small_question(
    model: str, task: Task, who: TeacherRef, meter: Meter, known: ServerTraits, shows: Pictures
) -> SmallQuestion:
    """A small question as writers ask (`caption`), or as judges do. `shows` is a small picture, or none."""
    judges = task == "judge"
    request = Request(
        task,
        {"max_words": 10},
        Sampling(max_tokens=_MOST_TOKENS, reasoning=False),
        reply=None if judges else CaptionReply,
    )
    question = Question(request, who, Rendered(SYSTEM, _JUDGE if judges else _WRITE), key="")
    return SmallQuestion(model, 0, question, shows, meter, known)


class _Picture(Pictures):
    """One picture that is in no file, by the part of a message that shows it."""

    def __init__(self, part: bytes) -> None:
        super().__init__()
        self._part = part

    def __bool__(self) -> bool:
        return True

    def parts(self) -> bytes:
        return self._part


def _picture(name: str = "") -> bytes:
    """The part of a message that shows a small grey picture."""
    return picture_part(_LABEL, base64.b64encode(_grey()), name)


def _named(whole: bool) -> Pictures:
    """A small picture with a name, or the name alone."""
    name = hashlib.sha256(_grey()).hexdigest()
    return _Picture(_picture(name) if whole else named_part(_LABEL, name))


@lru_cache(maxsize=1)
def _grey() -> bytes:
    """A small grey picture as JPEG."""
    from PIL import Image

    made = io.BytesIO()
    Image.new("RGB", (_SIDE, _SIDE), "grey").save(made, "JPEG")
    return made.getvalue()

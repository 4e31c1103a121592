"""The server's users: who is made at a start, what becomes of one who is deleted; and what a killed server may have
left undone in its database."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import bcrypt
from argilla_server.contexts import accounts
from argilla_server.database import AsyncSessionLocal
from argilla_server.errors.future import UnprocessableEntityError
from argilla_server.models import Response, User, UserRole, Workspace, WorkspaceUser
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from hardcut.annotate.embedded.inside.keys import OWNER

WORKSPACE = "hardcut"
DEFAULT_REVIEWER = "reviewer"
RETIRED = "(deleted)"
"""The last name of a user who was deleted and whose answers are kept."""

# The server commits an answer first and its record's status after that: a kill between the two leaves an old status.
_MEND_STATUS = """
UPDATE records SET status = wanted.status FROM (
    SELECT r.id AS id, CASE
        WHEN (SELECT count(*) FROM responses a WHERE a.record_id = r.id AND a.status = 'submitted')
             >= json_extract(d.distribution, '$.min_submitted') THEN 'completed' ELSE 'pending' END AS status
    FROM records r JOIN datasets d ON d.id = r.dataset_id
) AS wanted WHERE wanted.id = records.id AND wanted.status <> records.status
"""


class NoSuchUser(Exception):
    """A password was asked for a user whom the server does not have."""


async def prepare(owner_key: str, reviewers: Sequence[str], new_passwords: Sequence[str]) -> dict[str, str]:
    """Makes the workspace and who is missing; mends what a kill left. Returns the passwords that are new, by user.

    `reviewers` are made beside those that are there; where there are none and none is named, one called `reviewer`. One
    who is there and not in the workspace, such as one who was deleted, joins it with a new password.
    """
    made: dict[str, str] = {}
    async with AsyncSessionLocal() as db:
        await db.execute(text(_MEND_STATUS))
        await db.commit()
        workspace = await Workspace.get_by(db, name=WORKSPACE) or await Workspace.create(db, name=WORKSPACE)
        known = {user.username: user for user in (await db.scalars(select(User))).all()}
        members = set(await db.scalars(select(WorkspaceUser.user_id).filter_by(workspace_id=workspace.id)))
        if not reviewers and not any(user.role == UserRole.annotator for user in known.values()):
            reviewers = [DEFAULT_REVIEWER]
        for name in (OWNER, *reviewers):
            if name not in known:
                made[name] = _password()
                await User.create(
                    db,
                    first_name=name,
                    username=name,
                    role=UserRole.owner if name == OWNER else UserRole.annotator,
                    password_hash=_hash(made[name]),
                    workspaces=[workspace],
                    **({"api_key": owner_key} if name == OWNER else {}),
                )
            elif name != OWNER and known[name].id not in members:
                made[name] = _password()
                await WorkspaceUser.create(db, workspace_id=workspace.id, user_id=known[name].id)
                await known[name].update(db, password_hash=_hash(made[name]), last_name=None)
        for name in new_passwords:
            if name in made:
                continue
            if name not in known:
                raise NoSuchUser(name)
            made[name] = _password()
            await known[name].update(db, password_hash=_hash(made[name]))
    return made


def keep_answers() -> None:
    """Has the server delete users by `_retire`: its own way takes their answers along."""
    accounts.delete_user = _retire


async def _retire(db: AsyncSession, user: User) -> User:
    """Deletes a user who has answered nothing. One who has stays as the name of the answers, with another password and
    key that nobody is told, and in no workspace: a session that is still open shows no record."""
    if user.username == OWNER:
        raise UnprocessableEntityError("the owner pushes and pulls, and is not deleted")
    if await db.scalar(select(Response.id).filter_by(user_id=user.id).limit(1)) is None:
        return await user.delete(db)
    await WorkspaceUser.delete_many(db, [WorkspaceUser.user_id == user.id], autocommit=False)
    return await user.update(
        db,
        last_name=RETIRED,
        role=UserRole.annotator,
        api_key=secrets.token_urlsafe(60),
        password_hash=_hash(_password()),
    )


def _password() -> str:
    return secrets.token_urlsafe(12)


def _hash(password: str) -> str:
    """As the server keeps it. A hash is made slow against guessing; 96 random bits are not guessed, and a start with
    sixteen reviewers should not take ten seconds longer."""
    return str(bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=6)), "ascii")

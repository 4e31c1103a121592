"""A server for tests that speaks the part of the Hub's API that datasets and models need: create, preupload, LFS, Xet,
commit, tree, refs, tags, resolve. On 127.0.0.1, in a thread of its own, all in memory; it counts what it was sent.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml
from aiohttp import web

LFS_ABOVE = 2_000
LICENCES = {"apache-2.0", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0", "mit", "odc-by", "other"}
"""A few of the names that the Hub takes in a card's front matter; it refuses all others."""


@dataclass
class Repo:
    """A repository: its files now, every commit's files, its tags."""

    private: bool
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{".gitattributes": b"*.parquet filter=lfs\n"}])
    tags: dict[str, int] = field(default_factory=dict)
    branches: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Files of branches beside main."""

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1]


@dataclass(frozen=True)
class Request:
    """What was asked, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class HubServer:
    """`with HubServer() as server:`; `server.url` is what HF_ENDPOINT must be."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.requests: list[Request] = []
        self.tokens: set[str] = set()
        self.committed_files = 0
        self.on_put: Callable[[int], bool] = lambda number: True
        """Whether to take the upload of this number, or to leave it hanging."""
        self.takes_tags = True
        self.xet: Any = None
        """Where the client's large files go by its Xet protocol: tests/xet_store.py; None where it speaks LFS."""
        self.on_request: Callable[[web.Request], web.Response | None] = lambda request: None
        """Sees each request first, and may answer it in the server's place."""
        self.after: Callable[[web.Request], None] = lambda request: None
        """Called when a request was carried out and not yet answered. May raise, so that its answer is lost."""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="hub server", daemon=True)
        self.url = ""

    def __enter__(self) -> HubServer:
        self._thread.start()
        assert self._ready.wait(10), "the hub server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 30, middlewares=[self._authorised])
        app.add_routes([web.post("/api/repos/create", self._create), web.put("/lfs/{oid}", self._put)])
        app.add_routes([web.post("/api/validate-yaml", self._validate_yaml)])
        for kind, prefix in (("datasets", "/datasets"), ("models", "")):
            repo = f"/api/{kind}/{{org}}/{{name}}"
            app.add_routes(
                [
                    web.get(repo, self._info),
                    web.get(repo + "/revision/{rev}", self._info),
                    web.get(repo + "/tree/{rev}", self._tree),
                    web.get(repo + "/refs", self._refs),
                    web.post(repo + "/tag/{rev}", self._tag),
                    web.post(repo + "/preupload/{rev}", self._preupload),
                    web.post(repo + "/commit/{rev}", self._commit),
                    web.get(repo + "/xet-{mode:read|write}-token/{rev}", self._xet_token),
                    web.post(prefix + "/{org}/{name}.git/info/lfs/objects/batch", self._batch),
                    web.get(prefix + "/{org}/{name}/resolve/{rev}/{path:.+}", self._resolve),
                ]
            )
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    @web.middleware
    async def _authorised(self, request: web.Request, handler: Any) -> web.StreamResponse:
        token = request.headers.get("Authorization", "")
        if not request.path.startswith("/lfs/"):
            if token != "Bearer hf_right":
                return web.json_response({"error": "Invalid credentials"}, status=401)
            self.tokens.add(token)
        body = b"" if request.path.startswith("/lfs/") else await request.read()
        self.requests.append(Request(request.method, request.path, dict(request.headers), body))
        if (answer := self.on_request(request)) is not None:
            return answer
        answer = await handler(request)
        self.after(request)
        return answer

    def _repo(self, request: web.Request) -> Repo:
        name = f"{request.match_info['org']}/{request.match_info['name']}"
        if name not in self.repos:
            raise web.HTTPNotFound(headers={"X-Error-Code": "RepoNotFound"})
        return self.repos[name]

    def _at(self, request: web.Request) -> tuple[Repo, int]:
        repo, rev = self._repo(request), request.match_info.get("rev", "main")
        if rev == "main":
            return repo, len(repo.commits) - 1
        if rev in repo.tags:
            return repo, repo.tags[rev]
        if len(rev) == 40 and int(rev, 16) < len(repo.commits):
            return repo, int(rev, 16)
        raise web.HTTPNotFound(headers={"X-Error-Code": "RevisionNotFound"})

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        name = f"{asked.get('organization')}/{asked['name']}"
        url = f"{self.url}/datasets/{name}"
        if name in self.repos:
            return web.json_response({"error": "exists", "url": url}, status=409)
        assert asked.get("type", "model") in ("dataset", "model")
        self.repos[name] = Repo(private=asked.get("private", asked.get("visibility") == "private"))
        return web.json_response({"id": f"{len(self.repos):024x}", "name": name, "url": url})

    async def _validate_yaml(self, request: web.Request) -> web.Response:
        front = yaml.safe_load((await request.json())["content"].split("---\n")[1])
        errors = []
        if front.get("license", "other") not in LICENCES:
            errors.append({"message": '"license" must be one of [...]'})
        if any(code != code.lower() for code in front.get("language", ())):
            errors.append({"message": '"language[0]" must only contain lowercase characters'})
        return web.json_response({"errors": errors, "warnings": []}, status=400 if errors else 200)

    async def _info(self, request: web.Request) -> web.Response:
        repo, commit = self._at(request)
        name = f"{request.match_info['org']}/{request.match_info['name']}"
        told = {"id": name, "sha": f"{commit:040x}", "private": repo.private, "tags": [], "downloads": 0}
        siblings = [{"rfilename": path} for path in sorted(repo.commits[commit])]
        return web.json_response({**told, "siblings": siblings})

    async def _tree(self, request: web.Request) -> web.Response:
        repo, commit = self._at(request)
        entries: list[dict[str, Any]] = []
        for path, content in sorted(repo.commits[commit].items()):
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git}
            if len(content) > LFS_ABOVE:
                oid = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
                if self.xet is not None and (xet_hash := self.xet.hashes().get(oid)):
                    entry["xetHash"] = xet_hash
            entries.append(entry)
        return web.json_response(entries)

    async def _refs(self, request: web.Request) -> web.Response:
        repo = self._repo(request)
        tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": f"{at:040x}"} for tag, at in repo.tags.items()]
        branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": f"{len(repo.commits) - 1:040x}"}
        others = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": "f" * 40} for name in repo.branches]
        return web.json_response({"branches": [branch, *others], "tags": tags, "converts": []})

    async def _tag(self, request: web.Request) -> web.Response:
        (repo, commit), tag = self._at(request), (await request.json())["tag"]
        if not self.takes_tags:
            return web.json_response({"error": "not now"}, status=400)
        if tag in repo.tags:
            return web.json_response({"error": "exists"}, status=409)
        repo.tags[tag] = commit
        return web.json_response({})

    async def _preupload(self, request: web.Request) -> web.Response:
        repo, files = self._repo(request), (await request.json())["files"]
        modes = [
            {"path": f["path"], "uploadMode": "lfs" if f["size"] > LFS_ABOVE else "regular", "shouldIgnore": False}
            for f in files
        ]
        return web.json_response({"files": modes, "commitOid": f"{len(repo.commits) - 1:040x}"})

    async def _batch(self, request: web.Request) -> web.Response:
        objects = []
        for wanted in (await request.json())["objects"]:
            told: dict[str, Any] = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.objects:
                told["actions"] = {"upload": {"href": f"{self.url}/lfs/{wanted['oid']}", "header": {}}}
            objects.append(told)
        return web.json_response({"transfer": "basic", "objects": objects})

    async def _put(self, request: web.Request) -> web.Response:
        content = await request.read()
        if not self.on_put(len(self.puts)):
            await asyncio.sleep(60)
        oid = request.match_info["oid"]
        assert hashlib.sha256(content).hexdigest() == oid
        self.puts.append(oid)
        self.objects[oid] = content
        return web.Response()

    async def _xet_token(self, request: web.Request) -> web.Response:
        self._repo(request)
        if self.xet is None:
            raise web.HTTPNotFound
        told = {"casUrl": self.xet.url, "accessToken": "xet_token", "exp": int(time.time()) + 3600}
        names = {"X-Xet-Cas-Url": "casUrl", "X-Xet-Access-Token": "accessToken", "X-Xet-Token-Expiration": "exp"}
        return web.json_response(told, headers={name: str(told[key]) for name, key in names.items()})

    async def _object(self, oid: str) -> bytes:
        """A large file by its SHA-256, which has come here by LFS or lies in the Xet store."""
        if oid not in self.objects and self.xet is not None:
            self.objects[oid] = await asyncio.to_thread(self.xet.read, oid)
        return self.objects[oid]

    async def _commit(self, request: web.Request) -> web.Response:
        repo = self._repo(request)
        assert request.match_info["rev"] == "main", "only main is ours"
        files = dict(repo.files)
        for line in (await request.read()).splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "header" and value.get("parentCommit", "") not in (
                "",
                f"{len(repo.commits) - 1:040x}",
            ):
                return web.json_response({"error": "the branch has moved"}, status=412)
            if operation["key"] == "file":
                files[value["path"]] = _content(value)
                self.committed_files += 1
            elif operation["key"] == "lfsFile":
                files[value["path"]] = await self._object(value["oid"])
                self.committed_files += 1
            elif operation["key"] in ("deletedFile", "deletedEntry"):  # the client's word, and the description's
                del files[value["path"]]
        repo.commits.append(files)
        name = f"{request.match_info['org']}/{request.match_info['name']}"
        oid = f"{len(repo.commits) - 1:040x}"
        url = f"{self.url}/datasets/{name}/commit/{oid}"
        return web.json_response({"commitOid": oid, "commitUrl": url, "hookOutput": "", "success": True})

    async def _resolve(self, request: web.Request) -> web.Response:
        repo, commit = self._at(request)
        content = repo.commits[commit].get(request.match_info["path"])
        if content is None:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound"})
        headers = {"X-Repo-Commit": f"{commit:040x}", "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        return web.Response(body=content, headers=headers)


def _content(value: dict[str, str]) -> bytes:
    return base64.b64decode(value["content"]) if value.get("encoding") == "base64" else value["content"].encode()

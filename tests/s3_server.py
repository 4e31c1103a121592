"""An S3 store on loopback, by moto: `with S3Server() as server:`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx


class S3Server:
    """`environment` is what a process needs to speak with it. It is empty at first: moto keeps what it has for the
    whole process, so what an earlier server had is forgotten."""

    def __enter__(self) -> S3Server:
        import boto3
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        httpx.post(f"http://{host}:{port}/moto-api/reset").raise_for_status()
        self.environment = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="test",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket="clips")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def put(self, key: str, content: bytes) -> None:
        """Puts an object into the bucket `clips`."""
        self.client.put_object(Bucket="clips", Key=key, Body=content)

    def put_folder(self, folder: Path, prefix: str) -> None:
        """Puts all files of a folder under a prefix."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())

"""datatrove: an InferenceRunner with checkpoints against an endpoint, 64 at a time. Prints the seconds it ran."""

import json
import sys
import tempfile
import time

from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.writers import JsonlWriter


async def rollout(document, generate):
    return await generate({"messages": [{"role": "user", "content": document.text}], "max_tokens": 16})


if __name__ == "__main__":
    url, calls = sys.argv[1].removesuffix("/v1"), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        runner = InferenceRunner(
            rollout_fn=rollout,
            config=InferenceConfig(
                server_type="endpoint", endpoint_url=url, model_name_or_path="m", max_concurrent_generations=64
            ),
            output_writer=JsonlWriter(
                f"{folder}/out", output_filename="${rank}_${chunk_index}.jsonl", compression=None
            ),
            checkpoints_local_dir=f"{folder}/checkpoints",
            records_per_chunk=500,
        )
        documents = [Document(text=f"query {n}", id=str(n)) for n in range(calls)]
        started = time.perf_counter()
        runner.run(documents, rank=0, world_size=1)
        wall_s = time.perf_counter() - started
        assert runner.stats["successful_requests"].total == calls
    print(json.dumps({"wall_s": wall_s}))

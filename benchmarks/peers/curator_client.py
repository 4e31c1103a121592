"""curator: an LLM over an OpenAI-compatible server, 64 at a time, its cache empty. Prints the seconds it ran."""

import json
import os
import sys
import tempfile
import time

os.environ |= {"TELEMETRY_ENABLED": "0", "CURATOR_DISABLE_RICH_DISPLAY": "1", "OPENAI_API_KEY": "none"}

from bespokelabs import curator

if __name__ == "__main__":
    url, calls = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        llm = curator.LLM(
            model_name="openai/m",
            backend="litellm",  # `openai` fetches a tokenizer from the web
            backend_params={
                "base_url": url,
                "max_concurrent_requests": 64,
                "max_requests_per_minute": 10**6,
                "max_tokens_per_minute": 10**9,
            },
        )
        started = time.perf_counter()
        made = llm([f"query {n}" for n in range(calls)], working_dir=folder)
        wall_s = time.perf_counter() - started
        assert len(getattr(made, "dataset", made)) == calls
    print(json.dumps({"wall_s": wall_s}))

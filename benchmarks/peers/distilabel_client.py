"""distilabel: a pipeline of one TextGeneration over an OpenAI-compatible server. Prints the seconds it ran."""

import json
import sys
import time

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

if __name__ == "__main__":  # its steps are processes of their own
    url, calls = sys.argv[1], int(sys.argv[2])
    with Pipeline(name="saturation") as pipeline:
        load = LoadDataFromDicts(data=[{"instruction": f"query {n}"} for n in range(calls)], batch_size=64)
        llm = OpenAILLM(model="m", base_url=url, api_key="none")
        load >> TextGeneration(llm=llm, input_batch_size=64)
    started = time.perf_counter()
    made = pipeline.run(use_cache=False)
    wall_s = time.perf_counter() - started
    assert len(made["default"]["train"]) == calls
    print(json.dumps({"wall_s": wall_s}))

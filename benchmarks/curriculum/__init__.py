"""A world with known truth, a small Qwen3-VL from random weights, and the published recipe: does the reranker learn?"""

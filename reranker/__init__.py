"""The reranker and its evaluation."""

"""Stage evidence and its extractors: what is read, said, cut, moved and told about a video."""

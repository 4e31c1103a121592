"""Everything that opens a video: the collection on disk, probing, frames, audio, the frame store."""

"""report.html, out of the files of a run."""

"""The bundled sample, and the script that renders it (hardcut.data.render)."""

"""The image without an engine: its Dockerfile's steps done in a clean folder, and run there."""

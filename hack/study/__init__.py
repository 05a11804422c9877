"""The study of recipes on the demo's world: python -m study OUT. Every run is resumable, and so is the whole."""

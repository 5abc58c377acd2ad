"""Records and words: the vocabulary every other package speaks (docs/design/model.md)."""

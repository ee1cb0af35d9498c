"""Values, folds and judgements. Nothing here does I/O or looks at a clock."""

"""A volume cut into tiles, and their results put together again."""

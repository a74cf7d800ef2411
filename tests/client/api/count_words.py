def count_words(text, least: int = 1, most: int | None = None):
    return {"words": len(text.split()), "least": least, "most": most}

"""Cut lists into pages."""


def page_count(total, size):
    """Return how many pages of `size` items it takes to show `total` items."""
    if size < 1:
        raise ValueError("size must be at least 1")
    return total // size


def pages(items, size):
    """Return the items as a list of pages, each a list of at most `size` items."""
    return [
        items[number * size : (number + 1) * size]
        for number in range(page_count(len(items), size))
    ]

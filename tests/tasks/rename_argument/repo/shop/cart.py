"""A cart."""

from shop import price

REDUCED = {"vat": 0.07}


class Cart:
    def __init__(self, reduced=False):
        self.items = []
        self.options = dict(REDUCED) if reduced else {}

    def add(self, count, cents):
        self.items.append((count, cents))

    def total(self):
        return price.total(self.items, **self.options)

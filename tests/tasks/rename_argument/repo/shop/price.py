"""Prices."""


def total(items, vat=0.19):
    """Return the price of all items in cents, with tax.

    items: pairs of count and price in cents
    vat: the tax rate, as a fraction
    """
    net = sum(count * price for count, price in items)
    return round(net * (1 + vat))


def tax(items, vat=0.19):
    """Return the tax alone, in cents."""
    return total(items, vat=vat) - total(items, vat=0)

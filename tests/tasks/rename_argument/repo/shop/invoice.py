"""Invoices."""

from shop.price import tax, total


def invoice(items, vat):
    """Return an invoice as lines of text."""
    percent = f"{vat:.0%}"
    return [
        f"tax ({percent}): {tax(items, vat=vat)}",
        f"total: {total(items, vat)}",
    ]

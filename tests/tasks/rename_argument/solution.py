"""Search for every use, also the one in a dictionary, and rename it."""

from tests.tasks.steps import create, replace, search, turn, view

REPLIES = [
    turn("I search for every use of the name.", search(r"\bvat\b")),
    turn(
        "It is in three modules and the README; in `cart.py` it is the key of a dictionary that "
        "is passed on.",
        view("shop/price.py"), view("shop/cart.py"), view("shop/invoice.py"),
    ),
    turn(
        "Most lines of two small files change, so I write these anew.",
        create(
            "shop/price.py",
            '"""Prices."""\n\n\n'
            "def total(items, tax_rate=0.19):\n"
            '    """Return the price of all items in cents, with tax.\n\n'
            "    items: pairs of count and price in cents\n"
            "    tax_rate: the tax rate, as a fraction\n"
            '    """\n'
            "    net = sum(count * price for count, price in items)\n"
            "    return round(net * (1 + tax_rate))\n\n\n"
            "def tax(items, tax_rate=0.19):\n"
            '    """Return the tax alone, in cents."""\n'
            "    return total(items, tax_rate=tax_rate) - total(items, tax_rate=0)\n",
        ),
        create(
            "shop/invoice.py",
            '"""Invoices."""\n\n'
            "from shop.price import tax, total\n\n\n"
            "def invoice(items, tax_rate):\n"
            '    """Return an invoice as lines of text."""\n'
            '    percent = f"{tax_rate:.0%}"\n'
            "    return [\n"
            '        f"tax ({percent}): {tax(items, tax_rate=tax_rate)}",\n'
            '        f"total: {total(items, tax_rate)}",\n'
            "    ]\n",
        ),
        replace("shop/cart.py", '{"vat": 0.07}', '{"tax_rate": 0.07}'),
        replace("README.md", "vat=0.07", "tax_rate=0.07"),
    ),
    turn("I search again.", search(r"\bvat\b")),
    turn("Every use is renamed; the README's sentence about VAT is as it was."),
]  # fmt: skip

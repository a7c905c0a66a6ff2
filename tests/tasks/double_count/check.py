"""The query's rows for customers of every kind."""

import sqlite3
import sys
from pathlib import Path

tree = Path(sys.argv[1])
database = sqlite3.connect(":memory:")
database.executescript((tree / "schema.sql").read_text())
database.executescript("""
    INSERT INTO customers VALUES (1, 'Part'), (2, 'Whole'), (3, 'None'), (4, 'Never'), (5, 'Both'),
        (6, 'Both');
    INSERT INTO orders VALUES (1, 1, 1000), (2, 2, 500), (3, 3, 700), (4, 5, 100), (5, 5, 200),
        (6, 5, 300), (7, 6, 50);
    INSERT INTO payments VALUES (1, 1, 400), (2, 1, 600), (3, 2, 500), (4, 4, 50), (5, 4, 25),
        (6, 6, 300);
""")
cursor = database.execute((tree / "balance.sql").read_text())
assert [column[0] for column in cursor.description] == ["name", "ordered", "paid", "owed"]
rows = cursor.fetchall()
assert [row[0] for row in rows] == ["Both", "Both", "Never", "None", "Part", "Whole"], rows
assert sorted(rows) == [
    ("Both", 50, 0, 50),
    ("Both", 600, 375, 225),
    ("Never", 0, 0, 0),
    ("None", 700, 0, 700),
    ("Part", 1000, 1000, 0),
    ("Whole", 500, 500, 0),
], rows

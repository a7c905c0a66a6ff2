"""Sum before joining."""

from tests.tasks.steps import create, files, turn, view

REPLIES = [
    turn("I look at what there is.", files()),
    turn("I read the query and the tables.", view("balance.sql"), view("schema.sql")),
    turn(
        "Joined to its payments, an order is in the sum once for each of them, and the inner "
        "joins drop who has none. Both sums must be made for themselves.",
        create(
            "balance.sql",
            "-- What each customer has ordered, paid and still owes, in cents; by name.\n"
            "WITH sums AS (\n"
            "    SELECT\n"
            "        customers.id AS id,\n"
            "        customers.name AS name,\n"
            "        (SELECT COALESCE(SUM(cents), 0) FROM orders\n"
            "         WHERE customer_id = customers.id) AS ordered,\n"
            "        (SELECT COALESCE(SUM(payments.cents), 0) FROM payments\n"
            "         JOIN orders ON orders.id = payments.order_id\n"
            "         WHERE orders.customer_id = customers.id) AS paid\n"
            "    FROM customers\n"
            ")\n"
            "SELECT name, ordered, paid, ordered - paid AS owed\n"
            "FROM sums\n"
            "ORDER BY name, id;\n",
        ),
    ),
    turn("I read it again.", view("balance.sql")),
    turn("Each customer is in it once, and no order counts twice."),
]

-- What each customer has ordered, paid and still owes, in cents; by name.
SELECT
    customers.name AS name,
    SUM(orders.cents) AS ordered,
    SUM(payments.cents) AS paid,
    SUM(orders.cents) - SUM(payments.cents) AS owed
FROM customers
JOIN orders ON orders.customer_id = customers.id
JOIN payments ON payments.order_id = orders.id
GROUP BY customers.id
ORDER BY customers.name;

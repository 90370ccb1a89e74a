-- Queries of the sales report, for SQLite and PostgreSQL alike; docs/jobs/report.md tells the rules.
-- Given: :start and :end (microseconds since 1970 UTC, end left out), :currency, :top_n,
-- and the table days(day, starts_at, ends_at) with one row per local day.

-- query: currencies
SELECT currency, count(*) AS records
FROM orders
WHERE ordered_at >= :start AND ordered_at < :end
GROUP BY currency
ORDER BY records DESC, currency;

-- query: newest
SELECT max(ordered_at) AS newest FROM orders;

-- query: daily
SELECT days.day,
       count(orders.id) AS records,
       coalesce(sum(CASE WHEN orders.status = 'paid' THEN orders.amount_minor END), 0) AS revenue,
       count(CASE WHEN orders.status = 'paid' THEN 1 END) AS paid,
       coalesce(sum(CASE WHEN orders.status = 'paid' THEN orders.quantity END), 0) AS units,
       count(CASE WHEN orders.status = 'refunded' THEN 1 END) AS refunds
FROM days
LEFT JOIN orders ON orders.ordered_at >= days.starts_at
                AND orders.ordered_at < days.ends_at
                AND orders.currency = :currency
GROUP BY days.day
ORDER BY days.day;

-- query: totals
SELECT count(DISTINCT customer_id) AS buyers
FROM orders
WHERE ordered_at >= :start AND ordered_at < :end AND currency = :currency AND status = 'paid';

-- query: channels
SELECT channel AS label, count(*) AS paid, sum(amount_minor) AS revenue
FROM orders
WHERE ordered_at >= :start AND ordered_at < :end AND currency = :currency AND status = 'paid'
GROUP BY channel
ORDER BY revenue DESC, label
LIMIT :top_n;

-- query: countries
SELECT country AS label, count(*) AS paid, sum(amount_minor) AS revenue
FROM orders
WHERE ordered_at >= :start AND ordered_at < :end AND currency = :currency AND status = 'paid'
GROUP BY country
ORDER BY revenue DESC, label
LIMIT :top_n;

-- query: products
SELECT coalesce(products.name, sold.product_id) AS label,
       sold.paid, sold.units, sold.revenue
FROM (
    SELECT product_id, count(*) AS paid, sum(quantity) AS units, sum(amount_minor) AS revenue
    FROM orders
    WHERE ordered_at >= :start AND ordered_at < :end AND currency = :currency AND status = 'paid'
    GROUP BY product_id
    ORDER BY revenue DESC, product_id
    LIMIT :top_n
) AS sold
LEFT JOIN products ON products.id = sold.product_id
ORDER BY sold.revenue DESC, label, sold.product_id;

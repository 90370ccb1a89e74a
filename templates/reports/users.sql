-- Queries of the users report; the rules are told in docs/jobs/report.md.

-- query: newest
SELECT max(created_at) AS newest FROM customers;

-- query: daily
SELECT days.day,
       count(customers.id) AS records,
       count(customers.id) AS joined
FROM days
LEFT JOIN customers ON customers.created_at >= days.starts_at
                   AND customers.created_at < days.ends_at
GROUP BY days.day
ORDER BY days.day;

-- query: totals
SELECT (SELECT count(*) FROM customers WHERE created_at < :end) AS known,
       (SELECT count(DISTINCT customer_id)
        FROM orders
        WHERE ordered_at >= :start AND ordered_at < :end AND status = 'paid') AS active,
       (SELECT count(*)
        FROM customers
        WHERE created_at >= :start AND created_at < :end
          AND EXISTS (SELECT 1 FROM orders
                      WHERE orders.customer_id = customers.id
                        AND orders.ordered_at >= :start AND orders.ordered_at < :end
                        AND orders.status = 'paid')) AS converted;

-- query: countries
SELECT country AS label, count(*) AS joined
FROM customers
WHERE created_at >= :start AND created_at < :end
GROUP BY country
ORDER BY joined DESC, label
LIMIT :top_n;

-- query: activity
SELECT label, count(*) AS active
FROM (
    SELECT CASE WHEN count(*) = 1 THEN '1 order'
                WHEN count(*) = 2 THEN '2 orders'
                WHEN count(*) <= 5 THEN '3 to 5 orders'
                ELSE '6 orders or more' END AS label
    FROM orders
    WHERE ordered_at >= :start AND ordered_at < :end AND status = 'paid'
    GROUP BY customer_id
) AS bought
GROUP BY label
ORDER BY label;

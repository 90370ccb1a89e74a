-- Queries of the analytics report; the rules are told in docs/jobs/report.md.

-- query: newest
SELECT max(hour_at) AS newest FROM traffic;

-- query: daily
SELECT days.day,
       coalesce(sum(traffic.events), 0) AS records,
       coalesce(sum(traffic.events), 0) AS events,
       coalesce(sum(traffic.lost), 0) AS lost,
       coalesce(sum(traffic.late), 0) AS late,
       coalesce(sum(traffic.distance), 0) AS distance
FROM days
LEFT JOIN traffic ON traffic.hour_at >= days.starts_at AND traffic.hour_at < days.ends_at
GROUP BY days.day
ORDER BY days.day;

-- query: places
SELECT place AS label, sum(events) AS events, sum(lost) AS lost, sum(late) AS late
FROM traffic
WHERE hour_at >= :start AND hour_at < :end
GROUP BY place
ORDER BY events DESC, label
LIMIT :top_n;

-- query: sources
SELECT source AS label, sum(events) AS events, sum(lost) AS lost, sum(late) AS late
FROM traffic
WHERE hour_at >= :start AND hour_at < :end
GROUP BY source
ORDER BY events DESC, label
LIMIT :top_n;

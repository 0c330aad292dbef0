-- Accepted events by kind: distinct ones, further records of them, invalid traffic.
SELECT toString(kind), sum(events), sum(duplicates), sum(invalid) FROM {{.FactHours}} GROUP BY kind ORDER BY kind

-- Events by kind and flag.
SELECT toString(kind), toString(flag.1), sum(flag.2)
FROM (SELECT kind, arrayJoin(CAST(flags, 'Array(Tuple(String, UInt64))')) AS flag FROM {{.FactHours}})
GROUP BY kind, flag.1
HAVING sum(flag.2) > 0
ORDER BY kind, flag.1

-- Marks and what was derived from them, by workspace, source, log_day and hour.
SELECT m.workspace, toString(m.source), toUInt16(m.log_day), toUnixTimestamp(m.hour), m.marks, d.done
FROM (
    SELECT workspace, source, log_day, hour, toUInt64(sum(newest)) AS marks
    FROM (
        SELECT workspace, source, log_day, hour, epoch, partition, max(next_offset) AS newest
        FROM dirty_hours
        {{if .Workspace}}WHERE workspace = {workspace:String} AND source = {source:String}
            AND hour >= toDateTime({{.FromHour}}, 'UTC') AND hour < toDateTime({{.ToHour}}, 'UTC'){{end}}
        GROUP BY workspace, source, log_day, hour, epoch, partition
    )
    GROUP BY workspace, source, log_day, hour
) AS m
LEFT JOIN (
    SELECT workspace, source, log_day, hour, max(marks) AS done
    FROM derived_hours
    {{if .Workspace}}WHERE workspace = {workspace:String} AND source = {source:String}
        AND hour >= toDateTime({{.FromHour}}, 'UTC') AND hour < toDateTime({{.ToHour}}, 'UTC'){{end}}
    GROUP BY workspace, source, log_day, hour
) AS d ON m.workspace = d.workspace AND m.source = d.source AND m.log_day = d.log_day AND m.hour = d.hour
WHERE m.marks > d.done{{range .Edges}} OR m.hour = toDateTime({{.}}, 'UTC'){{end}}
ORDER BY m.workspace, m.source, m.log_day, m.hour

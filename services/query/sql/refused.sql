-- What the collectors refused, by transport and reason, in the hours that touch the period.
SELECT toString(transport), toString(reason), sum(count)
FROM refusals FINAL
WHERE workspace = {workspace:String} AND hour >= toStartOfHour({{.From}}) AND hour < {{.To}}
GROUP BY transport, reason
ORDER BY transport, reason

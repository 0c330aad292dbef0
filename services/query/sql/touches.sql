-- Touches by dimension; viewable impressions and invalid traffic beside them. The key is that of people.sql.
SELECT cityHash64({{.Names}}), {{.Dimensions}},
    sumIf(events - invalid, kind = 'impression'),
    sum(viewable),
    sumIf(events - invalid, kind = 'engagement'),
    sumIf(events - invalid, kind = 'visit'),
    sumIf(events - invalid, kind = 'click'),
    sum(invalid),
    sum(exposing)
FROM {{.FactHours}}
WHERE creator_id != '' AND kind IN ('impression', 'engagement', 'visit', 'click') AND {{.Scope}}
GROUP BY {{.Names}}

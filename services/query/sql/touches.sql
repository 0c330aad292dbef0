-- Touches by dimension; viewable impressions and invalid traffic beside them.
SELECT {{.Dimensions}},
    sumIf(events - invalid, kind = 'impression'),
    sum(viewable),
    sumIf(events - invalid, kind = 'engagement'),
    sumIf(events - invalid, kind = 'visit'),
    sumIf(events - invalid, kind = 'click'),
    sum(invalid)
FROM {{.FactHours}}
WHERE creator_id != '' AND kind IN ('impression', 'engagement', 'visit', 'click') AND {{.Scope}}
GROUP BY {{.Names}}

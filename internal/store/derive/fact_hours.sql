INSERT INTO fact_hours (workspace, slot, log_day, campaign_id, creator_id, placement_id, link_id, kind, version,
    events, invalid, viewable, exposing, duplicates, flags)
SELECT workspace, slot, log_day, campaign_id, creator_id, placement_id, link_id, kind, {{.Version}},
    sum(events), sum(invalid), sum(viewable), sum(exposing), sum(duplicates), sumMap(flags)
FROM (
    {{.Rows}}
    UNION ALL
    -- Zeros for the dimensions that are there: those of them that no fact has any more stay zero.
    SELECT workspace, slot, log_day, campaign_id, creator_id, placement_id, link_id, kind, 0, 0, 0, 0, 0,
        CAST(map(), 'Map(LowCardinality(String), UInt64)')
    FROM fact_hours
    WHERE workspace = {workspace:String} AND log_day = toDate({{.LogDay}}) AND toUnixTimestamp(toStartOfHour(slot)) IN ({{.Hours}})
)
GROUP BY workspace, slot, log_day, campaign_id, creator_id, placement_id, link_id, kind

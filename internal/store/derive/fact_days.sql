-- Zeros of vanished dimensions come from fact_hours.
INSERT INTO fact_days (workspace, slot, log_day, campaign_id, creator_id, placement_id, link_id, kind, version,
    events, invalid, viewable, exposing, duplicates, flags)
SELECT workspace, toStartOfDay(slot) AS day, log_day, campaign_id, creator_id, placement_id, link_id, kind, {{.Version}},
    sum(events), sum(invalid), sum(viewable), sum(exposing), sum(duplicates), sumMap(flags)
FROM fact_hours FINAL
WHERE workspace = {workspace:String} AND log_day = toDate({{.LogDay}}) AND toUInt16(toDate(slot)) IN ({{.Days}})
GROUP BY workspace, day, log_day, campaign_id, creator_id, placement_id, link_id, kind

INSERT INTO exposure_days (workspace, creator_id, day, campaign_id, placement_id, link_id, entity_hash, click, log_day, version,
    pseudo, first_time, later_times, exposures)
SELECT workspace, creator_id, day, campaign_id, placement_id, link_id, entity_hash, click, log_day, {{.Version}},
    max(pseudo), times[1], arraySlice(times, 2), length(times)
FROM (
    SELECT workspace, creator_id, day, campaign_id, placement_id, link_id, entity_hash, click, log_day,
        max(pseudo) AS pseudo, arraySort(groupArrayIf(time, there)) AS times
    FROM (
        SELECT *, true AS there FROM ({{.Rows}})
        UNION ALL
        -- Rows that are there; without an exposure any more they become empty.
        SELECT workspace, creator_id, day, campaign_id, placement_id, link_id, entity_hash, click, log_day, pseudo, first_time, false
        FROM exposure_days
        WHERE workspace = {workspace:String} AND log_day = toDate({{.LogDay}}) AND toUInt16(day) IN ({{.Days}}) AND ({{.Range}})
    )
    GROUP BY workspace, creator_id, day, campaign_id, placement_id, link_id, entity_hash, click, log_day
)
GROUP BY workspace, creator_id, day, campaign_id, placement_id, link_id, entity_hash, click, log_day, times

-- The rows of fact_hours as facts say, for a condition on facts.
SELECT
    workspace, toStartOfInterval(time, INTERVAL 15 MINUTE) AS slot, log_day, campaign_id, creator_id, placement_id, link_id, kind,
    toUInt64(1) AS events,
    toUInt64(invalid) AS invalid,
    toUInt64(NOT facts.invalid AND viewability = 'viewable') AS viewable,
    toUInt64(exposes) AS exposing,
    toUInt64(duplicates) AS duplicates,
    mapFromArrays(flags, arrayWithConstant(length(flags), toUInt64(1))) AS flags
FROM facts FINAL
WHERE workspace = {workspace:String} AND ({{.Where}})

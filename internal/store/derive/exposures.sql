-- Exposures as facts say, one row each, for a condition on facts.
SELECT
    workspace, creator_id, toDate(time) AS day, campaign_id, placement_id, link_id, entity_hash, kind = 'click' AS click, log_day,
    pseudo, time
FROM facts FINAL
WHERE workspace = {workspace:String} AND exposes AND creator_id != '' AND ({{.Where}})

-- Zeros of vanished dimensions come from conversion_hours.
INSERT INTO conversion_days (workspace, entry, slot, hour, action, currency, status, reason, campaign_id, creator_id, placement_id, link_id, version,
    conversions, value_minor, credit_first_touch, credit_last_touch, credit_linear, credit_position_based, credit_time_decay,
    value_first_touch, value_last_touch, value_linear, value_position_based, value_time_decay, convert_seconds)
SELECT workspace, entry, toStartOfDay(hour) AS day, day, action, currency, status, reason, campaign_id, creator_id, placement_id, link_id, {{.Version}},
    sum(conversions), sum(value_minor), sum(credit_first_touch), sum(credit_last_touch), sum(credit_linear), sum(credit_position_based), sum(credit_time_decay),
    sum(value_first_touch), sum(value_last_touch), sum(value_linear), sum(value_position_based), sum(value_time_decay), groupArrayArray(convert_seconds)
FROM conversion_hours FINAL
WHERE workspace = {workspace:String} AND entry IN ('outcome', 'conversion') AND toUInt16(toDate(hour)) IN ({{.Days}})
GROUP BY workspace, entry, day, action, currency, status, reason, campaign_id, creator_id, placement_id, link_id

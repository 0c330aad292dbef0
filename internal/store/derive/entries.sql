-- The rows of conversion_hours as journeys say, one row for each entry, for a condition on the time of the conversion. Outcome
-- and credit come from one reading of each journey, so they add up. The last element of an entry says whether it is in.
SELECT
    workspace,
    CAST(e.1, 'Enum8(\'outcome\' = 1, \'conversion\' = 2, \'touch\' = 3)') AS entry,
    e.2 AS slot, toStartOfHour(time) AS hour, action, currency, status, reason,
    e.3 AS campaign_id, e.4 AS creator_id, e.5 AS placement_id, e.6 AS link_id,
    toUInt64(e.1 = 1) AS conversions,
    if(e.1 = 1, value_minor, 0) AS value_minor,
    toUInt64(e.7) AS credit_first_touch,
    toUInt64(e.8) AS credit_last_touch,
    toUInt64(e.9) AS credit_linear,
    toUInt64(e.10) AS credit_position_based,
    toUInt64(e.11) AS credit_time_decay,
    e.12 AS value_first_touch,
    e.13 AS value_last_touch,
    e.14 AS value_linear,
    e.15 AS value_position_based,
    e.16 AS value_time_decay,
    if(e.1 = 2, [e.17], []) AS convert_seconds
FROM (
    SELECT workspace, time, action, currency, status, reason, value_minor, arrayJoin(arrayConcat(
        CAST([tuple(1, toStartOfInterval(time, INTERVAL 15 MINUTE), '', '', '', '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            true{{if .To}} AND time >= fromUnixTimestamp64Milli(toInt64({{.From}}), 'UTC') AND time < fromUnixTimestamp64Milli(toInt64({{.To}}), 'UTC'){{end}})],
            'Array(Tuple(UInt8, DateTime(''UTC''), LowCardinality(String), LowCardinality(String), LowCardinality(String), LowCardinality(String), UInt32, UInt32, UInt32, UInt32, UInt32, Int64, Int64, Int64, Int64, Int64, UInt32, UInt8))'),
        CAST(arrayZip(arrayWithConstant(length(credits.campaign_id), 2), arrayWithConstant(length(credits.campaign_id), toStartOfInterval(time, INTERVAL 15 MINUTE)), credits.campaign_id, credits.creator_id, credits.placement_id, credits.link_id,
            credits.credit_first_touch, credits.credit_last_touch, credits.credit_linear, credits.credit_position_based, credits.credit_time_decay,
            credits.value_first_touch, credits.value_last_touch, credits.value_linear, credits.value_position_based, credits.value_time_decay,
            arrayMap(t -> dateDiff('second', t, time), credits.first_time), arrayWithConstant(length(credits.campaign_id),
                status = 'attributed'{{if .To}} AND time >= fromUnixTimestamp64Milli(toInt64({{.From}}), 'UTC') AND time < fromUnixTimestamp64Milli(toInt64({{.To}}), 'UTC'){{end}})),
            'Array(Tuple(UInt8, DateTime(''UTC''), LowCardinality(String), LowCardinality(String), LowCardinality(String), LowCardinality(String), UInt32, UInt32, UInt32, UInt32, UInt32, Int64, Int64, Int64, Int64, Int64, UInt32, UInt8))'){{if .Touches}},
        CAST(arrayZip(arrayWithConstant(length(touches.campaign_id), 3), arrayMap(t -> toStartOfInterval(t, INTERVAL 15 MINUTE), touches.time), touches.campaign_id, touches.creator_id, touches.placement_id, touches.link_id,
            touches.credit_first_touch, touches.credit_last_touch, touches.credit_linear, touches.credit_position_based, touches.credit_time_decay,
            touches.value_first_touch, touches.value_last_touch, touches.value_linear, touches.value_position_based, touches.value_time_decay,
            arrayWithConstant(length(touches.campaign_id), 0), arrayMap((ok, t) ->
                ok AND status = 'attributed'{{if .To}} AND t >= fromUnixTimestamp64Milli(toInt64({{.From}}), 'UTC') AND t < fromUnixTimestamp64Milli(toInt64({{.To}}), 'UTC'){{end}}, touches.eligible, touches.time)),
            'Array(Tuple(UInt8, DateTime(''UTC''), LowCardinality(String), LowCardinality(String), LowCardinality(String), LowCardinality(String), UInt32, UInt32, UInt32, UInt32, UInt32, Int64, Int64, Int64, Int64, Int64, UInt32, UInt8))'){{end}}
    )) AS e
    FROM journeys FINAL
    -- The order's hash never changes, so versions may be left out by it before the newest is chosen.
    PREWHERE workspace = {workspace:String} AND order_hash IN (
        SELECT order_hash FROM journeys WHERE workspace = {workspace:String} AND ({{.Where}}))
    WHERE {{.Where}}
)
WHERE e.18 = 1

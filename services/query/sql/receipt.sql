-- One conversion with its touches.
SELECT {{template "conversion_columns.sql"}},
    toString(person_kind), cause, order_hash, version,
    arrayMap(x -> toString(x), touches.kind), arrayMap(x -> toUnixTimestamp64Milli(x), touches.time),
    arrayMap(x -> toString(x), touches.creator_id), arrayMap(x -> toString(x), touches.campaign_id),
    arrayMap(x -> toString(x), touches.agreement_id), touches.agreement_version,
    arrayMap(x -> toString(x), touches.link_id), arrayMap(x -> toString(x), touches.placement_id),
    touches.event_id, touches.eligible, arrayMap(x -> toString(x), touches.reason),
    [touches.credit_first_touch, touches.credit_last_touch, touches.credit_linear, touches.credit_position_based, touches.credit_time_decay],
    [touches.value_first_touch, touches.value_last_touch, touches.value_linear, touches.value_position_based, touches.value_time_decay],
    CAST(omitted, 'Map(String, UInt32)')
FROM journeys FINAL
PREWHERE workspace = {workspace:String} AND order_hash IN (SELECT order_hash FROM journeys WHERE workspace = {workspace:String} AND {{.Where}})
WHERE {{.Where}}
ORDER BY action, order_scope, order_hash
LIMIT 10

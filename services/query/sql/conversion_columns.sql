action, order_id, order_scope, event_id, toUnixTimestamp64Milli(time), value_minor, currency, toString(status), reason,
toUInt32(length(touches.time) + arraySum(mapValues(omitted))), toUInt32(eligible_touches),
arrayConcat(flags, if(conflicting_value > 0, ['conflicting_value'], []), if(notEmpty(unknown_codes), ['unknown_code'], [])), records,
arrayMap(x -> toString(x), credits.campaign_id), arrayMap(x -> toString(x), credits.creator_id),
[credits.credit_first_touch, credits.credit_last_touch, credits.credit_linear, credits.credit_position_based, credits.credit_time_decay],
[credits.value_first_touch, credits.value_last_touch, credits.value_linear, credits.value_position_based, credits.value_time_decay]

-- Conversions of the visitors: of ten, seven are attributed to three touches of two creators, two to nobody, one is excluded.
INSERT INTO journeys (workspace, order_hash, version, time, received_time, action, status, reason, value_minor, currency, person_hash, person_kind, person,
    order, order_id, first_touch_time, eligible_touches,
    credits.campaign_id, credits.creator_id, credits.agreement_id, credits.link_id, credits.placement_id, credits.touches, credits.first_time,
    credits.credit_first_touch, credits.credit_last_touch, credits.credit_linear, credits.credit_position_based, credits.credit_time_decay,
    credits.value_first_touch, credits.value_last_touch, credits.value_linear, credits.value_position_based, credits.value_time_decay,
    touches.kind, touches.time, touches.received_time, touches.creator_id, touches.campaign_id, touches.agreement_id, touches.agreement_version, touches.link_id,
    touches.placement_id, touches.channel, touches.entity_hash, touches.event_id, touches.eligible, touches.reason,
    touches.credit_first_touch, touches.credit_last_touch, touches.credit_linear, touches.credit_position_based, touches.credit_time_decay,
    touches.value_first_touch, touches.value_last_touch, touches.value_linear, touches.value_position_based, touches.value_time_decay,
    cause, epoch, partition, cause_offset)
SELECT 'shop', sipHash128(number, 3), 1, at, at, if(r % 3 = 0, 'signup', 'purchase'),
    multiIf(r % 10 < 7, 'attributed', r % 10 < 9, 'unattributed', 'excluded'), multiIf(r % 10 < 7, '', r % 10 < 9, 'no_touch', 'late'),
    1000, if(r % 3 = 0, '', 'EUR'), sipHash128(person), 'visitor', person, concat('o:purchase//', toString(number)), toString(number), at - toIntervalDay(3), if(had, 3, 0),
    if(had, [concat('campaign', toString(cityHash64(c1) % 5)), concat('campaign', toString(cityHash64(c2) % 5))], []), if(had, [concat('creator', c1), concat('creator', c2)], []),
    if(had, [concat('a', c1), concat('a', c2)], []), if(had, [concat('l', c1), ''], []), if(had, [concat('p', c1, '-1'), concat('p', c2, '-2')], []), if(had, [2, 1], []),
    if(had, [at - toIntervalDay(3), at - toIntervalDay(1)], []),
    if(had, [1000000000, 0], []), if(had, [0, 1000000000], []), if(had, [666666667, 333333333], []), if(had, [600000000, 400000000], []), if(had, [600000000, 400000000], []),
    if(had, [1000, 0], []), if(had, [0, 1000], []), if(had, [667, 333], []), if(had, [600, 400], []), if(had, [600, 400], []),
    if(had, ['click', 'visit', 'impression'], []), if(had, [at - toIntervalDay(3), at - toIntervalDay(2), at - toIntervalDay(1)], []), if(had, [at, at, at], []),
    if(had, [concat('creator', c1), concat('creator', c1), concat('creator', c2)], []), if(had, [concat('campaign', toString(cityHash64(c1) % 5)), concat('campaign', toString(cityHash64(c1) % 5)), concat('campaign', toString(cityHash64(c2) % 5))], []),
    if(had, [concat('a', c1), concat('a', c1), concat('a', c2)], []), if(had, [1, 1, 1], []), if(had, [concat('l', c1), concat('l', c1), ''], []),
    if(had, [concat('p', c1, '-1'), concat('p', c1, '-1'), concat('p', c2, '-2')], []), if(had, ['', '', ''], []),
    if(had, [sipHash128(person), sipHash128(person), sipHash128(person)], []), if(had, [toString(r), toString(r1), toString(r2)], []), if(had, [true, true, true], []), if(had, ['', '', ''], []),
    if(had, [1000000000, 0, 0], []), if(had, [0, 0, 1000000000], []), if(had, [333333334, 333333333, 333333333], []), if(had, [400000000, 200000000, 400000000], []), if(had, [300000000, 300000000, 400000000], []),
    if(had, [1000, 0, 0], []), if(had, [0, 0, 1000], []), if(had, [334, 333, 333], []), if(had, [400, 200, 400], []), if(had, [300, 300, 400], []),
    'new', 1, 0, number
FROM (
    SELECT number, cityHash64(number, 5) AS r, cityHash64(number, 6) AS r1, cityHash64(number, 7) AS r2, r % 10 < 7 AS had,
        concat('v:', toString(toUInt32({visitors:UInt64} * pow(r1 % 1000003 / 1000003., 1.5)))) AS person,
        toString(toUInt32(60 * pow(r2 % 10007 / 10007., 2))) AS c1, toString(toUInt32(60 * pow(r % 10007 / 10007., 2))) AS c2,
        toDateTime64({start:UInt32}, 3, 'UTC') + toIntervalMillisecond(toInt64(number * 7776000000. / {journeys:UInt64})) AS at
    FROM numbers({from:UInt64}, {count:UInt64})
)

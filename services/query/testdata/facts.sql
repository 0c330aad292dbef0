-- Facts of a campaign season: 90 days, visitors and creators unevenly busy; a redirect's clicks belong to pseudo-visitors.
INSERT INTO facts (workspace, entity_hash, event_hash, log_day, version, kind, time, received_time, event_time, exposes, invalid,
    entity, entity_kind, pseudo, event_id, agreement_id, agreement_version, campaign_id, creator_id, link_id, placement_id,
    viewability, epoch, partition, cause_offset)
SELECT 'shop', sipHash128(entity), sipHash128(number, 1), toDate(at), 1, kind, at, at, at, exposes, invalid,
    entity, 'visitor', pseudo, toString(number), concat('a', c), 1, concat('campaign', toString(cityHash64(c) % 5)), concat('creator', c),
    if(kind = 'click', concat('l', c), ''), concat('p', c, '-', toString(number % 3)), if(kind = 'impression' AND r % 10 < 7, 'viewable', 'unmeasured'), 1, 0, number
FROM (
    SELECT number, cityHash64(number) AS r, cityHash64(number, 1) AS r1, cityHash64(number, 2) AS r2,
        multiIf(r % 100 < 4, 'click', r % 100 < 10, 'visit', r % 100 < 12, 'engagement', 'impression') AS kind,
        kind = 'click' AS pseudo, r % 97 = 0 AS invalid,
        NOT invalid AND (kind != 'impression' OR r % 10 < 7) AS exposes,
        if(pseudo, concat('v:~c/', toString(number)), concat('v:', toString(toUInt32({visitors:UInt64} * pow(r1 % 1000003 / 1000003., 1.5))))) AS entity,
        toString(toUInt32(60 * pow(r2 % 10007 / 10007., 2))) AS c,
        toDateTime64({start:UInt32}, 3, 'UTC') + toIntervalMillisecond(toInt64(number * 7776000000. / {facts:UInt64})) AS at
    FROM numbers({from:UInt64}, {count:UInt64})
)
